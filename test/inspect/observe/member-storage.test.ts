/** The storage of a member of a cluster, on the page: its log is in an engine. */
import { expect, test } from 'vitest'
import { storageShown } from '../../../src/inspect/observe/storage-looks.ts'
import { Members } from '../../support/worlds/members.ts'

test('the page shows the bytes of the log in the engine, no segments, and no space for any', async () => {
  const members = new Members()
  const app = await members.start('a')
  for (let at = 0; at < 20; at++) await members.during(app.store.put('k', at))

  const { shards } = await members.during(storageShown(app, {}))

  const { groups } = members.engine.kept('c', '0')
  const bytes = groups.reduce((sum, group) => sum + group.bytes.length, 0)
  expect(shards).toMatchObject([{ shard: 0, logBytes: bytes }])
  expect(shards[0]).toMatchObject({ neededBytes: 0 })
  expect(shards[0]).not.toHaveProperty('segments')
})
