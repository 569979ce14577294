/**
 * `restore`: a data folder from a replica. The replica is only read. `keelson.json` comes last: a
 * restore that was cut off leaves a folder that is refused. A failed one removes what it made. It
 * is apart from `postgres.ts` because it makes files on this machine.
 */
import { join, resolve } from 'node:path'
import { argument, checkNames, noMore } from '../../check.ts'
import { type Clock, systemClock } from '../../clock.ts'
import { invalidArgument, KeelsonError } from '../../errors.ts'
import {
  type Disk,
  describeHolder,
  lockFileName,
  makeFolders,
  nodeDisk,
  type Replica,
  type ReplicaReading,
  refusalOf,
  refusing,
  type StoredLog,
  shardFolder,
  writeDataFolder,
} from '../../storage/index.ts'
import { ShardBuilder } from '../../tools/index.ts'

/** The options of `restore`. */
export type RestoreOptions = {
  /** The client that `postgres` or `pglite` made. */
  readonly client: Replica
  /** The folder to make: it is missing, or empty. */
  readonly dir: string
  /** The id of the folder that was replicated, where the replica has several. */
  readonly instanceId?: string
  /** Called as it goes on. */
  readonly onProgress?: (progress: RestoreProgress) => void
  /** Ends it early, with `CLOSED`. */
  readonly signal?: AbortSignal
}

/** How far a restore is: of one shard, the LSN that it has come to, and the last one. */
export type RestoreProgress = { readonly shard: number; readonly lsn: number; readonly of: number }

/** A restored folder. Each log keeps its id; `lsn` is its last frame, stamped at `time`, in ms. */
export type RestoreReport = {
  readonly dir: string
  readonly origin: string
  readonly shards: readonly {
    readonly walId: string
    readonly lsn: number
    readonly time: number
    readonly epoch: number
  }[]
}

/**
 * Makes a data folder of what a replica has. It opens like every other, and goes on: its logs keep
 * their ids and begin later epochs. As soon as it is replicated to the same place, it fences the
 * folder that was replicated before. After an error `dir` is as it was.
 * @throws KeelsonError `INVALID_ARGUMENT` for other options, for a folder that is not empty, for a
 * replica with nothing or without a shard, and if `instanceId` is needed (`details.instances`);
 * `CORRUPT`, `NO_SPACE`, `READ_ONLY`, `UNSUPPORTED_VERSION`, `CLOSED`; any error of the client
 */
export const restore = async (options: RestoreOptions, ...surplus: []): Promise<RestoreReport> => {
  noMore(surplus, 'restore({ client, dir, … })')
  const known = ['client', 'dir', 'instanceId', 'onProgress', 'signal']
  checkNames(options, known, { ...argument(), isSecret: true })
  const { client, dir } = options
  if (typeof client?.read !== 'function')
    throw invalidArgument('client', 'what postgres or pglite made', typeof client)
  if (typeof dir !== 'string' || dir === '')
    throw invalidArgument('dir', 'the path of a folder', dir)
  const place = { disk: nodeDisk(), clock: systemClock(), to: resolve(dir) }
  refuseUsed(place.disk, place.to)
  const reading = await client.read()
  try {
    const logs = chosen(await reading.logs(), options.instanceId)
    const undo = refusing(() => makeFolders(place.disk, place.to))
    try {
      return await filled(place, reading, logs, options)
    } catch (error) {
      undo()
      throw error
    }
  } finally {
    await reading.close()
  }
}

type Place = { readonly disk: Disk; readonly clock: Clock; readonly to: string }

/** @throws KeelsonError `INVALID_ARGUMENT` */
const refuseUsed = (disk: Disk, to: string): void => {
  const entry = refusing(() => disk.entry(to))
  const isUsed = entry && (entry.kind !== 'folder' || refusing(() => disk.list(to)).length > 0)
  if (isUsed) throw invalidArgument('dir', 'a folder that is missing or empty', to)
}

/** The logs of one folder, in the order of its shards. @throws KeelsonError `INVALID_ARGUMENT` */
const chosen = (
  all: readonly StoredLog[],
  instanceId: string | undefined,
): readonly StoredLog[] => {
  const instances = [...new Set(all.map((log) => log.instanceId))]
  if (instances.length === 0 || (instanceId !== undefined && !instances.includes(instanceId)))
    throw new KeelsonError('INVALID_ARGUMENT', 'no folder is replicated there as a whole', {
      details: { instances },
    })
  const [only, second] = instances
  if (instanceId === undefined && second !== undefined)
    throw new KeelsonError(
      'INVALID_ARGUMENT',
      `several folders are replicated there: name one of ${instances.join(', ')}`,
      { details: { instances } },
    )
  const logs = all.filter((log) => log.instanceId === (instanceId ?? only))
  const shards = logs[0]?.shards ?? 0
  const inOrder = Array.from({ length: shards }, (_, shard) =>
    logs.find((log) => log.shard === shard),
  )
  const missing = inOrder.flatMap((log, shard) => (log ? [] : [shard]))
  if (missing.length > 0)
    throw new KeelsonError(
      'INVALID_ARGUMENT',
      `of ${shards} shards these are not replicated as a whole: ${missing.join(', ')}`,
      { details: { missing } },
    )
  return inOrder as readonly StoredLog[]
}

const filled = async (
  { disk, clock, to }: Place,
  reading: ReplicaReading,
  logs: readonly StoredLog[],
  options: RestoreOptions,
): Promise<RestoreReport> => {
  const lock = refusing(() =>
    disk.lock(join(to, lockFileName), describeHolder({ restoring: to, since: clock.now() })),
  )
  try {
    const epochs: number[] = []
    for (const log of logs)
      epochs.push(await restoredShard({ disk, clock, to }, reading, log, options))
    const [first] = logs
    const origin = {
      instanceId: first?.instanceId ?? '',
      logs: logs.map(({ walId, lsn }) => ({ walId, lsn })),
    }
    const instanceId = Buffer.from(clock.randomBytes(16)).toString('hex')
    const own = { instanceId, shards: logs.length, created: clock.now(), origin }
    const facts = { ...own, logs: logs.map(({ walId }) => walId), waits: true as const }
    refusing(() => writeDataFolder(disk, to, facts))
    return {
      dir: to,
      origin: origin.instanceId,
      shards: logs.map(({ walId, lsn, time }, at) => ({
        walId,
        lsn,
        time,
        epoch: epochs[at] ?? 0,
      })),
    }
  } finally {
    lock.release()
  }
}

/** So many rows or frames are written between two turns of the event loop. */
const stepRows = 1_000

/** @throws KeelsonError `CLOSED` */
const refuseEnded = (signal: AbortSignal | undefined): void => {
  if (signal?.aborted) throw new KeelsonError('CLOSED', 'the restore was ended')
}

/** The pieces of a large value, until the restore is ended: it may have many. */
async function* untilEnded(
  pieces: AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): AsyncIterable<Uint8Array> {
  for await (const bytes of pieces) {
    refuseEnded(signal)
    yield bytes
  }
}

/** Restores a shard. Answers the epoch of its log: the next opening begins a later one. */
const restoredShard = async (
  { disk, clock, to }: Place,
  reading: ReplicaReading,
  log: StoredLog,
  { onProgress = () => undefined, signal }: RestoreOptions,
): Promise<number> => {
  const { walId, shard, lsn: last, base, nextSegment } = log
  const folders = shardFolder(to, shard)
  const epoch = log.epoch + 1
  const plan = { disk, clock, folders, walId, epoch, base, nextSegment }
  const builder = refusing(() => new ShardBuilder(plan))
  let steps = 0
  const pause = async (lsn: number): Promise<void> => {
    refuseEnded(signal)
    if (++steps % stepRows !== 0) return
    onProgress({ shard, lsn, of: last })
    await new Promise<void>((resolve) => clock.soon(resolve))
  }
  try {
    let lsn = base?.lsn ?? 0
    if (base)
      for await (const row of reading.rows(log)) {
        refusing(() => builder.row(row))
        await pause(lsn)
      }
    for await (const frame of reading.frames(log)) {
      refusing(() => builder.frame(frame))
      lsn = frame.lsn
      await pause(lsn)
    }
    for (const ref of builder.refs) {
      await pause(lsn)
      await builder.blob(ref, untilEnded(reading.blob(log, ref), signal))
    }
    const done = refusing(() => builder.finish())
    if (done.lsn !== last)
      throw new KeelsonError(
        'CORRUPT',
        `the replica names lsn ${last}, and ends with ${done.lsn}`,
        {
          details: { shard, lsn: last, found: done.lsn },
        },
      )
    return epoch
  } catch (error) {
    builder.abandon()
    throw refusalOf(error)
  }
}
