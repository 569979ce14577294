/**
 * What one seed of the log's simulation is: of four seeds two are lives of a log on a disk that fails, fills up, tears and
 * loses what was not synced; one is a life of `keelson/wal` with several writers; one is a disk that betrays its log.
 */
import { harmOn } from '../support/harm/log-harm.ts'
import { liveOn } from '../support/lives/log-life.ts'
import type { Tally } from '../support/lives/seed-lives.ts'
import { liveAsWriters } from '../support/lives/wal-seeds.ts'

/**
 * Lives the life of `seed`. The names of what it counts say in which kind of life it happened. Rejects with the seed in the
 * message when the log breaks a promise.
 */
export const liveSeed = async (seed: number): Promise<Tally> => {
  if (seed % 4 === 2) return counted('writers', await liveAsWriters(seed))
  if (seed % 4 === 3) return counted('betrayal', harmOn(seed))
  // Half of the lives of a log commit to their groups.
  const { seed: _, ...story } = liveOn(seed, 60, seed % 4 === 1)
  return counted('log', story)
}

const counted = (kind: string, story: Record<string, number>): Tally => ({
  lives: 1,
  ...Object.fromEntries(
    Object.entries({ lives: 1, ...story }).map(([name, count]) => [`${kind}.${name}`, count]),
  ),
})
