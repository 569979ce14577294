/** Samples of very many events: how many there are, and their weights. */
import { expect, test } from 'vitest'
import { virtualClock } from '../../../src/clock.ts'
import { type CallSample, Hearing } from '../../../src/runtime/words/hearing.ts'

const sampled = () => {
  const clock = virtualClock()
  const hearing = new Hearing<CallSample>()
  const weights: number[] = []
  const stop = hearing.sample((_, weight) => void weights.push(weight))
  const happen = (times: number): void => {
    for (let at = 0; at < times; at++) {
      if (!hearing.isOn || hearing.skips()) continue
      hearing.measured({} as CallSample, hearing.weigh(clock))
    }
  }
  const sum = (): number => weights.reduce((all, weight) => all + weight, 0)
  return { clock, hearing, weights, stop, happen, sum }
}

test('every event is a sample while there are fewer than 1,000 a second', async () => {
  const { clock, weights, happen } = sampled()
  for (let second = 0; second < 10; second++) {
    for (let quarter = 0; quarter < 4; quarter++) {
      happen(250)
      await clock.advance(250)
    }
  }
  expect(weights).toEqual(Array(10_000).fill(1))
})

test('of a million events at once some thousand are samples, which count for all of them', () => {
  const { weights, hearing, happen, sum } = sampled()
  happen(1_000_000)
  expect(weights.length).toBeLessThan(4_000)
  hearing.restart()
  happen(1)
  expect(sum()).toBe(1_000_001)
  expect(weights.at(-1)).toBeGreaterThan(1)
})

test('nobody hears it when the last sampler has gone, unless it has listeners', () => {
  const { hearing, stop, happen, weights } = sampled()
  expect(hearing.isOn).toBe(true)
  stop()
  expect(hearing.isOn).toBe(false)
  happen(10)
  expect(weights).toEqual([])
  hearing.isAll = true
  expect(hearing.isOn).toBe(true)
})

test('with a listener every event is wanted, and the samples keep their weights', {
  tags: ['slow'],
}, () => {
  const { clock, hearing } = sampled()
  hearing.isAll = true
  let sum = 0
  for (let at = 0; at < 10_000; at++) {
    expect(hearing.skips()).toBe(false)
    sum += hearing.weigh(clock)
  }
  hearing.restart()
  expect(hearing.skips()).toBe(false)
  expect(sum + hearing.weigh(clock)).toBe(10_001)
})
