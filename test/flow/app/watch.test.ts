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
