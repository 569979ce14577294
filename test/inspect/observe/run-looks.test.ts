/** One run as the page and `keelson flow show` have it: what it was given, did, and waits for. */
import { expect, onTestFinished, test } from 'vitest'
import { type Ctx, queue, workflow } from '../../../src/flow/index.ts'
import { Observer } from '../../../src/inspect/observe/observer.ts'
import { FlowWords } from '../../../src/inspect/prompt/flow-words.ts'
import { plainPaint } from '../../../src/inspect/text/paint.ts'
import type { RunDetail, RunPage } from '../../../src/observe/index.ts'
import { flowWorld } from '../../support/worlds/flow-world.ts'

const secret = 'canary-7f3'

const login = workflow('login', async (ctx: Ctx<{ code: number }>, input: object) => {
  await ctx.step('ask', () => ({ mail: 'ada@example.org', token: secret, input }))
  ctx.report({ password: secret, part: 'asked' })
  await ctx.waitFor('code', { timeout: '1h' })
})
const long = workflow('long', async (ctx: Ctx<{ end: number }>) => {
  for (let at = 0; at < 250; at++) await ctx.step(`part ${at}`, () => at)
  await ctx.waitFor('end', { timeout: '1h' })
})
const held = workflow('held', (ctx: Ctx) => ctx.sleep('pause', '1h'), { queue: 'line' })
const line = queue('line', { concurrency: 1 })

const world = async () => {
  const w = await flowWorld([login, held, long], { queues: [line] })
  const input = { name: 'Ada', password: secret }
  const attributes = { customer: 'c-7', tier: 2, token: secret }
  await w.during(w.flow.start(login, input, { id: '1', attributes }))
  for (const id of ['a', 'b', 'c']) await w.during(w.flow.start(held, undefined, { id }))
  await w.s.advance(10_000)
  const observer = new Observer(w.s.app, { isWriting: false, user: 'ann' })
  onTestFinished(() => observer.end())
  const look = async <T>(name: 'run' | 'runs', query: Readonly<Record<string, string>>) => {
    const answered = await w.during(observer.answer({ id: 1, look: name, query }))
    return (answered as { answer: { data: T } }).answer.data
  }
  const words = new FlowWords(w.s.app, plainPaint)
  return { ...w, look, words }
}

const told = ['Ada', 'ada@example.org', 'asked', '[hidden string of 10]']

test('a run shows its input, values and progress without their secrets', async () => {
  const { during, look, words } = await world()

  const page = JSON.stringify(await look('run', { type: 'login', id: '1' }))
  const shown = (await during(words.show('login', '1', { json: true }))).text
  const printed = (await during(words.show('login', '1'))).text
  for (const text of [page, shown]) for (const part of told) expect(text).toContain(part)
  expect(printed).toContain("{ name: 'Ada', password: '[hidden string of 10]' }")
  const lists = [
    JSON.stringify(await look('runs', { type: 'login' })),
    (await during(words.list('login'))).text,
    (await during(words.list('login', { json: true }))).text,
  ]
  for (const text of [page, shown, printed, ...lists]) expect(text).not.toContain(secret)
})

test('the attributes of a run are shown, and find it on the page and at the prompt', async () => {
  const { during, look, words } = await world()

  const { attributes } = await look<RunDetail>('run', { type: 'login', id: '1' })
  expect(JSON.stringify(attributes)).toContain('c-7')
  expect((await during(words.show('login', '1'))).text).toMatch(/^attributes +\{ customer: 'c-7'/m)
  for (const [where, ids] of [
    ['customer=c-7, tier=2', ['1']],
    ['customer=c-8', []],
    ['customer=c-7 status=failed', []],
  ] as const) {
    const { rows } = await look<RunPage>('runs', { type: 'login', where })
    expect(rows.map(({ id }) => id)).toEqual(ids)
  }
  const status = { status: 'waiting', where: 'customer=c-7' }
  expect((await look<RunPage>('runs', { type: 'login', ...status })).rows).toHaveLength(1)
  expect((await during(words.list('login', { where: { tier: 2 } }))).text).toMatch(/\n1 +waiting/)
})

test('a run that waits in its queue shows its place there, and since when, in the same words everywhere', async () => {
  const { during, look, words } = await world()
  const json = async (shown: ReturnType<typeof words.show>) =>
    JSON.parse((await during(shown)).text)

  const { row } = await look<RunDetail>('run', { type: 'held', id: 'c' })
  const wait = { text: 'queue line, place 2 of 2', since: row.since }
  expect(row.waitsFor).toEqual({ kind: 'queue', name: 'line', ...wait })
  const full = await json(words.show('held', 'c', { json: true }))
  expect(full.waitsFor).toEqual(row.waitsFor)
  expect(full.place).toEqual({ queue: 'line', before: 1, ready: 2 })
  expect((await during(words.show('held', 'c'))).text).toMatch(
    new RegExp(`^waits for +${wait.text}, since ${new Date(wait.since).toISOString()}$`, 'm'),
  )
  const { rows } = await look<RunPage>('runs', { type: 'held' })
  expect(rows.map(({ id, waitsFor }) => [id, waitsFor?.kind])).toEqual([
    ...[
      ['a', 'timer'],
      ['c', 'queue'],
      ['b', 'queue'],
    ],
  ])
  expect((await during(words.list('held'))).text).toMatch(/\nc .*queue line/)
  const listed = await json(words.list('held', { json: true }))
  expect(listed.entries[1].waitsFor).toEqual(rows[1]?.waitsFor)
})

test('a run that waits for a signal says since when and until when, in the same words everywhere', async () => {
  const { during, look, words } = await world()

  const { row } = await look<RunDetail>('run', { type: 'login', id: '1' })
  const { text, since, until = 0 } = row.waitsFor ?? { text: '', since: 0 }
  expect([text, since]).toEqual(['signal code', row.since])
  expect((await during(words.show('login', '1'))).text).toMatch(
    new RegExp(
      `^waits for +signal code, since ${new Date(since).toISOString()}, until ${new Date(until).toISOString()}$`,
      'm',
    ),
  )
})

test('a run of many steps shows the last ones, with the present one, and says that there are more', {
  tags: ['slow'],
}, async () => {
  const { during, s, flow, look } = await world()
  await during(flow.start(long, undefined, { id: '1' }))
  await s.advance(60_000)

  const run = await look<RunDetail>('run', { type: 'long', id: '1' })
  expect(run.steps.map(({ key }) => key.replace(/#.*/, ''))).toEqual([
    ...Array.from({ length: 199 }, (_, at) => `part ${at + 51}`),
    'end',
  ])
  expect(run.isCut).toBe(true)
  expect(await look('run', { type: 'login', id: '1' })).not.toHaveProperty('isCut')
})
