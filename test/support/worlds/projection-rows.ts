/** Rows, keys and ranges for tests of projections, chosen and at random, and what a range shows, found the plainest way. */
import fc from 'fast-check'
import type {
  ProjectedPosition,
  Row,
  RowRange,
} from '../../../src/storage/ports/projection-store.ts'

export const walId = '000102030405060708090a0b0c0d0eff'

export const positionAt = (lsn: number): ProjectedPosition => ({ walId, epoch: 3, lsn })

export const textRow = (text: string, expiresAt = 0): Row => ({
  value: { tag: 1, bytes: Buffer.from(text) },
  expiresAt,
})

/** Rows as comparable data, whatever kind of array their bytes are. */
export const plain = (row: Row | undefined) =>
  row && {
    tag: row.value.tag,
    bytes: Buffer.from(row.value.bytes).toString('latin1'),
    expiresAt: row.expiresAt,
  }

/** Keys of the awkward kind: around surrogates, prefixes of one another, with NULs inside, of the greatest length. */
export const keyArbitrary = fc.oneof(
  fc.constantFrom('a', 'ab', 'b', 'a\0b', '\u{10000}', '\ufffd', '\ud7ff', 'é', '~'),
  fc.string({ unit: 'grapheme', minLength: 1, maxLength: 6 }).filter((key) => key[0] !== '\0'),
  fc.integer({ min: 1500, max: 1537 }).map((length) => 'k'.repeat(length)),
)

export const rowArbitrary: fc.Arbitrary<Row> = fc
  .tuple(
    fc.constantFrom(0, 1, 2, 3) as fc.Arbitrary<0 | 1 | 2 | 3>,
    fc.uint8Array({ maxLength: 40 }),
    fc.oneof(fc.constant(0), fc.maxSafeNat()),
  )
  .map(([tag, bytes, expiresAt]) => ({ value: { tag, bytes }, expiresAt }))

export const boundArbitrary = fc
  .tuple(fc.constantFrom('gt', 'gte', 'none'), fc.constantFrom('lt', 'lte', 'none'))
  .chain(([lower, upper]) =>
    fc.record({
      ...(lower === 'none' ? {} : { [lower]: fc.oneof(keyArbitrary, fc.constant('')) }),
      ...(upper === 'none' ? {} : { [upper]: fc.oneof(keyArbitrary, fc.constant('')) }),
      reverse: fc.boolean(),
    }),
  ) as fc.Arbitrary<RowRange>

/** The rows of `model` that a range shows, in its order, found in the slowest and plainest way. */
export const expectedKeys = (model: ReadonlyMap<string, Row>, range: RowRange): string[] => {
  const bytes = (key: string) => Buffer.from(key)
  const keys = [...model.keys()].filter(
    (key) =>
      (range.gt === undefined || Buffer.compare(bytes(key), bytes(range.gt)) > 0) &&
      (range.gte === undefined || Buffer.compare(bytes(key), bytes(range.gte)) >= 0) &&
      (range.lt === undefined || Buffer.compare(bytes(key), bytes(range.lt)) < 0) &&
      (range.lte === undefined || Buffer.compare(bytes(key), bytes(range.lte)) <= 0),
  )
  keys.sort((a, b) => Buffer.compare(bytes(a), bytes(b)))
  return range.reverse ? keys.reverse() : keys
}
