/**
 * Starts an instance as one of several members that share its data folder. Each has the shards whose
 * locks it holds. It opens those at its start, and takes more over when their owner has ended: the
 * kernel frees the locks of a process that ends in any way, and never those of one that is stopped.
 * A shard that another one should have is closed and given to it, one at a time.
 */
import { resolve } from 'node:path'
import {
  ElsewhereActors,
  instanceName,
  Members,
  OwnerQuestions,
  StoreRoutes,
  unixTransport,
} from '../../actors/index.ts'
import type { Cancel, Clock } from '../../clock.ts'
import { isKeelsonError, reasonText } from '../../errors.ts'
import { createSystem } from '../../runtime/index.ts'
import { type MemberLocks, memberLocks, misplaced, shardsToClaim } from '../../storage/index.ts'
import { type App, closeShards } from '../app/app.ts'
import type { InstanceParts } from '../app/app-context.ts'
import type { Shard } from '../tree/shard.ts'
import type { FolderCluster } from './cluster-options.ts'
import { claimFolder } from './folder-claim.ts'
import { HandOver } from './hand-over.ts'
import { instanceShards, startInstance } from './instance.ts'
import type { FolderPorts, Linkable, Ports, ShardMoves, SharedFolder } from './machine-ports.ts'
import { MemberFolder } from './member-folder.ts'
import { inspectShards } from './shard-inspection.ts'
import type { CheckedOptions } from './start-options.ts'

/** The shards of a new folder, unless the options say otherwise. */
const shardsOfNew = 64

/** The others are looked at so often, in ms. A look reads a small file of each. */
const lookMs = 1_000

/**
 * The pauses between looks after a link has ended, in ms: its member may have ended, and the kernel
 * frees the locks of a process one after another.
 */
const hurriedMs = [0, 25, 100, 250, 250]

/** A folder is made within this time, in ms. */
const makingMs = 60_000

/**
 * Starts the instance of a member with the result of `loadedOptions`. Resolves when the shards that
 * it got are open.
 * @throws KeelsonError as `startInstance`; `LOCKED_DIR` also if another process has the name;
 * `CONFIG` where members cannot share a folder (`MemberLocks.share`), for a folder with fewer shards
 * than members, and for a copy that may not act yet
 */
export const startFolderMember = async (
  options: CheckedOptions,
  cluster: FolderCluster,
  ports: Ports,
): Promise<App> => {
  const { clock, disk, folder: shares = { locks: memberLocks(), transport: unixTransport } } = ports
  const folder = await entered(options, cluster, ports, shares.locks)
  try {
    let handOver: HandOver | undefined
    const watch = new MemberWatch(folder, cluster, clock)
    watch.look()
    const shared: SharedFolder = {
      claim: folder.claim,
      has: (shard: number) => folder.has(shard),
      ledger: folder.notes,
      link: (to) => linked(to, folder, cluster, shares.transport, watch),
      elsewhere: (owners) => (entities) => new ElsewhereActors(entities, owners),
      routes: (parts) => new StoreRoutes(parts),
      questions: (parts) => new OwnerQuestions(parts),
      onRun: (moves, parts) => {
        const { questions } = parts
        if (!questions) throw new Error('a member asks the others')
        handOver = new HandOver({ ...parts, questions, folder, moves })
        watch.follow(moves, handOver, parts)
      },
      giveAll: async (ms) => {
        await watch.stop()
        await handOver?.giveAll(ms)
      },
    }
    return await startInstance(options, { ...ports, disk, shared })
  } catch (error) {
    folder.claim.release()
    throw error
  }
}

/** The links to the other members, which are told what is open here. */
const linked = (
  { system, instance, shards, ending, reach }: Linkable,
  { claim, incarnation }: MemberFolder,
  { name, member, engine }: FolderCluster,
  transport: FolderPorts['transport'],
  watch: MemberWatch,
): Members => {
  const onUnlinked = (other: string): void => watch.hurry(other)
  const members = new Members({
    ...{ system, cluster: name, member, incarnation, reach, onUnlinked },
    named: (word) => instanceName(word, instance),
    transport: transport(claim.dir, member),
  })
  for (const other of engine.members) members.expect(other)
  for (const shard of shards) void announce(shard, members, ending)
  const leave = (): void => {
    for (const { index } of shards) members.own(index, false)
  }
  ending.addEventListener('abort', leave, { once: true })
  watch.follows(members)
  return members
}

/** Tells the other members of each change of a shard, until the instance ends. */
const announce = async (shard: Shard, members: Members, ending: AbortSignal): Promise<void> => {
  while (!ending.aborted) {
    members.own(shard.index, isOwn(shard))
    await shard.changed()
  }
}

/** Whether this member answers for a shard, even if it is down or recovers again. */
const isOwn = ({ phase, opened, isLeaving }: Shard): boolean =>
  (phase.kind === 'open' && !isLeaving) ||
  phase.kind === 'down' ||
  (phase.kind === 'recovering' && opened > 0)

/** The folder, which this member shares from now on. It is made if it is missing. */
const entered = async (
  options: CheckedOptions,
  cluster: FolderCluster,
  ports: Ports,
  locks: MemberLocks,
): Promise<MemberFolder> => {
  const { disk, clock } = ports
  const dir = resolve(options.dir)
  const request = { disk, clock, dir, locks, instance: options.instance, cluster }
  const endsAt = clock.monotonic() + makingMs
  for (;;) {
    try {
      const folder = MemberFolder.share(request, options.shards)
      if (folder) return folder
      await make(options, cluster, ports)
    } catch (error) {
      if (!isBeingMade(error) || clock.monotonic() > endsAt) throw error
      await new Promise<void>((done) => clock.after(50, done))
    }
  }
}

/**
 * Whether a folder is refused because another member makes it at this moment, or has just done so. A
 * holder that names no process has not written its lines yet, or has blanked them.
 */
const isBeingMade = (error: unknown): boolean => {
  if (!isKeelsonError(error, 'LOCKED_DIR')) return false
  const { makes, pid } = Object(error.details.holder)
  return makes !== undefined || pid === undefined
}

/** Makes the logs and the description of a new folder, alone. @throws as `startInstance` */
const make = async (
  options: CheckedOptions,
  { member, engine }: FolderCluster,
  ports: Ports,
): Promise<void> => {
  const { disk, clock } = ports
  const shards = options.shards ?? Math.max(shardsOfNew, engine.members.length)
  const dir = resolve(options.dir)
  const { instance } = options
  const claim = claimFolder({ disk, clock, dir, instance, shards, holder: { makes: member } })
  const system = createSystem({ clock })
  const made = instanceShards(claim, options, ports, system)
  try {
    await inspectShards(made, claim, options, ports)
  } catch (error) {
    claim.undo()
    throw error
  } finally {
    await closeShards(made)
    await system.stop()
    claim.release()
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
class MemberWatch {
  readonly #folder: MemberFolder
  readonly #cluster: FolderCluster
  readonly #clock: Clock
  readonly #since: number
  readonly #met = new Set<string>()
  #members: Members | undefined
  #pauses: number[] = []
  /** Set while a shard moves. */
  #moving: Promise<boolean> | undefined
  #hasStopped = false
  #arm: () => void = () => undefined

  constructor(folder: MemberFolder, cluster: FolderCluster, clock: Clock) {
    this.#folder = folder
    this.#cluster = cluster
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

  /** Takes what is free, and returns it. @throws DiskError */
  look(): readonly number[] {
    return shardsToClaim(this.#folder.claim.shards, this.#seen()).filter((shard) =>
      this.#folder.take(shard),
    )
  }

  #seen(): Parameters<typeof shardsToClaim>[1] {
    const { engine, member: self } = this.#cluster
    const { members, arrivalMs } = engine
    const alive = this.#folder.alive(members)
    for (const member of alive) this.#met.add(member)
    const mayCome = this.#clock.monotonic() < this.#since + arrivalMs
    return { members, self, alive, met: this.#met, mayCome }
  }

  /** A member may have ended: looks at once, and some times soon after. */
  hurry(member: string): void {
    // It was there, even if no look has seen it.
    this.#met.add(member)
    this.#look(hurriedMs)
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
      if (ending.aborted || this.#hasStopped) return
      try {
        openAll(this.look())
        this.#giveOne(handOver).catch(failed)
      } catch (error) {
        failed(error)
      }
      again()
    }
    this.#members?.ready()
    again()
  }

  /** Takes and gives no further shard. Resolves when none moves. */
  async stop(): Promise<void> {
    this.#hasStopped = true
    await this.#moving
  }

  /** Gives one shard to the member that should have it, if that is ready; the next one after it. */
  async #giveOne(handOver: HandOver): Promise<void> {
    if (this.#moving !== undefined) return
    const own = misplaced(this.#folder.claim.shards, this.#folder.own, this.#seen())
    const next = own.find(
      ({ shard, member }) => handOver.mayGive(shard) && this.#members?.isReady(member, steadyMs),
    )
    if (!next) return
    this.#moving = handOver.give(next.shard, next.member)
    const isGiven = await this.#moving
    this.#moving = undefined
    if (isGiven) this.#look([0])
  }
}
