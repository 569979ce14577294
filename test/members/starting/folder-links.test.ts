/** Members of one folder are linked, and each knows who has which shard. */
import { expect, test } from 'vitest'
import {
  type AppContext,
  call,
  type GenServer,
  reply,
  supervisor,
  worker,
} from '../../../src/index.ts'
import { placeShards } from '../../../src/members/placement/shard-placement.ts'
import { DiskError } from '../../../src/storage/index.ts'
import { type App, innerParts } from '../../../src/supervisors/index.ts'
import { FolderMembers } from '../../support/worlds/folder-members.ts'
import { simulated } from '../../support/worlds/simulated-instance.ts'

const ownersAt = (app: App): (string | undefined)[] =>
  app.shards.map(({ index }) => app[innerParts].way?.ownerOf(index))

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

test('a member that closes alone says that it has no shard, before it gives them back', async () => {
  const world = new FolderMembers(['a', 'b'])
  const [a, b] = (await world.start()) as [App, App]
  const told: number[] = []
  a[innerParts].way?.onMoved((shard) => told.push(shard))
  // It takes no shards, because it closes too.
  a[innerParts].readiness.end()
  const closing = b.close()
  await world.clock.settle()
  await world.clock.advance(10)

  expect(ownersAt(a)).toEqual(
    placeShards(4, ['a', 'b']).map((owner) => (owner === 'a' ? 'a' : undefined)),
  )
  await world.during(closing)
  await world.clock.advance(1_100)
  expect(ownersAt(a)).toEqual(['a', 'a', 'a', 'a'])
})

test('a member that closes on a disk that fails releases its locks', async () => {
  const world = new FolderMembers(['a'])
  await world.start()
  const { disk } = world.machine
  const { identity, remove } = disk
  disk.identity = disk.remove = () => {
    throw new DiskError('EIO', 'stat', 'LOCK')
  }
  await world.stop('a')
  Object.assign(disk, { identity, remove })

  const [again] = (await world.start()) as [App]
  expect(ownersAt(again)).toEqual(['a', 'a', 'a', 'a'])
})

test('a process of another member is called by its name there, also with its sender bound', async () => {
  type Messages = { calls: { who: () => string; ask: (member: string) => string } }
  const who = (member: string): GenServer<Messages, null> => ({
    init: () => null,
    calls: {
      who: (state) => reply(member, state),
      ask: async (state, other, context) => {
        const { member: at } = context.app as AppContext
        return reply(await call(context.to(at(other).ref<Messages>('who')), 'who'), state)
      },
    },
  })
  const tree = (member: string) =>
    supervisor('app', {}, [worker('who', who(member), { name: 'who' })])
  const world = new FolderMembers(['a', 'b'])
  const [a, b] = (await world.start(['a', 'b'], (each) => ({ app: tree(each) }))) as [App, App]

  expect(await world.during(call(a.member('b').ref<Messages>('who'), 'who'))).toBe('b')
  expect(await world.during(call(a.member('a').ref<Messages>('who'), 'who'))).toBe('a')
  expect(await world.during(call(b.member('a').ref<Messages>('who'), 'ask', 'b'))).toBe('b')
  expect(() => a.member('no name')).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
})

test('an instance without members has no other one', async () => {
  const { app } = await simulated()

  expect(() => app.member('b')).toThrow(expect.objectContaining({ code: 'CONFIG' }))
})

test.each([
  [5_000, undefined],
  [20_000, 20_000],
])('the shards of a member that does not come are taken after %i ms', async (ms, arrivalMs) => {
  const world = new FolderMembers(['a', 'b'], {}, arrivalMs === undefined ? {} : { arrivalMs })
  const [a] = (await world.start(['a'])) as [App]
  const own = placeShards(4, ['a', 'b']).map((owner) => (owner === 'a' ? 'a' : undefined))
  await world.clock.advance(ms - 2_000)
  expect(ownersAt(a)).toEqual(own)

  await world.clock.advance(3_000)
  expect(ownersAt(a)).toEqual(['a', 'a', 'a', 'a'])
})
