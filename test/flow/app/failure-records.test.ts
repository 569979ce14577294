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

const textsOf = (w: Awaited<ReturnType<typeof world>>, level: 'error' | 'warn' | 'info') =>
  // A crash of the simulated process is a line, too.
  w.s.log.messages(level).filter((text) => !text.startsWith('shard '))

test('the log has the first failure of a step, and the run that failed, each with causes and the stack', async () => {
  const w = await world()
  for (const id of ['1', '2']) await w.during(w.flow.start(charging, undefined, { id }))
  await w.s.advance(10_000)

  const cause = 'TypeError: fetch failed; cause: ECONNREFUSED: connect ECONNREFUSED 127.0.0.1:5432'
  expect(textsOf(w, 'warn')).toEqual([
    `charging/1: step charge failed at try 1 of 3, the next one is in 1000 ms: ${cause}`,
  ])
  expect(textsOf(w, 'error')).toEqual([
    `charging/1: the run has failed: ${cause}`,
    `charging/2: the run has failed: ${cause}`,
  ])
  for (const { facts } of w.s.log.lines) {
    expect(facts).toMatchObject({ run: expect.any(String), reason: { cause: { port: 5432 } } })
    expect((facts as { reason: Error }).reason.stack).toContain('at refuse (')
  }
})

test('the log has each job that died, with causes and the stack, and its recovery', async () => {
  let isAway = true
  const bills = queue('bills', () => isAway && refuse(), { retry: { ...retry, max: 2 } })
  const w = await flowWorld([], { queues: [bills] })
  await w.during(w.flow.add(bills, 'hello'))
  await w.s.advance(10_000)
  expect(textsOf(w, 'warn')).toEqual([
    expect.stringMatching(/^bills: job 1 failed at try 1 of 2, the next one is in \d+ ms: /),
  ])
  expect(textsOf(w, 'error')).toEqual([
    expect.stringMatching(
      /^bills: job 1 is dead after 2 tries: .* ECONNREFUSED 127\.0\.0\.1:5432$/,
    ),
  ])
  const reason = w.s.log.lines.at(-1)?.facts?.reason as Error
  expect(reason.stack).toContain('at refuse (')

  isAway = false
  await w.during(w.flow.retry(bills, '1'))
  await w.s.advance(1_000)
  expect(textsOf(w, 'info')).toEqual(['bills: job 1 is done at try 1, after it was dead'])
})

test('the log has a step that is stuck, and its recovery', async () => {
  let isAway = true
  const patient = workflow('patient', (ctx: Ctx) =>
    ctx.step('charge', () => isAway && refuse(), { retry: { ...retry, max: 20, factor: 1 } }),
  )
  const w = await flowWorld([patient])
  await w.during(w.flow.start(patient, undefined, { id: '1' }))
  await w.s.advance(4_500)
  isAway = false
  await w.s.advance(2_000)

  expect(textsOf(w, 'warn')).toEqual([
    expect.stringMatching(/^patient\/1: step charge failed at try 1 of 20, /),
    expect.stringMatching(/^patient\/1: step charge is stuck: it has failed 3 times within 2 s, /),
  ])
  expect(textsOf(w, 'info')).toEqual(['patient/1: step charge has succeeded at try 6'])
})

test('the log has a run that is blocked, and that it continues', async () => {
  const once = workflow('once', (ctx: Ctx) =>
    ctx.step('stuck', () => new Promise<void>(() => undefined), { repeat: 'once' }),
  )
  const w = await flowWorld([once])
  await w.during(w.flow.start(once, undefined, { id: '1' }))
  await w.s.advance(100)
  await w.crash()
  await w.s.advance(100)
  expect(textsOf(w, 'error')).toEqual([
    expect.stringMatching(/^once\/1: the run is blocked: UNKNOWN_STEP: /),
  ])
  await w.during(w.flow.settle(once, '1', 'stuck', { value: undefined }))
  expect(textsOf(w, 'info')).toEqual(['once/1: the run continues, after it was blocked'])
})

test('work that succeeds is no line of the log', async () => {
  const sound = workflow('sound', (ctx: Ctx) => ctx.step('fine', () => 1))
  const good = queue('good', () => 1)
  const w = await flowWorld([sound], { queues: [good] })
  await w.during(w.flow.start(sound, undefined, { id: '1' }))
  await w.during(w.flow.add(good, 'hello'))
  await w.s.advance(10_000)
  expect(w.s.log.lines).toEqual([])
})

test('a run whose body diverges names the place where the body asks for what is not recorded', async () => {
  const pack = (ctx: Ctx): Promise<void> => ctx.step('pack', () => undefined)
  const screen = (ctx: Ctx): Promise<void> => ctx.step('screen', () => undefined)
  const before = workflow('order', async (ctx: Ctx<{ go: null }>) => {
    await pack(ctx)
    await ctx.waitFor('go')
  })
  const after = workflow('order', async (ctx: Ctx<{ go: null }>) => {
    await screen(ctx)
    await pack(ctx)
    await ctx.waitFor('go')
  })
  const w = await flowWorld([before])
  const run = await w.during(w.flow.start(before, undefined, { id: '1' }))
  await w.s.advance(10_000)
  await w.crash([after])
  await w.during(w.flow.handle(after, run.id).signal('go', null))
  await w.s.advance(60_000)

  const { status, error } = w.flow.get(after, '1') ?? {}
  expect([status, error?.message]).toEqual([
    'blocked',
    'the body waits for screen, and never asks for pack',
  ])
  expect(error?.stack).toMatch(/^ {4}at screen \(.*failure-records\.test\.ts:\d+:\d+\)/)
})
