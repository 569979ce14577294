/**
 * XState actors: machines, and `fromTransition`, its quickest logic. What is sent from outside to an actor at rest is
 * handled before `send` returns: no mailbox is waited in. A reply is a callback in the event, for want of a call.
 */
import { cancel, createActor, fromTransition, raise, setup } from 'xstate'
import { heldBytes, inBursts, inSlices, outstanding, Tally } from '../harness/tally.mjs'

const answer = ({ number, reply }) => reply(number + 1)

/** How both kinds of actor count and answer. */
const machines = {
  counting: (tally) => setup({}).createMachine({ on: { add: { actions: () => tally.hit() } } }),
  answering: setup({}).createMachine({ on: { next: { actions: ({ event }) => answer(event) } } }),
}

const transitions = {
  counting: (tally) =>
    fromTransition((state, event) => {
      if (event.type !== 'add') return state
      tally.hit()
      return state + event.by
    }, 0),
  answering: fromTransition((state, event) => {
    if (event.type === 'next') answer(event)
    return state
  }, 0),
}

const oneWay =
  ({ counting }) =>
  async () => {
    const tally = new Tally()
    const actor = createActor(counting(tally)).start()
    return {
      run: (count) => inBursts(tally, count, 1_000, () => actor.send({ type: 'add', by: 1 })),
    }
  }

const calls =
  ({ answering }, width) =>
  async () => {
    const actor = createActor(answering).start()
    const ask = (number) => new Promise((reply) => void actor.send({ type: 'next', number, reply }))
    return { run: (count) => outstanding(width, count, ask) }
  }

const spawned =
  ({ answering }) =>
  async () => ({
    run: (count) =>
      inSlices(count, 1_000, async (length) => {
        const actors = []
        for (let index = 0; index < length; index++) actors.push(createActor(answering).start())
        for (const actor of actors) actor.stop()
        return actors.length
      }),
  })

const spawnHeld =
  ({ answering }) =>
  async () => ({
    run: async (count, watch) => {
      const actors = []
      for (let index = 0; index < count; index++) actors.push(createActor(answering).start())
      watch.pause()
      for (const actor of actors) actor.stop()
      return actors.length
    },
  })

const idle =
  ({ counting }) =>
  async () => ({
    run: async (count) => {
      const tally = new Tally()
      const logic = counting(tally)
      let actors = []
      const make = async () => {
        for (let index = 0; index < count; index++) {
          const actor = createActor(logic).start()
          actor.send({ type: 'add', by: 1 })
          actors.push(actor)
        }
        return tally.hits
      }
      return heldBytes(count, make, () => {
        actors = undefined
      })
    },
  })

/** What an actor sends itself while it handles an event is its only backlog. */
const backlog = (kind, size) => async () => {
  const tally = new Tally()
  const fill = (self, count) => {
    for (let left = count; left > 0; left--) self.send({ type: 'add', by: 1 })
  }
  const actor = createActor(kind(tally, fill)).start()
  const burst = async (count) => {
    const before = tally.hits
    const handled = tally.expect(count)
    actor.send({ type: 'fill', count })
    await handled
    return tally.hits - before
  }
  return { run: (count) => inSlices(count, size, burst) }
}

const filledMachine = (tally, fill) =>
  setup({}).createMachine({
    on: {
      add: { actions: () => tally.hit() },
      fill: { actions: ({ self, event }) => fill(self, event.count) },
    },
  })

const filledTransition = (tally, fill) =>
  fromTransition((state, event, { self }) => {
    if (event.type === 'add') tally.hit()
    else if (event.type === 'fill') fill(self, event.count)
    return state
  }, 0)

const delayed = (onTick) =>
  setup({}).createMachine({
    on: {
      arm: {
        actions: raise(
          { type: 'tick' },
          { delay: ({ event }) => event.delay, id: ({ event }) => event.id },
        ),
      },
      disarm: { actions: cancel(({ event }) => event.id) },
      tick: { actions: onTick },
    },
  })

const timers = async () => {
  const actor = createActor(delayed(() => {})).start()
  for (let index = 0; index < 100_000; index++) {
    actor.send({ type: 'arm', delay: 60_000 + index, id: `live${index}` })
  }
  return {
    run: (count) =>
      inSlices(count, 10_000, async (length) => {
        for (let index = 0; index < length; index++) {
          const delay = 1_000 + ((index * 7_919) % 100_000)
          actor.send({ type: 'arm', delay, id: `more${index}` })
        }
        for (let index = 0; index < length; index++) {
          actor.send({ type: 'disarm', id: `more${index}` })
        }
        return length
      }),
  }
}

const timerFire = async () => {
  const tally = new Tally()
  const actor = createActor(delayed(() => tally.hit())).start()
  const arm = (index) => actor.send({ type: 'arm', delay: 1, id: `timer${index}` })
  return { run: (count) => inBursts(tally, count, count, arm) }
}

const names = async () => {
  const keys = Array.from({ length: 100_000 }, (_, index) => `session:${index}`)
  const root = createActor(setup({}).createMachine({})).start()
  for (const systemId of keys) {
    createActor(transitions.answering, { parent: root, systemId }).start()
  }
  return {
    run: (count) => {
      let found = 0
      for (let index = 0; index < count; index++) {
        if (root.system.get(keys[(index * 7_919) % keys.length]) !== undefined) found++
      }
      return found
    },
  }
}

const bothKinds = (kind) => ({
  'one-way': oneWay(kind),
  'call-1': calls(kind, 1),
  'call-64': calls(kind, 64),
  spawn: spawned(kind),
  'spawn-held': spawnHeld(kind),
  idle: idle(kind),
})

/** XState 5. */
export const contenders = [
  {
    name: 'xstate',
    cases: {
      ...bothKinds(machines),
      'backlog-10k': backlog(filledMachine, 10_000),
      'backlog-100k': backlog(filledMachine, 100_000),
      'backlog-1m': backlog(filledMachine, 1_000_000),
      timers,
      'timer-fire': timerFire,
      names,
    },
    absent: { restart: 'restarts nothing: an actor that throws stays stopped' },
  },
  {
    name: 'xstate, fromTransition',
    cases: {
      ...bothKinds(transitions),
      'backlog-10k': backlog(filledTransition, 10_000),
      'backlog-100k': backlog(filledTransition, 100_000),
      'backlog-1m': backlog(filledTransition, 1_000_000),
    },
  },
]
