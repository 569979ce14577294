/**
 * What it costs that rows are found by `where`: an attribute of runs and jobs beside a field of the index
 * of entities. One instance has all of them. Each way is done with and without its index in short turns, in
 * an order that is drawn for each round. A figure is the CPU time of the whole process, with the threads of
 * its log and its projection. `more` is what the index adds, as the median of the rounds, and the last
 * column compares it with that of entities.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { call, entity, reply, start, supervisor } from 'keelson'
import { flow, flows, queue, workflow } from 'keelson/flow'
import { isWanted } from './harness/options.mjs'
import { table } from './harness/table.mjs'
import { median } from './wal/turns.mjs'

export const about = 'an attribute of runs and jobs beside a field of the index of entities'

const customers = Array.from({ length: 100 }, (_, at) => `c-${at}`)

/** Two turns, as a run has two changes that its index shows: it begins and it ends. */
const server = {
  init: () => ({ customer: '', since: 0 }),
  calls: { set: (_, customer) => reply(undefined, { customer, since: Date.now() }) },
}
const plain = entity('plain', server)
// The value with the time of the change, as an attribute has it.
const indexed = entity('indexed', {
  ...server,
  index: ({ customer, since }) => ({ customer: `${customer}/${since}` }),
})
const order = workflow('order', async () => undefined, { keep: { completed: '1d' } })
const jobs = queue('jobs', () => undefined, { concurrency: 64, keep: { results: '1d' } })

const inFlight = 64

/** Does `one` of each number up to `count`. */
const all = async (count, one) => {
  let next = 0
  const caller = async () => {
    while (next < count) await one(next++)
  }
  await Promise.all(Array.from({ length: inFlight }, caller))
}

/** Each way: one with its number in the whole bench, with or without the index. */
const waysOf = (app) => {
  const of = (at, isFound) =>
    isFound ? { attributes: { customer: customers[at % customers.length] } } : {}
  return {
    'entity, two turns': async (at, isFound) => {
      const ref = app.entity(isFound ? indexed : plain).ref(`${at}`)
      await call(ref, 'set', customers[at % customers.length])
      await call(ref, 'set', customers[at % customers.length])
    },
    'run, from start to result': async (at, isFound) => {
      const run = await flow(app).start(order, undefined, { id: `${at}`, ...of(at, isFound) })
      await run.result()
    },
    'job, from add to result': async (at, isFound) => {
      const { id } = await flow(app).add(jobs, at, of(at, isFound))
      await flow(app).job(jobs, id).result()
    },
  }
}

/** Microseconds of CPU for each of `count`. */
const cpuOf = async (count, one) => {
  const before = process.cpuUsage()
  await all(count, one)
  const { user, system } = process.cpuUsage(before)
  return (user + system) / count
}

/** Runs the ways that are wanted, prints their figures and answers them. */
export const run = async ({ only, quick, repeats = quick ? 5 : 15 }) => {
  const count = quick ? 500 : 3_000
  const dir = mkdtempSync(join(tmpdir(), 'keelson-where-'))
  const tree = supervisor('app', {}, [
    plain,
    indexed,
    flows({ workflows: [order], queues: [jobs] }),
  ])
  const app = await start({ dir, app: tree })
  try {
    const ways = waysOf(app)
    const first = Object.keys(ways)[0]
    const wanted = Object.entries(ways).filter(
      // The others are compared with it.
      ([name]) => isWanted(only, name) || name === first,
    )
    const rounds = Object.fromEntries(wanted.map(([name]) => [name, []]))
    let next = 0
    // The first round warms up.
    for (let round = 0; round <= repeats; round++)
      for (const [name, one] of wanted) {
        const figures = {}
        const turns = Math.random() < 0.5 ? [true, false] : [false, true]
        for (const isFound of turns) {
          const from = next
          next += count
          figures[isFound] = await cpuOf(count, (at) => one(from + at, isFound))
        }
        if (round > 0) rounds[name].push(figures)
      }
    const more = (name) => rounds[name].map(({ true: found, false: bare }) => found - bare)
    const results = wanted.map(([name]) => ({
      way: name,
      without: median(rounds[name].map((figures) => figures.false)),
      with: median(rounds[name].map((figures) => figures.true)),
      more: median(more(name)),
      ratio: median(more(name)) / median(more(first)),
    }))
    const rows = results.map(({ way, ...figures }) => [
      way,
      ...Object.values(figures).map((figure) => figure.toFixed(2)),
    ])
    console.log(table([['µs of CPU', 'without', 'with', 'more', 'to entities'], ...rows]))
    return results
  } finally {
    await app.close()
    rmSync(dir, { recursive: true, force: true })
  }
}
