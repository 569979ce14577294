/**
 * A secret, under `formatStatus` or in a field with the name of one, is in no byte of the prompt and
 * of the log. The words come from the prompt itself: a new one without a line here fails.
 */
import { Writable } from 'node:stream'
import { inspect } from 'node:util'
import { beforeEach, describe, expect, test } from 'vitest'
import { setup } from 'xstate'
import { type Ctx, flow, flows, queue, workflow } from '../../../src/flow/index.ts'
import { createSystem, entity, supervisor, worker } from '../../../src/index.ts'
import { FlowWords } from '../../../src/inspect/prompt/flow-words.ts'
import { promptWords } from '../../../src/inspect/prompt/prompt-words.ts'
import { LocalSession } from '../../../src/inspect/prompt/session.ts'
import { ShownValues } from '../../../src/inspect/prompt/shown-values.ts'
import { recordsOf } from '../../../src/inspect/recorder/recorder.ts'
import { plainPaint } from '../../../src/inspect/text/paint.ts'
import { jsonLogger, textLogger } from '../../../src/runtime/index.ts'
import { StateMachine } from '../../../src/runtime/state-machine/state-machine.ts'
import type { App } from '../../../src/supervisors/index.ts'
import {
  account,
  canary,
  debt,
  fail,
  hiding,
  login,
  named,
  open,
  recorded,
  secrets,
  torn,
  vault,
} from '../../support/worlds/secret-actors.ts'
import { machine } from '../../support/worlds/simulated-instance.ts'

const gate = setup({}).createMachine({
  id: 'gate',
  context: named,
  initial: 'shut',
  states: { shut: { on: { PUSH: 'open' } }, open: {} },
})

const order = workflow('order', async (ctx: Ctx, item: typeof named) => {
  ctx.report(item)
  await ctx.step('reserve', () => item)
  throw Object.assign(new Error('refused'), item)
})
const mails = queue('mails', (job: typeof named) => fail(job), { retry: { max: 1 } })

const tree = supervisor('app', { intensity: 1_000 }, [
  worker('open', open, { arg: { apiKey: canary } }),
  worker('vault', vault),
  worker('torn', { ...vault, ...torn }),
  entity('acct', { ...account, ...hiding }),
  entity('rent', { ...account, ...torn }),
  entity('tornDebt', { ...debt, ...torn }),
  entity('login', login),
  entity('debt', debt),
  worker('gate', StateMachine.server(gate)),
  entity('door', StateMachine.durable(gate)),
  flows({ workflows: [order], queues: [mails] }),
])

let app: App
let log: string
let session: LocalSession
let shown: ShownValues
let during: ReturnType<typeof machine>['during']

/** Runs the lines, and returns all that is printed. */
const ask = async (...lines: string[]): Promise<string> => {
  const printed: string[] = []
  for (const line of lines.flatMap((each) => each.split('\n'))) {
    const { text, feed } = await during(session.run(line))
    printed.push(String(text))
    feed?.show((more) => printed.push(more))
  }
  await during(Promise.resolve())
  return printed.join('\n')
}

beforeEach(async () => {
  const world = machine()
  during = world.during
  log = ''
  const write = (line: string): void => {
    log += `${line}\n`
  }
  const stream = new Writable({
    write: (chunk, _, done) => {
      write(String(chunk))
      done()
    },
  })
  const loggers = [textLogger(world.clock, write), jsonLogger({ stream, clock: world.clock })]
  const each =
    (level: 'error' | 'warn' | 'info') =>
    (...line: [string, Record<string, unknown>?]): void => {
      for (const logger of loggers) logger[level](...line)
    }
  const logger = { error: each('error'), warn: each('warn'), info: each('info') }
  const system = createSystem({ clock: world.clock, logger })
  recordsOf(system)
  app = await world.start({ app: tree, system })
  shown = new ShownValues()
  session = new LocalSession({
    words: promptWords(app, plainPaint, app.control, shown),
    colours: false,
    verbose: true,
    completions: () => [],
  })
  await during(app.store.put('user:1', named))
  await during(app.store.putFields('user:2', [['password', canary]]))
  await during(app.journal.append({ id: 'e', type: 'order', command: named, response: named }))
  const run = await during(flow(app).start(order, named, { id: '1' }))
  await during(run.result().catch(() => undefined))
  await during(flow(app).add(mails, named))
  await during(flow(app).schedules.create('mine', '@daily', order, { input: named }))
  await during(app.streams.open('talk').append(named))
  for (const process of ['open', 'vault', 'torn', 'acct/1', 'rent/1', 'login/1'])
    await ask(`call('${process}', 'ask', ${JSON.stringify(named)})`)
})

const processes = ["'open'", "'vault'", "'torn'", "'acct/1'", "'rent/1'", "'login/1'"]
/** A line about each process, with a payload whose secrets it hides. */
const ofEach = (line: (process: string, payload: string) => string): string[] =>
  processes.map((process) =>
    line(process, JSON.stringify(/vault|torn|acct|rent/.test(process) ? secrets : named)),
  )
const payload = JSON.stringify(named)

/** What each word is asked for. */
const asked: Readonly<Record<string, readonly string[]>> = {
  tree: ['tree()', "tree('acct')"],
  streams: ['streams()', "streams('talk')"],
  stream: ["stream('talk')"],
  tail: ["tail('talk')"],
  ps: ['ps()', 'ps({ all: true })'],
  entities: ['entities()', "entities('acct')", "entities('login')"],
  entity: ["entity('acct', '1')", "entity('login/1')"],
  history: ["history('acct/1')", "history('login/1')", '_', "history('acct', '1', { atLsn: 9 })"],
  diff: ["diff('acct/1', 1, 99)", "diff('login/1', 1, 99)", "diff('login/1', 5, 9)"],
  whereis: ofEach((process) => `whereis(${process})`),
  mailbox: ofEach((process, payload) =>
    [
      `suspend(${process})`,
      `cast(${process}, 'fail', ${payload})`,
      `mailbox(${process})`,
      `kill(${process})`,
    ].join('\n'),
  ),
  machine: ["machine('gate')", "event('door/1', 'PUSH')", "machine('door/1')", "machine('door/2')"],
  event: ['gate', 'door/1'].flatMap((process) => [
    `event('${process}', { type: 'PUSH', ...${payload} })`,
    `event('${process}', { type: 'PULL', ...${payload} })`,
  ]),
  top: ['top()'],
  info: ofEach((process) => `info(${process})`),
  state: [
    ...ofEach((process) => `state(${process})`),
    "[await state('vault')]",
    "({ a: await state('acct/1') })",
  ],
  trace: ofEach((process, payload) =>
    [
      `trace(${process}, 20)`,
      `call(${process}, 'ask', ${payload})`,
      `call(${process}, 'word', ${payload})`,
    ].join('\n'),
  ),
  call: ofEach((process, payload) =>
    [
      `call(${process}, 'ask', ${payload})`,
      `const reply = await call(${process}, 'ask')`,
      '[reply, { reply }]',
      `call(${process}, 'word')`,
      `call(${process}, 'fail', ${payload})`,
      `call(${process}, 'leave', ${payload})`,
      `call(${process}, 'hang', ${payload}, { timeoutMs: 5 })`,
      `kill(${process})`,
    ].join('\n'),
  ),
  cast: ofEach((process, payload) => `cast(${process}, 'fail', ${payload})`),
  send: ofEach((process, payload) => `send(${process}, 'news', ${payload})`),
  suspend: ofEach((process) => `suspend(${process})`),
  resume: ofEach((process) => `resume(${process})`),
  kill: ofEach((process) => `kill(${process})`),
  store: [
    'store',
    "store.get('user:1')",
    "store.fields('user:2')",
    'store.range()',
    "store.getMany(['user:1'])",
    `store.put('a', 1, ${payload})`,
    `store.lock(['a'], ${payload})`,
  ],
  app: [
    'app',
    '({ app })',
    "app.entity('acct').state('1')",
    "app.entity('login').state('1')",
    "app.entity('acct').list()",
    "app.entity('login').list()",
    "app.entity('acct')",
    "app.store.get('user:1')",
    'for await (const entry of app.journal.entries({ from: 0 })) globalThis.entry = entry',
    'globalThis.entry',
    'app.system.processes()',
  ],
  control: ['control', 'control.suspend(0)', 'control.resumeAll()'],
  table: ['table'],
  flow: [
    'flow',
    ...[
      'list()',
      "list('order')",
      "show('order', '1')",
      "show('mails')",
      "jobs('mails')",
      "dead('mails')",
      "job('mails', '1')",
    ].flatMap((call) => [`flow.${call}`, `flow.${call.replace(')', ', { json: true })')}`]),
    `flow.signal('order', '1', 'go', ${payload})`,
    `flow.settle('order', '1', 'reserve', { value: ${payload} })`,
    "flow.retry('order', '1')",
    "flow.cancel('order', '1')",
    "flow.fork('order', '1', { from: 'reserve', id: '2' })",
    "flow.undo('order', '1')",
    "flow.remove('mails', '1')",
    "flow.pause('mails')",
    "flow.resume('mails')",
    "flow.limits('mails')",
    `flow.limits('mails', { concurrency: 2, rate: ${payload} })`,
    ...['flow.schedules()', 'flow.schedules({ json: true })', "flow.trigger('mine')"],
    "flow.unschedule('mine')",
    `flow.start('order', ${payload}, { id: '9' })`,
    `flow.add('mails', ${payload})`,
    "app.entity('$flow-order').state('1')",
  ],
  batcher: ['batcher', 'batcher.windows()', 'batcher.changes()'],
  backup: ['backup(5)', `backup('/b', ${payload})`],
  wal: ['wal()'],
  journal: ['journal()'],
  projections: ['projections()'],
  cluster: ['cluster()'],
  replication: ['replication()'],
  health: ['health()', '({ health: health() })'],
  crashes: [
    ...ofEach((process, payload) => `call(${process}, 'fail', ${payload})\ncrashes(${process})`),
    'crashes()',
    'health()',
  ],
  judge: ['judge()', 'health()'],
  rehearsal: ['rehearsal()', `rehearsal(${payload})`],
  log: [
    ...ofEach((process, payload) => `cast(${process}, 'fail', ${payload})`),
    ...ofEach((process, payload) => `send(${process}, 'news', ${payload})`),
    'log()',
    'log(500)',
  ],
  help: ['help', 'help()'],
  h: ['h()', 'h(store)', 'h(app)', `h(${payload})`],
  ...Object.fromEntries(
    ['blob_store', 'wal_writer', 'applier', 'lmdb_writer', 'shard', 'followers'].map((part) => [
      part,
      [part, `state(${part}(0))`, `info(${part}(0))`],
    ]),
  ),
}

/** Words that are only the names of processes. */
const names = [
  '$batches',
  'alarms',
  'expirer',
  'keelson',
  'registry',
  'services',
  'shards',
  'snapshotter',
]
const own = [
  'acct',
  'debt',
  'door',
  'flows',
  'gate',
  'login',
  'open',
  'rent',
  'torn',
  'tornDebt',
  'vault',
]

test('every word of the prompt is asked', () => {
  const words = Object.keys(promptWords(app, plainPaint))
  expect(words.filter((word) => ![...names, ...own].includes(word)).sort()).toEqual(
    Object.keys(asked).sort(),
  )
})

test('and so is every word of flow', () => {
  const words = Object.getOwnPropertyNames(FlowWords.prototype)
  const unasked = words.filter((word) => !String(asked.flow).includes(`flow.${word}(`))
  expect(unasked).toEqual(['constructor'])
})

test.each(Object.entries(asked))(
  '%s prints no secret, and logs none',
  { tags: ['O1'] },
  async (_, lines) => {
    const text = await ask(...lines)
    await during(new Promise<void>((resolve) => void app.system.clock.after(50, resolve)))
    expect(text.split('\n').filter((line) => line.includes(canary))).toEqual([])
    expect(log.split('\n').filter((line) => line.includes(canary))).toEqual([])
    expect(recorded(app.system).filter((text) => text.includes(canary))).toEqual([])
  },
)

test.each([...names, ...own])('%s, a process, neither', async (name) => {
  expect(await ask(name, `info('${name}')`, `state('${name}')`)).not.toContain(canary)
})

test('the error of a failed step or alarm is the one that formatStatus shows, everywhere', {
  tags: ['O1'],
}, async () => {
  const told: unknown[] = []
  app.system.events.on('entity.failed', ({ error }) => told.push(error))
  app.system.events.on('entity.parked', ({ error }) => told.push(error))
  const texts: string[] = [await ask("call('debt/1', 'owe')", "call('tornDebt/1', 'owe')")]
  for (let each = 0; each < 2; each++) {
    texts.push(
      await ask("entity('debt/1')", "entity('tornDebt/1')", 'health()', 'crashes()', 'log()'),
    )
    texts.push(inspect(app.health(), { depth: 9 }), ...recorded(app.system))
    await during(new Promise<void>((resolve) => void app.system.clock.after(5_000, resolve)), 9_000)
  }
  expect(texts.join('\n')).toContain('charge failed at try 1')
  expect(texts.join('\n')).toMatch(/charge .*, failed 2 times \(Error: a secret error\), is parked/)
  expect([...texts, log, inspect(told)].filter((text) => text.includes(canary))).toEqual([])
  expect(texts.join('\n')).toMatch(
    /charge .*, failed 2 times \(Error: formatStatus failed\), is parked/,
  )
  expect(told).toHaveLength(12)
})

test('no part of the app prints one, called or not', async () => {
  const parts = new Set<string>()
  for (let from: object = app; from !== Object.prototype; from = Object.getPrototypeOf(from))
    for (const name of Object.getOwnPropertyNames(from)) parts.add(name)
  for (const name of ['close', 'closed', 'constructor']) parts.delete(name)
  const lines = [...parts].flatMap((name) => [`app.${name}`, `app.${name}('x')`])
  expect(lines.length).toBeGreaterThan(40)
  expect(await ask(...lines)).not.toContain(canary)
})

describe('what is hidden', () => {
  test('is told by type and length, and the rest is shown', async () => {
    expect(await ask("store.get('user:1')")).toBe(
      "{ user: 'ada', password: '[hidden string of 7]' }",
    )
    expect(await ask("state('vault')")).toBe("{ number: '…' }")
    expect(await ask("app.entity('acct').state('1')")).toBe("{ number: '…' }")
    expect(await ask("call('vault', 'word')")).toBe('[hidden string of 7]')
  })

  test('is there for code: what is read may be written back', async () => {
    await ask("const { user, ...rest } = await store.get('user:1')")
    await ask("await store.put('user:3', { user: 'grace', ...rest })")
    expect(app.store.get('user:3')).toEqual({ user: 'grace', password: canary })
    await ask("await store.put('user:4', app.entity('acct').state('1'))")
    expect(app.store.get('user:4')).toMatchObject(secrets)
  })

  test('is in the crash report, the line of a restart and the trace as what may be seen', async () => {
    await ask(`call('open', 'fail', ${payload})`, `call('vault', 'fail', ${payload})`)
    expect(log).toContain('last message: call fail {user: "ada", password: "[hidden string of 7]"}')
    expect(log).toContain('vault ended: a secret')
  })
})
