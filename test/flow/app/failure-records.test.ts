/**
 * The record of a failure in steps, runs and jobs: it is stored with their rows, so it is there after a
 * restart, and every look and every rejection has it.
 */
import { expect, test } from 'vitest'
import { type Ctx, queue, workflow } from '../../../src/flow/index.ts'
import { flowWorld } from '../../support/worlds/flow-world.ts'

/** A request that is refused, as `fetch` rejects. */
const refuse = (): never => {
  const place = { code: 'ECONNREFUSED', address: '127.0.0.1', port: 5432 }
  const cause = Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:5432'), place)
  throw new TypeError('fetch failed', { cause })
}

const retry = { max: 3, baseMs: 1_000, jitter: 0 }
const charging = workflow('charging', (ctx: Ctx) => ctx.step('charge', refuse, { retry }))
const mails = queue('mails', refuse, { retry })

const world = () => flowWorld([charging], { queues: [mails] })

/** The record, with the function of this file that has thrown. */
const refused = {
  ...{ name: 'TypeError', message: 'fetch failed' },
  stack: expect.stringMatching(/^ {4}at refuse \(.*failure-records\.test\.ts:\d+:\d+\)/),
  causes: [
    {
      ...{ name: 'Error', message: 'connect ECONNREFUSED 127.0.0.1:5432', code: 'ECONNREFUSED' },
      ...{ address: '127.0.0.1', port: 5432, at: expect.stringContaining('refuse') },
    },
  ],
}

test('a step that fails keeps its record over a crash: which try of how many, since when, when the next one is', async () => {
  const w = await world()
  const begun = w.s.clock.now()
  await w.during(w.flow.start(charging, undefined, { id: '1' }))
  await w.s.advance(1_500)
  await w.crash()

  const { entries } = w.flow.steps(charging, '1')
  expect(entries).toMatchObject([{ key: 'charge', tries: 2, triesMax: 3, error: refused }])
  const { failingSince = 0, at = 0, dueAt = 0 } = entries[0] ?? {}
  expect([failingSince - begun < 100, at - failingSince >= 1_000, dueAt - at >= 2_000]).toEqual([
    ...[true, true, true],
  ])
  expect(w.flow.get(charging, '1')?.error).toEqual(refused)
  expect(w.flow.list({ type: charging }).entries[0]?.error).toEqual(refused)
})

test('a run that failed keeps the record of its step over a crash, and the rejection of its result has stack and cause', async () => {
  const w = await world()
  await w.during(w.flow.start(charging, undefined, { id: '1' }))
  await w.s.advance(10_000)
  await w.crash()

  expect(w.flow.get(charging, '1')).toMatchObject({ status: 'failed', error: refused })
  const result = w.flow.handle(charging, '1').result()
  const rejection = await w.during(result.catch((error: unknown) => error))
  expect(rejection).toMatchObject({ code: 'FAILED', cause: { name: 'TypeError' } })
  const { cause } = rejection as { cause: Error }
  expect(cause.stack).toMatch(/^TypeError: fetch failed\n {4}at refuse \(/)
  expect(cause.cause).toMatchObject({ code: 'ECONNREFUSED', address: '127.0.0.1', port: 5432 })
})

test('a job that died keeps its record over a crash, and the rejection of its result has stack and cause', async () => {
  const w = await world()
  await w.during(w.flow.add(mails, 'hello'))
  await w.s.advance(1_500)
  expect(w.flow.jobs(mails, { state: 'delayed' }).entries).toMatchObject([
    { tries: 2, triesMax: 3, error: refused },
  ])
  const waiting = w.flow.job(mails, '1').result()
  const live = await w.during(waiting.catch((error: unknown) => error))
  await w.crash()

  const [dead] = w.flow.jobs(mails, { state: 'dead' }).entries
  expect(dead).toMatchObject({ id: '1', tries: 3, triesMax: 3, error: refused })
  expect((dead?.failedAt ?? 0) - (dead?.failingSince ?? 0)).toBeGreaterThanOrEqual(3_000)
  expect(w.flow.dead(mails).entries[0]?.error).toEqual(refused)
  const later = await w.during(
    w.flow
      .job(mails, '1')
      .result()
      .catch((error: unknown) => error),
  )
  for (const rejection of [live, later]) {
    expect(rejection).toMatchObject({ code: 'FAILED', cause: { name: 'TypeError' } })
    const { cause } = rejection as { cause: Error }
    expect(cause.stack).toMatch(/^TypeError: fetch failed\n {4}at refuse \(/)
    expect(cause.cause).toMatchObject({ code: 'ECONNREFUSED', address: '127.0.0.1', port: 5432 })
  }
})

test('the tries of a job that was dead count anew after a retry, and so does its time', async () => {
  const w = await world()
  await w.during(w.flow.add(mails, 'hello'))
  await w.s.advance(60_000)
  const again = w.s.clock.now()
  await w.during(w.flow.retry(mails, '1'))
  await w.s.advance(500)

  const [job] = w.flow.jobs(mails, { state: 'delayed' }).entries
  expect(job).toMatchObject({ tries: 1, error: refused })
  expect(job?.failingSince).toBeGreaterThanOrEqual(again)
})
