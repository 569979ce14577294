/**
 * Maps a whole segment: the runs of valid frames, and the damaged places between them. After damage
 * it continues by the length of a valid header, or else by a search at every place where a frame
 * may begin. It reports what is where; `log-verification.ts` judges it. Memory grows with the
 * damage, never with the file.
 */

import { viewedBytes } from '../../bytes/u64.ts'
import type { KeelsonError } from '../../errors.ts'
import { frameFault } from '../commands/command-decoding.ts'
import {
  type FrameHeader,
  frameBytes,
  frameHeaderBytes,
  frameTypes,
  provenBy,
  readFrameHeader,
  roundUp,
} from '../frames/frame.ts'
import {
  addFrame,
  FrameCursor,
  type FrameEnd,
  noSums,
  type SegmentFacts,
} from '../frames/frame-cursor.ts'
import { decodeLost, type LsnRange } from '../frames/lost-frame.ts'
import type { DiskFile } from '../ports/disk.ts'
import { finish } from '../ports/steps.ts'
import {
  behindDamagedHeaders,
  examineTail,
  findFrame,
  type Patience,
  provenAstray,
} from './frame-search.ts'
import { type BadPayload, believed, type FrameRun, type Stretch } from './segment-stretches.ts'

/** A place without the valid frame that should be there. */
export type Hole = {
  readonly offset: number
  /** The start of the next good frame, or the end of the search. */
  readonly end: number
  /**
   * The last LSN before it and the first after it. Without `nextLsn` no frame of this segment
   * follows.
   */
  readonly lastLsn: number
  readonly nextLsn?: number
  /**
   * `payload`: the header is valid, its payload is not. `zeros`: it reads as zeros. `link`: the
   * next frame names another predecessor.
   */
  readonly kind: 'payload' | 'units' | 'zeros' | 'bytes' | 'link'
  /** For `units`: why they cannot be read. */
  readonly error?: KeelsonError
}

/** A frame that only a newer version can read. */
export type UnreadableFrame = {
  readonly offset: number
  readonly lsn: number
  readonly type: number
  readonly typeVersion: number
}

/** The content of a segment. */
export type SegmentMap = {
  readonly runs: readonly FrameRun[]
  /**
   * The holes between and after the runs. A hole after the last run is listed only if bytes other
   * than zero follow.
   */
  readonly holes: readonly Hole[]
  readonly unreadable: readonly UnreadableFrame[]
  /** LSNs that an earlier salvage recorded as lost. */
  readonly lostBefore: readonly LsnRange[]
  /** The greatest LSN that any header here, trusted or not, proves to have been durable. */
  readonly provenLsn: number
  readonly checkpointLsn: number
  readonly lastTime: number
  /** The end of the last run, or the start without a run. */
  readonly end: FrameEnd
  /** The last frame is a SEAL or CLEAN_CLOSE that names its own place. */
  readonly mark: 'none' | 'seal' | 'closed'
  /** The offset after the last byte other than zero, at least that of `end`. */
  readonly usedEnd: number
}

/** The map of a segment that begins at `start` and of which nothing is known. */
export const emptyMap = (start: FrameEnd): SegmentMap => ({
  runs: [],
  holes: [],
  unreadable: [],
  lostBefore: [],
  provenLsn: 0,
  checkpointLsn: 0,
  lastTime: 0,
  end: start,
  mark: 'none',
  usedEnd: start.offset,
})

/** The bytes of frames between two pauses. */
const pauseBytes = 4 * 1024 * 1024

type Walk = {
  readonly file: DiskFile
  readonly facts: SegmentFacts
  readonly limit: number
  readonly stretches: Stretch[]
  readonly unreadable: UnreadableFrame[]
  readonly patience: Patience
  readonly unitsFrom: number
  provenLsn: number
}

/** For each segment, this much plus its own length may be checksummed for wrong lengths. */
const patienceBytes = 64 * 1024 * 1024

/**
 * Maps the frames from `start` to `limit`. DATA frames from the LSN `unitsFrom` on must have units
 * that can be read. Yields the bytes done since the last pause. @throws DiskError
 */
export function* mapSegment(
  file: DiskFile,
  facts: SegmentFacts,
  start: FrameEnd,
  limit: number,
  unitsFrom = Number.POSITIVE_INFINITY,
): Generator<number, SegmentMap> {
  const walk = walkOf(file, facts, limit, unitsFrom)
  const { patience } = walk
  let from = start
  let isLinked = true
  let known = start
  for (;;) {
    const stretch = yield* walkStretch(walk, from, isLinked)
    walk.stretches.push(stretch)
    if (isLinked) known = stretch.to
    const offset = behindDamagedHeaders(file, facts, stretch.to.offset, limit, patience)
    const found = yield* findFrame(file, facts, { offset, known, limit })
    const astray = provenAstray(file, facts, stretch.to)
    walk.provenLsn = Math.max(walk.provenLsn, found.provenLsn, astray)
    const zeros = found.startsWithZeros && offset === stretch.to.offset
    stretch.gap = { zeros, usedEnd: found.usedEnd }
    if (!found.frame) break
    from = found.frame
    isLinked = false
  }
  return summary(walk, start)
}

const walkOf = (file: DiskFile, facts: SegmentFacts, limit: number, unitsFrom: number): Walk => {
  const patience = { bytes: patienceBytes + limit }
  return { file, facts, limit, stretches: [], unreadable: [], patience, unitsFrom, provenLsn: 0 }
}

/**
 * Maps up to the first damage, which an opening refuses or cuts. With `hasTail` the bytes after it
 * are examined for proofs, as those of the newest segment. @throws DiskError
 */
export const mapStart = (
  file: DiskFile,
  facts: SegmentFacts,
  start: FrameEnd,
  limit: number,
  { unitsFrom, hasTail }: { readonly unitsFrom: number; readonly hasTail: boolean },
): SegmentMap => {
  const walk = walkOf(file, facts, limit, unitsFrom)
  const run = finish(walkRun(walk, start))
  const { fault } = run
  const end = fault?.after ?? run.to
  const next = run.isUnreadable ? chainedHeader(file, facts, run.to, limit) : undefined
  const tail = hasTail && !fault ? examineTail(file, facts, end, limit) : undefined
  const isRun = run.frames > 0
  return {
    runs: isRun ? [run] : [],
    end,
    mark: fault ? 'none' : run.mark,
    holes: fault ? [{ ...fault, lastLsn: fault.lsn - 1, kind: 'units' }] : [],
    unreadable: next ? [{ ...next.header, offset: next.offset }] : [],
    lostBefore: run.lostBefore,
    provenLsn: Math.max(walk.provenLsn, tail?.provenLsn ?? 0),
    checkpointLsn: run.checkpointLsn,
    lastTime: run.lastTime,
    usedEnd: tail?.usedEnd ?? end.offset,
  }
}

/**
 * The stretch from `from` on: runs, and frames with bad payloads whose headers continue the chain.
 */
function* walkStretch(walk: Walk, from: FrameEnd, isLinked: boolean): Generator<number, Stretch> {
  const { file, facts, limit } = walk
  const stretch: Stretch = { from, to: from, whole: from, isLinked, frames: 0, runs: [], bad: [] }
  for (let at: FrameEnd | undefined = from; at; ) {
    const run = yield* walkRun(walk, at)
    if (run.frames > 0) stretch.runs.push(run)
    stretch.frames += run.frames
    stretch.to = run.to
    if (run.frames > 0) stretch.whole = run.to
    if (run.fault) {
      stretch.bad.push(run.fault)
      stretch.to = run.fault.after
      stretch.whole = stretch.to
      at = stretch.to
      continue
    }
    const next = chainedHeader(file, facts, run.to, limit)
    if (!next) return stretch
    const end = next.offset + frameBytes(next.header.payloadBytes)
    walk.provenLsn = Math.max(walk.provenLsn, provenBy(next.header))
    if (run.isUnreadable) walk.unreadable.push({ ...next.header, offset: next.offset })
    else stretch.bad.push({ offset: next.offset, end: Math.min(end, limit), lsn: next.header.lsn })
    stretch.to = { offset: Math.min(end, limit), lsn: next.header.lsn, crc: next.header.headerCrc }
    at = end <= limit ? stretch.to : undefined
  }
  return stretch
}

/** A valid frame whose units cannot be read, and the place after it. */
type UnitFault = BadPayload & { readonly after: FrameEnd }

type WalkedRun = FrameRun & { readonly isUnreadable: boolean; readonly fault?: UnitFault }

function* walkRun(walk: Walk, from: FrameEnd): Generator<number, WalkedRun> {
  const cursor = new FrameCursor(walk.file, walk.facts, from, walk.limit)
  const sums = newSums()
  let paused = from.offset
  let to = from
  let fault: UnitFault | undefined
  for (let frame = cursor.next(); frame; frame = cursor.next()) {
    if (frame.lsn >= walk.unitsFrom) {
      fault = unitFault(cursor, frame)
      if (fault) {
        to = { offset: cursor.frameOffset, lsn: frame.lsn - 1, crc: frame.prevCrc }
        break
      }
    }
    addTo(sums, cursor, frame)
    if (cursor.frameOffset - paused < pauseBytes) continue
    yield cursor.frameOffset - paused
    paused = cursor.frameOffset
  }
  yield cursor.end.offset - paused
  if (!fault) to = cursor.end
  // A valid frame was written and is lost: an opening refuses it and does not cut it.
  walk.provenLsn = Math.max(walk.provenLsn, sums.provenLsn, fault?.lsn ?? 0)
  const isUnreadable = !fault && cursor.stop === 'unsupported'
  return { from, to, ...sums, isUnreadable, ...(fault ? { fault } : {}) }
}

const unitFault = (cursor: FrameCursor, frame: FrameHeader): UnitFault | undefined => {
  if (frame.type !== frameTypes.data) return undefined
  const error = frameFault(cursor.payloadBytes(frame))
  if (error === undefined) return undefined
  const after = cursor.end
  return { offset: cursor.frameOffset, end: after.offset, lsn: frame.lsn, error, after }
}

const newSums = () => ({ ...noSums(), frames: 0, dataFrames: 0, lostBefore: [] as LsnRange[] })

const addTo = (sums: ReturnType<typeof newSums>, cursor: FrameCursor, frame: FrameHeader): void => {
  addFrame(sums, cursor, frame)
  sums.frames++
  if (frame.type === frameTypes.data) sums.dataFrames++
  if (frame.type !== frameTypes.lost) return
  const range = decodeLost(cursor.payloadBytes(frame))
  if (range) sums.lostBefore.push(range)
}

/**
 * The header of the frame after `last`, if it is valid and names its predecessor, whatever its
 * payload.
 */
const chainedHeader = (
  file: DiskFile,
  { salt, sectorBytes, payloadMax }: SegmentFacts,
  last: FrameEnd,
  limit: number,
): { readonly offset: number; readonly header: FrameHeader } | undefined => {
  const buffer = viewedBytes(new Uint8Array(frameHeaderBytes))
  for (const offset of new Set([last.offset, roundUp(last.offset, sectorBytes)])) {
    if (offset + frameHeaderBytes > limit) continue
    if (file.read(buffer.bytes, offset) < frameHeaderBytes) continue
    const header = readFrameHeader(buffer, 0, salt)
    if (!header || header.lsn !== last.lsn + 1 || header.prevCrc !== last.crc) continue
    if (header.payloadBytes <= payloadMax) return { offset, header }
  }
  return undefined
}

const summary = (walk: Walk, start: FrameEnd): SegmentMap => {
  const kept = believed(walk.stretches)
  const runs = kept.flatMap((stretch) => stretch.runs)
  const last = runs.at(-1)
  const end = kept.at(-1)?.whole ?? start
  const usedEnd = walk.stretches.at(-1)?.gap?.usedEnd ?? end.offset
  const keptUnreadable = walk.unreadable.filter(({ lsn, offset }) =>
    kept.some(({ from, to }) => from.offset <= offset && offset < to.offset && lsn <= to.lsn),
  )
  return {
    runs,
    holes: holesOf(kept, usedEnd, walk.limit),
    unreadable: keptUnreadable,
    lostBefore: runs.flatMap(({ lostBefore }) => lostBefore),
    provenLsn: walk.provenLsn,
    checkpointLsn: runs.reduce((most, run) => Math.max(most, run.checkpointLsn), 0),
    lastTime: runs.reduce((most, run) => Math.max(most, run.lastTime), 0),
    end,
    mark: last && last.to.lsn === end.lsn ? last.mark : 'none',
    usedEnd: Math.max(usedEnd, end.offset),
  }
}

const holesOf = (kept: readonly Stretch[], usedEnd: number, limit: number): Hole[] =>
  kept.flatMap((stretch, index) => {
    const next = kept[index + 1]
    return [...holesWithin(stretch, next), ...holeBehind(stretch, next, Math.min(usedEnd, limit))]
  })

const holesWithin = ({ bad, to }: Stretch, next: Stretch | undefined): Hole[] =>
  bad.map(({ offset, end, lsn, error }) => {
    const nextLsn = to.lsn > lsn ? lsn + 1 : next && next.from.lsn + 1
    const kind = error === undefined ? 'payload' : 'units'
    const hole = { offset, end, lastLsn: lsn - 1, kind, ...(error && { error }) } as const
    return nextLsn === undefined ? hole : { ...hole, nextLsn }
  })

const holeBehind = ({ to, gap }: Stretch, next: Stretch | undefined, usedEnd: number): Hole[] => {
  const bytes = gap?.zeros ? 'zeros' : 'bytes'
  if (!next)
    return usedEnd > to.offset
      ? [{ offset: to.offset, end: usedEnd, lastLsn: to.lsn, kind: bytes }]
      : []
  const nextLsn = next.from.lsn + 1
  const kind = nextLsn === to.lsn + 1 ? 'link' : bytes
  return [{ offset: to.offset, end: next.from.offset, lastLsn: to.lsn, nextLsn, kind }]
}
