/** The effect of entries of the journal: the first with an id counts, and no later one changes that. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type EntryUnit, noExpiry, type Turn } from '../../../src/storage/commands/command.ts'
import { refusalError } from '../../../src/storage/commands/command-answer.ts'
import { entryUnit } from '../../../src/storage/commands/entry-unit.ts'
import {
  earlierDigest,
  entryContent,
  readEntryRow,
} from '../../../src/storage/commands/journal-entry.ts'
import { valueTags } from '../../../src/storage/ports/projection-store.ts'
import { entryCounts } from '../../../src/storage/rows/entry-rows.ts'
import { applyUnits } from '../../../src/storage/rows/unit-application.ts'
import { entityRowKey } from '../../../src/storage/values/entity-key.ts'
import { mainRowOf } from '../../../src/storage/values/entity-row.ts'
import { eventPayload } from '../../../src/storage/values/event-payload.ts'
import { appendedMarkerKey, entryIdRowKey } from '../../../src/storage/values/row-key.ts'
import { anyEntry } from '../../support/worlds/any-command.ts'
import { MapRows } from '../../support/worlds/map-rows.ts'

const entry = (id: string, says: unknown = id): EntryUnit =>
  entryUnit({
    id,
    type: 'order',
    command: eventPayload(says),
    response: eventPayload(null),
    events: [{ type: 'accepted', payload: eventPayload(says) }],
    effects: [],
  })

/** Applies a frame to `rows`; its answers. */
const applied = (rows: MapRows, lsn: number, ...units: readonly (EntryUnit | Turn)[]) => {
  const changes = new Map()
  const both = { set: (key: string, row: never) => void changes.set(key, row) }
  const answers = applyUnits(
    units,
    rows,
    { lsn, time: 100 * lsn },
    {
      set: (key, row) => {
        rows.take([[key, row]])
        both.set(key, row as never)
      },
    },
  )
  return { answers, changes }
}

const turn = (...entries: readonly EntryUnit[]): Turn => ({
  kind: 'turn',
  entity: 'market/1',
  follows: undefined,
  row: mainRowOf({ incarnation: '0123456789abcdef', seq: 1 }, Buffer.from('state')),
  rows: [],
  writes: [
    { kind: 'put', key: '{market/1}:k', value: { tag: 1, bytes: Buffer.of(1) }, expiry: noExpiry },
  ],
  entries,
})

describe('an entry', () => {
  test('that is appended by itself leaves a mark, once; those of turns leave none', () => {
    const rows = new MapRows()
    expect([...applied(rows, 7, turn(entry('a'))).changes.keys()]).not.toContain(appendedMarkerKey)

    const first = applied(rows, 8, entry('b')).changes.get(appendedMarkerKey)
    expect(first).toEqual({
      value: { tag: valueTags.bytes, bytes: new Uint8Array(0) },
      expiresAt: 0,
    })
    expect([...applied(rows, 9, entry('c')).changes.keys()]).not.toContain(appendedMarkerKey)
    expect(rows.get(appendedMarkerKey)).toEqual(first)
  })

  test('is answered with its place, which its id keeps', () => {
    const rows = new MapRows()

    const { answers } = applied(rows, 7, entry('a'), entry('b'))

    expect(answers).toEqual([
      { kind: 'entry', lsn: 7, index: 0, time: 700, repeated: false },
      { kind: 'entry', lsn: 7, index: 1, time: 700, repeated: false },
    ])
    const row = rows.get(entryIdRowKey('b'))
    expect(row && readEntryRow(row)).toEqual({ lsn: 7, index: 1, time: 700 })
  })

  test('that is repeated is answered with the first place, and changes nothing', () => {
    const rows = new MapRows()
    applied(rows, 2 ** 40, entry('a'))

    const { answers, changes } = applied(rows, 2 ** 40 + 5, entry('a'))

    const first = { lsn: 2 ** 40, index: 0, time: 100 * 2 ** 40 }
    expect(answers).toEqual([{ kind: 'entry', ...first, repeated: true }])
    expect(changes.size).toBe(0)
  })

  test('that is repeated with its names, entries and members in another order is the first one', () => {
    const rows = new MapRows()
    const map = new Map([['x', 1]])
    applied(rows, 3, entry('a', { at: new Date(5), b: [{ c: 1, d: 2 }], m: map.set('y', 2) }))
    applied(rows, 3, entry('b', { at: new Date(5), until: new Date(6) }))

    const again = new Map([['y', 2]]).set('x', 1)
    const { answers } = applied(
      rows,
      4,
      entry('a', { m: again, b: [{ d: 2, c: 1 }], at: new Date(5) }),
      entry('b', { until: new Date(6), at: new Date(5) }),
      entry('b', { until: new Date(5), at: new Date(6) }),
    )

    expect(answers).toMatchObject([{ repeated: true }, { repeated: true }, { kind: 'refused' }])
  })

  test('that an earlier build took is repeated by the same bytes', () => {
    const rows = new MapRows()
    const unit = entry('a', { d: 1, c: 2 })
    applied(rows, 3, { ...unit, digest: earlierDigest(unit.body) })

    const { answers, changes } = applied(rows, 4, unit, entry('a', { d: 1, c: 3 }))

    expect(answers).toMatchObject([{ repeated: true, lsn: 3 }, { kind: 'refused' }])
    expect(changes.size).toBe(0)
  })

  test('counts for readers of the log at its first place alone', () => {
    const rows = new MapRows()
    const first = { lsn: 3, index: 1, time: 300 }
    applied(rows, 3, entry('a'), entry('b'), entry('b'))
    applied(rows, 4, entry('c'), entry('b'))
    const countsAt = (place: typeof first) => entryCounts(rows.get(entryIdRowKey('b')), place)

    expect(countsAt(first)).toBe(true)
    expect(countsAt({ ...first, index: 2 })).toBe(false)
    expect(countsAt({ ...first, lsn: 4 })).toBe(false)
    expect(entryCounts(undefined, first)).toBe(false)
  })

  test('behind a refused unit of its frame keeps its index among all entries of the frame', () => {
    const rows = new MapRows()
    applied(rows, 3, entry('a', 'this'))

    const refused = [entry('a', 'that'), turn(entry('b'), entry('a', 'other'))]
    const { answers } = applied(rows, 4, ...refused, entry('c'))

    expect(answers.map(({ kind }) => kind)).toEqual(['refused', 'refused', 'entry'])
    expect(answers[2]).toMatchObject({ lsn: 4, index: 3 })
    const row = rows.get(entryIdRowKey('c'))
    expect(entryCounts(row, { lsn: 4, index: 3, time: 400 })).toBe(true)
    expect(rows.get(entryIdRowKey('b'))).toBeUndefined()
  })

  test('that says something else under an id is refused, and says where the first one is', () => {
    const rows = new MapRows()
    applied(rows, 3, entry('a', 'this'))

    const { answers, changes } = applied(rows, 4, entry('a', 'that'))

    expect(answers[0]).toMatchObject({ kind: 'refused', key: 'a' })
    expect(changes.size).toBe(0)
    expect(refusalError(answers[0] as never)).toMatchObject({
      code: 'CONFLICT',
      details: { key: 'a', entry: { lsn: 3, index: 0, time: 300 } },
    })
  })

  test('has another digest when any part of it differs', () => {
    const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
    fc.assert(
      fc.property(anyEntry, anyEntry, (one, other) => {
        const isSame = text(one.body) === text(other.body)
        expect(text(one.digest) === text(other.digest)).toBe(isSame)
        expect(entryUnit(entryContent(one))).toMatchObject({ id: one.id })
        expect(text(entryUnit(entryContent(one)).digest)).toBe(text(one.digest))
      }),
    )
    const moved = { ...entryContent(entry('a')), effects: entryContent(entry('a')).events }
    expect(text(entryUnit({ ...moved, events: [] }).digest)).not.toBe(text(entry('a').digest))
  })
})

describe('a turn that journals', () => {
  test('keeps the ids of its entries, counted among all entries of the frame', () => {
    const rows = new MapRows()

    const { answers } = applied(rows, 5, entry('a'), turn(entry('b'), entry('c')), entry('d'))

    expect(answers.map(({ kind }) => kind)).toEqual(['entry', 'turn', 'entry'])
    const indexOf = (id: string) => {
      const row = rows.get(entryIdRowKey(id))
      return row && readEntryRow(row).index
    }
    expect(['a', 'b', 'c', 'd'].map(indexOf)).toEqual([0, 1, 2, 3])
  })

  test('is refused as a whole if one id is taken, also by the same turn', () => {
    for (const entries of [
      [entry('b'), entry('a', 'that')],
      [entry('b', 'this'), entry('b', 'that')],
    ]) {
      const rows = new MapRows()
      applied(rows, 3, entry('a', 'this'))

      const { answers, changes } = applied(rows, 4, turn(...entries))

      expect(answers[0]).toMatchObject({
        kind: 'refused',
        reason: { code: 'CONFLICT' },
        command: 1,
      })
      expect(changes.size).toBe(0)
      expect(rows.get(entityRowKey('market/1'))).toBe(undefined)
    }
  })

  test('may repeat an entry that the journal has', () => {
    const rows = new MapRows()
    applied(rows, 3, entry('a'))

    expect(applied(rows, 4, turn(entry('a'))).answers[0]?.kind).toBe('turn')
    expect(rows.get(entityRowKey('market/1'))).toBeDefined()
  })
})

test('the row of an id is CORRUPT if it has another tag or length', () => {
  const rows = new MapRows()
  applied(rows, 7, entry('a'))
  const row = rows.get(entryIdRowKey('a'))
  if (!row) throw new Error('no row')
  const { tag, bytes } = row.value
  const place = { lsn: 7, index: 0, time: 700 }
  expect(readEntryRow(row)).toEqual(place)
  for (const value of [
    { tag, bytes: bytes.subarray(0, bytes.length - 1) },
    { tag, bytes: Buffer.concat([bytes, Buffer.alloc(1)]) },
    { tag: 1 as typeof tag, bytes },
  ])
    expect(() => entryCounts({ ...row, value }, place)).toThrow(
      expect.objectContaining({ code: 'CORRUPT' }),
    )
})
