/**
 * What a search for the past of a durable actor costs the writes beside it: puts at several loads, without and with a search
 * through 256 MiB of log, in short turns that alternate. A ratio is the median of those of the pairs. A search goes on from turn
 * to turn by its cursor. It is an error if none came to the beginning of the log, or if one missed a turn of the actor.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { call, entity, ok, reply, start, supervisor } from 'keelson'
import { isWanted } from './harness/options.mjs'
import { table } from './harness/table.mjs'
import { median, quantile } from './wal/turns.mjs'

export const about = 'what a search through 256 MiB of log costs the puts beside it'

const logBytes = 256 * 1024 * 1024
const value = Buffer.alloc(1_000, 7)

const loads = {
  'one at a time': { inFlight: 1, everyMs: 0 },
  'every 5 ms': { inFlight: 1, everyMs: 5 },
  '64 in flight': { inFlight: 64, everyMs: 0 },
  '1,024 in flight': { inFlight: 1_024, everyMs: 0 },
}

const order = entity('order', {
  init: () => ok({ total: 0, note: 'x'.repeat(500) }),
  calls: { add: (state, by) => reply(undefined, { ...state, total: state.total + by }) },
})

/** Puts by `inFlight` writers until the time is over. Answers how long each took, in ms, sorted. */
const putting = async (store, { inFlight, everyMs }, seconds) => {
  const times = []
  const until = performance.now() + seconds * 1_000
  const writer = async (_, at) => {
    for (let next = at; performance.now() < until; next += inFlight) {
      const began = performance.now()
      await store.put(`key/${next % 20_000}`, value)
      times.push(performance.now() - began)
      if (everyMs > 0) await sleep(everyMs)
    }
  }
  await Promise.all(Array.from({ length: inFlight }, writer))
  return Float64Array.from(times).sort()
}

/** A log of puts, of turns of other actors, and every so often a turn of the one that is searched. */
const fill = async (app) => {
  const orders = app.entity(order)
  const one = 64
  let turns = 0
  for (let written = 0; written < logBytes; turns++) {
    await call(orders.ref('17'), 'add', 1)
    const batch = Array.from({ length: 8_192 }, (_, at) =>
      at % 4 === 0
        ? call(orders.ref(`other-${at % one}`), 'add', 1)
        : app.store.put(`key/${at}`, value),
    )
    await Promise.all(batch)
    written = app.shards[0].log?.bytes ?? (turns + 1) * 8_192 * 1_000
  }
  await app.control.flushAll()
  return turns
}

/** A search that can be interrupted between its pages. */
class Search {
  #cursor
  #found = 0
  #turns
  #handle
  pages = 0
  ended = 0
  seconds = []
  #ms = 0

  constructor(app, turns) {
    this.#handle = app.entity(order)
    this.#turns = turns
  }

  async until(isOver) {
    while (!isOver()) {
      const began = performance.now()
      const before = this.#cursor && { before: this.#cursor }
      const { turns, cursor } = await this.#handle.history('17', { limit: 1_000, ...before })
      this.#ms += performance.now() - began
      this.pages++
      this.#found += turns.length
      this.#cursor = cursor
      if (cursor === undefined) this.#end()
    }
  }

  #end() {
    if (this.#found !== this.#turns)
      throw new Error(`a search found ${this.#found} turns of ${this.#turns}`)
    this.ended++
    this.seconds.push(this.#ms / 1_000)
    this.#found = this.#ms = 0
  }
}

const measure = async (app, load, search, { pairs, seconds }) => {
  const figures = []
  await putting(app.store, load, 1)
  for (let at = 0; at < pairs; at++) {
    const pair = {}
    for (const way of at % 2 ? ['with', 'without'] : ['without', 'with']) {
      let isOver = way === 'without'
      const searching = search.until(() => isOver)
      const times = await putting(app.store, load, seconds)
      isOver = true
      await searching
      pair[way] = { p50: quantile(times, 0.5), p99: quantile(times, 0.99), count: times.length }
    }
    figures.push(pair)
  }
  return figures
}

const ms = (figures, way, key) => `${median(figures.map((pair) => pair[way][key])).toFixed(3)} ms`
const ratioOf = (figures, key) => median(figures.map((pair) => pair.with[key] / pair.without[key]))

export const run = async ({ quick, only, repeats = quick ? 4 : 12 }) => {
  const folder = mkdtempSync(join(tmpdir(), 'keelson-history-'))
  const results = []
  const rows = [['', 'p50', 'with', 'ratio', 'p99', 'with', 'ratio', 'puts', 'a search']]
  const snapshot = { minLogBytes: 2 ** 40 }
  const app = await start({ dir: folder, snapshot, app: supervisor('app', {}, [order]) })
  try {
    const turns = await fill(app)
    for (const [title, load] of Object.entries(loads).filter(([each]) => isWanted(only, each))) {
      const search = new Search(app, turns)
      const figures = await measure(app, load, search, { pairs: repeats, seconds: quick ? 1 : 2 })
      const shares = ['p50', 'p99', 'count'].map((key) => ratioOf(figures, key))
      const { pages, ended, seconds } = search
      results.push({
        case: title,
        p50: shares[0],
        p99: shares[1],
        puts: shares[2],
        pages,
        ended,
        seconds,
      })
      const [p50, p99] = ['p50', 'p99'].map((key, at) => [
        ms(figures, 'without', key),
        ms(figures, 'with', key),
        shares[at].toFixed(3),
      ])
      const searched =
        ended > 0 ? `${median(seconds).toFixed(1)} s, ${ended} ended` : `none ended, ${pages} pages`
      rows.push([title, ...p50, ...p99, shares[2].toFixed(3), searched])
    }
    console.log(table(rows))
    return results
  } finally {
    await app.close()
    rmSync(folder, { recursive: true, force: true })
  }
}
