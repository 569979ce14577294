/** Attributes of runs: set at the start, kept over crashes, found by `where`, gone with their run. */
import { describe, expect, test } from 'vitest'
import { type Ctx, type ListOptions, workflow } from '../../../src/flow/index.ts'
import { flowWorld } from '../../support/worlds/flow-world.ts'
import { codeOf } from '../../support/worlds/simulated-instance.ts'

const work = workflow(
  'work',
  async (ctx: Ctx<{ go: undefined }>, n: number) => {
    await ctx.step(
      'try',
      () => {
        if (n === 0) throw new TypeError('zero')
      },
      { retry: { max: 1 } },
    )
    await ctx.waitFor('go')
    return n
  },
  { keep: { completed: '1h' } },
)

type World = Awaited<ReturnType<typeof flowWorld>>

const pageOf = (w: World, options: Omit<ListOptions, 'type'>) =>
  w.during(w.flow.read('list', { type: work, ...options }))

const idsIn = async (w: World, options: Omit<ListOptions, 'type'>) =>
  (await pageOf(w, options)).entries.map(({ id }) => id)

const runOf = (w: World, id: string) => w.during(w.flow.read('get', work, id))

const start = (w: World, id: string, n: number, attributes: object) =>
  w.during(w.flow.start(work, n, { id, attributes: attributes as never }))

/** Four runs of two customers, each started five seconds after the other; `b` fails. */
const world = async () => {
  const w = await flowWorld([work])
  await start(w, 'a', 1, { customer: 'c-7', tier: 2 })
  await w.s.advance(5_000)
  await start(w, 'b', 0, { customer: 'c-7', isLate: false })
  await w.s.advance(5_000)
  await start(w, 'c', 1, { customer: 'c-70', tier: 2 })
  await w.s.advance(5_000)
  await start(w, 'd', 1, { customer: 'c-7', tier: 2 })
  await w.s.advance(10_000)
  return w
}

test('`where` finds the runs with exactly these values, the newest change first', async () => {
  const w = await world()

  expect(await idsIn(w, { where: { customer: 'c-7' } })).toEqual(['d', 'b', 'a'])
  expect(await idsIn(w, { where: { customer: 'c-7' }, order: 'oldest' })).toEqual(['a', 'b', 'd'])
  expect(await idsIn(w, { where: { customer: 'c-7', status: 'failed' } })).toEqual(['b'])
  expect(await idsIn(w, { where: { customer: 'c-7', tier: 2 } })).toEqual(['d', 'a'])
  expect(await idsIn(w, { where: { tier: 2, customer: undefined } })).toEqual(['d', 'c', 'a'])
  expect(await idsIn(w, { where: { isLate: false } })).toEqual(['b'])
  expect(await idsIn(w, { where: { tier: '2' } })).toEqual([])
  expect(await idsIn(w, { where: { constructor: 'c-7' } as never })).toEqual([])
  expect(await idsIn(w, { where: { status: 'failed' } })).toEqual(['b'])
  await w.during(w.flow.handle(work, 'a').signal('go', undefined))
  await w.s.advance(10_000)
  expect(await idsIn(w, { where: { customer: 'c-7' } })).toEqual(['a', 'd', 'b'])
})

test('a page goes on at its cursor, and has the times of its options', async () => {
  const w = await world()
  const where = { customer: 'c-7' }

  const { cursor, exhausted } = await pageOf(w, { where, limit: 2 })
  expect(exhausted).toBe(false)
  expect(await idsIn(w, { where, limit: 2, cursor: String(cursor) })).toEqual(['a'])
  const { since = 0 } = (await runOf(w, 'b')) ?? {}
  expect(await idsIn(w, { where, since })).toEqual(['d', 'b'])
  expect(await idsIn(w, { where, since, until: since + 1 })).toEqual(['b'])
})

test('a run shows its attributes, and one without any shows none', async () => {
  const w = await world()
  await start(w, 'none', 1, {})
  await start(w, 'undefined', 1, { customer: undefined })

  expect((await runOf(w, 'a'))?.attributes).toEqual({ customer: 'c-7', tier: 2 })
  for (const id of ['none', 'undefined']) {
    expect((await runOf(w, id))?.attributes).toBe(undefined)
    const runs = w.s.app.entity('$flow-work')
    expect(await w.during(runs.load(id))).not.toHaveProperty('attributes')
  }
})

test('a crash keeps attributes and their index', async () => {
  const w = await world()
  await w.crash()

  expect(await idsIn(w, { where: { customer: 'c-7', tier: 2 } })).toEqual(['d', 'a'])
  expect((await runOf(w, 'b'))?.attributes).toEqual({ customer: 'c-7', isLate: false })
})

test('a start that is repeated changes no attribute', async () => {
  const w = await world()
  await start(w, 'a', 1, { customer: 'c-8' })

  expect((await runOf(w, 'a'))?.attributes).toEqual({ customer: 'c-7', tier: 2 })
  expect(await idsIn(w, { where: { customer: 'c-8' } })).toEqual([])
})

test('a retry keeps attributes, and a fork has those of its run', async () => {
  const w = await world()
  await w.during(w.flow.retry(work, 'b'))
  await w.during(w.flow.fork(work, 'a', { id: 'f', from: 'try' }))
  await w.s.advance(10_000)

  expect((await runOf(w, 'b'))?.attributes).toEqual({ customer: 'c-7', isLate: false })
  expect((await runOf(w, 'f'))?.attributes).toEqual({ customer: 'c-7', tier: 2 })
  expect(await idsIn(w, { where: { customer: 'c-7', tier: 2 } })).toEqual(['f', 'd', 'a'])
})

test('a run that is removed leaves no row of its attributes', async () => {
  const w = await world()
  await w.during(w.flow.handle(work, 'a').signal('go', undefined))
  await w.s.advance(3 * 3_600_000)

  expect(await runOf(w, 'a')).toBe(undefined)
  expect(await idsIn(w, { where: { customer: 'c-7' } })).toEqual(['d', 'b'])
  const tiers = await w.during(w.s.app.entity('$flow-work').counts(':tier'))
  expect(tiers.size).toBe(2)
})

describe('a start is refused, and leaves nothing, with', () => {
  test.each([
    ['a name that is no name', { '1st': 1 }],
    ['a name that begins as inherited ones do', Object.fromEntries([['__proto__', 1]])],
    ['a name that a list has', { status: 'failed' }],
    ['a long name', { ['n'.repeat(65)]: 1 }],
    ['a long text', { customer: 'é'.repeat(129) }],
    ['a control character', { customer: 'c\u0001' }],
    ['a control character of Latin-1', { customer: 'c\u009b' }],
    ['half a character', { customer: '\ud800' }],
    ['no finite number', { tier: Number.NaN }],
    ['an object', { customer: {} }],
    ['null', { customer: null }],
    ['17 attributes', Object.fromEntries(Array.from({ length: 17 }, (_, at) => [`n${at}`, at]))],
    ['no object', 'customer'],
  ])('%s', async (_, attributes) => {
    const w = await flowWorld([work])

    expect(await w.during(codeOf(start(w, 'x', 1, attributes as never)))).toBe('INVALID_ARGUMENT')
    expect(await runOf(w, 'x')).toBe(undefined)
  })
})

test('attributes as large as they may be are found', async () => {
  const w = await flowWorld([work])
  const names = Array.from({ length: 16 }, (_, at) => `${at}`.padStart(64, 'n'))
  const attributes = Object.fromEntries(names.map((name) => [name, 'é'.repeat(128)]))
  const id = 'i'.repeat(256)
  await start(w, id, 1, attributes)

  expect(await idsIn(w, { where: attributes })).toEqual([id])
})

test.each([
  [{ where: { customer: 'c' }, status: 'failed' }, 'one of status'],
  [{ where: { customer: 'c' }, correlation: 'x' }, 'one of status'],
  [{ where: { customer: 'c' }, order: 'id' }, 'newest or oldest with where'],
  [{ where: { status: 'lost' } }, 'where.status'],
  [{ where: { customer: null } }, 'where.customer'],
  [{ where: 'customer' }, 'where'],
  [{ where: {} }, 'where: expected at least one condition'],
  [{ where: { customer: undefined, status: undefined } }, 'where: expected at least one condition'],
])('a list is refused with %o', async (options, expected) => {
  const w = await flowWorld([work])

  await expect(idsIn(w, options as never)).rejects.toThrow(expected)
})

test('a watch whose `where` has no condition is refused: it would be a watch of all runs', async () => {
  const w = await flowWorld([work])

  expect(() => w.flow.watch({ type: work, where: { customer: undefined } })).toThrow(
    'where: expected at least one condition',
  )
})
