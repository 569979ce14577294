/**
 * A simulated machine whose instances keep their logs in a simulated engine, with its faults. The machine's disk is a cache: it
 * may be emptied while no instance runs.
 */
import { isAway } from '../../../src/actors/log/log-failures.ts'
import { type Clock, seededRandom } from '../../../src/clock.ts'
import { EngineBlobs } from '../../../src/members/engine-files/engine-blobs.ts'
import { EngineSnapshots } from '../../../src/members/engine-files/engine-snapshots.ts'
import type { SnapshotUploads } from '../../../src/members/engine-log/log-files.ts'
import { ownedLogHost } from '../../../src/members/engine-log/owned-log-host.ts'
import type { Disk, EngineLog } from '../../../src/storage/index.ts'
import type { MachineOptions } from '../../../src/testing/simulated/simulated-machine.ts'
import { type EngineFaults, SimulatedEngine, type SimulatedSession } from './simulated-engine.ts'
import { type Machine, machine } from './simulated-instance.ts'

/** The uploads of a host whose snapshots are names without files. */
export const noUploads: SnapshotUploads = {
  upload: async () => undefined,
  tidy: async () => undefined,
}

/** How long a host waits for the engine, in ms. */
export const patienceMs = 5_000

/** A machine, and the engine of its logs. */
export type EngineMachine = Machine & {
  readonly engine: SimulatedEngine
  /** Nothing leaves the machine for the engine, and nothing reaches it, for `ms`. */
  readonly cutOff: (ms: number) => void
  /** Removes everything that the machine keeps. */
  readonly emptyCache: () => void
  /** Removes the snapshots that the machine keeps. */
  readonly emptySnapshots: () => void
  /** Removes every other segment of the blobs that the machine keeps. */
  readonly loseSegments: () => void
}

/** The machine of a life. With its logs in an engine, it may be cut off, and has no history. */
export type LifeMachine = Machine & Partial<Pick<EngineMachine, 'cutOff'>>

/** The faults of an engine that is busy, and far away. */
export const lossy: EngineFaults = {
  ...{ lostRequest: 0.02, lostAnswer: 0.05, repeated: 0.05 },
  ...{ late: 0.05, lateMs: 60 },
}

/** A machine with an engine of its own. When its disk halts or crashes, the process loses the engine, too. */
export const engineMachine = (
  options: MachineOptions & { readonly faults?: EngineFaults } = {},
): EngineMachine => {
  const { seed = 1, faults } = options
  let link: Link | undefined
  const linked = (clock: Clock): Link => {
    const engine = new SimulatedEngine({ clock, seed, ...(faults && { faults }) })
    link = new Link(engine)
    return link
  }
  const world = machine({
    ...options,
    makeLogs: (clock) => {
      const to = linked(clock)
      return (shard) => {
        const uploads = to.snapshotsOf(shard, world.disk, clock)
        const blobs = to.blobsOf(shard, world.disk, clock)
        return ownedLogHost({ log: to.logOf(shard), clock, patienceMs, uploads, blobs })
      }
    },
    aroundBlobs: (host, shard) => link?.blobsOf(shard, world.disk, world.clock).host(host) ?? host,
    aroundSnapshots: (host, shard) =>
      link?.snapshotsOf(shard, world.disk, world.clock).host(host) ?? host,
  })
  if (!link) throw new Error('a machine makes its logs at once')
  const { disk, projections } = world
  const to = link
  for (const end of ['halt', 'crash'] as const) {
    const ended = disk[end].bind(disk)
    disk[end] = (how?: object): void => {
      to.breaks()
      ended(how)
    }
  }
  return {
    ...world,
    engine: to.engine,
    // A start that found no engine changed nothing.
    async start(more) {
      for (;;) {
        try {
          return await world.start(more)
        } catch (error) {
          if (!isAway(error)) throw error
        }
      }
    },
    cutOff: (ms) => to.session.pause(ms),
    emptyCache: () => {
      for (let shard = 0; shard < shardsMax; shard++)
        projections.remove(`/data/shard-${shard}/lmdb`)
      if (disk.entry('/data')) disk.remove('/data')
    },
    emptySnapshots: () => {
      for (let shard = 0; shard < shardsMax; shard++)
        if (disk.entry(`/data/shard-${shard}`)) disk.remove(`/data/shard-${shard}/snapshot`)
    },
    loseSegments: () => {
      for (let shard = 0; shard < shardsMax; shard++) {
        const dir = `/data/shard-${shard}/blobs`
        const names = disk.entry(dir) ? disk.list(dir) : []
        for (const [at, name] of names.entries()) if (at % 2 === 0) disk.remove(`${dir}/${name}`)
      }
    },
  }
}

/**
 * A machine whose folder may be empty at each start, over a lossy engine. Its logs are trimmed all the time, behind snapshots
 * that the folder may lose.
 */
export const forgetfulMachine = (options: MachineOptions): EngineMachine => {
  const world = engineMachine({ ...options, faults: lossy })
  const random = seededRandom(options.seed ?? 1)
  return {
    ...world,
    start: (more) => {
      if (random() < 0.5) world.emptyCache()
      return world.start({ ...more, snapshot: { minLogBytes: 2_048, ratio: 0, ...more?.snapshot } })
    },
  }
}

const shardsMax = 8

/** The connections of a process to the engine. They outlive the hosts of its logs. */
class Link {
  session: SimulatedSession
  #logs = new Map<number, EngineLog>()
  #blobs = new Map<number, EngineBlobs>()
  readonly engine: SimulatedEngine

  constructor(engine: SimulatedEngine) {
    this.engine = engine
    this.session = engine.connect('c')
    for (let shard = 0; shard < shardsMax; shard++) engine.makeLog('c', `${shard}`)
  }

  logOf(shard: number): EngineLog {
    const log = this.#logs.get(shard) ?? this.session.log(`${shard}`)
    this.#logs.set(shard, log)
    return log
  }

  /** The shard's folder of snapshots, a cache of those in the engine. */
  snapshotsOf(shard: number, disk: Disk, clock: Clock): EngineSnapshots {
    const { files } = this.session
    const dir = `/data/shard-${shard}/snapshot`
    return new EngineSnapshots({ files, log: this.logOf(shard), disk, clock, shard, dir })
  }

  /** The shard's folder of blobs, a cache of those in the engine. */
  blobsOf(shard: number, disk: Disk, clock: Clock): EngineBlobs {
    const { files, directory } = this.session
    const dir = `/data/shard-${shard}/blobs`
    const parts = { files, directory, log: this.logOf(shard), disk, clock, shard, dir, patienceMs }
    const blobs = this.#blobs.get(shard) ?? new EngineBlobs(parts)
    this.#blobs.set(shard, blobs)
    return blobs
  }

  /** The process loses its connections. What it has sent may arrive. The next process has others. */
  breaks(): void {
    void this.session.close()
    this.session = this.engine.connect('c')
    this.#logs = new Map()
    this.#blobs = new Map()
  }
}
