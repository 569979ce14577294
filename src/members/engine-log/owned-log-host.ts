/**
 * The host of a log that an engine keeps (`EngineLog`), for one life of its owner. The engine's
 * acknowledgement of a group is its commit point, and the engine decides who owns the log: `open`
 * claims it with the next epoch. When another owner has claimed it, every request rejects with
 * `FENCED`. A host whose engine does not answer acknowledges nothing, and ends with `SHARD_DOWN`
 * (reason `engine`): the next host claims the log again and finds what became of the last groups.
 *
 * Requests that read or trim wait for the engine as long as the host lives. They do not wait for
 * commits. After `end` the host sends nothing. Its last requests may still arrive, until the next
 * claim.
 */
import type { Clock } from '../../clock.ts'
import { KeelsonError } from '../../errors.ts'
import {
  checkLogOptions,
  type EngineGroup,
  type EngineHead,
  type EngineLog,
  framePayloadMax,
  type Inspection,
  type LogFeatures,
  type LogHost,
} from '../../storage/index.ts'
import { engineDown, headIn, ownersEnd, verdictOn } from './append-verdict.ts'
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
import { encodeGroup } from './group-frames.ts'
import { readGroupAt } from './group-reading.ts'
import { inspectLog } from './inspection-reading.ts'
import type { OwnersBlobs, SnapshotUploads } from './log-files.ts'
import { OwnedLog, type OwnedParts } from './owned-log.ts'
import { OwnersAppends } from './owners-appends.ts'

/** The log, and how long its owner waits for the engine. */
export type OwnedLogHostOptions = {
  readonly log: EngineLog
  readonly clock: Clock
  /** Aborted with a `KeelsonError`: the host ends. */
  readonly signal?: AbortSignal
  /** An opening or an append without an answer for so long ends the host, in ms. */
  readonly patienceMs: number
  /** A snapshot is uploaded before the log names it. */
  readonly uploads: SnapshotUploads
  /** The blobs that the log refers to. An opening waits for them, however long that takes. */
  readonly blobs?: OwnersBlobs
  /** The note of the end of the log in the member's cache. */
  readonly endNote?: EndNote
  /** The features of logs that all members read. By default this member is the only one. */
  readonly features?: LogFeatures
  /**
   * Resolves when this process may claim the log. A process that was replaced while it was paused
   * would take the log from its successor otherwise. @throws KeelsonError `FENCED`
   */
  readonly mayClaim?: () => Promise<void>
}

/** Makes a host. Nothing is sent before its first request. */
export const ownedLogHost = (options: OwnedLogHostOptions): LogHost => {
  const { log, clock, patienceMs, uploads, blobs, endNote, features = ownFeatures } = options
  const calls = new EngineCalls(clock, { signal: options.signal })
  let owned: OwnedLog | undefined
  let filling: Promise<void> | undefined

  const handlers: LogHandlers = {
    inspect: (request) =>
      calls.within(patienceMs, inspectLog({ log, calls, endNote, features }, request)),
    create: async () => {
      throw new KeelsonError('INVALID_ARGUMENT', 'a log in an engine is made with its cluster')
    },
    async open({ options: logOptions, inspection }) {
      checkLogOptions(logOptions)
      const claim = await calls.within(patienceMs, claimed(options, calls, inspection))
      filling = blobs?.claimed(claim.head.end.epoch, calls)
      await Promise.all([filling, surveyLog(log, calls, claim.head)])
      const payloadMax = framePayloadMax(logOptions)
      owned = new OwnedLog({ ...claim, clock, uploads, payloadMax, endNote })
      return openReport(owned.extent, inspection.remarks, claim.lastTime)
    },
    commit: (request) => opened(owned).commit(request),
    sync: () => opened(owned).sync(),
    mark: () => opened(owned).mark(),
    checkpoint: async () => {
      throw new KeelsonError('INVALID_ARGUMENT', 'a log in an engine has no checkpoints')
    },
    name: (request) => opened(owned).name(request),
    release: (request) => opened(owned).release(request),
    pin: async (request) => opened(owned).pin(request),
    unpin: async (request) => opened(owned).unpin(request),
    read: (request) => opened(owned).read(request),
    head: async () => null,
    state: (request) => opened(owned).state(request),
    async describe() {
      const { extent } = opened(owned)
      return describedLog(extent, await opened(owned).bytes())
    },
    async close() {
      await opened(owned).sync()
      calls.end(closed('the log is closed'))
      return null
    },
  }

  return engineLogHost(calls, handlers, () => {
    endNote?.close()
    void log.rest()
    return filling
  })
}

const claimed = async (
  options: OwnedLogHostOptions,
  calls: EngineCalls,
  inspection: Inspection,
): Promise<Claim> => {
  const { mayClaim } = options
  if (mayClaim) await calls.ask(mayClaim)
  return claimLog(options, calls, inspection)
}

/**
 * Looks at the whole log. An owner with a cache may read only the end of the log, but the next
 * owner may have no cache and needs all of it.
 * @throws KeelsonError `CORRUPT` if groups are missing
 */
const surveyLog = async (
  log: EngineLog,
  calls: EngineCalls,
  { trimmed, end }: EngineHead,
): Promise<void> => {
  for (let at = trimmed.lsn; at < end.lsn; ) at = await calls.asOwner(() => log.survey(at))
}

/** Makes the logs of a new cluster, and returns their heads. A log that is there stays as it is. */
export const makeLogs = async (
  logOf: (shard: number) => EngineLog,
  clock: Clock,
  shards: number,
): Promise<readonly EngineHead[]> => {
  const heads: EngineHead[] = []
  for (let shard = 0; shard < shards; shard++) {
    const log = logOf(shard)
    heads.push(await log.create(Buffer.from(clock.randomBytes(16)).toString('hex')))
    // Another member may become its owner.
    await log.rest()
  }
  return heads
}

// The claim of a shared log: a group without frames that begins the next epoch. When the engine has
// acknowledged it, no earlier owner can append, and all groups before it are proven.

/** The log to claim, with the time that its owner waits for an append. */
export type ClaimParts = {
  readonly log: EngineLog
  readonly clock: Clock
  readonly patienceMs: number
  readonly features?: LogFeatures
}

/** A claimed log. */
export type Claim = Omit<OwnedParts, 'clock' | 'payloadMax' | 'uploads'>

/**
 * Claims the log with the epoch after the inspected one. If a late group of the owner before moves
 * the end, the claim goes after that group.
 * @throws KeelsonError `SHARD_DOWN` (reason `engine`) if it must be inspected again: another claim has
 * come since, or the log was trimmed
 */
const claimLog = async (
  { log, clock, patienceMs, features = ownFeatures }: ClaimParts,
  calls: EngineCalls,
  { plan }: Inspection,
): Promise<Claim> => {
  // The plan comes from `inspectionOf`.
  const inspected = plan as EngineHead
  const { logId, end, trimmed } = inspected
  let before = inspected
  const owner = Buffer.from(clock.randomBytes(8)).toString('hex')
  for (;;) {
    const { group, bytes, lastTime } = await claimAfter(before, end.epoch + 1, owner, log, calls)
    const moved = await appended(group, log, calls, features.on)
    if (!moved) {
      // The last changes of the owner before came before the claim.
      const head = await calls.ask(() => log.head())
      if (head.trimmed.lsn > trimmed.lsn) throw calls.end(engineDown('the log was trimmed'))
      const claimed = group.end
      const appends = new OwnersAppends({ log, calls, patienceMs, claimed, owner, features })
      return { log, calls, logId, appends, head: { ...head, end: claimed }, bytes, lastTime }
    }
    before = moved
  }
}

/** The claim after the end of `head`. It repeats the stamp of the last frame. */
const claimAfter = async (
  { logId, end: after }: EngineHead,
  epoch: number,
  owner: string,
  log: EngineLog,
  calls: EngineCalls,
): Promise<{ readonly group: EngineGroup; readonly bytes: number; readonly lastTime: number }> => {
  const last = after.lsn > 0 ? await readGroupAt({ log, calls, logId }, after.lsn) : undefined
  const time = last?.content.time ?? 0
  const bytesBefore = last ? last.content.bytesBefore + last.group.bytes.length : 0
  const end = { epoch, lsn: after.lsn + 1, id: `${owner}-${after.lsn + 1}` }
  const content = { time, bytesBefore, payloads: new Uint8Array(0), lengths: [] }
  // It proves what was before when it is acknowledged, and readers may see it earlier.
  const place = { after, end, provenLsn: last?.group.provenLsn ?? 0 }
  const bytes = encodeGroup(logId, place, content)
  const group = { ...place, bytes }
  return { group, bytes: bytesBefore + bytes.length, lastTime: time }
}

/** Appends a claim. If the end of the log has moved on, the present head. */
const appended = async (
  claim: EngineGroup,
  log: EngineLog,
  calls: EngineCalls,
  features: number,
): Promise<EngineHead | undefined> => {
  try {
    await calls.ask(() => log.append(claim, features))
    return undefined
  } catch (error) {
    if (error === calls.ended) throw error
    const verdict = verdictOn(error, claim, false)
    if (verdict === 'moved') return headIn(error as KeelsonError)
    // It may be the late claim of an earlier host of this owner, or of an owner before it. Whether this
    // process still owns the log, its lease says before the next claim (`mayClaim`).
    if (verdict === 'fenced') throw calls.end(engineDown('another claim came first', error))
    // The inspection saw a group that was not acknowledged yet, and the engine has lost it.
    if (verdict === 'again') throw calls.end(engineDown('the log ends before its inspected end'))
    throw calls.end(ownersEnd(verdict, claim, error))
  }
}
