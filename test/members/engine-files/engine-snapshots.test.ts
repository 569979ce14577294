/** The snapshots of a shard in the files of an engine that several members reach. */
import { expect, test } from 'vitest'
import { virtualClock } from '../../../src/clock.ts'
import { EngineSnapshots } from '../../../src/members/engine-files/engine-snapshots.ts'
import { removeUnnamed } from '../../../src/storage/snapshots/snapshot-folder.ts'
import { simulatedDisk } from '../../../src/testing/simulated/simulated-disk.ts'
import { SimulatedEngine } from '../../support/worlds/simulated-engine.ts'

const made = async (...names: readonly string[]) => {
  const session = new SimulatedEngine().connect('c')
  const { files } = session
  for (const name of names) await files.put(name, [Buffer.from(name)])
  const parts = {
    ...{ files, log: session.log('0'), disk: simulatedDisk({}) },
    ...{ clock: virtualClock(1), shard: 0, dir: '/data/s' },
  }
  return { files, snapshots: new EngineSnapshots(parts) }
}

test('an owner removes what its log does not name, but nothing of a later owner or another shard', async () => {
  const [older, named, own] = ['snapshot-2-7-1-1', 'snapshot-2-9-1-1', 'snapshot-4-11-1-1']
  const others = ['shard-0/snapshot-5-12-1-1', 'shard-0/snapshot-x', 'shard-1/snapshot-1-1-1-1']
  const mine = [older, named, own].map((name) => `shard-0/${name}`)
  const { files, snapshots } = await made(...mine, ...others)

  await snapshots.tidy(4, async () => [named])

  expect(await files.list('')).toEqual([`shard-0/${named}`, ...others])
})

test('what a fetch that was cut off has left goes with the snapshots that nothing names', () => {
  const disk = simulatedDisk({})
  disk.makeFolder('/data')
  disk.open('/data/fetched.tmp', 'create').close()

  expect(removeUnnamed(disk, '/data', [])).toMatchObject({ removed: 1 })
  expect(disk.list('/data')).toEqual([])
})
