import { describe, expect, test } from 'vitest'
import type { Clock } from '../../../src/clock.ts'
import {
  cast,
  createSystem,
  type GenServer,
  type Ref,
  type System,
} from '../../../src/runtime/index.ts'
import { noReply } from '../../../src/runtime/server/next-step.ts'
import { silentLogger, virtualClock } from '../../../src/testing/index.ts'

type Work = { casts: { work: (ms: number) => void } }

/**
 * A System on whose clock a message takes as long as it says; and how much was handled in each of
 * its turns.
 */
const stage = async () => {
  const virtual = virtualClock()
  let now = 0
  const turns: number[] = [0]
  const clock: Clock = {
    ...virtual,
    monotonic: () => now,
    soon: (action) =>
      virtual.soon(() => {
        turns.push(0)
        action()
      }),
  }
  const system = createSystem({ clock, logger: silentLogger })
  const handled: Ref<Work>[] = []
  const server: GenServer<Work, null> = {
    init: () => null,
    casts: {
      work: (state, ms, { self }) => {
        now += ms
        handled.push(self as Ref<Work>)
        turns[turns.length - 1] = (turns.at(-1) ?? 0) + 1
        return noReply(state)
      },
    },
  }
  const start = (system: System): Promise<Ref<Work>> => system.start(server, undefined)
  const [busy, other] = [await start(system), await start(system)]
  return { settle: () => virtual.settle(), busy, other, handled, turns }
}

describe('a burst of slow messages for one process', () => {
  test.each([0, 1_000])(
    'leaves its turn to the others soon, after %i quick ones',
    async (quick) => {
      const { settle, busy, other, handled, turns } = await stage()
      for (let each = 0; each < quick; each++) cast(busy, 'work', 0.001)
      await settle()
      handled.length = 0
      turns.length = 0
      turns.push(0)
      for (let each = 0; each < 64; each++) cast(busy, 'work', 20)
      cast(other, 'work', 0)
      await settle()
      expect(handled.indexOf(other)).toBeLessThanOrEqual(2)
      expect(handled).toHaveLength(65)
      // Node's event loop has its turn after three of them at most, besides the quick one.
      expect(Math.max(...turns)).toBeLessThanOrEqual(4)
    },
  )
})

test('quick messages share a turn, however many ramps it takes', async () => {
  const { settle, busy, handled, turns } = await stage()
  for (let each = 0; each < 3_000; each++) cast(busy, 'work', 0.001)
  await settle()
  expect(handled).toHaveLength(3_000)
  expect(turns).toHaveLength(1)
})
