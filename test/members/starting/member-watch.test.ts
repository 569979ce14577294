/** The watch of a member stops in the middle of a look. */
import { expect, test } from 'vitest'
import { virtualClock } from '../../../src/clock.ts'
import { placeShards } from '../../../src/members/placement/shard-placement.ts'
import { MemberWatch } from '../../../src/members/starting/member-watch.ts'
import { silentLogger } from '../../../src/testing/index.ts'

test('a watch that stops awaits its look, and gives nothing after it', async () => {
  const clock = virtualClock()
  const given: number[] = []
  let answer: (isTaken: boolean) => void = () => undefined
  // It has what belongs to b, and takes what belongs to a.
  const places = placeShards(4, ['a', 'b'])
  const own = new Set([0, 1, 2, 3].filter((shard) => places[shard] === 'b'))
  const directory = {
    ...{ shards: 4, own, seemsFree: (shard: number) => !own.has(shard) },
    members: () => ({ members: ['a', 'b'], alive: new Set(['b']) }),
    take: () =>
      new Promise<boolean>((resolve) => {
        answer = resolve
      }),
  }
  const handOver = {
    mayGive: () => true,
    give: async (shard: number) => given.push(shard) > 0,
  }
  const watch = new MemberWatch(directory as never, 'a', clock)
  watch.follows({ onMoved: () => undefined, ready: () => undefined, isReady: () => true } as never)
  const ending = new AbortController()
  const running = { ending: ending.signal, system: { logger: silentLogger } }
  watch.follow({ open: async () => undefined } as never, handOver as never, running as never)
  await clock.advance(1_500)
  let hasStopped = false
  const stopped = watch.stop().then(() => {
    hasStopped = true
  })
  await clock.advance(1_500)
  expect(hasStopped).toBe(false)
  answer(true)
  await stopped
  await clock.advance(1_500)
  expect(given).toEqual([])
})
