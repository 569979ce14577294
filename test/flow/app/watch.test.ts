/** `flow(app).watch`: every durable change of runs, for views that stay open. */
import { expect, test } from 'vitest'
import { type Ctx, type RunChange, type RunStatus, workflow } from '../../../src/flow/index.ts'
import { flowWorld } from '../../support/worlds/flow-world.ts'
import { codeOf } from '../../support/worlds/simulated-instance.ts'

const waits = workflow(
  'waits',
  async (ctx: Ctx<{ go: number }>) => {
    ctx.report('half')
    await ctx.waitFor('go')
  },
  { keep: { completed: '1h' } },
)

const world = () => flowWorld([waits])

const take = async (watch: AsyncIterator<RunChange>, count: number) => {
  const changes: RunChange[] = []
  while (changes.length < count) changes.push((await watch.next()).value)
  return changes
}

test('a view that is begun with a list ends as the list of then, whatever happens between', async () => {
  const w = await world()
  for (const id of ['1', '2']) await w.during(w.flow.start(waits, undefined, { id }))
  const watch = w.flow.watch({ type: waits })
  const view = new Map(w.flow.list({ type: waits }).entries.map((row) => [row.id, row]))
  const run = await w.during(w.flow.start(waits, undefined, { id: '3', delay: '1m' }))
  await w.s.advance(120_000)
  await w.during(w.flow.handle(waits, '1').signal('go' as never, 1 as never))
  await w.during(run.cancel({ force: true }))
  await w.during(w.flow.handle(waits, '2').cancel())
  await w.s.advance(10_000)

  const statuses: (RunStatus | undefined)[] = []
  const isOver = (): boolean =>
    [...view.values()].every(({ status }) => status === 'completed' || status === 'cancelled')
  while (view.size < 3 || !isOver()) {
    const [change] = await w.during(take(watch, 1))
    if (change?.row) view.set(change.id, change.row)
    if (change?.id === '3') statuses.push(change.row?.status)
  }
  expect([...view.values()]).toEqual(w.flow.list({ type: waits }).entries)
  expect([...new Set(statuses)]).toEqual(['waiting', 'running', 'cancelled'])
  expect(w.flow.get(waits, '1')).toMatchObject(view.get('1') ?? {})
})

test('has the changes to a status, of an id or of a correlation alone, and removals', async () => {
  const w = await world()
  const [ends, ofOne, ofSome] = [
    w.flow.watch({ type: waits, status: 'completed' }),
    w.flow.watch({ type: waits, id: '2' }),
    w.flow.watch({ type: waits, correlation: 'some' }),
  ]
  for (const id of ['1', '2']) {
    const correlation = id === '1' ? 'some' : 'others'
    const run = await w.during(w.flow.start(waits, undefined, { id, correlation }))
    await w.during(run.signal('go', 1))
    await w.during(run.result())
  }
  expect((await w.during(take(ends, 2))).map(({ id }) => id)).toEqual(['1', '2'])
  await w.s.advance(7_300_000)

  const removals = await w.during(take(ends, 2))
  expect(removals.map(({ id, row }) => [id, row]).sort()).toEqual([
    ['1', undefined],
    ['2', undefined],
  ])
  const idsOf = async (watch: AsyncIterator<RunChange>) => {
    const ids = new Set<string>()
    for (let isThere = true; isThere; ) {
      const [change] = await w.during(take(watch, 1))
      if (change) ids.add(change.id)
      isThere = change?.row !== undefined
    }
    return [...ids]
  }
  expect(await idsOf(ofOne)).toEqual(['2'])
  expect(await idsOf(ofSome)).toEqual(['1'])
  expect(w.flow.get(waits, '1')).toBeUndefined()
})

test('return and a signal end it, and a close ends it with CLOSED', async () => {
  const w = await world()
  const ending = new AbortController()
  const [returned, signalled, left] = [{}, { signal: ending.signal }, {}].map((begin) =>
    w.flow.watch({ type: waits, ...begin }),
  )
  const nexts = [returned?.next(), signalled?.next()]
  const last = codeOf(left?.next() as Promise<unknown>)
  await returned?.return?.()
  ending.abort()
  await w.s.close()

  expect((await Promise.all(nexts)).map((each) => each?.done)).toEqual([true, true])
  expect(await last).toBe('CLOSED')
})

test('with `where` has the runs for which it holds, and says when one of them leaves', async () => {
  const w = await world()
  const open = w.flow.watch({ type: waits, where: { customer: 'c-7', status: 'waiting' } })
  const all = w.flow.watch({ type: waits, where: { customer: 'c-7' } })
  await w.during(Promise.all([open.ready, all.ready]))
  for (const [id, customer] of [['1', 'c-7'] as const, ['2', 'c-70'] as const]) {
    const attributes = { customer }
    await w.during(w.flow.start(waits, undefined, { id, attributes }))
    await w.s.advance(5_000)
    await w.during(w.flow.handle(waits, id).signal('go' as never, 1 as never))
    await w.s.advance(5_000)
  }

  const left: RunChange[] = []
  for (let change: RunChange | undefined; !change?.left; left.push(change))
    [change] = (await w.during(take(open, 1))) as [RunChange]
  expect(left.map(({ id }) => id)).toEqual(left.map(() => '1'))
  expect(left.slice(0, -1).every(({ row }) => row?.status === 'waiting')).toBe(true)
  expect(left.length).toBeGreaterThan(1)
  expect(left.at(-1)?.row?.status).not.toBe('waiting')

  // A completed run is kept for an hour.
  await w.s.advance(2 * 3_600_000)
  const seen: RunChange[] = []
  for (let change: RunChange | undefined; !change?.left; seen.push(change))
    [change] = (await w.during(take(all, 1))) as [RunChange]
  expect(new Set(seen.map(({ id }) => id))).toEqual(new Set(['1']))
  expect(seen.at(-1)).toMatchObject({ id: '1', row: undefined, left: true })
  const both = { type: waits, status: 'failed', where: { customer: 'c-7' } } as const
  expect(() => w.flow.watch(both)).toThrow(/status in where/)
})
