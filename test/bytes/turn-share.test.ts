import { expect, test } from 'vitest'
import { TurnShare } from '../../src/bytes/turn-share.ts'

/** Work in steps of a microsecond, with others in between; answers how long each turn took. */
const turns = (others: readonly number[]): number[] => {
  let now = 0
  const share = new TurnShare({ monotonic: () => now })
  return others.map((ms) => {
    now += ms
    share.begin()
    const began = now
    do now += 1 / 1_024
    while (!share.isOver())
    return Math.round((now - began) * 100) / 100
  })
}

test('background work takes turns as long as other work took, and no more than 2 ms', () => {
  expect(turns([0, 0.5, 1, 40]).slice(1)).toEqual([0.5, 1, 2])
})

test('it takes short turns on an idle loop, and keeps up on a busy one', () => {
  expect(turns([0, 0, 0.01, 0.02]).slice(1)).toEqual([0.05, 0.05, 0.05])
})
