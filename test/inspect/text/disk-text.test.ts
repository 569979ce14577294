/** The parts that fill a data folder and the holders of its log, as text. */
import { expect, test } from 'vitest'
import { logHolders } from '../../../src/inspect/answers/disk-use.ts'
import { diskText } from '../../../src/inspect/text/disk-text.ts'
import { folderUse } from '../../../src/storage/index.ts'
import type { Health } from '../../../src/supervisors/index.ts'
import { simulated } from '../../support/worlds/simulated-instance.ts'

const use = folderUse([
  ...[0, 1, 2, 3].map((shard) => ({
    path: `shard-${shard}/wal/1.wal`,
    bytes: 1_000 * (4 - shard),
  })),
  { path: 'shard-0/lmdb/data.mdb', bytes: 3_000 },
])

test('a closed folder has its parts with the shards that have most, what is free, and what a backup copies', () => {
  expect(diskText({ ...use, dir: '/srv/data', freeBytes: 5_000 }).split('\n')).toEqual([
    'disk  13.0 kB in /srv/data, 5.00 kB free',
    '  part           bytes  files  most of it',
    '  log          10.0 kB      4  shard 0 4.00 kB, shard 1 3.00 kB, shard 2 2.00 kB and 1 more',
    '  projections  3.00 kB      1  shard 0 3.00 kB',
    '  backup  a first one copies 10.0 kB at most',
  ])
})

test('of an instance that runs it says what is needed, and the largest holders of the log', () => {
  const holders = Array.from({ length: 7 }, (_, at) => ({
    ...{ shard: at, by: 'subscription mails', bytes: 9_000 - at },
  }))
  const lines = diskText({
    ...{ ...use, dir: '/d', freeBytes: undefined },
    ...{ neededBytes: 134_000_000, holders },
  }).split('\n')

  expect(lines[0]).toBe('disk  13.0 kB in /d')
  expect(lines).toContain('  needed  134 MB until the next snapshots')
  expect(lines).toContain('  kept    9.00 kB of the log of shard 0 for subscription mails')
  expect(lines.at(-1)).toBe('  kept    and for 2 more')
})

test('the log is held by the next snapshot, by readers of the journal and by required replicas, the most first', async () => {
  const health = (await simulated({})).app.health()
  const [shard] = health.shards as [Health['shards'][0]]
  const replica = (required: boolean, bytes: number) => ({
    ...{ replica: required ? 'second' : 'report', required, failures: 0, retryInMs: undefined },
    shards: [{ shard: 0, lag: { records: 1, bytes, ms: 1 } } as never],
  })

  expect(
    logHolders({
      shards: [
        {
          ...shard,
          snapshot: { ...shard.snapshot, logBytes: 10 },
          journal: {
            ...shard.journal,
            held: { bytes: 30, maxBytes: 40, by: ['subscription mails'], state: 'high' },
          },
        },
      ],
      replication: [replica(true, 20), replica(false, 90)],
    }),
  ).toEqual([
    { shard: 0, by: 'subscription mails', bytes: 30 },
    { shard: 0, by: 'replica second', bytes: 20 },
    { shard: 0, by: 'the next snapshot', bytes: 10 },
  ])
})
