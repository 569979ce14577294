/**
 * The shards of an instance, before anything is known of their files. `instance.ts`, its only
 * importer, says the order of a start; here is what a shard is made of.
 */
import { Allowance, type ClockJump, emit, SnapshotTurns, WriteWindows } from '../../actors/index.ts'
import type { System } from '../../runtime/index.ts'
import { shardFolder } from '../../storage/index.ts'
import { Shard } from '../tree/shard.ts'
import type { FolderClaim } from './folder-claim.ts'
import type { Ports } from './machine-ports.ts'
import type { CheckedOptions } from './start-options.ts'

/** Makes the shards of a claimed folder. They share the bound of unfinished writes, and turns. */
export const instanceShards = (
  { dir, shards: shardCount, lockOf, logs, floors }: FolderClaim,
  { instance, settings }: CheckedOptions,
  { makeHost, projections, makeBlobHost, makeSnapshotHost, disk, ...ports }: Ports,
  system: System,
): readonly Shard[] => {
  const { admission, batcher, wal } = settings
  const shared = {
    ...{ instance, settings, shardCount },
    ...{ makeHost, projections, makeBlobHost, makeSnapshotHost, disk },
    ...{ isCache: ports.cache !== undefined, isOwner: ports.ownership?.isOwner },
    allowance: new Allowance(admission.bytes, admission.commands),
    windows: new WriteWindows(batcher.windows),
    snapshotTurns: new SnapshotTurns(),
    clock: system.clock,
    watch: system.monitor.bind(system),
    logger: system.logger,
  }
  return Array.from({ length: shardCount }, (_, index) => {
    const shard = new Shard({
      ...shared,
      index,
      folders: shardFolder(dir, index),
      minDurable: wal.minDurable.get(index),
      floorOf: ports.cache && logs?.[index],
      floor: floors?.[index],
      lock: lockOf(index),
    })
    shard.time.listen((jump) => clockJumped(system, shard, jump))
    return shard
  })
}

/** The machine's clock was set. Its operator has to know. */
const clockJumped = (system: System, shard: Shard, jump: ClockJump): void => {
  const { jumpMs, aheadMs } = jump
  emit(system, shard, 'clock.jumped', jump)
  system.logger.warn(
    `the clock of the machine was set by ${jumpMs} ms: the time of shard ${shard.index} goes on as before, ${aheadMs} ms ahead of it; ${goesOn(aheadMs)}`,
    { shard: shard.index, jumpMs, aheadMs },
  )
}

/** Less than a minute is made up by itself. */
const goesOn = (aheadMs: number): string =>
  aheadMs > 0 && aheadMs < 60_000
    ? 'it goes a tenth slower until the clock has caught up'
    : 'control.acceptClock() follows it'
