/**
 * How long the words of an attached prompt, and the requests of what watches an instance, hold up its
 * event loop, with very many live entities: the longest hold, and the longest that is the work of our
 * code (`own`), without collections of V8 and without waits for a processor.
 */
import { rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { operations } from 'keelson/operations'
import { holdWatch } from './harness/holds.mjs'
import { isWanted } from './harness/options.mjs'
import { amount, table } from './harness/table.mjs'
import { startLarge } from './prompt/instance.mjs'
import { median } from './wal/turns.mjs'

export const about =
  'what the words of an attached prompt and a scrape hold up with 100,000 live entities'

/** The promise: no word holds up the loop for longer, in ms. */
const limitMs = 5

/** Where a backup goes: its second copy has only what is new. */
const backupDir = join(tmpdir(), `keelson-prompt-backup-${process.pid}`)

/** What is typed, each at the instance that the lines before have left. */
const lines = [
  '1',
  'tree()',
  "tree('order')",
  "tree('jobs')",
  'ps()',
  'ps({ all: true })',
  'ps({ all: true, after: middle })',
  'entities()',
  "entities('order')",
  "entities('order', { limit: 200 })",
  "entity('order/77')",
  "history('order/80')",
  "diff('order/80', past[1], past[0])",
  'top()',
  "top('queue')",
  "top('grown', 500)",
  "top('memory')",
  "top('memory', 500)",
  "whereis('order/77')",
  "info('order')",
  "info('order/77')",
  "info('nobody')",
  "info('jobs')",
  'info(middle)',
  'info(last)',
  "state('order/77')",
  "state('large')",
  "mailbox('order/77')",
  "machine('door')",
  "trace('order/78', 5)",
  "trace('order/78', 0)",
  "suspend('order/78')",
  "resume('order/78')",
  "call('order/77', 'place', 5)",
  'cast(anyJob, "note", 1)',
  'send(anyJob, "tick", 1)',
  "event('door', 'push')",
  "store.put('key', 'value')",
  "store.range({ prefix: 'k' })",
  'flow.list()',
  "flow.show('mails')",
  'control.flushAll()',
  'batcher.windows()',
  'wal()',
  'journal()',
  'projections()',
  'replication()',
  'health()',
  'crashes()',
  "crashes('nobody')",
  'log()',
  'app',
  '_',
  'help',
  "h('app')",
  "call('order/79', 'place').then(() => kill('order/79'))",
  'kill(jobs.pop())',
  `backup('${backupDir}')`,
]

/** The words of the list of `help` that no line has: they end the prompt, or are the terminal's. */
const without = ['clear', 'exit', 'quit']

/** Runs each several times and prints a line for it; answers all figures. */
export const run = async ({ quick, only, rows = quick ? 10_000 : 100_000, repeats = 5 }) => {
  const { app, dir, close } = await startLarge(rows)
  const watch = holdWatch()
  try {
    const { ask, complete } = await prompt(join(dir, 'attach.sock'))
    await ask("const children = (await import('keelson')).whichChildren(app.system.to('jobs'))")
    await ask('const jobs = (await children).map(({ ref }) => ref)')
    await ask('const anyJob = jobs[0], last = anyJob.pid, middle = last >> 1')
    await ask("await call('order/80', 'place')")
    await ask("const past = (await app.entity('order').history('80')).turns.map(({ lsn }) => lsn)")
    await refuseMissing(ask)
    const http = requester(app)
    const works = {
      ...Object.fromEntries(lines.map((line) => [line, () => ask(line)])),
      'Tab after info(': () => complete('info('),
      'an opened prompt': async () => (await prompt(join(dir, 'attach.sock'))).close(),
      'GET /health': () => http('/health'),
      'GET /ready': () => http('/ready'),
      'GET /metrics': () => http('/metrics'),
      'ps(), tree() and GET /metrics at once': () =>
        Promise.all([ask('ps()'), ask('tree()'), http('/metrics')]),
    }
    const results = []
    for (const [title, work] of Object.entries(works).filter(([each]) => isWanted(only, each))) {
      const found = []
      for (let at = 0; at < repeats; at++) found.push(await watch.during(work))
      results.push(resultOf(title, found))
    }
    console.log(
      `${amount(rows)} live entities, a tenth as many other processes; milliseconds, of ${repeats} times each`,
    )
    console.log(table([head, ...results.map(row)]))
    return results
  } finally {
    watch.stop()
    await close()
    rmSync(backupDir, { recursive: true, force: true })
  }
}

/** A word that was added to the prompt needs a line here too. */
const refuseMissing = async (ask) => {
  const usages = (await ask('help')).split('\n\n')[0].split('\n')
  const words = usages.flatMap((line) =>
    line
      .split('  ')[0]
      .replace(/\(.*?\)/g, '')
      .split(', '),
  )
  const typed = new Set(lines.flatMap((line) => line.match(/^[a-z_]+/) ?? []))
  const missing = words.filter((word) => !typed.has(word) && !without.includes(word))
  if (missing.length > 0) throw new Error(`no line has the words ${missing.join(', ')}`)
}

const head = ['', 'longest hold', 'collected', 'waited', 'own', 'median own', 'answer', '']

const resultOf = (title, found) => {
  const most = (key) => Math.max(...found.map((each) => each[key]))
  const middle = (key) => median(found.map((each) => each[key]))
  const [hold, collected, waited, own] = ['hold', 'collected', 'waited', 'own'].map(most)
  return { title, hold, collected, waited, own, ownMedian: middle('own'), tookMs: middle('tookMs') }
}

const row = ({ title, hold, collected, waited, own, ownMedian, tookMs }) => [
  title,
  ...[hold, collected, waited, own, ownMedian, tookMs].map((value) => value.toFixed(1)),
  hold <= limitMs ? 'kept' : own <= limitMs ? 'own kept' : 'over',
]

/** A prompt that is attached: `ask` runs a line, and resolves with its answer. */
const prompt = async (path) => {
  const socket = connect(path)
  const answers = createInterface({ input: socket })
  const waiting = new Map()
  const greeted = new Promise((resolve) => waiting.set(undefined, resolve))
  answers.on('line', (line) => {
    const answer = JSON.parse(line)
    waiting.get(answer.id)?.(answer)
  })
  const { protocol, version } = await greeted
  const say = (message) => socket.write(`${JSON.stringify(message)}\n`)
  say({ protocol, version, colours: false, verbose: false })
  let last = 0
  const asked = (request) => {
    const id = ++last
    say({ id, ...request })
    return new Promise((resolve) => waiting.set(id, resolve))
  }
  const ask = async (run) => {
    const { text, hasFailed } = await asked({ run })
    if (hasFailed && !run.includes('nobody')) throw new Error(`${run}: ${text}`)
    return text
  }
  return { ask, complete: (complete) => asked({ complete }), close: () => socket.destroy() }
}

/** Asks the handler of an instance. */
const requester = (app) => {
  const handler = operations(app)
  return (url) =>
    new Promise((resolve) => {
      handler({ url, headers: {} }, { writeHead: () => undefined, end: resolve })
    })
}
