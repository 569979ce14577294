/**
 * Members of an engine that share the shards, each a whole instance on another simulated machine, with
 * one virtual clock. The engine and the links between them are simulated, the rest is the code of production.
 */
import './loaded-members.ts'
import '../../../src/members/index.ts'
import type { VirtualClock } from '../../../src/clock.ts'
import { createSystem } from '../../../src/runtime/index.ts'
import type { MemberLocks } from '../../../src/storage/index.ts'
import { type App, loadedOptions, type StartOptions } from '../../../src/supervisors/index.ts'
import { silentLogger } from '../../../src/testing/index.ts'
import { SimulatedMachine } from '../../../src/testing/simulated/simulated-machine.ts'
import { unevenClock } from './nasty-machine.ts'
import { ProcessClock } from './process-clock.ts'
import { SimulatedEngine, type SimulatedSession } from './simulated-engine.ts'
import { SimulatedLinks } from './simulated-links.ts'

/** The lease of all members, in ms. */
export const leaseMs = 1_000
/** Requests take about 1 ms, and none is lost. */
const faults = { lostRequest: 0, lostAnswer: 0, late: 0, lateMs: 0, repeated: 0 }

/** One start of a member. */
type Process = {
  readonly clock: ProcessClock
  readonly sessions: SimulatedSession[]
  app: App | undefined
}

/** Machines of several members around one engine. Who makes them closes them. */
export class SpreadWorld {
  readonly clock: VirtualClock
  readonly engine: SimulatedEngine
  readonly links: SimulatedLinks
  /** The features of logs that the builds of some members read. */
  readonly reads = new Map<string, number>()
  readonly #names: readonly string[]
  readonly #copies: number
  readonly #machines = new Map<string, SimulatedMachine>()
  readonly #processes = new Map<string, Process>()

  constructor(
    names: readonly string[],
    given: { seed?: number; delayMs?: number; copies?: number; clock?: VirtualClock } = {},
  ) {
    const { seed = 1, copies = 1, clock = unevenClock(seed) } = given
    this.#copies = copies
    this.#names = names
    this.clock = clock
    this.engine = new SimulatedEngine({ clock: this.clock, seed, faults })
    this.links = new SimulatedLinks(this.clock, given)
  }

  /** Ends the members that run, in order. */
  async close(): Promise<void> {
    for (const { app } of this.#processes.values()) if (app) await this.during(app.close())
  }

  /** The machine of a member. It outlives the member's processes. */
  machineOf(member: string): SimulatedMachine {
    const machine = this.#machines.get(member) ?? new SimulatedMachine({ clock: this.clock })
    this.#machines.set(member, machine)
    return machine
  }

  /** Starts members at one time. They have had time to share the shards when this resolves. */
  async start(
    names: readonly string[] = this.#names,
    given: (member: string) => Partial<StartOptions> = () => ({}),
  ): Promise<readonly App[]> {
    const begun = names.map((member) => this.begin(member, given(member)))
    const apps = await this.during(Promise.all(begun))
    await this.clock.advance(6_000)
    return apps
  }

  /** Begins to start a member: others let time pass. */
  async begin(member: string, { cluster, ...given }: Partial<StartOptions> = {}): Promise<App> {
    const clock = new ProcessClock(this.clock, 1)
    const process: Process = { clock, sessions: [], app: undefined }
    const open = async ({ cluster: name }: { cluster: string }): Promise<SimulatedSession> => {
      const session = this.engine.connect(name)
      process.sessions.push(session)
      return session
    }
    const checked = await loadedOptions({
      ...{ dir: '/data', shards: 4, lmdb: { trickleMs: 0 } },
      ...{ system: createSystem({ clock, logger: silentLogger }), ...given },
      cluster: {
        ...{ name: 'shop', member, engine: { description: 'simulated', open }, leaseMs },
        ...{
          copies: this.#copies,
          placement: 'spread',
          listen: '10.0.0.1:7400',
          secret: 'x'.repeat(32),
        },
        ...cluster,
      },
    })
    this.#processes.set(member, process)
    const folder = {
      locks: {} as MemberLocks,
      transport: (_: string, name: string) => this.links.transport(name),
    }
    const readsFeatures = this.reads.get(member) ?? 0
    process.app = await this.machineOf(member).begin(checked, clock, { folder, readsFeatures })
    return process.app
  }

  /** Ends a member in order. */
  async stop(member: string): Promise<void> {
    await this.during((this.#ended(member).app as App).close())
  }

  /** Ends the process of a member: nothing is drained, nobody is told, and its lease stays. */
  kill(member: string): void {
    const { clock, sessions } = this.#ended(member)
    clock.isAlive = false
    for (const session of sessions) void session.close()
    for (const other of this.#names) if (other !== member) this.links.part(member, other)
    this.links.heal()
    this.leaveDisk(member)
  }

  /** Nothing runs in the process of a member for so long. Its connections stay. */
  pause(member: string, ms: number): void {
    const { clock, sessions } = this.#processes.get(member) as Process
    clock.stop(ms)
    for (const session of sessions) session.pause(ms)
    this.links.pause(member)
    this.clock.after(ms, () => this.links.resume(member))
  }

  /** The engine does not answer a member for so long, which goes on otherwise. */
  cutOff(member: string, ms: number): void {
    for (const session of (this.#processes.get(member) as Process).sessions) session.pause(ms)
  }

  /** Lets time pass until `work` settles. */
  during<T>(work: Promise<T>, withinMs = 60_000): Promise<T> {
    return this.machineOf('any').during(work, { withinMs })
  }

  /** A process has ended: its files are closed and its locks are free. */
  protected leaveDisk(member: string): void {
    this.machineOf(member).disk.killProcess()
  }

  #ended(member: string): Process {
    const process = this.#processes.get(member) as Process
    this.#processes.delete(member)
    return process
  }
}
