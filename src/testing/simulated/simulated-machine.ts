/**
 * A machine in memory: a disk, a clock and the files of projections. Instances start on it and end,
 * and their files outlive them. They run the code of production; only threads are replaced, by
 * hosts that run in line. It is apart from `start-simulated.ts` because it outlives the instances
 * that start on it.
 */

import { type Clock, type VirtualClock, virtualClock } from '../../clock.ts'
import { KeelsonError } from '../../errors.ts'
import type { MemberPorts } from '../../members/index.ts'
import { noOptions } from '../../own-names.ts'
import {
  type BackupFolders,
  type BlobHost,
  cease,
  claimBackup,
  copyingShard,
  type Disk,
  type LogHost,
  type LogHostFactory,
  type Projections,
  refusing,
  type ShardCopier,
  type SnapshotHost,
  SnapshotWork,
  scanningTurns,
  type TurnScannerFactory,
} from '../../storage/index.ts'
import {
  type App,
  type CheckedOptions,
  loadedOptions,
  loadedStart,
  type Ports,
  type StartOptions,
} from '../../supervisors/index.ts'
import { inlineBlobHost, inlineLogHost } from './inline-host.ts'
import { type MemoryProjections, memoryProjections } from './memory-projection-store.ts'
import { type SimulatedDisk, type SimulatedDiskOptions, simulatedDisk } from './simulated-disk.ts'
import { SimulatedThread, type ThreadRole } from './simulated-thread.ts'

// Copies shards, writes backups and searches logs without a thread, for simulations, with a turn of the event loop
// after each step.

const loadMembers = () => import('../../members/index.ts')

/** Locks the folders of backups on a given disk; each answer comes after a turn of the clock. */
const inlineBackupFolders =
  (disk: Disk, clock: Clock): BackupFolders =>
  async (claim) => {
    const later = async <T>(work: () => T): Promise<T> => {
      await new Promise<void>((resolve) => clock.soon(resolve))
      return refusing(work)
    }
    const folder = await later(() => claimBackup(disk, claim))
    return {
      finish: (content) => later(() => folder.finish(content)),
      leave: () => later(() => folder.release()),
    }
  }

/** Makes a copier on a given disk and clock. */
const inlineShardCopier =
  (disk: Disk, clock: Clock): ShardCopier =>
  (request, signal, onProgress) =>
    inSteps(clock, copyingShard(disk, request), signal, onProgress)

/** The bytes that a search reads at once: little, because simulated logs are short. */
const scannedBytes = 8 * 1024

/** Makes scanners on a given disk and clock. */
const inlineTurnScanner =
  (disk: Disk, clock: Clock): TurnScannerFactory =>
  (signal) =>
  (request) =>
    inSteps(
      clock,
      scanningTurns(disk, request, () => false, scannedBytes),
      signal,
    )

const inSteps = async <P, T>(
  clock: Clock,
  steps: Generator<P, T>,
  signal: AbortSignal,
  onProgress?: (progress: P) => void,
): Promise<T> => {
  try {
    for (;;) {
      const step = refusing(() => steps.next())
      if (step.done) return step.value
      onProgress?.(step.value)
      await new Promise<void>((resolve) => clock.soon(resolve))
      if (signal.aborted) throw new KeelsonError('CLOSED', 'the work was ended')
    }
  } finally {
    cease(steps)
  }
}

/** How a machine begins. Times in virtual ms. */
export type MachineOptions = SimulatedDiskOptions & {
  /** The time of other machines too. By default it has its own. */
  readonly clock?: VirtualClock
  /** From a request to the log or the blobs to its answer; 1. May be changed later. */
  readonly syncMs?: number
  /** How long the end of a log takes, as when a thread waits for its disk; 0. */
  readonly endMs?: number
  /** Between two calls to the disk that make a spare segment in the background; 3. */
  readonly spareStepMs?: number
  /** Wraps the projections that instances open. */
  readonly around?: (projections: Projections) => Projections
  /** Makes the hosts of logs that an engine keeps, instead of logs on the disk. */
  readonly makeLogs?: (clock: Clock) => LogHostFactory
  /**
   * Called for each host that gets a thread: at which of its calls to the disk that thread dies;
   * `undefined`: at none.
   */
  readonly dyingAt?: (role: ThreadRole) => number | undefined
  /** Wraps the host of each log. */
  readonly aroundLog?: (host: LogHost) => LogHost
  /** Wraps each host of blobs. */
  readonly aroundBlobs?: (host: BlobHost, shard: number) => BlobHost
  /** Wraps each host of snapshots. */
  readonly aroundSnapshots?: (host: SnapshotHost, shard: number) => SnapshotHost
}

/** The most virtual ms without a timer that `during` skips in one step. */
const skippedMsMax = 20

/** A machine in memory, on which instances start and end. */
export class SimulatedMachine {
  readonly clock: VirtualClock
  readonly disk: SimulatedDisk
  readonly projections: MemoryProjections
  /**
   * From a request to the log or the blobs to its answer, in virtual ms. A large value is a slow
   * disk.
   */
  syncMs: number
  readonly #options: MachineOptions
  readonly #opened: Projections
  readonly #makeHost: LogHostFactory
  readonly #threads = new Set<SimulatedThread>()

  constructor(options: MachineOptions = noOptions) {
    const { seed = 1, syncMs = 1, around = (projections: Projections) => projections } = options
    this.clock = options.clock ?? virtualClock(seed)
    this.disk = simulatedDisk({ ...options, seed })
    const { clock, disk } = this
    this.projections = memoryProjections({
      seed,
      clock,
      process: () => disk.process,
    })
    this.syncMs = syncMs
    this.#options = options
    this.#makeHost = options.makeLogs?.(this.clock) ?? (() => this.#inlineLog())
    this.#opened = around(this.projections)
  }

  /**
   * Starts an instance. Time moves on until it has started or was refused; it stops while modules
   * load. Rejects as `start` does.
   */
  async start(options: StartOptions): Promise<App> {
    const begin = await loadedStart(await loadedOptions(options), loadMembers)
    return this.during(begin(this.#ports(this.clock)))
  }

  /**
   * The same with checked options, while others let time pass: a member may wait for its turn.
   * `clock`: that of its process. `more`: what members of one folder share, or the features of logs
   * that another build reads.
   */
  async begin(
    options: CheckedOptions,
    clock: Clock = this.clock,
    more: Pick<MemberPorts, 'folder' | 'readsFeatures'> = noOptions,
  ): Promise<App> {
    const begin = await loadedStart(options, loadMembers)
    return begin({ ...this.#ports(clock), ...more })
  }

  #ports(clock: Clock): Ports {
    const { disk } = this
    const { aroundLog = (host: LogHost) => host, makeLogs } = this.#options
    const { aroundSnapshots = (host: SnapshotHost) => host } = this.#options
    const { aroundBlobs = (host: BlobHost) => host } = this.#options
    const delayMs = (): number => this.syncMs
    const blobHost = (): BlobHost => {
      const thread = this.#started('blobs')
      return thread.host(inlineBlobHost({ disk: thread.disk, clock, delayMs }))
    }
    const snapshotHost = (): SnapshotHost => {
      const thread = this.#started('snapshots')
      const { projections } = this
      return thread.host(new SnapshotWork({ disk: thread.disk, clock, projections }))
    }
    return {
      disk,
      clock,
      makeHost: (shard) => aroundLog(this.#makeHost(shard)),
      ...(makeLogs && { cache: { cluster: 'simulated', engine: 'simulated' } }),
      projections: this.#opened,
      makeBlobHost: (shard) => aroundBlobs(blobHost(), shard),
      makeSnapshotHost: (shard) => aroundSnapshots(snapshotHost(), shard),
      claimBackup: inlineBackupFolders(disk, clock),
      copyShard: inlineShardCopier(disk, clock),
      makeScanner: inlineTurnScanner(disk, clock),
    }
  }

  #inlineLog(): LogHost {
    const { clock } = this
    const { endMs = 0, spareStepMs = 3 } = this.#options
    const thread = this.#started('log')
    const { disk } = thread
    const delayMs = (): number => this.syncMs
    return thread.host(inlineLogHost({ disk, clock, delayMs, endMs, spareStepMs }))
  }

  #started(role: ThreadRole): SimulatedThread {
    const thread = new SimulatedThread(this.disk, role)
    const call = this.#options.dyingAt?.(role)
    if (call !== undefined) thread.dieAt(call)
    for (const each of this.#threads) if (!each.isAlive) this.#threads.delete(each)
    this.#threads.add(thread)
    return thread
  }

  /** The threads of this role that have neither died nor ended. */
  threads(role: ThreadRole): readonly SimulatedThread[] {
    return [...this.#threads].filter((thread) => thread.role === role && thread.isAlive)
  }

  /**
   * Lets time pass until `work` settles, and settles as it does. Rejects `TIMEOUT` after `withinMs`
   * virtual ms, 60,000 by default.
   */
  async during<T>(
    work: T | PromiseLike<T>,
    { withinMs = 60_000 }: { readonly withinMs?: number | undefined } = noOptions,
  ): Promise<T> {
    let isSettled = false
    const mark = (): void => {
      isSettled = true
    }
    Promise.resolve(work).then(mark, mark)
    await this.clock.settle()
    for (let left = withinMs; !isSettled && left > 0; ) {
      // Work outside of the clock, such as the loading of a module, gets a turn of the event loop
      // with each step. So only what is empty before the next timer is skipped, and not at once.
      const empty = Math.floor(this.clock.untilNext() ?? 1)
      const step = Math.min(Math.max(empty, 1), skippedMsMax, left)
      await this.clock.advance(step)
      left -= step
    }
    if (!isSettled)
      throw new KeelsonError('TIMEOUT', `it has not settled within ${withinMs} virtual ms`, {
        details: { withinMs },
      })
    return work
  }
}
