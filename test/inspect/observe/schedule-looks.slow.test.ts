/** Schedules and single jobs as the page has them, and its actions on them. */
import { expect, onTestFinished, test } from 'vitest'
import { type Ctx, type JobTry, queue, schedule, workflow } from '../../../src/flow/index.ts'
import { Observer } from '../../../src/inspect/observe/observer.ts'
import { bytesOf } from '../../../src/inspect/observe/value-trees.ts'
import { frameMax } from '../../../src/inspect/page-server/frame-streams.ts'
import type { Refusal, Views } from '../../../src/observe/index.ts'
import { flowWorld } from '../../support/worlds/flow-world.ts'
import { simulated } from '../../support/worlds/simulated-instance.ts'

const canary = 'CANARY7'
const dayMs = 86_400_000

const digest = workflow('digest', async (ctx: Ctx<{ go: undefined }>) => {
  await ctx.waitFor('go')
})
const report = workflow('report', async () => undefined)
const daily = schedule('daily', '0 8 * * *', digest)

const world = async () => {
  const mails = queue(
    'mails',
    async (job: { to: string; token?: string }, { log, progress, signal }: JobTry) => {
      log(`to ${job.to}`)
      progress({ sent: 1, password: canary })
      if (job.to === 'nobody') throw new Error('no such address')
      if (job.to === 'slow') await new Promise((done) => signal.addEventListener('abort', done))
      return { sent: job.to }
    },
    { retry: { max: 1 }, keep: { results: '1d' } },
  )
  const w = await flowWorld([digest, report], { queues: [mails], schedules: [daily] })
  const observer = (isWriting: boolean) => {
    const made = new Observer(w.s.app, { isWriting, user: 'ann' })
    onTestFinished(() => made.end())
    return made
  }
  const told = async (request: object, isWriting = false): Promise<unknown> => {
    const answered = await w.during(observer(isWriting).answer({ id: 1, ...request } as never))
    if ('refusal' in answered) return (answered as { refusal: Refusal }).refusal
    return (answered as { answer: unknown }).answer
  }
  const look = async <V extends keyof Views>(view: V, query: object = {}) =>
    ((await told({ look: view, query })) as { data: Views[V]['data'] }).data
  const act = async (act: string, of: object) => {
    const planned = await told({ plan: { act, ...of } }, true)
    return told({ act: { act, ...of, reason: 'a trial' }, planned }, true)
  }
  return { w, mails, told, look, act }
}

test('schedules show where they are from, their next time, their last run and their trouble', async () => {
  const { w, look } = await world()
  const { schedules } = w.flow
  await w.during(schedules.create('weekly', '0 9 * * 1', report, { zone: 'Europe/Berlin' }))
  await w.during(schedules.create('gone', '@daily', report, {}))
  await w.s.advance(dayMs)

  const { rows } = await look('schedules')
  expect(rows.map(({ name, isOfTree }) => [name, isOfTree])).toEqual([
    ['daily', true],
    ['gone', false],
    ['weekly', false],
  ])
  const run = w.flow.list({ type: digest }).entries[0]?.id
  expect(run).toMatch(/^daily\//)
  expect(rows[0]).toMatchObject({
    ...{ cron: '0 8 * * *', zone: 'UTC', workflow: 'digest', isPaused: false, isRunning: true },
    ...{ last: { type: 'digest', id: run }, nextAt: schedules.get('daily')?.next, waiting: 0 },
  })
  expect(rows[2]).toMatchObject({ zone: 'Europe/Berlin', isRunning: false })
  expect((await look('flows')).schedules.rows).toEqual(rows)

  await w.crash([digest])
  await w.s.advance(1_000)
  const [, gone] = (await look('schedules')).rows
  expect(gone).toMatchObject({ name: 'gone', broken: 'the workflow report is not in the tree' })
  expect(gone).not.toHaveProperty('nextAt')
})

test('many schedules come in pages', async () => {
  const { w, look } = await world()
  for (let at = 0; at < 60; at++)
    await w.during(w.flow.schedules.create(`s${100 + at}`, '@daily', report))

  const first = await look('schedules')
  expect(first.rows).toHaveLength(51)
  const second = await look('schedules', { cursor: first.cursor })
  expect(second.rows.map(({ name }) => name)).toEqual(
    Array.from({ length: 10 }, (_, at) => `s${150 + at}`),
  )
  expect(second).not.toHaveProperty('cursor')
})

test('an instance without flows has no schedule', async () => {
  const s = await simulated({})
  const observer = new Observer(s.app, { isWriting: false, user: 'ann' })
  onTestFinished(() => observer.end())
  for (const look of ['schedules', 'flows'] as const) {
    const answered = await s.during(observer.answer({ id: 1, look, query: {} }))
    expect(JSON.stringify(answered)).toContain('"rows":[]')
  }
})

test('schedules are paused, resumed, triggered and deleted with a reason, and not by those who only look', async () => {
  const { w, told, act } = await world()
  const { schedules } = w.flow
  await w.during(schedules.create('weekly', '0 9 * * 1', report))

  const pause = { act: 'pauseSchedule', schedule: 'weekly', reason: 'a trial' }
  expect(await told({ act: pause })).toMatchObject({ code: 'READ_ONLY' })
  expect(schedules.get('weekly')?.isPaused).toBe(false)
  expect(await told({ plan: { act: 'triggerSchedule', schedule: 'weekly' } }, true)).toMatchObject({
    effect: 'starts a run of the schedule weekly now',
  })
  expect(w.flow.list({ type: report }).entries).toEqual([])

  await act('pauseSchedule', { schedule: 'weekly' })
  expect(schedules.get('weekly')?.isPaused).toBe(true)
  await act('triggerSchedule', { schedule: 'weekly' })
  expect(w.flow.list({ type: report }).entries).toHaveLength(1)
  await act('resumeSchedule', { schedule: 'weekly' })
  expect(schedules.get('weekly')?.isPaused).toBe(false)
  expect(await act('deleteSchedule', { schedule: 'daily' })).toMatchObject({ code: 'CONFLICT' })
  await act('deleteSchedule', { schedule: 'weekly' })
  expect(schedules.get('weekly')).toBe(undefined)
  expect(await act('deleteSchedule', { schedule: 'weekly' })).toEqual({
    text: 'Nothing was to be done.',
  })
})

test('limits of a queue change and are reset with a reason, and the page of flows shows them', async () => {
  const { w, mails, told, look, act } = await world()
  const limits = { act: 'setLimits', queue: 'mails', concurrency: '4' }
  expect(await told({ act: { ...limits, reason: 'a trial' } })).toMatchObject({ code: 'READ_ONLY' })
  expect(await told({ plan: limits }, true)).toMatchObject({
    effect: 'changes limits of the queue mails until they are reset: concurrency 4',
  })
  const rate = { max: '100', per: '1m', key: true }
  await act('setLimits', { queue: 'mails', concurrency: '4', perKey: '2', rate })
  expect(await w.during(w.flow.limits(mails))).toMatchObject({
    ...{ concurrency: 4, perKey: 2, rate: { max: 100, per: 60_000, key: true } },
  })
  const shown = async () => (await look('flows', {})).queues[0]?.changedLimits
  expect(await shown()).toBe('concurrency 4, perKey 2, rate 100 in 60,000 ms of each key')
  expect(await act('setLimits', { queue: 'mails', rate: { max: 'x', per: '1s' } })).toMatchObject({
    code: 'INVALID_ARGUMENT',
  })
  expect(await act('setLimits', { queue: 'mails' })).toMatchObject({ code: 'INVALID_ARGUMENT' })
  await act('resetLimits', { queue: 'mails' })
  expect(await shown()).toBe(undefined)
  expect((await w.during(w.flow.limits(mails))).changed).toEqual([])
})

test('a job shows its state, values, error and lines without its secrets', async () => {
  const { w, mails, look, act } = await world()
  const add = async (to: string, options = {}) =>
    (await w.during(w.flow.add(mails, { to, token: canary }, options))).id
  const [done, dead, running] = [await add('ada'), await add('nobody'), await add('slow')]
  const delayed = await add('later', { delay: '1h', key: 'eve', priority: 3 })
  await w.s.advance(10)
  const job = (id: string) => look('job', { queue: 'mails', id })

  expect(await job(done)).toMatchObject({ state: 'done', tries: 1, log: ['to ada'] })
  expect(JSON.stringify((await job(done)).result)).toContain('ada')
  expect(await job(dead)).toMatchObject({
    ...{ state: 'dead', error: 'Error: no such address', failedAt: expect.any(Number) },
  })
  expect(await job(delayed)).toMatchObject({
    ...{ state: 'delayed', key: 'eve', priority: 3, dueAt: expect.any(Number), tries: 0 },
  })
  const shown = await job(running)
  expect(shown).toMatchObject({ state: 'running', log: ['to slow'] })
  expect(JSON.stringify(shown.progress)).toContain('sent')
  for (const id of [done, dead, running, delayed])
    expect(JSON.stringify(await job(id))).not.toContain(canary)

  await act('removeJob', { queue: 'mails', id: running })
  await act('removeJob', { queue: 'mails', id: delayed })
  await w.s.advance(10)
  for (const id of [running, delayed])
    expect(await w.during(w.flow.job(mails, id).get())).toBe(undefined)
  expect(await act('removeJob', { queue: 'mails', id: delayed })).toEqual({
    text: 'Nothing was to be done.',
  })
})

test('a job and a page of schedules fit into a frame, however long their texts are', async () => {
  const long = '€'.repeat(2_000)
  const value = Object.fromEntries(Array.from({ length: 60 }, (_, at) => [`${at}${long}`, long]))
  const noisy = queue('noisy', async (job: object, { log, progress, signal }: JobTry) => {
    for (let at = 0; at < 100; at++) log(`${at} ${long}`)
    progress({ text: long.repeat(10) })
    await new Promise((done) => signal.addEventListener('abort', done))
    return job
  })
  const times = Array.from({ length: 300 }, (_, at) =>
    schedule(`s${at}-${'x'.repeat(40)}`, '@daily', report),
  )
  const w = await flowWorld([report], { queues: [noisy], schedules: times })
  const observer = new Observer(w.s.app, { isWriting: false, user: 'ann' })
  onTestFinished(() => observer.end())
  const { id } = await w.during(w.flow.add(noisy, value))
  await w.s.advance(10)
  for (const [look, query, least] of [
    ['job', { queue: 'noisy', id }, 20_000],
    ['schedules', {}, 30_000],
    ['flows', {}, 10_000],
  ] as const) {
    const answered = await w.during(observer.answer({ id: 1, look, query }))
    expect([look, bytesOf(answered) <= frameMax, bytesOf(answered) > least]).toEqual([
      ...[look, true, true],
    ])
  }
  const { answer } = (await w.during(observer.answer({ id: 1, look: 'schedules', query: {} }))) as {
    answer: { data: Views['schedules']['data'] }
  }
  expect(answer.data.isCut).toBe(true)
})
