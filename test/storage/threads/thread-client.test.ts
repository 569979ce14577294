/**
 * The asking side of a thread: answers by message and by the fast path, in one order. The test
 * plays the worker.
 */
import { EventEmitter } from 'node:events'
import type { Worker } from 'node:worker_threads'
import { expect, test } from 'vitest'
import type { Clock } from '../../../src/clock.ts'
import { laneMemory, signalMemory } from '../../../src/storage/threads/lane.ts'
import {
  LaneClient,
  LaneHost,
  LaneServer,
  LaneThread,
} from '../../../src/storage/threads/lane-ends.ts'
import { threadClient } from '../../../src/storage/threads/worker-thread.ts'
import { answer, request } from '../../support/worlds/lane-commit.ts'

/** Neither end wakes the other or polls by itself. */
const world = () => {
  const memory = laneMemory()
  const signals = signalMemory()
  const clock = { monotonic: () => 0, soon: () => undefined } as Partial<Clock> as Clock
  const taken: { id: number; byLane: (answer: unknown) => boolean }[] = []
  const server = new LaneServer(memory, new LaneThread(signals, clock), {
    wake: () => undefined,
    take: (id, _, byLane) => void taken.push({ id, byLane }),
  })
  const worker = Object.assign(new EventEmitter(), {
    postMessage: () => undefined,
    ref: () => undefined,
    unref: () => undefined,
  })
  const lane = new LaneClient(memory, new LaneHost(signals, clock, false))
  const client = threadClient(worker as unknown as Worker, 'log', lane)
  return { server, worker, client, taken }
}

test('an answer in the lane settles as soon as the message before it arrives', async () => {
  const { server, worker, client, taken } = world()
  const settled: string[] = []
  const first = client.ask('commit', request).catch(() => settled.push('refused'))
  const second = client.ask('commit', request).then(() => settled.push('committed'))
  server.poll()
  expect(taken.map(({ id }) => id)).toEqual([1, 2])
  taken[1]?.byLane(answer(2))
  worker.emit('message', { id: 1, error: { code: 'NO_SPACE', message: 'full', details: {} } })
  await Promise.all([first, second])
  expect(settled).toEqual(['refused', 'committed'])
})

/** Too large for a slot of the lane: it goes as a message. */
const large = { ...request, bytes: new Uint8Array(2 * 1024 * 1024) }

test('an answer in the lane waits for the message of an earlier commit', async () => {
  const { server, worker, client, taken } = world()
  const settled: string[] = []
  const first = client.ask('commit', { ...large, isGiven: true }).then(() => settled.push('large'))
  const second = client.ask('commit', request).then(() => settled.push('small'))
  server.passed(1)
  server.poll()
  expect(taken.map(({ id }) => id)).toEqual([2])
  taken[0]?.byLane(answer(2))
  worker.emit('message', null)
  await Promise.resolve()
  expect(settled).toEqual([])
  worker.emit('message', { id: 1, answer: answer(1) })
  await Promise.all([first, second])
  expect(settled).toEqual(['large', 'small'])
})

test('a message settles behind the answers in the lane to earlier commits', async () => {
  const { server, worker, client, taken } = world()
  const settled: string[] = []
  const first = client.ask('commit', request).then(() => settled.push('small'))
  const second = client.ask('commit', { ...large, isGiven: true }).then(() => settled.push('large'))
  server.poll()
  taken[0]?.byLane(answer(1))
  worker.emit('message', { id: 2, answer: answer(2) })
  await Promise.all([first, second])
  expect(settled).toEqual(['small', 'large'])
})

test('a thread that dies refuses both commits in flight, and all later ones', async () => {
  const { server, worker, client } = world()
  const all = [client.ask('commit', request), client.ask('commit', request)]
  server.poll()
  worker.emit('exit', 1)
  for (const each of await Promise.allSettled(all))
    expect(each).toMatchObject({ status: 'rejected', reason: { code: 'SHARD_DOWN' } })
  expect(await client.died).toMatchObject({ code: 'SHARD_DOWN', details: { reason: 'thread' } })
  await expect(client.ask('commit', request)).rejects.toMatchObject({ code: 'SHARD_DOWN' })
})
