/**
 * The draws of a power cut. Independent draws for each sector would almost never keep all, lose
 * all, or leave a plain torn tail, which is what disks leave most often. So a mood is drawn for
 * each file, and its sectors follow the mood.
 */
import type { CrashDraw, SectorFate } from './simulated-file.ts'

/** The outcome of a power cut for unsynced changes: drawn from the seed, all kept, or all lost. */
export type Unsynced = 'seeded' | 'kept' | 'lost'

/** The decisions of one power cut. */
export type CrashDraws = {
  /** Whether the next unsynced change of a name was kept. */
  readonly nameKept: () => boolean
  /** The decisions about the next file. */
  readonly file: () => CrashDraw
}

/** How often a sector is kept, lost, torn, and garbage otherwise. */
type Mood = readonly [kept: number, lost: number, torn: number]

const moods: readonly Mood[] = [
  [1, 0, 0],
  [0, 1, 0],
  [0.5, 0.5, 0],
  [0.25, 0.25, 0.25],
  [0.9, 0.04, 0.03],
  [0.04, 0.9, 0.03],
]

/**
 * Draws the decisions of one power cut from `random`. `stale` fills a sector with other bytes of
 * the disk.
 */
export const crashDraws = (
  random: () => number,
  unsynced: Unsynced,
  stale: (into: Uint8Array) => void,
): CrashDraws => {
  const below = (limit: number): number => Math.floor(random() * limit)
  if (unsynced !== 'seeded') return extreme(unsynced, stale)
  const namesKept = [0, 0.5, 0.9, 1][below(4)] ?? 1
  return {
    nameKept: () => random() < namesKept,
    file: () => ({
      fate: fates(random, below),
      sizesKept: (count) => [0, count, below(count + 1)][below(3)] ?? 0,
      below,
      garbage: (into) => fillGarbage(into, below, stale),
    }),
  }
}

const extreme = (unsynced: 'kept' | 'lost', stale: (into: Uint8Array) => void): CrashDraws => ({
  nameKept: () => unsynced === 'kept',
  file: () => ({
    fate: () => unsynced,
    sizesKept: (count) => (unsynced === 'kept' ? count : 0),
    // The newest content of a sector, when it was written more than once.
    below: (limit) => limit - 1,
    garbage: stale,
  }),
})

const fates = (random: () => number, below: (limit: number) => number): CrashDraw['fate'] => {
  const mood = moods[below(moods.length + 1)]
  const tail = random()
  if (!mood) return (index, count) => tornTail(index, Math.floor(tail * (count + 1)))
  return () => {
    const drawn = random()
    const [kept, lost, torn] = mood
    if (drawn < kept) return 'kept'
    if (drawn < kept + lost) return 'lost'
    return drawn < kept + lost + torn ? 'torn' : 'garbage'
  }
}

/** Sectors reach the disk in order, up to the sector `end`, which is torn. */
const tornTail = (index: number, end: number): SectorFate => {
  if (index === end) return 'torn'
  return index < end ? 'kept' : 'lost'
}

const fillGarbage = (
  into: Uint8Array,
  below: (limit: number) => number,
  stale: (into: Uint8Array) => void,
): void => {
  const kind = below(3)
  if (kind === 0) into.fill(0)
  else if (kind === 1) stale(into)
  else for (let at = 0; at < into.length; at++) into[at] = below(256)
}
