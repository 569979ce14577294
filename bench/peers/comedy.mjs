/** comedy: actors in this process (`in-memory`), which have no mailbox: messages are handled side by side. */
import comedy from 'comedy'
import { heldBytes, inBursts, inSlices, outstanding, Tally } from '../harness/tally.mjs'

const open = () => comedy({ test: true, root: class Root {} }).rootActor()

const oneWay = async () => {
  const tally = new Tally()
  const root = await open()
  const actor = await root.createChild({ add: () => tally.hit() })
  return { run: (count) => inBursts(tally, count, 1_000, () => void actor.send('add', 1)) }
}

const calls = (width) => async () => {
  const root = await open()
  const actor = await root.createChild({ next: (number) => number + 1 })
  const ask = (number) => actor.sendAndReceive('next', number)
  return { run: (count) => outstanding(width, count, ask) }
}

const create = async (root, length) => {
  const starts = []
  for (let index = 0; index < length; index++) {
    starts.push(root.createChild({ next: (number) => number + 1 }))
  }
  return Promise.all(starts)
}

const spawned = async () => {
  const root = await open()
  return {
    run: (count) =>
      inSlices(count, 1_000, async (length) => {
        const actors = await create(root, length)
        await Promise.all(actors.map((actor) => actor.destroy()))
        return actors.filter((actor) => actor.getState() === 'destroyed').length
      }),
  }
}

/** They are left to the end of the process: to destroy so many children takes minutes. */
const spawnHeld = async () => ({
  run: async (count) => {
    const root = await open()
    return inSlices(count, 1_000, async (length) => (await create(root, length)).length)
  },
})

const idle = async () => ({
  run: async (count) => {
    const tally = new Tally()
    const root = await open()
    const make = async () => {
      for (let index = 0; index < count; index++) {
        const actor = await root.createChild({ add: () => tally.hit() })
        await actor.send('add', 1)
      }
      return tally.hits
    }
    return heldBytes(count, make, () => {})
  },
})

const noMailbox = 'has no mailbox: what is sent is handled at once, side by side'
const noTimers = 'has no timers; setTimeout is used'

/** comedy 2, in memory. */
export const contenders = [
  {
    name: 'comedy',
    cases: {
      'one-way': oneWay,
      'call-1': calls(1),
      'call-64': calls(64),
      spawn: spawned,
      'spawn-held': spawnHeld,
      idle,
    },
    absent: {
      restart: 'restarts processes and threads, not actors in memory',
      'backlog-10k': noMailbox,
      'backlog-100k': noMailbox,
      'backlog-1m': noMailbox,
      timers: noTimers,
      'timer-fire': noTimers,
      names: 'has no names to look up',
    },
  },
]
