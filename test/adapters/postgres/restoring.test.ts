/** `restore` from the memory replica: what it makes, and that it believes no progress without its frames. */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { restore } from '../../../src/adapters/postgres/postgres.ts'
import { nodeDisk, type Replica, shardFolder } from '../../../src/storage/index.ts'
import { tempFolder } from '../../support/temp-folder.ts'
import { verifyLog } from '../../support/verify-log.ts'
import { caughtUp, fill, following } from '../../support/worlds/followed-instance.ts'

const replicated = async (options = {}, large = 1) => {
  const { world, replica, app } = await following({}, options)
  await fill(world, app, 20)
  for (let at = 0; at < large; at++)
    await world.during(app.store.put(`large${at}`, 'x'.repeat(5_000)))
  await caughtUp(world, app)
  await world.during(app.close())
  return replica
}

test('a replica that has lost a large value of a frame is CORRUPT', async () => {
  const client = await replicated({ blobs: { threshold: 1_000 } })
  expect(client.kept.blobs.size).toBe(1)
  client.kept.blobs.clear()
  const dir = join(tempFolder(), 'new')
  await expect(restore({ client, dir })).rejects.toMatchObject({ code: 'CORRUPT' })
  expect(nodeDisk().entry(dir)).toBeUndefined()
})

test('a restored log ends where the replica does, and is sound', async () => {
  const client = await replicated()
  const dir = join(tempFolder(), 'new')

  const { shards } = await restore({ client, dir })

  expect(shards).toMatchObject([{ lsn: client.kept.progress.lsn }])
  const found = verifyLog(nodeDisk(), shardFolder(dir, 0).wal)
  expect(found).toMatchObject({ verdict: 'clean', tail: 'clean' })
})

test('a replica whose frames end before its progress is CORRUPT, although all that it gives is sound', async () => {
  const client = await replicated()
  const { kept } = client
  const { lsn } = kept.progress
  kept.progress = { ...kept.progress, lsn: lsn + 1 }
  const dir = join(tempFolder(), 'new')

  await expect(restore({ client, dir })).rejects.toMatchObject({
    ...{ code: 'CORRUPT', details: { lsn: lsn + 1, found: lsn } },
  })

  expect(nodeDisk().entry(dir)).toBeUndefined()
})

test.each(['within', 'behind'])(
  'a signal %s a large value ends a restore, and nothing is left',
  async (place) => {
    const client = await replicated({ blobs: { threshold: 1_000 } }, 2)
    const abort = new AbortController()
    const asked: unknown[] = []
    const reading = await client.read()
    const ending: Replica = {
      description: client.description,
      open: () => client.open(),
      read: async () => ({
        ...reading,
        async *blob(log, ref) {
          asked.push(ref)
          if (place === 'within') abort.abort()
          yield* reading.blob(log, ref)
          abort.abort()
        },
      }),
    }
    const dir = join(tempFolder(), 'new')

    const restoring = restore({ client: ending, dir, signal: abort.signal })

    await expect(restoring).rejects.toMatchObject({ code: 'CLOSED' })
    expect(client.kept.blobs.size).toBe(2)
    expect(asked).toHaveLength(1)
    expect(nodeDisk().entry(dir)).toBeUndefined()
  },
)
