/**
 * The entries of a cluster's directory, beside the leases: the terms of all members, who is
 * asked to leave, and which shards have lost acknowledged writes. Pure.
 */
import { KeelsonError } from '../../errors.ts'
import { type DirectoryView, entryIn, type LossProof } from '../../storage/index.ts'
import { type Lease, leaseIn, memberNames, type Owner, ownerIn } from './member-lease.ts'

export { entryText } from '../../storage/index.ts'

/** The entry that the first member makes. */
export const instanceEntry = 'instance'

/** The entry that a folder is on its way into the cluster. Without terms no member may begin. */
export const movingEntry = 'moving'

/** The refusal to begin a cluster that gets the logs of a folder. */
export const beingMoved = (): KeelsonError =>
  new KeelsonError(
    'CONFLICT',
    'the cluster gets the logs of a folder: wait for `keelson cluster create --from`, or repeat it if it was interrupted',
  )

/** The terms that all members have in common. */
export type ClusterTerms = {
  readonly shards: number
  /** How many machines must have what is acknowledged. */
  readonly copies: number
  /** How often an operator has accepted a loss. Caches that were filled before are filled again. */
  readonly losses: number
  /** Each shard has an owner. Absent: one member has all of them. */
  readonly placement?: 'spread'
}

/** A request to leave, to one start of a member. */
export type Drain = { readonly incarnation: string }

/** The entry that asks a member to leave. */
export const drainEntry = (member: string): string => `drain/${member}`

/** The entry that says that a shard has lost acknowledged writes (invariant M7). */
export const lostEntry = (shard: number): string => `lost/${shard}`

/**
 * The entry that one member has read damage in a shard's log. What that member reads may be wrong, so
 * the next owner judges it (`loss-witness.ts`), and marks the loss or removes this entry.
 */
export const doubtEntry = (shard: number): string => `doubt/${shard}`

/** A loss, as the member that has found it describes it. */
export type Loss = {
  readonly shard: number
  readonly member: string
  readonly message: string
  /** When it was found, in ms since 1970. */
  readonly at: number
}

/** Damage that one member has read. */
export type Doubt = Loss & {
  /** What its cache shows of the log. Another cache may not have it. */
  readonly proof?: LossProof
}

/** A member, as the directory shows it. */
export type MemberEntry = Lease & {
  readonly member: string
  readonly revision: number
  /** It is asked to leave. */
  readonly isLeaving: boolean
}

/** The facts that a view of the directory shows. */
export type DirectoryFacts = {
  /** `undefined`: no member has begun. */
  readonly terms: ClusterTerms | undefined
  /** The logs of a folder are on their way into the cluster. */
  readonly isMoving: boolean
  readonly owner: Owner | undefined
  readonly members: readonly MemberEntry[]
  readonly losses: readonly Loss[]
  readonly doubts: readonly Doubt[]
}

/** Reads a view. @throws KeelsonError `CORRUPT` for entries that no member has written */
export const factsIn = (view: DirectoryView): DirectoryFacts => {
  const { entries } = view
  const terms = entryIn<ClusterTerms>(view, instanceEntry)
  const ofShards = <T extends Loss>(prefix: string): readonly T[] =>
    [...entries.keys()]
      .filter((name) => name.startsWith(prefix))
      .flatMap((name) => entryIn<T>(view, name) ?? [])
      .toSorted((one, other) => one.shard - other.shard)
  return {
    terms,
    isMoving: !terms && entries.has(movingEntry),
    owner: ownerIn(view),
    members: memberNames(view).flatMap((member) => {
      const lease = leaseIn(view, member)
      const revision = entries.get(`member/${member}`)?.revision ?? 0
      const asked = entryIn<Drain>(view, drainEntry(member))
      const isLeaving = asked !== undefined && asked.incarnation === lease?.incarnation
      return lease ? [{ ...lease, member, revision, isLeaving }] : []
    }),
    losses: ofShards<Loss>('lost/'),
    doubts: ofShards<Doubt>('doubt/'),
  }
}
