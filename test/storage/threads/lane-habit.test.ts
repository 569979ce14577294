/** Whether a wait is spent awake is decided by trials of both ways. */
import { describe, expect, test } from 'vitest'
import { LaneHabit } from '../../../src/storage/threads/lane-habit.ts'

/** Spends `count` waits that take `awakeMs` or `asleepMs`, and answers what share of them was spent awake. */
const spend = (habit: LaneHabit, count: number, awakeMs: number, asleepMs: number): number => {
  let awake = 0
  for (let wait = 0; wait < count; wait++) {
    const isAwake = habit.choose()
    if (isAwake) awake++
    habit.learn(isAwake, isAwake ? awakeMs : asleepMs)
  }
  return awake / count
}

describe('the habit of waiting', () => {
  test('is to wait awake where that is shorter', () => {
    const habit = new LaneHabit()
    spend(habit, 1_000, 0.1, 0.15)
    expect(spend(habit, 10_000, 0.1, 0.15)).toBeGreaterThan(0.98)
  })

  test('is to sleep where waiting awake takes the time of whoever is waited for', () => {
    const habit = new LaneHabit()
    spend(habit, 1_000, 0.3, 0.06)
    expect(spend(habit, 10_000, 0.3, 0.06)).toBeLessThan(0.02)
  })

  test('is to sleep where little is saved, as on a slow disk', () => {
    const habit = new LaneHabit()
    spend(habit, 1_000, 0.095, 0.1)
    expect(spend(habit, 10_000, 0.095, 0.1)).toBeLessThan(0.02)
    expect(spend(habit, 10_000, 5, 9)).toBeLessThan(0.02)
  })

  test('changes when what it is good for changes', () => {
    const habit = new LaneHabit()
    spend(habit, 10_000, 0.1, 0.15)
    spend(habit, 5_000, 0.3, 0.06)
    expect(spend(habit, 10_000, 0.3, 0.06)).toBeLessThan(0.02)
    spend(habit, 5_000, 0.1, 0.15)
    expect(spend(habit, 10_000, 0.1, 0.15)).toBeGreaterThan(0.98)
  })

  test('does not change for a hiccup in a trial', () => {
    const habit = new LaneHabit()
    spend(habit, 128, 0.1, 0.15)
    // The second trial begins here.
    for (let wait = 0; wait < 32; wait++) {
      const isAwake = habit.choose()
      habit.learn(isAwake, isAwake ? (wait % 8 === 5 ? 50 : 0.1) : 0.15)
    }
    expect(spend(habit, 96, 0.1, 0.15)).toBe(1)
  })

  test('is found where every second wait that was chosen is none, for its commit went as a message', () => {
    const habit = new LaneHabit()
    let awake = 0
    for (let wait = 0; wait < 10_000; wait++) {
      const isAwake = habit.choose()
      habit.learn(isAwake, isAwake ? 0.1 : 0.15)
      habit.choose()
      if (isAwake) awake++
    }
    expect(awake / 10_000).toBeGreaterThan(0.9)
  })
})
