/** Commits in a lane: two at a time, in the order of their requests. */
import { expect, test } from 'vitest'
import { Lane, laneMemory, laneSides } from '../../../src/storage/threads/lane.ts'
import { LaneClient, LaneServer } from '../../../src/storage/threads/lane-ends.ts'
import { answer, request } from '../../support/worlds/lane-commit.ts'
import { steppingClock } from '../../support/worlds/stepping-clock.ts'

/** Both ends in one thread. Neither polls by itself: the test calls `poll`. */
const world = ({ mayPoll = false } = {}) => {
  const memory = laneMemory()
  const { clock, pause } = steppingClock()
  const wakeUps: string[] = []
  const settled: number[] = []
  const taken: { id: number; byLane: (answer: unknown) => boolean }[] = []
  const client = new LaneClient(memory, clock, mayPoll)
  client.onAnswer((id) => void settled.push(id))
  const server = new LaneServer(memory, clock, {
    wake: () => void wakeUps.push('host'),
    take: (id, _, byLane) => void taken.push({ id, byLane }),
  })
  const offer = (id: number) =>
    client.offer({ id, kind: 'commit', request }, () => void wakeUps.push('thread'))
  const lane = new Lane(memory)
  /** One commit, from its offer to its answer. Returns the sides that poll at its end. */
  const commit = (id: number) => {
    offer(id)
    server.poll()
    const { host, thread } = laneSides
    const hostPolls = lane.isPolling(host)
    taken.shift()?.byLane(answer(id))
    const threadPolls = lane.isPolling(thread)
    client.poll()
    return { hostPolls, threadPolls }
  }
  return { client, server, lane, offer, commit, pause, wakeUps, settled, taken }
}

test('the lane takes a second commit while the first is being written, and refuses a third', () => {
  const { server, offer, taken } = world()
  expect(offer(1)).toBe(true)
  server.poll()
  expect(offer(2)).toBe(true)
  expect(offer(3)).toBe(false)
  server.poll()
  expect(taken.map(({ id }) => id)).toEqual([1, 2])
})

test('the thread takes commits in the order of all requests, also when a message is between them', () => {
  const { server, offer, taken } = world()
  offer(1)
  offer(3)
  server.poll()
  server.poll()
  expect(taken.map(({ id }) => id)).toEqual([1])
  server.passed(2)
  server.poll()
  expect(taken.map(({ id }) => id)).toEqual([1, 3])
})

test('a slot takes the next commit after its answer, and answers keep the order of the requests', () => {
  const { client, server, offer, settled, taken } = world()
  for (let id = 1; id <= 2; id++) offer(id)
  for (let id = 3; id <= 40; id++) {
    server.poll()
    taken.shift()?.byLane(answer(id))
    client.poll()
    expect(offer(id)).toBe(true)
  }
  expect(settled).toEqual(Array.from({ length: 38 }, (_, at) => at + 1))
})

test('two answers that arrive together are settled in their order', () => {
  const { client, server, offer, settled, taken } = world()
  offer(1)
  offer(2)
  server.poll()
  for (const { id, byLane } of taken) byLane(answer(id))
  expect(client.poll()).toBe(true)
  expect(settled).toEqual([1, 2])
  expect(client.poll()).toBe(false)
})

test('an answer in the lane waits for the answer before it, which is a message', () => {
  const { client, server, offer, settled, taken } = world()
  offer(1)
  offer(2)
  server.poll()
  taken[1]?.byLane(answer(2))
  expect(client.poll()).toBe(false)
  expect(settled).toEqual([])
  client.forget(1)
  client.poll()
  expect(settled).toEqual([2])
})

test('a side that does not poll is woken for each commit and each answer', () => {
  const { server, offer, wakeUps, taken } = world()
  offer(1)
  offer(2)
  expect(wakeUps).toEqual(['thread', 'thread'])
  server.poll()
  for (const { id, byLane } of taken) byLane(answer(id))
  expect(wakeUps).toEqual(['thread', 'thread', 'host', 'host'])
})

for (const [name, pauseMs, isPolled] of [
  ['commits that follow each other at once are polled for, by both sides', 0.1, true],
  ['no side polls for commits with pauses between them', 1, false],
] as const)
  test(name, () => {
    const { commit, pause } = world({ mayPoll: true })
    const seen = { hostPolls: 0, threadPolls: 0 }
    for (let id = 1; id <= 32; id++) {
      pause(pauseMs)
      const { hostPolls, threadPolls } = commit(id)
      if (hostPolls) seen.hostPolls++
      if (threadPolls) seen.threadPolls++
    }
    expect(seen.hostPolls > 0).toBe(isPolled)
    expect(seen.threadPolls > 0).toBe(isPolled)
  })

test('where waits are short, no side polls for long: the other may need its processor', () => {
  const { server, lane, offer, commit, pause, taken } = world({ mayPoll: true })
  const isPolling = (side: keyof typeof laneSides) => lane.isPolling(laneSides[side])
  const id = 31
  for (let before = 1; before < id; before++) {
    pause(0.02)
    commit(before)
  }
  expect(isPolling('thread')).toBe(true)
  offer(id)
  expect(isPolling('host')).toBe(true)
  pause(0.4)
  expect(isPolling('host')).toBe(false)
  server.poll()
  taken.shift()?.byLane(answer(id))
  expect(isPolling('thread')).toBe(true)
  pause(0.4)
  expect(isPolling('thread')).toBe(false)
})
