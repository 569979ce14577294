import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { CommitEncoder, entriesOf } from '../../../src/storage/lmdb/encoded-commit.ts'
import type { ProjectedPosition, RowChange } from '../../../src/storage/ports/projection-store.ts'
import { decodePosition, decodeRow, positionKey } from '../../../src/storage/values/row-codec.ts'
import { plain, positionAt, textRow } from '../../support/worlds/projection-rows.ts'

/** A commit as plain data, as its writer decodes it. */
const read = (commit: Parameters<typeof entriesOf>[0]) => {
  const entries = entriesOf(commit)
  const last = entries.pop()
  return {
    changes: entries.map(({ key, record }) => [
      key.toString(),
      record && plain(decodeRow(key, record)),
    ]),
    positionKey: [...(last?.key ?? [])],
    position: decodePosition(last?.record ?? new Uint8Array()),
  }
}

const changes = fc.array(
  fc.tuple(
    fc.oneof(
      fc.constantFrom('a', 'é', '\u{10000}', 'k'.repeat(41), 'é'.repeat(500), '\0c', '\0lkey'),
      fc.string({ unit: 'grapheme', minLength: 1 }).filter((key) => key[0] !== '\0'),
    ),
    fc.option(fc.oneof(fc.nat(100), fc.nat(100_000)), { nil: undefined }),
  ),
  { maxLength: 12 },
)

const encoded = (
  encoder: CommitEncoder,
  changes: readonly RowChange[],
  position: ProjectedPosition,
) => {
  const draft = encoder.begin()
  for (const [key, row] of changes) draft.add(key, row)
  return draft.end(position)
}

describe('an encoded commit', () => {
  test('decodes to the changes in order and the position after them, also in reused memory', () => {
    const encoder = new CommitEncoder()
    fc.assert(
      fc.property(changes, fc.nat(), (lengths, lsn) => {
        const list = lengths.map(
          ([key, length]): RowChange => [
            key,
            length === undefined ? undefined : textRow('x'.repeat(length), 7),
          ],
        )
        const commit = encoded(encoder, list, positionAt(lsn))
        expect(read(commit)).toEqual({
          changes: list.map(([key, row]) => [key, plain(row)]),
          positionKey: [...positionKey],
          position: positionAt(lsn),
        })
        encoder.reuse(commit.bytes)
      }),
      { numRuns: 60 },
    )
  })

  const oneRow = (bytes: number): RowChange[] => [['k', textRow('x'.repeat(bytes))]]

  test('uses the memory that came back if it is large enough', () => {
    const encoder = new CommitEncoder()
    const first = encoded(encoder, oneRow(100_000), positionAt(1))
    encoder.reuse(first.bytes)
    const second = encoded(encoder, oneRow(100_000), positionAt(2))
    expect(second.bytes.buffer).toBe(first.bytes.buffer)

    encoder.reuse(second.bytes)
    const third = encoded(encoder, oneRow(1_000_000), positionAt(3))
    expect(third.bytes.length).toBeGreaterThan(1_000_000)
    expect(read(third).position).toEqual(positionAt(3))
  })

  test('never uses memory that did not come back', () => {
    const encoder = new CommitEncoder()
    encoder.reuse(encoded(encoder, oneRow(10), positionAt(1)).bytes)
    const first = encoded(encoder, oneRow(10), positionAt(2))
    const second = encoded(encoder, oneRow(10), positionAt(3))

    expect(second.bytes.buffer).not.toBe(first.bytes.buffer)
    expect(read(first).position).toEqual(positionAt(2))
  })

  test('has room for each key and row wherever its memory ends', () => {
    const key = '\u20ac'.repeat(512)
    for (let before = 64 * 1024 - 1_800; before < 64 * 1024; before += 25) {
      const list: RowChange[] = [...oneRow(before), [key, textRow('last', 7)]]
      expect(read(encoded(new CommitEncoder(), list, positionAt(1))).changes[1]).toEqual([
        key,
        plain(textRow('last', 7)),
      ])
    }
  })

  test('of a rare size keeps no memory', { tags: ['slow'] }, () => {
    const encoder = new CommitEncoder()
    const huge = encoded(encoder, oneRow(20 * 1024 * 1024), positionAt(1))
    encoder.reuse(huge.bytes)

    expect(encoded(encoder, oneRow(10), positionAt(2)).bytes.length).toBe(64 * 1024)
  })

  test('is refused for a key that no row can have, and the next commit is right', () => {
    const encoder = new CommitEncoder()
    for (const key of ['', '\0', '\0z', 'k'.repeat(1_538)])
      expect(() => encoded(encoder, [...oneRow(5), [key, undefined]], positionAt(1))).toThrow(
        expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
      )
    expect(read(encoded(encoder, [], positionAt(2)))).toMatchObject({
      changes: [],
      position: positionAt(2),
    })
  })
})
