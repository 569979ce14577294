/**
 * The inspection of all shards before any is opened, and the logs of a new folder. `keelson.json`
 * says which logs there must be, and `floor.json` of each shard the least extent of its log: it is
 * noted when an instance has started and when it was closed. A log with less has lost its newest
 * files. A cache of another log is filled again.
 *
 * It is apart from `instance.ts`, its only importer, because it decides whether a start may go on,
 * and `instance.ts` in which order.
 */
import { dirname } from 'node:path'
import { isAway, levelOf } from '../../actors/index.ts'
import { KeelsonError } from '../../errors.ts'
import {
  type Disk,
  type Inspection,
  isOlder,
  type KnownFloor,
  type LogFloor,
  refusing,
  shardFolder,
} from '../../storage/index.ts'
import type { Shard } from '../tree/shard.ts'
import type { FolderClaim } from './folder-claim.ts'
import type { Ports } from './machine-ports.ts'
import type { CheckedOptions } from './start-options.ts'

/** The epoch of each shard's log when it was inspected; none of a shard that was not sound. */
export type InspectedEpochs = Map<Shard, number>

/**
 * Inspects every shard, and makes the logs of a new folder. Each shard is then ready to open, or
 * down. An engine that does not answer takes none down: it is asked again.
 * @throws KeelsonError the first failure, unless shards may be down; as `isAway`
 */
export const inspectShards = async (
  shards: readonly Shard[],
  claim: FolderClaim,
  { allowDown, onProgress }: CheckedOptions,
  ports: Ports,
): Promise<InspectedEpochs> => {
  if (claim.isUnknown || claim.isOutdated) shards.forEach(emptyFiles)
  if (claim.isOutdated) for (const { parts } of shards) ports.projections.remove(parts.folders.lmdb)
  const { failures, epochs } = await inspected(shards, claim, ports)
  const [first] = failures.values()
  const away = [...failures.values()].find(isAway)
  if (away) throw away
  if (first !== undefined && !(allowDown && claim.logs)) throw first
  for (const [shard, reason] of failures) shard.goDown(reason)
  if (!claim.logs && !ports.cache) await refuseRemains(shards, claim, ports)
  if (!claim.logs || ports.cache) {
    const logs = [...(claim.logs ?? [])]
    for (const shard of shards) logs[shard.index] = await logOf(shard, claim, epochs)
    if (logs.some((log, at) => log !== claim.logs?.[at])) {
      if (!ports.cache) syncNames(shards)
      claim.finish(logs)
      onProgress({ step: 'created', detail: claim.dir })
    }
  }
  for (const { index, phase } of shards)
    onProgress({ step: phase.kind === 'down' ? 'down' : 'inspected', shard: index })
  return epochs
}

/**
 * Makes the names of new logs durable before the data folder names the logs. Scenario: the thread or
 * the process that made one has died before it could, and the next one found it whole.
 */
const syncNames = (shards: readonly Shard[]): void =>
  refusing(() => {
    for (const { parts } of shards)
      for (const dir of [parts.folders.wal, dirname(parts.folders.wal)]) parts.disk.syncFolder(dir)
    for (const { parts } of shards.slice(0, 1))
      parts.disk.syncFolder(dirname(dirname(parts.folders.wal)))
  })

/** The id of a shard's log, which is made if it is not in the engine, or the folder is new. */
const logOf = async (
  shard: Shard,
  { logs }: FolderClaim,
  epochs: InspectedEpochs,
): Promise<string> => {
  const known = logs?.[shard.index]
  if (known !== undefined && shard.phase.kind === 'down') return known
  const { exists, walId } = shard.files.inspection ?? {}
  const log = exists && walId ? walId : await shard.files.create()
  if (known !== undefined && log !== known) emptyFiles(shard)
  epochs.set(shard, shard.files.inspection?.epoch ?? 0)
  return log
}

const emptyFiles = ({ parts: { disk, folders } }: Shard): void =>
  refusing(() => emptyCache(disk, folders))

/**
 * Removes the files of a cache that do not say which log they are of. The projection does.
 * @throws DiskError
 */
export const emptyCache = (
  disk: Disk,
  folders: Omit<ReturnType<typeof shardFolder>, 'path'>,
): void => {
  for (const path of [folders.blobs, folders.snapshots, folders.floor, folders.end])
    disk.remove(path)
}

/**
 * Inspects all shards to the end, so that no inspection runs when the first failure is reported.
 */
const inspected = async (
  shards: readonly Shard[],
  { logs }: FolderClaim,
  { cache }: Ports,
): Promise<{ readonly failures: Map<Shard, unknown>; readonly epochs: InspectedEpochs }> => {
  const looks = await Promise.allSettled(shards.map(({ files }) => files.inspect()))
  const failures = new Map<Shard, unknown>()
  const epochs: InspectedEpochs = new Map()
  looks.forEach((look, at) => {
    const shard = shards[at] as Shard
    if (look.status === 'rejected') failures.set(shard, look.reason)
    else {
      const log = logs?.[shard.index]
      const isOther = look.value.exists && look.value.walId !== log
      // A cache of another log is filled again.
      const isRefilled = isOther && cache !== undefined
      const fault = logs && !isRefilled && otherLog(look.value, log, shard.files.floor)
      if (fault) failures.set(shard, wrongLog(shard, cache?.engine, ...fault))
      else epochs.set(shard, look.value.epoch)
    }
  })
  return { failures, epochs }
}

/** Why this is not the log that `keelson.json` knows, and how that is seen. */
const otherLog = (
  { exists, walId, epoch }: Inspection,
  known: string | undefined,
  floor: KnownFloor | undefined,
): readonly [fault: string, evidence: string] | undefined => {
  if (!exists) return ['is missing', 'keelson.json says that it was made']
  if (walId !== known)
    return ['belongs to another shard or folder', 'keelson.json names another log for this shard']
  if (!floor || floor.walId !== walId || !isOlder(epoch, floor)) return undefined
  const evidence = `floor.json names epoch ${floor.epoch}, and the log ends with epoch ${epoch}`
  return ['has lost its newest part', evidence]
}

/** `place`: where the log is, if not in its folder. */
const wrongLog = (
  { index, parts }: Shard,
  place: string | undefined,
  fault: string,
  evidence: string,
): KeelsonError => {
  const file = parts.folders.wal
  return new KeelsonError('CORRUPT', `the log of shard ${index} in ${place ?? file} ${fault}`, {
    details: { shard: index, file, evidence },
  })
}

/**
 * A folder without a description but with frames or rows has lost its `keelson.json` or its logs.
 * No new logs are made in it, and its files are left alone.
 */
const refuseRemains = async (
  shards: readonly Shard[],
  claim: FolderClaim,
  { makeHost }: Ports,
): Promise<void> => {
  const remains = shards.filter(({ files }) => files.hasRemains).map(({ index }) => index)
  for (const index of claim.leftovers) {
    const host = makeHost(index)
    const { logOptions } = (shards[0] as Shard).files.parts
    const { wal } = shardFolder(claim.dir, index)
    const { hasFrames } = await host
      .run('inspect', { dir: wal, options: logOptions, evidence: [] })
      .finally(() => host.end())
    if (hasFrames) remains.push(index)
  }
  if (remains.length > 0)
    throw new KeelsonError(
      'CORRUPT',
      `${claim.dir} holds data, but its keelson.json is missing or damaged; \`keelson wal salvage\` can rescue the data`,
      { details: { file: 'keelson.json', shards: remains } },
    )
}

/**
 * The least extent of the log of a shard. An opening begins the epoch after that of its inspection.
 * Nothing is known of a shard that is down, or that acknowledges writes before they are durable.
 */
export const floorOf = (shard: Shard, epochs: InspectedEpochs): LogFloor | undefined => {
  const epoch = epochs.get(shard)
  const isDurable = levelOf(shard.parts.settings) === 'durable'
  if (epoch === undefined || shard.phase.kind === 'down' || !isDurable) return undefined
  return { epoch: epoch + 1, lsn: shard.appliedLsn }
}
