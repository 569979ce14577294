/**
 * Messages that former owners of a shard may still leave to the next one: calls without an answer,
 * and casts on their way back. Until these are here, later messages to the shard wait, so that they
 * do not overtake them. It is apart from `members.ts` because nothing else is decided here.
 */
import type { PendingCall } from '../../runtime/index.ts'
import type { OpenLink } from './link-process.ts'

/** A link over which everything is read that its member has sent before it knew of the next owner. */
type Reading = { readonly open: OpenLink }

/** The former owners of shards, as this member has used them. */
export class FormerOwners {
  /** For each shard what it waits for, and how that is no longer waited for. */
  readonly #owed = new Map<number, Map<PendingCall | Reading, () => void>>()
  readonly #onDone: (shard: number) => void

  /** `onDone` is called when the last of what a shard waits for is here. */
  constructor(onDone: (shard: number) => void) {
    this.#onDone = onDone
  }

  /** Whether later messages to the shard wait. */
  owe(shard: number): boolean {
    return this.#owed.has(shard)
  }

  /**
   * The owner of the shard has changed: it is now the peer of the link `present`, this member, or
   * nobody. If a former owner has the shard again, its messages are not forwarded, so nothing waits
   * for them.
   */
  moved(
    shard: number,
    hasOwner: boolean,
    present: OpenLink | undefined,
    links: Iterable<OpenLink>,
  ): void {
    const owed = this.#owed.get(shard) ?? new Map<PendingCall | Reading, () => void>()
    const own = new Set(present?.link.callsTo(shard))
    for (const [each, forget] of owed) {
      if ('open' in each ? each.open !== present : !own.has(each)) continue
      owed.delete(each)
      forget()
    }
    for (const open of links) {
      if (open === present) continue
      for (const call of open.link.callsTo(shard)) {
        if (owed.has(call)) continue
        const forget = call.onceSettled(() => this.settled(shard, call))
        owed.set(call, forget)
      }
      // When the next owner has the shard, the former one has returned what it had.
      const returned = hasOwner ? open.link.returned(shard) : undefined
      if (returned === undefined) continue
      const reading = { open }
      owed.set(reading, () => undefined)
      void returned.then(() => this.settled(shard, reading))
    }
    if (owed.size > 0) this.#owed.set(shard, owed)
    else this.#owed.delete(shard)
  }

  /** A former owner has answered a call or left it to the next one, or its casts are here. */
  settled(shard: number, what: PendingCall | Reading): void {
    const owed = this.#owed.get(shard)
    owed?.get(what)?.()
    if (!owed?.delete(what) || owed.size > 0) return
    this.#owed.delete(shard)
    this.#onDone(shard)
  }

  /** A link has ended: nothing more comes over it. */
  ended(open: OpenLink): void {
    for (const [shard, owed] of [...this.#owed])
      for (const each of [...owed.keys()])
        if ('open' in each && each.open === open) this.settled(shard, each)
  }
}
