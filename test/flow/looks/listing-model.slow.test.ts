/** Pages of runs beside a plain model, for random runs: joined, pages of any size are the whole list, in its order. */
import { describe, expect, test } from 'vitest'
import { seededRandom } from '../../../src/clock.ts'
import { workflow } from '../../../src/flow/index.ts'
import {
  type ListOptions,
  listOf,
  type Row,
  runOf,
  statusBetween,
  stepsOf,
} from '../../../src/flow/looks/listing.ts'
import { atOnce } from '../../../src/flow/looks/look.ts'
import { type RunState, runStatuses } from '../../../src/flow/runs/record.ts'

const listAt = (...given: Parameters<typeof listOf>) => atOnce(listOf(...given))
const runAt = (...given: Parameters<typeof runOf>) => atOnce(runOf(...given))

const type = workflow('work', async () => undefined)

type Run = { readonly id: string; readonly state: RunState }
type Fields = Readonly<Record<'status' | 'at' | 'root' | ':customer', string | undefined>>
type Query = {
  readonly where?: Readonly<Record<string, string | { readonly gte: string; readonly lt: string }>>
  readonly order?: 'asc' | 'desc'
  readonly limit?: number
  readonly cursor?: string
}

/** Runs with these rows as the app of a listing, and how many runs its pages have read. */
const appWith = (runs: readonly Run[], rows: ReadonlyMap<string, unknown> = new Map()) => {
  const read = { runs: 0 }
  const fieldsOf = ({ state }: Run): Fields => {
    const time = String(state.since).padStart(14, '0')
    const customer = state.attributes?.customer
    return {
      status: state.status,
      at: `${state.status}/${time}`,
      root: state.root ?? '',
      // A text in an index begins with a 4.
      ':customer': customer === undefined ? undefined : `4${customer}\x01${time}`,
    }
  }
  const list = ({ where = {}, order = 'asc', limit = 100, cursor = '0' }: Query) => {
    const [entry] = Object.entries(where)
    const [field, wanted] = (entry ?? ['status', undefined]) as [keyof Fields, typeof where.at]
    const isIn = (run: Run): boolean => {
      const value = fieldsOf(run)[field]
      if (wanted === undefined) return true
      if (typeof wanted === 'string') return value === wanted
      return value !== undefined && value >= wanted.gte && value < wanted.lt
    }
    const isTimed = field === 'at' || field === ':customer'
    const keyOf = (run: Run) => (isTimed ? `${fieldsOf(run)[field]} ${run.id}` : run.id)
    const found = runs.filter(isIn).sort((one, other) => (keyOf(one) < keyOf(other) ? -1 : 1))
    if (order === 'desc') found.reverse()
    const end = Number(cursor) + limit
    const entries = found.slice(Number(cursor), end)
    read.runs += entries.length
    const exhausted = end >= found.length
    return { entries, exhausted, ...(!exhausted && { cursor: `${end}` }) }
  }
  type Range = { prefix?: string; gte?: string; lte?: string; reverse?: boolean; limit: number }
  const range = ({ prefix = '', gte = '', lte = '\uffff', reverse = false, limit }: Range) => {
    const isIn = (key: string) => key.startsWith(prefix) && key >= gte && key <= lte
    const entries = [...rows].filter(([key]) => isIn(key)).sort()
    if (reverse) entries.reverse()
    return { entries: entries.slice(0, limit), exhausted: entries.length <= limit }
  }
  const state = (id: string) => runs.find((run) => run.id === id)?.state
  const app = { entity: () => ({ list, state, rows: () => ({ range }) }) } as never
  return { app, read }
}

const stateOf = (changes: Partial<RunState>): RunState => ({
  ...{ status: 'running', version: 1, birth: 'b', inputHash: 'h', startedAt: 0, since: 0 },
  ...{ round: 0, lap: 0, outcomes: 0, operations: 0, signals: 0, unread: 0, attempt: 1 },
  ...changes,
})

/** Few values, of which one is the beginning of another; a third of the runs has none. */
const attributesOf = (whole: (below: number) => number) => {
  const customer = ['c', 'c-7', 'c-70', undefined][whole(4)]
  const isLate = [true, false, undefined][whole(3)]
  return whole(3) === 0
    ? undefined
    : { ...(customer && { customer }), ...(isLate !== undefined && { isLate }) }
}

/** Runs in any status, many of them with the same time. */
const randomRuns = (seed: number): Run[] => {
  const random = seededRandom(seed)
  const whole = (below: number): number => Math.floor(random() * below)
  return Array.from({ length: 5 + whole(40) }, (_, at) => {
    const status = runStatuses[whole(runStatuses.length)] ?? 'running'
    const attributes = attributesOf(whole)
    const named = { root: `t/${whole(3)}`, ...(attributes && { attributes }) }
    return { id: `r${at}`, state: stateOf({ status, since: whole(12), ...named }) }
  })
}

const byId = (one: Row, other: Row): number => (one.id < other.id ? -1 : 1)
const newestFirst = (one: Row, other: Row): number => other.since - one.since || byId(other, one)

/** The list that all pages come to. */
const modelOf = (runs: readonly Run[], wanted: Omit<ListOptions, 'type'>): string[] => {
  const { since = 0, until = Number.POSITIVE_INFINITY, root, where = {} } = wanted
  const { status = wanted.status, ...attributes } = where
  const { order = root === undefined ? 'newest' : 'id' } = wanted
  const rows = runs.map(({ id, state }) => ({ id, ...state }) as Row & RunState)
  const found = rows.filter(
    (row) =>
      row.since >= since &&
      row.since < until &&
      (status === undefined || row.status === status) &&
      (root === undefined || row.root === root) &&
      Object.entries(attributes).every(([name, value]) => row.attributes?.[name] === value),
  )
  const inOrder = found.sort(order === 'id' ? byId : newestFirst)
  return (order === 'oldest' ? inOrder.reverse() : inOrder).map(({ id }) => id)
}

/** All pages, joined. Each page but the last has runs to give or goes on. */
const joined = (app: never, options: ListOptions): string[] => {
  const ids: string[] = []
  for (let cursor: string | undefined, pages = 0; pages < 300; pages++) {
    const page = listAt(app, { ...options, ...(cursor !== undefined && { cursor }) })
    expect(page.exhausted).toBe(page.cursor === undefined)
    expect(page.entries.length).toBeLessThanOrEqual(options.limit ?? 100)
    ids.push(...page.entries.map(({ id }) => id))
    if (page.cursor === undefined) return ids
    cursor = page.cursor
  }
  throw new Error(`no end: ${ids.length} runs`)
}

describe('pages of any size, joined, are the list', () => {
  test.each(['newest', 'oldest', 'id', undefined] as const)('in the order %s', (order) => {
    for (let seed = 1; seed <= 40; seed++) {
      const runs = randomRuns(seed)
      const { app } = appWith(runs)
      const random = seededRandom(seed)
      const limit = 1 + Math.floor(random() * 7)
      const [since, until] = [Math.floor(random() * 6), 6 + Math.floor(random() * 7)]
      const status = runStatuses[seed % runStatuses.length] ?? 'running'
      const spans = [{}, { since }, { until }, { since, until }]
      for (const span of spans)
        for (const wanted of order === 'id' ? [span] : [span, { ...span, status }]) {
          const options = { ...wanted, ...(order && { order }) }
          expect(joined(app, { type, limit, ...options }), `seed ${seed}`).toEqual(
            modelOf(runs, options),
          )
        }
    }
  })

  test.each(['newest', 'oldest', undefined] as const)(
    'with attributes, in the order %s',
    (order) => {
      for (let seed = 1; seed <= 40; seed++) {
        const runs = randomRuns(seed)
        const { app } = appWith(runs)
        const random = seededRandom(seed)
        const limit = 1 + Math.floor(random() * 7)
        const [since, until] = [Math.floor(random() * 6), 6 + Math.floor(random() * 7)]
        const status = runStatuses[seed % runStatuses.length] ?? 'running'
        for (const span of [{}, { since, until }])
          for (const where of [
            ...[
              undefined,
              { status },
              { customer: 'c' },
              { customer: 'c-7' },
              { customer: 'c-7', status },
            ],
            ...[
              { customer: 'c-7', isLate: true },
              { customer: 'c', isLate: false, status },
            ],
          ]) {
            const options = { ...span, ...(where && { where }), ...(order && { order }) }
            expect(joined(app, { type, limit, ...options }), `seed ${seed}`).toEqual(
              modelOf(runs, options),
            )
          }
      }
    },
  )

  test('of a root', () => {
    for (let seed = 1; seed <= 10; seed++) {
      const runs = randomRuns(seed)
      const root = { root: 't/1' }
      expect(joined(appWith(runs).app, { type, limit: 3, ...root })).toEqual(modelOf(runs, root))
    }
  })
})

test('a page that chooses among the runs of an attribute looks at 1,000, and goes on at its cursor', () => {
  const runs = Array.from({ length: 2_500 }, (_, since) => ({
    id: `${since}`.padStart(4, '0'),
    state: stateOf({ since, attributes: { customer: 'c', isLate: since < 3 } }),
  }))
  const { app, read } = appWith(runs)
  const where = { customer: 'c', isLate: true }

  const first = listAt(app, { type, where, limit: 2 })
  expect([first.entries, first.exhausted, read.runs]).toEqual([[], false, 1_000])
  expect(joined(app, { type, where, limit: 2 })).toEqual(['0002', '0001', '0000'])
  expect(listAt(app, { type, where: { customer: 'c' }, limit: 2 }).entries).toHaveLength(2)
})

test('a page by time reads few runs of many', () => {
  const runs = Array.from({ length: 1_000 }, (_, since) => ({
    ...{ id: `${since}`, state: stateOf({ since, status: runStatuses[since % 8] ?? 'failed' }) },
  }))
  const { app, read } = appWith(runs)

  const page = listAt(app, { type, limit: 10 })

  expect(page.entries.map(({ since }) => since)).toEqual(
    Array.from({ length: 10 }, (_, index) => 999 - index),
  )
  expect(read.runs).toBeLessThanOrEqual(8 * 10)
  const cursor = page.cursor ?? ''
  expect(listAt(app, { type, limit: 2, cursor }).entries[0]?.since).toBe(989)
})

test('a page by time refuses a filter beside the status, and a cursor of another list', () => {
  const { app } = appWith(randomRuns(1))
  const look = (options: object) => () => listAt(app, { type, ...options })

  expect(look({ order: 'oldest', root: 't/1' })).toThrow('id with root')
  expect(look({ order: 'id', status: 'failed' })).toThrow('newest or oldest with status')
  expect(look({ root: 't/1', status: 'failed' })).toThrow('one of status, parent, root')
  for (const cursor of ['', 'null', '1', '{}', '[]', '{"after":[1,"a"]}']) {
    const text = Buffer.from(cursor).toString('base64url')
    expect(look({ cursor: text })).toThrow(expect.objectContaining({ code: 'BAD_CURSOR' }))
  }
})

test('a run that gets another status between the reads of two indexes is in the page once, as it is last', () => {
  const runs: Run[] = ['a', 'b'].map((id) => ({ id, state: stateOf({ since: 1 }) }))
  const { app } = appWith(runs)
  const { list, ...others } = (app as { entity: () => { list: (query: Query) => object } }).entity()
  const changing = (query: Query): object => {
    const found = list(query)
    const { at } = query.where ?? {}
    if (typeof at === 'object' && at.gte.startsWith('running/'))
      runs[1] = { id: 'b', state: stateOf({ status: 'completed', since: 9 }) }
    return found
  }
  const { entries } = listAt({ entity: () => ({ ...others, list: changing }) } as never, { type })
  expect(entries.map(({ id, status }) => [id, status])).toEqual([
    ['b', 'completed'],
    ['a', 'running'],
  ])
})

test('the bounds of a time are those of the index, rounded up to whole ms', () => {
  const at = (ms: number): string => `failed/${String(ms).padStart(14, '0')}`
  expect(statusBetween('failed', 2, 5)).toEqual({ gte: at(2), lt: at(5) })
  expect(statusBetween('failed', 1.2, 4.2)).toEqual({ gte: at(2), lt: at(5) })
  expect(statusBetween('failed', -1, Number.POSITIVE_INFINITY)).toEqual({
    ...{ gte: at(0), lt: 'failed0' },
  })
})

describe('a look at a run', () => {
  const kept = { name: 'Error', message: 'kept' }
  const other = { name: 'Error', message: 'other' }
  const op = (number: number): string => `op/${'0'.repeat(14)}/${String(number).padStart(14, '0')}`
  const step = (number: number, more: object): [string, unknown] =>
    [...[op(number), { kind: 'step', key: `s${number}`, at: number, ...more }]] as never
  const look = (changes: Partial<RunState>, rows: readonly (readonly [string, unknown])[] = []) => {
    const { app } = appWith([{ id: 'a', state: stateOf(changes) }], new Map(rows))
    return runAt(app, type, 'a')
  }
  const plain = {
    ...{ id: 'a', status: 'running', startedAt: 0, since: 0, attempt: 1, error: undefined },
    ...{ waitsFor: undefined, progress: undefined, parent: undefined, root: undefined },
    ...{ correlation: undefined, attributes: undefined, priority: undefined, input: undefined },
    unread: [],
  }

  test('has each field of its state, and its input', () => {
    const parent = { type: 'p', id: '1', birth: 'b', lap: 0, number: 1 }
    const same = { startedAt: 3, since: 4, attempt: 2, progress: 5, root: 'r/1', priority: 6 }
    const state = { ...same, parent, correlation: 'c', error: kept, status: 'failed' } as const

    expect(look(state, [['input', 7]])).toEqual({
      ...{ ...plain, ...same, status: 'failed', error: kept, correlation: 'c' },
      ...{ parent: 'p/1', input: 7 },
    })
    expect(look({})).toEqual(plain)
    expect(runAt(appWith([]).app, type, 'a')).toBe(undefined)
  })

  test('has its unread signals and updates by name', () => {
    const rows = [
      'signal/go/1',
      'signal/go/3',
      'signal/a%2Fb%20%24/2',
      'signal/$go/4',
      'signal-id/x',
    ]
    const unread = look(
      { unread: 4 },
      rows.map((key) => [key, null]),
    )?.unread
    expect(unread).toEqual([
      { kind: 'update', name: 'go', count: 1 },
      { kind: 'signal', name: 'a/b $', count: 1 },
      { kind: 'signal', name: 'go', count: 2 },
    ])
  })

  test('says for what it waits while it waits', () => {
    const waitsFor = { kind: 'timer', name: 't', until: 9 } as const
    expect(look({ status: 'waiting', waitsFor })?.waitsFor).toEqual(waitsFor)
    expect(look({ status: 'running', waitsFor })?.waitsFor).toBe(undefined)
  })

  test('has the error of the step that fails, the last one, while the run goes on', () => {
    const failing = [step(1, { failure: other }), step(2, { failure: kept }), step(3, {})]
    const passed = { outcome: { kind: 'ok' }, failure: other }
    expect(look({}, [...failing, step(4, passed)])?.error).toEqual(kept)
    for (const status of ['cancelling', 'undoing'] as const)
      expect(look({ status }, failing)?.error).toEqual(kept)
    for (const status of ['waiting', 'blocked', 'completed'] as const)
      expect(look({ status }, failing)?.error).toBe(undefined)
    expect(look({ error: other }, failing)?.error).toEqual(other)
    const waitsFor = { kind: 'retry', error: other } as const
    expect(look({ status: 'waiting', waitsFor }, failing)?.error).toEqual(other)
    // The last twenty operations are searched.
    const many = Array.from({ length: 20 }, (_, at) => step(at + 2, {}))
    expect(look({}, [step(1, { failure: kept }), ...many])?.error).toBe(undefined)
    expect(look({}, [step(1, { failure: kept }), ...many.slice(1)])?.error).toEqual(kept)
  })

  test('has each operation with its value, wherever that is', () => {
    const apart = { outcome: { kind: 'ok', isApart: true } }
    const rows = [
      step(1, { outcome: { kind: 'ok', value: 'v' }, tries: 2, failure: kept }),
      ...[step(2, apart), [op(2).replace(/\/(\d+)$/, 'v$1'), 'long'] as const],
      step(3, { outcome: { kind: 'error', error: other }, failure: kept }),
      step(4, { kind: 'child', child: 'c/1' }),
      step(5, { tries: 1, failure: kept, dueAt: 9 }),
    ]
    const { app } = appWith([{ id: 'a', state: stateOf({}) }], new Map(rows))
    const shown = (number: number, more: object) => ({
      ...{ key: `s${number}`, kind: 'step', tries: 0, outcome: undefined, value: undefined },
      ...{ error: undefined, at: number, dueAt: undefined, child: undefined, ...more },
    })

    expect(atOnce(stepsOf(app, type, 'a', {}))).toEqual({
      entries: [
        shown(1, { outcome: 'ok', value: 'v', tries: 2, error: kept }),
        shown(2, { outcome: 'ok', value: 'long' }),
        shown(3, { outcome: 'error', error: other }),
        shown(4, { kind: 'child', child: 'c/1' }),
        shown(5, { tries: 1, error: kept, dueAt: 9 }),
      ],
      exhausted: true,
    })
    expect(atOnce(stepsOf(app, type, 'none', {}))).toEqual({ entries: [], exhausted: true })
  })
})
