/** One side of a lane looks out for a while and then sleeps, and misses nothing in between. */
import { expect, test } from 'vitest'
import type { Clock } from '../../../src/clock.ts'
import { CommitLane, laneMemory, laneSides } from '../../../src/storage/threads/commit-lane.ts'
import { LaneLookout } from '../../../src/storage/threads/lane-lookout.ts'

/** A clock on which each reading takes 10 µs, and turns that are taken by hand. */
const world = (look: () => boolean) => {
  const lane = new CommitLane(laneMemory())
  const turns: (() => void)[] = []
  let now = 0
  const clock = {
    monotonic: () => {
      now += 0.01
      return now
    },
    soon: (action: () => void) => void turns.push(action),
  } as Partial<Clock> as Clock
  const lookout = new LaneLookout({ lane, side: laneSides.thread, clock, look })
  return { lane, turns, lookout, isAwake: () => lane.isAwake(laneSides.thread) }
}

test('a lookout gives the loop a turn again and again, and sleeps when its time is over', () => {
  let looks = 0
  const { turns, lookout, isAwake } = world(() => {
    looks++
    return false
  })
  lookout.stayAwake(0.2)
  expect(isAwake()).toBe(true)
  let count = 0
  for (let turn = turns.shift(); turn; turn = turns.shift()) {
    count++
    turn()
  }
  expect(count).toBeGreaterThanOrEqual(3)
  expect(looks).toBeGreaterThan(1_000)
  expect(isAwake()).toBe(false)
})

test('what comes between the last look and the falling asleep is seen', () => {
  let isThere = false
  let seen = 0
  const { lane, turns, lookout, isAwake } = world(() => {
    if (!isThere) return false
    isThere = false
    seen++
    return true
  })
  const { setAwake } = lane
  // Whoever puts something there now sees a side that is awake, and does not ring.
  lane.setAwake = (side, value) => {
    if (!value) isThere = true
    setAwake.call(lane, side, value)
  }
  lookout.stayAwake(0.01)
  for (let turn = turns.shift(); turn; turn = turns.shift()) turn()
  expect(isAwake()).toBe(false)
  expect(seen).toBe(1)
})

test('a lookout that is told to sleep does so at the end of its turn, and can be woken again', () => {
  const { turns, lookout, isAwake } = world(() => false)
  lookout.stayAwake(1_000)
  lookout.sleepSoon()
  turns.shift()?.()
  expect(isAwake()).toBe(false)
  expect(turns).toEqual([])
  lookout.stayAwake(0.01)
  expect(isAwake()).toBe(true)
  expect(turns).toHaveLength(1)
})
