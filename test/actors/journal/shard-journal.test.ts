/** How much of the log a shard's journal holds, for whom, and what it says of that. */
import { describe, expect, test, vi } from 'vitest'
import type { ReadView } from '../../../src/actors/core/read-view.ts'
import {
  type Delivery,
  hadEntryWithin,
  ShardJournal,
} from '../../../src/actors/journal/shard-journal.ts'
import { virtualClock } from '../../../src/clock.ts'
import {
  appendedMarkerKey,
  applyUnits,
  encodeFrame,
  encodeList,
  encodeValue,
  entityRowKey,
  entryIdRowKey,
  entryUnit,
  eventPayload,
  type LogHost,
  mainRowOf,
  positionEntity,
  type Row,
  type RowChange,
  type RowRange,
  savedStateEntity,
} from '../../../src/storage/index.ts'
import { entityRow } from '../../../src/storage/values/entity-row.ts'
import { MapRows } from '../../support/worlds/map-rows.ts'

const nothing = eventPayload(null)
const content = { type: 't', command: nothing, response: nothing, events: [], effects: [] }

/** The row of the id of an entry that counts, in the frame at `lsn`. */
const idRow = (id: string, lsn: number): [string, Row] => {
  const changes = new Map<string, Row | undefined>()
  const into = { set: (key: string, row: Row | undefined) => void changes.set(key, row) }
  applyUnits(entryUnit({ id, ...content }), new MapRows(), { lsn, time: 1 }, into)
  return [entryIdRowKey(id), changes.get(entryIdRowKey(id)) as Row]
}

const positionRow = (name: string, lsn: number): [string, Row] => [
  entityRowKey(positionEntity(name)),
  entityRow(mainRowOf({ incarnation: '0'.repeat(16), seq: 1 }, encodeList([lsn, 0]))),
]

/** The view of a shard with these rows. */
const viewOf = (rows: readonly (readonly [string, Row])[]): ReadView => {
  const ordered = [...rows].sort(([one], [other]) => (one < other ? -1 : 1))
  const isWithin = (key: string, { gt, gte, lt }: RowRange): boolean =>
    (gt === undefined || key > gt) && (gte === undefined || key >= gte) && (!lt || key < lt)
  const range = function* (of: RowRange): IterableIterator<RowChange> {
    for (const [key, row] of ordered) if (isWithin(key, of)) yield [key, row]
  }
  return {
    row: (key: string) => ordered.find(([each]) => each === key)?.[1],
    rows: range,
    layers: { overlay: { range: () => [].values() }, projection: { range } },
  } as unknown as ReadView
}

const settings = { replay: 'optional', retention: 'states', maxHeldBytes: 100 } as const
const noLog = (): LogHost => expect.unreachable()

const reader = (name: string, coveredLsn: number): Delivery =>
  ({ health: { name }, coveredLsn, advance: vi.fn(async () => undefined) }) as unknown as Delivery

/** A journal with these readers, and the floor that it finds. */
const floorOf = async (
  rows: readonly (readonly [string, Row])[],
  {
    readers = [],
    states = [],
    retention = 'states',
  }: {
    readers?: readonly Delivery[]
    states?: readonly number[]
    retention?: 'states' | 'readers'
  } = {},
) => {
  const journal = new ShardJournal({ ...settings, retention })
  for (const each of readers) journal.deliveries.set(each.health.name, each)
  journal.states = states
  const floor = await journal.floor(() => viewOf(rows), noLog)
  journal.measured(1)
  for (const { advance } of readers) expect(advance).toHaveBeenCalledOnce()
  const { floorLsn, held } = journal.health
  return { floor, floorLsn, by: held.by }
}

const marker: [string, Row] = [appendedMarkerKey, { value: encodeValue(1), expiresAt: 0 }]
const savedOnce: [string, Row] = [
  entityRowKey(savedStateEntity),
  entityRow(mainRowOf({ incarnation: '0'.repeat(16), seq: 1 }, encodeList([1]))),
]

describe('the log is held', () => {
  const none = { floor: Number.POSITIVE_INFINITY, floorLsn: undefined, by: ['a reader'] }

  test('for nobody without entries and subscriptions', async () => {
    expect(await floorOf([])).toEqual(none)
    expect(await floorOf([savedOnce])).toEqual(none)
  })

  test('for entries behind the older one of two states, and all of it for fewer', async () => {
    const rows = [marker, idRow('a', 5)]
    const by = ['states']
    expect(await floorOf(rows)).toEqual({ floor: 0, floorLsn: 0, by })
    expect(await floorOf(rows, { states: [7] })).toEqual({ floor: 0, floorLsn: 0, by })
    expect(await floorOf(rows, { states: [7, 9] })).toEqual({ floor: 7, floorLsn: 7, by })
    expect(await floorOf(rows, { states: [7], retention: 'readers' })).toEqual(none)
  })

  test('for entries of turns from the first saved state on', async () => {
    const rows = [idRow('a', 5)]
    const by = ['states']
    expect(await floorOf([...rows, savedOnce])).toEqual({ floor: 0, floorLsn: 0, by })
    expect(await floorOf(rows, { states: [3, 4] })).toEqual({ floor: 3, floorLsn: 3, by })
  })

  test('for the subscriptions that have come least far, also those that nobody subscribes', async () => {
    const rows = [positionRow('gone', 9), positionRow('mail', 2)]
    const readers = [reader('mail', 12), reader('audit', 8), reader('late', 8)]
    expect(await floorOf(rows, { readers })).toEqual({
      ...{ floor: 8, floorLsn: 8 },
      by: ['subscription gone', 'subscription audit', 'subscription late'],
    })
    const over = [reader('mail', Number.POSITIVE_INFINITY)]
    expect(await floorOf([], { readers: over })).toMatchObject({
      ...{ floor: Number.POSITIVE_INFINITY, floorLsn: undefined, by: ['subscription mail'] },
    })
  })
})

describe('in a log without the marker', () => {
  const frames = [
    encodeFrame({ kind: 'delete', key: 'k' }),
    encodeFrame(entryUnit({ id: 'a', ...content })),
  ]
  const bytes = Buffer.concat(frames)
  const lengthOf = (at: number) => frames[at]?.length ?? 0

  /** A log whose frames are read one at a time; so many reads fail first. */
  const logWith = (count: number, failures = 0) => {
    let left = failures
    const reads: unknown[] = []
    const run = async (kind: string, request: { readonly from: number }) => {
      if (kind === 'state') return { firstLsn: 1, durableLsn: count }
      reads.push(request)
      if (left-- > 0) throw new Error('not now')
      const at = request.from - 1
      const offset = at * lengthOf(0)
      return { frames: [{ offset, length: lengthOf(at) }], bytes, next: request.from + 1 }
    }
    return { log: { run } as unknown as LogHost, reads }
  }

  test('an entry that was appended is looked for once, in all that is durable', async () => {
    const journal = new ShardJournal(settings)
    const { log, reads } = logWith(2)
    const rows = viewOf([idRow('a', 2)])
    for (let again = 0; again < 2; again++)
      expect(
        await journal.floor(
          () => rows,
          () => log,
        ),
      ).toBe(0)
    expect(reads).toMatchObject([
      { from: 1, to: 2 },
      { from: 2, to: 2 },
    ])
    const other = new ShardJournal(settings)
    expect(
      await other.floor(
        () => rows,
        () => logWith(1).log,
      ),
    ).toBe(Number.POSITIVE_INFINITY)
    expect(await other.floor(() => rows, noLog)).toBe(Number.POSITIVE_INFINITY)
  })

  test('a look that failed is made again', async () => {
    const journal = new ShardJournal(settings)
    const { log } = logWith(2, 1)
    const rows = viewOf([idRow('a', 2)])
    await expect(
      journal.floor(
        () => rows,
        () => log,
      ),
    ).rejects.toThrow('not now')
    expect(
      await journal.floor(
        () => rows,
        () => log,
      ),
    ).toBe(0)
  })

  test('a look at a log that does not go on ends', async () => {
    const log = {
      run: async (kind: string) =>
        kind === 'state'
          ? { firstLsn: 1, durableLsn: 9 }
          : { frames: [], bytes: new Uint8Array(0), next: 1 },
    } as unknown as LogHost
    const floor = new ShardJournal(settings).floor(
      () => viewOf([idRow('a', 2)]),
      () => log,
    )
    expect(await floor).toBe(Number.POSITIVE_INFINITY)
  })
})

describe('what is held', () => {
  const journalWith = (bytes: number) => {
    const journal = new ShardJournal(settings)
    const told = vi.fn()
    journal.listen(told)
    journal.measured(bytes)
    return { journal, told }
  }

  test.each([
    ...([
      [0, 'fine'],
      [50, 'fine'],
      [51, 'high'],
      [100, 'high'],
      [101, 'full'],
    ] as const),
  ])('%i of 100 bytes is %s: appends are refused from full on', (bytes, state) => {
    const { journal } = journalWith(bytes)
    expect(journal.health.held).toMatchObject({ bytes, maxBytes: 100, state })
    const details = { shard: 3, state: 'held', bytes, maxBytes: 100 }
    const refusal = journal.refusal(3)
    if (state === 'full') expect(refusal).toMatchObject({ code: 'BUSY', details })
    else expect(refusal).toBeUndefined()
  })

  test.each([
    ...([
      [0, 51],
      [0, 101],
      [51, 101],
    ] as const),
  ])('is told of when it grows from %i to %i bytes', (from, to) => {
    const { journal } = journalWith(from)
    expect(journal.measured(to)).toEqual(journal.health.held)
    expect(journal.measured(to)).toBeUndefined()
  })

  test.each([
    ...([
      [0, 0],
      [0, 50],
      [51, 100],
      [101, 200],
      [101, 51],
      [101, 0],
      [51, 0],
    ] as const),
  ])('is not told of when it goes from %i to %i bytes', (from, to) => {
    expect(journalWith(from).journal.measured(to)).toBeUndefined()
  })

  test('is looked at again when it is full, and the journal may need less', () => {
    for (const [bytes, times] of [
      [100, 0],
      [101, 1],
    ] as const) {
      const { journal, told } = journalWith(bytes)
      journal.lessens()
      expect(told).toHaveBeenCalledTimes(times)
      journal.refusal(0)
      expect(told).toHaveBeenCalledTimes(2 * times)
    }
    const unheard = new ShardJournal(settings)
    unheard.measured(101)
    expect(() => unheard.lessens()).not.toThrow()
  })

  test('is nothing while a replay is awaited: that is why appends are refused', () => {
    const journal = new ShardJournal({ ...settings, replay: 'required' })
    journal.measured(101)
    expect(journal.refusal(2)?.details).toEqual({ shard: 2, state: 'replaying' })
    expect(journal.health.replay).toBe('awaited')
  })
})

describe('an entry is missing', () => {
  const clock = virtualClock()
  const had = (from: number, end: number, rows: readonly (readonly [string, Row])[]) => {
    const asked = hadEntryWithin(() => viewOf(rows), clock, { from, end })
    return Promise.all([asked, clock.advance(100)]).then(([answer]) => answer)
  }

  test('from the first LSN up to, not including, the end', async () => {
    const rows = [idRow('a', 5)]
    const answers = [
      ...[had(5, 6, rows), had(1, 6, rows), had(5, 9, rows)],
      ...[had(1, 5, rows), had(6, 9, rows), had(1, 9, [])],
    ]
    expect(await Promise.all(answers)).toEqual([true, true, true, false, false, false])
  })

  test('if the last of many ids says so', { tags: ['slow'] }, async () => {
    for (const count of [4_095, 4_096, 4_097, 8_192]) {
      const ids = Array.from({ length: count }, (_, at) => `${at}`.padStart(5, '0'))
      const rows = ids.map((id, at) => idRow(id, at === count - 1 ? 5 : 1))
      expect([count, await had(5, 6, rows), await had(6, 9, rows)]).toEqual([count, true, false])
    }
  })
})
