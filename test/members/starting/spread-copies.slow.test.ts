/** Members of an engine keep the shards in their caches that they would own next. */
import { expect, test } from 'vitest'
import { supervisor } from '../../../src/index.ts'
import type { App } from '../../../src/supervisors/index.ts'
import { SpreadMembers } from '../../support/worlds/spread-members.ts'
import { leaseMs } from '../../support/worlds/spread-world.ts'

const openAt = (member: App): readonly number[] =>
  member.shards.filter(({ phase }) => phase.kind === 'open').map(({ index }) => index)
const given = (copies: number) => () => ({
  app: supervisor('app', {}, []),
  cluster: { copies } as never,
})
const keys = Array.from({ length: 32 }, (_, at) => `k${at}`)
const large = 'x'.repeat(100_000)

/** The last LSN that the cache of a member shows of a shard; -1 without a sound one. */
const shownLsn = async (world: SpreadMembers, member: string, shard: number): Promise<number> => {
  const { projections } = world.machineOf(member)
  const found = await projections.examine(`/data/shard-${shard}/lmdb`)
  return found.state === 'sound' ? (found.position?.lsn ?? 0) : -1
}

/** Members a, b and c with some rows. */
const three = async (copies: number) => {
  const world = new SpreadMembers(['a', 'b', 'c'])
  const apps = (await world.start(undefined, given(copies))) as [App, App, App]
  const put = async (): Promise<void> => {
    for (const key of keys) await world.during(apps[0].store.put(key, large))
  }
  await put()
  await world.clock.advance(3 * leaseMs)
  const endOf = (shard: number): number => world.engine.kept('shop', `${shard}`).head.end.lsn
  return { world, apps, put, endOf }
}

test('with two copies the member that has a shard next has nearly all of it in its cache before', async () => {
  const { world, apps, put, endOf } = await three(2)
  await put()
  await world.clock.advance(3 * leaseMs)
  const lost = openAt(apps[2])
  const before = new Map(lost.map((shard) => [shard, endOf(shard)]))
  world.kill('c')
  await world.clock.advance(100)
  const cached = new Map<string, number>()
  for (const shard of lost)
    for (const member of ['a', 'b'])
      cached.set(`${member}${shard}`, await shownLsn(world, member, shard))
  await world.clock.advance(leaseMs + 4_000)
  for (const [at, member] of ['a', 'b'].entries())
    for (const shard of openAt(apps[at] as App).filter((each) => lost.includes(each))) {
      const behind = (before.get(shard) as number) - (cached.get(`${member}${shard}`) as number)
      // Ten frames have 1 MiB.
      expect(behind, `shard ${shard} at ${member}`).toBeLessThan(12)
    }
  for (const key of keys) expect(await world.during(apps[1].store.load(key))).toBe(large)
})

test('with one copy nobody has the shards of others in its cache', async () => {
  const { world, apps } = await three(1)
  for (const [at, member] of ['a', 'b', 'c'].entries())
    for (const shard of [0, 1, 2, 3])
      if (!openAt(apps[at] as App).includes(shard))
        expect(await shownLsn(world, member, shard)).toBe(-1)
})

test('the health of a member says how many shards of others it has in its cache', async () => {
  const { apps } = await three(2)
  const follows = apps.map((app) => app.health().cluster?.follows)
  expect(follows.reduce((sum, each) => sum + (each?.shards ?? 0), 0)).toBe(4)
  for (const each of follows) expect(each?.warm).toBe(each?.shards)
})

test('a loss that a copy sees ends the members: CORRUPT', async () => {
  const { world, apps } = await three(2)
  const [shard = 0] = openAt(apps[2])
  world.pause('c', 60 * leaseMs)
  world.engine.loseTail('shop', `${shard}`, 5)
  const reason = ['shutdown', expect.objectContaining({ code: 'CORRUPT' })]
  const closed = await world.during(Promise.all([apps[0].closed, apps[1].closed]))
  expect(closed).toEqual([reason, reason])
})

test('a member with copies that ends at once leaves a folder in which it can begin again', async () => {
  const { world, apps } = await three(2)
  const written = Promise.allSettled(keys.map((key) => apps[0].store.put(key, large)))
  world.cutOff('b', 3 * leaseMs)
  await world.during(apps[1].closed)
  const [again] = (await world.start(['b'], given(2))) as [App]
  await world.during(written)
  for (const key of keys) expect(await world.during(again.store.load(key))).toBe(large)
})

/** A key whose shard is at `owner`, with the members that have its copy, and those that do not. */
const copiedKey = async (world: SpreadMembers, apps: readonly App[], owner: App) => {
  for (const key of keys) {
    const shard = owner.store.shardOf(key)
    if (!openAt(owner).includes(shard)) continue
    const others = apps.filter((app) => app !== owner)
    const shown = await Promise.all(
      others.map((app) => shownLsn(world, 'abc'[apps.indexOf(app)] as string, shard)),
    )
    const has = others.filter((_, at) => (shown[at] ?? -1) > 0)
    const lacks = others.filter((_, at) => (shown[at] ?? -1) < 0)
    if (has[0] && lacks[0]) return { key, shard, copy: has[0], none: lacks[0] }
  }
  throw new Error('no shard of this member has a copy')
}

test('a stale read comes from the copy with its position, also while the owner and the engine are away', async () => {
  const { world, apps } = await three(2)
  const { key, shard, copy } = await copiedKey(world, apps, apps[2])
  const before = await world.during(copy.store.loadStale(key))
  expect(before).toEqual({ value: large, position: { shard, lsn: expect.any(Number) } })
  const { position } = await world.during(apps[2].store.put(key, 'new'))
  expect(await world.during(copy.store.loadStale(key))).toEqual(before)
  world.kill('c')
  world.cutOff('abc'[apps.indexOf(copy)] as string, leaseMs)
  expect(await world.during(copy.store.loadStale(key))).toEqual(before)
  expect(position.lsn).toBeGreaterThan(before.position.lsn)
})

test('a stale read that wants a write waits until the copy has it, and a copy that is read follows by itself', async () => {
  const { world, apps } = await three(2)
  const [, , owner] = apps
  const { key, copy } = await copiedKey(world, apps, owner)
  const { position } = await world.during(owner.store.put(key, 'new'))
  const atLeast = await world.during(copy.store.loadStale(key, { atLeast: position }))
  expect(atLeast.value).toBe('new')
  expect(atLeast.position.lsn).toBeGreaterThanOrEqual(position.lsn)
  await world.during(owner.store.put(key, 'newer'))
  await world.clock.advance(3 * leaseMs)
  expect((await world.during(copy.store.loadStale(key))).value).toBe('newer')
  const beyond = { ...position, lsn: position.lsn + 100 }
  await expect(world.during(copy.store.loadStale(key, { atLeast: beyond }))).rejects.toMatchObject({
    code: 'TIMEOUT',
  })
})

test('a stale read at a member without the copy comes from the owner, as at the owner', async () => {
  const { world, apps } = await three(2)
  const [, , owner] = apps
  const { key, shard, none } = await copiedKey(world, apps, owner)
  const { position } = await world.during(owner.store.put(key, 'new'))
  for (const app of [none, owner])
    expect(await world.during(app.store.loadStale(key, { atLeast: position }))).toEqual({
      value: 'new',
      position: { shard, lsn: expect.any(Number) },
    })
})

test('a stale read of a copy hides what has expired, and refuses what is no value', async () => {
  const { world, apps } = await three(2)
  const [, , owner] = apps
  const { key, copy } = await copiedKey(world, apps, owner)
  const expiring = await world.during(owner.store.put(key, 'short', { ttlMs: 40_000 }))
  const read = (atLeast: typeof expiring.position) =>
    world.during(copy.store.loadStale(key, { atLeast }))
  expect((await read(expiring.position)).value).toBe('short')
  await world.clock.advance(41_000)
  expect((await read(expiring.position)).value).toBeUndefined()
  await world.during(owner.store.delete(key))
  const { position } = await world.during(owner.store.putField(key, 'field', 1))
  await expect(read(position)).rejects.toMatchObject({ code: 'WRONG_TYPE', details: { key } })
})

test('a stale read refuses a position of another store, and options that there are not', async () => {
  const { world, apps } = await three(1)
  const stale = (options: object) => world.during(apps[0].store.loadStale('k', options))
  const none = { code: 'INVALID_ARGUMENT' }
  await expect(stale({ atLeast: { shard: 99, lsn: 1 } })).rejects.toMatchObject(none)
  await expect(stale({ atLeast: 7 })).rejects.toMatchObject(none)
  await expect(stale({ stale: true })).rejects.toMatchObject(none)
})
