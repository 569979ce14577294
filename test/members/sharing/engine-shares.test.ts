/** The shards of members in one directory, whose answers are lost now and then. */
import { expect, test, vi } from 'vitest'
import { virtualClock } from '../../../src/clock.ts'
import { KeelsonError } from '../../../src/errors.ts'
import { EngineCalls } from '../../../src/members/engine-log/engine-calls.ts'
import * as holds from '../../../src/members/leases/shard-holds.ts'
import { EngineShares } from '../../../src/members/sharing/engine-shares.ts'
import { entryText } from '../../../src/storage/index.ts'
import { SimulatedEngine } from '../../support/worlds/simulated-engine.ts'

const clock = virtualClock()
const faults = { lostRequest: 0, lostAnswer: 0, late: 0, lateMs: 0, repeated: 0 }

/** Members a and b with leases, around one engine. */
const pair = async () => {
  const engine = new SimulatedEngine({ clock, faults })
  const member = async (name: string) => {
    const session = engine.connect('c')
    const { directory } = session
    const incarnation = `${name}1`
    const entry = `member/${name}`
    await during(directory.set(entry, 0, entryText(entry, { incarnation })))
    const shares = new EngineShares({
      ...{ holds, directory, clock, member: name, shards: 4, patienceMs: 200 },
      ...{ calls: new EngineCalls(clock), incarnation: () => incarnation },
    })
    const see = async (): Promise<void> => shares.saw(await during(directory.view()))
    return { shares, session, see, directory }
  }
  const [a, b] = [await member('a'), await member('b')]
  for (const each of [a, b]) await each.see()
  return { a, b }
}

const during = async <T>(work: T | Promise<T>): Promise<T> => {
  let isOver = false
  const over = Promise.resolve(work).finally(() => {
    isOver = true
  })
  while (!isOver) await clock.advance(1)
  return over
}

test('a shard is at one member, and at the other one when it was given', async () => {
  const { a, b } = await pair()
  expect(await during(a.shares.take(1))).toBe(true)
  expect(await during(a.shares.take(1))).toBe(false)
  expect(await during(b.shares.take(1))).toBe(false)
  await b.see()
  expect(b.shares.seemsFree(1)).toBe(false)
  await during(a.shares.give(1))
  expect([...a.shares.own]).toEqual([])
  expect(await during(b.shares.take(1))).toBe(true)
  expect([...b.shares.own]).toEqual([1])
})

test('a shard is taken by one request, and looked at only if its entry has changed', async () => {
  const { a, b } = await pair()
  const looks = [a, b].map(({ directory }) => vi.spyOn(directory, 'view'))
  const set = vi.spyOn(a.directory, 'set')
  expect(await during(a.shares.take(1))).toBe(true)
  expect(set).toHaveBeenCalledTimes(1)
  expect(looks[0]).not.toHaveBeenCalled()
  expect(await during(b.shares.take(1))).toBe(false)
  expect(looks[1]).toHaveBeenCalledTimes(1)
})

test('of two takers at one time one has the shard, also when both are of one member', async () => {
  const { a, b } = await pair()
  const taken = [a.shares.take(2), b.shares.take(2), a.shares.take(2)]
  const outcomes = await during(Promise.all(taken))
  expect(outcomes.filter((each) => each)).toHaveLength(1)
})

test('a shard that was taken stays, also when a second attempt has no answer', async () => {
  const { a, b } = await pair()
  const [first, second] = [a.shares.take(1), a.shares.take(1)]
  expect(await during(first)).toBe(true)
  a.session.pause(1_000)
  expect(await during(second)).toBe(false)
  await clock.advance(1_500)
  await a.see()
  await clock.advance(100)
  expect(await during(b.shares.take(1))).toBe(false)
})

test('a shard whose answer was lost is at the member that took it', async () => {
  const { a, b } = await pair()
  const taken = during(a.shares.take(3))
  a.session.losesNext = true
  expect(await taken).toBe(true)
  expect(await during(b.shares.take(3))).toBe(false)
})

test('a shard that could not be given while the engine was away is given when it is back', async () => {
  const { a, b } = await pair()
  await during(a.shares.take(0))
  a.session.pause(1_000)
  const began = clock.monotonic()
  await during(a.shares.give(0))
  expect(clock.monotonic() - began).toBeLessThan(300)
  expect(await during(b.shares.take(0))).toBe(false)
  await clock.advance(3_000)
  await a.see()
  await clock.advance(100)
  expect(await during(b.shares.take(0))).toBe(true)
})

test('a shard that its member takes again stays there when an earlier request to give it arrives late', async () => {
  const { a, b } = await pair()
  await during(a.shares.take(1))
  const set = vi.spyOn(a.directory, 'set')
  set.mockRejectedValue(new KeelsonError('UNKNOWN_OUTCOME', 'no answer'))
  await during(a.shares.give(1))
  const [late] = set.mock.calls
  set.mockRestore()

  expect(await during(a.shares.take(1))).toBe(true)
  const arrived = a.directory.set(...(late as Parameters<typeof a.directory.set>))
  const outcome = arrived.catch(({ code }) => code)

  expect(await during(outcome)).toBe('CONFLICT')
  expect(await during(b.shares.take(1))).toBe(false)
  expect([...a.shares.own]).toEqual([1])
})

test('a shard that was asked for while the engine was away is not taken, and free when it is back', async () => {
  const { a, b } = await pair()
  a.session.pause(1_000)
  const began = clock.monotonic()
  expect(await during(a.shares.take(0))).toBe(false)
  expect(await during(a.shares.turn(100))).toBe(undefined)
  expect(clock.monotonic() - began).toBeLessThan(400)
  await clock.advance(1_500)
  for (let each = 0; each < 2; each++) await a.see()
  await clock.advance(100)
  expect(await during(b.shares.take(0))).toBe(true)
})

test('one member moves a shard at a time', async () => {
  const { a, b } = await pair()
  const turn = await during(a.shares.turn(1_000))
  expect(turn).toBeDefined()
  expect(await during(b.shares.turn(1_000))).toBe(undefined)
  await a.see()
  expect(await during(a.shares.turn(1_000))).toBe(undefined)
  await during(turn?.release())
  await b.see()
  expect(await during(b.shares.turn(1_000))).toBeDefined()
})

test('a member is linked to while its lease lasts, and no earlier start of it', async () => {
  const { a, b } = await pair()
  expect(a.shares.admits({ member: 'b', incarnation: 'b1' })).toBe(true)
  expect(a.shares.admits({ member: 'b', incarnation: 'b0' })).toBe(false)
  expect(a.shares.admits({ member: 'z', incarnation: 'z1' })).toBe(false)

  const { directory } = b.session
  const { entries } = await during(directory.view())
  const { revision = 0 } = entries.get('member/b') ?? {}
  const ended = entryText('member/b', { incarnation: 'b1', ended: true })
  await during(directory.set('member/b', revision, ended))
  await a.see()
  expect(a.shares.admits({ member: 'b', incarnation: 'b1' })).toBe(false)
})
