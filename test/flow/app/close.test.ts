/** A close, in order or one that cuts work off, as the callers hear of it that wait for an answer. */
import { expect, test } from 'vitest'
import { type Ctx, flow, flows, queue, workflow } from '../../../src/flow/index.ts'
import { call, type DurableServer, entity, reply, supervisor } from '../../../src/index.ts'
import { flowWorld } from '../../support/worlds/flow-world.ts'
import { codeOf, simulated } from '../../support/worlds/simulated-instance.ts'

const never = new Promise<never>(() => undefined)

type Updates = { put(value: number): number }

const world = async (step: () => unknown) => {
  const works = workflow('works', async (ctx: Ctx<object, Updates>) => {
    ctx.onUpdate('put', (_, own) => own.step('handle', () => never))
    await ctx.step('work', step)
    await ctx.sleep('long', '1d')
  })
  const jobs = queue('jobs', step)
  const w = await flowWorld([works], { queues: [jobs] })
  const run = await w.during(w.flow.start(works, undefined, { id: '1' }))
  const { id } = await w.during(w.flow.add(jobs, 'a' as never))
  await w.s.advance(1_000)
  const timeoutMs = Number.POSITIVE_INFINITY
  const waits = {
    result: run.result({ timeoutMs }),
    update: run.update('put', 1, { timeoutMs }),
    job: flow(w.s.app).job(jobs, id).result({ timeoutMs }),
  }
  const heard = Object.entries(waits).map(([what, wait]) =>
    wait.then(
      () => [what, 'answered'],
      ({ code, message }) => [what, code, message],
    ),
  )
  await w.s.advance(1_000)
  return { w, heard }
}

test('a close that cuts work off answers its waiting callers with CLOSED, as one in order does', async () => {
  const { w, heard } = await world(() => never)
  const { cutOff } = await w.during(w.s.app.close({ deadlineMs: 1_000 }))
  expect(cutOff.length).toBeGreaterThan(0)
  const run = 'the run 1 of works continues at the next start'
  expect(await w.during(Promise.all(heard))).toEqual([
    ['result', 'CLOSED', run],
    ['update', 'CLOSED', run],
    ['job', 'CLOSED', 'the queue jobs continues at the next start'],
  ])
})

test('a job that a close refuses what it calls has used up no try', async () => {
  const server: DurableServer<{ calls: { number: () => number } }, number> = {
    init: () => 7,
    calls: { number: (n) => reply(n, n) },
  }
  const asked = entity('asked', server)
  const tries: unknown[] = []
  const asks = queue(
    'asks',
    async (_: string, { attempt }) => {
      await new Promise<void>((resolve) => void s.clock.after(100, resolve))
      const answer = call(s.app.entity(asked).ref('rests'), 'number')
      tries.push([attempt, await codeOf(answer)])
      await answer
    },
    { retry: { max: 1 } },
  )
  const s = await simulated({ app: supervisor('app', {}, [asked, flows({ queues: [asks] })]) })
  await s.during(flow(s.app).add(asks, 'a'))
  await s.advance(10)

  expect(await s.during(s.app.close())).toEqual({ cutOff: [] })
  await s.start()
  await s.advance(1_000)
  expect(tries).toEqual([
    [1, 'CLOSED'],
    [1, 'ok'],
  ])
  expect(await s.during(flow(s.app).counts(asks))).toMatchObject({
    dead: 0,
    delayed: 0,
    running: 0,
  })
})
