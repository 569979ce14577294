/**
 * The health of the members that share a folder. Its own health has what its links show of the
 * others; `healthOfAll` asks each of them for theirs, so that nothing is sent while nobody
 * asks. It is apart from `health.ts`, because an instance without members has none.
 */
import type { OwnersWay } from '../../actors/index.ts'
import { reasonText } from '../../errors.ts'
import type { Health, HealthParts, MemberStatus, ShardHealth } from './health.ts'

/** A member, with what it has answered. */
export type MemberHealth = MemberStatus & {
  /** When it started, in ms since 1970; `undefined`: it has not answered. */
  readonly since: number | undefined
  /** Its own health; `undefined`: it has not answered. */
  readonly health: Health | undefined
  /** Why it has not answered. */
  readonly reason: string | undefined
}

/** The health of all members that share a folder. */
export type HealthOfAll = {
  /** In the order of their names. None without members. */
  readonly members: readonly MemberHealth[]
  /** Each shard as its owner says; one whose owner has not answered is `elsewhere`. */
  readonly shards: readonly ShardHealth[]
}

/** The answer of a member about itself. */
type Answered = { readonly since: number; readonly health: Health }

const question = 'health'

/** Tells the other members how this one is, when they ask. */
export const answerHealth = (
  way: OwnersWay,
  { since }: { readonly since: number },
  own: () => Health,
): void => way.answer(question, (): Answered => ({ since, health: own() }))

/** The health of all members. A member that does not answer within the time is named. */
export const healthOfAll = async (
  { questions: way, since }: HealthParts & { readonly since: number },
  own: Health,
  timeoutMs: number,
): Promise<HealthOfAll> => {
  if (!way) return { members: [], shards: own.shards }
  const members = await Promise.all(
    own.members.map(async (status): Promise<MemberHealth> => {
      const { member } = status
      const here = { since, health: own, reason: undefined }
      if (member === way.member) return { ...status, ...here }
      try {
        const found = (await way.askMember(member, question, null, timeoutMs)) as Answered
        return { ...status, ...found, reason: undefined }
      } catch (error) {
        return { ...status, since: undefined, health: undefined, reason: reasonText(error) }
      }
    }),
  )
  const shards = own.shards.map((here) => {
    const found = members.map(({ health }) => health?.shards[here.shard])
    return found.find((each) => each !== undefined && each.phase !== 'elsewhere') ?? here
  })
  return { members, shards }
}
