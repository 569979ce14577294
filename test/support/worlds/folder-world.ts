/**
 * Members of one folder, each a whole instance, on one simulated disk and one virtual clock. The
 * locks and the links between them are simulated, the rest is the code of production.
 */
import { seededRandom, type VirtualClock } from '../../../src/clock.ts'
import { createSystem } from '../../../src/runtime/index.ts'
import type { DiskLock, MemberLocks } from '../../../src/storage/index.ts'
import {
  type App,
  folderEngine,
  loadedOptions,
  type StartOptions,
  treeNames,
} from '../../../src/supervisors/index.ts'
import { type SimulatedDisk, silentLogger } from '../../../src/testing/index.ts'
import {
  type MachineOptions,
  SimulatedMachine,
} from '../../../src/testing/simulated/simulated-machine.ts'
import { SimulatedLinks } from './simulated-links.ts'
import '../../../src/members/index.ts'

/** Locks of members on a simulated disk. */
export const simulatedLocks = (disk: SimulatedDisk): MemberLocks => {
  const held = new Set<string>()
  const shared = new Map<string, { readonly lock: DiskLock; count: number }>()
  const lock = (path: string, holder: string): DiskLock => {
    const taken = disk.lock(path, holder)
    held.add(path)
    const release = (): void => {
      held.delete(path)
      taken.release()
    }
    return { identity: taken.identity, release }
  }
  return {
    lock,
    share: (path, holder) => {
      const share = shared.get(path) ?? { lock: lock(path, holder), count: 0 }
      share.count++
      shared.set(path, share)
      const release = (): void => {
        if (--share.count > 0) return
        shared.delete(path)
        share.lock.release()
      }
      return { identity: share.lock.identity, release }
    },
    holder: (path) => ({ facts: {}, fate: held.has(path) ? 'alive' : 'dead' }),
  }
}

/** The locks of a process that is killed are free after its links, one after another, within this time, in ms. */
const dyingMs = 90

/** Members on one machine. Who makes one closes it. */
export class FolderWorld {
  /** Why a test about logs on the machine's disk, its clock, or members without leases cannot run. */
  static readonly noLogs: string | undefined = undefined
  readonly machine: SimulatedMachine
  readonly clock: VirtualClock
  readonly links: SimulatedLinks
  readonly #names: readonly string[]
  readonly #engine: { arrivalMs?: number }
  readonly locks: MemberLocks
  readonly #apps = new Map<string, App>()
  readonly #random: () => number
  /** The member whose process dies, and the locks that it still has. */
  #dying: { readonly member: string; readonly locks: Set<DiskLock> } | undefined

  constructor(
    names: readonly string[],
    links: { seed?: number; delayMs?: number } = {},
    engine: { arrivalMs?: number } = {},
    on: MachineOptions = {},
  ) {
    this.machine = new SimulatedMachine(on)
    this.clock = this.machine.clock
    this.locks = simulatedLocks(this.machine.disk)
    this.#random = seededRandom((links.seed ?? 1) ^ 0x10c5)
    this.#names = names
    this.#engine = engine
    this.links = new SimulatedLinks(this.clock, links)
  }

  /** Ends the members that run, in order. */
  async close(): Promise<void> {
    for (const app of this.#apps.values()) await this.during(app.close())
  }

  /** Starts members at one time. */
  async start(
    names: readonly string[] = this.#names,
    given: (member: string) => Partial<StartOptions> = () => ({}),
  ): Promise<readonly App[]> {
    const checked = await Promise.all(names.map((each) => this.#checked(each, given(each))))
    const { clock, machine } = this
    const begun = checked.map((options, at) => {
      const folder = {
        locks: this.#locksOf(names[at] as string),
        transport: (_: string, member: string) => this.links.transport(member),
      }
      return machine.begin(options, clock, { folder })
    })
    const apps = await this.during(Promise.all(begun))
    for (const [at, each] of names.entries()) this.#apps.set(each, apps[at] as App)
    // Until they are linked.
    await clock.advance(1_000)
    return apps
  }

  /** Ends a member in order. */
  async stop(member: string): Promise<void> {
    const app = this.#apps.get(member) as App
    this.#apps.delete(member)
    await this.during(app.close())
  }

  /**
   * Ends a member as a crash does: nothing is drained, and nobody is told. Its links have ended before its locks are free, which
   * the kernel frees one after another.
   */
  async kill(member: string): Promise<void> {
    const app = this.#apps.get(member) as App
    this.#apps.delete(member)
    const locks = new Set<DiskLock>()
    this.#dying = { member, locks }
    for (const other of this.#names) if (other !== member) this.links.part(member, other)
    app.system.kill(treeNames().root)
    await this.during(app.closed)
    this.#dying = undefined
    while (locks.size > 0) await this.clock.advance(1)
    this.links.heal()
  }

  /** The locks as the process of a member has them. */
  #locksOf(member: string): MemberLocks {
    const own = (lock: DiskLock): DiskLock => ({
      identity: lock.identity,
      release: () => this.#released(member, lock),
    })
    return {
      share: (...given) => own(this.locks.share(...given)),
      lock: (...given) => own(this.locks.lock(...given)),
      holder: (path) => this.locks.holder(path),
    }
  }

  #released(member: string, lock: DiskLock): void {
    const dying = this.#dying
    if (dying?.member !== member) {
      lock.release()
      return
    }
    dying.locks.add(lock)
    this.clock.after(dyingMs * this.#random(), () => {
      dying.locks.delete(lock)
      lock.release()
    })
  }

  /** Lets time pass until `work` settles. */
  during<T>(work: Promise<T>, withinMs?: number): Promise<T> {
    return this.machine.during(work, { withinMs })
  }

  #checked(member: string, given: Partial<StartOptions>): ReturnType<typeof loadedOptions> {
    const engine = folderEngine({ members: this.#names, ...this.#engine })
    const options = {
      ...{ dir: '/data', shards: 4, lmdb: { trickleMs: 0 }, wal: { maxFileSize: 256 * 1024 } },
      ...{ system: createSystem({ clock: this.clock, logger: silentLogger }), ...given },
      cluster: { name: 'shop', member, engine },
    }
    return loadedOptions(options as unknown as StartOptions)
  }
}
