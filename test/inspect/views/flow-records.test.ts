/** The words about flows lead to the record of a failure: the stack of the user's code and the causes. */
import { expect, test } from 'vitest'
import { type Ctx, queue, workflow } from '../../../src/flow/index.ts'
import { troublesOf } from '../../../src/inspect/answers/troubles.ts'
import { FlowWords } from '../../../src/inspect/prompt/flow-words.ts'
import { plainPaint } from '../../../src/inspect/text/paint.ts'
import { recordText } from '../../../src/inspect/views/record-view.ts'
import { flowWorld } from '../../support/worlds/flow-world.ts'

const refuse = (): never => {
  const cause = Object.assign(new Error('connect ECONNREFUSED ::1:25'), { code: 'ECONNREFUSED' })
  throw new TypeError('fetch failed', { cause })
}

const retry = { max: 3, baseMs: 1_000, jitter: 0 }
const charging = workflow('charging', (ctx: Ctx) => ctx.step('charge', refuse, { retry }))
const doubling = workflow('doubling', async (_: Ctx, given: { token: string; n: number }) => ({
  ...{ token: given.token, twice: given.n * 2, text: 'x'.repeat(given.n * 100) },
}))
type Collected = { collected: number; fetched: number; 'by/whom $': number }
const collecting = workflow('collecting', (ctx: Ctx<Collected, { price(given: number): number }>) =>
  ctx.waitFor('collected'),
)
const mails = queue('mails', refuse, { retry })

const started = async () => {
  const w = await flowWorld([charging, doubling, collecting], { queues: [mails] })
  const words = new FlowWords(w.s.app, plainPaint)
  const text = async (answer: Promise<object>) => String(await w.during(answer))
  return { w, words, text }
}

const record =
  /TypeError: fetch failed\n {6}at refuse \(.*flow-records\.test\.ts:\d+:\d+\)(?:.|\n)*\n {2}caused by Error \[ECONNREFUSED\]: connect ECONNREFUSED ::1:25\n {6}at refuse \(/

test('flow.show, flow.job and flow.dead have the stack and the causes', async () => {
  const { w, words, text } = await started()
  await w.during(w.flow.start(charging, undefined, { id: '1' }))
  for (const job of ['a', 'b']) await w.during(w.flow.add(mails, job))
  await w.s.advance(500)
  expect(await text(words.show('charging', '1'))).toMatch(
    new RegExp(`step charge failed at try 1 of 3, first at 2026-.*:\n  ${record.source}`),
  )
  expect(await text(words.job('mails', '1'))).toMatch(
    new RegExp(`tries +1 of 3\n(?:.|\n)*the failure:\n  ${record.source}`),
  )
  await w.s.advance(10_000)
  expect(await text(words.show('charging', '1'))).toMatch(
    new RegExp(`charging/1 failed:\n  ${record.source}`),
  )
  expect(await text(words.dead('mails'))).toMatch(
    new RegExp(`job 1 and 1 more:\n  ${record.source}`),
  )
})

test('a run shows its output, without its secrets, and a large one by its size', async () => {
  const { w, text, words } = await started()
  const given = { token: 'hunter2', n: 1 }
  await w.during(w.flow.start(doubling, given, { id: '1' }))
  await w.during(w.flow.start(doubling, { ...given, n: 12_000 }, { id: '2' }))
  await w.s.advance(1_000)

  expect(w.flow.get(doubling, '1')?.output).toMatchObject({ token: 'hunter2', twice: 2 })
  const shown = await text(words.show('doubling', '1'))
  expect(shown).toContain("output       { token: '[hidden string of 7]', twice: 2, text: ")
  expect(await text(words.show('doubling', '2'))).toMatch(
    /output +1\.20 MB: load\(\) of flow\(app\)\.get\(type, id\) reads it/,
  )
  const listed = w.flow.list({ type: doubling, show: ['input', 'output'], order: 'id' }).entries
  expect(listed[0]).toMatchObject({ id: '1', input: given, output: { twice: 2 } })
  expect('input' in (w.flow.list({ type: doubling }).entries[0] ?? {})).toBe(false)
  const list = await text(words.list('doubling', { show: ['input', 'output'] }))
  expect(list).toContain("{ token: '[hidden string of 7]', n: 1 }")
  expect(list).not.toContain('hunter2')
})

test('health leads from a stuck job to the job, and from dead ones to their list', async () => {
  const { w } = await started()
  const links = () =>
    troublesOf({ health: w.s.app.health(), now: w.s.clock.now() }).map(({ kind, link }) => [
      kind,
      link,
    ])
  const patient = w.s.clock.now()
  await w.during(w.flow.add(mails, 'a'))
  await w.s.advance(1_000)
  expect([links(), w.s.clock.now() - patient < 5_000]).toEqual([[], true])
  await w.s.advance(1_500)
  expect(links()).toEqual([['failing step', { view: 'job', parts: ['mails', '1'] }]])
  await w.s.advance(10_000)
  expect(links()).toEqual([['dead jobs', { view: 'queue', parts: ['mails'] }]])
})

test('flow.start and flow.add begin runs and jobs by the names of their parts', async () => {
  const { w, words, text } = await started()
  expect(await text(words.start('charging', undefined, { id: '7' }))).toBe('charging/7 has begun')
  expect(await text(words.start('charging', undefined, { id: '7' }))).toBe('charging/7 had begun')
  expect(await text(words.add('mails', 'hello'))).toBe('mails has job 1')
  expect(w.flow.get(charging, '7')?.status).toBe('running')
})

test('the input of one run is shown up to 1,000 characters', async () => {
  const { w, text, words } = await started()
  const given = { token: 'hunter2', n: 1, lines: Array(90).fill('rice') }
  await w.during(w.flow.start(doubling, given, { id: '1' }))
  const shown = await text(words.show('doubling', '1'))
  expect(shown).toMatch(/input .*lines: (?:.*'rice'){20}/)
})

test('an error without a stack is shown whole below a row that cuts it', () => {
  const error = { name: 'KeelsonError', code: 'DIVERGED', message: 'the body waits' } as const
  expect(recordText('it', error, 80)).toEqual([])
  const message = `the body waits for screen, and never asks for ${'reserve/ink, '.repeat(9)}`
  expect(recordText('it', { ...error, message }, 80)).toEqual([
    `it:\n  KeelsonError [DIVERGED]: ${message}`,
  ])
})

test('a run shows the signals and updates that its body has not read', async () => {
  const { w, text, words } = await started()
  const run = await w.during(w.flow.start(collecting, undefined, { id: '1' }))
  await w.s.advance(3_000)
  expect(w.flow.get(collecting, '1')).toMatchObject({ status: 'waiting', unread: [] })
  expect(await text(words.show('collecting', '1'))).not.toContain('unread')
  await w.during(run.signal('fetched', 1))
  await w.during(run.signal('by/whom $', 2))
  await w.during(run.signal('fetched', 3))
  void run.update('price', 4).catch(() => undefined)
  await w.s.advance(3_000)

  expect(w.flow.get(collecting, '1')?.unread).toEqual([
    { kind: 'update', name: 'price', count: 1 },
    { kind: 'signal', name: 'by/whom $', count: 1 },
    { kind: 'signal', name: 'fetched', count: 2 },
  ])
  expect(await text(words.show('collecting', '1'))).toMatch(
    /waits for +signal collected.*\nunread +update price; signal by\/whom \$; signal fetched, 2 times/,
  )
})
