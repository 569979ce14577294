/** An instance with some projections by users, whose rows are read and projected as the bench says. */
import { projection, start } from 'keelson'
import { play } from '../entities/turn.mjs'
import { cpuOf, paging, reading } from './reading.mjs'
import { keyOf, kinds, projects } from './rows.mjs'

const [dir, rows, projected, options] = process.argv.slice(2)
const count = Number(rows)
const app = await start({
  dir,
  ...(projected === '' ? {} : { projections: namedProjections(Number(projected)) }),
  ...JSON.parse(options || '{}'),
})
const { store } = app

function namedProjections(many) {
  return projects.slice(0, many).map((project, index) =>
    projection(`p${index}`, {
      version: 1,
      project: (change) => (change.key.startsWith('objects:') ? project(change) : []),
    }),
  )
}

/** How often the write of this number has been through all rows. */
const round = (write) => Math.floor(write / count)

/** All rows of a kind, the newest ones last, 100 a call and 64 calls at a time. */
const fill = async (kind, from, to, prefix = kind) => {
  let next = from
  const writer = async () => {
    while (next < to) {
      const entries = []
      for (const end = Math.min(to, next + 100); next < end; next++)
        entries.push([keyOf(prefix, next % count), kinds[kind].make(next % count, round(next))])
      await store.putMany(entries)
    }
  }
  await Promise.all(Array.from({ length: 64 }, writer))
}

const read = reading(count)
const readPages = paging(count)

const pages = {
  store: (first) => {
    const { entries } = store.range({
      gte: keyOf('objects', first),
      prefix: 'objects:',
      limit: 100,
    })
    return { length: entries.length, from: entries[0][1].number }
  },
  projection: (first) => {
    const { entries } = app.projection('p1').range({ gte: keyOf('objects', first), limit: 100 })
    return { length: entries.length, from: entries[0][1] }
  },
}

let written = 0

/**
 * Puts by `inFlight` writers until `isOver()`; each number's row is the same whenever it is written. Answers how long each
 * put took, in ms.
 */
const puts = async (inFlight, isOver) => {
  const times = []
  const writer = async () => {
    while (!isOver()) {
      const number = written++ % count
      const began = performance.now()
      await store.put(keyOf('objects', number), kinds.objects.make(number, round(written)))
      times.push(performance.now() - began)
    }
  }
  await Promise.all(Array.from({ length: inFlight }, writer))
  return times
}

/** A page's time while 64 puts are in flight. */
const pagesUnderLoad = async (order) => {
  let isOver = false
  const load = puts(64, () => isOver)
  const times = await readPages(order, pages[order.of])
  isOver = true
  await load
  return times
}

/** The rate of acknowledged puts, and what each costs until the projection shows it. */
const putting = async ({ seconds, inFlight }) => {
  const first = written
  const cpu = process.cpuUsage()
  const began = performance.now()
  const until = began + seconds * 1_000
  const times = await puts(inFlight, () => performance.now() >= until)
  const ms = performance.now() - began
  await app.control.flush(0)
  const settledMs = performance.now() - began
  const done = written - first
  return {
    rate: (done * 1_000) / ms,
    settled: (done * 1_000) / settledMs,
    cpu: cpuOf(done, cpu),
    p99: times.sort((left, right) => left - right)[Math.floor(times.length * 0.99)],
  }
}

/** The rows of a turn are written while the projection is held, and projected at one go. */
const committing = async ({ changes }) => {
  const { token } = await app.control.suspend(0)
  await fill('objects', written, written + changes)
  written += changes
  const cpu = process.cpuUsage()
  const began = performance.now()
  await app.control.resume(0, { token })
  await app.control.flush(0)
  return { rate: (changes * 1_000) / (performance.now() - began), cpu: cpuOf(changes, cpu) }
}

play({
  fill: async () => {
    for (const kind of Object.keys(kinds)) await fill(kind, 0, count)
    await app.control.flush(0)
  },
  // What is put while the projection is held stays in the overlay.
  hold: async () => {
    await app.control.suspend(0)
    for (const kind of Object.keys(kinds)) await fill(kind, 0, count, `held-${kind}`)
  },
  turn: (order) => read(order, (key) => store.get(key)),
  page: (order) => (order.isLoaded ? pagesUnderLoad(order) : readPages(order, pages[order.of])),
  putting,
  committing,
  verify: async () => {
    // The last puts beside pages may still be on their way.
    await app.control.flush(0)
    for (const { name, shards } of app.health().projections)
      if (shards.some(({ state, lag }) => state !== 'live' || lag > 0))
        throw new Error(`the projection ${name} does not show everything`)
    const names = app.health().projections.map(({ name }) => name)
    if (names.includes('p1')) {
      const last = app.projection('p1').get(keyOf('objects', count - 1))
      if (last !== count - 1) throw new Error('the projection has another row')
    }
    return names
  },
  close: () => app.close(),
})
