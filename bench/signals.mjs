/**
 * What the metrics cost: an instance that is scraped, and one with `operations` that nobody scrapes,
 * each beside one without it. The three share a process and take turns, whose order changes from
 * round to round. A figure is the time that the event loop was busy, a ratio that of one round. Its
 * median needs a quiet machine. Between two scrapes are eight rounds, which take some seconds.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { call, entity, ok, reply, start, supervisor } from 'keelson'
import { operations } from 'keelson/operations'
import { isWanted } from './harness/options.mjs'
import { table } from './harness/table.mjs'
import { median } from './wal/turns.mjs'

export const about =
  'what metrics cost calls and turns, scraped and not, beside an instance without'

const order = {
  init: () => ok({ placed: 0 }),
  calls: { place: ({ placed }) => reply(placed, { placed: placed + 1 }) },
}
const orders = entity('order', order)
const adder = { init: () => 0, calls: { add: (sum, by) => reply(sum + by, sum + by) } }

const ways = ['without', 'not scraped', 'scraped']

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
    count: 400_000,
    work: ({ ref }, count) => calling(() => call(ref, 'add', 1), count, 64),
  },
  'turns, 1,024 in flight': {
    count: 60_000,
    work: ({ app }, count) =>
      calling((at) => call(app.entity(orders).ref(`${at}`), 'place'), count, 1_024),
  },
}

const instance = async (way, folder) => {
  const app = await start({ dir: join(folder, way), app: supervisor('app', {}, [orders]) })
  const ref = await app.system.start(adder)
  return { way, app, ref, handler: way === 'without' ? undefined : operations(app) }
}

const scrape = ({ handler }) =>
  new Promise((resolve) => {
    handler({ url: '/metrics', headers: {} }, { writeHead: () => undefined, end: resolve })
  })

/** How long the event loop is busy in one run, in µs for each call. */
const busyOf = async (one, { work, count }) => {
  const before = performance.eventLoopUtilization()
  await work(one, count)
  return (performance.eventLoopUtilization(before).active * 1_000) / count
}

/** All orders of three. */
const turns = [
  [0, 1, 2],
  [2, 1, 0],
  [1, 2, 0],
  [0, 2, 1],
  [2, 0, 1],
  [1, 0, 2],
]

export const run = async ({ quick, only, repeats = quick ? 6 : 24 }) => {
  const folder = mkdtempSync(join(tmpdir(), 'keelson-signals-'))
  const all = []
  for (const way of ways) all.push(await instance(way, folder))
  await scrape(all[2])
  const rows = [['µs of the loop', ...ways, 'not scraped / without', 'scraped / without']]
  const results = []
  for (const [title, one] of Object.entries(cases).filter(([each]) => isWanted(only, each))) {
    for (const each of all) await one.work(each, one.count)
    const rounds = []
    for (let at = 0; at < repeats; at++) {
      const round = {}
      for (const turn of turns[at % turns.length]) round[ways[turn]] = await busyOf(all[turn], one)
      if (at % 8 === 7) await scrape(all[2])
      rounds.push(round)
    }
    const of = (way) => median(rounds.map((round) => round[way]))
    const ratio = (way) => median(rounds.map((round) => round[way] / round.without))
    const result = { case: title, busy: ways.map(of), ratios: ways.slice(1).map(ratio) }
    rows.push([title, ...[...result.busy, ...result.ratios].map((value) => value.toFixed(3))])
    results.push(result)
  }
  console.log(table(rows))
  for (const { app } of all) await app.close()
  rmSync(folder, { recursive: true, force: true })
  return results
}
