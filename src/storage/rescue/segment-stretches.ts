/**
 * Which of the stretches of frames found in a segment are the log, and which only look like it. A payload may hold bytes of
 * this very segment, a backup of the log for one; behind a damaged header its frames are found like any other. LSNs rise
 * with offsets in a segment, so stretches that cannot all be true are told apart by how much hangs together. Pure.
 */
import type { FrameEnd } from '../frames/frame-cursor.ts'
import type { LsnRange } from '../frames/lost-frame.ts'

/** Whole frames that follow one another. `from` is the place before the first; a cursor that starts there walks over them. */
export type FrameRun = {
  readonly from: FrameEnd
  readonly to: FrameEnd
  readonly frames: number
  readonly dataFrames: number
  readonly checkpointLsn: number
  readonly lastTime: number
  /** The last frame is SEAL or CLEAN_CLOSE, at the place that it names. */
  readonly mark: 'none' | 'seal' | 'closed'
  /** LSNs that an earlier salvage wrote down as lost. */
  readonly lostBefore: readonly LsnRange[]
}

/** A frame whose header is whole, and whose payload is not. */
export type BadPayload = {
  readonly offset: number
  readonly end: number
  readonly lsn: number
  /** Why the units of a payload that is whole cannot be read. */
  readonly why?: string
}

/** Runs that headers hold together, whatever became of payloads between them. */
export type Stretch = {
  readonly from: FrameEnd
  to: FrameEnd
  /** The end of the last frame that is whole, whether or not its units can be read. */
  whole: FrameEnd
  /** It hangs on the segment's header. */
  readonly isLinked: boolean
  frames: number
  readonly runs: FrameRun[]
  readonly bad: BadPayload[]
  /** What stands behind it: whether that begins with zeros, and where bytes other than zeros end. */
  gap?: { readonly zeros: boolean; readonly usedEnd: number }
}

/**
 * The stretches to believe, in order. All of them, unless their LSNs contradict each other: then those with the most
 * frames whose LSNs rise, and whatever hangs on the segment's header in any case.
 */
export const believed = (stretches: readonly Stretch[]): readonly Stretch[] => {
  const rises = stretches.every(
    ({ from }, index) => index === 0 || from.lsn >= (stretches[index - 1]?.to.lsn ?? 0),
  )
  return rises ? stretches : heaviest(stretches)
}

type Chain = { readonly weight: number; readonly before: number }

const heaviest = (stretches: readonly Stretch[]): Stretch[] => {
  const chains: Chain[] = []
  let best = -1
  for (const [index, stretch] of stretches.entries()) {
    let before = -1
    for (let earlier = 0; earlier < index; earlier++) {
      if ((stretches[earlier]?.to.lsn ?? 0) > stretch.from.lsn) continue
      if (weightOf(chains, earlier) > weightOf(chains, before)) before = earlier
    }
    const own = stretch.isLinked ? Number.MAX_SAFE_INTEGER / 2 : stretch.frames
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
