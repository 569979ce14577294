/**
 * The gate of a shard. Every write enters it before any byte is written, and leaves when its
 * outcome is known. The gate is first come, first served. It bounds the unfinished writes, and
 * holds writers back during a recovery, a pause, or while the overlay is full. It lives in the
 * `Shard` value, so that no actor's death opens or closes it.
 */
import type { Cancel, Clock } from '../../clock.ts'
import { type ErrorCode, KeelsonError } from '../../errors.ts'
import type { Allowance, Place, Weight } from './allowance.ts'
import { Admission, type Watch } from './gate-token.ts'

/** One write at the gate: its weight, and how long it may wait, in ms. */
export type Entry = Weight & {
  readonly whenFull: 'wait' | 'refuse'
  readonly deadlineMs: number
}

/** The bounds of a gate. The gates of an instance share `total`. */
export type GateLimits = {
  readonly bytesMax: number
  readonly commandsMax: number
  readonly total: Allowance
  readonly watch: Watch
}

/** The writes under way and their weight, and how many writers wait. */
export type GateLoad = {
  readonly entered: number
  readonly commands: number
  readonly bytes: number
  readonly waiting: number
}

type Waiting = {
  readonly entry: Entry
  readonly admit: () => void
  readonly refuse: (error: KeelsonError) => void
  readonly cancelDeadline: Cancel
}

/** A wait until each of these writers was admitted or refused. */
type Pass = { readonly left: Set<Waiting>; readonly resolve: () => void }

/** A wait until no write is inside while `holder` holds the gate. */
type Drain = { readonly holder: string; readonly end: (error?: KeelsonError) => void }

/** The gate of one shard. */
export class Gate {
  readonly #clock: Clock
  readonly #limits: GateLimits
  readonly #total: Allowance
  readonly #holds = new Set<string>()
  readonly #waiting = new Set<Waiting>()
  readonly #drains = new Set<Drain>()
  readonly #passes = new Set<Pass>()
  readonly #idle: (() => void)[] = []
  readonly #moving: (() => void)[] = []
  /** How many writes were refused so far, by code; without the groups that the log refused. */
  readonly refused = new Map<ErrorCode, number>()
  #entered = 0
  #bytes = 0
  #commands = 0
  #shut: KeelsonError | undefined

  constructor(clock: Clock, limits: GateLimits) {
    this.#clock = clock
    this.#limits = limits
    this.#total = limits.total
  }

  /** The writes under way and their weight, and how many writers wait. */
  get load(): GateLoad {
    return {
      entered: this.#entered,
      commands: this.#commands,
      bytes: this.#bytes,
      waiting: this.#waiting.size,
    }
  }

  /** The names of the holders of the gate. */
  get holds(): readonly string[] {
    return [...this.#holds]
  }

  /** Whether it admits no write: it is held, or shut. */
  get isHeld(): boolean {
    return this.#holds.size > 0 || this.#shut !== undefined
  }

  /**
   * Calls `admitted` with the entry: before it returns if there is room, else when the writer's
   * turn has come, synchronously, so that writes keep their order. An admitted write leaves once,
   * by `leave` or with a `token`. A write larger than a bound is admitted alone. Or calls
   * `refused`: with `BUSY` (`whenFull: 'refuse'`), `NOT_SUBMITTED` (its deadline passed while it
   * waited), or the error that the gate was shut with.
   */
  enter<Asked extends Entry>(
    entry: Asked,
    admitted: (entry: Asked) => void,
    refused: (error: KeelsonError, entry: Asked) => void,
  ): void {
    if (this.#shut) {
      refused(this.counts(this.#shut), entry)
    } else if (this.#waiting.size === 0 && this.#fits(entry) && this.#fitsTotal(entry)) {
      this.#count(entry)
      admitted(entry)
    } else if (entry.whenFull === 'refuse') {
      refused(this.counts(this.#busy()), entry)
    } else {
      this.#wait(
        entry,
        () => admitted(entry),
        (error) => refused(error, entry),
      )
    }
  }

  /** Counts the refusal of a write, here or beside the gate, and returns it. */
  counts(refusal: KeelsonError): KeelsonError {
    this.refused.set(refusal.code, (this.refused.get(refusal.code) ?? 0) + 1)
    return refusal
  }

  /** An admitted write of this weight has ended. */
  leave(weight: Weight): void {
    this.#entered--
    this.#bytes -= weight.bytes
    this.#commands -= weight.commands
    this.#total.give(weight)
    if (this.#waiting.size > 0) this.#admitWaiting()
    if (this.#entered > 0) return
    for (const resolve of this.#idle.splice(0)) resolve()
    for (const drain of this.#drains) drain.end()
  }

  /**
   * A token for an admitted write of this weight. Giving it back is the write's `leave`; it can
   * belong to a process.
   */
  token(weight: Weight): Admission {
    return new Admission(weight, this.#limits.watch, this.#giveBack)
  }

  /** Whether it made this token. */
  hasMade(token: Admission): boolean {
    return token.isOf(this.#giveBack)
  }

  /** Holds writers back until `release(holder)`. A second hold of one holder changes nothing. */
  hold(holder: string): void {
    this.#holds.add(holder)
    // The writers here wait for this hold now, and must not delay those of other shards.
    this.#total.unqueue(this.#place)
  }

  /**
   * Ends one holder's hold. Writers move when the last hold has ended. False if it held nothing.
   */
  release(holder: string): boolean {
    if (!this.#holds.delete(holder)) return false
    for (const drain of this.#drains) if (drain.holder === holder) drain.end(released(holder))
    this.#admitWaiting()
    if (this.#holds.size === 0) for (const resolve of this.#moving.splice(0)) resolve()
    return true
  }

  /** Resolves when the last hold has ended. */
  moving(): Promise<void> {
    return this.#holds.size === 0
      ? Promise.resolve()
      : new Promise((resolve) => this.#moving.push(resolve))
  }

  /**
   * Resolves when no write is inside while `holder` holds the gate: none enters until it releases
   * it.
   * @throws KeelsonError `TIMEOUT`; `DISCARDED` if the hold has ended, or ends during the wait:
   * nothing is promised
   */
  drained(holder: string, deadlineMs: number): Promise<void> {
    if (!this.#holds.has(holder)) return Promise.reject(released(holder))
    if (this.#entered === 0) return Promise.resolve()
    return new Promise((resolve, reject) => {
      const drain: Drain = {
        holder,
        end: (error) => {
          this.#drains.delete(drain)
          cancel()
          if (error) reject(error)
          else resolve()
        },
      }
      const cancel = this.#clock.after(deadlineMs, () => drain.end(this.#undrained(deadlineMs)))
      this.#drains.add(drain)
    })
  }

  /** Refuses waiting and later writes with `error`, until `reopen`. */
  shut(error: KeelsonError): void {
    this.#shut = error
    for (const waiting of [...this.#waiting]) this.#dismiss(waiting, error)
    this.#total.unqueue(this.#place)
  }

  /** Ends `shut`. */
  reopen(): void {
    this.#shut = undefined
  }

  /** Resolves when every write that waits here now was admitted or refused. */
  passed(): Promise<void> {
    if (this.#waiting.size === 0) return Promise.resolve()
    return new Promise((resolve) => this.#passes.add({ left: new Set(this.#waiting), resolve }))
  }

  /** Resolves when no write is inside. */
  idle(): Promise<void> {
    return this.#entered === 0
      ? Promise.resolve()
      : new Promise((resolve) => this.#idle.push(resolve))
  }

  /** This gate's place in the line of all gates. Its turn admits the writers that wait here. */
  readonly #place: Place = () => this.#admitWaiting()

  readonly #giveBack = (admission: Admission): void => this.leave(admission)

  /** Whether the shard's own bounds and holds admit it. */
  #fits({ bytes, commands }: Weight): boolean {
    if (this.#holds.size > 0) return false
    const { bytesMax, commandsMax } = this.#limits
    return (
      this.#entered === 0 ||
      (this.#bytes + bytes <= bytesMax && this.#commands + commands <= commandsMax)
    )
  }

  #fitsTotal(entry: Entry): boolean {
    return this.#total.admits(this.#place, entry)
  }

  #count(weight: Weight): void {
    this.#entered++
    this.#bytes += weight.bytes
    this.#commands += weight.commands
    this.#total.take(weight)
  }

  #wait(entry: Entry, admit: Waiting['admit'], refuse: Waiting['refuse']): void {
    const { deadlineMs } = entry
    const waiting: Waiting = {
      entry,
      admit,
      refuse,
      cancelDeadline: this.#clock.after(deadlineMs, () =>
        this.#dismiss(waiting, this.#tooLate(deadlineMs)),
      ),
    }
    this.#waiting.add(waiting)
    this.#admitWaiting()
  }

  #admitWaiting(): void {
    for (const waiting of this.#waiting) {
      const { entry } = waiting
      if (this.#shut || !this.#fits(entry)) break
      if (!this.#fitsTotal(entry)) {
        this.#total.queue(this.#place)
        return
      }
      this.#count(entry)
      this.#forget(waiting)
      waiting.admit()
    }
    this.#total.unqueue(this.#place)
  }

  #dismiss(waiting: Waiting, error: KeelsonError): void {
    this.#forget(waiting)
    waiting.refuse(this.counts(error))
    // A large write at the head may have held back smaller ones after it.
    this.#admitWaiting()
  }

  #forget(waiting: Waiting): void {
    this.#waiting.delete(waiting)
    waiting.cancelDeadline()
    for (const pass of this.#passes) {
      pass.left.delete(waiting)
      if (pass.left.size > 0) continue
      this.#passes.delete(pass)
      pass.resolve()
    }
  }

  #busy(): KeelsonError {
    const { bytesMax, commandsMax } = this.#limits
    return new KeelsonError('BUSY', 'The shard takes no more writes at the moment.', {
      details: { ...this.load, bytesMax, commandsMax, holds: this.holds, total: this.#total.load },
    })
  }

  #tooLate(deadlineMs: number): KeelsonError {
    return new KeelsonError('NOT_SUBMITTED', 'The write waited at the gate past its deadline.', {
      details: { deadlineMs, ...this.load, holds: this.holds },
    })
  }

  #undrained(deadlineMs: number): KeelsonError {
    return new KeelsonError('TIMEOUT', 'What was under way has not ended in time.', {
      details: { deadlineMs, ...this.load },
    })
  }
}

const released = (holder: string): KeelsonError =>
  new KeelsonError('DISCARDED', 'The hold on the gate has ended: nothing is held back by it.', {
    details: { holder },
  })
