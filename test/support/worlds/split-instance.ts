/** Splits the folder of a simulated machine, without the command: a snapshot of each shard, and then the split. */

import { readDataFolder, shardFolder, writeDataFolder } from '../../../src/storage/index.ts'
import type { Disk } from '../../../src/storage/ports/disk.ts'
import { finish } from '../../../src/storage/ports/steps.ts'
import type { App } from '../../../src/supervisors/index.ts'
import { type SplitResult, type SplitShard, splittingShards } from '../../../src/tools/index.ts'
import type { Machine } from './simulated-instance.ts'

/** Makes a snapshot of each shard that has rows, and closes the instance. */
export const readyToSplit = async (world: Machine, app: App): Promise<readonly SplitShard[]> => {
  const shards: SplitShard[] = []
  for (const { index, appliedLsn } of app.shards) {
    const snapshot = appliedLsn > 0 ? await world.during(app.control.snapshot(index)) : undefined
    shards.push({ folders: shardFolder('/data', index), snapshot })
  }
  await world.during(app.close())
  return shards
}

/** Splits `/data` into the folder `to`, as a copy that may act. */
export const splitInto = (
  disk: Disk,
  { clock }: Pick<Machine, 'clock'>,
  from: readonly SplitShard[],
  to: string,
  shards: number,
): SplitResult => {
  disk.makeFolder(to)
  disk.syncFolder('/')
  const reading = readDataFolder(disk, '/data')
  if (reading.state !== 'sound') throw new Error('there is a folder to split')
  const { instanceId, logs } = reading.facts
  const origin = { instanceId, logs: logs.map((walId) => ({ walId, lsn: 0 })) }
  const facts = { instanceId: `${instanceId}'`, created: clock.now(), origin }
  const result = finish(splittingShards(disk, clock, { from, to, shards }))
  const ids = result.shards.map(({ walId }) => walId)
  writeDataFolder(disk, to, { ...facts, shards, logs: ids })
  return result
}
