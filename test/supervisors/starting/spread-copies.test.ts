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
