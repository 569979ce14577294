/**
 * The cost of one viewer of the page at an instance with very many live entities: how long each view
 * holds up the event loop, and how much more processor time a turn of a durable actor takes while a
 * view is asked for each second. The server of the page is another process; only the instance counts.
 */
import { connect } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { call } from 'keelson'
import { holdWatch } from './harness/holds.mjs'
import { isWanted } from './harness/options.mjs'
import { amount, table } from './harness/table.mjs'
import { startLarge } from './prompt/instance.mjs'
import { median } from './wal/turns.mjs'

export const about =
  'what one viewer of keelson observe costs an instance with 100,000 live entities'

/** The promises: no stall above, in ms, and so much more processor time at most. */
const holdMax = 10
const shareMax = 0.05

const views = {
  header: {},
  overview: {},
  tree: {},
  processes: { order: 'rate' },
  process: { pid: '5' },
  entities: {},
  kind: { kind: 'order' },
  entity: { kind: 'order', id: '77' },
  flows: {},
  store: {},
  storage: {},
  replication: {},
  log: {},
}

/** A window of work, in ms, and how many calls are under way in it. */
const windowMs = 2_000
const underWay = 64

/** Measures each view and prints a line for it; answers all figures. */
export const run = async ({ quick, only, rows = quick ? 10_000 : 100_000, repeats = 5 }) => {
  const { app, dir, close } = await startLarge(rows)
  const watch = holdWatch()
  const ask = await observing(join(dir, 'attach.sock'))
  const turns = worker(app, rows)
  const results = []
  try {
    await turns()
    for (const [view, query] of Object.entries(views).filter(([each]) => isWanted(only, each))) {
      const holds = []
      for (let at = 0; at < repeats; at++) holds.push(await watch.during(() => ask(view, query)))
      const shares = []
      for (let at = 0; at < repeats; at++) shares.push(await share(turns, () => ask(view, query)))
      results.push({
        ...{ view, share: median(shares) },
        hold: Math.max(...holds.map(({ hold }) => hold)),
        own: Math.max(...holds.map(({ own }) => own)),
        tookMs: median(holds.map(({ tookMs }) => tookMs)),
      })
    }
    console.log(`${amount(rows)} live entities, of ${repeats} times each`)
    console.log(table([head, ...results.map(row)]))
    return results
  } finally {
    watch.stop()
    await close()
  }
}

const head = ['', 'longest hold ms', 'own ms', 'answer ms', 'cost of a turn', '']

const row = ({ view, hold, own, tookMs, share }) => [
  view,
  ...[hold, own, tookMs].map((value) => value.toFixed(1)),
  `${share < 0 ? '' : '+'}${(share * 100).toFixed(1)} %`,
  own <= holdMax && share <= shareMax ? 'kept' : 'over',
]

/** How much more a turn costs with a viewer who asks each second, between two windows without one. */
const share = async (turns, look) => {
  const before = await turns()
  const asking = setInterval(look, 1_000)
  look()
  const watched = await turns()
  clearInterval(asking)
  const after = await turns()
  return watched / ((before + after) / 2) - 1
}

/** Calls entities for some seconds; answers the processor time of a turn, in µs. */
const worker = (app, rows) => {
  let at = 0
  return async () => {
    const end = performance.now() + windowMs
    const [began, first] = [process.cpuUsage(), at]
    const caller = async () => {
      while (performance.now() < end)
        await call(app.entity('order').ref(String(at++ % rows)), 'place')
    }
    await Promise.all(Array.from({ length: underWay }, caller))
    const { user, system } = process.cpuUsage(began)
    return (user + system) / (at - first)
  }
}

/** A session that looks: `ask` resolves with the answer of a view. */
const observing = async (path) => {
  const socket = connect(path)
  const waiting = new Map()
  const greeted = new Promise((resolve) => waiting.set(undefined, resolve))
  createInterface({ input: socket }).on('line', (line) => {
    const told = JSON.parse(line)
    waiting.get(told.id)?.(told)
    waiting.delete(told.id)
  })
  const { protocol, version } = await greeted
  const say = (message) => socket.write(`${JSON.stringify(message)}\n`)
  say({ protocol, version, colours: false, verbose: false, observe: { write: false, user: '' } })
  let last = 0
  return async (look, query) => {
    const id = ++last
    say({ id, look, query })
    const { answer, refusal } = await new Promise((resolve) => waiting.set(id, resolve))
    if (refusal) throw new Error(`${look}: ${refusal.code}: ${refusal.message}`)
    return answer
  }
}
