/**
 * Keeps the lease of a member: carries out what `member-lease.ts` decides, one request after
 * another, and reports each change of the member's phase. A request without an answer prolongs
 * nothing, so the lease ends by itself when the engine is away.
 */
import type { Cancel, Clock } from '../../clock.ts'
import { isKeelsonError, KeelsonError } from '../../errors.ts'
import type { Directory, DirectoryView } from '../../storage/index.ts'
import {
  abandoned,
  afterLook,
  afterSet,
  closing,
  type LeasePhase,
  type LeaseState,
  type LeaseStep,
  type LeaseWords,
  leaseStart,
  type MemberAbout,
  nextStep,
  phaseAt,
  ready,
  toLook,
} from './member-lease.ts'

/** A member, and who hears of its phase. Its functions must not throw, unless they say so. */
export type LeaseKeeperOptions = {
  readonly directory: Directory
  readonly clock: Clock
  readonly member: string
  /** A member without a renewal for so long loses its lease, in ms. A standby waits for as long as the owner says. */
  readonly leaseMs: number
  /** Hears of each change. */
  readonly onChange: (phase: LeasePhase) => void
  /**
   * Hears whose lease it waits for, each time that this changes. That may be its own name, which an
   * earlier start holds. `undefined`: it waits for no lease, but has not read the logs yet.
   */
  readonly onWait?: ((member: string | undefined) => void) | undefined
  /** Gets each view of the directory. After a throw, as of `CORRUPT`, it looks again. */
  readonly onView?: ((view: DirectoryView) => void) | undefined
  /** Hears each failure but `CONFLICT`: a request without an answer, or that was refused; a throw of `onView`. */
  readonly onFailure?: ((error: unknown) => void) | undefined
  readonly about?: MemberAbout | undefined
  /** The features of logs that it reads, as bits. */
  readonly reads?: number | undefined
  /** It reads the logs before it owns, and `ready` is called then. */
  readonly readsFirst?: boolean | undefined
  /** It owns shards beside others, and not the instance. */
  readonly isSpread?: boolean | undefined
  /** The words of the member in its next renewal. */
  readonly says?: (() => LeaseWords) | undefined
}

/** A request without an answer is given up after this part of a lease. */
const answerPart = 0.2

/** The pause after a request that has failed, as a part of a lease. */
const pausePart = 0.02

/** The wait for the engine's answer when a lease is given back takes no longer, in ms. */
const releaseMsMax = 2_000

/** The lease of one start of a member. */
export class LeaseKeeper {
  readonly #options: LeaseKeeperOptions
  readonly #running: Promise<void>
  #state: LeaseState
  #announced: LeasePhase = 'standby'
  #waitsFor: string | undefined | null = null
  #ownsUntil = Number.NEGATIVE_INFINITY
  #failure: unknown
  #wake: () => void = () => undefined
  #leaseEnd: Cancel = () => undefined

  /** Begins to take the lease. If the name is held, it waits until that lease ends. */
  constructor(options: LeaseKeeperOptions) {
    const { clock, member, leaseMs, about, reads, readsFirst, isSpread } = options
    const incarnation = Buffer.from(clock.randomBytes(8)).toString('hex')
    this.#options = options
    this.#state = leaseStart({ member, incarnation, leaseMs, about, reads, readsFirst, isSpread })
    this.#running = this.#run()
  }

  /** The name of this start of the member. */
  get incarnation(): string {
    return this.#state.incarnation
  }

  /** Whether the member owns the instance at this moment. Callers ask before each read and effect. */
  get isOwner(): boolean {
    return this.#now < this.#ownsUntil
  }

  /** How long it owns without a renewal, in ms. */
  get leftMs(): number {
    return Math.max(0, this.#ownsUntil - this.#now)
  }

  /** The phase at this moment. */
  get phase(): LeasePhase {
    return phaseAt(this.#state, this.#now).phase
  }

  /** How many owners the instance has had, with the present one. */
  get epoch(): number {
    return phaseAt(this.#state, this.#now).epoch
  }

  /** Why the last request was not answered, or was refused; `undefined` after a success. */
  get failure(): unknown {
    return this.#failure
  }

  /** Whether this start of the member wrote the entry under the member's name, by the last view. */
  get holdsName(): boolean {
    return this.#state.holds
  }

  /** The member has read the logs. */
  ready(): void {
    this.#changed(ready(this.#state))
    this.#wake()
  }

  /**
   * Ends the ownership at once, and resolves when the lease is given back, so that a standby need
   * not wait for its end. An engine that does not answer in time holds nobody up: the lease ends by
   * itself.
   */
  async close(): Promise<void> {
    const { clock, leaseMs } = this.#options
    this.#changed(closing(this.#state))
    this.#wake()
    const late = new Promise<void>((resolve) => {
      const giveUp = clock.after(Math.min(answerPart * leaseMs, releaseMsMax), () => {
        this.#changed(abandoned(this.#state))
        this.#wake()
        resolve()
      })
      void this.#running.then(giveUp)
    })
    await Promise.race([this.#running, late])
  }

  get #now(): number {
    return this.#options.clock.monotonic()
  }

  async #run(): Promise<void> {
    for (;;) {
      const { says = () => ({}) } = this.#options
      this.#state = { ...this.#state, says: says() }
      const step = nextStep(this.#state, this.#now)
      if (step.kind === 'end') return this.#changed(this.#state)
      if (step.kind === 'wait') {
        this.#waits(step.member)
        await this.#rest(step.until - this.#now, step.after)
      } else await this.#carryOut(step)
    }
  }

  async #carryOut(step: Exclude<LeaseStep, { kind: 'wait' | 'end' }>): Promise<void> {
    const { directory } = this.#options
    const sentAt = this.#now
    try {
      if (step.kind === 'look') {
        const view = await this.#answered(directory.view())
        this.#failure = undefined
        this.#changed(afterLook(this.#state, view, this.#now))
        this.#options.onView?.(view)
        return
      }
      const revision = await this.#answered(directory.set(step.name, step.revision, step.value))
      this.#failure = undefined
      this.#changed(afterSet(this.#state, step, revision, sentAt, this.#now))
    } catch (error) {
      this.#changed(toLook(this.#state))
      if (isKeelsonError(error, 'CONFLICT')) return
      this.#failure = error
      this.#options.onFailure?.(error)
      await this.#rest(pausePart * this.#options.leaseMs)
    }
  }

  /** The answer, if it comes in time. */
  #answered<T>(answer: Promise<T>): Promise<T> {
    const { clock, leaseMs } = this.#options
    return new Promise<T>((resolve, reject) => {
      const cancel = clock.after(
        answerPart * leaseMs,
        () => reject(new KeelsonError('UNKNOWN_OUTCOME', 'the engine gave no answer')),
        { holdsProcess: false },
      )
      answer.then(resolve, reject).finally(cancel)
    })
  }

  /** Waits for `ms`, for a change of the directory after a revision, or for `close` or `ready`. */
  #rest(ms: number, after?: number): Promise<void> {
    const { clock, directory } = this.#options
    return new Promise((resolve) => {
      const ended = new AbortController()
      const wake = (): void => {
        cancel()
        ended.abort()
        resolve()
      }
      const cancel = clock.after(ms, wake, { holdsProcess: false })
      this.#wake = wake
      if (after === undefined) return
      const look = (): void => {
        if (ended.signal.aborted) return
        this.#changed(toLook(this.#state))
        wake()
      }
      // If the wait for a change fails, the time alone ends the rest.
      directory.moved(after, ended.signal).then(look, () => undefined)
    })
  }

  #waits(member: string | undefined): void {
    const isNew = member !== this.#waitsFor
    this.#waitsFor = member
    if (isNew && this.phase === 'standby') this.#options.onWait?.(member)
  }

  /** Takes the new knowledge, and reports the phase now and when the lease ends. */
  #changed(state: LeaseState): void {
    const { clock, onChange } = this.#options
    this.#state = state
    this.#leaseEnd()
    const { phase } = this
    this.#ownsUntil = phase === 'owner' ? state.validUntil : Number.NEGATIVE_INFINITY
    if (phase === 'owner')
      this.#leaseEnd = clock.after(state.validUntil - this.#now, () => this.#changed(this.#state), {
        holdsProcess: false,
      })
    if (phase === this.#announced) return
    this.#announced = phase
    onChange(phase)
  }
}
