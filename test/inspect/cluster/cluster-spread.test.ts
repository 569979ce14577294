/** `keelson cluster` where each shard has an owner: who has which, and a drain of one of them. */
import { expect, test } from 'vitest'
import type { App } from '../../../src/supervisors/index.ts'
import { clusterHere } from '../../support/commands/cluster-here.ts'
import { SpreadMembers } from '../../support/worlds/spread-members.ts'
import { leaseMs } from '../../support/worlds/spread-world.ts'

const three = async () => {
  const world = new SpreadMembers(['a', 'b', 'c'])
  const [a, b, c] = (await world.start()) as [App, App, App]
  const run = async (words: string): Promise<string> =>
    (await world.during(clusterHere(world, words, { name: 'shop', placement: 'spread' }))).output
  return { world, a, b, c, run }
}

const openAt = (member: App): readonly number[] =>
  member.shards.filter(({ phase }) => phase.kind === 'open').map(({ index }) => index)

type Status = { logs: { shard: number; owner?: { member: string } }[] }
const ownersIn = (json: string) =>
  (JSON.parse(json) as Status).logs.map(({ owner }) => owner?.member)

test('a status shows the owner of each shard, and how many each member has', async () => {
  const { world, a, b, c, run } = await three()
  const status = await run('status --json')
  const names = Object.entries({ a, b, c })
  const has = (shard: number) => names.find(([, app]) => openAt(app).includes(shard))?.[0]
  expect(ownersIn(status)).toEqual([0, 1, 2, 3].map(has))

  const text = await run('status')
  expect(text).toMatch(/^owners +each shard has one$/m)
  expect(text).not.toContain('standby')
  expect(text).toMatch(new RegExp(`^a +held +${openAt(a).length} `, 'm'))
  expect(text).toMatch(new RegExp(`^ +0 +${has(0)} `, 'm'))

  const lost = openAt(c)
  world.kill('c')
  // The look takes as long as a lease, and the others take the shards over meanwhile.
  const [first = 0] = lost
  expect(await run('status')).toMatch(/^c +(not renewed|ended)/m)
  await world.clock.advance(leaseMs + 2_000)
  expect(ownersIn(await run('status --json'))[first]).toMatch(/a|b/)
})

test('a status names the shards that nobody has', async () => {
  const { world, run } = await three()
  for (const name of ['a', 'b', 'c']) await world.stop(name)
  expect(await run('status')).toMatch(/^owners +nobody has a shard$/m)
})

test('a drained member hands its shards over, and the drain says who has none', async () => {
  const { world, a, b, c, run } = await three()
  expect(await run('drain c')).toBe('the other members have the shards of c\n')
  expect(await world.during(c.closed)).toBe('normal')
  expect([...openAt(a), ...openAt(b)].sort()).toEqual([0, 1, 2, 3])
  await run('drain b')
  expect(await run('drain a')).toBe(
    'the member a has ended, and nobody has the shards 0, 1, 2, 3\n',
  )
})

test('a cluster that was made by the command has the placement of its members', async () => {
  const world = new SpreadMembers(['a'])
  const made = clusterHere(world, 'create', { name: 'shop', placement: 'spread', shards: 4 })
  expect((await world.during(made)).output).toContain('with 4 shards')
  const [a] = (await world.start()) as [App]
  expect(openAt(a)).toEqual([0, 1, 2, 3])
})
