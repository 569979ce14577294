/** Members of one folder are linked, and each knows who has which shard. */
import { expect, test } from 'vitest'
import { placeShards } from '../../../src/storage/members/shard-placement.ts'
import { type App, innerParts } from '../../../src/supervisors/index.ts'
import { FolderMembers } from '../../support/worlds/folder-members.ts'

const ownersAt = (app: App): (string | undefined)[] =>
  app.shards.map(({ index }) => app[innerParts].members?.ownerOf(index))

test('members of a folder know who has each shard', async () => {
  const names = ['a', 'b', 'c']
  const apps = await new FolderMembers(names).start()
  const owners = placeShards(4, names)

  for (const app of apps) expect(ownersAt(app)).toEqual(owners)
})

test('the shards of a member that has ended are taken over at once, and not by the next poll', async () => {
  const names = ['a', 'b']
  const world = new FolderMembers(names)
  const [a] = (await world.start()) as [App]
  const lost = placeShards(4, names).indexOf('b')
  await world.kill('b')
  await world.clock.advance(400)

  expect(ownersAt(a)).toEqual(['a', 'a', 'a', 'a'])
  expect(a.shards[lost]?.phase.kind).toBe('open')
})

test('a member that closes says that it has no shard, before it has given them back', async () => {
  const world = new FolderMembers(['a', 'b'])
  const [a, b] = (await world.start()) as [App, App]
  const told: number[] = []
  a[innerParts].members?.onMoved((shard) => told.push(shard))
  const closing = b.close()
  await world.clock.settle()

  expect(ownersAt(a)).toEqual(
    placeShards(4, ['a', 'b']).map((owner) => (owner === 'a' ? 'a' : undefined)),
  )
  await world.during(closing)
  await world.clock.advance(1_100)
  expect(ownersAt(a)).toEqual(['a', 'a', 'a', 'a'])
})
