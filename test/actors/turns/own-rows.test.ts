/** `context.rows`: the rows that a durable actor keeps itself are part of its turn. */

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Applier, LargeValue } from '../../../src/actors/index.ts'
import {
  call,
  cast,
  type DurableContext,
  type DurableServer,
  entity,
  name,
  noReply,
  type ReadRows,
  type RowsOptions,
  reply,
  supervisor,
  worker,
} from '../../../src/index.ts'
import type { SimulatedOptions } from '../../../src/testing/index.ts'
import { codeOf, failNextSync, simulated } from '../../support/worlds/simulated-instance.ts'

type Act = (context: DurableContext<Messages>) => unknown
type Messages = {
  calls: { act: (act: Act) => unknown; look: (act: Act) => unknown }
  casts: { act: (act: Act) => void }
}

/** Its state counts its turns; each turn does what the test says. */
const keeper: DurableServer<Messages, number> = {
  init: () => 0,
  calls: {
    act: async (count, act, context) => reply(await act(context), count + 1),
    look: (count, act, context) => reply(act(context), count),
  },
  casts: {
    act: async (count, act, context) => {
      await act(context)
      return noReply(count + 1)
    },
  },
}

const kind = entity('keeper', keeper)

const started = async (options: SimulatedOptions = {}) => {
  const s = await simulated({
    app: supervisor('app', {}, [kind, worker('desk', keeper, { durable: true })]),
    ...options,
  })
  const handle = s.app.entity(kind)
  const act = (does: Act, id = 'a') => call(handle.ref(id), 'act', does)
  return { s, handle, act, during: <T>(work: Promise<T>) => s.during(work) }
}

const put =
  (...entries: readonly (readonly [string, unknown])[]): Act =>
  ({ rows }) => {
    for (const [key, value] of entries) rows.put(key, value)
  }

const all: Act = ({ rows }) => rows.range().entries

describe('the rows of a durable actor', () => {
  test('become durable with the turn, and are read from outside then and not before', async () => {
    const { s, handle, act } = await started({ syncMs: 20 })
    const seen: unknown[] = []
    const work = act(({ rows }) => {
      rows.put('k', { v: 1 })
      seen.push(rows.get('k'), rows.get('none'), handle.rows('a').get('k'))
    })
    await s.advance(10)
    expect(seen).toEqual([{ v: 1 }, undefined, undefined])
    expect(handle.rows('a').get('k')).toBe(undefined)
    await s.during(work)
    expect(handle.rows('a').get('k')).toEqual({ v: 1 })
    expect(handle.rows('a').range()).toEqual({
      entries: [['k', { v: 1 }]],
      cursor: undefined,
      exhausted: true,
    })
    expect(handle.rows('b').range().entries).toEqual([])
  })

  test('are seen by later turns whose earlier ones are still on their way', async () => {
    const { s, act } = await started({ syncMs: 50 })
    const works = [
      act(put(['a', 1], ['b', 2])),
      act(({ rows }) => [rows.get('a'), rows.delete('a'), rows.delete('a'), rows.get('a')]),
      act(({ rows }) => {
        rows.put('c', 3)
        return [rows.get('a'), rows.range().entries, rows.range({ reverse: true }).entries]
      }),
    ]
    const entries = [
      ['b', 2],
      ['c', 3],
    ]
    expect(await s.during(Promise.all(works))).toEqual([
      undefined,
      [1, true, false, undefined],
      [undefined, entries, entries.toReversed()],
    ])
  })

  test('are those of one actor and one life: of a worker too, after a restart and a rebirth', async () => {
    const { s, act, during } = await started()
    const desk = () => s.app.system.to(name<Messages>('desk'))
    await during(act(put(['k', 'of a'])))
    await during(act(put(['k', 'of ab']), 'ab'))
    await during(call(desk(), 'act', put(['k', 'of desk'])))
    await s.close()
    await s.start()
    const handle = s.app.entity(kind)
    expect(await during(call(handle.ref('a'), 'look', all))).toEqual([['k', 'of a']])
    expect(await during(call(handle.ref('ab'), 'look', all))).toEqual([['k', 'of ab']])
    expect(await during(call(desk(), 'look', all))).toEqual([['k', 'of desk']])
    expect(s.app.store.range().entries).toEqual([])
    await during(handle.delete('a'))
    expect(handle.rows('a').range().entries).toEqual([])
    await during(call(handle.ref('a'), 'act', put(['other', 1])))
    expect(await during(call(handle.ref('a'), 'look', all))).toEqual([['other', 1]])
    expect(await during(call(handle.ref('ab'), 'look', all))).toEqual([['k', 'of ab']])
  })

  test('are read in any range, from both ends, each bound with its key or without', async () => {
    const { handle, act, during } = await started()
    await during(act(put(['a', 1], ['b', 2], ['c', 3], ['d', 4])))
    const keysOf = (options: RowsOptions) =>
      handle
        .rows('a')
        .range(options)
        .entries.map(([key]) => key)
        .join('')
    expect(keysOf({ gt: 'a', lt: 'd' })).toBe('bc')
    expect(keysOf({ gte: 'a', lte: 'c' })).toBe('abc')
    expect(keysOf({ gt: 'a', reverse: true })).toBe('dcb')
    expect(keysOf({ lte: 'c', reverse: true })).toBe('cba')
  })

  test('a turn that only changes rows is a turn; one that only reads them writes nothing', async () => {
    const { s, handle, act, during } = await started()
    await during(act(put(['k', 1])))
    const { lsn } = s.app.store.range().positions[0] as { lsn: number }
    await during(call(handle.ref('a'), 'look', all))
    await during(call(handle.ref('a'), 'look', ({ rows }) => rows.delete('none')))
    expect(s.app.store.range().positions[0]).toMatchObject({ lsn })
    await during(call(handle.ref('a'), 'look', put(['k', 2])))
    expect(handle.rows('a').get('k')).toBe(2)
  })
})

describe('a turn that never happens', () => {
  test('leaves no row: it threw, or a write of it met a lock', async () => {
    const { s, handle, act, during } = await started({ syncMs: 20 })
    await during(act(put(['kept', 1])))
    const key = '{keeper/a}:locked'
    await during(s.app.store.lock([key], { owner: 'other', leaseMs: 100_000 }))
    const locked = act(({ rows, writes }) => {
      rows.put('k', 'refused')
      rows.delete('kept')
      writes.put(key, 1)
    })
    // It stands on the refused turn, and is handled again.
    const behind = act(({ rows }) => {
      rows.put('behind', rows.get('k') ?? 'none')
      return rows.range().entries
    })
    expect(await during(codeOf(locked))).toBe('LOCKED')
    expect(await during(behind)).toEqual([
      ['behind', 'none'],
      ['kept', 1],
    ])
    const thrown = act(({ rows }) => {
      rows.put('k', 'thrown')
      throw new Error('thrown')
    })
    expect(await during(codeOf(thrown))).toBe('EXITED')
    expect(handle.rows('a').range().entries).toEqual([
      ['behind', 'none'],
      ['kept', 1],
    ])
  })

  test('is refused for rows that no unit takes, and the actor lives', {
    tags: ['slow'],
  }, async () => {
    const { handle, act, during } = await started({ blobs: { threshold: 0 } })
    await during(act(put(['kept', 1])))
    const many = Array.from({ length: 10_001 }, (_, at) => [`k${at}`, at] as const)
    expect(await during(codeOf(act(put(...many))))).toBe('TOO_LARGE')
    const large = Buffer.alloc(70 * 1024 * 1024)
    expect(await during(codeOf(act(put(['large', large]))))).toBe('TOO_LARGE')
    expect(await during(act(all))).toEqual([['kept', 1]])
    expect(await during(act(put(...many.slice(1))))).toBe(undefined)
    expect(handle.rows('a').range({ limit: 20_000 }).entries).toHaveLength(10_001)
  })

  test('is handled again if the shard showed no rows: no storage actor ends it', async () => {
    const { s, handle, act, during } = await started()
    await during(act(put(['k', 1])))
    let tries = 0
    const work = act(async ({ rows, system }) => {
      tries++
      if (tries === 1) {
        system.kill(Applier.name(0) as never)
        await new Promise<void>((resolve) => system.clock.after(0, resolve))
      }
      rows.put('k', (rows.get<number>('k') as number) + 1)
    })
    const behind = act(({ rows }) => rows.get('k'))
    expect(await during(Promise.all([work, behind]))).toEqual([undefined, 2])
    expect(tries).toBe(2)
    expect(handle.state('a')).toBe(3)
    expect(s.app.health().actors.blocked).toMatchObject({ count: 0 })
  })

  test('is refused if the shard is down: a call at once, a cast once it is open again', async () => {
    const { s, handle, act, during } = await started()
    await during(act(put(['k', 1])))
    let reads = false
    const reading: Act = async ({ rows, system }) => {
      reads = true
      await new Promise<void>((resolve) => system.clock.after(100, resolve))
      rows.put('k', (rows.get<number>('k') as number) + 1)
    }
    const work = act(reading)
    cast(handle.ref('a'), 'act', reading)
    while (!reads) await s.advance(1)
    failNextSync(s.disk)
    await during(codeOf(s.app.store.put('other', 1)))
    expect(await during(codeOf(work))).toBe('SHARD_DOWN')
    await s.advance(1_000)
    await during(s.app.control.reopen(0))
    await s.advance(1_000)
    expect(handle.rows('a').get('k')).toBe(2)
  })
})

describe('keys, values and pages', () => {
  test('are those of the store: what it refuses is refused', async () => {
    const { act, during } = await started()
    const refused = (does: Act) => during(act((context) => codeOf((async () => does(context))())))
    for (const key of ['', 'a\0b', '\ud800', 'k'.repeat(1025), 7])
      expect(await refused(({ rows }) => rows.put(key as string, 1))).toBe('INVALID_ARGUMENT')
    expect(await refused(put(['k', () => 1]))).toBe('INVALID_ARGUMENT')
    expect(await refused(({ rows }) => rows.range({ gt: 'a', gte: 'b' }))).toBe('INVALID_ARGUMENT')
    expect(await refused(({ rows }) => rows.range({ freshness: 'applied' } as never))).toBe(
      'INVALID_ARGUMENT',
    )
    expect(await refused(({ rows }) => rows.range({ cursor: 'made up' }))).toBe('BAD_CURSOR')
    const longest = 'ключ'.repeat(128)
    await during(act(put([longest, 'v'])))
    expect(await during(act(({ rows }) => rows.get(longest)))).toBe('v')
  })

  test('outside of a handler rows are read, and not written', async () => {
    let kept: DurableContext<Messages>['rows'] | undefined
    const { act, during } = await started()
    await during(
      act(({ rows }) => {
        rows.put('k', 1)
        kept = rows
      }),
    )
    expect(kept?.get('k')).toBe(1)
    expect(await codeOf((async () => kept?.put('k', 2))())).toBe('INVALID_ARGUMENT')
    expect(await codeOf((async () => kept?.delete('k'))())).toBe('INVALID_ARGUMENT')
  })

  test('agree with a map, whatever turns are on their way', { tags: ['slow'] }, async () => {
    const keys = ['a', 'b', 'c', '\uffff', '\u{10000}', 'ab']
    const change = fc.tuple(fc.constantFrom(...keys), fc.nat(3))
    const turn = fc.record({ changes: fc.array(change, { maxLength: 4 }), waits: fc.boolean() })
    await fc.assert(
      fc.asyncProperty(fc.array(turn, { maxLength: 12 }), async (turns) => {
        const { s, act } = await started({ syncMs: 5 })
        const model = new Map<string, unknown>()
        const works: Promise<unknown>[] = []
        for (const { changes, waits } of turns) {
          for (const [key, value] of changes)
            if (value === 0) model.delete(key)
            else model.set(key, value)
          const expected = sorted(model)
          const work = act(({ rows }) => {
            for (const [key, value] of changes)
              if (value === 0) rows.delete(key)
              else rows.put(key, value)
            expect(rows.range().entries).toEqual(expected)
            expect(paged(rows, { limit: 2, reverse: true })).toEqual(expected.toReversed())
            expect(rows.range({ prefix: 'a' }).entries).toEqual(
              expected.filter(([key]) => key.startsWith('a')),
            )
            for (const key of keys) expect(rows.get(key)).toBe(new Map(expected).get(key))
          })
          works.push(work)
          if (waits) await s.during(work)
        }
        await s.during(Promise.all(works))
        expect(paged(s.app.entity(kind).rows('a'), { limit: 1 })).toEqual(sorted(model))
        await s.close()
      }),
      { numRuns: 12 },
    )
  })
})

const sorted = (model: ReadonlyMap<string, unknown>) =>
  [...model].sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)))

const paged = (rows: ReadRows, options: RowsOptions) => {
  const entries: unknown[] = []
  for (let cursor: string | undefined, first = true; first || cursor; first = false) {
    const page = rows.range({ ...options, ...(cursor && { cursor }) })
    entries.push(...page.entries)
    cursor = page.cursor
  }
  return entries
}

describe('a large value', () => {
  const blobs = { threshold: 1_000, sweepMs: 0 }
  const text = 'x'.repeat(5_000)
  const huge = Buffer.alloc(3 * 1024 * 1024, 7)

  test('is a blob: read at once up to 1 MiB, and loaded beyond', async () => {
    const { s, handle, act, during } = await started({ blobs })
    const read: Act = async ({ rows }) => [
      rows.get('text') === text,
      await codeOf((async () => rows.get('huge'))()),
      huge.equals((await rows.load('huge')) as Buffer),
      rows.range().entries.map(([key, value]) => [key, value instanceof LargeValue]),
    ]
    const expected = [
      true,
      'TOO_LARGE',
      true,
      [
        ['huge', true],
        ['text', false],
      ],
    ]
    const together = [act(put(['text', text], ['huge', huge])), act(read)]
    expect((await during(Promise.all(together)))[1]).toEqual(expected)
    expect(await during(act(read))).toEqual(expected)
    expect(handle.rows('a').get('text')).toBe(text)
    expect(() => handle.rows('a').get('huge')).toThrow(
      expect.objectContaining({
        code: 'TOO_LARGE',
        details: expect.objectContaining({ key: 'huge' }),
      }),
    )
    expect(await during(handle.rows('a').load('huge'))).toEqual(huge)
    const { overlay } = (s.app.shards[0] as (typeof s.app.shards)[0]).view().layers
    expect([...overlay.range({ gt: '\0b', lt: '\0c' })]).toHaveLength(2)
  })
})
