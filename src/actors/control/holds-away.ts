/**
 * The holds of this member's suspensions on shards that other members have. A hold is at the owner of
 * its shard. It ends when the shard gets another owner, with its lease, and with the member that asked
 * for it, whose control the owner monitors. It is apart from `control.ts`, which has the holds here.
 */

import { KeelsonError } from '../../errors.ts'
import { hasOwn } from '../../own-names.ts'
import type { Ref } from '../../runtime/index.ts'
import {
  isCount,
  isFlag,
  isListOf,
  isOneOf,
  isOptional,
  isRecord,
  isText,
  isTime,
} from '../core/payload-check.ts'
import type { ShardClient } from '../core/shard-client.ts'
import type { Suspension } from '../projection/suspensions.ts'
import { isMeant, type SuspendRequest, type Which } from './control-request.ts'

/** A suspension of a shard, as a member asks its owner for it. */
export type AskedSuspension = {
  readonly shard: number
  readonly token: string
  /** The member that asks. */
  readonly member: string
  readonly isApps: boolean
  readonly flush: boolean
  readonly writes: boolean
  readonly timeoutMs: number
  readonly leaseMs?: number | undefined
}

/** The end of suspensions of a shard, as a member asks its owner for it. */
export type AskedResumption = {
  readonly shard: number
  readonly which:
    | 'all'
    | 'apps'
    | { readonly token: string }
    | { readonly tokens: readonly string[] }
  readonly timeoutMs: number
}

/** Whether the request of a peer has this form. */
export const isAskedSuspension = isRecord({
  shard: isCount,
  token: isText,
  member: isText,
  timeoutMs: isTime,
  isApps: isFlag,
  flush: isFlag,
  writes: isFlag,
  leaseMs: isOptional(isTime),
})

const isTokens = isRecord({ tokens: isListOf(isText) })

/** Whether the request of a peer has this form. */
export const isAskedResumption = isRecord({
  shard: isCount,
  timeoutMs: isTime,
  which: (which) =>
    isOneOf('all', 'apps')(which) || isRecord({ token: isText })(which) || isTokens(which),
})

/** The holds of one suspension: the member that has each, by the shard. */
type Held = {
  readonly owner: Ref | undefined
  readonly at: Map<number, string>
  /** Until all shards have been asked. */
  isAsking: boolean
}

/** The holds at other members. */
export class HoldsAway {
  readonly #way: ShardClient
  readonly #held = new Map<string, Held>()
  readonly #unlisten: () => void

  constructor(way: ShardClient) {
    this.#way = way
    this.#unlisten = way.onMoved((shard) => {
      for (const { at } of this.#held.values())
        if (at.get(shard) !== way.ownerOf(shard)) at.delete(shard)
    })
  }

  /** It hears of no moves any longer. */
  close(): void {
    this.#unlisten()
  }

  /** A suspension begins, before the first shard is asked. */
  begin({ token, owner }: Suspension): void {
    this.#held.set(token, { owner, at: new Map(), isAsking: true })
  }

  /** Whether it holds the shard elsewhere. */
  has(token: string, shard: number): boolean {
    return this.#held.get(token)?.at.has(shard) === true
  }

  /** Whether it holds a shard elsewhere, or may soon. */
  isOn(token: string): boolean {
    const held = this.#held.get(token)
    return held !== undefined && (held.isAsking || held.at.size > 0)
  }

  /**
   * Suspends a shard at its owner.
   * @throws KeelsonError as the owner; `DISCARDED` if the suspension has ended, or the owner lost it
   */
  async hold(
    shard: number,
    { token, writes, owner: holder }: Suspension,
    { flush, timeoutMs, leaseMs }: SuspendRequest,
  ): Promise<void> {
    const way = this.#way
    const asked: AskedSuspension = {
      shard,
      token,
      member: way.member,
      isApps: holder === undefined,
      flush,
      writes,
      timeoutMs,
      leaseMs,
    }
    const owner = await way.ask(shard, 'suspend', asked, timeoutMs).catch((error: unknown) => {
      // The owner may hold later than this waits.
      this.#end(shard, token, timeoutMs)
      throw error
    })
    const held = this.#held.get(token)
    if (held && way.ownerOf(shard) === owner) held.at.set(shard, String(owner))
    else {
      this.#end(shard, token, timeoutMs)
      throw holdEnded(shard)
    }
  }

  /** Ends suspensions of a shard at its owner. @throws KeelsonError as the owner */
  async release(shard: number, which: Which, timeoutMs: number): Promise<void> {
    const asked = this.#asked(shard, which)
    if (typeof asked === 'object' && hasOwn(asked, 'tokens') && asked.tokens.length === 0) return
    await this.#way.ask(shard, 'resume', { shard, which: asked, timeoutMs }, timeoutMs)
    for (const [token, { owner, at }] of this.#held)
      if (isMeant(which, { token, owner })) at.delete(shard)
  }

  /** Ends a suspension at every owner. */
  endAll(token: string, timeoutMs: number): void {
    const shards = this.#held.get(token)?.at.keys() ?? []
    this.#held.delete(token)
    for (const shard of shards) this.#end(shard, token, timeoutMs)
  }

  /** All shards have been asked. */
  begun(token: string): void {
    const held = this.#held.get(token)
    if (held) held.isAsking = false
    if (!this.isOn(token)) this.#held.delete(token)
  }

  #end(shard: number, token: string, timeoutMs: number): void {
    const asked: AskedResumption = { shard, which: { tokens: [token] }, timeoutMs }
    this.#way.ask(shard, 'resume', asked, timeoutMs).catch(() => undefined)
  }

  #asked(shard: number, which: Which): AskedResumption['which'] {
    if (which === 'all' || which === 'apps' || hasOwn(which, 'token') || hasOwn(which, 'tokens'))
      return which
    const { owner } = which
    if (owner === undefined) return 'apps'
    const own = [...this.#held].filter(([, held]) => held.owner === owner && held.at.has(shard))
    return { tokens: own.map(([token]) => token) }
  }
}

/** The outcome of a shard whose hold was taken, and is there no longer. */
export const holdEnded = (shard: number): KeelsonError =>
  new KeelsonError('DISCARDED', `the hold on shard ${shard} has ended: it is not suspended`, {
    details: { shard },
  })
