/** One instance with the workflows of the long parts; it does what the bench tells it, one order at a time. */
import { call, entity, ok, reply, start, supervisor } from 'keelson'
import { flow, flows, workflow } from 'keelson/flow'
import { play } from '../entities/turn.mjs'
import { threadTimes } from '../harness/thread-times.mjs'

let held = 0
let release
const released = new Promise((resolve) => {
  release = resolve
})
const holder = workflow('holder', async (ctx, number) => {
  const one = await ctx.step('one', () => number + 1)
  return ctx.step('hold', async () => {
    held++
    await released
    return one
  })
})
const sleeper = workflow('sleeper', (ctx) => ctx.sleep('day', '1d'))
const counter = entity('counter', {
  init: () => ok(0),
  calls: { add: (state) => reply(state + 1, state + 1) },
})
const began = performance.now()
const app = await start({
  dir: process.argv[2],
  app: supervisor('app', {}, [flows({ workflows: [holder, sleeper] }), counter]),
})
const startMs = performance.now() - began
const runs = flow(app)
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

const heapMb = () => {
  globalThis.gc?.()
  return process.memoryUsage().heapUsed / 1e6
}

/** `work(index)` for each of `count` indices, by 256 writers; answers the seconds. */
const each = async (count, work) => {
  const from = performance.now()
  let next = 0
  const writer = async () => {
    while (next < count) await work(next++)
  }
  await Promise.all(Array.from({ length: 256 }, writer))
  return (performance.now() - from) / 1_000
}

const startAll = (type, count) => each(count, (at) => runs.start(type, at, { id: `${at}` }))

const percentiles = (times) => {
  times.sort((a, b) => a - b)
  return { p50: times[times.length >> 1], p99: times[Math.floor(times.length * 0.99)] }
}

const thread = threadTimes()

/**
 * Calls of a durable actor until `isDone`, by 8 callers. `own`: without the waits of this thread for a processor, so it says
 * what the code does, also beside other work on the machine.
 */
const callsUntil = async (isDone) => {
  const [times, own] = [[], []]
  const from = { at: performance.now(), ...thread() }
  const caller = async (_, index) => {
    while (!isDone()) {
      const [before, { waitedMs }] = [performance.now(), thread()]
      await call(app.entity(counter).ref(`${index}`), 'add')
      const tookMs = performance.now() - before
      times.push(tookMs)
      own.push(Math.max(0, tookMs - (thread().waitedMs - waitedMs)))
      await wait(1)
    }
  }
  await Promise.all(Array.from({ length: 8 }, caller))
  const to = thread()
  return {
    calls: times.length,
    ms: performance.now() - from.at,
    ranMs: to.ranMs - from.ranMs,
    waitedMs: to.waitedMs - from.waitedMs,
    all: percentiles(times),
    own: percentiles(own),
  }
}

play({
  started: () => ({ startMs, heapMb: heapMb() }),
  hold: async ({ runs: count }) => {
    const seconds = await startAll(holder, count)
    while (held < count) await wait(10)
    return { seconds }
  },
  held: async ({ runs: count }) => {
    const waking = await callsUntil(() => held === count)
    const until = performance.now() + 3_000
    const awake = await callsUntil(() => performance.now() > until)
    return { waking, awake, heapMb: heapMb() }
  },
  release: async ({ runs: count }) => {
    const from = performance.now()
    release()
    await each(count, async (at) => {
      const result = await runs.handle(holder, `${at}`).result({ timeoutMs: 600_000 })
      if (result !== at + 1) throw new Error(`run ${at} answers ${result}`)
    })
    return { releasedMs: performance.now() - from }
  },
  sleep: async ({ runs: count }) => {
    const seconds = await startAll(sleeper, count)
    while (app.system.processes().length > 1_000) await wait(100)
    await app.control.flushAll()
    return { seconds, heapMb: heapMb() }
  },
  close: () => app.close(),
})
