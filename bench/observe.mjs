/**
 * The cost of one viewer of the page at an instance with very many live entities, a sound and a
 * troubled one. The server of the page is another process; only the instance counts. It has two parts:
 *
 * - What a turn or a call costs while somebody looks, for it is measured then: short turns with and
 *   without a session alternate, in an order that changes. A ratio is the median of those of the
 *   pairs, with its standard error. The ratio of two runs without a session shows what chance does.
 * - The looks themselves, one a second: the CPU time of the main thread in a second without other
 *   work, less that without a session. It is the median of the seconds, for a collection of the old
 *   generation is in one of them; of answers that are kept for a while the mean of whole periods.
 *
 * The cost of a view is the sum of both. The holds are those of looks in
 * new sessions, which have no answer yet that is kept.
 */
import { connect } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { call, reply } from 'keelson'
import { holdWatch } from './harness/holds.mjs'
import { isWanted } from './harness/options.mjs'
import { amount, table } from './harness/table.mjs'
import { threadTimes } from './harness/thread-times.mjs'
import { startObserved } from './observe/instance.mjs'
import { median } from './wal/turns.mjs'

export const about =
  'what one viewer of keelson observe costs an instance with 100,000 live entities'

/** The promises: no stall above, in ms, and so much more processor time at most. */
const holdMax = 10
const shareMax = 0.05

const actor = { kind: 'order', id: '77' }

/** The views, each with a query. `lsn`: the last turn of the actor. */
const viewsOf = (lsn) => ({
  header: {},
  overview: {},
  tree: {},
  processes: { order: 'rate' },
  process: { pid: '5' },
  entities: {},
  kind: { kind: 'order' },
  entity: actor,
  history: actor,
  past: { ...actor, lsn },
  flows: {},
  runs: { type: 'shipment' },
  run: { type: 'shipment', id: '10' },
  dead: { queue: 'refunds' },
  store: {},
  key: { key: 'key/7' },
  storage: {},
  replication: {},
  log: {},
})

const instances = ['sound', 'troubled']

/** Measures each view of each instance and prints a line for it; answers all figures. */
export const run = async ({ quick, only, rows = quick ? 10_000 : 100_000, repeats = 5 }) => {
  const results = []
  for (const instance of instances) {
    const views = Object.keys(viewsOf(0)).filter((view) => isWanted(only, `${instance} ${view}`))
    const cases = Object.keys(works).filter((work) => isWanted(only, `${instance} ${work}`))
    if (views.length + cases.length === 0) continue
    const started = await startObserved(rows, { isTroubled: instance === 'troubled' })
    const place = { ...started, path: join(started.dir, 'attach.sock'), rows, repeats, quick }
    try {
      console.log(`${instance}, ${amount(rows)} live entities`)
      const measured = []
      for (const work of cases) measured.push(await sampledCost(place, work))
      if (measured.length > 0) console.log(table([workHead, ...measured.map(workRow)]))
      const worst = Math.max(0, ...measured.map(({ share }) => share))
      const looked = await looksOf(place, views)
      if (looked.length > 0) console.log(table([head, ...looked.map((each) => row(each, worst))]))
      results.push({ instance, measured, looked })
    } finally {
      await started.close()
    }
  }
  return results
}

const percent = (value) => `${value < 0 ? '' : '+'}${(value * 100).toFixed(2)} %`

const workHead = ['', 'µs of CPU', 'with a session', 'the same again', 'pairs']

const workRow = ({ work, cpu, share, error, again, againError, pairs }) => [
  ...[work, cpu.toFixed(2), `${percent(share)} ± ${(error * 100).toFixed(2)}`],
  ...[`${percent(again)} ± ${(againError * 100).toFixed(2)}`, String(pairs)],
]

const head = ['', 'longest hold ms', 'own ms', 'answer ms', 'CPU of a second', 'with turns', '']

const row = ({ view, hold, own, tookMs, share }, worst) => [
  view,
  ...[hold, own, tookMs].map((value) => value.toFixed(1)),
  ...[percent(share), percent(share + worst)],
  own <= holdMax && share + worst <= shareMax ? 'kept' : 'over',
]

/** So many at a time. */
const inFlight = 64

/** Does it for so long; answers how often. */
const doing = async (ms, one) => {
  const end = performance.now() + ms
  let count = 0
  const caller = async () => {
    for (; performance.now() < end; count++) await one()
  }
  await Promise.all(Array.from({ length: inFlight }, caller))
  return count
}

/** One measurement: the measurements for a page begin again with every event each two seconds. */
const turnMs = 2_000

/** What is done beside the looks, again and again. */
const works = {
  turns: ({ app, rows }) => {
    let at = 0
    return () => call(app.entity('order').ref(String(at++ % rows)), 'place')
  },
  calls: async ({ app }) => {
    const calls = { add: (sum, by) => reply(sum + by, sum + by) }
    const ref = await app.system.start({ init: () => 0, calls })
    return () => call(ref, 'add', 1)
  },
}

/**
 * How much more CPU time a turn or a call takes while an instance is measured for a page. Three runs a
 * round, `nobody`, `session` and `nobody` again, in an order that goes through all six.
 */
const sampledCost = async (place, work) => {
  const one = await works[work](place)
  const times = threadTimes()
  const rounds = []
  const pairs = place.quick ? 3 : 2 * place.repeats
  await doing(turnMs, one)
  for (let at = 0; at < pairs; at++) {
    const found = {}
    for (const way of orders[at % orders.length]) {
      const session = way === 'session' ? await observing(place.path) : undefined
      await session?.ask('header', {})
      await place.app.control.flushAll()
      const before = times().ranMs
      const count = await doing(place.quick ? turnMs / 10 : turnMs, one)
      found[way] = ((times().ranMs - before) * 1_000) / count
      await session?.end()
    }
    rounds.push(found)
  }
  const session = middleOf(rounds.map(({ nobody, session: with_ }) => with_ / nobody - 1))
  const again = middleOf(rounds.map(({ nobody, again: other }) => other / nobody - 1))
  return {
    ...{ work, cpu: median(rounds.map(({ nobody }) => nobody)), pairs },
    ...{ share: session.middle, error: session.error },
    ...{ again: again.middle, againError: again.error },
  }
}

const orders = [
  ['nobody', 'session', 'again'],
  ['session', 'again', 'nobody'],
  ['again', 'nobody', 'session'],
  ['again', 'session', 'nobody'],
  ['nobody', 'again', 'session'],
  ['session', 'nobody', 'again'],
]

const mean = (figures) => figures.reduce((sum, each) => sum + each, 0) / figures.length

/** The median, and its standard error by the order of the figures. */
const middleOf = (figures) => {
  const sorted = figures.toSorted((left, right) => left - right)
  const half = Math.sqrt(sorted.length) / 2
  const at = (offset) => {
    const index = Math.round((sorted.length - 1) / 2 + offset)
    return sorted[Math.min(sorted.length - 1, Math.max(0, index))]
  }
  return { middle: median(sorted), error: (at(half) - at(-half)) / 2 }
}

/** The answers of these views are kept forty times as long as they took. */
const kept = new Set(['overview', 'tree', 'processes', 'entities', 'flows', 'storage'])
const keptTimes = 41
const secondsMin = 5
const secondsMax = 25

/** The figures of each view. */
const looksOf = async (place, views) => {
  if (views.length === 0) return []
  const watch = holdWatch()
  const times = threadTimes()
  const secondsOf = async (count, second) => {
    const found = []
    for (let at = 0; at < count; at++) {
      const before = times().ranMs
      await Promise.all([sleep(1_000), second?.()])
      found.push((times().ranMs - before) / 1_000)
    }
    return found
  }
  const [{ lsn }] = (await place.app.entity('order').history(actor.id)).turns
  const idle = median(await secondsOf(secondsMin))
  const found = []
  try {
    for (const view of views) {
      const query = viewsOf(String(lsn))[view]
      const holds = []
      for (let at = 0; at < place.repeats; at++) {
        const session = await observing(place.path)
        holds.push(await watch.during(() => session.ask(view, query)))
        await session.end()
      }
      const tookMs = median(holds.map((each) => each.tookMs))
      const periodSeconds = kept.has(view) ? (tookMs * keptTimes) / 1_000 : 0
      const session = await observing(place.path)
      await session.ask(view, query)
      const count = Math.max(secondsMin, Math.min(secondsMax, Math.round(2 * periodSeconds)))
      const seconds = await secondsOf(count, () => session.ask(view, query))
      const share = (count > secondsMin ? mean(seconds) : median(seconds)) - idle
      await session.end()
      const most = (part) => Math.max(...holds.map((each) => each[part]))
      found.push({ view, share, tookMs, hold: most('hold'), own: most('own') })
    }
  } finally {
    watch.stop()
  }
  return found
}

/** A session that looks: `ask` resolves with the answer of a view. */
const observing = async (path) => {
  const socket = connect(path)
  const waiting = new Map()
  const greeted = new Promise((resolve) => waiting.set(undefined, resolve))
  createInterface({ input: socket }).on('line', (line) => {
    const message = JSON.parse(line)
    waiting.get(message.id)?.(message)
    waiting.delete(message.id)
  })
  const { protocol, version } = await greeted
  const say = (message) => socket.write(`${JSON.stringify(message)}\n`)
  say({ protocol, version, colours: false, verbose: false, observe: { write: false, user: '' } })
  let last = 0
  const ask = async (look, query) => {
    const id = ++last
    say({ id, look, query })
    const { answer, refusal } = await new Promise((resolve) => waiting.set(id, resolve))
    if (refusal) throw new Error(`${look}: ${refusal.code}: ${refusal.message}`)
    return answer
  }
  const end = () =>
    new Promise((resolve) => {
      socket.once('close', resolve)
      socket.end()
    })
  return { ask, end }
}
