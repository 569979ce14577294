/**
 * Decides which stretches of frames in a segment belong to the log, and which only look like it. A
 * payload may hold bytes of this very segment, for example a backup of the log; after a damaged
 * header its frames are found like all others. LSNs increase with offsets in a segment. So among
 * stretches that contradict each other the longest sequence wins. Pure.
 */
import type { KeelsonError } from '../../errors.ts'
import type { FrameEnd } from '../frames/frame-cursor.ts'
import type { LsnRange } from '../frames/lost-frame.ts'

/**
 * Consecutive valid frames. `from` is the place before the first; a cursor that starts there
 * returns them.
 */
export type FrameRun = {
  readonly from: FrameEnd
  readonly to: FrameEnd
  readonly frames: number
  readonly dataFrames: number
  readonly checkpointLsn: number
  readonly lastTime: number
  /** The last frame is a SEAL or CLEAN_CLOSE that names its own place. */
  readonly mark: 'none' | 'seal' | 'closed'
  /** LSNs that an earlier salvage recorded as lost. */
  readonly lostBefore: readonly LsnRange[]
}

/** A frame with a valid header and an invalid payload. */
export type BadPayload = {
  readonly offset: number
  readonly end: number
  readonly lsn: number
  /** Why the units of a valid payload cannot be read. */
  readonly error?: KeelsonError
}

/** Runs that valid headers connect, whatever the payloads between them. */
export type Stretch = {
  readonly from: FrameEnd
  to: FrameEnd
  /** The end of the last valid frame, whether or not its units can be read. */
  whole: FrameEnd
  /** It is connected to the header of the segment. */
  readonly isLinked: boolean
  frames: number
  readonly runs: FrameRun[]
  readonly bad: BadPayload[]
  /** The gap after it: whether it begins with zeros, and where bytes other than zero end. */
  gap?: { readonly zeros: boolean; readonly usedEnd: number }
}

/**
 * The trusted stretches, in order. All of them, unless their LSNs contradict each other: then those
 * with the most frames in increasing order. A stretch that is connected to the segment's header is
 * always trusted.
 */
export const believed = (stretches: readonly Stretch[]): readonly Stretch[] => {
  const rises = stretches.every(
    ({ from }, index) => index === 0 || from.lsn >= (stretches[index - 1]?.to.lsn ?? 0),
  )
  return rises ? stretches : heaviest(stretches)
}

type Chain = { readonly weight: number; readonly before: number }

/** More than all frames of a file, and small enough that each frame still counts beside it. */
const linkedWeight = 2 ** 48

const heaviest = (stretches: readonly Stretch[]): Stretch[] => {
  const chains: Chain[] = []
  let best = -1
  for (const [index, stretch] of stretches.entries()) {
    let before = -1
    for (let earlier = 0; earlier < index; earlier++) {
      if ((stretches[earlier]?.to.lsn ?? 0) > stretch.from.lsn) continue
      if (weightOf(chains, earlier) > weightOf(chains, before)) before = earlier
    }
    const own = stretch.isLinked ? linkedWeight : stretch.frames
    chains.push({ weight: weightOf(chains, before) + own, before })
    if (weightOf(chains, index) > weightOf(chains, best)) best = index
  }
  const kept: Stretch[] = []
  for (let at = best; at >= 0; at = chains[at]?.before ?? -1) {
    const stretch = stretches[at]
    if (stretch) kept.unshift(stretch)
  }
  return kept
}

const weightOf = (chains: readonly Chain[], index: number): number => chains[index]?.weight ?? 0
