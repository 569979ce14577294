/**
 * How long the words of an attached prompt, and a scrape of its metrics, hold up the event loop of an
 * instance with very many live entities: the longest time between two turns while a word runs, and
 * the time until its answer.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import {
  call,
  dynamicSupervisor,
  entity,
  ok,
  reply,
  start,
  startDynamicChild,
  supervisor,
  worker,
} from 'keelson'
import { operations } from 'keelson/operations'
import { isWanted } from './harness/options.mjs'
import { amount, table } from './harness/table.mjs'

export const about =
  'what the words of an attached prompt and a scrape hold up with 100,000 live entities'

/** The promise: no word holds up the loop for longer, in ms. */
const limitMs = 5

const words = [
  '1',
  'ps()',
  'ps({ all: true })',
  'ps({ all: true, after: 50_000 })',
  'top()',
  "top('queue')",
  "top('grown', 500)",
  "top('memory')",
  'tree()',
  "tree('order')",
  "tree('jobs')",
  'entities()',
  "entities('order')",
  "entities('order', { limit: 200 })",
  "entity('order/77')",
  "whereis('order/77')",
  "info('order')",
  "info('order/77')",
  "info('nobody')",
  "info('jobs')",
  'info(50_000)',
  "state('order/77')",
  "call('order/77', 'place', 5)",
  "mailbox('order/77')",
  "state('large')",
  'app',
  'log()',
  'crashes()',
  'health()',
  'wal()',
  'projections()',
  "kill('order/77')",
  'kill(anyJob)',
]

/** A server with much to print, and one of which a dynamic supervisor has very many. */
const large = {
  init: () => Array.from({ length: 200_000 }, (_, at) => ({ at, name: `row ${at}` })),
}
const job = { init: () => 0 }

const order = {
  init: () => ok({ cents: 0 }),
  calls: { place: (state) => reply(state.cents, { cents: state.cents + 1 }) },
}

/** Runs each word several times and prints a line for it; answers all figures. */
export const run = async ({ quick, only, rows = quick ? 10_000 : 100_000, repeats = 5 }) => {
  const dir = mkdtempSync(join(tmpdir(), 'keelson-prompt-'))
  const orders = entity('order', order, { idleMs: 3_600_000 })
  const children = [orders, dynamicSupervisor('jobs', { name: 'jobs' }), worker('large', large)]
  const app = await start({ dir, attach: true, app: supervisor('app', {}, children) })
  try {
    const ref = (at) => app.entity(orders).ref(String(at))
    for (let at = 0; at < rows; at += 1_000) {
      const calls = Array.from({ length: 1_000 }, (_, more) => call(ref(at + more), 'place'))
      await Promise.all(calls)
    }
    for (let at = 0; at < rows / 10; at++)
      await startDynamicChild(app.system.to('jobs'), worker('job', job))
    const ask = await prompt(join(dir, 'attach.sock'))
    await ask("let anyJob = (await import('keelson')).whichChildren(app.system.to('jobs'))")
    await ask('anyJob = (await anyJob)[0].ref')
    const results = []
    for (const word of words.filter((each) => isWanted(only, each)))
      results.push(await observed(word, ask, repeats))
    if (isWanted(only, '/metrics')) results.push(await observed('/metrics', scrape(app), repeats))
    const head = ['', 'longest hold', 'median', 'answer', '']
    console.log(
      `${amount(rows)} live entities, a tenth as many other processes; milliseconds, of ${repeats} times each`,
    )
    console.log(table([head, ...results.map(row)]))
    return results
  } finally {
    await app.close()
    rmSync(dir, { recursive: true, force: true })
  }
}

const row = ({ word, holds, tookMs }) => [
  word,
  ...[Math.max(...holds), median(holds), median(tookMs)].map((value) => value.toFixed(1)),
  Math.max(...holds) <= limitMs ? 'kept' : `over ${limitMs} ms`,
]

const median = (values) => values.toSorted((left, right) => left - right)[values.length >> 1]

/** A prompt that is attached: asks a line, and resolves with its answer. */
const prompt = async (path) => {
  const socket = connect(path)
  const answers = createInterface({ input: socket })[Symbol.asyncIterator]()
  const { protocol, version } = JSON.parse((await answers.next()).value)
  const say = (message) => socket.write(`${JSON.stringify(message)}\n`)
  say({ protocol, version, colours: false, verbose: false })
  let id = 0
  return async (run) => {
    say({ id: ++id, run })
    for (;;) {
      const answer = JSON.parse((await answers.next()).value)
      if (answer.id === id) return answer.text
    }
  }
}

/** A scrape of an instance. */
const scrape = (app) => {
  const handler = operations(app)
  return (url) =>
    new Promise((resolve) => {
      handler({ url, headers: {} }, { writeHead: () => undefined, end: resolve })
    })
}

const observed = async (word, ask, repeats) => {
  const [holds, tookMs] = [[], []]
  for (let at = 0; at < repeats; at++) {
    let [longest, last, isOver] = [0, performance.now(), false]
    const turn = () => {
      const now = performance.now()
      longest = Math.max(longest, now - last)
      last = now
      if (!isOver) setImmediate(turn)
    }
    turn()
    const began = performance.now()
    await ask(word)
    tookMs.push(performance.now() - began)
    isOver = true
    holds.push(longest)
  }
  return { word, holds, tookMs }
}
