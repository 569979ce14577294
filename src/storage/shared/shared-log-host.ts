/**
 * The host of a log that an engine keeps (`SharedLog`), for one life of its owner. The engine's
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
import { isKeelsonError, KeelsonError } from '../../errors.ts'
import type { EndNote, NotedEnd } from '../disk/end-note.ts'
import {
  type Inspection,
  knownFeatures,
  type LogDescription,
  type LogHost,
  type LogProtocol,
  type LogRequestKind,
  type OpenReport,
} from '../ports/log-host.ts'
import type { FrameMark, ProjectedPosition } from '../ports/projection-store.ts'
import type { SharedHead, SharedLog, SharedPosition } from '../ports/shared-log.ts'
import { checkLogOptions, framePayloadMax } from '../segments/log-limits.ts'
import { lossShown } from './append-verdict.ts'
import { EngineCalls } from './engine-calls.ts'
import { readGroupAt } from './group-reading.ts'
import { markAt, OwnedLog } from './owned-log.ts'
import type { SharedBlobs } from './shared-blobs.ts'
import { type Claim, claimLog } from './shared-claim.ts'
import { inspectionOf, lostLog, markIn, noFrame } from './shared-inspection.ts'
import type { SnapshotUploads } from './shared-snapshots.ts'

/** The log, and how long its owner waits for the engine. */
export type SharedLogHostOptions = {
  readonly log: SharedLog
  readonly clock: Clock
  /** Aborted with a `KeelsonError`: the host ends. */
  readonly signal?: AbortSignal
  /** An opening or an append without an answer for so long ends the host, in ms. */
  readonly patienceMs: number
  /** A snapshot is uploaded before the log names it. */
  readonly uploads: SnapshotUploads
  /** The blobs that the log refers to. An opening waits for them, however long that takes. */
  readonly blobs?: Pick<SharedBlobs, 'claimed'>
  /** The note of the end of the log in the member's cache. */
  readonly endNote?: EndNote
  /**
   * Resolves when this process may claim the log. A process that was replaced while it was paused
   * would take the log from its successor otherwise. @throws KeelsonError `FENCED`
   */
  readonly mayClaim?: () => Promise<void>
}

type Handlers = {
  readonly [K in LogRequestKind]: (
    request: LogProtocol[K]['request'],
  ) => Promise<LogProtocol[K]['answer']>
}

/** Makes a host. Nothing is sent before its first request. */
export const sharedLogHost = (options: SharedLogHostOptions): LogHost => {
  const { log, clock, patienceMs, uploads, blobs, endNote } = options
  const calls = new EngineCalls(clock, { signal: options.signal })
  let owned: OwnedLog | undefined
  let filling: Promise<void> | undefined

  const opened = (): OwnedLog => {
    if (owned) return owned
    throw closed('the log is not open')
  }

  const handlers: Handlers = {
    inspect: (request) => calls.within(patienceMs, inspectLog({ log, calls, endNote }, request)),
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
      return reportOf(owned, inspection, claim.lastTime)
    },
    commit: (request) => opened().commit(request),
    sync: () => opened().sync(),
    mark: () => opened().mark(),
    checkpoint: async () => {
      throw new KeelsonError('INVALID_ARGUMENT', 'a log in an engine has no checkpoints')
    },
    name: (request) => opened().name(request),
    release: (request) => opened().release(request),
    pin: async (request) => opened().pin(request),
    unpin: async (request) => opened().unpin(request),
    read: (request) => opened().read(request),
    head: async () => null,
    state: (request) => opened().state(request),
    describe: () => describe(opened()),
    async close() {
      await opened().sync()
      calls.end(closed('the log is closed'))
      return null
    },
  }

  return {
    async run(kind, request) {
      if (calls.ended) throw calls.ended
      try {
        return await handlers[kind](request)
      } catch (error) {
        // A log that has lost a part has no owner, and nobody follows it.
        const loss = error === calls.ended ? undefined : lossShown(error)
        throw loss ? calls.end(loss) : error
      }
    },
    async end() {
      calls.end(closed('the host has ended'))
      endNote?.close()
      await filling?.catch(() => undefined)
    },
  }
}

const claimed = async (
  options: SharedLogHostOptions,
  calls: EngineCalls,
  inspection: Inspection,
): Promise<Claim> => {
  const { mayClaim } = options
  if (mayClaim) await calls.ask(mayClaim)
  return claimLog(options, calls, inspection)
}

/**
 * Looks at the whole log, as an owner without a cache would need it: this one may read only its end.
 * @throws KeelsonError `CORRUPT` if groups are missing
 */
const surveyLog = async (
  log: SharedLog,
  calls: EngineCalls,
  { trimmed, end }: SharedHead,
): Promise<void> => {
  for (let at = trimmed.lsn; at < end.lsn; ) at = await calls.asOwner(() => log.survey(at))
}

const closed = (message: string): KeelsonError => new KeelsonError('CLOSED', message)

/** Inspects a log, for its next owner or for a follower. */
export const inspectLog = async (
  { log, calls, endNote }: Inspected,
  { options, evidence, needs }: LogProtocol['inspect']['request'],
): Promise<Inspection> => {
  checkLogOptions(options)
  const noted = endNote?.read()
  const head = await headOf(log, calls)
  const mark = await shownMark(log, calls, head, needs?.shown)
  const there = noted && (await positionAt(log, calls, head, noted))
  return inspectionOf(head, { evidence, needs, noted }, mark, there)
}

/** A log, and the note of its end in the cache. */
type Inspected = {
  readonly log: SharedLog
  readonly calls: EngineCalls
  readonly endNote: Pick<EndNote, 'read'> | undefined
}

/** The end of the group at the noted LSN; `undefined` if the log does not have the LSN. */
const positionAt = async (
  log: SharedLog,
  calls: EngineCalls,
  { logId, end, trimmed }: SharedHead,
  noted: NotedEnd,
): Promise<SharedPosition | undefined> => {
  if (noted.logId !== logId || noted.lsn <= trimmed.lsn || noted.lsn > end.lsn) return undefined
  if (noted.lsn === end.lsn) return end
  return (await readGroupAt({ log, calls, logId }, noted.lsn)).group.end
}

/** The head. The log was made before the first member could begin. @throws KeelsonError `CORRUPT` */
const headOf = async (log: SharedLog, calls: EngineCalls): Promise<SharedHead> => {
  try {
    return await calls.ask(() => log.head())
  } catch (error) {
    throw isKeelsonError(error, 'NO_SEGMENTS') ? lostLog(error) : error
  }
}

/** The mark of the log at the position of a projection; absent if the log does not have the LSN. */
const shownMark = async (
  log: SharedLog,
  calls: EngineCalls,
  { logId, end, trimmed }: SharedHead,
  shown: ProjectedPosition | undefined,
): Promise<FrameMark | undefined> => {
  if (!shown || shown.walId !== logId) return undefined
  if (shown.lsn === trimmed.lsn) return markIn(trimmed.mark)
  if (shown.lsn < trimmed.lsn || shown.lsn > end.lsn) return undefined
  return markAt(await readGroupAt({ log, calls, logId }, shown.lsn), shown.lsn) ?? noFrame
}

/** Makes the logs of a new cluster, and returns their heads. A log that is there stays as it is. */
export const makeLogs = async (
  logOf: (shard: number) => SharedLog,
  clock: Clock,
  shards: number,
): Promise<readonly SharedHead[]> => {
  const heads: SharedHead[] = []
  for (let shard = 0; shard < shards; shard++)
    heads.push(await logOf(shard).create(Buffer.from(clock.randomBytes(16)).toString('hex')))
  return heads
}

const reportOf = (owned: OwnedLog, { remarks }: Inspection, lastTime: number): OpenReport => {
  const { walId, epoch, firstLsn, lastLsn } = owned.extent
  return {
    ...{ walId, epoch, firstLsn, lastLsn, lastTime, remarks },
    ...{ tail: 'clean', cutBytes: 0, copiedFrames: 0, segments: 0 },
    // No version before this one reads it.
    features: knownFeatures,
  }
}

const describe = async (owned: OwnedLog): Promise<LogDescription> => ({
  ...owned.extent,
  spares: { ready: 0, making: false },
  segments: [],
  engineBytes: await owned.bytes(),
})
