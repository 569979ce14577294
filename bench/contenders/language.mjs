/** What the language and Node do by themselves: the limits that no library can pass. No mailbox, no failure, no death. */
import { EventEmitter } from 'node:events'
import { MessageChannel } from 'node:worker_threads'
import { heldBytes, inBursts, inSlices, outstanding, Tally } from '../harness/tally.mjs'

const oneWay = (connect) => async () => {
  const tally = new Tally()
  const sendOne = connect(() => tally.hit())
  return { run: (count) => inBursts(tally, count, 1_000, sendOne) }
}

const calls = (width, connect) => async () => {
  const ask = connect()
  return { run: (count) => outstanding(width, count, ask) }
}

const directCall = (handler) => {
  const state = { handler }
  return () => state.handler()
}

const emitter = (handler) => {
  const events = new EventEmitter()
  events.on('add', handler)
  return () => events.emit('add', 1)
}

const port = (handler) => {
  const { port1, port2 } = new MessageChannel()
  port2.on('message', handler)
  return () => port1.postMessage(1)
}

const asyncFunction = () => async (number) => number + 1

const deferred = () => (number) =>
  new Promise((resolve) => queueMicrotask(() => resolve(number + 1)))

const portCall = () => {
  const { port1, port2 } = new MessageChannel()
  const waiting = []
  port2.on('message', (number) => port2.postMessage(number + 1))
  port1.on('message', (answer) => waiting.shift()(answer))
  return (number) =>
    new Promise((resolve) => {
      waiting.push(resolve)
      port1.postMessage(number)
    })
}

const makeEmitter = () => new EventEmitter().on('add', () => {})

const spawnEmitters = async () => ({
  run: (count) =>
    inSlices(count, 1_000, async (length) => {
      const made = Array.from({ length }, makeEmitter)
      for (const events of made) events.removeAllListeners()
      return made.length
    }),
})

const idleEmitters = async () => ({
  run: async (count) => {
    let made = []
    const make = async () => {
      for (let index = 0; index < count; index++) made.push(makeEmitter())
      return made.length
    }
    return heldBytes(count, make, () => {
      made = undefined
    })
  },
})

const timeouts = async () => {
  for (let index = 0; index < 100_000; index++) setTimeout(() => {}, 60_000 + index)
  return {
    run: (count) =>
      inSlices(count, 10_000, async (length) => {
        const made = []
        for (let index = 0; index < length; index++) {
          made.push(setTimeout(() => {}, 1_000 + ((index * 7_919) % 100_000)))
        }
        for (const timer of made) clearTimeout(timer)
        return made.length
      }),
  }
}

const timeoutFire = async () => {
  const tally = new Tally()
  return { run: (count) => inBursts(tally, count, count, () => setTimeout(() => tally.hit(), 1)) }
}

const map = async () => {
  const keys = Array.from({ length: 100_000 }, (_, index) => `session:${index}`)
  const holders = new Map(keys.map((name) => [name, { name }]))
  return {
    run: (count) => {
      let found = 0
      for (let index = 0; index < count; index++) {
        if (holders.get(keys[(index * 7_919) % keys.length]) !== undefined) found++
      }
      return found
    },
  }
}

/** One line for each means of the language. */
export const contenders = [
  { name: 'direct call', cases: { 'one-way': oneWay(directCall) } },
  {
    name: 'EventEmitter',
    cases: { 'one-way': oneWay(emitter), spawn: spawnEmitters, idle: idleEmitters },
  },
  {
    name: 'queueMicrotask',
    cases: { 'one-way': oneWay((handler) => () => queueMicrotask(handler)) },
  },
  {
    name: 'MessagePort',
    cases: {
      'one-way': oneWay(port),
      'call-1': calls(1, portCall),
      'call-64': calls(64, portCall),
    },
  },
  {
    name: 'async function',
    cases: { 'call-1': calls(1, asyncFunction), 'call-64': calls(64, asyncFunction) },
  },
  {
    name: 'promise and microtask',
    cases: { 'call-1': calls(1, deferred), 'call-64': calls(64, deferred) },
  },
  { name: 'setTimeout', cases: { timers: timeouts, 'timer-fire': timeoutFire } },
  { name: 'Map', cases: { names: map } },
]
