/**
 * The health of the members that share a folder, as each of them answers. It is apart from
 * `health.ts`, because an instance without members has none.
 */
import { reasonText } from '../../errors.ts'
import {
  type Health,
  type HealthParts,
  healthOf,
  type MemberStatus,
  type RunningBuild,
  type ShardHealth,
} from './health.ts'

/** A member, with what it has answered. */
export type MemberHealth = MemberStatus & {
  /** When it started, in ms since 1970; `undefined`: it has not answered. */
  readonly since: number | undefined
  /** The version of Keelson that it runs, and the name of its build, if it has one and has answered. */
  readonly version: string | undefined
  readonly build: string | undefined
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

const unknown = { since: undefined, version: undefined, build: undefined, health: undefined }

/** The health of all members. A member that does not answer within the time is named. */
export const healthOfAll = async (
  all: HealthParts & { readonly since: number; readonly runs: RunningBuild },
  timeoutMs: number,
): Promise<HealthOfAll> => {
  const { way, reports, since, runs } = all
  const own = healthOf(all)
  if (!way || !reports) return { members: [], shards: own.shards }
  const members = await Promise.all(
    own.members.map(async ({ member, linked, shards }): Promise<MemberHealth> => {
      const status = { member, linked, shards }
      if (member === way.member)
        return { ...status, ...runs, since, health: own, reason: undefined }
      try {
        const { version, build, ...answered } = await reports.ask(member, timeoutMs)
        return { ...status, ...answered, version, build, reason: undefined }
      } catch (error) {
        return { ...status, ...unknown, reason: reasonText(error) }
      }
    }),
  )
  const shards = own.shards.map((here) => {
    const found = members.map(({ health }) => health?.shards[here.shard])
    return found.find((each) => each !== undefined && each.phase !== 'elsewhere') ?? here
  })
  return { members, shards }
}
