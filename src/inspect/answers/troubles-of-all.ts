/** The troubles of all members, as one of them knows them by their last reports. Pure. */
import type { Health } from '../../supervisors/index.ts'
import { troubleKinds } from './trouble-kinds.ts'
import { type JudgedFacts, type Trouble, troublesOf, worstFirst } from './troubles.ts'

/**
 * The troubles here, and those of the other members with their names, the critical ones first. One
 * that this member sees itself, such as a shard that nobody has, is named once.
 */
export const troublesOfAll = (facts: JudgedFacts): readonly Trouble[] => {
  const own = troublesOf(facts)
  const named = new Set(own.map(titleOf))
  const others = facts.health.members
    .flatMap((each) => reportedTroubles(each, facts.now))
    .filter((each) => !named.has(titleOf(each)))
  return worstFirst([...own, ...others])
}

const titleOf = ({ kind, subject }: Trouble): string => `${kind}: ${subject}`

const reportedTroubles = (
  { member, report }: Health['members'][number],
  now: number,
): readonly Trouble[] => {
  if (!report) return []
  try {
    const found = troublesOf({ health: report.health, now })
    return found.map((each) => ({ ...each, member }))
  } catch {
    // A member of another version reports otherwise. Its own page and prompt judge it.
    const text = 'its report cannot be read here: it may have another version; ask it itself'
    const kind = 'member away'
    const { severity, alert } = troubleKinds[kind]
    return [{ severity, kind, alert, subject: `member ${member}`, text }]
  }
}
