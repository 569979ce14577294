/**
 * The program that runs one checkout of Keelson: its store, its log and its actors, each opened once. It does the turn that it is
 * told and answers how many operations were done; what the store was given is read back at the end of each turn.
 */
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { inBursts, inSlices, outstanding, Tally } from '../harness/tally.mjs'
import { entryOf } from '../journal/entry.mjs'
import { verify, works } from '../writes/work.mjs'

const [root, dir] = process.argv.slice(2)
const load = (file) => import(pathToFileURL(join(root, 'dist', file)).href)
const keelson = await load('index.js')
const { start, createSystem, startSupervisor, entity, supervisor, worker } = keelson
const { ok, noReply, reply, cast, call } = keelson
// The other entries stand where its package.json says.
const { default: manifest } = await import(pathToFileURL(join(root, 'package.json')).href, {
  with: { type: 'json' },
})
const loadEntry = (name) => load(manifest.exports[name].default.slice('./dist/'.length))
const { Wal } = await loadEntry('./wal')
const { flow, flows, queue, workflow } = await loadEntry('./flow')

const totals = entity('total', {
  init: () => ok(0),
  calls: {
    add: (total, by) => reply(total + by, total + by),
    look: (total) => reply(total, total),
    crash: () => {
      throw new TypeError('fetch failed', { cause: new Error('connect ECONNREFUSED') })
    },
  },
})
const threeSteps = workflow('three', async (ctx, by) => {
  let sum = by
  for (const name of ['one', 'two', 'three']) sum = await ctx.step(name, () => sum + 1)
  return sum
})
const nothing = workflow('nothing', async (_, by) => by)
/** Fails as a request that is refused does, with a cause, and is tried again at once. */
const ask = async (by, attempt) => {
  if (attempt > 3) return by + 3
  const refused = new Error('connect ECONNREFUSED 127.0.0.1:9')
  throw new TypeError('fetch failed', { cause: Object.assign(refused, { code: 'ECONNREFUSED' }) })
}
const retry = { max: 4, baseMs: 1, maxMs: 1, jitter: 0 }
const failing = workflow('failing', (ctx, by) =>
  ctx.step('ask', ({ attempt }) => ask(by, attempt), { retry }),
)
/** What waits for the job of a number. */
const handled = new Map()
const jobs = queue('jobs', async (number) => handled.get(number)(), { concurrency: 64 })
const parts = [totals, flows({ workflows: [nothing, threeSteps, failing], queues: [jobs] })]
const silent = { error() {}, warn() {}, info() {} }
const tree = supervisor('app', {}, parts)
const app = await start({ dir: join(dir, 'store'), app: tree, logger: silent })
const { store } = app
const wal = await Wal.open({ dir: join(dir, 'wal') })
const through = (options) => ({
  put: (key, value) => store.put(key, value, options),
  putMany: (entries) => store.putMany(entries, options),
  remove: (key) => store.delete(key, options),
  putNew: (key, value) => store.set(key, value, { ...options, nx: true }),
  get: (key) => store.load(key),
})
const doors = { now: through(undefined), windowed: through({ windowMs: 1 }) }

const done = new Map()

/** `write(number)` by `inFlight` writers until the time is over; answers how many there were. */
const byWriters = async (inFlight, seconds, first, write) => {
  let next = first
  const until = performance.now() + seconds * 1_000
  const writer = async () => {
    while (performance.now() < until) await write(next++)
  }
  await Promise.all(Array.from({ length: inFlight }, writer))
  return next - first
}

const writing = async ({ work: name, inFlight, seconds, isWindowed }) => {
  const work = works[name]
  const target = isWindowed ? doors.windowed : doors.now
  const first = done.get(name) ?? 0
  const count = await byWriters(inFlight, seconds, first, (number) => work.run(target, number))
  done.set(name, first + count)
  await verify(work, target, (first + count) * work.size)
  return count * work.size
}

/** Puts one after another, the next so many ms after the answer to the last one. */
const pacing = async ({ everyMs, seconds }) => {
  const until = performance.now() + seconds * 1_000
  let count = 0
  while (performance.now() < until) {
    await store.put(`paced-${count % 64}`, count++)
    await new Promise((resolve) => setTimeout(resolve, everyMs))
  }
  return count
}

let entries = 0

const journaling = ({ inFlight, seconds }) =>
  byWriters(inFlight, seconds, 0, () => app.journal.append(entryOf(entries++)))

let added = 0

/** Jobs that are added, and awaited until they are handled. */
const queueing = ({ inFlight, seconds }) =>
  byWriters(inFlight, seconds, 0, async () => {
    const number = ++added
    const done = new Promise((resolve) => handled.set(number, resolve))
    await flow(app).add(jobs, number)
    await done
    handled.delete(number)
  })

const frame = Buffer.alloc(100, 7)
const appending = ({ inFlight, seconds }) =>
  byWriters(inFlight, seconds, 0, () => wal.writeEntry(frame))

const tally = new Tally()
const system = createSystem({ logger: { error() {}, warn() {}, info() {} } })
const counter = await system.start({
  init: () => 0,
  calls: { next: (state, number) => reply(number + 1, state) },
  casts: {
    add: (state, by) => {
      tally.hit()
      return noReply(state + by)
    },
  },
})
const messaging = async ({ inFlight, seconds }) => {
  const until = performance.now() + seconds * 1_000
  let count = 0
  while (performance.now() < until) {
    if (inFlight === 0) await inBursts(tally, 100_000, 1_000, () => cast(counter, 'add', 1))
    else await outstanding(inFlight, 50_000, (number) => call(counter, 'next', number))
    count += inFlight === 0 ? 100_000 : 50_000
  }
  return count
}

const restarts = new Tally()
const brittle = {
  init: () => restarts.hit(),
  casts: {
    fail: () => {
      throw new Error('a bug')
    },
  },
}
const endless = { strategy: 'one_for_one', intensity: 1_000_000_000, periodMs: 1 }
const up = restarts.expect(1)
await startSupervisor(system, supervisor('top', endless, [worker('child', brittle)]))
await up
const child = system.to('child')

/** Children that crash and are started again, one after another. */
const restarting = async ({ seconds }) => {
  const until = performance.now() + seconds * 1_000
  let count = 0
  while (performance.now() < until)
    count += await inBursts(restarts, 1_000, 1, () => cast(child, 'fail'))
  return count
}

/** Processes that are started and ended, by the thousand. */
const spawning = async ({ seconds }) => {
  const held = system.processes().length
  const slice = async (length) => {
    const made = await Promise.all(Array.from({ length }, () => system.start({ init: () => 0 })))
    for (const ref of made) system.exit(ref, 'shutdown')
    if (system.processes().length !== held) throw new Error('processes are left')
    return length
  }
  const until = performance.now() + seconds * 1_000
  let count = 0
  while (performance.now() < until) count += await inSlices(10_000, 1_000, slice)
  return count
}

/** Calls of durable actors, one for each writer. What they have at the end is what was answered. */
const turning = async ({ inFlight, seconds }) => {
  const refs = Array.from({ length: inFlight }, (_, at) => app.entity(totals).ref(`${at}`))
  const sum = async () => {
    let all = 0
    for (const ref of refs) all += await call(ref, 'look')
    return all
  }
  const before = await sum()
  const count = await byWriters(inFlight, seconds, 0, (number) =>
    call(refs[number % inFlight], 'add', 1),
  )
  if ((await sum()) !== before + count) throw new Error('turns are missing')
  return count
}

/** Calls that end the process of their actor, which has a row. */
const crashing = async ({ inFlight, seconds }) => {
  const refs = Array.from({ length: inFlight }, (_, at) => app.entity(totals).ref(`${at}`))
  for (const ref of refs) await call(ref, 'add', 1)
  return byWriters(inFlight, seconds, 0, async (number) => {
    const ended = await call(refs[number % inFlight], 'crash').catch(({ code }) => code)
    if (ended !== 'EXITED') throw new Error(`it did not crash: ${ended}`)
  })
}

let runs = 0

/** The workflow of a work, and how much more its result is than its input. */
const runsOf = { nothing: [nothing, 0], three: [threeSteps, 3], failing: [failing, 3] }

/** Runs of a workflow, each started and awaited by one writer. */
const running = ({ work, inFlight, seconds }) =>
  byWriters(inFlight, seconds, 0, async (number) => {
    const [type, more] = runsOf[work]
    const run = await flow(app).start(type, number, { id: `run-${++runs}` })
    if ((await run.result()) !== number + more) throw new Error(`run ${run.id} has another result`)
  })

const turns = {
  writing,
  pacing,
  appending,
  journaling,
  messaging,
  restarting,
  spawning,
  turning,
  crashing,
  running,
  queueing,
}

/** Lets the processor work for so many µs, as slower code would. */
const spin = (us) => {
  const { user, system: kernel } = process.cpuUsage()
  for (let spent = 0; spent < us; ) {
    const now = process.cpuUsage()
    spent = now.user + now.system - user - kernel
  }
}

process.on('message', async (order) => {
  try {
    if (order.kind === 'close') {
      await wal.close()
      await app.close()
      process.send({ answer: 'closed' })
      return
    }
    const cpu = process.cpuUsage()
    const began = performance.now()
    const count = await turns[order.kind](order)
    // A slow-down that was planted, so that the gate can be tried: what each operation took, so many times more.
    if (order.slower > 0) {
      const taken = process.cpuUsage(cpu)
      spin((taken.user + taken.system) * order.slower)
    }
    const ms = performance.now() - began
    const { user, system: kernel } = process.cpuUsage(cpu)
    process.send({ answer: { rate: (count * 1_000) / ms, cpu: (user + kernel) / count } })
  } catch (error) {
    process.send({ error: error.stack })
  }
})
process.send({ answer: 'ready' })
