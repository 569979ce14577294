/** nact: actors with a mailbox each; every message takes a turn of the event loop. */
import nact from 'nact'
import { heldBytes, inBursts, inSlices, outstanding, Tally } from '../harness/tally.mjs'

const { start, spawn, spawnStateless, dispatch, query, stop } = nact

/** Named by number: nact draws the names of the nameless, and draws some of 50,000 twice. */
const counter = (system, tally, number = 0) =>
  spawn(
    system,
    (state, by) => {
      tally.hit()
      return state + by
    },
    `counter${number}`,
    { initialState: 0 },
  )

const oneWay = (burst) => async () => {
  const tally = new Tally()
  const actor = counter(start(), tally)
  return { run: (count) => inBursts(tally, count, burst, () => dispatch(actor, 1)) }
}

const calls = (width) => async () => {
  const actor = spawnStateless(start(), ({ number, sender }) => dispatch(sender, number + 1))
  const ask = (number) => query(actor, (sender) => ({ number, sender }), 5_000)
  return { run: (count) => outstanding(width, count, ask) }
}

const spawned = async () => {
  const system = start()
  let last = 0
  return {
    run: (count) =>
      inSlices(count, 1_000, async (length) => {
        const made = []
        for (let index = 0; index < length; index++) {
          made.push(spawn(system, (state) => state, `actor${last++}`))
        }
        for (const actor of made) stop(actor)
        return made.length
      }),
  }
}

const spawnHeld = async () => ({
  run: async (count, watch) => {
    const system = start()
    for (let index = 0; index < count; index++) spawn(system, (state) => state, `actor${index}`)
    watch.pause()
    stop(system)
    return count
  },
})

const restart = async () => {
  const tally = new Tally()
  const up = tally.expect(1)
  const actor = spawn(
    start(),
    () => {
      throw new Error('a bug')
    },
    'child',
    {
      initialStateFunc: () => tally.hit(),
      onCrash: (_message, _error, context) => context.reset,
    },
  )
  await up
  return { run: (count) => inBursts(tally, count, 1, () => dispatch(actor, 'fail')) }
}

const idle = async () => ({
  run: async (count) => {
    const tally = new Tally()
    let system = start()
    const make = async () => {
      const handled = tally.expect(count)
      for (let index = 0; index < count; index++) dispatch(counter(system, tally, index), 1)
      await handled
      return tally.hits
    }
    return heldBytes(count, make, () => {
      stop(system)
      system = undefined
    })
  },
})

const noTimers = 'has no timers but the time-out of an idle actor; setTimeout is used'

/** nact 7. */
export const contenders = [
  {
    name: 'nact',
    cases: {
      'one-way': oneWay(1_000),
      'call-1': calls(1),
      'call-64': calls(64),
      spawn: spawned,
      'spawn-held': spawnHeld,
      restart,
      idle,
      'backlog-10k': oneWay(10_000),
      'backlog-100k': oneWay(100_000),
      'backlog-1m': oneWay(1_000_000),
    },
    absent: {
      timers: noTimers,
      'timer-fire': noTimers,
      names: 'finds only children, and only in a handler of their parent',
    },
  },
]
