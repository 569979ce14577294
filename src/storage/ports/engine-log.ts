/**
 * The port to a log that an engine outside of the process keeps. Several members reach the same log
 * through handles of their own. The engine decides who writes: an append moves the head of the log
 * from one position to the next, and takes effect only if the head is exactly where the writer
 * believes it. The engine's answer is the commit point.
 *
 * Every call may end without an answer: it then rejects with `UNKNOWN_OUTCOME`, and may have taken
 * effect, may take effect later, or never. Every call may be repeated as it is. Appends
 * of one handle are carried out in the order in which they were made.
 */
import type { Clock } from '../../clock.ts'
import { invalidArgument, KeelsonError } from '../../errors.ts'
import type { FrameMark } from './projection-store.ts'

/** A place between two groups: the end of the group with this LSN, this epoch and this id. */
export type EnginePosition = {
  /** Grows with each change of the owner. */
  readonly epoch: number
  /** The last LSN of the group. */
  readonly lsn: number
  /** The owner's name of the group, different for any two groups. */
  readonly id: string
}

/** The place before the first group. */
export const engineStart: EnginePosition = { epoch: 0, lsn: 0, id: '' }

/** Whether two places are the same place of the same history. */
export const isSamePosition = (one: EnginePosition, other: EnginePosition): boolean =>
  one.epoch === other.epoch && one.lsn === other.lsn && one.id === other.id

/**
 * An LSN of the log `walId` that the engine has acknowledged to a member, as its memory or its cache
 * shows. `frame`: the mark of its frame; `end`: that of its group.
 */
export type LossProof = {
  readonly lsn: number
  readonly walId?: string
  readonly frame?: FrameMark
  readonly end?: EnginePosition
}

/** Frames that are appended at once, whole or not at all. */
export type EngineGroup = {
  /** The end of the group before it. */
  readonly after: EnginePosition
  /**
   * The end of this group. Its LSN is greater than that of `after`. Its epoch is that of `after` if
   * the owner writes on, and greater if the group begins the epoch of a new owner.
   */
  readonly end: EnginePosition
  /**
   * The last LSN that was acknowledged to the owner when it made this group. Readers of a log
   * apply no frame beyond the greatest that they have seen: a later frame may still be lost.
   */
  readonly provenLsn: number
  /**
   * The frames, in bytes that only owners and readers know. A *mark*, with which an idle owner
   * reports `provenLsn` to readers, has no frame.
   */
  readonly bytes: Uint8Array
}

/** A snapshot that the log may be replayed from. */
export type EngineSnapshot = { readonly lsn: number; readonly file: string }

/** The present state of a log. */
export type EngineHead = {
  /** Identifies the log, as long as it exists. */
  readonly logId: string
  /** The end of the last group. */
  readonly end: EnginePosition
  /** The frames up to this LSN were trimmed. `mark`: as `trim` got it. */
  readonly trimmed: { readonly lsn: number; readonly mark: string }
  /** Oldest first. */
  readonly snapshots: readonly EngineSnapshot[]
  /** The bits that a reader must know, as in `knownFeatures`. Once set, they stay. */
  readonly features: number
}

/** Some groups of a log, in order and without a gap. */
export type EngineReading = {
  readonly groups: readonly EngineGroup[]
  /** The LSN to read on from: that of the last group, or the one that was asked for. */
  readonly next: number
}

/** The features of an engine's logs at one member, as bits. */
export interface LogFeatures {
  /** It reads logs that have no others. */
  readonly reads: number
  /** All members read them: the owner of a log marks it with them. */
  readonly on: number
}

/** One log of an engine. */
export interface EngineLog {
  /**
   * Makes the log if it is not there. Returns the head: of another `logId`, if another member made
   * it first.
   */
  create(logId: string): Promise<EngineHead>
  /**
   * The head as the engine shows it. An append that it shows may still be lost when the engine
   * fails over. An acknowledged append after it proves it.
   * @throws KeelsonError `NO_SEGMENTS` without a log
   */
  head(): Promise<EngineHead>
  /**
   * Appends a group after `after`. When it resolves, the group and all before it are as durable
   * as the engine keeps anything. Repeating an append that took effect resolves too, as long as
   * the log has not passed to a later epoch. `features` are added to those of the head.
   *
   * A refusal has the head in `details.head`:
   * - `FENCED`: the log has passed to a later owner. No attempt at this group takes effect
   *   afterwards. Whether an earlier attempt did, the log says at its LSN.
   * - `CONFLICT`: the head is not at `after`, and not at the end of this group. If its LSN is
   *   greater than that of `after`, no attempt at this group takes effect afterwards. If it is less,
   *   a group before this one is missing: it is on its way, or the engine lost what it
   *   acknowledged.
   * @throws KeelsonError `FENCED`, `CONFLICT`, `UNKNOWN_OUTCOME`; `CORRUPT` if the engine finds that
   * it lacks the group before; `INVALID_ARGUMENT` if the end of the group is not after `after`
   */
  append(group: EngineGroup, features?: number): Promise<void>
  /**
   * Reads groups with frames after the LSN `after`: at least one if there is any, then up to
   * `maxBytes`. The first one may begin before. To find that a group is absent proves nothing:
   * only another group at its LSN does.
   * @throws KeelsonError `BAD_CURSOR` if frames after `after` were trimmed; `CORRUPT` if groups
   * are missing between the trimmed ones and the head, or do not end where the head says
   */
  read(after: number, maxBytes: number): Promise<EngineReading>
  /**
   * Names a snapshot that was uploaded and read back. The newest two stay named.
   * @throws KeelsonError `FENCED` if the head has another epoch; `INVALID_ARGUMENT` if its LSN is
   * beyond the head or below the newest one
   */
  name(epoch: number, snapshot: EngineSnapshot): Promise<void>
  /**
   * Gives back the groups that end at `lsn` or before, and keeps `mark`, which identifies the
   * frame at `lsn`. A no-op for an LSN that is trimmed.
   * @throws KeelsonError `FENCED` if the head has another epoch; `INVALID_ARGUMENT` if no named
   * snapshot is that new: the oldest one decides
   */
  trim(epoch: number, lsn: number, mark: string): Promise<void>
  /**
   * Looks whether the groups after the LSN `after` follow each other, some of them at a time,
   * without their frames. Returns the LSN to go on from: that of the head at the end.
   * @throws KeelsonError as `read`
   */
  survey(after: number): Promise<number>
  /**
   * As `read`, of a log that may be damaged: returns whatever groups there are, and judges nothing.
   */
  salvage(after: number, maxBytes: number): Promise<EngineReading>
  /**
   * Puts `to` in the place of the head `from`, and removes the groups that are not between its
   * trimmed frames and its end. An operator does it who accepts a loss.
   * @throws KeelsonError `CONFLICT` if the head is not at `from`
   */
  replace(from: EngineHead, to: EngineHead): Promise<void>
  /**
   * Gives back what is kept for the changes of an owner, such as a connection, when the changes that
   * were asked for are made. A later change gets it again. Never rejects.
   */
  rest(): Promise<void>
}

/**
 * Why a group that was not appended is refused, if it is: an earlier attempt may have appended it
 * (`isThere`). `head`: the head at that moment. The same for every engine.
 */
export const appendRefusal = (
  { after, end }: EngineGroup,
  head: EngineHead,
  isThere: boolean,
): KeelsonError | undefined => {
  const { epoch, lsn } = head.end
  if (isThere && epoch === end.epoch) return undefined
  const details = { head }
  if (epoch > after.epoch && epoch >= end.epoch)
    return new KeelsonError('FENCED', `the log has epoch ${epoch}, and not ${after.epoch}`, {
      details,
    })
  const message = `the log ends at lsn ${lsn} (${head.end.id}), and not at ${after.lsn} (${after.id})`
  return new KeelsonError('CONFLICT', message, { details })
}

/** Refuses a change of the head by a member that is not its owner. @throws `FENCED` */
export const refuseOtherEpoch = (head: EngineHead, epoch: number): void => {
  if (head.end.epoch === epoch) return
  const message = `the log has epoch ${head.end.epoch}, and not ${epoch}`
  throw new KeelsonError('FENCED', message, { details: { head } })
}

/** The snapshots that a head names after one more. @throws `INVALID_ARGUMENT` as `EngineLog.name` */
export const withSnapshot = (
  { snapshots, end }: EngineHead,
  snapshot: EngineSnapshot,
): readonly EngineSnapshot[] => {
  const newest = snapshots.at(-1)
  if (newest && isSameSnapshotFile(newest, snapshot)) return snapshots
  const least = newest?.lsn ?? 0
  if (snapshot.lsn < least || snapshot.lsn > end.lsn)
    throw invalidArgument('snapshot.lsn', `an LSN from ${least} to ${end.lsn}`, snapshot.lsn)
  return [...snapshots, snapshot].slice(-2)
}

const isSameSnapshotFile = (one: EngineSnapshot, other: EngineSnapshot): boolean =>
  one.lsn === other.lsn && one.file === other.file

/** Refuses to trim what no snapshot covers. @throws `INVALID_ARGUMENT` as `EngineLog.trim` */
export const refuseUncovered = ({ snapshots }: EngineHead, lsn: number): void => {
  const covered = snapshots[0]?.lsn ?? 0
  if (lsn > covered)
    throw invalidArgument('lsn', `at most ${covered}, the oldest named snapshot`, lsn)
}

/** The head with another snapshot. @throws KeelsonError as `EngineLog.name` */
export const namedHead = (
  head: EngineHead,
  ...[epoch, snapshot]: Parameters<EngineLog['name']>
): EngineHead => {
  refuseOtherEpoch(head, epoch)
  return { ...head, snapshots: withSnapshot(head, snapshot) }
}

/** The head of a log that begins after `lsn`. @throws KeelsonError as `EngineLog.trim` */
export const trimmedHead = (
  head: EngineHead,
  ...[epoch, lsn, mark]: Parameters<EngineLog['trim']>
): EngineHead => {
  refuseOtherEpoch(head, epoch)
  refuseUncovered(head, lsn)
  return lsn > head.trimmed.lsn ? { ...head, trimmed: { lsn, mark } } : head
}

/** A place in a group's row: its two ends. */
type Link = Pick<EngineGroup, 'after' | 'end'>

/**
 * Refuses groups that an engine has read after the LSN `after`, if they cannot be the part of the log
 * that begins there. `head`: at the same moment. The same for every engine. @throws `CORRUPT`
 */
export const refuseGap = (
  groups: readonly Link[],
  after: number,
  { end }: Pick<EngineHead, 'end'>,
): void => {
  let last: EnginePosition | undefined
  for (const group of groups) {
    const follows = last ? isSamePosition(group.after, last) : group.after.lsn <= after
    if (!follows) throw damagedLog(last?.lsn ?? after, end)
    last = group.end
  }
  const reached = last?.lsn ?? after
  const isRight = last ? reached < end.lsn || isSamePosition(last, end) : reached >= end.lsn
  if (!isRight) throw damagedLog(reached, end)
}

/** `CORRUPT` for a log whose groups after `lsn` are missing, or are others. */
const damagedLog = (lsn: number, end: EnginePosition): KeelsonError => {
  const evidence = `the groups after lsn ${lsn} are missing or are others, and the log ends at ${end.lsn}`
  return new KeelsonError('CORRUPT', evidence, { details: { lsn: lsn + 1, evidence } })
}

/** Refuses a group that ends where it begins, or earlier. @throws `INVALID_ARGUMENT` */
export const refuseBackwards = ({ after, end }: EngineGroup): void => {
  if (end.lsn <= after.lsn || end.epoch < after.epoch)
    throw invalidArgument('end', 'a position after `after`', { after, end })
}

/** Refuses to read frames that were trimmed. @throws KeelsonError `BAD_CURSOR` */
export const refuseTrimmed = (after: number, trimmed: number): void => {
  if (after >= trimmed) return
  throw new KeelsonError('BAD_CURSOR', `the log was trimmed up to lsn ${trimmed}`, {
    details: { after, trimmed },
  })
}

/** How often a member that waits for a change looks, in ms. */
const lookMs = 100

/**
 * Looks again and again until `hasMoved` says so, or the signal aborts, for engines that announce no
 * change. A look that fails is no change: who waits has a time for that.
 */
export const untilLooked = async (
  hasMoved: () => Promise<boolean>,
  clock: Clock,
  signal?: AbortSignal,
): Promise<void> => {
  while (!signal?.aborted && !(await hasMoved().catch(() => false))) await lookPause(clock, signal)
}

/** Waits until it is time to look again, for engines that do not tell of changes. */
export const lookPause = (clock: Clock, signal?: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const cancel = clock.after(lookMs, () => end(), { holdsProcess: false })
    const end = (): void => {
      cancel()
      signal?.removeEventListener('abort', end)
      resolve()
    }
    signal?.addEventListener('abort', end)
    if (signal?.aborted) end()
  })
