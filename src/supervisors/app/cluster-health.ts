/** A member in its cluster, as `app.health().cluster` and the event `cluster.phase` show it. */

/** The phase of a running member. */
export type MemberPhase = 'owner' | 'unsure' | 'ended'

/** The health of a member that runs the instance of a cluster. */
export type ClusterHealth = {
  readonly name: string
  readonly member: string
  /** Where the engine is, without a password. */
  readonly engine: string
  /** How many machines have what is acknowledged. */
  readonly copies: number
  /**
   * `unsure`: the lease is not renewed, and reads are refused. `ended`: another member may own the
   * instance, and this one ends.
   */
  readonly phase: MemberPhase
  /** When the phase began, in ms since 1970. */
  readonly since: number
  /** How many owners the instance has had, with this one. */
  readonly epoch: number
  readonly leaseMs: number
  /** How long the member may answer reads without a renewal, in ms. */
  readonly leftMs: number
  /**
   * The shards of other members that this one keeps in its cache, as it would own them next, and how
   * many of them lack at most 1 MiB of their logs. Present where the shards are spread.
   */
  readonly follows?: { readonly shards: number; readonly warm: number }
  /**
   * Why the engine did not answer the last request for the lease, or refused it: the missing setting,
   * for example. Absent after an answer.
   */
  readonly reason?: string
}

/** The events of a member. */
export interface ClusterEvents {
  /** The phase of this member has changed. */
  'cluster.phase': (event: {
    readonly at: number
    readonly instance: string
    readonly member: string
    readonly phase: MemberPhase
    readonly epoch: number
  }) => void
}

declare module '../../runtime/words/app-context.ts' {
  interface SystemEvents extends ClusterEvents {}
}
