/** `keelson cluster` where each shard has an owner: who has which, and a drain of one of them. */
import { expect, test } from 'vitest'
import type { App } from '../../../src/supervisors/index.ts'
import { clusterHere } from '../../support/commands/cluster-here.ts'
import { openShards } from '../../support/open-shards.ts'
import { SpreadMembers } from '../../support/worlds/spread-members.ts'
import { leaseMs } from '../../support/worlds/spread-world.ts'

const three = async () => {
  const world = new SpreadMembers(['a', 'b', 'c'])
  const [a, b, c] = (await world.start()) as [App, App, App]
  const ended = (words: string) =>
    world.during(clusterHere(world, words, { name: 'shop', placement: 'spread' }))
  const run = async (words: string): Promise<string> => (await ended(words)).output
  return { world, a, b, c, run, ended }
}

type Status = { logs: { shard: number; owner?: { member: string } }[] }
const ownersIn = (json: string) =>
  (JSON.parse(json) as Status).logs.map(({ owner }) => owner?.member)

test('a status shows the owner of each shard, and how many each member has', async () => {
  const { world, a, b, c, run } = await three()
  const status = await run('status --json')
  const names = Object.entries({ a, b, c })
  const has = (shard: number) => names.find(([, app]) => openShards(app).includes(shard))?.[0]
  expect(ownersIn(status)).toEqual([0, 1, 2, 3].map(has))

  const text = await run('status')
  expect(text).toMatch(/^owners +each shard has one$/m)
  expect(text).not.toContain('standby')
  expect(text).toMatch(new RegExp(`^a +held +${openShards(a).length} `, 'm'))
  expect(text).toMatch(new RegExp(`^ +0 +${has(0)} `, 'm'))

  const lost = openShards(c)
  world.kill('c')
  // The look takes as long as a lease, and the others take the shards over meanwhile.
  const [first = 0] = lost
  expect(await run('status')).toMatch(/^c +(not renewed|ended)/m)
  await world.clock.advance(leaseMs + 2_000)
  expect(ownersIn(await run('status --json'))[first]).toMatch(/a|b/)
})

test('a status shows how many shards of others a member follows, and the link that it lacks', async () => {
  const world = new SpreadMembers(['a', 'b', 'c'])
  await world.start(undefined, () => ({ cluster: { copies: 2 } as never }))
  const ask = async (words: string): Promise<string> => {
    const terms = { name: 'shop', placement: 'spread', copies: 2 } as const
    return (await world.during(clusterHere(world, words, terms))).output
  }
  const { members } = JSON.parse(await ask('status --json'))
  expect(members).toMatchObject([
    { links: ['b', 'c'] },
    { links: ['a', 'c'] },
    { links: ['a', 'b'] },
  ])
  const followed = members.map(({ follows }: { follows: { shards: number } }) => follows.shards)
  expect(followed.reduce((sum: number, each: number) => sum + each)).toBe(4)
  expect(await ask('status')).toMatch(/^a +held +\d +(\d), \1 lack much +all /m)
  await world.clock.advance(10 * leaseMs)
  expect(await ask('status')).toMatch(new RegExp(`^a +held +\\d +${followed[0]} +all `, 'm'))

  world.links.part('a', 'b')
  await world.clock.advance(leaseMs)
  const text = await ask('status')
  expect(text).toMatch(/^a +held .* none to b /m)
  expect(text).toMatch(/^c +held .* all /m)
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
  expect([...openShards(a), ...openShards(b)].sort()).toEqual([0, 1, 2, 3])
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
  expect(openShards(a)).toEqual([0, 1, 2, 3])
})

test('a shard moves to the member that is asked for, and stays there while that one runs', async () => {
  const { world, a, c, run } = await three()
  for (const shard of [0, 1, 2, 3])
    expect(await run(`move ${shard} c`)).toBe(`the member c has shard ${shard}\n`)
  await world.during(a.store.put('key', 1))
  expect(await world.during(a.store.load('key'))).toBe(1)
  expect(await run('status')).toMatch(/^ +0 +c, moved there /m)
  // It does not go back.
  await world.clock.advance(30_000)
  expect(openShards(c)).toEqual([0, 1, 2, 3])

  world.kill('c')
  await world.clock.advance(leaseMs + 3_000)
  expect(ownersIn(await run('status --json')).every((owner) => /a|b/.test(owner ?? ''))).toBe(true)
  expect(await run('status')).toMatch(/^ +0 +[ab], to be at c /m)
  const [again] = (await world.start(['c'])) as [App]
  expect(openShards(again)).toEqual([0, 1, 2, 3])
})

test('a shard that is anywhere is where the members place it', async () => {
  const { world, c, run } = await three()
  const before = ownersIn(await run('status --json'))
  const shard = before.findIndex((owner) => owner !== 'c')
  await run(`move ${shard} c`)
  expect(await run(`move ${shard} --anywhere`)).toBe(`the members decide where shard ${shard} is\n`)
  await world.clock.advance(10_000)
  expect(openShards(c)).not.toContain(shard)
  expect(ownersIn(await run('status --json'))).toEqual(before)
  // A second time it changes nothing.
  await run(`move ${shard} --anywhere`)
})

test('a shard that cannot move yet is named, with the member that has it, and moves later', async () => {
  const { world, a, b, c, ended } = await three()
  const [shard = 0] = openShards(a)
  const { token } = await world.during(a.control.suspendAll())
  expect(await ended(`move ${shard} c --json`)).toMatchObject({
    status: 1,
    output: expect.stringContaining('"owner":"a","place":"c"'),
  })
  const { status, output } = await ended(`move ${shard} c`)
  expect([status, output]).toEqual([
    1,
    `shard ${shard} is not at c yet: a has it. It moves as soon as it can\n`,
  ])
  await world.during(a.control.resumeAll({ token }))
  await world.clock.advance(10_000)
  expect(openShards(c)).toContain(shard)
  expect([...openShards(a), ...openShards(b), ...openShards(c)].sort()).toEqual([0, 1, 2, 3])
})

test('a move is refused to a member that is not there, of a shard that is not, and without owners of shards', async () => {
  const { world, ended } = await three()
  const refusal = (words: string) => ended(words).catch(({ code, message }) => [code, message])
  expect(await refusal('move 0 d')).toEqual([
    'INVALID_ARGUMENT',
    expect.stringContaining('a, b, c'),
  ])
  expect(await refusal('move 4 a')).toEqual(['INVALID_ARGUMENT', expect.stringContaining('0 to 3')])
  await world.stop('c')
  expect(await refusal('move 0 c')).toEqual(['NO_PROCESS', expect.stringContaining('c is gone')])
  expect(ownersIn((await ended('status --json')).output)).not.toContain(undefined)
})

test('a move is refused before the cluster is made, and where one member has all shards', async () => {
  const world = new SpreadMembers(['a'])
  const ended = (words: string) => world.during(clusterHere(world, words, { name: 'shop' }))
  const code = (words: string) => ended(words).catch((error) => error.code)
  expect(await code('move 0 a')).toBe('NO_SEGMENTS')
  await ended('create --shards 4')
  expect(await code('move 0 a')).toBe('CONFIG')
})
