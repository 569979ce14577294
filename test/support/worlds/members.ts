/** Members of a cluster: machines around one simulated engine, on one virtual clock. */
import './loaded-members.ts'
import { onTestFinished } from 'vitest'
import { type VirtualClock, virtualClock } from '../../../src/clock.ts'
import type { App, StartOptions, StartProgress } from '../../../src/index.ts'
import { loadEngineStorage } from '../../../src/members/index.ts'
import { loadedOptions } from '../../../src/supervisors/index.ts'
import { silentLogger } from '../../../src/testing/index.ts'
import { SimulatedMachine } from '../../../src/testing/simulated/simulated-machine.ts'
import { SimulatedEngine, type SimulatedSession } from './simulated-engine.ts'

/** The lease of all members, in ms. */
export const leaseMs = 1_000
/** Requests take about 1 ms, and none is lost. */
const faults = { lostRequest: 0, lostAnswer: 0, late: 0, lateMs: 0, repeated: 0 }

/** Machines of several members around one engine. */
export class Members {
  readonly clock: VirtualClock = virtualClock()
  /** Another one is what an operator finds who lost the first one. */
  engine = this.newEngine()
  readonly #machines = new Map<string, SimulatedMachine>()
  /** The newest session of each member. */
  readonly sessions = new Map<string, SimulatedSession>()
  /** The features of logs that the builds of some members read. */
  readonly reads = new Map<string, number>()
  /** How some members reach the engine: as a wrong build would, for instance. */
  readonly connects = new Map<string, (cluster: string) => SimulatedSession>()
  /** The progress of all starts. */
  readonly steps: string[] = []

  newEngine(): SimulatedEngine {
    return new SimulatedEngine({ clock: this.clock, faults })
  }

  /** The machine of a member. It outlives the member's processes. */
  machine(member: string): SimulatedMachine {
    const machine = this.#machines.get(member) ?? new SimulatedMachine({ clock: this.clock })
    this.#machines.set(member, machine)
    return machine
  }

  /** Starts a member, and waits until it owns. */
  async start(member: string, more: Partial<StartOptions> = {}): Promise<App> {
    // That takes real time: none passes here.
    await loadEngineStorage()
    return this.during(this.begin(member, more))
  }

  /** Begins to start a member: others let time pass. */
  async begin(member: string, more: Partial<StartOptions> = {}): Promise<App> {
    const { cluster, ...options } = more
    const open = async ({ cluster }: { cluster: string }): Promise<SimulatedSession> => {
      const session = this.connects.get(member)?.(cluster) ?? this.engine.connect(cluster)
      this.sessions.set(member, session)
      return session
    }
    const engine = { description: 'simulated', open }
    const onProgress = ({ step, detail = '' }: StartProgress): void =>
      void this.steps.push(`${member}: ${step} ${detail}`.trim())
    const checked = await loadedOptions({
      ...{ dir: '/data', logger: silentLogger, onProgress },
      ...options,
      cluster: { name: 'c', member, engine, leaseMs, ...cluster },
    })
    const readsFeatures = this.reads.get(member) ?? 0
    const app = await this.machine(member).begin(checked, this.clock, { readsFeatures })
    onTestFinished(() => this.during(app.close().then(() => undefined)))
    return app
  }

  /** Lets time pass until `work` settles. */
  during<T>(work: Promise<T>, withinMs = 60_000): Promise<T> {
    return this.machine('any').during(work, { withinMs })
  }
}
