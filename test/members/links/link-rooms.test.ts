/** A peer that does not read slows only who calls it, and no queue grows without a bound. */
import { afterEach, describe, expect, test } from 'vitest'
import type { KeelsonError } from '../../../src/errors.ts'
import { outboxLimits } from '../../../src/members/links/link-outbox.ts'
import { call, cast } from '../../../src/runtime/index.ts'
import {
  deskAt,
  type LinkedWorld,
  linkedWorld,
  startDesk,
} from '../../support/worlds/linked-members.ts'

let world: LinkedWorld
afterEach(() => world.close())

const code = ({ code }: KeelsonError): string => code

describe('a member with many processes', () => {
  /** Member a asks the desks of b one after another, from the given one on: more than a link has room for. */
  const crowded = async () => {
    world = linkedWorld()
    const limits = { ...outboxLimits, ownMessages: 100 }
    const [a, b] = [await world.start('a', { limits }), await world.start('b', { limits })]
    a.members.expect('b')
    await world.clock.advance(1_000)
    for (let at = 0; at < 250; at++) await startDesk(b, `desk ${at}`)
    const desk = (at: number) => deskAt(a, 'b', `desk ${at}`)
    const askEachFrom = async (first: number): Promise<void> => {
      for (let at = first; at < 250; at++) {
        const answer = call(desk(at), 'echo', at)
        await world.clock.settle()
        expect(await answer).toBe(at)
      }
      expect(a.said().filter((line) => line.includes('ended'))).toEqual([])
    }
    return { desk, askEachFrom }
  }

  test('is asked for each of them over one link, and for more than that has room for at a time', {
    tags: ['slow'],
  }, async () => {
    const { askEachFrom } = await crowded()
    await askEachFrom(0)
  })

  test('is asked for all of them again after many of them were needed at a time', {
    tags: ['slow'],
  }, async () => {
    const { desk, askEachFrom } = await crowded()
    const asked = Array.from({ length: 80 }, (_, at) => call(desk(at), 'later', 10))
    await world.clock.advance(1_000)
    expect(await Promise.all(asked)).toEqual(asked.map(() => 10))
    await askEachFrom(80)
  })
})

describe('a member that does not read', () => {
  test('gets 1,024 messages at most: further calls are BUSY, until it reads again', async () => {
    world = linkedWorld()
    const [a, b] = await world.pair()
    await startDesk(b)
    const desk = deskAt(a)
    world.links.pause('b')
    for (let count = 0; count < 4; count++) {
      cast(desk, 'note', Buffer.alloc(150_000))
      await world.clock.settle()
    }
    const calls = Array.from({ length: 1_100 }, () =>
      call(desk, 'echo', 1, { timeoutMs: Infinity }).catch(code),
    )
    await world.clock.settle()
    const [waiting] = a.members.status
    expect(waiting?.messages).toBeLessThanOrEqual(1_024)
    expect(waiting?.messages).toBeGreaterThan(1_000)
    expect(await call(desk, 'echo', 1).catch(code)).toBe('BUSY')
    expect(await call(deskAt(a, 'b', 'other'), 'echo', 1).catch(code)).toBe('BUSY')
    world.links.resume('b')
    await world.clock.settle()
    expect(await Promise.all(calls)).toEqual(calls.map(() => 1))
    expect(a.members.status).toMatchObject([{ messages: 0, bytes: 0, calls: 0 }])
    expect(await call(desk, 'echo', 2)).toBe(2)
  })

  test('gets 8 MiB at most; casts wait in the mailbox of its forwarder, which is bounded', {
    tags: ['slow'],
  }, async () => {
    world = linkedWorld()
    const [a, b] = await world.pair()
    await startDesk(b)
    const desk = deskAt(a)
    world.links.pause('b')
    for (let count = 0; count < 40; count++) {
      expect(cast(desk, 'note', Buffer.alloc(1024 * 1024, count))).toBe(true)
      await world.clock.settle()
    }
    const [waiting] = a.members.status
    expect(waiting?.bytes).toBeLessThanOrEqual(8 * 1024 * 1024)
    expect(waiting?.bytes).toBeGreaterThan(6 * 1024 * 1024)
    expect(await call(desk, 'seen').catch(code)).toBe('BUSY')
    world.links.resume('b')
    await world.clock.settle()
    const seen = (await call(deskLocal(b), 'seen')) as Buffer[]
    expect(seen.map(([first]) => first)).toEqual(Array.from({ length: 40 }, (_, at) => at))
  })

  test('slows nobody else: calls to a third member go on', async () => {
    world = linkedWorld()
    const [a, b] = await world.pair()
    const c = await world.start('c')
    a.members.expect('c')
    await world.clock.advance(1_000)
    await startDesk(b)
    await startDesk(c)
    world.links.pause('b')
    for (let count = 0; count < 2_000; count++) call(deskAt(a), 'echo', count).catch(code)
    await world.clock.settle()
    const answers = Array.from({ length: 1_000 }, (_, at) => call(deskAt(a, 'c'), 'echo', at))
    await world.clock.settle()
    expect(await Promise.all(answers)).toEqual(Array.from({ length: 1_000 }, (_, at) => at))
    await world.clock.advance(6_000)
  })
})

const deskLocal = (member: Awaited<ReturnType<LinkedWorld['start']>>) => deskAt(member, 'b')
