/**
 * The meaning of a log's head for a member that begins with it: the base of its rows, or why it must
 * not go on. The projection is a cache: one of another log is rebuilt. One that shows frames that
 * this log does not have proves that the engine lost acknowledged groups. Pure.
 */

import { KeelsonError } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import {
  type EngineHead,
  type EnginePosition,
  type Evidence,
  type FrameMark,
  type Inspection,
  isSamePosition,
  type LogNeeds,
  type LossProof,
  type NamedSnapshot,
  namesSnapshot,
  type ProjectedPosition,
  type RowBase,
} from '../../storage/index.ts'
import { plainText } from '../../value-text.ts'
import type { NotedEnd } from './end-note.ts'
import { namedIn } from './snapshot-names.ts'

/** The knowledge of a member that inspects a log. */
export type Knowledge = {
  readonly evidence: readonly Evidence[]
  readonly needs: LogNeeds | undefined
  /** The end that an earlier owner noted in this cache. */
  readonly noted?: NotedEnd | undefined
  /** The features of logs that this build reads, as bits. */
  readonly reads: number
}

/** Nothing is cut from a shared log: a group is there whole, or not at all. */
const sound = { tail: 'clean', cutBytes: 0 } as const

/**
 * The inspection of a log. `shownMark`: the mark of the log at the position that the projection
 * shows; `notedThere`: the end of the group at the noted LSN; absent if the log does not have it.
 * @throws KeelsonError `CORRUPT`, `UNSUPPORTED_VERSION`
 */
export const inspectionOf = (
  head: EngineHead,
  knowledge: Knowledge,
  shownMark: FrameMark | undefined,
  notedThere?: EnginePosition,
): Inspection => {
  const { needs, noted, reads } = knowledge
  const { logId, end, trimmed, features } = head
  refuseOdd(head)
  if ((features & ~reads) !== 0)
    throw new KeelsonError('UNSUPPORTED_VERSION', 'a newer version writes the log', {
      details: { features },
    })
  const snapshots = namedIn(head.snapshots)
  // The owner always leaves the last group.
  if (end.lsn > 0 && trimmed.lsn >= end.lsn)
    throw damaged(end.lsn, `the log ends there, and was trimmed up to lsn ${trimmed.lsn}`)
  const shown = needs?.shown?.walId === logId ? needs.shown : undefined
  const isOther = needs?.shown !== undefined && shown === undefined
  // Another log may be meant. One that nobody has ever owned may not.
  const isOwn = (walId?: string) => end.lsn === 0 || walId === undefined || walId === logId
  for (const { lsn, walId, source, byCaller = false } of evidenceIn(knowledge))
    if (lsn > end.lsn && isOwn(walId))
      throw damaged(
        lsn,
        `${source} proves it, and the log ends with lsn ${end.lsn}`,
        // The caller's own number may be wrong. A loss would stop all members.
        { isLoss: !byCaller, proof: { lsn, ...(walId !== undefined && { walId }) } },
      )
  if (shown) refuseLost(shown, head, shownMark)
  if (noted && notedThere && !isSamePosition(noted, notedThere))
    throw damaged(noted.lsn, 'the note of its end in the cache names another group there', {
      proof: { lsn: noted.lsn, walId: noted.logId, end: positionOf(noted) },
    })
  return {
    exists: true,
    walId: logId,
    epoch: end.epoch,
    hasFrames: end.lsn > 0,
    firstLsn: trimmed.lsn + 1,
    lastLsn: end.lsn,
    provenLsn: end.lsn,
    ...sound,
    snapshots,
    remarks: isOther ? [otherLog] : [],
    ...(isOther && { showsOther: true }),
    ...(needs?.base && { base: baseOf(trimmed.lsn, snapshots, shown, needs.base.damaged) }),
    plan: head,
  }
}

/** A library that a member shares with an application may read columns as other types. @throws `CORRUPT` */
const refuseOdd = ({ logId, end, trimmed, features }: EngineHead): void => {
  const refuse = (what: string, found: unknown): never => {
    throw damaged(1, `${what} is ${plainText(found, 100)}, which none can be`)
  }
  if (typeof logId !== 'string' || !/^[0-9a-f]{32}$/.test(logId)) refuse('its id', logId)
  const counts = { epoch: end.epoch, end: end.lsn, 'trimmed end': trimmed.lsn, features }
  for (const [what, found] of Object.entries(counts))
    if (!Number.isSafeInteger(found) || found < 0) refuse(`its ${what}`, found)
  if (typeof end.id !== 'string') refuse('the id of its end', end.id)
  if (typeof trimmed.mark !== 'string') refuse('its mark', trimmed.mark)
}

const positionOf = ({ epoch, lsn, id }: NotedEnd): EnginePosition => ({ epoch, lsn, id })

/** A note is evidence as a projection is. */
const evidenceIn = ({ evidence, noted }: Knowledge): readonly Evidence[] =>
  noted
    ? [
        ...evidence,
        { lsn: noted.lsn, walId: noted.logId, source: 'the note of its end in the cache' },
      ]
    : evidence

const otherLog = 'the projection shows another log, and is rebuilt'

/** Refuses a log that is not the one that the projection was built from. @throws `CORRUPT` */
const refuseLost = (
  { walId, lsn, frame }: ProjectedPosition,
  { end }: EngineHead,
  found: FrameMark | undefined,
): void => {
  const proof: LossProof = { walId, lsn, ...(frame && { frame }) }
  if (lsn > end.lsn)
    throw damaged(lsn, `the projection shows it, and the log ends with lsn ${end.lsn}`, { proof })
  if (frame && found && (frame.time !== found.time || frame.crc !== found.crc))
    throw damaged(lsn, 'the projection shows another frame there', { proof })
}

const baseOf = (
  trimmedLsn: number,
  snapshots: readonly NamedSnapshot[],
  shown: ProjectedPosition | undefined,
  unusable: readonly NamedSnapshot[],
): RowBase => {
  if (shown && shown.lsn >= trimmedLsn) return { kind: 'projection' }
  const snapshot = snapshots.findLast(
    (each) => each.lsn >= trimmedLsn && !namesSnapshot(unusable, each),
  )
  if (snapshot) return { kind: 'snapshot', snapshot }
  if (trimmedLsn === 0) return { kind: 'log' }
  const evidence = `the log begins with lsn ${trimmedLsn + 1}, and no snapshot has what was before`
  throw damaged(1, evidence)
}

/** `proof`: what the cache shows, for another member that judges the damage. */
const damaged = (
  lsn: number,
  evidence: string,
  more: { readonly isLoss?: boolean; readonly proof?: LossProof } = noOptions,
): KeelsonError =>
  new KeelsonError('CORRUPT', `the log in the engine lost lsn ${lsn}: ${evidence}`, {
    details: { lsn, evidence, isLoss: true, ...more },
  })

/** The engine has lost a whole log. */
export const lostLog = (cause: KeelsonError): KeelsonError =>
  new KeelsonError('CORRUPT', 'the engine has lost the log', {
    details: { lsn: 1, evidence: cause.message, isLoss: true },
    cause,
  })

/** The mark of a frame as text, in the head of a trimmed log; empty without a frame. */
export const markText = (mark: FrameMark | undefined): string =>
  mark ? `${mark.time}-${mark.crc}` : ''

/** The mark of an LSN without a frame, in the first group of an owner. No frame has it. */
export const noFrame: FrameMark = { time: -1, crc: -1 }

/** The mark that a text has. */
export const markIn = (text: string): FrameMark => {
  const [time, crc] = text.split('-').map(Number)
  return time === undefined || crc === undefined ? noFrame : { time, crc }
}
