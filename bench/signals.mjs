/**
 * What it costs that somebody could look, or looks: the flight recorder (`attach: true`), `operations`
 * that nobody scrapes, and an instance that is scraped, each beside one with nothing of it. They share
 * a process and take short turns in an order that is drawn for each round. A figure is the CPU time of
 * the main thread, with its collections. The scrapes are beside it: a mean of their own, which the last
 * column adds for the usual interval. A ratio is the median of those of the rounds, with its
 * standard error; that of `without again`, which is the same as `without`, shows what else differs
 * from instance to instance.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { call, entity, ok, reply, start, supervisor } from 'keelson'
import { operations } from 'keelson/operations'
import { isWanted } from './harness/options.mjs'
import { table } from './harness/table.mjs'
import { threadTimes } from './harness/thread-times.mjs'
import { median } from './wal/turns.mjs'

export const about =
  'what the recorder and metrics cost calls and turns, beside an instance without them'

const order = {
  init: () => ok({ placed: 0 }),
  calls: { place: ({ placed }) => reply(placed, { placed: placed + 1 }) },
}
const orders = entity('order', order)
const adder = { init: () => 0, calls: { add: (sum, by) => reply(sum + by, sum + by) } }

/** Each way with its options of `start`; `scrapes` also has `operations`. */
const ways = {
  without: {},
  'without again': {},
  recorder: { attach: true },
  'not scraped': { scrapes: false },
  scraped: { scrapes: true },
}

const wayNames = Object.keys(ways)

/** Makes `count` calls, so many of them at a time. */
const calling = async (one, count, inFlight) => {
  let left = count
  const caller = async (_, at) => {
    while (left-- > 0) await one(at)
  }
  await Promise.all(Array.from({ length: inFlight }, caller))
}

const cases = {
  'calls, 64 outstanding': {
    count: 100_000,
    work: ({ ref }, count) => calling(() => call(ref, 'add', 1), count, 64),
  },
  'turns, 1,024 in flight': {
    count: 5_000,
    work: ({ app }, count) =>
      calling((at) => call(app.entity(orders).ref(`${at}`), 'place'), count, 1_024),
  },
}

const instance = async (way, folder) => {
  const { attach = false, scrapes } = ways[way]
  const dir = join(folder, way.replace(' ', '-'))
  const app = await start({ dir, attach, app: supervisor('app', {}, [orders]) })
  const ref = await app.system.start(adder)
  const handler = scrapes === undefined ? undefined : operations(app)
  return { way, app, ref, scrapes, handler, scrapeMs: [] }
}

const scrape = ({ handler }) =>
  new Promise((resolve) => {
    handler({ url: '/metrics', headers: {} }, { writeHead: () => undefined, end: resolve })
  })

/** A scrape comes after so much of its instance's own work, in ms of CPU time. */
const scrapeEveryMs = 1_000

/** The usual interval of scrapes, for which the cost is promised. */
const usualMs = 15_000

/**
 * The CPU time of one run, in µs for each call. A scrape that is due comes after it and is measured by
 * itself: most rounds have none, so the median of the rounds would not have its cost.
 */
const cpuOf = async (one, { work, count }, times) => {
  const before = times().ranMs
  await work(one, count)
  const ranMs = times().ranMs - before
  if (one.scrapes) await scrapeIfDue(one, ranMs, times)
  return (ranMs * 1_000) / count
}

const scrapeIfDue = async (one, ranMs, times) => {
  one.untilScrape = (one.untilScrape ?? 0) - ranMs
  if (one.untilScrape > 0) return
  const before = times().ranMs
  await scrape(one)
  one.scrapeMs.push(times().ranMs - before)
  one.untilScrape = scrapeEveryMs
}

/** A new order of so many instances: no instance follows the same other one more often. */
const shuffled = (size, random) => {
  const order = Array.from({ length: size }, (_, at) => at)
  for (let at = size - 1; at > 0; at--) {
    const other = Math.floor(random() * (at + 1))
    ;[order[at], order[other]] = [order[other], order[at]]
  }
  return order
}

/** Numbers from 0 to 1, the same in each run (mulberry32). */
const randomFrom = (seed) => () => {
  seed = (seed + 0x6d2b79f5) | 0
  let bits = Math.imul(seed ^ (seed >>> 15), 1 | seed)
  bits ^= bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)
  return ((bits ^ (bits >>> 14)) >>> 0) / 4_294_967_296
}

/** So many times all instances are made, in another order each: what one has of its place cancels out. */
const sets = 5

/** The figures of one set: rounds in which each instance has a turn. */
const roundsOf = async (set, work, repeats, random) => {
  const folder = mkdtempSync(join(tmpdir(), 'keelson-signals-'))
  const ways = shuffled(wayNames.length, random).map((at) => wayNames[at])
  const all = []
  for (const way of ways) all.push(await instance(way, folder))
  const times = threadTimes()
  const rounds = []
  for (let at = -warmUp; at < repeats; at++) {
    const round = {}
    for (const turn of shuffled(all.length, random)) {
      round[all[turn].way] = await cpuOf(all[turn], work, times)
      // What the turn has left to do would be in the figures of the next one.
      await all[turn].app.control.flushAll()
    }
    if (at >= 0) rounds.push(round)
  }
  for (const { app } of all) await app.close()
  rmSync(folder, { recursive: true, force: true })
  console.error(`set ${set + 1} of ${sets}`)
  return { rounds, scrapes: all.flatMap(({ scrapeMs }) => scrapeMs) }
}

/**
 * The median of ratios, and its standard error by the order of them: a collection of the old generation
 * makes some ratios very large, and these say nothing.
 */
const middleOf = (ratios) => {
  const sorted = ratios.toSorted((left, right) => left - right)
  const half = Math.sqrt(sorted.length) / 2
  const at = (place) =>
    sorted[Math.min(sorted.length - 1, Math.max(0, Math.round(sorted.length / 2 + place)))]
  return { ratio: median(ratios), error: (at(half) - at(-half)) / 2 }
}

const warmUp = 10

export const run = async ({ quick, only, repeats = quick ? 20 : 250 }) => {
  const rows = [['µs of CPU', ...wayNames, 'a scrape', `scraped each ${usualMs / 1_000} s`]]
  const results = []
  for (const [title, work] of Object.entries(cases).filter(([each]) => isWanted(only, each))) {
    const random = randomFrom(1)
    const rounds = []
    const scrapes = []
    for (let set = 0; set < sets; set++) {
      const found = await roundsOf(set, work, Math.ceil(repeats / sets), random)
      rounds.push(...found.rounds)
      scrapes.push(...found.scrapes)
    }
    const [first, ...others] = wayNames.map((way) => {
      const { ratio, error } = middleOf(rounds.map((round) => round[way] / round.without))
      return { way, cpu: median(rounds.map((round) => round[way])), ratio, error }
    })
    const shown = others.map(({ ratio, error }) => `${ratio.toFixed(4)} ± ${error.toFixed(4)}`)
    const scrapeMs = scrapes.reduce((sum, each) => sum + each, 0) / scrapes.length
    const usual = others.at(-1).ratio + scrapeMs / usualMs
    rows.push([
      title,
      first.cpu.toFixed(3),
      ...shown,
      `${scrapeMs.toFixed(2)} ms`,
      usual.toFixed(4),
    ])
    results.push({ case: title, ways: [first, ...others], scrapeMs, usual })
  }
  console.log(table(rows))
  return results
}
