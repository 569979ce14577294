/**
 * The files of a shard whose log is in an engine, for a copy: segments are made from what the port of
 * the log reads, and snapshots are fetched that the cache does not have. The member's folder gets
 * them for the time of the copy, unsynced: the copy is verified and synced.
 */
import { join } from 'node:path'
import type { Clock } from '../../clock.ts'
import { KeelsonError } from '../../errors.ts'
import { frameTypes } from '../frames/frame.ts'
import { type Disk, pathIn } from '../ports/disk.ts'
import { attempt, refusing } from '../ports/disk-failure.ts'
import { shardFolder } from '../ports/folder-layout.ts'
import type { LogHost, LogState } from '../ports/log-host.ts'
import type { NamedSnapshot } from '../ports/named-snapshot.ts'
import { makeFolders } from '../ports/new-folders.ts'
import type { LogExporter } from '../ports/shard-copier.ts'
import { anyLog, SealedLog } from '../segments/sealed-log.ts'
import { snapshotName } from '../snapshots/snapshot-folder.ts'

/** The cache of a member, and the way to fetch a snapshot into it. */
export type ExportParts = {
  readonly disk: Disk
  readonly clock: Clock
  /** The data folder. */
  readonly dir: string
  readonly fetch: (shard: number, snapshot: NamedSnapshot, signal: AbortSignal) => Promise<void>
}

/** The folder of the segments, beside those of the shard. The next export replaces it. */
const exportName = 'exported.tmp'

/** The bytes that one request reads. */
const readBytes = 1024 * 1024

/** Makes an exporter. */
export const logExporter =
  (parts: ExportParts): LogExporter =>
  async ({ shard, log, state, snapshots }, signal) => {
    const { disk } = parts
    const { path, snapshots: folder } = shardFolder(parts.dir, shard)
    const dir = join(path, exportName)
    const remove = (): void => void attempt(() => disk.remove(dir))
    try {
      for (const snapshot of snapshots)
        if (sizeOf(disk, pathIn(folder, snapshotName(snapshot.lsn))) !== snapshot.bytes)
          await parts.fetch(shard, snapshot, signal)
      await exported(parts, dir, log, state, signal)
      return { dir, remove }
    } catch (error) {
      remove()
      throw error
    }
  }

const sizeOf = (disk: Disk, path: string): number | undefined =>
  refusing(() => disk.entry(path)?.size)

/** Writes the segments. LSNs without a frame, of an owner's first group, get an IDLE frame. */
const exported = async (
  { disk, clock }: ExportParts,
  dir: string,
  log: LogHost,
  { walId, epoch, firstLsn, durableLsn, checkpointLsn, snapshots }: LogState,
  signal: AbortSignal,
): Promise<void> => {
  refusing(() => {
    disk.remove(dir)
    makeFolders(disk, dir)
  })
  const place = { disk, clock, dir, isTemporary: true }
  const sealed = new SealedLog(place, anyLog, { walId, epoch, baseLsn: firstLsn })
  let lsn = firstLsn
  const idleTo = (next: number): void => {
    for (; lsn < next; lsn++) sealed.add(frameTypes.idle, new Uint8Array(0))
  }
  try {
    for (let next = firstLsn; next <= durableLsn; ) {
      if (signal.aborted) throw new KeelsonError('CLOSED', 'the backup was ended')
      const read = await log.run('read', { from: next, to: durableLsn, maxBytes: readBytes })
      refusing(() => {
        for (const { lsn: at, offset, length } of read.frames) {
          idleTo(at)
          sealed.add(frameTypes.data, read.bytes.subarray(offset, offset + length))
          lsn++
        }
      })
      next = read.next
    }
    refusing(() => {
      idleTo(durableLsn + 1)
      sealed.finish({ generation: 1, checkpointLsn, lastTime: 0, snapshots })
    })
  } catch (error) {
    sealed.abandon()
    throw error
  }
}
