/** A unit that appears in a running log and cannot be read: the shard goes down and names it. */
import { expect, test } from 'vitest'
import { Applier } from '../../../src/actors/index.ts'
import { encodeFrame } from '../../../src/storage/commands/command-encoding.ts'
import { codeOf, started } from '../../support/worlds/simulated-instance.ts'

test('takes its shard down with the LSN at the next replay, and the folder is refused with it', async () => {
  const { start, during, disk, app } = await started({ shards: 2, lmdb: { intervalMs: 60_000 } })
  const [shard] = app.shards
  const bytes = encodeFrame({ kind: 'delete', key: 'k' })
  bytes[15] = 99
  await during(app.control.suspendAll())
  const committed = await during(
    shard?.files.log().run('commit', {
      bytes,
      lengths: [bytes.length],
      now: 0,
      sync: true,
      projectedLsn: 0,
    }) as Promise<{ lsns: readonly number[] }>,
  )
  const [lsn] = committed.lsns
  await during(Promise.all([...'abcdefgh'].map((key) => app.store.put(key, 1))))

  app.system.kill(Applier.name(0))
  await during(codeOf(app.store.put('{a}', 2)))
  await during(Promise.all(app.shards.map((shard) => shard.settled())))
  expect(app.health().shards[0]).toMatchObject({
    phase: 'down',
    reason: `UNSUPPORTED_VERSION: lsn ${lsn} of the log: a newer version wrote this frame: command 99`,
  })
  expect(app.health().shards[1]).toMatchObject({ phase: 'open' })
  await during(app.close())

  const before = disk.list('/data/shard-0/wal')
  await expect(start({ shards: 2 })).rejects.toMatchObject({
    code: 'UNSUPPORTED_VERSION',
    details: { lsn },
  })
  expect(disk.list('/data/shard-0/wal')).toEqual(before)
})
