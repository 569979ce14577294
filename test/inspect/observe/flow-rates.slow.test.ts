/** The rates of workflows, as the page shows them while somebody looks. */
import { expect, onTestFinished, test } from 'vitest'
import { type Ctx, flow, flows, workflow } from '../../../src/flow/index.ts'
import { supervisor } from '../../../src/index.ts'
import { Observer } from '../../../src/inspect/observe/observer.ts'
import type { Views } from '../../../src/observe/index.ts'
import { simulated } from '../../support/worlds/simulated-instance.ts'

const nap = workflow('nap', async (ctx: Ctx, ms: number) => {
  await ctx.sleep('nap', ms)
  if (ms > 100_000) throw new Error('overslept')
})

const watched = async () => {
  const s = await simulated({ app: supervisor('app', {}, [flows({ workflows: [nap] })]) })
  const observer = new Observer(s.app, { isWriting: false, user: 'ann' })
  onTestFinished(() => observer.end())
  const rates = async () => {
    const answered = await s.during(observer.answer({ id: 1, look: 'flows', query: {} }))
    const { answer } = answered as { answer: { data: Views['flows']['data'] } }
    return answer.data.workflows[0]?.rates
  }
  /** Looks every five seconds, as an open page does. */
  const pass = async (ms: number) => {
    for (let at = 0; at < ms; at += 5_000) {
      await s.advance(5_000)
      await rates()
    }
  }
  const start = (ids: readonly number[], ms: number) =>
    s.during(Promise.all(ids.map((id) => flow(s.app).start(nap, ms, { id: String(id) }))))
  return { s, rates, pass, start }
}

test('a workflow has the runs that start, complete and fail a second, and how long they take', async () => {
  const { rates, pass, start } = await watched()
  await rates()
  const ids = Array.from({ length: 60 }, (_, at) => at)
  await start(ids.slice(0, 30), 3_000)
  await pass(30_000)
  await start(ids.slice(30), 9_000)
  await pass(15_000)

  const seen = await rates()
  expect(seen).toMatchObject({ failedPerSecond: 0 })
  expect(seen?.startedPerSecond).toBeCloseTo(60 / 45, 1)
  expect(seen?.completedPerSecond).toBeCloseTo(60 / 45, 1)
  expect(seen?.p50Ms).toBeGreaterThanOrEqual(3_000)
  expect(seen?.p50Ms).toBeLessThan(4_000)
  expect(seen?.p99Ms).toBeGreaterThanOrEqual(9_000)
  expect(seen?.p99Ms).toBeLessThan(11_000)
})

test('what was over a minute ago is no rate, and a run of an hour took an hour', async () => {
  const { rates, pass, start } = await watched()
  await rates()
  await start([1], 3_600_000)
  await pass(3_605_000)

  expect(await rates()).toMatchObject({ startedPerSecond: 0, completedPerSecond: 0 })
  expect((await rates())?.failedPerSecond).toBeGreaterThan(0)
  expect((await rates())?.p99Ms).toBeGreaterThanOrEqual(3_600_000)
  expect((await rates())?.p99Ms).toBeLessThan(4_400_000)
})

test('nothing is measured while nobody looks', async () => {
  const { s, rates } = await watched()
  await rates()
  expect(s.system.events.listenerCount('flow.started')).toBe(1)
  await s.advance(11_000)
  expect(s.system.events.listenerCount('flow.started')).toBe(0)
  expect(await rates()).toBeUndefined()
})
