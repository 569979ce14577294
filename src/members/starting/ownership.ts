/**
 * The ownership of an instance by this process. A lease says whether it may try to write, and may
 * answer reads; the logs decide who writes. It ends once: when the lease was given back, or when
 * another member has ended it.
 */
import { KeelsonError } from '../../errors.ts'
import type { EngineStorage } from '../cluster/engine-loading.ts'
import type { LeaseKeeperOptions } from '../leases/lease-keeper.ts'
import type { LeasePhase } from '../leases/member-lease.ts'

/** The lease of one start of a member, and who waits for it. */
export class Ownership {
  readonly #keeper: InstanceType<EngineStorage['LeaseKeeper']>
  readonly #clock: LeaseKeeperOptions['clock']
  #since: number
  readonly #waiting = new Set<() => void>()
  readonly #listeners = new Set<(phase: LeasePhase) => void>()

  constructor(storage: EngineStorage, options: Omit<LeaseKeeperOptions, 'onChange'>) {
    this.#clock = options.clock
    this.#since = options.clock.now()
    this.#keeper = new storage.LeaseKeeper({
      ...options,
      onChange: (phase) => this.#changed(phase),
    })
  }

  /** Whether this process owns the instance at this moment. */
  get isOwner(): boolean {
    return this.#keeper.isOwner
  }

  /** `unsure`: it owned, and has not renewed its lease in time. */
  get phase(): LeasePhase {
    return this.#keeper.phase
  }

  /** The name of this start of the member. */
  get incarnation(): string {
    return this.#keeper.incarnation
  }

  /** When the phase began, in ms since 1970. */
  get since(): number {
    return this.#since
  }

  /** How long it owns without a renewal, in ms. */
  get leftMs(): number {
    return this.#keeper.leftMs
  }

  /** Why the engine did not serve the last request for the lease; `undefined` after an answer. */
  get failure(): unknown {
    return this.#keeper.failure
  }

  /** The number of owners that the instance has had, including this process. */
  get epoch(): number {
    return this.#keeper.epoch
  }

  /**
   * Resolves when this process owns the instance.
   * @throws KeelsonError `FENCED` when that has ended
   */
  async owned(): Promise<void> {
    while (!this.isOwner) {
      if (this.phase === 'ended') throw lostLease()
      await new Promise<void>((resolve) => this.#waiting.add(resolve))
    }
  }

  /** This process has read the logs: it may own. */
  ready(): void {
    this.#keeper.ready()
  }

  /** Hears of each change from now on. */
  listen(listener: (phase: LeasePhase) => void): void {
    this.#listeners.add(listener)
  }

  /** Gives the lease back, so that a standby need not wait for its end. Never rejects. */
  close(): Promise<void> {
    return this.#keeper.close()
  }

  #changed(phase: LeasePhase): void {
    this.#since = this.#clock.now()
    for (const resolve of this.#waiting) resolve()
    this.#waiting.clear()
    for (const listener of this.#listeners) listener(phase)
  }
}

/** The engine has not answered in time. */
export const lapsedLease = (): KeelsonError =>
  new KeelsonError('FENCED', 'the lease is not renewed: another member may own the instance')

/** Another member has the instance. */
export const lostLease = (): KeelsonError =>
  new KeelsonError('FENCED', 'the lease has ended: another member may own the instance')
