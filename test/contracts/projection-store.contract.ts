/**
 * What every implementation of `Projections` promises, in one file since it is one contract. Run on LMDB and on the
 * memory double, so that what is proved on the double in simulations holds in production.
 */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type {
  ProjectionStore,
  Projections,
  Row,
  RowChange,
  RowRange,
} from '../../src/storage/ports/projection-store.ts'
import { compareKeys } from '../../src/storage/values/key.ts'
import {
  boundArbitrary,
  expectedKeys,
  keyArbitrary,
  plain,
  positionAt,
  rowArbitrary,
  textRow,
} from '../support/worlds/projection-rows.ts'

/** Projections, and a folder in which there are none yet. `release` takes everything away. */
export type ProjectionsUnderTest = {
  readonly projections: Projections
  readonly dir: string
  release(): Promise<void>
}

const codeOf = (action: () => unknown): unknown => {
  try {
    action()
  } catch (error) {
    // Of the built package the class is another one.
    return error instanceof Error && 'code' in error ? error.code : error
  }
  return 'nothing was thrown'
}

const keysOf = (store: ProjectionStore, range: RowRange): string[] =>
  [...store.range(range)].map(([key]) => key)

/** Describes the contract for one implementation. */
export const projectionStoreContract = (name: string, make: () => ProjectionsUnderTest): void => {
  const using = async (
    body: (store: ProjectionStore, under: ProjectionsUnderTest) => unknown,
  ): Promise<void> => {
    const under = make()
    const store = under.projections.open(under.dir)
    try {
      await body(store, under)
    } finally {
      await store.close()
      await under.release()
    }
  }

  describe(`${name} keeps the contract of projections`, () => {
    test('a folder that was never opened is absent', async () => {
      const under = make()
      expect(await under.projections.examine(under.dir)).toEqual({ state: 'absent' })
      await under.release()
    })

    test('a new store has no position and no rows', () =>
      using(async (store, under) => {
        expect(store.position()).toBeUndefined()
        expect(keysOf(store, {})).toEqual([])
        expect(store.describe().rows).toBe(0)
        await store.close()
        expect(await under.projections.examine(under.dir)).toMatchObject({
          state: 'sound',
          position: undefined,
          rows: 0,
        })
      }))

    test('a commit changes rows and position together', { tags: ['L40', 'M24', 'M47'] }, () =>
      using(async (store) => {
        await store.commit([['a', textRow('1', 5)]], positionAt(7))
        await store.commit(
          [
            ['b', textRow('2')],
            ['a', undefined],
          ],
          positionAt(8),
        )
        expect(store.get('a')).toBeUndefined()
        expect(plain(store.get('b'))).toEqual(plain(textRow('2')))
        expect(store.position()).toEqual(positionAt(8))
        expect(store.describe().rows).toBe(1)
      }),
    )

    test('a commit may have no rows, and moves the position', () =>
      using(async (store) => {
        await store.commit([], positionAt(1))
        expect(store.position()).toEqual(positionAt(1))
        expect(store.describe().rows).toBe(0)
      }))

    test('of two changes of one key in a commit the later one counts', () =>
      using(async (store) => {
        await store.commit(
          [
            ['a', textRow('first')],
            ['a', undefined],
            ['a', textRow('last')],
          ],
          positionAt(1),
        )
        expect(plain(store.get('a'))).toEqual(plain(textRow('last')))
      }))

    test('what was committed is there after closing and opening again', () =>
      using(async (store, under) => {
        await store.commit([['a', textRow('1')]], positionAt(2 ** 53 - 1))
        await store.close()
        expect(await under.projections.examine(under.dir)).toMatchObject({
          state: 'sound',
          position: positionAt(2 ** 53 - 1),
          rows: 1,
        })
        const again = under.projections.open(under.dir)
        expect(plain(again.get('a'))).toEqual(plain(textRow('1')))
        expect(again.position()).toEqual(positionAt(2 ** 53 - 1))
        await again.close()
      }))

    test('changes that throw while they are read leave nothing behind', () =>
      using(async (store) => {
        await store.commit([['a', textRow('1')]], positionAt(1))
        const failing = function* (): IterableIterator<RowChange> {
          yield ['a', textRow('2')]
          throw new Error('half way')
        }
        await expect(store.commit(failing(), positionAt(2))).rejects.toThrow('half way')
        expect(plain(store.get('a'))).toEqual(plain(textRow('1')))
        expect(store.position()).toEqual(positionAt(1))
      }))

    test('a key that no row can have is refused, with nothing changed', () =>
      using(async (store) => {
        for (const key of ['', '\0', '\0none', 'k'.repeat(1538)]) {
          const changes: RowChange[] = [
            ['good', textRow('1')],
            [key, textRow('2')],
          ]
          await expect(store.commit(changes, positionAt(1))).rejects.toMatchObject({
            code: 'INVALID_ARGUMENT',
          })
          expect(store.get(key)).toBeUndefined()
        }
        expect(store.get('good')).toBeUndefined()
        expect(store.position()).toBeUndefined()
      }))

    test('rows share no memory with the caller, in either direction', () =>
      using(async (store) => {
        const row = textRow('before')
        await store.commit([['a', row]], positionAt(1))
        row.value.bytes.fill(0x21)
        store.get('a')?.value.bytes.fill(0x3f)
        expect(plain(store.get('a'))).toEqual(plain(textRow('before')))
      }))

    test('get and peek give the same row, and what get gave outlives any look-up', () =>
      using(async (store) => {
        const text = (size: number) => String.fromCharCode(97 + (size % 26)).repeat(size)
        const sizes = [0, 1, 100, 640, 5_000, 200_000, 3, 100]
        const keys = sizes.map((size, at) => `${'ké'.repeat(at)}${size}`)
        const rows = sizes.map((size) => textRow(text(size)))
        await store.commit(
          keys.map((key, at): RowChange => [key, rows[at]]),
          positionAt(1),
        )
        const got = keys.map((key) => store.get(key))
        for (const [at, key] of keys.entries())
          expect(plain(store.peek(key))).toEqual(plain(rows[at]))
        expect(got.map(plain)).toEqual(rows.map(plain))
        for (const key of ['none', '', 'x'.repeat(2_000), 'é'.repeat(1_000)])
          expect([store.get(key), store.peek(key)]).toEqual([undefined, undefined])
      }))

    test('any rows come back as they were, in the order of their bytes, within any bounds', () =>
      using(async (store) => {
        const model = new Map<string, Row>()
        let lsn = 0
        await fc.assert(
          fc.asyncProperty(
            fc.array(fc.tuple(keyArbitrary, fc.option(rowArbitrary, { nil: undefined }))),
            fc.array(boundArbitrary, { minLength: 5, maxLength: 5 }),
            async (changes, ranges) => {
              await store.commit(changes, positionAt(++lsn))
              for (const [key, row] of changes)
                if (row) model.set(key, row)
                else model.delete(key)
              for (const [key] of changes)
                expect(plain(store.get(key))).toEqual(plain(model.get(key)))
              for (const range of ranges)
                expect(keysOf(store, range)).toEqual(expectedKeys(model, range))
              expect(store.describe().rows).toBe(model.size)
            },
          ),
          { numRuns: 100 },
        )
        for (const [key, row] of store.range({})) expect(plain(row)).toEqual(plain(model.get(key)))
      }))

    test('a range shows one moment, whatever is committed while it is walked through', () =>
      using(async (store) => {
        await store.commit(
          ['a', 'b', 'c'].map((key) => [key, textRow('old')] as const),
          positionAt(1),
        )
        const rows = store.range({})
        await store.commit(
          [
            ['a', textRow('new')],
            ['aa', textRow('new')],
            ['b', undefined],
          ],
          positionAt(2),
        )
        const seen = [...rows].map(([key, row]) => [key, Buffer.from(row.value.bytes).toString()])
        expect(seen).toEqual([
          ['a', 'old'],
          ['b', 'old'],
          ['c', 'old'],
        ])
        expect(keysOf(store, {})).toEqual(['a', 'aa', 'c'])
      }))

    test('a range may be left half way, many times', () =>
      using(async (store) => {
        await store.commit(
          ['a', 'b', 'c'].map((key) => [key, textRow(key)] as const),
          positionAt(1),
        )
        for (let round = 0; round < 500; round++) {
          for (const [key] of store.range({ reverse: round % 2 === 0 })) {
            expect(key).toBe(round % 2 === 0 ? 'c' : 'a')
            break
          }
          await store.commit([['d', undefined]], positionAt(round + 2))
        }
        expect(keysOf(store, {})).toEqual(['a', 'b', 'c'])
      }))

    test('two ranges side by side do not disturb each other', () =>
      using(async (store) => {
        const keys = Array.from({ length: 50 }, (_, index) => `k${index + 10}`)
        await store.commit(
          keys.map((key) => [key, textRow(key)] as const),
          positionAt(1),
        )
        const up = store.range({})
        const down = store.range({ reverse: true })
        const pairs = keys.map(() => [up.next().value?.[0], down.next().value?.[0]])
        expect(pairs.map(([first]) => first)).toEqual(keys)
        expect(pairs.map(([, second]) => second)).toEqual([...keys].reverse())
      }))

    test('a large value comes back as it was', () =>
      using(async (store) => {
        const bytes = Buffer.allocUnsafe(20 << 20)
        for (let at = 0; at < bytes.length; at += 4) bytes.writeInt32LE(at ^ 0x5bd1e995, at)
        await store.commit([['large', { value: { tag: 2, bytes }, expiresAt: 0 }]], positionAt(1))
        await store.commit([['other', textRow('1')]], positionAt(2))
        expect(Buffer.compare(store.get('large')?.value.bytes ?? Buffer.alloc(0), bytes)).toBe(0)
        const [first] = store.range({ lte: 'large' })
        expect(Buffer.compare(first?.[1].value.bytes ?? Buffer.alloc(0), bytes)).toBe(0)
      }))

    test('a closed store refuses everything, and closing it again does nothing', () =>
      using(async (store) => {
        await store.commit([['a', textRow('1')]], positionAt(1))
        const rows = store.range({})
        await store.close()
        for (const action of [
          () => store.get('a'),
          () => store.position(),
          () => store.range({}),
          () => store.describe(),
          () => [...rows],
        ])
          expect(codeOf(action)).toBe('CLOSED')
        await expect(store.commit([], positionAt(2))).rejects.toMatchObject({ code: 'CLOSED' })
        await store.close()
      }))

    test('after remove a store opens empty', () =>
      using(async (store, under) => {
        await store.commit([['a', textRow('1')]], positionAt(1))
        await store.close()
        under.projections.remove(under.dir)
        expect(await under.projections.examine(under.dir)).toEqual({ state: 'absent' })
        const again = under.projections.open(under.dir)
        expect(again.position()).toBeUndefined()
        expect(again.get('a')).toBeUndefined()
        await again.close()
      }))

    test('two folders have nothing in common', () =>
      using(async (store, under) => {
        const other = under.projections.open(`${under.dir}-other`)
        await store.commit([['a', textRow('1')]], positionAt(1))
        await other.commit([['b', textRow('2')]], positionAt(9))
        expect(keysOf(store, {})).toEqual(['a'])
        expect(keysOf(other, {})).toEqual(['b'])
        expect([store.position()?.lsn, other.position()?.lsn]).toEqual([1, 9])
        await other.close()
      }))

    test('keys are ordered as compareKeys orders them', () =>
      using(async (store) => {
        const keys = ['\u{1f600}', '\ue000', '\uffff', '\ud7ff', 'z', 'é', 'a', 'a\0', 'aa']
        await store.commit(
          keys.map((key) => [key, textRow(key)] as const),
          positionAt(1),
        )
        expect(keysOf(store, {})).toEqual([...keys].sort(compareKeys))
      }))
  })
}
