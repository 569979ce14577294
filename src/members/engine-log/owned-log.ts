/**
 * A shared log owned by this member, from the claim on: commits, pins, snapshots, trims and
 * reads. It has the LSNs of the local log. It has no segments, so its frames may be trimmed at any
 * LSN, and each acknowledged frame is durable.
 */
import type { Clock } from '../../clock.ts'
import { isKeelsonError, KeelsonError } from '../../errors.ts'
import {
  type Commit,
  type CommitRequest,
  type EngineGroup,
  type EngineHead,
  type FrameMark,
  frameOffsets,
  givenBack,
  type LogExtent,
  type LogProtocol,
  type LogState,
  markOf,
  Pins,
  type ReadAnswer,
  refuseBefore,
  refuseOtherRequest,
  withSnapshot,
} from '../../storage/index.ts'
import type { EndNote } from './end-note.ts'
import { markText } from './engine-inspection.ts'
import { encodeGroup } from './group-frames.ts'
import { type ReadGroup, type ReadLog, readFrames, readGroupAt } from './group-reading.ts'
import type { SnapshotUploads } from './log-files.ts'
import type { OwnersAppends } from './owners-appends.ts'
import { engineName, namedIn } from './snapshot-names.ts'

/** The log after the claim. */
export type OwnedParts = ReadLog & {
  readonly clock: Clock
  readonly appends: OwnersAppends
  /** The head that the claim moved. */
  readonly head: EngineHead
  /** The bytes of all groups, with the claim. */
  readonly bytes: number
  /** The stamp of the last frame. */
  readonly lastTime: number
  /** The greatest payload of a frame. */
  readonly payloadMax: number
  readonly uploads: SnapshotUploads
  /** The note of the end in the member's cache. */
  readonly endNote?: Pick<EndNote, 'put'> | undefined
}

type Request<K extends keyof LogProtocol> = LogProtocol[K]['request']
type Answer<K extends keyof LogProtocol> = Promise<LogProtocol[K]['answer']>

/** A log that its owner may write. */
export class OwnedLog {
  readonly #parts: OwnedParts
  readonly #reads: ReadLog
  readonly #pins = new Pins()
  /** Of the head, what this owner alone changes. */
  #snapshots: EngineHead['snapshots']
  #trimmedLsn: number
  #lastTime: number
  /** The bytes of all sent groups, and of all acknowledged ones. */
  #sentBytes: number
  #bytes: number
  /** The engine was asked to trim up to here: what is missing beyond, another owner has trimmed. */
  #askedTrimLsn: number
  /** The last LSN before the last acknowledged group. That group stays: a claim reads its stamp. */
  #keptAfterLsn: number
  /** Whether the last group that was sent has frames: nothing in the log proves it. */
  #isUnmarked = false
  /** The bytes up to an LSN, for the positions that are asked for often. */
  readonly #bytesTo = new Map<number, number>()

  constructor(parts: OwnedParts) {
    const { head, bytes, lastTime, appends } = parts
    this.#parts = parts
    this.#reads = { ...parts, trimmedLsn: () => this.#askedTrimLsn }
    this.#snapshots = head.snapshots
    this.#trimmedLsn = head.trimmed.lsn
    this.#askedTrimLsn = head.trimmed.lsn
    this.#lastTime = lastTime
    this.#sentBytes = bytes
    this.#bytes = bytes
    this.#keptAfterLsn = appends.durableLsn - 1
  }

  get extent(): LogExtent {
    const { logId, head, appends } = this.#parts
    const snapshots = namedIn(this.#snapshots)
    return {
      walId: logId,
      epoch: head.end.epoch,
      firstLsn: this.#firstLsn,
      lastLsn: appends.durableLsn,
      durableLsn: appends.durableLsn,
      checkpointLsn: snapshots.at(-1)?.lsn ?? 0,
      snapshots,
    }
  }

  /** The bytes of all its frames, about. */
  async bytes(): Promise<number> {
    return this.#bytes - (await this.#bytesUpTo(0))
  }

  async commit(request: CommitRequest): Promise<Commit> {
    const { appends, clock, payloadMax } = this.#parts
    const { bytes: payloads, lengths } = request
    const count = lengths.length
    refuseUnread(request, appends.features)
    // It refuses, too.
    frameOffsets(request, payloadMax, appends.sentLsn)
    const time = Math.max(this.#lastTime, request.now)
    const began = clock.monotonic()
    const firstLsn = appends.sentLsn + 1
    const answer = { firstLsn, count, time, rolled: false, ...givenBack(request) }
    if (count === 0)
      return { ...answer, lsns: [], durableLsn: appends.durableLsn, syncMs: 0, bytesWritten: 0 }
    this.#lastTime = time
    const { bytes, end } = await this.#append(count, { payloads, lengths })
    return {
      ...answer,
      lsns: Array.from({ length: count }, (_, index) => firstLsn + index),
      durableLsn: end.lsn,
      syncMs: clock.monotonic() - began,
      bytesWritten: bytes.length,
    }
  }

  /** Makes the acknowledgement of the last group part of the log, for those who follow it. */
  async mark(): Answer<'mark'> {
    const written = this.#isUnmarked
    if (written) await this.#append(1, { payloads: new Uint8Array(0), lengths: [] })
    return { written, ...(await this.sync()) }
  }

  /** Resolves when every group that was sent is acknowledged. */
  async sync(): Answer<'sync'> {
    const { appends, calls } = this.#parts
    await appends.settled
    if (calls.ended) throw calls.ended
    return { durableLsn: appends.durableLsn }
  }

  async name({ epoch, snapshot }: Request<'name'>): Answer<'name'> {
    const { log, calls, appends, head, uploads } = this.#parts
    refuseOtherRequest(this.#parts.head.end.epoch, epoch)
    if (snapshot.lsn < this.#trimmedLsn || snapshot.lsn > appends.durableLsn)
      throw new KeelsonError('INVALID_ARGUMENT', 'the log cannot name this snapshot', {
        details: { lsn: snapshot.lsn, ...this.extent },
      })
    const named = engineName(epoch, snapshot)
    await calls.ask(() => uploads.upload(named.file, snapshot))
    await calls.asOwner(() => log.name(epoch, named))
    const end = { ...head.end, lsn: appends.durableLsn }
    this.#snapshots = withSnapshot({ ...head, end, snapshots: this.#snapshots }, named)
    this.#bytesTo.clear()
    const namedNow = async (): Promise<readonly string[]> =>
      (await log.head()).snapshots.map(({ file }) => file)
    await calls.ask(() => uploads.tidy(epoch, namedNow))
    const { snapshots, checkpointLsn } = this.extent
    return { snapshots, checkpointLsn }
  }

  /** Trims the log up to `lsn`, or to what a snapshot, a pin and the last group leave of that. */
  async release({ epoch, lsn, wanted = lsn }: Request<'release'>): Answer<'release'> {
    refuseOtherRequest(this.#parts.head.end.epoch, epoch)
    const from = this.#trimmedLsn
    const to = Math.max(from, Math.min(this.#releasable(lsn), this.#pins.least - 1))
    const held = Math.max(to, this.#releasable(wanted))
    // From now on no reader and no pin begins before.
    this.#trimmedLsn = to
    const [begin, end, heldEnd] = [
      await this.#bytesUpTo(from, from),
      await this.#bytesUpTo(to, from),
      await this.#bytesUpTo(held, from),
    ]
    if (to > from) {
      const { log, calls } = this.#parts
      const mark = markText(markAt(await readGroupAt(this.#reads, to), to))
      this.#askedTrimLsn = Math.max(this.#askedTrimLsn, to)
      await calls.asOwner(() => log.trim(epoch, to, mark))
      this.#bytesTo.clear()
    }
    return {
      removed: 0,
      removedBytes: end - begin,
      heldBytes: heldEnd - end,
      firstLsn: this.#firstLsn,
    }
  }

  pin({ from, pin }: Request<'pin'>): { readonly pin: number } {
    refuseBefore(this.#firstLsn, from)
    return { pin: this.#pins.hold(from, pin) }
  }

  unpin({ pin }: Request<'unpin'>): null {
    this.#pins.drop(pin)
    return null
  }

  async read({ from, to, maxBytes, fromCheckpoint }: Request<'read'>): Promise<ReadAnswer> {
    const { durableLsn, checkpointLsn } = this.extent
    const first = Math.max(from, fromCheckpoint ? checkpointLsn + 1 : 0)
    refuseBefore(this.#firstLsn, first)
    const last = Math.min(to ?? durableLsn, durableLsn)
    try {
      return { ...(await readFrames(this.#reads, first, last, maxBytes)), durableLsn }
    } catch (error) {
      // A release has trimmed the frames since.
      if (isKeelsonError(error, 'BAD_CURSOR')) refuseBefore(this.#firstLsn, first)
      throw error
    }
  }

  async state(request: Request<'state'>): Promise<LogState> {
    const { checkpointLsn } = this.extent
    const newest = await this.#bytesUpTo(checkpointLsn)
    const after = await this.#bytesUpTo(request?.after ?? 0)
    const bytes = this.#bytes
    return { ...this.extent, newBytes: bytes - newest, bytesAfter: bytes - after }
  }

  async #append(
    lsns: number,
    content: { readonly payloads: Uint8Array; readonly lengths: ArrayLike<number> },
  ): Promise<EngineGroup> {
    const { appends, logId, endNote } = this.#parts
    this.#isUnmarked = content.lengths.length > 0
    const sent = appends.append(lsns, (place) => {
      const [time, bytesBefore] = [this.#lastTime, this.#sentBytes]
      const bytes = encodeGroup(logId, place, { time, bytesBefore, ...content })
      this.#sentBytes += bytes.length
      return bytes
    })
    const group = await sent
    endNote?.put(logId, group.end)
    this.#bytes += group.bytes.length
    this.#keptAfterLsn = group.after.lsn
    return group
  }

  /** The last LSN up to `lsn` that neither a snapshot nor the next claim needs. */
  #releasable(lsn: number): number {
    return Math.min(lsn, this.#snapshots[0]?.lsn ?? 0, this.#keptAfterLsn)
  }

  /**
   * The bytes of the groups up to `lsn`. Inside a group, frames count as equally long. `from`: the
   * frames up to it are not in the log.
   */
  async #bytesUpTo(lsn: number, from = this.#trimmedLsn): Promise<number> {
    const { appends } = this.#parts
    if (lsn >= appends.durableLsn) return this.#bytes
    const begin = Math.max(lsn, from)
    const known = this.#bytesTo.get(begin)
    if (known !== undefined) return known
    const read = await this.#readAt(begin + 1)
    if (!read) return this.#bytesUpTo(lsn)
    const { group, content } = read
    const { after, end, bytes } = group
    const part = (begin - after.lsn) / (end.lsn - after.lsn)
    const found = content.bytesBefore + Math.round(part * bytes.length)
    if (begin === from || begin === this.#snapshots.at(-1)?.lsn) this.#bytesTo.set(begin, found)
    return found
  }

  /** The group that has `lsn`; `undefined` if a release has trimmed it since. */
  async #readAt(lsn: number): Promise<ReadGroup | undefined> {
    try {
      return await readGroupAt(this.#reads, lsn)
    } catch (error) {
      if (isKeelsonError(error, 'BAD_CURSOR')) return undefined
      throw error
    }
  }

  get #firstLsn(): number {
    return this.#trimmedLsn + 1
  }
}

/** Refuses frames that a member cannot read (invariant M11). @throws `UNSUPPORTED_VERSION` */
const refuseUnread = ({ features = 0 }: CommitRequest, on: number): void => {
  if ((features & ~on) === 0) return
  throw new KeelsonError(
    'UNSUPPORTED_VERSION',
    'a member of the cluster cannot read such a frame',
    {
      details: { features, on },
    },
  )
}

/** The mark of a frame of a group; absent if the group has no frame with this LSN. */
export const markAt = ({ group, content }: ReadGroup, lsn: number): FrameMark | undefined => {
  const frame = content.frames.find((each) => each.lsn === lsn)
  return frame && markOf(content.time, group.bytes.subarray(frame.at, frame.at + frame.length))
}
