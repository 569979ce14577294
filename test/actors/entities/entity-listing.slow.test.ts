/** Looks at the rows of a kind: pages by id and by index, counts, alarms. */
import { afterEach, describe, expect, test } from 'vitest'
import type { Entities } from '../../../src/actors/entities/entities.ts'
import { countOf, countsOf } from '../../../src/actors/entities/entity-totals.ts'
import { virtualClock } from '../../../src/clock.ts'
import {
  call,
  type DurableServer,
  type EntityHandle,
  entity,
  ok,
  reply,
  supervisor,
} from '../../../src/index.ts'
import {
  encodeIndexValue,
  entityRowKey,
  indexRowKey,
  type RowRange,
} from '../../../src/storage/index.ts'
import { type Simulation, startSimulated } from '../../../src/testing/index.ts'
import { codeOf } from '../../support/error-codes.ts'

type Order = { readonly status: string; readonly total: number | string | null | boolean }
type Index = { readonly status: string; readonly total: number | string | null | boolean }
type Messages = {
  calls: { set: (order: Order) => void; wait: (ms: number) => void; drop: () => void }
  alarms: { late: () => void; later: () => void }
}

const order: DurableServer<Messages, Order, Index> = {
  init: () => ok({ status: 'none', total: 0 }),
  calls: {
    set: (_, next) => reply(undefined, next),
    wait: (state, ms, context) => {
      context.setAlarm('late', { at: ms })
      context.setAlarm('later', { at: ms + 1 })
      return reply(undefined, state)
    },
    drop: (state, _, context) => {
      context.cancelAlarm('late')
      return reply(undefined, state)
    },
  },
  alarms: { late: (state) => ({ state }) as never, later: (state) => ({ state }) as never },
  index: ({ status, total }) => ({ status, total }),
}

const kinds = [entity('order', order), entity('orders', order)] as const

let simulation: Simulation | undefined
afterEach(async () => {
  await simulation?.close()
  simulation = undefined
})

type Orders = EntityHandle<Messages, Order, Index>

const started = async (): Promise<{ s: Simulation; orders: Orders }> => {
  simulation = await startSimulated({ app: supervisor('app', {}, kinds), shards: 3 })
  return { s: simulation, orders: simulation.app.entity(kinds[0]) }
}

const set = async (s: Simulation, orders: Orders, given: Record<string, Order>): Promise<void> => {
  const calls = Object.entries(given).map(([id, each]) => call(orders.ref(id), 'set', each))
  await s.during(Promise.all(calls))
}

const ids = (page: ReturnType<Orders['list']>): string => page.entries.map(({ id }) => id).join(' ')

/** Orders of all sorts of values, over three shards. */
const some: Record<string, Order> = {
  a: { status: 'placed', total: 5 },
  b: { status: 'paid', total: -3 },
  c: { status: 'placed', total: 100 },
  d: { status: 'paid', total: 'free' },
  e: { status: 'placed', total: null },
  'eu-1': { status: 'placed', total: true },
  'eu-2': { status: 'paid', total: 5 },
  '\u{1f600}': { status: 'placed', total: '' },
}

describe('list', () => {
  test('gives ids in order over all shards, of its kind only, with their states', async () => {
    const { s, orders } = await started()
    await set(s, orders, some)
    await set(s, s.app.entity(kinds[1]), { zz: { status: 'placed', total: 1 } })
    const page = orders.list()
    expect(ids(page)).toBe('a b c d e eu-1 eu-2 \u{1f600}')
    expect(page.entries).toStrictEqual(Object.entries(some).map(([id, state]) => ({ id, state })))
    expect(page).toMatchObject({ cursor: undefined, exhausted: true })
    expect(page.positions.map(({ shard }) => shard)).toEqual([0, 1, 2])
    expect(ids(orders.list({ order: 'desc', limit: 3 }))).toBe('\u{1f600} eu-2 eu-1')
    expect(ids(orders.list({ prefix: 'eu-' }))).toBe('eu-1 eu-2')
    await set(s, orders, { '\u{10ffff}z': { status: 'paid', total: 0 } })
    expect(ids(orders.list({ prefix: '\u{10ffff}' }))).toBe('\u{10ffff}z')
    expect(orders.list({ states: false }).entries[0]).toEqual({ id: 'a', state: undefined })
  })

  test('finds by one value of an index, in the order of ids, and a prefix of them', async () => {
    const { s, orders } = await started()
    await set(s, orders, some)
    expect(ids(orders.list({ where: { status: 'placed' } }))).toBe('a c e eu-1 \u{1f600}')
    expect(ids(orders.list({ where: { status: 'placed' }, order: 'desc' }))).toBe(
      '\u{1f600} eu-1 e c a',
    )
    expect(ids(orders.list({ where: { status: 'paid' }, prefix: 'eu' }))).toBe('eu-2')
    expect(ids(orders.list({ where: { status: 'paid', total: undefined } as never }))).toBe(
      'b d eu-2',
    )
    expect(ids(orders.list({ where: { total: null } }))).toBe('e')
    expect(ids(orders.list({ where: { status: 'place' } }))).toBe('')
  })

  test('finds by bounds, in the order of values, of the type of the bounds only', async () => {
    const { s, orders } = await started()
    await set(s, orders, some)
    expect(ids(orders.list({ where: { total: { gte: -3 } } }))).toBe('b a eu-2 c')
    expect(ids(orders.list({ where: { total: { gt: -3, lt: 100 } } }))).toBe('a eu-2')
    expect(ids(orders.list({ where: { total: { gt: 5, lte: 100 } } }))).toBe('c')
    expect(ids(orders.list({ where: { total: { lte: 5 } }, order: 'desc' }))).toBe('eu-2 a b')
    expect(ids(orders.list({ where: { total: { gte: '' } } }))).toBe('\u{1f600} d')
    expect(ids(orders.list({ where: { total: { lt: 'g' } } }))).toBe('\u{1f600} d')
    expect(ids(orders.list({ where: { total: { gt: '', lte: 'free' } } }))).toBe('d')
    expect(ids(orders.list({ where: { total: { gt: -3 }, status: undefined } as never }))).toBe(
      'a eu-2 c',
    )
  })

  test('finds by several fields: in the order of the first one, and the others choose', async () => {
    const { s, orders } = await started()
    await set(s, orders, some)
    const found = (options: Parameters<Orders['list']>[0]): string => ids(orders.list(options))
    expect(found({ where: { status: 'paid', total: 5 } })).toBe('eu-2')
    expect(found({ where: { total: 5, status: 'paid' } })).toBe('eu-2')
    expect(found({ where: { status: 'placed', total: '' } })).toBe('\u{1f600}')
    expect(found({ where: { status: 'placed', total: null } })).toBe('e')
    expect(found({ where: { status: 'placed', total: { gte: 5 } } })).toBe('a c')
    expect(found({ where: { total: { gte: -3 }, status: 'placed' }, order: 'desc' })).toBe('c a')
    expect(found({ where: { status: { gte: 'pa' }, total: { lt: 6 } } })).toBe('b eu-2 a')
    expect(found({ where: { status: 'placed', total: true }, prefix: 'eu' })).toBe('eu-1')
    expect(found({ where: { status: 'placed', total: '5' } })).toBe('')
    expect(found({ where: { status: 'placed', colour: 'red' } as never })).toBe('')
    expect(found({ where: { status: 'paid', total: 5 }, states: false })).toBe('eu-2')
    const last = orders.list({ where: { status: 'paid', total: { lt: 'g' } } })
    expect(last).toMatchObject({ entries: [{ id: 'd' }], exhausted: true, cursor: undefined })
  })

  test('looks at 1,000 entities for a page of several fields, and goes on behind them', async () => {
    const { s, orders } = await started()
    const id = (at: number): string => `o${`${at}`.padStart(4, '0')}`
    const many = Array.from({ length: 2_300 }, (_, at) => [
      id(at),
      { status: at < 2_200 ? 'placed' : 'paid', total: at % 1_500 },
    ])
    await set(s, orders, Object.fromEntries(many))
    const all = async (where: object, limit: number): Promise<readonly string[]> => {
      const found: string[] = []
      let cursor: string | undefined
      do {
        const page = orders.list({ where, limit, ...(cursor && { cursor }) } as object)
        const same = await s.during(
          orders.page({ where, limit, ...(cursor && { cursor }) } as object),
        )
        expect(same.entries).toStrictEqual(page.entries)
        found.push(`${page.entries.map((each) => each.id)}`)
        cursor = page.cursor
      } while (cursor)
      return found
    }
    for (const total of [600, { gte: 600, lt: 601 }]) {
      const where = { status: 'placed', total }
      expect(await all(where, 10)).toEqual([id(600), '', id(2_100)])
      expect(await all(where, 1)).toEqual([id(600), '', id(2_100), ''])
      expect(await all(where, 1_500)).toEqual([id(600), id(2_100)])
    }
    expect(await all({ total: 600, status: 'placed' }, 10)).toEqual([`${id(600)},${id(2_100)}`])
  })

  test('has 100 entries on a page if nothing is said, and so have the alarms', async () => {
    const { s, orders } = await started()
    const all = Array.from({ length: 120 }, (_, at) => `o${at}`)
    const at = s.clock.now() + 1_000_000
    await s.during(Promise.all(all.map((id) => call(orders.ref(id), 'wait', at))))
    expect(orders.list().entries).toHaveLength(100)
    expect(orders.list({ cursor: orders.list().cursor as string }).entries).toHaveLength(20)
    expect(await s.during(orders.alarms())).toHaveLength(100)
  })

  test.each([
    ['ids', {}],
    ['ids in reverse', { order: 'desc' }],
    ['an index', { where: { status: 'placed' } }],
    ['bounds in reverse', { where: { total: { gte: -5 } }, order: 'desc' }],
  ] as const)('goes on behind a page of %s', async (_, query) => {
    const { s, orders } = await started()
    await set(s, orders, some)
    const whole = ids(orders.list(query))
    const found: string[] = []
    let cursor: string | undefined
    do {
      const page = orders.list({ ...query, limit: 2, ...(cursor && { cursor }) })
      expect(page.exhausted).toBe(page.cursor === undefined)
      found.push(ids(page))
      cursor = page.cursor
    } while (cursor)
    expect(found.length).toBeGreaterThan(1)
    expect(found.join(' ')).toBe(whole)
  })

  test('shows an entity under the values of its last durable turn only', async () => {
    const { s, orders } = await started()
    await set(s, orders, some)
    await set(s, orders, { a: { status: 'paid', total: 6 } })
    expect(ids(orders.list({ where: { status: 'paid' } }))).toBe('a b d eu-2')
    expect(ids(orders.list({ where: { total: 5 } }))).toBe('eu-2')
    await s.powerCut()
    await s.start()
    const again: Orders = s.app.entity(kinds[0])
    expect(ids(again.list({ where: { total: 6 } }))).toBe('a')
  })

  test('refuses what it cannot answer, and cursors of other queries', async () => {
    const { s, orders } = await started()
    await set(s, orders, some)
    const { cursor = '' } = orders.list({ limit: 1 })
    const foreign = s.app.entity(kinds[1])
    const twice = { where: { status: 'placed', total: { gte: 5 } }, limit: 1 } as const
    const { cursor: narrowed = '' } = orders.list(twice)
    const tooMany = Array.from({ length: 33 }, (_, at) => [`f${at}`, 1] as const)
    const refusals: [object, string][] = [
      [{ cursor, order: 'desc' }, 'BAD_CURSOR'],
      [{ cursor, prefix: 'a' }, 'BAD_CURSOR'],
      [{ cursor, where: { status: 'placed' } }, 'BAD_CURSOR'],
      [{ cursor: narrowed, where: { status: 'placed', total: 6 }, limit: 1 }, 'BAD_CURSOR'],
      [{ cursor: narrowed, where: { status: 'placed' }, limit: 1 }, 'BAD_CURSOR'],
      [{ where: { status: 'placed', total: { gt: 1, gte: 1 } } }, 'INVALID_ARGUMENT'],
      [{ where: { status: 'placed', total: Number.NaN } }, 'INVALID_ARGUMENT'],
      [{ where: { status: 'placed', total: new Date(0) } }, 'INVALID_ARGUMENT'],
      [{ where: { status: 'placed', '': 1 } }, 'INVALID_ARGUMENT'],
      [{ where: { status: 'placed', 'a\0b': 1 } }, 'INVALID_ARGUMENT'],
      [{ where: { status: 'placed', total: 'x'.repeat(513) } }, 'TOO_LARGE'],
      [{ where: { total: { gt: 1 }, status: 'placed' }, prefix: 'a' }, 'INVALID_ARGUMENT'],
      [{ where: Object.fromEntries(tooMany) }, 'INVALID_ARGUMENT'],
      [{ cursor: 'x' }, 'BAD_CURSOR'],
      [{ cursor: 5 }, 'BAD_CURSOR'],
      [{ limit: 0 }, 'INVALID_ARGUMENT'],
      [{ order: 'down' }, 'INVALID_ARGUMENT'],
      [{ sort: 'asc' }, 'INVALID_ARGUMENT'],
      [{ states: 1 }, 'INVALID_ARGUMENT'],
      [{ prefix: 5 }, 'INVALID_ARGUMENT'],
      [{ prefix: 'a\0' }, 'INVALID_ARGUMENT'],
      [{ where: {} }, 'INVALID_ARGUMENT'],
      [{ where: 'a' }, 'INVALID_ARGUMENT'],
      [{ where: { total: {} } }, 'INVALID_ARGUMENT'],
      [{ where: { total: { gt: 1, gte: 1 } } }, 'INVALID_ARGUMENT'],
      [{ where: { total: { gt: 1, lt: 'a' } } }, 'INVALID_ARGUMENT'],
      [{ where: { total: { gt: true } } }, 'INVALID_ARGUMENT'],
      [{ where: { total: { above: 1 } } }, 'INVALID_ARGUMENT'],
      [{ where: { total: Number.NaN } }, 'INVALID_ARGUMENT'],
      [{ where: { total: { gt: 1 } }, prefix: 'a' }, 'INVALID_ARGUMENT'],
      [{ where: { status: 'x'.repeat(513) } }, 'TOO_LARGE'],
    ]
    for (const [options, code] of refusals)
      expect([options, codeOf(() => orders.list(options))]).toEqual([options, code])
    expect(codeOf(() => foreign.list({ cursor }))).toBe('BAD_CURSOR')
    expect(() => orders.list({ where: {} as never })).toThrow(/1 to 32 fields of the index/)
    // A cursor of this query with a key that is none of its rows.
    const [of] = JSON.parse(Buffer.from(cursor, 'base64url').toString()) as unknown[]
    for (const key of [undefined, 7, '', 'a', 'order/a', '\0a', entityRowKey('orders/a')]) {
      const forged = Buffer.from(JSON.stringify([of, key])).toString('base64url')
      expect([key, codeOf(() => orders.list({ cursor: forged }))]).toEqual([key, 'BAD_CURSOR'])
    }
    expect(ids(orders.list({ cursor, limit: 1 }))).toBe('b')
  })
})

describe('counts', () => {
  test('counts the entities under each value, in the order of values', async () => {
    const { s, orders } = await started()
    await set(s, orders, some)
    await set(s, s.app.entity(kinds[1]), { zz: { status: 'placed', total: 1 } })
    expect([...(await s.during(orders.counts('status')))]).toEqual([
      ['paid', 3],
      ['placed', 5],
    ])
    expect([...(await s.during(orders.counts('total')))]).toEqual([
      [null, 1],
      [true, 1],
      [-3, 1],
      [5, 2],
      [100, 1],
      ['', 1],
      ['free', 1],
    ])
    expect(await s.during((orders as EntityHandle).counts('colour'))).toEqual(new Map())
    expect(await s.during(orders.count())).toBe(8)
  })

  test('counts a value no longer once its last entity has another', async () => {
    const { s, orders } = await started()
    await set(s, orders, some)
    // The projection shows them.
    await s.advance(5_000)
    await set(s, orders, { b: { status: 'sent', total: 5 }, d: { status: 'sent', total: 5 } })
    await set(s, orders, { 'eu-2': { status: 'sent', total: 5 } })

    expect([...(await s.during(orders.counts('status')))]).toEqual([
      ['placed', 5],
      ['sent', 3],
    ])
  })

  test('counts more rows than one step of its walk has', async () => {
    const { s, orders } = await started()
    const all = Array.from({ length: 3_500 }, (_, at) => [
      `o${at}`,
      { status: at % 5 === 0 ? 'placed' : 'paid', total: at },
    ])
    await set(s, orders, Object.fromEntries(all))
    expect(await s.during(orders.count())).toBe(3_500)
    expect(Object.fromEntries(await s.during(orders.counts('status')))).toEqual({
      placed: 700,
      paid: 2_800,
    })
  })
})

describe('while the counters cannot be used', () => {
  /** Shards with such rows, whose projection does not count yet. */
  const shardsOf = (...rows: readonly (readonly string[])[]) =>
    rows.map((keys) => ({
      view: () => ({
        layers: { overlay: {}, projection: { get: () => undefined, position: () => ({ lsn: 1 }) } },
        *rows({ gt = '', gte = '', lt = '' }: RowRange) {
          for (const key of keys) if (key > gt && key >= gte && key < lt) yield [key, {}] as const
        },
      }),
    }))

  test('entities and their values are counted by walks, which let other work in between', async () => {
    const clock = virtualClock()
    const id = (at: number) => String(at).padStart(5, '0')
    const many = Array.from({ length: 2_500 }, (_, at) => id(at))
    const valued = (ids: readonly string[]) =>
      ids.map((each) => indexRowKey('n', 'f', encodeIndexValue(each === id(0)), each)).sort()
    let pauses = 0
    const soon = (then: () => void) => {
      pauses++
      clock.soon(then)
    }
    const system = { clock: { ...clock, soon } }
    const during = async <T>(work: Promise<T>): Promise<T> => {
      await clock.advance(1)
      return work
    }
    const over = (...shards: readonly (readonly string[])[]) =>
      ({ system, shards: shardsOf(...shards) }) as never as Entities

    const rows = over(
      many.map((each) => entityRowKey(`n/${each}`)),
      [entityRowKey('n/x')],
    )
    expect([await during(countOf(rows, 'n')), pauses]).toEqual([2_501, 2])
    const values = over(valued(many), valued([id(0)]))
    expect([...(await during(countsOf(values, 'n', 'f')))]).toEqual([
      ...[
        [false, 2_499],
        [true, 2],
      ],
    ])
    expect(pauses).toBe(4)
  })
})

describe('alarms', () => {
  test('are those that are set, of this kind, the soonest first', async () => {
    const { s, orders } = await started()
    const at = s.clock.now() + 1_000_000
    const wait = (handle: Orders, id: string, ms: number): Promise<void> =>
      s.during(call(handle.ref(id), 'wait', at + ms))
    await wait(orders, 'b', 20)
    await wait(orders, 'a', 10)
    await wait(orders, 'c', 30)
    await wait(s.app.entity(kinds[1]), 'z', 5)
    await s.during(call(orders.ref('c'), 'drop'))
    expect(await s.during(orders.alarms())).toEqual([
      { id: 'a', name: 'late', at: at + 10 },
      { id: 'a', name: 'later', at: at + 11 },
      { id: 'b', name: 'late', at: at + 20 },
      { id: 'b', name: 'later', at: at + 21 },
      { id: 'c', name: 'later', at: at + 31 },
    ])
    expect(await s.during(orders.alarms({ before: at + 11 }))).toHaveLength(1)
    expect(await s.during(orders.alarms({ limit: 3 }))).toHaveLength(3)
    expect(await s.during(orders.alarms({ before: at + 10.5 }))).toHaveLength(1)
    expect(await s.during(orders.alarms({ before: at + 10 }))).toEqual([])
    expect(await s.during(orders.alarms({ limit: 1 }))).toMatchObject([{ id: 'a', name: 'late' }])
    for (const options of [
      ...[{ before: Number.NaN }, { before: '1' }, { limit: 0 }, { limit: 1.5 }, { limit: '1' }],
      ...[{ after: 1 }],
    ])
      await expect(orders.alarms(options as never), JSON.stringify(options)).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
      })
  })
})

test('alarms of a kind are found up to a time, also beyond one step of the walk', async () => {
  const { s, orders } = await started()
  const at = s.clock.now() + 1_000_000
  const waits = Array.from({ length: 3_500 }, (_, n) => call(orders.ref(`o${n}`), 'wait', at + n))
  await s.during(Promise.all(waits))

  const found = await s.during(orders.alarms({ before: at + 3_400, limit: 10_000 }))

  const late = found.filter(({ name }) => name === 'late')
  expect([found.length, late.length]).toEqual([3_400 + 3_399, 3_400])
  expect(found.at(-1)?.at).toBe(at + 3_399)
})

test('every look is CLOSED after the close', async () => {
  const { s, orders } = await started()
  await set(s, orders, some)
  await s.close()
  simulation = undefined
  for (const look of [
    async () => orders.list(),
    async () => orders.state('a'),
    () => orders.counts('status'),
    () => orders.count(),
    () => orders.alarms(),
  ])
    await expect(look()).rejects.toMatchObject({ code: 'CLOSED' })
})
