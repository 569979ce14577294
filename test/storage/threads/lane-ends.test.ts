/** Commits in a lane: two at a time, in the order of their requests. */
import { expect, test } from 'vitest'
import { laneMemory, signalMemory, signalsIn } from '../../../src/storage/threads/lane.ts'
import {
  LaneClient,
  LaneHost,
  LaneServer,
  LaneThread,
} from '../../../src/storage/threads/lane-ends.ts'
import { answer, request } from '../../support/worlds/lane-commit.ts'
import { steppingClock } from '../../support/worlds/stepping-clock.ts'

/** A host and a thread with lanes, in one thread. Neither polls by itself: the test wakes them. */
const sides = ({ mayPoll = false } = {}) => {
  const memory = signalMemory()
  const { clock, pause } = steppingClock()
  const host = new LaneHost(memory, clock, mayPoll)
  const thread = new LaneThread(memory, clock)
  const wakeUps: string[] = []
  const settled: number[] = []
  const taken: { id: number; byLane: (answer: unknown) => boolean }[] = []
  const lane = () => {
    const slots = laneMemory()
    const client = new LaneClient(slots, host)
    client.onAnswer((id) => void settled.push(id))
    const server = new LaneServer(slots, thread, {
      wake: () => void wakeUps.push('host'),
      take: (id, _, byLane) => void taken.push({ id, byLane }),
    })
    const offer = (id: number) =>
      client.offer({ id, kind: 'commit', request }, () => void wakeUps.push('thread'))
    return { client, server, offer }
  }
  /** Whether the side looks at its lanes by itself. */
  const isAwake = (side: 'host' | 'thread') => {
    const signal = signalsIn(memory)[side]
    if (!signal.raise()) return true
    signal.sleep()
    return false
  }
  return { host, thread, lane, isAwake, pause, wakeUps, settled, taken }
}

/** A host and a thread with one lane. */
const world = (options?: Parameters<typeof sides>[0]) => {
  const { lane, isAwake, host, thread, taken, ...rest } = sides(options)
  const { client, server, offer } = lane()
  /** One commit, from its offer to its answer. Returns the sides that poll at its end. */
  const commit = (id: number) => {
    offer(id)
    thread.woken()
    const hostPolls = isAwake('host')
    taken.shift()?.byLane(answer(id))
    const threadPolls = isAwake('thread')
    host.woken()
    return { hostPolls, threadPolls }
  }
  return { client, server, offer, commit, isAwake, taken, ...rest }
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

test('a side that is asleep is woken once for all that waits for it in its lanes', () => {
  const { host, thread, lane, wakeUps, settled, taken } = sides()
  const lanes = Array.from({ length: 16 }, lane)
  for (const { offer } of lanes) offer(1)
  expect(wakeUps).toEqual(['thread'])
  thread.woken()
  expect(taken).toHaveLength(16)
  for (const { byLane } of taken) byLane(answer(1))
  expect(wakeUps).toEqual(['thread', 'host'])
  host.woken()
  expect(settled).toHaveLength(16)
  lanes[7]?.offer(2)
  expect(wakeUps).toEqual(['thread', 'host', 'thread'])
})

test('with eight commits in flight the next logs wait, and each goes when one has ended, in the order in which they asked', () => {
  const { host, thread, lane, taken } = sides()
  const lanes = Array.from({ length: 12 }, lane)
  const told: number[] = []
  const isFree = lanes.map(({ client, offer }, at) => {
    const free = client.isFree(() => void told.push(at))
    if (free) offer(1)
    return free
  })
  expect(isFree).toEqual(lanes.map((_, at) => at < 8))
  lanes[10]?.client.isFree(() => void told.push(10))
  thread.woken()
  taken.shift()?.byLane(answer(1))
  host.woken()
  expect(told).toEqual([8])
  lanes[8]?.offer(1)
  taken.shift()?.byLane(answer(1))
  host.woken()
  expect(told).toEqual([8, 9])
})

test('logs that may go and offer nothing hold up no other one', () => {
  const { lane } = sides()
  const lanes = Array.from({ length: 60 }, lane)
  const told: number[] = []
  for (const [at, { client, offer }] of lanes.entries())
    if (client.isFree(() => void told.push(at))) offer(1)
  for (const { client } of lanes) client.forget(1)
  expect(told).toEqual(lanes.map((_, at) => at).slice(8))
})

test('a commit that is offered while the thread is at work is taken after one more message', () => {
  const { thread, lane, wakeUps, taken } = sides()
  const [first, second] = [lane(), lane()]
  first.offer(1)
  thread.woken()
  second.offer(1)
  first.offer(2)
  expect(wakeUps).toEqual(['thread', 'thread'])
  thread.woken()
  expect(taken).toHaveLength(3)
})

test('a lane that has ended takes nothing more, and the others go on', () => {
  const { thread, lane, taken } = sides()
  const [first, second] = [lane(), lane()]
  first.server.end()
  first.offer(1)
  second.offer(1)
  thread.woken()
  expect(taken).toHaveLength(1)
})

test('an answer settles although another lane waits for a message', () => {
  const { host, thread, lane, settled, taken } = sides()
  const [first, second] = [lane(), lane()]
  first.offer(1)
  first.offer(2)
  second.offer(1)
  thread.woken()
  for (const { byLane } of taken.slice(1)) byLane(answer(1))
  host.woken()
  expect(settled).toEqual([1])
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

test.each([
  ['polls if the wake-up of a thread that sleeps takes long', 30, true],
  ['sleeps if a wake-up takes no time', 0, false],
] as const)('after a trial the host %s', (_, readings, isPolling) => {
  const memory = signalMemory()
  const { thread } = signalsIn(memory)
  const { clock } = steppingClock()
  const host = new LaneHost(memory, clock, true)
  const client = new LaneClient(laneMemory(), host)
  const wake = () => {
    for (let reading = 0; reading < readings; reading++) clock.monotonic()
  }
  for (let wait = 0; wait < 32; wait++) {
    if (host.choose()) thread.stayAwake()
    else thread.sleep()
    const offered = host.offered(client, wake)
    if (offered) host.ended(client, offered)
  }
  expect(host.choose()).toBe(isPolling)
})

test('where waits are short, no side polls for long: the other may need its processor', () => {
  const { server, isAwake, offer, commit, pause, taken } = world({ mayPoll: true })
  const id = 31
  for (let before = 1; before < id; before++) {
    pause(0.02)
    commit(before)
  }
  expect(isAwake('thread')).toBe(true)
  offer(id)
  expect(isAwake('host')).toBe(true)
  pause(0.4)
  expect(isAwake('host')).toBe(false)
  server.poll()
  taken.shift()?.byLane(answer(id))
  expect(isAwake('thread')).toBe(true)
  pause(0.4)
  expect(isAwake('thread')).toBe(false)
})
