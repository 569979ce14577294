/**
 * One process of a member: the production code over a simulated machine, on a clock of its own. It can stop as a whole, lose its
 * connections for a while, and die at any moment. What its connections send and get is witnessed.
 */
import type { Clock } from '../../../src/clock.ts'
import type { App, StartOptions } from '../../../src/index.ts'
import { createSystem } from '../../../src/runtime/index.ts'
import type {
  EngineFiles,
  EngineGroup,
  EngineLog,
  EngineSession,
} from '../../../src/storage/index.ts'
import { loadedOptions } from '../../../src/supervisors/index.ts'
import { silentLogger } from '../../../src/testing/index.ts'
import type { SimulatedMachine } from '../../../src/testing/simulated/simulated-machine.ts'
import { type Misreading, misread } from './misreadings.ts'
import { ProcessClock } from './process-clock.ts'
import type { SimulatedEngine, SimulatedSession } from './simulated-engine.ts'

/** Who hears of the requests of a process. */
export type ProcessWitness = {
  /** Returns the epoch of the log at this moment. */
  sends(process: MemberProcess, log: string, group: EngineGroup): number
  acknowledged(process: MemberProcess, log: string, group: EngineGroup, epochThen: number): void
  /** It asks the log to name a snapshot. `isReadBack`: it has read it to its end. */
  names(process: MemberProcess, file: string, isReadBack: boolean): void
}

/** How a process begins. */
export type MemberProcessOptions = {
  readonly name: string
  readonly machine: SimulatedMachine
  readonly engine: SimulatedEngine
  readonly base: Clock
  /** How fast its clock runs. */
  readonly rate: number
  /** How far its wall clock is ahead, in ms. */
  readonly aheadMs: number
  readonly leaseMs: number
  readonly seed: number
  readonly witness: ProcessWitness
}

/** One process of a member. */
export class MemberProcess {
  readonly name: string
  readonly clock: ProcessClock
  readonly machine: SimulatedMachine
  readonly #options: MemberProcessOptions
  readonly #sessions = new Set<SimulatedSession>()
  readonly #readBack = new Set<string>()
  /** The logs of which it knows what the engine has lost. */
  lost: ReadonlySet<string> = new Set()
  /** What it makes of the engine's answers. */
  misreading: Misreading | undefined
  /** Whether it has ever misread one: it refuses to start then. */
  hasMisread = false
  #cutFrom = 0
  #cutUntil = 0

  constructor(options: MemberProcessOptions) {
    this.#options = options
    this.name = options.name
    this.machine = options.machine
    this.clock = new ProcessClock(options.base, options.rate, options.aheadMs)
  }

  get isAlive(): boolean {
    return this.clock.isAlive
  }

  /** Nothing of the engine reaches it since then. */
  get cutSince(): number | undefined {
    return this.#options.base.monotonic() < this.#cutUntil ? this.#cutFrom : undefined
  }

  /** Starts the instance. Resolves when this member owns it. */
  async start(options: Partial<StartOptions>): Promise<App> {
    const { name: member, machine, leaseMs, seed } = this.#options
    const { clock } = this
    const engine = { description: 'simulated', open: async () => this.#connected() }
    const loaded = await loadedOptions({
      dir: '/data',
      system: createSystem({ clock, logger: silentLogger, seed }),
      ...options,
      cluster: { name: 'c', member, engine, leaseMs },
    })
    return machine.begin(loaded, clock)
  }

  /** Nothing leaves it for the engine, and nothing reaches it. */
  cut(ms: number): void {
    const now = this.#options.base.monotonic()
    if (now >= this.#cutUntil) this.#cutFrom = now
    this.#cutUntil = Math.max(this.#cutUntil, now + ms)
    for (const session of this.#sessions) session.pause(this.#cutUntil - now)
  }

  /** Nothing runs in it, and its connections stop. */
  stop(ms: number): void {
    this.clock.stop(ms)
    this.cut(ms)
  }

  /** What it has sent may still arrive. */
  die(): void {
    this.clock.isAlive = false
    for (const session of this.#sessions) void session.close()
  }

  #connected(): EngineSession {
    const { engine, base } = this.#options
    const session = misread(engine.connect('c'), () => this.misreading)
    this.#sessions.add(session)
    session.pause(this.#cutUntil - base.monotonic())
    const { directory, files } = session
    return {
      log: (name) => this.#witnessedLog(name, session.log(name)),
      directory: this.#ownCalls(directory),
      files: this.#witnessedFiles(this.#ownCalls(files)),
      now: this.#ownCalls({ now: () => session.now() }).now,
      close: () => {
        this.#sessions.delete(session)
        return session.close()
      },
    }
  }

  #witnessedLog(name: string, log: EngineLog): EngineLog {
    const { witness } = this.#options
    const own = this.#ownCalls(log)
    return {
      ...own,
      append: async (group, features) => {
        const epoch = witness.sends(this, name, group)
        await own.append(group, features)
        witness.acknowledged(this, name, group, epoch)
      },
      name: (epoch, snapshot) => {
        witness.names(this, snapshot.file, this.#readBack.has(`shard-${name}/${snapshot.file}`))
        return own.name(epoch, snapshot)
      },
    }
  }

  #witnessedFiles(files: EngineFiles): EngineFiles {
    const { engine } = this.#options
    const readBack = this.#readBack
    return {
      ...files,
      async *read(name, from, to) {
        yield* files.read(name, from, to)
        if (!engine.damagesFiles) readBack.add(name)
      },
    }
  }

  /** Calls that are answered only while the process lives. */
  #ownCalls<T extends object>(port: T): T {
    const entries = Object.entries(port).map(([name, call]) => [
      name,
      (...parameters: unknown[]) => {
        const answer = call(...parameters)
        if (!(answer instanceof Promise)) return answer
        return new Promise((resolve, reject) => {
          answer.then(
            (value) => this.isAlive && resolve(value),
            (error) => this.isAlive && reject(error),
          )
        })
      },
    ])
    return Object.fromEntries(entries) as T
  }
}
