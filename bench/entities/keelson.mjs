/** The player of Keelson: one instance with kinds of entities, servers and machines, whose counts are read back by `verify`. */
import { call, entity, ok, reply, start, supervisor } from 'keelson'
import { StateMachine } from 'keelson/state-machine'
import { assign, createMachine } from 'xstate'
import { byWriters, play } from './turn.mjs'

const pad = 'x'.repeat(64)
const counter = {
  init: () => ok({ count: 0, pad }),
  calls: {
    add: (state, by) => reply(state.count + by, { ...state, count: state.count + by }),
    get: (state) => reply(state.count, state),
  },
}
const counters = entity('counter', counter)
/** A message of 200 bytes, which a turn adds to the count of its entity. */
const order = { by: 1, note: 'x'.repeat(180) }
const taker = {
  init: () => ok({ count: 0, pad }),
  calls: {
    take: (state, { by }) => reply(state.count + by, { ...state, count: state.count + by }),
  },
}
const takers = entity('taker', taker)
const recorders = entity('recorder', taker, { record: { inputs: true } })
const machine = createMachine({
  context: { count: 0, pad },
  initial: 'counting',
  states: {
    counting: {
      on: { add: { actions: assign({ count: ({ context }) => context.count + 1 }) } },
    },
  },
})
const answers = { add: ({ context }) => context.count }
const machines = entity('machine', StateMachine.durable(machine, { answers }))
const sleepers = entity('sleeper', counter, { idleMs: 1 })
const keyOf = (at) => `row/${at}`
const keeper = {
  init: () => ok({ turns: 0 }),
  calls: {
    fill: ({ turns }, [from, to], { rows }) => {
      for (let at = from; at < to; at++) rows.put(keyOf(at), { at, pad })
      return reply(to, { turns })
    },
    touch: ({ turns }, numbers, { rows }) => {
      for (const at of numbers) rows.put(keyOf(at), { ...rows.get(keyOf(at)), turns })
      return reply(turns, { turns: turns + 1 })
    },
  },
}
const keepers = entity('keeper', keeper)
const restingKeepers = entity('resting', keeper, { idleMs: 1 })
const app = await start({
  dir: process.argv[2],
  app: supervisor('app', {}, [
    counters,
    takers,
    recorders,
    machines,
    sleepers,
    keepers,
    restingKeepers,
  ]),
})
const handle = app.entity(counters)
const refs = Array.from({ length: 1_024 }, (_, index) => handle.ref(`${index}`))
const machineRefs = refs.map((_, index) => app.entity(machines).ref(`${index}`))
const takerRefs = refs.map((_, index) => app.entity(takers).ref(`${index}`))
const recorderRefs = refs.map((_, index) => app.entity(recorders).ref(`${index}`))
const added = new Map()
const events = new Map()
let births = 0
let ids = 0

const add = async (id, ref = refs[id], options = undefined) => {
  await call(ref, 'add', 1, options)
  added.set(id, (added.get(id) ?? 0) + 1)
}

const event = async (id) => {
  await StateMachine.call(machineRefs[id], { type: 'add' })
  events.set(id, (events.get(id) ?? 0) + 1)
}

const birth = () => {
  const id = `new-${births++}`
  return add(id, handle.ref(id))
}

const sleeper = app.entity(sleepers).ref('1')
await call(sleeper, 'add', 1)

const keeperOf = {
  rowsOf10: { ref: app.entity(keepers).ref('10'), count: 10 },
  rowsOf100000: { ref: app.entity(keepers).ref('100000'), count: 100_000 },
  rowsWake: { ref: app.entity(restingKeepers).ref('1'), count: 100_000 },
}

const fill = async (work) => {
  const { ref, count } = keeperOf[work]
  for (let from = 0; from < count; from += 5_000)
    await call(ref, 'fill', [from, Math.min(count, from + 5_000)])
  keeperOf[work].isFilled = true
}

const touch = (work) => {
  const { ref, count } = keeperOf[work]
  const numbers = Array.from({ length: 10 }, () => Math.floor(Math.random() * count))
  return call(ref, 'touch', numbers)
}

const works = {
  put: (writer) => app.store.put(`counter:${writer}`, { count: 1, pad }),
  turn: (writer) => add(writer),
  machine: (writer) => event(writer),
  one: () => add(0),
  birth,
  take: (writer) => call(takerRefs[writer], 'take', order),
  record: (writer) => call(recorderRefs[writer], 'take', order),
  id: (writer) => add(writer, refs[writer], { id: `${ids++}` }),
  look: (writer) => call(refs[writer], 'get'),
  wake: () => call(sleeper, 'get'),
  rowsOf10: () => touch('rowsOf10'),
  rowsOf100000: () => touch('rowsOf100000'),
  rowsWake: () => touch('rowsWake'),
}

/** A call to an entity that has gone to rest; the rest itself is not measured. */
const untilRest = (name) => async () => {
  while (app.system.whereis(name)) await new Promise((resolve) => setTimeout(resolve, 2))
}

const resting = { wake: 'sleeper/1', rowsWake: 'resting/1' }

play({
  turn: async ({ work, inFlight, seconds }) => {
    if (keeperOf[work] && !keeperOf[work].isFilled) await fill(work)
    const before = resting[work] && untilRest(resting[work])
    return byWriters(inFlight, seconds, works[work], { before })
  },
  verify: () => {
    for (const [id, count] of added)
      if (handle.state(`${id}`).count !== count) throw new Error(`counter/${id} lost a turn`)
    for (const [id, count] of events)
      if (app.entity(machines).state(`${id}`).context.count !== count)
        throw new Error(`machine/${id} lost a turn`)
    return added.size + events.size
  },
  close: () => app.close(),
})
