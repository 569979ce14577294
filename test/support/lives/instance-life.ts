/**
 * What lives of an instance on a simulated machine have in common: dice from one seed, rounds of a burst of writes with an event
 * beside it, and a power cut at any call to the disk. `JournalLife` and `SnapshotLife` say what happens and what must hold.
 */
import { seededRandom } from '../../../src/clock.ts'
import type { LogHost } from '../../../src/storage/index.ts'
import type { App } from '../../../src/supervisors/index.ts'
import type { MachineOptions } from '../../../src/testing/simulated/simulated-machine.ts'
import type { ThreadRole } from '../../../src/testing/simulated/simulated-thread.ts'
import { seldomDying, unevenClock } from '../worlds/nasty-machine.ts'
import { type Machine, machine } from '../worlds/simulated-instance.ts'

/** Makes the machine of a life. */
export type MakeMachine = (options: MachineOptions) => Machine

/** One machine, and the instances on it. */
export abstract class InstanceLife {
  protected readonly random: () => number
  protected readonly world: Machine
  /** Writes that have no answer yet. */
  protected readonly pending = new Set<Promise<void>>()
  protected app: App | undefined
  readonly #seldomDying: (role: ThreadRole) => number | undefined

  /** @param syncMs How long a sync takes: one of these. */
  constructor(seed: number, syncMs: readonly number[], make: MakeMachine = machine) {
    this.random = seededRandom(seed)
    const aroundLog = (host: LogHost): LogHost => this.aroundLog(host)
    const clock = unevenClock(seed)
    this.#seldomDying = seldomDying(seed, clock)
    const dyingAt = (role: ThreadRole): number | undefined => this.dyingAt(role)
    this.world = make({ seed, clock, syncMs: this.pick(syncMs), aroundLog, dyingAt })
  }

  /** What may happen beside a burst. */
  protected abstract readonly events: readonly (() => unknown)[]

  /** Many writes at once; resolves when each has its answer. */
  protected abstract burst(): Promise<void>

  /** The power goes, and comes back. */
  protected abstract crash(): Promise<void>

  /** Compares what the instance shows with what it may show. */
  protected abstract check(): void | Promise<void>

  /** The log of an instance, watched. */
  protected aroundLog(host: LogHost): LogHost {
    return host
  }

  /** At which of its calls to the disk a thread dies that starts now. */
  protected dyingAt(role: ThreadRole): number | undefined {
    return this.#seldomDying(role)
  }

  protected get running(): App {
    if (!this.app) throw new Error('no instance runs')
    return this.app
  }

  protected pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.random() * from.length)] as T
  }

  protected during<T>(work: Promise<T>): Promise<T> {
    return this.world.during(work, 300_000)
  }

  protected async liveThrough(rounds: number): Promise<void> {
    for (let round = 0; round < rounds; round++) {
      const busy = this.burst()
      await this.pick(this.events)()
      await this.during(busy)
      await this.world.clock.advance(this.pick([1, 20, 700]))
      if (this.running.shards.some(({ phase }) => phase.kind !== 'open')) await this.crash()
      else await this.check()
    }
  }

  /** `work` is pending until it has settled. */
  protected issue(work: Promise<void>): void {
    this.pending.add(work)
    work.finally(() => this.pending.delete(work)).catch(() => undefined)
  }

  /** The power goes at the `call`th call to the disk while `act` runs, or after one of `restsMs`. */
  protected async crashDuring(
    call: number,
    act: () => Promise<unknown>,
    restsMs: readonly number[],
  ): Promise<void> {
    this.world.disk.inject({ at: call, fault: { kind: 'halt' } })
    const work = act().catch(() => undefined)
    await this.world.clock.advance(this.pick(restsMs))
    await this.crash()
    await this.during(work)
  }
}
