/**
 * How a side of a lane waits: trials decide whether it polls, and a poller misses nothing when it
 * stops.
 */
import { describe, expect, test } from 'vitest'
import { signalMemory, signalsIn } from '../../../src/storage/threads/lane.ts'
import {
  LanePoller,
  PollHabit,
  PollLimit,
  pollMsMax,
} from '../../../src/storage/threads/lane-ends.ts'
import { steppingClock } from '../../support/worlds/stepping-clock.ts'

/** Waits `count` times, for `polledMs` or `sleptMs`. Returns the share of the waits that polled. */
const spend = (habit: PollHabit, count: number, polledMs: number, sleptMs: number): number => {
  let polled = 0
  for (let wait = 0; wait < count; wait++) {
    const polls = habit.choose()
    if (polls) polled++
    habit.learn(polls, polls ? polledMs : sleptMs)
  }
  return polled / count
}

describe('the habit of a waiting side', () => {
  test('is to poll if that is shorter', () => {
    const habit = new PollHabit()
    spend(habit, 1_000, 0.1, 0.15)
    expect(spend(habit, 10_000, 0.1, 0.15)).toBeGreaterThan(0.98)
  })

  test('is to sleep if polling takes the time of the other thread', () => {
    const habit = new PollHabit()
    spend(habit, 1_000, 0.3, 0.06)
    expect(spend(habit, 10_000, 0.3, 0.06)).toBeLessThan(0.02)
  })

  test('is to sleep if polling saves little, as on a slow disk', () => {
    const habit = new PollHabit()
    spend(habit, 1_000, 0.095, 0.1)
    expect(spend(habit, 10_000, 0.095, 0.1)).toBeLessThan(0.02)
    expect(spend(habit, 10_000, 5, 9)).toBeLessThan(0.02)
  })

  test('changes when the load changes', () => {
    const habit = new PollHabit()
    spend(habit, 10_000, 0.1, 0.15)
    spend(habit, 5_000, 0.3, 0.06)
    expect(spend(habit, 10_000, 0.3, 0.06)).toBeLessThan(0.02)
    spend(habit, 5_000, 0.1, 0.15)
    expect(spend(habit, 10_000, 0.1, 0.15)).toBeGreaterThan(0.98)
  })

  test('does not change for single slow waits in a trial', () => {
    const habit = new PollHabit()
    spend(habit, 128, 0.1, 0.15)
    // The second trial begins here.
    for (let wait = 0; wait < 32; wait++) {
      const polls = habit.choose()
      habit.learn(polls, polls ? (wait % 8 === 5 ? 50 : 0.1) : 0.15)
    }
    expect(spend(habit, 96, 0.1, 0.15)).toBe(1)
  })

  test('is found even if every second commit goes as a message, so that its wait is never learned', () => {
    const habit = new PollHabit()
    let polled = 0
    for (let wait = 0; wait < 10_000; wait++) {
      const polls = habit.choose()
      habit.learn(polls, polls ? 0.1 : 0.15)
      habit.choose()
      if (polls) polled++
    }
    expect(polled / 10_000).toBeGreaterThan(0.9)
  })
})

test('a poll goes on twice as long as waits that are spent asleep, and 0.6 ms at most', () => {
  const limit = new PollLimit()
  expect(limit.ms).toBe(pollMsMax)
  for (let wait = 0; wait < 200; wait++) limit.learn(0.1)
  expect(limit.ms).toBeCloseTo(0.2, 3)
  limit.learn(1_000)
  expect(limit.ms).toBeLessThan(0.3)
  for (let wait = 0; wait < 200; wait++) limit.learn(9)
  expect(limit.ms).toBeCloseTo(0.6, 3)
  expect(limit.ms).toBeLessThanOrEqual(pollMsMax)
})

/** The other side raises the signal before each poll if `isBusy`. */
const world = (poll: () => boolean, isBusy = true) => {
  const memory = signalMemory()
  const { thread: signal } = signalsIn(memory)
  const { thread: others } = signalsIn(memory)
  const { clock, turns } = steppingClock()
  let raised = 0
  const poller = new LanePoller({ signal, clock, poll })
  const isPolling = () => {
    const mustWake = others.raise()
    if (mustWake) signal.sleep()
    return !mustWake
  }
  if (isBusy) Object.defineProperty(signal, 'raised', { get: () => ++raised })
  return { signal, others, turns, poller, isPolling }
}

test('a poller gives the event loop turns in between, and stops when its time is over', () => {
  let polls = 0
  const { turns, poller, isPolling } = world(() => {
    polls++
    return false
  })
  poller.pollFor(0.2)
  expect(isPolling()).toBe(true)
  let count = 0
  for (let turn = turns.shift(); turn; turn = turns.shift()) {
    count++
    turn()
  }
  expect(count).toBeGreaterThanOrEqual(3)
  expect(polls).toBeGreaterThan(1_000)
  expect(isPolling()).toBe(false)
})

test('a poller looks at its lanes only after the other side has written to one', () => {
  let polls = 0
  const count = () => {
    polls++
    return true
  }
  const { turns, poller, others } = world(count, false)
  poller.pollFor(0.01)
  for (let turn = turns.shift(); turn; turn = turns.shift()) turn()
  expect(polls).toBe(0)
  others.raise()
  poller.woken()
  poller.woken()
  expect(polls).toBe(1)
})

test('a poller sees what arrives between its last poll and its stop', () => {
  let seen = 0
  const count = () => {
    seen++
    return true
  }
  const { signal, others, turns, poller } = world(count, false)
  const { sleep } = signal
  // The other side writes now, sees a side that polls, and sends no wake-up.
  signal.sleep = () => {
    expect(others.raise()).toBe(false)
    sleep.call(signal)
  }
  poller.pollFor(0.01)
  for (let turn = turns.shift(); turn; turn = turns.shift()) turn()
  expect(seen).toBe(1)
  expect(others.raise()).toBe(true)
})

test('a message that wakes a poller leaves it polling', () => {
  const { turns, poller, others } = world(() => true, false)
  poller.pollFor(1_000)
  others.raise()
  poller.woken()
  expect(others.raise()).toBe(false)
  expect(turns).toHaveLength(1)
})

test('a poller that is told to stop does so at the end of its turn, and can start again', () => {
  const { turns, poller, others } = world(() => false)
  poller.pollFor(1_000)
  poller.stop()
  turns.shift()?.()
  expect(others.raise()).toBe(true)
  expect(turns).toEqual([])
  poller.pollFor(0.01)
  expect(others.raise()).toBe(false)
  expect(turns).toHaveLength(1)
})
