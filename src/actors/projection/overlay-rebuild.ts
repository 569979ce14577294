/**
 * The rebuilding of an overlay out of the log: every frame that the projection does not show. It
 * happens before the view is published, so it is bounded: too much of it is left to the projection,
 * which commits as it goes. It is apart from `applier.ts` because an applier does it once, before
 * it has a view.
 */
import { isKeelsonError, KeelsonError } from '../../errors.ts'
import type { System } from '../../runtime/index.ts'
import {
  applyUnits,
  decodeFrame,
  type FrameUnits,
  frameBytes,
  type ProjectionStore,
} from '../../storage/index.ts'
import { emit } from '../core/storage-events.ts'
import { LogLag } from '../overlay/log-lag.ts'
import { Overlay } from '../overlay/overlay.ts'
import { ShardRows } from '../overlay/shard-rows.ts'
import type { ProjectionShard } from './projection-shard.ts'

/** The log after the projection's position `from`, up to `to`. */
export type Behind = { readonly from: number; readonly to: number; readonly bytes: number }

/** A rebuilt overlay, the rows of overlay and projection together, and how much is not projected. */
export type Rebuilt = {
  readonly overlay: Overlay
  readonly rows: ShardRows
  readonly lag: LogLag
}

/** The process that rebuilds. */
type Rebuilder = { readonly signal: AbortSignal; readonly system: System }

/** The bytes of the log that one read transfers to this thread. */
const readBytes = 1024 * 1024

/** How much of the log the projection does not show. */
export const logBehind = async (
  shard: ProjectionShard,
  projection: ProjectionStore,
): Promise<Behind> => {
  const from = projection.position()?.lsn ?? 0
  const log = await shard.files.log().run('state', { after: from })
  shard.snapshots.measured(log)
  return { from, to: log.lastLsn, bytes: log.bytesAfter }
}

/**
 * The overlay of every frame between the projection and `lastLsn`; `undefined` if it would be too
 * large. The caller keeps the projection from changing until this has ended. So no command is
 * applied to a state that already has its effect.
 * @throws KeelsonError for a frame that this version cannot read: the shard is down then, because a
 * restart cannot read it either
 */
export const rebuildOverlay = async (
  shard: ProjectionShard,
  projection: ProjectionStore,
  { from, bytes }: Behind,
  lastLsn: number,
  rebuilder: Rebuilder,
): Promise<Rebuilt | undefined> => {
  const { overlay: limits, lmdb } = shard.parts.settings
  if (bytes > lmdb.lagBytesMax) return undefined
  const overlay = new Overlay(limits)
  const lag = new LogLag(lmdb.lagBytesMax)
  const rows = new ShardRows(overlay, projection, shard.blobs.reader)
  shard.recovery.begin('log', bytes)
  for (let next = from + 1; next <= lastLsn; ) {
    const read = await shard.files.log().run('read', { from: next, maxBytes: readBytes })
    for (const stamped of read.frames) {
      const { lsn, offset, length } = stamped
      // The applier takes the groups after the subscription.
      if (lsn > lastLsn) break
      const frame = read.bytes.slice(offset, offset + length)
      rows.begin(lsn)
      applyUnits(unitsAt(lsn, frame, shard, rebuilder), rows, stamped, rows)
      lag.add(lsn, frameBytes(length))
    }
    shard.recovery.reach(Math.min(read.next - 1, lastLsn) - from, lag.bytes)
    if (overlay.isFull) return undefined
    if (read.next <= next) throw new Error(`the log has no frame at lsn ${next}`)
    next = read.next
  }
  return { overlay, rows, lag }
}

/** The units of a frame. The reason of a shard that is down because of one has its LSN. */
const unitsAt = (
  lsn: number,
  frame: Uint8Array,
  shard: ProjectionShard,
  { signal, system }: Rebuilder,
): FrameUnits => {
  try {
    return decodeFrame(frame).units
  } catch (error) {
    if (!isKeelsonError(error)) throw error
    const reason = new KeelsonError(error.code, `lsn ${lsn} of the log: ${error.message}`, {
      details: { ...error.details, lsn },
      cause: error,
    })
    if (shard.goDown(reason, signal)) emit(system, shard, 'shard.down', { reason })
    throw reason
  }
}
