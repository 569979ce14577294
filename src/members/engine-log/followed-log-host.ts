/**
 * The host of a log that another member owns, for one look at it. `open` fixes how far the log is
 * proven, by the last group's own word: a later frame may still be lost, and a cache with such a
 * frame could not go on with the log (invariant M5). It changes nothing in the engine.
 */
import type { Clock } from '../../clock.ts'
import { KeelsonError } from '../../errors.ts'
import type {
  EngineHead,
  EngineLog,
  LogExtent,
  LogFeatures,
  LogHost,
  LogProtocol,
  ProjectedPosition,
} from '../../storage/index.ts'
import type { EndNote } from './end-note.ts'
import { EngineCalls } from './engine-calls.ts'
import {
  closed,
  describedLog,
  engineLogHost,
  type LogHandlers,
  opened,
  openReport,
  ownFeatures,
} from './engine-log-host.ts'
import { type ReadLog, readFrames, readGroupAt } from './group-reading.ts'
import { inspectLog } from './inspection-reading.ts'
import type { FollowersBlobs } from './log-files.ts'
import { namedIn } from './snapshot-names.ts'

/** The log, and how long a follower waits for the engine. */
export type FollowedLogOptions = {
  readonly log: EngineLog
  readonly clock: Clock
  /** Aborted with a `KeelsonError`: the host ends. */
  readonly signal?: AbortSignal
  /** An inspection or an opening without an answer for so long ends the host, in ms. */
  readonly patienceMs: number
  /** The blobs that the log refers to. An opening waits for them, however long that takes. */
  readonly blobs?: FollowersBlobs
  /** The note of an earlier owner. */
  readonly endNote?: Pick<EndNote, 'read'>
  readonly features?: LogFeatures
}

/** A log as far as it is proven. */
type Followed = { readonly read: ReadLog; readonly extent: LogExtent; readonly lastTime: number }

/** Makes a host. Nothing is sent before its first request. */
export const followedLogHost = (options: FollowedLogOptions): LogHost => {
  const { log, clock, patienceMs, blobs, endNote, features = ownFeatures } = options
  const calls = new EngineCalls(clock, { signal: options.signal })
  let filling: Promise<void> | undefined
  let followed: Followed | undefined
  let shown: ProjectedPosition | undefined

  const handlers: LogHandlers = {
    inspect: (request) => {
      shown = request.needs?.shown
      return calls.within(patienceMs, inspectLog({ log, calls, endNote, features }, request))
    },
    async open({ inspection }) {
      const head = inspection.plan as EngineHead
      const shownLsn = shown?.walId === head.logId ? shown.lsn : 0
      followed = await calls.within(patienceMs, follow({ log, calls, logId: head.logId }, head))
      // A blob is in the engine before a frame refers to it.
      filling = blobs?.follow(calls, shownLsn)
      await filling
      return openReport(followed.extent, inspection.remarks, followed.lastTime)
    },
    create: refused,
    commit: refused,
    checkpoint: refused,
    name: refused,
    release: refused,
    sync: async () => ({ durableLsn: opened(followed).extent.durableLsn }),
    mark: async () => ({ written: false, durableLsn: opened(followed).extent.durableLsn }),
    // Nothing here trims the log. A reader whose frames are gone begins again with a snapshot.
    pin: async () => ({ pin: 0 }),
    unpin: async () => null,
    async read({ from, to, maxBytes }) {
      const { read, extent } = opened(followed)
      const last = Math.min(to ?? extent.durableLsn, extent.durableLsn)
      const answer = await readFrames(read, from, last, maxBytes)
      return { ...answer, durableLsn: extent.durableLsn }
    },
    head: async () => null,
    state: async (request) => stateOf(opened(followed), request?.after ?? 0),
    async describe() {
      const log = opened(followed)
      return describedLog(log.extent, (await stateOf(log, 0)).bytesAfter)
    },
    async close() {
      calls.end(closed('the log is closed'))
      return null
    },
  }

  return engineLogHost(calls, handlers, () => filling)
}

const refused = async (): Promise<never> => {
  throw new KeelsonError('FENCED', 'another member owns the log')
}

const follow = async (read: ReadLog, head: EngineHead): Promise<Followed> => {
  const { logId, end, trimmed } = head
  const last = end.lsn > trimmed.lsn ? await readGroupAt(read, end.lsn) : undefined
  const provenLsn = Math.max(trimmed.lsn, last?.group.provenLsn ?? 0)
  const snapshots = namedIn(head.snapshots)
  return {
    read,
    extent: {
      walId: logId,
      epoch: end.epoch,
      firstLsn: trimmed.lsn + 1,
      lastLsn: provenLsn,
      durableLsn: provenLsn,
      checkpointLsn: snapshots.at(-1)?.lsn ?? 0,
      snapshots,
    },
    lastTime: last?.content.time ?? 0,
  }
}

/** Sizes up to the last group, which is not counted. */
const stateOf = async (
  { read, extent }: Followed,
  after: number,
): Promise<LogProtocol['state']['answer']> => {
  const { firstLsn, lastLsn, checkpointLsn } = extent
  if (lastLsn < firstLsn) return { ...extent, newBytes: 0, bytesAfter: 0 }
  const bytesBefore = async (lsn: number): Promise<number> => {
    const at = Math.min(Math.max(lsn, firstLsn), lastLsn)
    return (await readGroupAt(read, at)).content.bytesBefore
  }
  const all = await bytesBefore(lastLsn)
  const newBytes = all - (await bytesBefore(checkpointLsn + 1))
  return { ...extent, newBytes, bytesAfter: all - (await bytesBefore(after + 1)) }
}
