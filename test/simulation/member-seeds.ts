/**
 * What one seed of the simulation of members is: of four seeds one is a life of whole members, and three are lives of their
 * leases and the hosts of their log, which are quicker.
 */
import { liveLeases } from '../support/lives/lease-life.ts'
import { liveMembers } from '../support/lives/member-life.ts'
import type { Tally } from '../support/lives/seed-lives.ts'

/** Lives the life of `seed`. Rejects with what was promised and did not hold. */
export const liveMemberSeed = async (seed: number): Promise<Tally> => {
  const isWhole = seed % 4 === 0
  const { lives: _, ...tally } = isWhole ? await liveMembers(seed) : await liveLeases(seed)
  const kind = isWhole ? 'members' : 'leases'
  const counted = Object.entries({ lives: 1, ...tally }).map(([what, count]) => [
    `${kind}.${what}`,
    count,
  ])
  return { lives: 1, ...Object.fromEntries(counted) }
}
