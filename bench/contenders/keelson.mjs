/** Keelson, as its users see it: the built package. */
import {
  call,
  cast,
  createSystem,
  noReply,
  reply,
  startSupervisor,
  supervisor,
  worker,
} from 'keelson'
import { heldBytes, inBursts, inSlices, outstanding, Tally } from '../harness/tally.mjs'

const logger = { error() {}, warn() {}, info() {} }

const counting = (tally) => ({
  init: () => 0,
  casts: {
    add: (state, by) => {
      tally.hit()
      return noReply(state + by)
    },
  },
})

const answering = {
  init: () => 0,
  calls: { next: (state, number) => reply(number + 1, state) },
}

const oneWay = async () => {
  const tally = new Tally()
  const ref = await createSystem({ logger }).start(counting(tally))
  return { run: (count) => inBursts(tally, count, 1_000, () => cast(ref, 'add', 1)) }
}

const calls = (width) => async () => {
  const ref = await createSystem({ logger }).start(answering)
  return { run: (count) => outstanding(width, count, (number) => call(ref, 'next', number)) }
}

const startMany = (system, length) => {
  const starts = []
  for (let index = 0; index < length; index++) starts.push(system.start(answering))
  return Promise.all(starts)
}

const spawn = async () => {
  const system = createSystem({ logger })
  const slice = async (length) => {
    const refs = await startMany(system, length)
    for (const ref of refs) system.exit(ref, 'shutdown')
    return length - system.processes().length
  }
  return { run: (count) => inSlices(count, 1_000, slice) }
}

const spawnHeld = async () => {
  const system = createSystem({ logger })
  return {
    run: async (count, watch) => {
      const refs = []
      await inSlices(count, 1_000, async (length) =>
        refs.push(...(await startMany(system, length))),
      )
      watch.pause()
      const held = system.processes().length
      for (const ref of refs) system.exit(ref, 'shutdown')
      return held
    },
  }
}

const spawnBare = async () => {
  const system = createSystem({ logger })
  const tally = new Tally()
  const slice = async (length) => {
    const before = tally.hits
    const begun = tally.expect(length)
    for (let index = 0; index < length; index++) system.spawn(() => tally.hit())
    await begun
    return tally.hits - before
  }
  return { run: (count) => inSlices(count, 1_000, slice) }
}

const restart = async () => {
  const tally = new Tally()
  const server = {
    init: () => tally.hit(),
    casts: {
      fail: () => {
        throw new Error('a bug')
      },
    },
  }
  const system = createSystem({ logger })
  const limits = { strategy: 'one_for_one', intensity: 1_000_000_000, periodMs: 1 }
  const up = tally.expect(1)
  await startSupervisor(system, supervisor('top', limits, [worker('child', server)]))
  await up
  const child = system.to('child')
  return { run: (count) => inBursts(tally, count, 1, () => cast(child, 'fail')) }
}

const idle = async () => ({
  run: async (count) => {
    const tally = new Tally()
    const server = counting(tally)
    let system = createSystem({ logger })
    const make = async () => {
      const handled = tally.expect(count)
      for (let index = 0; index < count; index++) {
        const ref = await system.start(server)
        cast(ref, 'add', 1)
      }
      await handled
      return tally.hits
    }
    return heldBytes(count, make, () => {
      system = undefined
    })
  },
})

const backlog = (size) => async () => {
  const tally = new Tally()
  const ref = await createSystem({ logger }).start(counting(tally), undefined, {
    mailboxMax: Number.POSITIVE_INFINITY,
  })
  return { run: (count) => inBursts(tally, count, size, () => cast(ref, 'add', 1)) }
}

/** A server that keeps `live` timers and makes more: each turn of `cycle` starts some and takes them back. */
const timers = async () => {
  const live = 100_000
  const server = {
    init: (_, context) => {
      for (let index = 0; index < live; index++) context.sendAfter(60_000 + index, 'tick')
      return null
    },
    calls: {
      cycle: (state, count, context) => {
        const made = []
        for (let index = 0; index < count; index++) {
          made.push(context.sendAfter(1_000 + ((index * 7_919) % 100_000), 'tick'))
        }
        let taken = 0
        for (const timer of made) if (context.cancelTimer(timer) !== false) taken++
        return reply(taken, state)
      },
    },
  }
  const ref = await createSystem({ logger }).start(server)
  return { run: (count) => inSlices(count, 10_000, (length) => call(ref, 'cycle', length)) }
}

const timerFire = async () => {
  const tally = new Tally()
  const server = {
    init: () => null,
    casts: {
      arm: (state, count, context) => {
        for (let index = 0; index < count; index++) context.sendAfter(1, 'tick')
        return noReply(state)
      },
    },
    infos: {
      tick: (state) => {
        tally.hit()
        return noReply(state)
      },
    },
  }
  const ref = await createSystem({ logger }).start(server)
  return {
    run: async (count) => {
      const before = tally.hits
      const fired = tally.expect(count)
      cast(ref, 'arm', count)
      await fired
      return tally.hits - before
    },
  }
}

const names = async () => {
  const system = createSystem({ logger })
  const keys = Array.from({ length: 100_000 }, (_, index) => `session:${index}`)
  for (const name of keys) await system.start(answering, undefined, { name })
  return {
    run: (count) => {
      let found = 0
      for (let index = 0; index < count; index++) {
        if (system.whereis(keys[(index * 7_919) % keys.length]) !== undefined) found++
      }
      return found
    },
  }
}

/** Keelson's servers, and its bare processes where they make a difference. */
export const contenders = [
  {
    name: 'keelson',
    cases: {
      'one-way': oneWay,
      'call-1': calls(1),
      'call-64': calls(64),
      spawn,
      'spawn-held': spawnHeld,
      restart,
      idle,
      'backlog-10k': backlog(10_000),
      'backlog-100k': backlog(100_000),
      'backlog-1m': backlog(1_000_000),
      timers,
      'timer-fire': timerFire,
      names,
    },
  },
  { name: 'keelson, bare process', cases: { spawn: spawnBare } },
]
