/**
 * Which member has which shard, as each says over its links, and refs of processes at the member that
 * owns a shard when they are used. It is apart from `members.ts`, because storage needs
 * no more of the other members than this.
 */
import { KeelsonError } from '../../errors.ts'
import {
  type Address,
  addressOf,
  type Directory,
  type HolderWait,
  type Process,
  type Ref,
} from '../../runtime/index.ts'

/** A call without a deadline waits so long for a member, or for an owner, that takes it, in ms. */
export const unreachableMs = 60_000

/** The shards that members have. */
export class Ownership {
  readonly #self: string
  readonly #own = new Set<number>()
  /** The others that say they have a shard, in the order in which each began to say so. */
  readonly #claims = new Map<number, readonly string[]>()
  readonly #listeners = new Set<(shard: number) => void>()

  constructor(self: string) {
    this.#self = self
  }

  /** The shards that this member has. */
  get own(): ReadonlySet<number> {
    return this.#own
  }

  ownerOf(shard: number): string | undefined {
    return this.#own.has(shard) ? this.#self : this.#claims.get(shard)?.at(-1)
  }

  onMoved(listener: (shard: number) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Notes whether this member has the shard. Returns false if nothing has changed. */
  setOwn(shard: number, has: boolean): boolean {
    if (has === this.#own.has(shard)) return false
    if (has) this.#own.add(shard)
    else this.#own.delete(shard)
    this.#moved(shard)
    return true
  }

  /**
   * Another member says which shards it has. The newest claim counts: an owner that has ended may not
   * have been missed yet, and words of a former one may be read late. If that claim ends, the one
   * before it counts: it may be of the next owner, and was read early.
   */
  said(member: string, shards: ReadonlySet<number>): void {
    const moved: number[] = []
    for (const shard of new Set([...this.#claims.keys(), ...shards])) {
      const former = this.#claims.get(shard) ?? []
      if (former.includes(member) === shards.has(shard)) continue
      const others = former.filter((each) => each !== member)
      const claims = shards.has(shard) ? [...others, member] : others
      this.#claims.set(shard, claims)
      if (claims.at(-1) !== former.at(-1)) moved.push(shard)
    }
    for (const shard of moved) this.#moved(shard)
  }

  #moved(shard: number): void {
    for (const listener of [...this.#listeners]) listener(shard)
  }
}

/** The links as a ref of a shard's process needs them. */
export type ShardLinks = {
  readonly ownerOf: (shard: number) => string | undefined
  readonly forwarder: (member: string, target: string, shard: number) => Process | undefined
  readonly awaitOwner: (shard: number, ms: number, signal: AbortSignal | undefined) => HolderWait
  /** The process here, if this member is the owner. */
  readonly here: (shard: number, target: string) => Ref | undefined
}

/** Where the name of a process at the owner of a shard is looked up. */
export class OwnerDirectory implements Directory<Process> {
  readonly absence = 'noconnection'
  readonly #links: ShardLinks
  readonly #shard: number
  readonly #target: string
  /** The process of the last message, and the member that it leads to. */
  #last: { readonly owner: string; readonly process: Process } | undefined

  constructor(links: ShardLinks, shard: number, target: string) {
    this.#links = links
    this.#shard = shard
    this.#target = target
  }

  holderOf(): Process | undefined {
    const [links, shard, target] = [this.#links, this.#shard, this.#target]
    const here = this.#here
    if (here) return here.resolve()
    const owner = links.ownerOf(shard)
    if (owner === undefined) return undefined
    if (this.#last?.owner === owner && this.#last.process.alive) return this.#last.process
    const process = links.forwarder(owner, target, shard)
    this.#last = process && { owner, process }
    return process
  }

  wake(): Process | undefined {
    const here = this.#here
    return here?.directory.wake?.(here.name)
  }

  /** Whether a call waits for an owner. */
  awaits(): boolean {
    const here = this.#here
    return here === undefined || here.directory.awaits?.(here.name) === true
  }

  fault(): KeelsonError | undefined {
    const here = this.#here
    return here ? here.directory.fault?.(here.name) : noOwner(this.#shard)
  }

  awaitHolder(_: string, ms: number, signal: AbortSignal | undefined): HolderWait {
    const here = this.#here
    if (here) return here.directory.awaitHolder(here.name ?? '', ms, signal)
    const awaited = (waitMs: number) => this.#links.awaitOwner(this.#shard, waitMs, signal)
    if (ms !== Number.POSITIVE_INFINITY) return awaited(ms)
    const wait = awaited(unreachableMs)
    // The owner has as long for the call as before.
    const left = wait.left.then((leftMs) => (leftMs === undefined ? undefined : ms))
    return { left, fail: (error) => wait.fail(error) }
  }

  get #here(): Address<Process> | undefined {
    const here = this.#links.here(this.#shard, this.#target)
    return here && addressOf<Process>(here)
  }
}

const noOwner = (shard: number): KeelsonError =>
  new KeelsonError('SHARD_DOWN', `shard ${shard} is at no member now`, {
    details: { shard, state: 'elsewhere', owner: undefined },
  })
