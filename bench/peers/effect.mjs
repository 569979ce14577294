/** Effect: a fiber that takes from a queue is its actor. Offers from outside go through `offerUnsafe`, its quickest way. */
import * as Deferred from 'effect/Deferred'
import * as Effect from 'effect/Effect'
import * as Exit from 'effect/Exit'
import * as Fiber from 'effect/Fiber'
import * as Queue from 'effect/Queue'
import { heldBytes, inBursts, inSlices, Tally } from '../harness/tally.mjs'

const unbounded = () => Effect.runSync(Queue.unbounded())

/** A fiber that handles what is offered to `queue`. */
const actor = (queue, handle) =>
  Effect.runFork(
    Effect.gen(function* () {
      for (;;) handle(yield* Queue.take(queue))
    }),
  )

const oneWay = (burst) => async () => {
  const tally = new Tally()
  const queue = unbounded()
  actor(queue, () => tally.hit())
  return {
    run: (count) => inBursts(tally, count, burst, () => Queue.offerUnsafe(queue, 1)),
  }
}

const calls = (width) => async () => {
  const queue = unbounded()
  actor(queue, ({ number, answer }) => Deferred.doneUnsafe(answer, Exit.succeed(number + 1)))
  const ask = Effect.fnUntraced(function* (number) {
    const answer = Deferred.makeUnsafe()
    Queue.offerUnsafe(queue, { number, answer })
    return yield* Deferred.await(answer)
  })
  // The callers are fibers too, so that no promise is paid for.
  const caller = (state) =>
    Effect.gen(function* () {
      while (state.asked < state.count) {
        const number = state.asked++
        if ((yield* ask(number)) === number + 1) state.right++
      }
    })
  return {
    run: async (count) => {
      const state = { count, asked: 0, right: 0 }
      const callers = Array.from({ length: Math.min(width, count) }, () => caller(state))
      await Effect.runPromise(Effect.all(callers, { concurrency: 'unbounded', discard: true }))
      return state.right
    },
  }
}

const spawned = async () => ({
  run: (count) =>
    inSlices(count, 1_000, async (length) => {
      const fibers = []
      for (let index = 0; index < length; index++) fibers.push(actor(unbounded(), () => {}))
      await Effect.runPromise(Fiber.interruptAll(fibers))
      return fibers.filter((fiber) => fiber.pollUnsafe() !== undefined).length
    }),
})

const spawnHeld = async () => ({
  run: async (count, watch) => {
    const fibers = []
    for (let index = 0; index < count; index++) fibers.push(actor(unbounded(), () => {}))
    await new Promise((resolve) => setImmediate(resolve))
    watch.pause()
    await Effect.runPromise(Fiber.interruptAll(fibers))
    return fibers.length
  },
})

const restart = async () => {
  const tally = new Tally()
  const queue = unbounded()
  const up = tally.expect(1)
  const body = Effect.gen(function* () {
    tally.hit()
    yield* Queue.take(queue)
    yield* Effect.fail('a bug')
  })
  Effect.runFork(Effect.retry(body, { while: () => true }))
  await up
  return { run: (count) => inBursts(tally, count, 1, () => Queue.offerUnsafe(queue, 'fail')) }
}

const idle = async () => ({
  run: async (count) => {
    const tally = new Tally()
    let actors = []
    const make = async () => {
      const handled = tally.expect(count)
      for (let index = 0; index < count; index++) {
        const queue = unbounded()
        actors.push(actor(queue, () => tally.hit()))
        Queue.offerUnsafe(queue, 1)
      }
      await handled
      return tally.hits
    }
    return heldBytes(count, make, async () => {
      await Effect.runPromise(Fiber.interruptAll(actors))
      actors = undefined
    })
  },
})

const timers = async () => {
  for (let index = 0; index < 100_000; index++) Effect.runFork(Effect.sleep(60_000 + index))
  return {
    run: (count) =>
      inSlices(count, 10_000, async (length) => {
        const fibers = []
        for (let index = 0; index < length; index++) {
          fibers.push(Effect.runFork(Effect.sleep(1_000 + ((index * 7_919) % 100_000))))
        }
        await Effect.runPromise(Fiber.interruptAll(fibers))
        return fibers.filter((fiber) => fiber.pollUnsafe() !== undefined).length
      }),
  }
}

const timerFire = async () => {
  const tally = new Tally()
  const hit = Effect.sync(() => tally.hit())
  const arm = () => void Effect.runFork(Effect.andThen(Effect.sleep(1), hit))
  return { run: (count) => inBursts(tally, count, count, arm) }
}

/** Effect 4. */
export const contenders = [
  {
    name: 'effect',
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
      timers,
      'timer-fire': timerFire,
    },
    absent: { names: 'has no names to look up' },
  },
]
