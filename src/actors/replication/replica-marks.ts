/**
 * How far the replicas of a shard are, across the incarnations of the processes that send to them: the
 * floor below which the log may be given back, and the waits for `ack: 'replicated'`.
 */
import { KeelsonError } from '../../errors.ts'

/** One replica of one shard. */
export type FollowedLog = {
  /** Its frames are kept in the log until the replica has them. */
  readonly isRequired: boolean
  /** The replica has every frame up to here, as far as this process knows; 0 before it asked. */
  readonly lsn: number
  /** Called after each group that was applied. */
  readonly grown: () => void
}

type Waiting = { readonly lsn: number; readonly settle: (error?: KeelsonError) => void }

/** The replicas of one shard. */
export class ReplicaMarks {
  readonly #followed: FollowedLog[] = []
  readonly #waiting = new Set<Waiting>()
  #isHeld = false
  /** The bytes of frames that were applied since the shard was made. */
  loggedBytes = 0

  /** Whether there is a replica. */
  get isFollowed(): boolean {
    return this.#followed.length > 0
  }

  /** The log may be given back up to this LSN; `Infinity` without a required replica. */
  get floor(): number {
    if (this.#isHeld) return 0
    const required = this.#followed.filter(({ isRequired }) => isRequired)
    return Math.min(Number.POSITIVE_INFINITY, ...required.map(({ lsn }) => lsn))
  }

  /** The replicated position: every required replica has it; without one, the first that has it. */
  get lsn(): number {
    const { floor } = this
    if (floor !== Number.POSITIVE_INFINITY) return floor
    return Math.max(0, ...this.#followed.map(({ lsn }) => lsn))
  }

  /** Keeps the whole log for a required replica that this instance does not write. */
  hold(): void {
    this.#isHeld = true
  }

  /** Adds a replica, until the instance closes. */
  add(followed: FollowedLog): void {
    this.#followed.push(followed)
  }

  /** A group was applied, with so many bytes of frames. */
  grew(bytes: number): void {
    this.loggedBytes += bytes
    for (const followed of this.#followed) followed.grown()
  }

  /** A replica has more. */
  advanced(): void {
    if (this.#waiting.size === 0) return
    const { lsn: reached } = this
    for (const waiting of this.#waiting) {
      if (waiting.lsn > reached) continue
      this.#waiting.delete(waiting)
      waiting.settle()
    }
  }

  /**
   * Resolves when everything up to `lsn` is replicated. `giveUp` ends the wait.
   * @throws KeelsonError what `giveUp` is given; `CLOSED`
   */
  reached(lsn: number): {
    readonly done: Promise<void>
    readonly giveUp: (e: KeelsonError) => void
  } {
    if (lsn <= this.lsn) return { done: Promise.resolve(), giveUp: () => undefined }
    let giveUp: (error: KeelsonError) => void = () => undefined
    const done = new Promise<void>((resolve, reject) => {
      const waiting: Waiting = {
        lsn,
        settle: (error) => (error ? reject(error) : resolve()),
      }
      this.#waiting.add(waiting)
      giveUp = (error) => {
        this.#waiting.delete(waiting)
        reject(error)
      }
    })
    return { done, giveUp }
  }

  /** The instance has closed: its waiters are rejected. */
  close(): void {
    for (const { settle } of this.#waiting)
      settle(new KeelsonError('CLOSED', 'the instance was closed before'))
    this.#waiting.clear()
  }
}
