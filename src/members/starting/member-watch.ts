/**
 * The part of an instance whose shards are at several members: the links to the others, and the
 * watch that takes and gives shards. A shard that another member should have is closed and given to
 * it, one at a time. Where the members see each other, and where it is written which one has a shard,
 * is what `MemberDirectory` says. So it is apart from `folder-member.ts`, where that is a folder.
 */
import { instanceName, type WorkLedger } from '../../actors/index.ts'
import type { Cancel, Clock } from '../../clock.ts'
import { reasonText } from '../../errors.ts'
import type {
  FolderClaim,
  InstanceParts,
  Linkable,
  MemberWays,
  Shard,
  ShardMoves,
  SharedFolder,
} from '../../supervisors/index.ts'
import type { LinkTransport } from '../links/link-transport.ts'
import { Members } from '../links/members.ts'
import {
  misplaced,
  rememberedCopies,
  rememberedPlacement,
  type SeenMembers,
  shardsToClaim,
} from '../placement/shard-placement.ts'
import { ElsewhereActors } from '../routing/elsewhere-actors.ts'
import { answerMembers } from '../routing/owner-answers.ts'
import { RemoteShards } from '../routing/remote-shards.ts'
import type { MemberDirectory } from '../sharing/member-directory.ts'
import type { ShardCopies } from '../sharing/shard-copies.ts'
import { HandOver } from './hand-over.ts'

/** The others are looked at so often, in ms. A look reads a small file of each. */
const lookMs = 1_000

/**
 * The pauses between looks after a link has ended, in ms: its member may have ended, and the kernel
 * frees the locks of a process one after another.
 */
const hurriedMs = [0, 25, 100, 250, 250]

/** One of several members. */
export type SharingParts = {
  readonly directory: MemberDirectory
  /** The instance releases it at its end. */
  readonly claim: FolderClaim
  readonly ledger?: WorkLedger
  /** The name of the cluster, and of this member. */
  readonly name: string
  readonly member: string
  readonly transport: LinkTransport
  /** Whether a peer may be linked to; any with the right name by default. */
  readonly admits?: (peer: { readonly member: string; readonly incarnation: string }) => boolean
  readonly watch: MemberWatch
  /** Absent on a folder: its members share the files of all shards. */
  readonly copies?: ShardCopies
}

/** The part of the instance. */
export const sharing = (parts: SharingParts): SharedFolder => {
  const { directory, claim, ledger, watch, copies } = parts
  let handOver: HandOver | undefined
  return {
    claim,
    has: (shard) => directory.own.has(shard),
    ...(ledger && { ledger }),
    link: (to) => linked(to, parts),
    answer: answerMembers,
    onRun: (moves, running) => {
      const { way } = running
      if (!way) throw new Error('a member asks the others')
      const open = async (shard: number): Promise<void> => {
        await copies?.leave(shard)
        await moves.open(shard)
      }
      const held = { ...moves, open }
      handOver = new HandOver({ ...running, way, directory, moves: held })
      watch.follow(held, handOver, running)
      // Others give shards to a member that is ready.
      if (copies) void copies.begin().then(() => watch.ready())
      else watch.ready()
    },
    giveAll: async (ms) => {
      await watch.stop()
      await copies?.stop()
      await handOver?.giveAll(ms)
    },
    ended: async () => copies?.stop(),
    ...(copies && { follows: () => copies.health }),
  }
}

/** The links to the other members, which are told what is open here, and the ways over them. */
const linked = (
  { system, instance, shards, ending, reach }: Linkable,
  { directory, name, member, transport, admits, watch, copies }: SharingParts,
): MemberWays => {
  const { incarnation } = directory
  const members = new Members({
    system,
    cluster: name,
    member,
    incarnation,
    reach,
    transport,
    named: (word) => instanceName(word, instance),
    ...(admits && { admits }),
    onUnlinked: (other) => watch.hurry(other),
  })
  directory.linked(members)
  for (const shard of shards) void announce(shard, members, ending)
  const leave = (): void => {
    for (const { index } of shards) members.own(index, false)
    members.closes()
  }
  ending.addEventListener('abort', leave, { once: true })
  watch.follows(members)
  return {
    links: members,
    client: new RemoteShards({ system, instance, shards, members, ending, copies }),
    elsewhere: (entities) => new ElsewhereActors(entities, members),
  }
}

/** Tells the other members of each change of a shard, until the instance ends. */
const announce = async (shard: Shard, members: Members, ending: AbortSignal): Promise<void> => {
  while (!ending.aborted) {
    members.own(shard.index, shard.isOwn)
    await shard.changed()
  }
}

/** A member gets shards of others when it has been ready for so long, in ms: it may end at once again. */
const steadyMs = 2_000

/** So many shards of members that have ended are opened at a time. */
const openMax = 4

/** Calls `work`, which does not reject, with each shard that it is given: some at a time. */
const fewAtATime = (
  work: (shard: number) => Promise<void>,
): ((shards: readonly number[]) => void) => {
  const waiting: number[] = []
  let running = 0
  const begin = (): void => {
    while (running < openMax && waiting.length > 0) {
      running++
      void work(waiting.shift() as number).finally(() => {
        running--
        begin()
      })
    }
  }
  return (shards) => {
    waiting.push(...shards)
    begin()
  }
}

/** The pauses between looks while a shard has no owner, in ms: its last one closes it. */
const handedMs = Array.from({ length: 50 }, () => 20)

/**
 * Looks at the other members. Takes the shards that should be at this one and are free, and gives
 * the others to members that are ready.
 */
export class MemberWatch {
  readonly #directory: MemberDirectory
  readonly #self: string
  readonly #arrivalMs: number
  readonly #clock: Clock
  readonly #since: number
  readonly #met = new Set<string>()
  readonly #place = rememberedPlacement()
  readonly #copied = rememberedCopies()
  #members: Members | undefined
  #pauses: number[] = []
  /** Set while a shard moves. */
  #moving: Promise<boolean> | undefined
  /** Set during a look. */
  #looking: Promise<void> | undefined
  #hasStopped = false
  #arm: () => void = () => undefined

  /** `arrivalMs`: a member that has not been seen may still begin within this time. */
  constructor(directory: MemberDirectory, self: string, clock: Clock, arrivalMs = 0) {
    this.#directory = directory
    this.#self = self
    this.#arrivalMs = arrivalMs
    this.#clock = clock
    this.#since = clock.monotonic()
  }

  /** The links of this member: they say which shards have no owner. */
  follows(members: Members): void {
    this.#members = members
    members.onMoved((shard) => {
      if (members.ownerOf(shard) === undefined) this.#look(handedMs)
    })
  }

  /** Takes what is free, and calls `taken` with each. Rejects as `MemberDirectory.take`. */
  async look(taken: (shard: number) => void = () => undefined): Promise<void> {
    const directory = this.#directory
    // A shard that another member has by the directory is left out: each try would fail.
    const free = shardsToClaim(directory.shards, this.#seen(), this.#place).filter((shard) =>
      directory.seemsFree(shard),
    )
    for (const shard of free) if (!this.#hasStopped && (await directory.take(shard))) taken(shard)
  }

  #seen(): SeenMembers {
    const now = this.#directory.members()
    for (const member of now.alive) this.#met.add(member)
    const mayCome = this.#clock.monotonic() < this.#since + this.#arrivalMs
    return { ...now, self: this.#self, met: this.#met, mayCome }
  }

  /** A member may have ended: looks at once, and some times soon after. */
  hurry(member: string): void {
    // It was there, even if no look has seen it.
    this.#met.add(member)
    this.#look(hurriedMs)
  }

  /** The directory has changed: looks at once. */
  stir(): void {
    this.#look([0])
  }

  #look(pauses: readonly number[]): void {
    this.#pauses = [...pauses]
    this.#arm()
  }

  /** Looks again and again until the instance ends, opens what it took, and gives away. */
  follow(
    { open }: ShardMoves,
    handOver: HandOver,
    { ending, system }: Pick<InstanceParts, 'ending' | 'system'>,
  ): void {
    const failed = (error: unknown): void => {
      if (ending.aborted) return
      system.logger.error(`a member cannot take shards over: ${reasonText(error)}`, { error })
    }
    let cancel: Cancel = () => undefined
    ending.addEventListener('abort', () => cancel(), { once: true })
    const again = (): void => {
      if (ending.aborted) return
      cancel()
      cancel = this.#clock.after(this.#pauses.shift() ?? lookMs, next, { holdsProcess: false })
    }
    this.#arm = again
    const openAll = fewAtATime(async (shard) => {
      if (!ending.aborted) await open(shard).catch(failed)
    })
    const next = (): void => {
      if (ending.aborted || this.#hasStopped || this.#looking) return
      const looked = this.look((shard) => openAll([shard])).then(
        () => void this.#giveOne(handOver).catch(failed),
      )
      this.#looking = looked.catch(failed).finally(() => {
        this.#looking = undefined
        again()
      })
    }
    again()
  }

  /** Others may give shards to this member. */
  ready(): void {
    this.#members?.ready()
  }

  /** As `shardsToCopy`. */
  wanted(copies: number): readonly number[] {
    return this.#copied(this.#directory.shards, this.#seen(), copies)
  }

  /** Takes and gives no further shard. Resolves when none moves. */
  async stop(): Promise<void> {
    this.#hasStopped = true
    await this.#looking
    await this.#moving
  }

  /** Gives one shard to the member that should have it, if that is ready; the next one after it. */
  async #giveOne(handOver: HandOver): Promise<void> {
    if (this.#hasStopped || this.#moving !== undefined) return
    const directory = this.#directory
    const own = misplaced(directory.shards, directory.own, this.#seen(), this.#place)
    const next = own.find(
      ({ shard, member }) => handOver.mayGive(shard) && this.#members?.isReady(member, steadyMs),
    )
    if (!next) return
    this.#moving = handOver.give(next.shard, next.member).finally(() => {
      this.#moving = undefined
    })
    if (await this.#moving) this.#look([0])
  }
}
