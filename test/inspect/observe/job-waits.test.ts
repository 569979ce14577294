/** Jobs that do not run say what they wait for, and runs and jobs have the record of their failure, at page, prompt and command line. */
import { expect, onTestFinished, test } from 'vitest'
import { type Ctx, type Queue, queue, workflow } from '../../../src/flow/index.ts'
import { Observer } from '../../../src/inspect/observe/observer.ts'
import { FlowWords } from '../../../src/inspect/prompt/flow-words.ts'
import { plainPaint } from '../../../src/inspect/text/paint.ts'
import type { Views } from '../../../src/observe/index.ts'
import { flowWorld, type Workflows } from '../../support/worlds/flow-world.ts'

const never = () => new Promise<never>(() => undefined)

const refuse = (): never => {
  const cause = Object.assign(new Error('connect ECONNREFUSED ::1:25'), { code: 'ECONNREFUSED' })
  throw new TypeError('fetch failed', { cause })
}

const retry = { max: 3, baseMs: 10_000, jitter: 0 }

const world = async (queues: readonly Queue[], workflows: Workflows = []) => {
  const w = await flowWorld(workflows, { queues })
  const observer = new Observer(w.s.app, { isWriting: false, user: 'ann' })
  onTestFinished(() => observer.end())
  const look = async <V extends keyof Views>(view: V, query: Views[V]['query']) => {
    const answered = await w.during(observer.answer({ id: 1, look: view, query }))
    return (answered as { answer: { data: Views[V]['data'] } }).answer.data
  }
  const words = new FlowWords(w.s.app, plainPaint)
  const text = async (answer: Promise<object>) => String(await w.during(answer))
  return { ...w, look, words, text }
}

/** The reasons why the jobs of a queue in a state wait, as the page says them. */
const waits = async (
  { look }: Awaited<ReturnType<typeof world>>,
  name: string,
  state = 'waiting',
) =>
  (await look('jobs', { queue: name, state })).rows.map(({ id, waitsFor }) => [id, waitsFor?.text])

test('a ready job waits for a place, or for one of its key, or for the end of a pause', async () => {
  const keyed = queue('keyed', never, { concurrency: 3, perKey: 1 })
  const w = await world([keyed])
  for (const key of ['a', 'a', 'b']) await w.during(w.flow.add(keyed, 1, { key }))
  expect(await waits(w, 'keyed')).toEqual([
    ['2', 'a place of its key: as many of its jobs run as may'],
  ])

  for (const key of ['c', 'd']) await w.during(w.flow.add(keyed, 1, { key }))
  const places = 'a place: as many jobs run as may'
  expect(await waits(w, 'keyed')).toEqual([
    ['2', places],
    ['5', places],
  ])
  expect(await w.text(w.words.jobs('keyed'))).toMatch(new RegExp(`^5 .* ${places} `, 'm'))
  const { addedAt: since, waitsFor } = await w.look('job', { queue: 'keyed', id: '5' })
  expect(waitsFor).toEqual({ text: places, since })
  const json = JSON.parse(await w.text(w.words.job('keyed', '5', { json: true })))
  expect(json.waitsFor).toEqual({ reason: 'places', ...waitsFor })
  expect(await w.text(w.words.job('keyed', '5'))).toMatch(
    new RegExp(`^waits for +${places}, since ${new Date(since).toISOString()}$`, 'm'),
  )

  await w.during(w.flow.pause(keyed))
  expect((await w.look('job', { queue: 'keyed', id: '5' })).waitsFor).toEqual({
    text: 'the end of the pause of its queue',
    since,
  })
})

test.each([
  ['its queue', false],
  ['its key', true],
])('a ready job waits for the rate of %s, until a time', async (_, key) => {
  const slow = queue('slow', () => undefined, { rate: { max: 1, per: '20s', key } })
  const w = await world([slow])
  const at = w.s.clock.now()
  for (let job = 0; job < 2; job++) await w.during(w.flow.add(slow, 1, { key: 'a' }))

  const { rows } = await w.look('jobs', { queue: 'slow', state: 'waiting' })
  expect(rows.map(({ waitsFor }) => waitsFor?.text)).toEqual([
    'the rate: as many have started as may',
  ])
  const until = rows[0]?.waitsFor?.until ?? 0
  expect([until - at >= 20_000, until - at <= 22_000]).toEqual([true, true])
  expect(await w.text(w.words.jobs('slow'))).toContain(new Date(until).toISOString())
  await w.s.advance(until - w.s.clock.now() + 1_000)
  expect(await waits(w, 'slow')).toEqual([])
})

test('a delayed job waits for its delay, or for its next try', async () => {
  const mails = queue('mails', refuse, { retry })
  const w = await world([mails])
  await w.during(w.flow.add(mails, 1, { delay: '1h' }))
  await w.during(w.flow.add(mails, 1))
  await w.s.advance(100)
  expect(await waits(w, 'mails', 'delayed')).toEqual([
    ['2', 'its next try'],
    ['1', 'its delay'],
  ])
  const { failedAt, dueAt, waitsFor } = await w.look('job', { queue: 'mails', id: '2' })
  expect(waitsFor).toEqual({ text: 'its next try', since: failedAt, until: dueAt })
})

const record = [
  'TypeError: fetch failed',
  expect.stringMatching(/^ {4}at refuse \(.*job-waits\.test\.ts:\d+:\d+\)$/),
]
const cause = [
  'caused by Error [ECONNREFUSED]: connect ECONNREFUSED ::1:25',
  expect.stringMatching(/^ {4}at refuse \(/),
]

test('the page has the record of the failure of a job, a run and a step, and the output of a run', async () => {
  const mails = queue('mails', refuse, { retry })
  const order = workflow('order', (ctx: Ctx) => ctx.step('charge', refuse, { retry }))
  const sum = workflow('sum', async () => ({ total: 995, token: 'hunter2' }))
  const w = await world([mails], [order, sum])
  await w.during(w.flow.add(mails, 1))
  await w.during(w.flow.start(order, undefined, { id: '1' }))
  await w.during(w.flow.start(sum, undefined, { id: '1' }))
  await w.s.advance(100)
  const has = (lines: readonly string[] | undefined): void => {
    expect(lines?.slice(0, 2)).toEqual(record)
    expect(lines?.slice(-2)).toEqual(cause)
  }

  has((await w.look('job', { queue: 'mails', id: '1' })).failure)
  has((await w.look('run', { type: 'order', id: '1' })).steps[0]?.failure)
  await w.s.advance(60_000)
  has((await w.look('run', { type: 'order', id: '1' })).failure)

  const { output } = await w.look('run', { type: 'sum', id: '1' })
  expect(JSON.stringify(output)).toContain('995')
  expect(JSON.stringify(output)).not.toContain('hunter2')
})

test('jobs are found by their attributes in every state, with the state, and a job shows them', async () => {
  const done = queue('done', async (fails: boolean) => (fails ? refuse() : 'sent'), {
    retry: { max: 1 },
    keep: { results: '1d' },
  })
  const w = await world([done])
  const attributes = { customer: 'c-7', token: 'canary-7f3' }
  await w.during(w.flow.add(done, false, { attributes }))
  await w.during(w.flow.add(done, true, { attributes }))
  await w.during(w.flow.add(done, false, { attributes, delay: '1h' }))
  await w.during(w.flow.add(done, false, { attributes: { customer: 'c-8' }, delay: '1h' }))
  await w.s.advance(1_000)

  const found = async (query: { where: string; state?: string }) =>
    (await w.look('jobs', { queue: 'done', ...query })).rows.map(({ id, state }) => [id, state])
  const states = [
    ['3', 'delayed'],
    ['2', 'dead'],
    ['1', 'done'],
  ]
  expect(await found({ where: 'customer=c-7' })).toEqual(states)
  expect(await found({ where: 'customer=c-7', state: 'dead' })).toEqual([['2', undefined]])
  const listed = await w.text(w.words.jobs('done', { where: { customer: 'c-7' } }))
  for (const [id, state] of states) expect(listed).toMatch(new RegExp(`^${id} +${state} `, 'm'))
  expect(listed).toMatch(/^id +state +priority/)
  expect(await w.text(w.words.jobs('done', { state: 'dead' }))).toMatch(/^id +priority/)
  const shown = JSON.stringify((await w.look('job', { queue: 'done', id: '2' })).attributes)
  expect(shown).toContain('c-7')
  expect(shown).not.toContain('canary')
})
