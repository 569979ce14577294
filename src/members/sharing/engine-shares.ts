/**
 * The shards of one member where the directory is in an engine: entries that name the holder of each
 * shard, and one lease for each member. The keeper of the lease shows each view of it.
 * `shard-holds.ts` decides from a view; this carries it out.
 */
import { isAway } from '../../actors/index.ts'
import type { Clock } from '../../clock.ts'
import { isKeelsonError } from '../../errors.ts'
import {
  addressIn,
  type Directory,
  DirectoryEntry,
  type DirectoryView,
  type SocketAddress,
} from '../../storage/index.ts'
import type { EngineStorage } from '../cluster/engine-loading.ts'
import type { Members } from '../links/members.ts'
import type { SeenMembers } from '../placement/shard-placement.ts'
import type { MemberDirectory, MovingTurn } from './member-directory.ts'

/** The directory, and this start of the member. */
export type EngineSharesParts = {
  readonly holds: EngineStorage['holds']
  readonly directory: Directory
  readonly calls: Pick<InstanceType<EngineStorage['EngineCalls']>, 'ask'>
  readonly clock: Clock
  readonly member: string
  readonly incarnation: () => string
  readonly shards: number
  /** A shard is taken or given within this time, in ms. A later view does the rest. */
  readonly patienceMs: number
}

/** The shards that one member has. */
export class EngineShares implements MemberDirectory {
  /** Members have come or gone, or shards are free. */
  onChange: () => void = () => undefined
  readonly #parts: EngineSharesParts
  readonly #own = new Set<number>()
  /** The entries that this member holds, or is about to. The others that it has are given. */
  readonly #wanted = new Set<string>()
  readonly #giving = new Set<string>()
  readonly #taking = new Map<number, Promise<boolean>>()
  #view: DirectoryView = { revision: 0, entries: new Map() }
  #asked: NonNullable<SeenMembers['asked']> = new Map()
  #members: Members | undefined

  constructor(parts: EngineSharesParts) {
    this.#parts = parts
  }

  /** The last view of the directory. */
  get view(): DirectoryView {
    return this.#view
  }

  get shards(): number {
    return this.#parts.shards
  }

  get incarnation(): string {
    return this.#parts.incarnation()
  }

  get own(): ReadonlySet<number> {
    return this.#own
  }

  /** Where a member listens for links. */
  addressOf(member: string): SocketAddress | undefined {
    const listen = this.#leased.find((each) => each.member === member)?.listen
    return listen === undefined ? undefined : addressIn(listen)
  }

  /** Whether a member may be linked to: a start whose lease has ended has lost all its shards. */
  admits({
    member,
    incarnation,
  }: {
    readonly member: string
    readonly incarnation: string
  }): boolean {
    return this.#leased.some((each) => each.member === member && each.incarnation === incarnation)
  }

  /** The directory has changed. @throws KeelsonError `CORRUPT` for a damaged entry */
  saw(view: DirectoryView): void {
    const before = this.#leased
    this.#view = view
    this.#asked = this.#parts.holds.placesIn(view)
    const now = this.#leased
    const isThere = (of: typeof now, { incarnation }: (typeof now)[number]): boolean =>
      of.some((each) => each.incarnation === incarnation)
    for (const each of before)
      if (!isThere(now, each)) this.#members?.lost(each.member, each.incarnation)
    for (const { member } of now) this.#members?.expect(member)
    this.#giveLeftovers()
    this.onChange()
  }

  members(): ReturnType<MemberDirectory['members']> {
    const { member: self } = this.#parts
    const others = this.#leased.filter(({ member }) => member !== self)
    const names = others.map(({ member }) => member)
    // Where a shard should be, members of all builds agree: one that closes is left out of claims alone.
    const closing = new Set(others.flatMap(({ member, closes }) => (closes ? [member] : [])))
    return { members: [self, ...names], alive: new Set(names), asked: this.#asked, closing }
  }

  linked(members: Members): void {
    this.#members = members
    for (const { member } of this.#leased) members.expect(member)
  }

  seemsFree(shard: number): boolean {
    const { holds } = this.#parts
    const hold = holds.holdIn(this.#view, holds.shardHold(shard))
    return !this.#own.has(shard) && (!hold || hold.incarnation === this.incarnation)
  }

  async take(shard: number): Promise<boolean> {
    // Two calls at one time: the first one has it. A second attempt that failed would leave its entry.
    while (this.#taking.has(shard)) await this.#taking.get(shard)
    if (this.#own.has(shard)) return false
    const { holds, patienceMs } = this.#parts
    const taking = this.#hold(holds.shardHold(shard), patienceMs)
    this.#taking.set(
      shard,
      taking.catch(() => false),
    )
    try {
      if (!(await taking)) return false
      this.#own.add(shard)
      return true
    } finally {
      this.#taking.delete(shard)
    }
  }

  async give(shard: number): Promise<void> {
    this.#own.delete(shard)
    await this.#give(this.#parts.holds.shardHold(shard))
  }

  async turn(ms: number): Promise<MovingTurn | undefined> {
    const { holds, patienceMs } = this.#parts
    const { movesHold } = holds
    // Another move of this member has it, or asks for it.
    if (this.#wanted.has(movesHold)) return undefined
    const hold = holds.holdIn(this.#view, movesHold)
    if (hold && hold.incarnation !== this.incarnation) return undefined
    if (!(await this.#hold(movesHold, Math.min(ms, patienceMs)))) return undefined
    return { release: () => this.#give(movesHold) }
  }

  get #leased(): ReturnType<EngineStorage['holds']['leasedIn']> {
    return this.#parts.holds.leasedIn(this.#view)
  }

  /** Takes an entry, unless another member holds it, or the engine does not say so within `ms`. */
  async #hold(name: string, ms: number): Promise<boolean> {
    const { holds, member } = this.#parts
    const { incarnation } = this
    let isHeld = false
    this.#wanted.add(name)
    try {
      isHeld = await this.#changed(
        name,
        ms,
        (view) => holds.taking(view, name, { member, incarnation }),
        this.#view,
      )
      return isHeld
    } catch (error) {
      if (!isAway(error)) throw error
      return false
    } finally {
      if (!isHeld) this.#wanted.delete(name)
    }
  }

  /** Gives an entry. If the engine does not answer in time, a later view shows that it is left. */
  async #give(name: string): Promise<void> {
    const { holds, member, patienceMs } = this.#parts
    const { incarnation } = this
    this.#wanted.delete(name)
    this.#giving.add(name)
    try {
      await this.#changed(name, patienceMs, (view) =>
        this.#wanted.has(name) ? undefined : holds.giving(view, name, { member, incarnation }),
      )
    } catch {
      // It is left.
    } finally {
      this.#giving.delete(name)
    }
  }

  /** Gives what a request without an answer has left with this start of the member. */
  #giveLeftovers(): void {
    const { holds, shards } = this.#parts
    const names = [
      holds.movesHold,
      ...Array.from({ length: shards }, (_, at) => holds.shardHold(at)),
    ]
    for (const name of names) {
      if (this.#wanted.has(name) || this.#giving.has(name)) continue
      if (holds.holdIn(this.#view, name)?.incarnation === this.incarnation) void this.#give(name)
    }
  }

  /**
   * Carries out a change until it is answered, or there is none to make, for at most `ms`. An answer
   * that was lost shows in the next view. Returns whether this start holds the entry then. A change is
   * first tried on the view that is `known`, which costs no request: the entry has another revision if
   * it has changed since, and a lease that was ended stays so.
   */
  async #changed(
    name: string,
    ms: number,
    change: (view: DirectoryView) => ReturnType<EngineStorage['holds']['taking']>,
    known?: DirectoryView,
  ): Promise<boolean> {
    const { holds, directory, calls, clock } = this.#parts
    const endsAt = clock.monotonic() + ms
    const isOwn = (view: DirectoryView): boolean =>
      holds.holdIn(view, name)?.incarnation === this.incarnation
    for (let seen = known; ; seen = undefined) {
      const view = seen ?? (await calls.ask(() => directory.view(), endsAt - clock.monotonic()))
      const step = change(view)
      if (!step && seen) continue
      if (!step) return isOwn(view)
      const { revision, value } = step
      try {
        const made = await calls.ask(
          () => directory.set(name, revision, value),
          endsAt - clock.monotonic(),
        )
        const entries = new Map(view.entries).set(name, new DirectoryEntry(value, made))
        return isOwn({ ...view, entries })
      } catch (error) {
        // Another member was first, or an earlier attempt without an answer was.
        if (!isKeelsonError(error, 'CONFLICT')) throw error
      }
    }
  }
}
