/**
 * A follower: a replica and how far it is with each shard. It outlives the process that sends
 * (`replicator.ts`). `health()` reads it at once.
 */
import { reasonText } from '../../errors.ts'
import type {
  LogHost,
  Replica,
  ReplicaLease,
  ReplicaLoad,
  ReplicaSession,
  ReplicatedLog,
} from '../../storage/index.ts'
import type { ShardCore } from '../core/shard-core.ts'
import type { DecodedFrame, Sides, TakenFrame } from './replica-chunk.ts'
import type { FollowedLog } from './replica-marks.ts'
import type { ReplicatedShard } from './replicated-shard.ts'

/** The terms of a follower. */
export type FollowerTerms = {
  readonly replica: Replica
  /** The log is kept for it, and `ack: 'replicated'` waits for it. */
  readonly required: boolean
  /** About how many bytes of frames go in one transaction. */
  readonly chunkBytes: number
}

/** The state of a replica of one shard. */
export type ReplicaState =
  /** It has not asked yet how far the replica is, or the shard is not open. */
  | 'starting'
  /** It had everything when it last looked. */
  | 'following'
  | 'catching up'
  /** It sends a snapshot, because the log does not reach back to what the replica has. */
  | 'loading'
  /** The replica cannot be reached, or refuses: it is tried again, for ever. */
  | 'waiting'
  /** Another epoch or copy of this log is replicated. */
  | 'fenced'
  /** Its log, or the replica, cannot be read by this version, or is damaged. */
  | 'halted'

/**
 * One replica of one shard, for people: LSNs, bytes of frames, and ms. Until the replica was asked
 * what it has, its `lsn` is 0. All records of the log are its lag then, and bytes and ms count from
 * the start.
 */
export type ReplicaHealth = {
  readonly shard: number
  readonly state: ReplicaState
  /** Why it waits, is fenced or halted. */
  readonly reason: string | undefined
  /** Since when, in ms since 1970; `undefined` in any other state. */
  readonly since: number | undefined
  readonly lsn: number
  readonly lag: { readonly records: number; readonly bytes: number; readonly ms: number }
}

/** A follower, for people. */
export type FollowerHealth = {
  /** The replica that it sends to. */
  readonly replica: string
  readonly required: boolean
  /** Failed attempts in a row, and in how many ms the next one begins, at most. */
  readonly failures: number
  readonly retryInMs: number | undefined
  readonly shards: readonly ReplicaHealth[]
}

/** A log as it was claimed. With another host it is another epoch. */
export type Claim = {
  readonly host: LogHost
  readonly log: ReplicatedLog
  readonly lease: ReplicaLease
  readonly firstLsn: number
}

/** Where a chunk is read: the log, the first LSN, and the bytes that it may have. */
export type ChunkSpan = {
  readonly host: LogHost
  readonly from: number
  readonly bytesMax: number
}

/** The content of one chunk. `released`: the log begins after it. */
export type Gathered =
  | {
      readonly frames: readonly TakenFrame[]
      readonly decoded: readonly DecodedFrame[]
      readonly sides: Sides
      /** Without frames: the log has nothing for the replica up to here. */
      readonly to: number
    }
  | 'released'

/** Why nothing is sent to a replica of a shard. */
export type Refusal = {
  readonly kind: 'fenced' | 'halted'
  readonly error: unknown
  /** Since when, in ms since 1970. */
  readonly since: number
  /** It is looked at again from here on, in ms of the monotonic clock. */
  readonly until: number
}

/** One replica of one shard. */
export class FollowedShard implements FollowedLog {
  readonly shard: ReplicatedShard
  readonly isRequired: boolean
  readonly #follower: Follower
  claim: Claim | undefined
  refusal: Refusal | undefined
  /** The snapshot that is being sent. */
  load: ReplicaLoad | 'due' | undefined
  /** The next chunk, gathered while the one before it is sent. */
  ahead: { readonly span: ChunkSpan; readonly gathered: Promise<Gathered> } | undefined
  /** The number of its last step among those of the follower. */
  turn = 0
  #lsn = 0
  /** After `#lsn`, up to here, the log has only internal frames, which no replica gets. */
  #through = 0
  #isKnown = false
  /** The bytes after `#lsn`, when `loggedBytes` of the shard was `#countedAt`. */
  #behindBytes = 0
  #countedAt = 0
  /** Since when, in the shard's time, the oldest frame waits; `undefined` when none does. */
  #behindSince: number | undefined
  /** Until the replica was asked, it may lack everything since then. */
  readonly #madeAt: number

  constructor(follower: Follower, shard: ReplicatedShard, isRequired: boolean) {
    this.#follower = follower
    this.shard = shard
    this.isRequired = isRequired
    this.#madeAt = shard.now()
    shard.replication.add(this)
  }

  get lsn(): number {
    return this.#lsn
  }

  /** The replica lacks nothing of the log up to here. */
  get through(): number {
    return this.#through
  }

  /** The replica has reported its position: it lacks `behindBytes` of the log. */
  begun(lsn: number, behindBytes: number): void {
    this.#isKnown = true
    this.#lsn = lsn
    this.#through = lsn
    this.#behindBytes = behindBytes
    this.#countedAt = this.shard.replication.loggedBytes
    this.#behindSince = undefined
    this.grown()
    this.shard.replication.advanced()
  }

  /** The replica has the frames up to `lsn`: so many bytes, the last of them stamped at `time`. */
  sent(lsn: number, bytes: number, time: number): void {
    this.#lsn = lsn
    this.#behindBytes -= bytes
    this.#behindSince = time
    this.passed(lsn)
    this.shard.replication.advanced()
  }

  /** The log has nothing for the replica between what that has and `lsn`. */
  passed(lsn: number): void {
    const { shard } = this
    this.#through = lsn
    if (lsn < shard.appliedLsn) return
    this.#behindBytes = 0
    this.#countedAt = shard.replication.loggedBytes
    this.#behindSince = undefined
  }

  grown(): void {
    if (!this.#isKnown || this.shard.appliedLsn <= this.#through) return
    this.#behindSince ??= this.shard.now()
    this.#follower.wake()
  }

  get health(): ReplicaHealth {
    const { shard, refusal } = this
    const { trouble, troubleSince } = this.#follower
    const reason = refusal?.error ?? trouble
    const records = Math.max(0, shard.appliedLsn - this.#through)
    const bytes = Math.max(0, this.#behindBytes + shard.replication.loggedBytes - this.#countedAt)
    const since = this.#isKnown ? this.#behindSince : this.#madeAt
    const ms = records === 0 || since === undefined ? 0 : Math.max(0, shard.now() - since)
    return {
      shard: shard.index,
      state: this.#state(records),
      reason: reason === undefined ? undefined : reasonText(reason),
      since: reason === undefined ? undefined : (refusal?.since ?? troubleSince),
      lsn: this.#lsn,
      lag: { records, bytes, ms },
    }
  }

  #state(records: number): ReplicaState {
    if (this.refusal) return this.refusal.kind
    if (this.#follower.trouble !== undefined) return 'waiting'
    if (!this.claim || this.shard.phase.kind !== 'open') return 'starting'
    if (this.load) return 'loading'
    return records > 0 ? 'catching up' : 'following'
  }
}

/** One follower of all shards. */
export class Follower {
  readonly index: number
  readonly terms: FollowerTerms
  /** The folder's own id. */
  readonly instanceId: string
  /** Random: another copy of this folder has another one. */
  readonly holder: string
  readonly shards: readonly FollowedShard[]
  session: ReplicaSession | undefined
  /** Why the last attempt failed; `undefined` after one that did not. */
  trouble: unknown
  /** Since when, in ms since 1970. */
  troubleSince: number | undefined
  failures = 0
  /** The number of steps so far. */
  turns = 0
  /** When the next attempt begins, in ms of the monotonic clock. */
  retryAt: number | undefined
  /** Set by the process that sends. */
  wake: () => void = () => undefined

  constructor(
    index: number,
    terms: FollowerTerms,
    shards: readonly ReplicatedShard[],
    identity: { readonly instanceId: string; readonly holder: string },
  ) {
    this.index = index
    this.terms = terms
    this.instanceId = identity.instanceId
    this.holder = identity.holder
    this.shards = shards.map((shard) => new FollowedShard(this, shard, terms.required))
  }

  /**
   * Tries the replica of a shard at once if a later attempt was due. The delays begin again.
   * Answers whether one was due.
   */
  tryNow(shard: ShardCore): boolean {
    const refused = this.shards.find((each) => each.shard === shard && each.refusal)
    if (!refused?.refusal && this.retryAt === undefined) return false
    if (refused?.refusal) refused.refusal = { ...refused.refusal, until: 0 }
    this.retryAt = undefined
    this.failures = 0
    this.wake()
    return true
  }

  /** The process that sends has ended, and no supervisor will start it. */
  gaveUp(reason: string): void {
    const remedy = "control.reopen(0, 'replication') starts it again"
    this.trouble = new Error(`the sender has ended (${reason}); ${remedy}`)
    this.troubleSince ??= this.shards[0]?.shard.now()
  }

  /** For people. `now`: of the monotonic clock. */
  health(now: number): FollowerHealth {
    const { replica, required } = this.terms
    return {
      replica: replica.description,
      required,
      failures: this.failures,
      retryInMs: this.retryAt === undefined ? undefined : Math.max(0, this.retryAt - now),
      shards: this.shards.map(({ health }) => health),
    }
  }
}
