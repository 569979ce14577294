/** One instance with a kind of entities that set alarms; it does what the bench tells it, one order at a time. */
import { call, entity, noReply, ok, reply, start, supervisor } from 'keelson'

const late = []
const timer = {
  init: () => ok(0),
  calls: {
    set: (state, at, context) => {
      context.setAlarm('due', { at }, at)
      return reply(undefined, state)
    },
    add: (state) => reply(state + 1, state + 1),
  },
  alarms: {
    due: (state, at, context) => {
      late.push(context.now() - at)
      return noReply(state + 1)
    },
  },
}
const timers = entity('timer', timer, { idleMs: 2_000 })
const began = performance.now()
const app = await start({ dir: process.argv[2], app: supervisor('app', {}, [timers]) })
const startMs = performance.now() - began
const handle = app.entity(timers)

const percentiles = (list) => {
  const sorted = [...list].sort((a, b) => a - b)
  return { p50: sorted[sorted.length >> 1], p99: sorted[Math.floor(sorted.length * 0.99)] }
}

/** `work(index)` for each of `count` indices, by 256 writers. */
const each = async (count, work) => {
  let next = 0
  const writer = async () => {
    while (next < count) await work(next++)
  }
  await Promise.all(Array.from({ length: 256 }, writer))
}

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

const heapMb = () => {
  globalThis.gc?.()
  return process.memoryUsage().heapUsed / 1e6
}

const set = async (alarms, at) => {
  await each(alarms, (index) => call(handle.ref(`${index}`), 'set', at(index)))
}

const orders = {
  started: () => ({ startMs, heapMb: heapMb() }),
  inTime: async ({ alarms, everyMs }) => {
    const from = Date.now() + 4_000
    await set(alarms, (index) => from + index * everyMs)
    while (late.length < alarms && Date.now() < from + alarms * everyMs + 30_000) await wait(50)
    return { ...percentiles(late), fired: late.length }
  },
  set: async ({ alarms }) => {
    const until = Date.now() + 10_000 + alarms / 2
    await set(alarms, () => until)
    return { until }
  },
  overdue: async ({ alarms }) => {
    const times = []
    const from = performance.now()
    const caller = async (_, index) => {
      while (late.length < alarms && performance.now() - from < 120_000) {
        const before = performance.now()
        await call(handle.ref(`caller-${index}`), 'add')
        times.push(performance.now() - before)
        await wait(1)
      }
    }
    await Promise.all(Array.from({ length: 8 }, caller))
    return { doneMs: performance.now() - from, calls: times.length, ...percentiles(times) }
  },
  touch: async ({ entities }) => {
    const before = heapMb()
    const from = performance.now()
    await each(entities, (index) => call(handle.ref(`${index}`), 'add'))
    const seconds = (performance.now() - from) / 1_000
    while (app.system.processes().length > 100) await wait(500)
    await app.control.flushAll()
    return { seconds, heapMb: heapMb() - before }
  },
  load: async () => {
    for (let index = 0; index < 64; index++)
      void call(handle.ref(`load-${index}`), 'add').catch(() => undefined)
    await call(handle.ref('0'), 'add')
  },
  ask: () => call(handle.ref('0'), 'add'),
  close: () => app.close(),
}

process.on('message', async (order) => {
  try {
    process.send({ answer: (await orders[order.kind](order)) ?? 'done' })
  } catch (error) {
    process.send({ error: error.stack })
  }
})
process.send({ answer: 'ready' })
