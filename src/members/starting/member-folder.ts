/**
 * A data folder that this process shares with other members: the lock of the folder, shared, a lock
 * for itself in `members`, and the locks of its shards. It is apart from
 * `folder-member.ts`, which makes the folder and starts on it.
 */
import { join } from 'node:path'
import type { Clock } from '../../clock.ts'
import { configError, isKeelsonError, KeelsonError } from '../../errors.ts'
import {
  attempt,
  type DataFolderFacts,
  type Disk,
  type DiskLock,
  describeHolder,
  lockFileName,
  type MemberLocks,
  raiseFloor,
  readDataFolder,
  refuseSwap,
  refuseSwapped,
  refusing,
  shardFolder,
} from '../../storage/index.ts'
import {
  type FolderClaim,
  type FolderCluster,
  refuseOtherShards,
  waysToMore,
} from '../../supervisors/index.ts'
import type { Members } from '../links/members.ts'
import { WorkNotes } from '../placement/work-notes.ts'
import type { MemberDirectory } from '../sharing/member-directory.ts'

/** The folder of the members' locks, in the data folder. */
const membersName = 'members'

/**
 * The name of the lock that the member holds while it moves a shard. No member can have this name.
 */
const turnName = '~moves'

/** The folder to share, and the member. */
export type MemberRequest = {
  readonly disk: Disk
  readonly clock: Clock
  readonly dir: string
  readonly locks: MemberLocks
  readonly instance: string
  readonly cluster: FolderCluster
}

/** The folder as one member has it, until its claim is released. */
export class MemberFolder implements MemberDirectory {
  /** For the instance. */
  readonly claim: FolderClaim
  /** Identifies this start of the member: each start has a new value. */
  readonly incarnation: string
  readonly #request: MemberRequest
  readonly #holder: string
  readonly #root: DiskLock
  #own: DiskLock | undefined
  #notes: WorkNotes | undefined
  readonly #shards = new Map<number, DiskLock>()

  /**
   * Shares the folder; `undefined` if it is to be made.
   * @throws KeelsonError as `MemberLocks.share` and `readDataFolder`; `CONFIG` for another number of
   * shards than `shards`, for fewer shards than members, for a cache, and for a copy
   */
  static share(request: MemberRequest, shards: number | undefined): MemberFolder | undefined {
    return refusing(() => {
      const { disk, dir, locks, instance } = request
      refuseSwap(disk, dir)
      // Without a description there may be no folder, or none that members may share.
      if (readDataFolder(disk, dir).state !== 'sound') return undefined
      const root = locks.share(join(dir, lockFileName), describeHolder({ instance }))
      try {
        refuseSwap(disk, dir)
        const reading = readDataFolder(disk, dir)
        if (reading.state !== 'sound')
          throw new KeelsonError('CORRUPT', `${dir} has no description`)
        refuseSwapped(dir, reading.facts)
        refuseFolder(request, reading.facts, shards)
        const folder = new MemberFolder(request, reading.facts, root)
        folder.#enter()
        return folder
      } catch (error) {
        root.release()
        throw error
      }
    })
  }

  /** For `share`. */
  private constructor(request: MemberRequest, facts: DataFolderFacts, root: DiskLock) {
    const { clock, cluster, instance, dir } = request
    const incarnation = Buffer.from(clock.randomBytes(8)).toString('hex')
    this.incarnation = incarnation
    this.#request = request
    this.#root = root
    const { member, engine } = cluster
    const { parent } = engine
    this.#holder = describeHolder({
      instance,
      since: clock.now(),
      member,
      incarnation,
      ...(parent !== undefined && { parent }),
    })
    this.claim = {
      dir,
      shards: facts.shards,
      logs: facts.logs,
      leftovers: [],
      waits: false,
      isUnknown: false,
      isOutdated: false,
      instanceId: () => facts.instanceId,
      act: () => undefined,
      finish: () => undefined,
      undo: () => undefined,
      lockOf: (shard) => this.#shards.get(shard)?.identity,
      raise: (floors) => this.#raise(facts.logs, floors),
      release: () => this.#release(),
    }
  }

  /** Its notes of steps and alarms. */
  get notes(): WorkNotes {
    if (!this.#notes) throw new Error('a shared folder has notes')
    return this.#notes
  }

  /** The shards that this member has. */
  get own(): ReadonlySet<number> {
    return new Set(this.#shards.keys())
  }

  get shards(): number {
    return this.claim.shards
  }

  /** All members, and those of the others whose process lives. @throws DiskError */
  members(): { readonly members: readonly string[]; readonly alive: ReadonlySet<string> } {
    const { locks, cluster } = this.#request
    const { members } = cluster.engine
    const others = members.filter((member) => member !== cluster.member)
    const alive = others.filter((each) => locks.holder(this.#lockOf(each))?.fate === 'alive')
    return { members, alive: new Set(alive) }
  }

  linked(members: Members): void {
    for (const other of this.#request.cluster.engine.members) members.expect(other)
  }

  seemsFree(shard: number): boolean {
    const { locks } = this.#request
    return !this.#shards.has(shard) && locks.holder(this.#shardLock(shard))?.fate !== 'alive'
  }

  /**
   * Takes a shard, unless another process has it. True: this member has it from now on, and had it
   * not before. @throws DiskError if it cannot be taken
   */
  take(shard: number): boolean {
    if (this.#shards.has(shard)) return false
    const lock = this.#unlessHeld(this.#shardLock(shard))
    if (!lock) return false
    this.#shards.set(shard, lock)
    // Its owner may have ended under work of this shard. The shard is taken whether the notes can be
    // read or not.
    attempt(() => this.#notes?.look(this.members().alive))
    return true
  }

  turn(): DiskLock | undefined {
    const path = join(this.#request.dir, membersName, turnName)
    // To ask for a lock starts a process, and this is asked again and again.
    if (this.#request.locks.holder(path)?.fate === 'alive') return undefined
    return this.#unlessHeld(path)
  }

  give(shard: number): void {
    this.#shards.get(shard)?.release()
    this.#shards.delete(shard)
  }

  #shardLock(shard: number): string {
    return join(shardFolder(this.#request.dir, shard).wal, lockFileName)
  }

  #unlessHeld(path: string): DiskLock | undefined {
    try {
      return this.#request.locks.lock(path, this.#holder)
    } catch (error) {
      // Its process is ending: the threads of it may still write.
      if (isKeelsonError(error, 'LOCKED_DIR')) return undefined
      throw error
    }
  }

  #enter(): void {
    const { disk, dir, locks, cluster, clock } = this.#request
    const folder = join(dir, membersName)
    disk.makeFolder(folder)
    disk.syncFolder(dir)
    this.#own = locks.lock(this.#lockOf(cluster.member), this.#holder)
    this.#notes = new WorkNotes(disk, dir, clock, cluster.member, this.incarnation)
  }

  #lockOf(member: string): string {
    return join(this.#request.dir, membersName, member)
  }

  #raise(logs: readonly string[], floors: Parameters<FolderClaim['raise']>[0]): void {
    const { disk, dir } = this.#request
    for (const [shard, lock] of this.#shards) {
      const [walId, floor] = [logs[shard], floors[shard]]
      const folders = shardFolder(dir, shard)
      // If LOCK was removed by hand, the shard may have another owner.
      const isOurs = (): boolean => disk.identity(join(folders.wal, lockFileName)) === lock.identity
      // Whatever the disk does: the locks are released after this.
      attempt(() => {
        if (walId !== undefined && floor && isOurs())
          raiseFloor(disk, folders.floor, { walId, ...floor })
      })
    }
  }

  #release(): void {
    for (const lock of this.#shards.values()) lock.release()
    this.#shards.clear()
    this.#notes?.close()
    this.#own?.release()
    this.#root.release()
  }
}

/** @throws KeelsonError `CONFIG` */
const refuseFolder = (
  { dir, cluster }: MemberRequest,
  facts: DataFolderFacts,
  shards: number | undefined,
): void => {
  const { members } = cluster.engine
  refuseOtherShards(dir, facts.shards, shards)
  if (facts.shards < members.length)
    throw configError(
      'shards',
      `a folder with at least one for each of ${members.length} members; ${waysToMore(dir, 'N')}`,
      `${facts.shards} in ${dir}`,
    )
  if (facts.cache) throw configError('dir', 'a folder with logs, and not a cache', dir)
  if (facts.waits)
    throw configError('dir', 'no copy: start it once without members, with acts: true', dir)
}
