/** The holds on the projection of a shard. They outlive `control` and the projection's writer. */
import type { Ref } from '../../runtime/index.ts'
import type { ShardCore } from '../core/shard-core.ts'

/**
 * A hold on a shard's projection, and with `writes` on its gate. Without an owner it belongs to the
 * holder of the instance, and so it does with `isApps`: its owner is the control of the member that
 * was asked for it. `since` is in ms since 1970. `until`, the end of its lease, is of the monotonic
 * clock: no clock that is set lets writers in early. `control` ends it.
 */
export type Suspension = {
  readonly token: string
  readonly owner: Ref | undefined
  readonly isApps?: boolean
  readonly writes: boolean
  readonly since: number
  readonly until: number | undefined
}

/** A suspension on one shard. While it is flushing it may end without ever having held. */
export type ShardSuspension = Suspension & {
  readonly state: 'flushing' | 'holding'
  /** Whether the caller knows its token. */
  readonly answered: boolean
}

/** The suspensions of one shard. */
export class Suspensions {
  readonly #byToken = new Map<string, ShardSuspension>()
  readonly #gate: ShardCore['gate']

  constructor(gate: ShardCore['gate']) {
    this.#gate = gate
  }

  /** By their tokens, also while they flush. */
  get byToken(): ReadonlyMap<string, ShardSuspension> {
    return this.#byToken
  }

  /** Whether one holds the projection. */
  get isHeld(): boolean {
    for (const { state } of this.#byToken.values()) if (state === 'holding') return true
    return false
  }

  /**
   * Begins a suspension. With `writes` the gate is held at once. The projection is held after its
   * writer has flushed.
   */
  begin(suspension: Suspension): void {
    const { token, writes } = suspension
    this.#byToken.set(token, { ...suspension, state: 'flushing', answered: false })
    if (writes) this.#gate.hold(token)
  }

  /** Records that a suspension holds the projection. False: it has ended. */
  held(token: string): boolean {
    return this.#change(token, { state: 'holding' })
  }

  /** Records that the caller knows the token of a suspension. False: it has ended. */
  answered(token: string): boolean {
    return this.#change(token, { answered: true })
  }

  /** The shard has left this process: nothing is held here any longer. */
  endAll(): void {
    for (const token of [...this.#byToken.keys()]) this.end(token)
  }

  #change(token: string, change: Partial<ShardSuspension>): boolean {
    const suspension = this.#byToken.get(token)
    if (suspension) this.#byToken.set(token, { ...suspension, ...change })
    return suspension !== undefined
  }

  /** Ends a suspension in any state. Returns what it held; `undefined` if it had ended before. */
  end(token: string): 'projection' | 'writes' | undefined {
    // The gate also has holds with other names. A caller's token must not end those.
    if (!this.#byToken.delete(token)) return undefined
    return this.#gate.release(token) ? 'writes' : 'projection'
  }
}
