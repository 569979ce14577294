/** When a log is idle. */
import { expect, test } from 'vitest'
import { virtualClock } from '../../../src/clock.ts'
import { IdleWatch } from '../../../src/storage/groups/idle-watch.ts'

const watchOf = (ms: number) => {
  const clock = virtualClock()
  const seen: number[] = []
  const watch = new IdleWatch(clock, ms, () => seen.push(clock.monotonic()))
  return { clock, seen, watch }
}

test('is told once after each activity, so many ms after the last', async () => {
  const { clock, seen, watch } = watchOf(100)
  watch.stir()
  await clock.advance(60)
  watch.stir()
  await clock.advance(99)
  expect(seen).toEqual([])
  await clock.advance(5_000)
  expect(seen).toEqual([160])
  watch.stir()
  await clock.advance(5_000)
  expect(seen).toEqual([160, 5_259])
})

test('costs one timer, however much happens', async () => {
  const { clock, watch } = watchOf(100)
  watch.stir()
  await clock.advance(40)
  for (let at = 0; at < 1_000; at++) watch.stir()
  expect(clock.untilNext()).toBe(60)
})

test('is never told with 0 ms', async () => {
  const { clock, seen, watch } = watchOf(0)
  watch.stir()
  expect(clock.untilNext()).toBeUndefined()
  await clock.advance(1_000)
  expect(seen).toEqual([])
})

test('is not told once the watch has ended', async () => {
  const { clock, seen, watch } = watchOf(100)
  watch.stir()
  watch.end()
  watch.stir()
  expect(clock.untilNext()).toBeUndefined()
  await clock.advance(1_000)
  expect(seen).toEqual([])
})
