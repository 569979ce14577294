/**
 * `keelson cluster create --from`: the data folder of one machine becomes a cluster in the engine.
 * It is apart from `cluster-changes.ts` because it works on a folder and an engine; the other
 * changes are in the engine alone.
 */
import { join } from 'node:path'
import { eachBlob, pauseWrites } from '../../actors/index.ts'
import type { Clock } from '../../clock.ts'
import { invalidArgument, KeelsonError } from '../../errors.ts'
import type { ClusterTerms, ClusterTools, ShardToMove } from '../../members/index.ts'
import {
  type BlobRef,
  type CacheOrigin,
  type DataFolderFacts,
  type Disk,
  type EngineSession,
  factsFileName,
  lockFileName,
  loggedBlobRow,
  readDataFolder,
  readFloor,
  refusing,
  shardFolder,
  writeDataFolder,
} from '../../storage/index.ts'
import type { App } from '../../supervisors/index.ts'
import type { WorkDisplay } from '../command/long-work.ts'

/** The folder, the engine, and who shows the progress. */
export type MoveRequest = {
  readonly dir: string
  readonly disk: Disk
  /** Opens the folder for this alone: without the user's tree, and giving back nothing of the past. */
  readonly open: (dir: string) => Promise<App>
  readonly origin: CacheOrigin
  readonly terms: Pick<ClusterTerms, 'copies' | 'placement'>
  readonly session: EngineSession
  readonly tools: ClusterTools
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly display: Pick<WorkDisplay, 'show'>
}

/** The report of a move. */
export type Move = { readonly shards: number; readonly bytes: number }

/**
 * Moves a folder that no process uses. It has its logs afterwards too, but it is a cache: nobody can
 * start it for itself.
 * @throws KeelsonError `INVALID_ARGUMENT` for no data folder; `CONFIG` for a cache, and a copy that
 * may not act yet; `LOCKED_DIR`; `CORRUPT`; `CONFLICT` if the cluster was made otherwise, or the
 * folder was used during the move; `CLOSED` by the signal
 */
export const moveFolder = async (request: MoveRequest): Promise<Move> => {
  const { dir, disk, origin, session, tools, terms } = request
  const { logs, cache, waits } = factsOf(disk, dir)
  if (waits) throw new KeelsonError('CONFIG', `${dir} is a copy that may not act yet`)
  // An earlier move was interrupted at its end.
  const isMarked = cache?.cluster === origin.cluster
  const bytes = isMarked ? 0 : await uploaded(request)
  await tools.endMove(session, logs, terms)
  return { shards: logs.length, bytes }
}

/** Uploads the folder and marks it as a cache. Returns how many bytes of values the engine got. */
const uploaded = async (request: MoveRequest): Promise<number> => {
  const { dir, disk, tools, session, clock, signal, display } = request
  const app = await request.open(dir)
  const epochs: number[] = []
  let bytes = 0
  try {
    // Until the folder is closed. The engine is to have every frame of this epoch.
    const deadlineMs = app.shards[0]?.parts.settings.deadlineMs ?? 0
    await pauseWrites(app.system, app.shards, { deadlineMs })
    await tools.beginMove(session)
    for (const { index } of app.shards) {
      const shard = await toMove(app, index, clock)
      const [totalBytes, before] = [tools.bytesToMove(shard), bytes]
      const onMoved = (more: number): void => {
        bytes += more
        display.show({ what: `moving shard ${index}`, bytes: bytes - before, totalBytes })
      }
      await tools.moveShard({ session, disk, clock, signal, dir, onMoved }, shard)
      epochs.push(shard.epoch)
    }
  } finally {
    await app.close()
  }
  mark(request, epochs)
  return bytes
}

/** The facts of a shard whose writes are paused, with a new snapshot. */
const toMove = async (app: App, index: number, clock: Clock): Promise<ShardToMove> => {
  const shard = app.shards[index]
  const { report } = await app.wal(index).describe()
  if (!shard || !report) throw new KeelsonError('SHARD_DOWN', `shard ${index} is not open`)
  const newest = await app.wal(index).checkpoint()
  const blobs: BlobRef[] = []
  await eachBlob(shard.view(), clock, (ref) => blobs.push(ref))
  const log = shard.files.log()
  const { durableLsn: lastLsn } = await log.run('sync', null)
  const { firstLsn, bytesAfter: logBytes } = await log.run('state', { after: 0 })
  const shown = shard.view().layers.projection.position()
  const { walId, epoch, lastLsn: openedLsn, lastTime } = report
  return {
    shard: index,
    log,
    walId,
    epoch,
    firstLsn,
    openedLsn,
    lastLsn,
    logBytes,
    blobs,
    lastTime: Math.max(lastTime, shard.now()),
    snapshot: newest.lsn > 0 ? newest : undefined,
    isLogged: (ref) => shard.view().row(loggedBlobRow(ref, 0)[0]) !== undefined,
    mark: shown?.lsn === firstLsn - 1 ? shown.frame : undefined,
  }
}

/**
 * Marks the folder as a cache of the cluster, if nobody has opened it since.
 * @throws KeelsonError `LOCKED_DIR`, `CONFLICT`
 */
const mark = ({ disk, dir, origin }: MoveRequest, epochs: readonly number[]): void => {
  const lock = refusing(() => disk.lock(join(dir, lockFileName), 'keelson cluster create'))
  try {
    const facts = factsOf(disk, dir)
    const { logs } = facts
    if (epochs.some((epoch, shard) => isUsed(disk, dir, shard, epoch)))
      throw new KeelsonError('CONFLICT', `${dir} was used during the move: repeat it`)
    // The members of a cluster are one instance.
    const [instanceId = facts.instanceId] = logs
    refusing(() => writeDataFolder(disk, dir, { ...facts, instanceId, cache: origin }))
  } finally {
    lock.release()
  }
}

/** Whether a later start of an instance has noted its epoch. */
const isUsed = (disk: Disk, dir: string, shard: number, epoch: number): boolean => {
  const floor = refusing(() => readFloor(disk, shardFolder(dir, shard).floor))
  return floor !== undefined && floor.epoch !== epoch
}

const factsOf = (disk: Disk, dir: string): DataFolderFacts => {
  const reading = refusing(() => readDataFolder(disk, dir))
  if (reading.state === 'sound') return reading.facts
  if (reading.state === 'absent') throw invalidArgument('from', 'a data folder', dir)
  throw new KeelsonError('CORRUPT', `${join(dir, factsFileName)} cannot be read`)
}
