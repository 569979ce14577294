/** The sessions of docs/repl.md, typed again: a prompt answers as the page says, but for figures. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { assign, setup } from 'xstate'
import {
  flow,
  flows,
  queue,
  type Scheduled,
  schedule,
  type Workflow,
  workflow,
} from '../../../src/flow/index.ts'
import {
  type App,
  type AppNode,
  createSystem,
  type DurableServer,
  entity,
  type GenServer,
  noReply,
  ok,
  reply,
  supervisor,
  worker,
} from '../../../src/index.ts'
import { promptWords } from '../../../src/inspect/prompt/prompt-words.ts'
import { LocalSession } from '../../../src/inspect/prompt/session.ts'
import { recordsOf } from '../../../src/inspect/recorder/recorder.ts'
import { plainPaint } from '../../../src/inspect/text/paint.ts'
import { StateMachine } from '../../../src/runtime/state-machine/state-machine.ts'
import { silentLogger } from '../../../src/testing/kit/captured-log.ts'
import { machine } from '../../support/worlds/simulated-instance.ts'

type Messages = {
  calls: { add: (by: number) => number; get: () => number }
  casts: { add: (by: number) => void }
}
const add = ({ count }: { readonly count: number }, by: number) => {
  if (by < 0) throw new Error('no more')
  return { count: count + by }
}
const counter: GenServer<Messages, { readonly count: number }> = {
  init: () => ({ count: 0 }),
  calls: {
    add: (state, by) => reply(add(state, by).count, add(state, by)),
    get: (state) => reply(state.count, state),
  },
  casts: { add: (state, by) => noReply(add(state, by)) },
}

/** What happens before the session of a section, in other prompts. */
const before: Readonly<Record<string, readonly string[]>> = {
  'info(p)': ["call(counter, 'add', 0)"],
  'mailbox(p)': [
    'suspend(counter)',
    "void call(counter, 'add', 2).catch(() => undefined)",
    "cast(counter, 'add', 5)",
  ],
  'state(p)': ['resume(counter)', 'kill(counter)'],
  'crashes(), log(n)': ["call(counter, 'add', -1).catch(() => undefined)"],
}

const order: DurableServer<
  {
    calls: { place: (order: { cents: number }) => string }
    continues: { charge: () => void }
    alarms: { unpaid: () => void }
  },
  { readonly cents: number; readonly status: string } | undefined
> = {
  init: () => ok(undefined),
  calls: {
    place: (_, { cents }, context) => {
      context.setAlarm('unpaid', { inMs: 15 * 60_000 })
      return reply('placed', { cents, status: 'placed' }, { continue: ['charge'] })
    },
  },
  continues: {
    charge: (state) => {
      if (state?.cents === 995) throw new Error('the bank is away')
      return noReply(state && { ...state, status: 'paid' })
    },
  },
  alarms: { unpaid: (state) => noReply(state && { ...state, status: 'cancelled' }) },
  index: (state) => ({ status: state?.status }),
}

const ticket = setup({
  types: {
    context: {} as { by?: string },
    events: {} as { type: 'TAKE'; by: string } | { type: 'CLOSE' },
  },
  guards: { isPaid: () => false },
}).createMachine({
  id: 'ticket',
  context: {},
  initial: 'open',
  states: {
    open: { on: { TAKE: { target: 'taken', actions: assign({ by: ({ event }) => event.by }) } } },
    taken: { on: { CLOSE: { guard: 'isPaid', target: 'closed' } }, after: { 60000: 'open' } },
    closed: { type: 'final' },
  },
})

/** A bank that does not say whether it has paid: the run of order 42 is blocked when its step begins anew. */
const sale = workflow('order', async (ctx) => {
  await ctx.step('charge', () => new Promise(() => undefined), { repeat: 'once' })
})
const mails = queue('mails', async () => undefined)
const daily = schedule('daily', '0 9 * * *', sale as Workflow<Scheduled>)
const zone = 'Europe/Berlin'

const orders = entity('order', order)
const counted = worker('counter', counter, { restart: 'permanent' })
const place = (id: number, cents: number) =>
  `await call('order/${id}', 'place', { cents: ${cents} }, { id: 'request-7' })`
const placed = [place(41, 500), "app.entity('order').stop('41')", place(42, 995)]

/** The sessions with other trees, and what happens before them. */
const others: Readonly<Record<string, Other>> = {
  'entities(kind), entity(name)': { children: [orders], before: [...placed, 1_500] },
  'history(kind, id), diff(kind, id, lsn, lsn2)': {
    children: [orders],
    before: [...placed, 1_500],
  },
  'top(by, rows)': {
    children: [counted],
    before: [
      'top()',
      "for (let at = 0; at < 2_000; at++) { cast(counter, 'add', 1); if (at % 20 === 0) await store.put('k', at) }",
      4_200,
    ],
    between: ['suspend(counter)', "for (let at = 0; at < 12; at++) cast(counter, 'add', 1)", 1_100],
  },
  'machine(p), event(p, event)': {
    children: [entity('ticket', StateMachine.durable(ticket))],
    before: [],
  },
  'health()': {
    children: [orders, counted],
    before: [
      ...placed,
      1_500,
      ...Array(12).fill("call(counter, 'add', -1).catch(() => undefined)"),
      310,
    ],
  },
  flow: {
    children: [flows({ workflows: [sale], queues: [mails], schedules: [daily] })],
    before: [
      ...[(app: App) => flow(app).start(sale, {}, { id: '42' }), 10, "kill('$flow-order/42')"],
      (app) => flow(app).schedules.create('digest-eve', '0 8 * * 1', sale, { zone, input: 'eve' }),
      ...[10, "flow.pause('digest-eve')", 1_000],
    ],
  },
}
/** A line of another prompt, milliseconds that pass, or what the program does. */
type Happening = string | number | ((app: App) => Promise<unknown>)
type Other = {
  readonly children: readonly AppNode[]
  readonly before: readonly Happening[]
  readonly between?: readonly Happening[]
}

const sections = readFileSync('docs/repl.md', 'utf8')
  .split(/^## /m)
  .flatMap((section) => {
    const [title = ''] = section.split('\n')
    const [, session] = /```\n(keelson> .*?)\n```/s.exec(section) ?? []
    // The test of `help` compares it whole.
    return session === undefined || title.startsWith('app, help') ? [] : [{ title, session }]
  })

/** The lines of a session with what each one printed. */
const typed = (session: string): { readonly line: string; readonly printed: string }[] =>
  session
    .split(/^keelson> /m)
    .slice(1)
    .map((part) => {
      const [line = '', ...printed] = part.trimEnd().split('\n')
      return { line, printed: printed.join('\n') }
    })

/** A text without its figures: times, numbers, identities, widths of columns, and work of the disk. */
const shape = (text: string): string =>
  text
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME')
    .replace(/\b(?:[0-9a-f]{32}|[0-9a-f]{16})\b/g, 'ID')
    .replace(/\d[\d,.]*( [kMG]?B)?/g, 'N')
    .replace(/N \(N\)/g, 'N')
    .replace(', one being made', '')
    .replace(/^disk .*\n/m, '')
    .replace(/(?<=^ +)at .*$/gm, 'at FRAME')
    .replace(/ +/g, ' ')

const startedSession = async (children: readonly AppNode[]) => {
  const world = machine()
  const system = createSystem({ clock: world.clock, logger: silentLogger })
  recordsOf(system)
  const app = await world.start({ app: supervisor('app', { intensity: 20 }, children), system })
  const words = promptWords(app, plainPaint)
  const session = new LocalSession({ words, colours: false, verbose: false, completions: () => [] })
  let shown = ''
  /** Runs a line, and returns what is printed until its end. */
  const run = async (line: string): Promise<string> => {
    shown = ''
    const show = (more: unknown) => (shown += `${more}\n`)
    const { text, feed } = await world.during(session.run(line))
    feed?.show(show)
    return `${shown}${text}`
  }
  const pass = (ms: number) =>
    world.during(
      new Promise((resolve) => void world.clock.after(ms, () => resolve(undefined))),
      ms + 1,
    )
  /** What happens in other prompts, in the program, and in time. */
  const prepare = async (happenings: readonly Happening[] = []) => {
    for (const happening of happenings)
      if (typeof happening === 'string') await run(happening)
      else if (typeof happening === 'number') await pass(happening)
      else await world.during(happening(app))
  }
  return { run, prepare }
}

const expectPrinted = (answer: string, printed: string, line: string): void => {
  const [head, rest] = printed.split('…\n')
  if (head === '' && rest !== undefined)
    expect(shape(answer).endsWith(shape(rest)), line).toBe(true)
  else expect(shape(answer), line).toBe(shape(printed))
}

test('every session of the page with the tree of the configuration prints what the page says', async () => {
  const { run, prepare } = await startedSession([worker('counter', counter)])
  const own = sections.filter(({ title }) => others[title] === undefined)
  expect(own.length).toBeGreaterThan(11)
  for (const { title, session } of own) {
    await prepare(before[title])
    for (const { line, printed } of typed(session)) expectPrinted(await run(line), printed, line)
  }
})

test.each(Object.keys(others))(
  'the session of %s with another tree prints what the page says',
  async (title) => {
    const { children, before, between } = others[title] as Other
    const { run, prepare } = await startedSession(children)
    await prepare(before)
    const session = sections.find((section) => section.title === title)?.session ?? ''
    for (const [at, { line, printed }] of typed(session).entries()) {
      if (at === 1) await prepare(between)
      expectPrinted(await run(line), printed, line)
    }
    expect.assertions(typed(session).length)
  },
)
