/** A command of control at one of several members: it acts at every owner, or says at which shard it did not, and why. */
import { beforeEach, expect, test } from 'vitest'
import type { App } from '../../../src/supervisors/index.ts'
import { openShards } from '../../support/open-shards.ts'
import { FolderMembers } from '../../support/worlds/folder-members.ts'

const shards = 6
const names = ['a', 'b', 'c']
let world: FolderMembers
let [a, b, c]: [App, App, App] = [] as never
const during = <T>(work: Promise<T>): Promise<T> => world.during(work)

beforeEach(async () => {
  world = new FolderMembers(names)
  const started = await world.start(names, () => ({ shards }))
  ;[a, b, c] = started as [App, App, App]
})

test('a command acts at the owner of every shard, whichever member it is called at', async () => {
  const areSuspended = () =>
    [a, b, c].flatMap((app) => openShards(app).map((at) => app.health().shards[at]?.suspended))
  const { outcomes, token } = await during(a.control.suspendAll())
  expect(outcomes).toEqual(Array.from({ length: shards }, (_, shard) => ({ shard, ok: true })))
  expect(areSuspended()).toEqual(Array(shards).fill(true))

  expect(await during(c.control.resumeAll({ token }))).toEqual({ outcomes })
  expect(areSuspended()).toEqual(Array(shards).fill(false))
  await expect(during(a.control.resumeAll({ token }))).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
  })
})

test('a command names the member that does not answer, and the shard that nobody has', async () => {
  const [ofB, ofC] = [openShards(b), openShards(c)]
  world.links.part('a', 'c')
  await world.clock.advance(10)
  world.links.pause('b')

  const { outcomes } = await during(a.control.flushAll({ timeoutMs: 1_000 }))
  for (const { shard, ok, error } of outcomes) {
    if (ofB.includes(shard))
      expect(error).toMatchObject({ code: 'TIMEOUT', details: { shard, member: 'b' } })
    else if (ofC.includes(shard))
      expect(error).toMatchObject({ code: 'SHARD_DOWN', details: { shard, state: 'elsewhere' } })
    else expect(ok).toBe(true)
  }
  expect(outcomes).toHaveLength(shards)
  world.links.heal()
  world.links.resume('b')
})
