/** Members of an engine that share the shards: each shard has one owner, and the others reach it. */
import { expect, test } from 'vitest'
import { call, type DurableServer, entity, reply, supervisor } from '../../../src/index.ts'
import { holdIn, shardHold } from '../../../src/members/leases/shard-holds.ts'
import { placeShards } from '../../../src/members/placement/shard-placement.ts'
import { createSystem } from '../../../src/runtime/index.ts'
import type { App } from '../../../src/supervisors/index.ts'
import { silentLogger } from '../../../src/testing/index.ts'
import { SpreadMembers } from '../../support/worlds/spread-members.ts'
import { leaseMs } from '../../support/worlds/spread-world.ts'

type Messages = {
  calls: { add: (label: string) => number; read: () => readonly string[]; hang: () => void }
}

/** It has the labels of the calls that took effect, in their order. */
const account: DurableServer<Messages, readonly string[]> = {
  init: () => [],
  calls: {
    add: (labels, label) => reply(labels.length + 1, [...labels, label]),
    read: (labels) => reply(labels, labels),
    hang: () => new Promise(() => undefined),
  },
}

const app = () => ({ app: supervisor('app', {}, [entity('account', account)]) })
const ids = Array.from({ length: 8 }, (_, at) => `n${at}`)
const openAt = (member: App): readonly number[] =>
  member.shards.filter(({ phase }) => phase.kind === 'open').map(({ index }) => index)
const accountAt = (member: App, id: string) => member.entity<Messages>('account').ref(id)

/** Members a, b and c that share four shards. */
const three = async (cluster = {}) => {
  const world = new SpreadMembers(['a', 'b', 'c'])
  const options = () => ({ ...app(), cluster: cluster as never })
  const [a, b, c] = (await world.start(undefined, options)) as [App, App, App]
  return { world, a, b, c, during: world.during.bind(world) }
}

test('three members share the shards, and each reaches every actor and key', async () => {
  const { a, b, c, during } = await three()
  const owned = [a, b, c].map(openAt)
  expect(owned.flat().sort()).toEqual([0, 1, 2, 3])
  expect(owned.every((each) => each.length > 0)).toBe(true)
  for (const [at, member] of [a, b, c].entries())
    for (const id of ids) {
      expect(await during(call(accountAt(member, id), 'add', `${at}`))).toBe(at + 1)
      await during(member.store.put(`${id}-${at}`, at))
    }
  for (const member of [a, b, c])
    for (const id of ids) {
      expect(await during(call(accountAt(member, id), 'read', undefined))).toEqual(['0', '1', '2'])
      expect(await during(member.store.load(`${id}-2`))).toBe(2)
    }
})

test('the shards of a member that is killed are at the others after its lease, with all that was acknowledged', async () => {
  const { world, a, b, c, during } = await three()
  for (const id of ids) await during(call(accountAt(c, id), 'add', 'before'))
  const lost = openAt(c)
  world.kill('c')
  const added = ids.map((id) => call(accountAt(a, id), 'add', 'after', { timeoutMs: 20_000, id }))
  await world.clock.advance(0.8 * leaseMs)
  expect([...openAt(a), ...openAt(b)].some((shard) => lost.includes(shard))).toBe(false)
  await world.clock.advance(leaseMs + 2_000)
  expect([...openAt(a), ...openAt(b)].sort()).toEqual([0, 1, 2, 3])
  expect(await during(Promise.all(added))).toEqual(ids.map(() => 2))
  for (const id of ids)
    expect(await during(call(accountAt(b, id), 'read', undefined))).toEqual(['before', 'after'])
})

test.each([0, 1, 2, 3])(
  'a shard that was taken %i ms before the engine goes away is opened when it is back',
  async (ms) => {
    const { world, a, b, c, during } = await three()
    for (const id of ids) await during(call(accountAt(c, id), 'add', 'before'))
    const lost = openAt(c).map(shardHold)
    world.kill('c')
    const isTaken = (): boolean => {
      const view = world.engine.inside('shop')
      return lost.every((name) => (holdIn(view, name)?.member ?? 'c') !== 'c')
    }
    while (!isTaken()) await world.clock.advance(1)
    await world.clock.advance(ms)
    // Longer than the patience of two looks at a log.
    world.engine.restart(8 * leaseMs)
    await world.clock.advance(15 * leaseMs)
    expect([...openAt(a), ...openAt(b)].sort()).toEqual([0, 1, 2, 3])
    for (const id of ids) expect(await during(call(accountAt(b, id), 'add', 'after'))).toBe(2)
  },
)

test.each([0, 1, 2, 3])(
  'a shard that a start has taken %i ms before the engine goes away is opened when it is back',
  async (ms) => {
    const { world, a, during } = await three()
    for (const id of ids) await during(call(accountAt(a, id), 'add', 'before'))
    const holders = () => {
      const view = world.engine.inside('shop')
      return [0, 1, 2, 3].flatMap((shard) => holdIn(view, shardHold(shard))?.incarnation ?? [])
    }
    const former = holders()
    for (const name of ['a', 'b', 'c']) world.kill(name)
    const begun = ['a', 'b', 'c'].map((name) => world.begin(name, { ...app(), allowDown: true }))
    while (!holders().some((holder) => !former.includes(holder))) await world.clock.advance(1)
    await world.clock.advance(ms)
    world.engine.restart(8 * leaseMs)
    await world.clock.advance(15 * leaseMs)
    const members = await during(Promise.all(begun))
    expect(members.flatMap(openAt).sort()).toEqual([0, 1, 2, 3])
    for (const [at, id] of ids.entries()) {
      const member = members[at % 3] as App
      expect(await during(call(accountAt(member, id), 'add', 'after'))).toBe(2)
    }
  },
)

test.each([1, 2, 3])(
  'an engine that goes away %i ms after shards are free ends no member whose start had a limit',
  async (ms) => {
    const { world, a, b, c, during } = await three({ startTimeoutMs: 2 * leaseMs })
    for (const id of ids) await during(call(accountAt(c, id), 'add', 'before'))
    const lost = openAt(c).map(shardHold)
    world.kill('c')
    // Timers are uneven: one may be taken again before another is free.
    const isFree = (): boolean => {
      const view = world.engine.inside('shop')
      return lost.some((name) => holdIn(view, name) === undefined)
    }
    while (!isFree()) await world.clock.advance(1)
    await world.clock.advance(ms)
    world.engine.restart(8 * leaseMs)
    await world.clock.advance(15 * leaseMs)
    expect([...openAt(a), ...openAt(b)].sort()).toEqual([0, 1, 2, 3])
    for (const id of ids) expect(await during(call(accountAt(b, id), 'add', 'after'))).toBe(2)
  },
)

test('the same owners go on after the engine was away for several leases', async () => {
  const { world, a, b, c, during } = await three()
  const owned = [a, b, c].map(openAt)
  for (const id of ids) await during(call(accountAt(a, id), 'add', 'before'))
  world.engine.restart(8 * leaseMs)
  // One of them reaches it before the others do.
  for (const name of ['a', 'c']) world.cutOff(name, 8.3 * leaseMs)
  await world.clock.advance(10 * leaseMs)
  expect([a, b, c].map(openAt)).toEqual(owned)
  for (const id of ids) expect(await during(call(accountAt(c, id), 'add', 'after'))).toBe(2)
})

test('a member that stops for longer than its lease ends, and has answered nothing that the others do not have', async () => {
  const { world, a, b, c, during } = await three()
  for (const id of ids) await during(call(accountAt(a, id), 'add', 'before'))
  world.pause('c', 10 * leaseMs)
  const added = ids.map((id) => call(accountAt(a, id), 'add', 'during', { timeoutMs: 20_000, id }))
  // Its connections are there all the time.
  expect(await during(Promise.all(added), 3 * leaseMs)).toEqual(ids.map(() => 2))
  expect([...openAt(a), ...openAt(b)].sort()).toEqual([0, 1, 2, 3])
  expect(await during(c.closed)).toEqual(['shutdown', expect.objectContaining({ code: 'FENCED' })])
  for (const id of ids)
    expect(await during(call(accountAt(b, id), 'read', undefined))).toEqual(['before', 'during'])
})

test('a member that closes hands its shards over, and one that begins again gets its own, and no call fails', async () => {
  const { world, a, b, c, during } = await three()
  const own = openAt(c)
  const made: Promise<unknown>[] = []
  let isOver = false
  const load = (async () => {
    for (let round = 0; !isOver; round++) {
      for (const [at, id] of ids.entries()) {
        const from = [a, b][at % 2] as App
        made.push(call(accountAt(from, id), 'add', `${round}`, { timeoutMs: 20_000 }))
        made.push(from.store.put(`${id}-${round}`, round))
      }
      await new Promise<void>((resolve) => world.clock.after(100, resolve))
    }
  })()
  await world.stop('c')
  expect([...openAt(a), ...openAt(b)].sort()).toEqual([0, 1, 2, 3])
  const [again] = (await world.start(['c'], app)) as [App]
  isOver = true
  await during(load)
  const outcomes = await during(Promise.allSettled(made))
  expect(outcomes.filter(({ status }) => status === 'rejected')).toEqual([])
  expect(openAt(again)).toEqual(own)
  for (const id of ids) {
    const labels = await during(call(accountAt(again, id), 'read', undefined))
    expect(labels).toEqual(Array.from(labels, (_, at) => `${at}`))
  }
})

test('the shards of a member that dies while another one closes go to the one that stays', async () => {
  const { world, a, b, c } = await three()
  const hanging = ids.map((id) => call(accountAt(a, id), 'hang').catch(() => undefined))
  await world.clock.advance(100)
  const lost = openAt(c)
  // One of them would be at the member that closes.
  expect(lost.map((shard) => placeShards(4, ['a', 'b'])[shard])).toContain('a')
  const closed = a.close({ deadlineMs: 60_000 })
  await world.clock.advance(leaseMs)
  world.kill('c')
  await world.clock.advance(leaseMs + 3_000)
  expect(openAt(b)).toEqual(expect.arrayContaining([...lost]))
  await world.during(Promise.all([closed, ...hanging]), 60_000)
})

test('a member closes within its deadline while the engine is away', async () => {
  const world = new SpreadMembers(['a', 'b'])
  const cluster = { leaseMs: 60_000 } as never
  const [a] = (await world.start(undefined, () => ({ ...app(), cluster }))) as [App]
  world.engine.restart(30_000)
  const since = world.clock.monotonic()
  await world.during(a.close({ deadlineMs: 4_000 }))
  expect(world.clock.monotonic() - since).toBeLessThan(6_000)
})

test('a member that has ended leaves no listener on the system that its user gave', async () => {
  const world = new SpreadMembers(['a'])
  const system = createSystem({ clock: world.clock, logger: silentLogger })
  await world.start(undefined, () => ({ ...app(), system }))
  await world.stop('a')
  expect(system.events.eventNames()).toEqual([])
})

test('members with another placement than the first one are refused', async () => {
  const { world } = await three()
  const options = { placement: 'together', listen: undefined, secret: undefined } as const
  const start = world.begin('d', { cluster: options as never })
  await expect(world.during(start)).rejects.toMatchObject({
    code: 'CONFIG',
    details: { path: 'cluster.placement' },
  })
})

test('no log has a feature before all members read it, and a member that does not is refused afterwards', async () => {
  const world = new SpreadMembers(['a', 'b', 'c'])
  const during = world.during.bind(world)
  const marks = (): readonly number[] =>
    [0, 1, 2, 3].map((shard) => world.engine.kept('shop', `${shard}`).head.features)
  const write = async (from: App) => {
    for (const id of ids) await during(call(accountAt(from, id), 'add', 'x'))
  }
  for (const member of ['a', 'b']) world.reads.set(member, 1)
  const [a, , c] = (await world.start(undefined, app)) as [App, App, App]
  await write(a)
  expect(marks()).toEqual([0, 0, 0, 0])

  await during(c.close())
  world.reads.set('c', 1)
  await world.start(['c'], app)
  await write(a)
  expect(marks()).toEqual([1, 1, 1, 1])

  await world.stop('c')
  world.reads.set('c', 0)
  await expect(during(world.begin('c', app()))).rejects.toMatchObject({
    code: 'UNSUPPORTED_VERSION',
    details: { features: 1, reads: 0 },
  })
  await write(a)
  for (const id of ids)
    expect(await during(call(accountAt(a, id), 'read', undefined))).toHaveLength(3)
})
