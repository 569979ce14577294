/** Commits on their way through a lane: two at a time, in the order in which they were asked for. */
import { expect, test } from 'vitest'
import type { Clock } from '../../../src/clock.ts'
import { CommitLane, laneMemory, laneSides } from '../../../src/storage/threads/commit-lane.ts'
import { LaneClient } from '../../../src/storage/threads/lane-client.ts'
import { LaneServer } from '../../../src/storage/threads/lane-server.ts'
import { answer, request } from '../../support/lane-commit.ts'

/** Both sides in one thread: nobody looks by itself, so what happens is what the test does. */
const world = () => {
  const memory = laneMemory()
  const clock = { monotonic: () => 0, soon: () => undefined } as Partial<Clock> as Clock
  const rings: string[] = []
  const settled: number[] = []
  const taken: { id: number; byLane: (answer: unknown) => boolean }[] = []
  const client = new LaneClient(memory, clock, false)
  client.settleBy((id) => void settled.push(id))
  const server = new LaneServer(memory, clock, {
    ring: () => void rings.push('asker'),
    take: (id, _, byLane) => void taken.push({ id, byLane }),
  })
  const offer = (id: number) =>
    client.offer({ id, kind: 'commit', request }, () => void rings.push('thread'))
  return { client, server, offer, rings, settled, taken }
}

test('a second commit goes on its way while the first is being written, a third does not', () => {
  const { server, offer, taken } = world()
  expect(offer(1)).toBe(true)
  server.look()
  expect(offer(2)).toBe(true)
  expect(offer(3)).toBe(false)
  server.look()
  expect(taken.map(({ id }) => id)).toEqual([1, 2])
})

test('the thread takes what waits in the order of the requests, one that came as a message among them', () => {
  const { server, offer, taken } = world()
  offer(1)
  offer(3)
  server.look()
  server.look()
  expect(taken.map(({ id }) => id)).toEqual([1])
  server.passed(2)
  server.look()
  expect(taken.map(({ id }) => id)).toEqual([1, 3])
})

test('a slot whose commit was answered takes the next, and the order stays that of the requests', () => {
  const { client, server, offer, settled, taken } = world()
  for (let id = 1; id <= 2; id++) offer(id)
  for (let id = 3; id <= 40; id++) {
    server.look()
    taken.shift()?.byLane(answer(id))
    client.look()
    expect(offer(id)).toBe(true)
  }
  expect(settled).toEqual(Array.from({ length: 38 }, (_, at) => at + 1))
})

test('two answers that are there together are settled in their order', () => {
  const { client, server, offer, settled, taken } = world()
  offer(1)
  offer(2)
  server.look()
  for (const { id, byLane } of taken) byLane(answer(id))
  expect(client.look()).toBe(true)
  expect(settled).toEqual([1, 2])
  expect(client.look()).toBe(false)
})

test('who was answered by the lane waits for the one before, which was answered by a message', () => {
  const { client, server, offer, settled, taken } = world()
  offer(1)
  offer(2)
  server.look()
  taken[1]?.byLane(answer(2))
  expect(client.look()).toBe(false)
  expect(settled).toEqual([])
  client.forget(1)
  client.look()
  expect(settled).toEqual([2])
})

test('a side that is asleep is rung for each commit and each answer', () => {
  const { server, offer, rings, taken } = world()
  offer(1)
  offer(2)
  expect(rings).toEqual(['thread', 'thread'])
  server.look()
  for (const { id, byLane } of taken) byLane(answer(id))
  expect(rings).toEqual(['thread', 'thread', 'asker', 'asker'])
})

test('each side of a lane sees whether the other is awake', () => {
  const memory = laneMemory()
  const asker = new CommitLane(memory)
  const thread = new CommitLane(memory)
  expect(asker.isAwake(laneSides.thread)).toBe(false)
  thread.setAwake(laneSides.thread, true)
  expect(asker.isAwake(laneSides.thread)).toBe(true)
  expect(thread.isAwake(laneSides.asker)).toBe(false)
  thread.setAwake(laneSides.thread, false)
  expect(asker.isAwake(laneSides.thread)).toBe(false)
})
