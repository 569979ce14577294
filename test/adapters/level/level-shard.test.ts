/** The one shard of a Level database: its units, its owner, and the shards beside it. On a simulated disk. */
import { expect, test } from 'vitest'
import { KeelsonLevel } from '../../../src/adapters/level/level.ts'
import type { App } from '../../../src/supervisors/index.ts'
import { FolderMembers } from '../../support/worlds/folder-members.ts'
import { codeOf, failNextSync, started } from '../../support/worlds/simulated-instance.ts'

test('clear removes keys that no single unit of the log has room for', async () => {
  const { store, during } = await started({ wal: { maxFileSize: 128 * 1024 } })
  const db = new KeelsonLevel(store, 'long')
  const keys = Array.from({ length: 150 }, (_, index) => `${index}-`.padEnd(900, 'x'))
  await during(Promise.all(keys.map((key) => db.put(key, '1'))))
  await during(db.clear({ limit: 149 }))
  expect(await during(db.keys().all())).toHaveLength(1)
})

test('a member reads and writes a database whose shard another one has', {
  tags: ['slow'],
}, async () => {
  const world = new FolderMembers(['a', 'b'])
  const [{ store }, { shards }] = (await world.start()) as [App, App]
  const theirs = shards.find(({ phase }) => phase.kind === 'open')?.index
  const names = Array.from({ length: 100 }, (_, number) => `n${number}`)
  const name = names.find((each) => store.shardOf(`{${each}}:`) === theirs) ?? ''
  const db = new KeelsonLevel(store, name)
  await world.during(db.batch([{ type: 'put', key: 'a', value: '1' }]))

  expect(await world.during(db.get('a'))).toBe('1')
  expect(await world.during(db.has('a'))).toBe(true)
  expect(await world.during(db.hasMany(['a', 'b']))).toEqual([true, false])
  expect(await world.during(db.keys().all())).toEqual(['a'])
})

test('iterators and clear need no other shard than that of their database', async () => {
  const { store, disk, during } = await started({ shards: 2 })
  const inShard = (shard: number): string =>
    ['a', 'b', 'c', 'd', 'e', 'f'].find((name) => store.shardOf(`{${name}}:`) === shard) ?? ''
  const db = new KeelsonLevel(store, inShard(0))
  await during(Promise.all(['1', '2', '3'].map((key) => db.put(key, key))))
  failNextSync(disk, 1)
  await during(codeOf(store.put(`{${inShard(1)}}`, 1)))

  expect(() => store.range()).toThrow(expect.objectContaining({ code: 'SHARD_DOWN' }))
  expect(await during(db.values({ reverse: true }).all())).toEqual(['3', '2', '1'])
  await during(db.clear({ lt: '3' }))
  expect(await during(db.keys().all())).toEqual(['3'])
})
