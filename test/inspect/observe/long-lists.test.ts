/** Every list of flows, page by page, at the prompt and on the page: no row and no cursor is lost. */
import { expect, onTestFinished, test } from 'vitest'
import { type Ctx, queue, workflow } from '../../../src/flow/index.ts'
import { Observer } from '../../../src/inspect/observe/observer.ts'
import { FlowWords } from '../../../src/inspect/prompt/flow-words.ts'
import { plainPaint } from '../../../src/inspect/text/paint.ts'
import { flowWorld } from '../../support/worlds/flow-world.ts'

const count = 130
const ids = Array.from({ length: count }, (_, at) => `${at}`)
/** Of rows with many members each, some tens had 1,000. */
const input = { to: 'ada', lines: Array.from({ length: 20 }, (_, at) => at) }

const order = workflow('order', async (ctx: Ctx<{ go: null }>, given: typeof input) => {
  ctx.report(given)
  await ctx.waitFor('go', { timeout: '1d' })
})
const long = workflow('long', async (ctx: Ctx<{ go: null }>) => {
  for (const id of ids) await ctx.step(id, () => input)
  await ctx.waitFor('go', { timeout: '1d' })
})
const mails = queue<typeof input>(
  'mails',
  () => {
    throw new TypeError('no')
  },
  { retry: { max: 1 }, concurrency: count },
)
const later = queue<typeof input>('later', () => undefined)

const world = async () => {
  const w = await flowWorld([order, long], { queues: [mails, later] })
  const started = ids.map((id) => w.flow.start(order, input, { id }))
  const added = ids.flatMap(() => [
    w.flow.add(mails, input),
    w.flow.add(later, input, { delay: '1d' }),
  ])
  await w.during(Promise.all([...started, ...added, w.flow.start(long, undefined, { id: 'one' })]))
  await w.s.advance(10_000)
  const observer = new Observer(w.s.app, { isWriting: false, user: 'ann' })
  onTestFinished(() => observer.end())
  const words = new FlowWords(w.s.app, plainPaint)
  return { ...w, observer, words }
}

type Rows = { readonly entries: readonly { readonly id?: string; readonly key?: string }[] }
type Paged = Rows & { readonly cursor?: string; readonly steps?: Paged }

test('each list is whole, page by page of 63, as JSON, as a text and on the page', {
  tags: ['slow'],
}, async () => {
  const { during, observer, words } = await world()
  const lists: Readonly<Record<string, (page: object) => Promise<{ readonly text: string }>>> = {
    runs: (page) => words.list('order', page),
    operations: (page) => words.show('long', 'one', page),
    dead: (page) => words.dead('mails', page),
    delayed: (page) => words.jobs('later', { state: 'delayed', ...page }),
  }
  for (const [name, list] of Object.entries(lists)) {
    const found: unknown[] = []
    let next: { readonly cursor?: string } = {}
    do {
      const { text } = await during(list({ limit: 63, json: true, ...next }))
      const { steps, ...whole }: Paged = JSON.parse(text)
      const { entries, cursor } = steps ?? whole
      found.push(...entries.map(({ id, key }) => id ?? key))
      next = cursor === undefined ? {} : { cursor }
    } while (next.cursor !== undefined)
    // A run that waits has its wait as an operation.
    expect([name, new Set(found).size]).toEqual([name, count + Number(name === 'operations')])

    const { text } = await during(list({ limit: 64 }))
    expect([name, text.match(/\n/g)?.length ?? 0]).not.toEqual([name, 0])
    expect(text.split('\n').at(-1)).toMatch(/^more after the cursor \S+$/)
    expect(text).not.toMatch(/undefined|NaN/)
  }

  for (const [look, query] of [
    ['runs', { type: 'order' }],
    ['dead', { queue: 'mails' }],
  ] as const) {
    const found: string[] = []
    let cursor: string | undefined
    do {
      const of = { ...query, ...(cursor !== undefined && { cursor }) }
      const answered = await during(observer.answer({ id: 1, look, query: of }))
      const { data } = (
        answered as unknown as { answer: { data: { rows: { id: string }[]; cursor?: string } } }
      ).answer
      found.push(...data.rows.map(({ id }) => id))
      cursor = data.cursor
    } while (cursor !== undefined)
    expect([look, new Set(found).size, found.length]).toEqual([look, count, count])
  }
})

test('no list at the prompt or the command line has more than 1,000 rows', async () => {
  const w = await flowWorld([order], { queues: [mails] })
  const words = new FlowWords(w.s.app, plainPaint)
  const lists: readonly ((page: object) => Promise<unknown>)[] = [
    (page) => words.list('order', page),
    (page) => words.show('order', 'one', page),
    (page) => words.jobs('mails', page),
    (page) => words.dead('mails', page),
    (page) => words.schedules(page),
  ]
  for (const list of lists)
    await expect(w.during(list({ limit: 1_001 }))).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      details: { path: 'limit' },
    })
  await expect(w.during(words.list('order', { limit: 1_000 }))).resolves.toBeDefined()
})
