/** The troubles of all members, as one of them knows them by their last reports. Pure. */
import type { Health } from '../../supervisors/index.ts'
import { dated, type FirstSeen } from './first-seen.ts'
import { foldedTroubles } from './folded-troubles.ts'
import { troubleKinds } from './trouble-kinds.ts'
import {
  type CausedTrouble,
  eachTrouble,
  fullDiskTroubles,
  type JudgedFacts,
  readTroubles,
  type Trouble,
  worstFirst,
} from './troubles.ts'

/**
 * The troubles here, and those of the other members with their names, the critical ones first. One
 * that this member sees itself is named once.
 */
export const troublesOfAll = (
  facts: JudgedFacts & { readonly seen: FirstSeen },
): readonly Trouble[] => {
  const { health, now, seen } = facts
  // Members share a folder, and so its disk.
  const judged = eachTrouble({ health: { ...health, fullDisk: diskOfAll(health) }, now })
  const own = dated(judged, seen.get(''))
  const named = new Set(own.map(titleOf))
  const others = health.members
    .flatMap((each) => dated(reportedTroubles(each, now), seen.get(each.member)))
    // The unnamed ones are others at each member.
    .filter((each) => each.isRest || !named.has(titleOf(each)))
  const here = nameOf(health)
  const all = [...own.map((each) => ({ ...each, member: here })), ...others]
  const folded = foldedTroubles(all).map(({ member, ...each }) => ({
    ...each,
    ...(member !== undefined && member !== here && { member }),
  }))
  return worstFirst(folded)
}

/** The name of the member whose health it is: of the shards that it has it is the owner. */
const nameOf = ({ shards }: Health): string =>
  shards.find(({ phase, member }) => phase !== 'elsewhere' && member !== undefined)?.member ??
  'this one'

type FullDisk = NonNullable<Health['fullDisk']>

/** The full disk with the shards of all members that it stops. */
const diskOfAll = ({ fullDisk, members }: Health): FullDisk | undefined => {
  const all = [fullDisk, ...members.map(({ report }) => report?.health.fullDisk)].filter(
    (each) => each !== undefined,
  )
  const [first] = all
  if (!first || all.length === 1) return first
  const joined = (of: (disk: FullDisk) => readonly number[]): readonly number[] =>
    [...new Set(all.flatMap(of))].sort((one, other) => one - other)
  return {
    since: Math.min(...all.map(({ since }) => since)),
    reason: first.reason,
    writes: joined(({ writes }) => writes),
    snapshots: joined(({ snapshots }) => snapshots),
    projections: joined(({ projections }) => projections),
  }
}

const titleOf = ({ kind, subject }: Trouble): string => `${kind}: ${subject}`

/** A report that is older says so, in ms. */
const oldMs = 2_000

const reportedTroubles = (
  { member, report }: Health['members'][number],
  now: number,
): readonly CausedTrouble[] => {
  if (!report) return []
  const found = readTroubles(report.health, now)
  if (!found) {
    // A member of another version reports otherwise. Its own page and prompt judge it.
    const text = 'its report cannot be read here: it may have another version; ask it itself'
    const kind = 'member silent'
    const { severity, alert } = troubleKinds[kind]
    return [{ severity, kind, alert, subject: `member ${member}`, text }]
  }
  const disk = fullDiskTroubles(report.health)[0]
  const isOfDisk = (each: Trouble): boolean => disk !== undefined && titleOf(each) === titleOf(disk)
  const asOf = report.ageMs >= oldMs ? { asOf: now - report.ageMs } : {}
  return found.filter((each) => !isOfDisk(each)).map((each) => ({ ...each, member, ...asOf }))
}
