/** What throws outside of a handler ends its process, and stops neither the queue nor the timers. */
import { describe, expect, test } from 'vitest'
import { type Clock, virtualClock } from '../../../src/clock.ts'
import {
  createSystem,
  getState,
  noReply,
  Registry,
  type Then,
  via,
} from '../../../src/runtime/index.ts'
import { capturedLog, testSystem } from '../../../src/testing/index.ts'
import * as Runner from '../task/runner.ts'

/** A next step that is valid when it is checked, and throws when it is followed. */
const changing = (): Then<never> => {
  let reads = 0
  return {
    get timeoutMs() {
      if (++reads > 1) throw new Error('read once too often')
      return 5
    },
  }
}

describe('a throw outside of a handler', () => {
  test.each(['at once', 'after a promise'])(
    'ends its process with that error, and the others go on: %s',
    async (when) => {
      const { system, ended } = testSystem()
      const [broken, other] = [
        await system.start(Runner.server, false),
        await system.start(Runner.server, false),
      ]
      const reason = ended(broken)
      const step = noReply([], changing())

      Runner.answer(broken, when === 'at once' ? () => step : async () => step)
      const done = Runner.run(other, () => 'handled')

      expect(await reason).toMatchObject({ message: 'read once too often' })
      expect(await done).toBe('handled')
    },
  )

  test('in the wait for the next message ends its process too', async () => {
    const virtual = virtualClock()
    let isBroken = false
    const clock: Clock = {
      ...virtual,
      monotonic: () => {
        if (!isBroken) return virtual.monotonic()
        isBroken = false
        throw new Error('no time')
      },
    }
    const system = createSystem({ clock, logger: capturedLog() })
    const runner = await system.start(Runner.server, false)
    const reasons: unknown[] = []
    system.monitor(runner, (reason) => reasons.push(reason))

    Runner.answer(runner, () => {
      isBroken = true
      return noReply([], { timeoutMs: 10 })
    })
    await virtual.settle()

    expect(reasons).toMatchObject([{ message: 'no time' }])
    expect(await getState(await system.start(Runner.server, false))).toEqual([])
  })
})

test('a timer whose name cannot be looked up is logged, and the others fire', async () => {
  const { system, clock, log } = testSystem()
  const registry = await Registry.start<unknown, null, Runner.Messages>(system, { keys: 'unique' })
  const runner = await system.start(Runner.server, false)
  let isOdd = false
  const key = {
    get part() {
      if (isOdd) throw new Error('not to be read')
      return 1
    },
  }

  await Runner.run(runner, (context) => {
    context.sendAfter(10, 'tick', 'odd', via(registry, key))
    context.sendAfter(10, 'tick', 'same moment')
    context.sendAfter(20, 'tick', 'later')
  })
  isOdd = true
  await clock.advance(20)

  expect(await getState(runner)).toEqual(['same moment', 'later'])
  expect(log.messages('error')).toEqual(['a timer threw: Error: not to be read'])
})
