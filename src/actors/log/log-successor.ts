/**
 * The fate of groups that were handed to a log whose thread died, as the next epoch of that log
 * finds it. Only one writer at a time writes a log (invariant L6), in the order of its groups. So
 * the frames after the last known one belong to those groups, in their order: each group has a part
 * from its first write on in the log, and the rest was never written. It is apart from
 * `wal-writer.ts` because only the death of a log's thread needs it.
 */
import { KeelsonError } from '../../errors.ts'
import {
  type Commit,
  encodeFrameInto,
  type FrameUnits,
  frameLength,
  isRefusal,
  type LogHost,
} from '../../storage/index.ts'
import type { GroupTurn } from './appends.ts'
import type { LogShard } from './log-shard.ts'

/** A frame of the log, with its payload. */
export type FoundFrame = {
  readonly lsn: number
  readonly time: number
  readonly payload: Uint8Array
}

/** The bytes of the log that one read transfers to this thread. */
const readBytes = 1024 * 1024

/** The log writes its stamp into the first bytes of each payload. */
const stampBytes = 8

/**
 * Ends the turns that another epoch of the log than `host` was asked for. Its answers count.
 * Otherwise `host` has the first frames of a group, which wait for the applier, and writes that it
 * does not have are `NOT_SUBMITTED`.
 * @throws KeelsonError `EXITED` if the process of `signal` has died; `CORRUPT` for a frame that
 * none of the groups wrote; as a read does
 */
export const settleStrays = async (
  { appends, snapshots }: LogShard,
  host: LogHost,
  signal: AbortSignal,
): Promise<void> => {
  refuseDead(signal)
  const lost: GroupTurn[] = []
  for (const turn of appends.queue.inFlight) {
    if (!turn.asked || turn.asked.host === host) continue
    // That epoch has ended, so it has answered, in the order of the turns.
    const [answer] = await Promise.allSettled([turn.asked.answer])
    refuseDead(signal)
    if (turn.kind === 'step') appends.queue.back(turn)
    else if (answer.status === 'fulfilled') {
      const commit = answer.value as Commit
      snapshots.refused(commit.refused, commit.rolled)
      appends.committed(turn, commit)
    } else if (isRefusal(answer.reason)) {
      snapshots.refused(answer.reason)
      appends.refused(turn, answer.reason)
    } else lost.push(turn)
  }
  if (lost.length === 0) return
  const frames = await framesAfter(host, appends.writtenLsn)
  refuseDead(signal)
  const groups = framesOf(
    lost.map(({ units }) => units),
    frames,
  )
  lost.forEach((turn, at) => {
    const found = groups[at] ?? []
    const { lsn: durableLsn = 0, time = 0 } = found.at(-1) ?? {}
    appends.committed(turn, { lsns: found.map(({ lsn }) => lsn), time, durableLsn })
  })
}

/** Pending code of a dead writer takes no group, and answers none. */
const refuseDead = (signal: AbortSignal): void => {
  if (signal.aborted) throw new KeelsonError('EXITED', 'the writer of the log has ended')
}

/**
 * The frames of each group, in order. Each group is the units of its writes. If two writes have the
 * same payload, it does not matter which of them has the frame. Pure.
 * @throws KeelsonError `CORRUPT` if the frames are not such parts of the groups
 */
export const framesOf = (
  groups: readonly (readonly FrameUnits[])[],
  frames: readonly FoundFrame[],
): FoundFrame[][] => {
  const counts = countsOf(groups, frames)
  if (!counts)
    throw new KeelsonError('CORRUPT', 'the log has frames that no write of this shard made', {
      details: { lsn: frames[0]?.lsn, evidence: 'the writes that were under way are others' },
    })
  let next = 0
  return counts.map((count) => {
    next += count
    return frames.slice(next - count, next)
  })
}

/**
 * How many of its first writes each group has in the log, so that together they are all of
 * `frames`: as many as can be of an earlier group.
 */
const countsOf = (
  [writes, ...later]: readonly (readonly FrameUnits[])[],
  frames: readonly FoundFrame[],
): number[] | undefined => {
  if (!writes) return frames.length === 0 ? [] : undefined
  let count = 0
  while (isFrameOf(writes[count], frames[count])) count++
  for (; count >= 0; count--) {
    const counts = countsOf(later, frames.slice(count))
    if (counts) return [count, ...counts]
  }
  return undefined
}

const isFrameOf = (units: FrameUnits | undefined, frame: FoundFrame | undefined): boolean => {
  if (!units || !frame || frameLength(units) !== frame.payload.length) return false
  const own = Buffer.alloc(frame.payload.length)
  encodeFrameInto(units, own, 0)
  return own.subarray(stampBytes).equals(frame.payload.subarray(stampBytes))
}

/** Every frame of a write after `lsn`. An open log is durable as a whole. */
const framesAfter = async (host: LogHost, lsn: number): Promise<FoundFrame[]> => {
  const frames: FoundFrame[] = []
  const { lastLsn } = await host.run('state', null)
  for (let next = lsn + 1; next <= lastLsn; ) {
    const read = await host.run('read', { from: next, to: lastLsn, maxBytes: readBytes })
    for (const { lsn, time, offset, length } of read.frames)
      frames.push({ lsn, time, payload: read.bytes.slice(offset, offset + length) })
    if (read.next <= next) break
    next = read.next
  }
  return frames
}
