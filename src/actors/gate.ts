/**
 * The gate of a shard: every write enters it before anything of it is written, and leaves when its outcome is known.
 * It is first come, first served; it bounds the bytes under way, and holds writers back while anybody holds the gate
 * (a recovering shard, a full overlay, a suspension). It lives in the `Shard` value, so that no actor's death opens or closes it.
 */
import type { Cancel, Clock } from '../clock.ts'
import { KeelsonError } from '../errors.ts'

/** What one entry asks for. `cost` in bytes; `deadlineMs` how long it may wait. */
export type Entry = {
  readonly cost: number
  readonly whenFull: 'wait' | 'refuse'
  readonly deadlineMs: number
}

type Waiting = {
  readonly cost: number
  readonly admit: () => void
  readonly refuse: (error: KeelsonError) => void
  readonly cancelDeadline: Cancel
}

/** The gate of one shard. */
export class Gate {
  readonly #clock: Clock
  readonly #bytesMax: number
  readonly #holds = new Set<string>()
  readonly #waiting = new Set<Waiting>()
  readonly #idle: (() => void)[] = []
  readonly #moving: (() => void)[] = []
  #entered = 0
  #bytes = 0
  #shut: KeelsonError | undefined

  constructor(clock: Clock, bytesMax: number) {
    this.#clock = clock
    this.#bytesMax = bytesMax
  }

  /** Writes under way, the bytes they count, and writers that wait. */
  get load(): { readonly entered: number; readonly bytes: number; readonly waiting: number } {
    return { entered: this.#entered, bytes: this.#bytes, waiting: this.#waiting.size }
  }

  /** Who holds the gate. */
  get holds(): readonly string[] {
    return [...this.#holds]
  }

  /**
   * Enters: calls `admitted`, before it returns when there is room, else when the writer's turn has come. Synchronously,
   * so that writes go on in the order in which they came. Whoever was admitted calls `leave` with the same cost.
   * Or calls `refused`: `BUSY` (told to refuse), `NOT_SUBMITTED` (waited past its deadline), what the gate was shut with.
   * A write larger than the bound is admitted alone.
   */
  enter(entry: Entry, admitted: () => void, refused: (error: KeelsonError) => void): void {
    if (this.#shut) {
      refused(this.#shut)
    } else if (this.#waiting.size === 0 && this.#admits(entry.cost)) {
      this.#count(entry.cost)
      admitted()
    } else if (entry.whenFull === 'refuse') {
      refused(this.#busy())
    } else {
      this.#wait(entry, admitted, refused)
    }
  }

  /** Gives back what `enter` took. */
  leave(cost: number): void {
    this.#entered--
    this.#bytes -= cost
    this.#admitWaiting()
    if (this.#entered === 0) for (const resolve of this.#idle.splice(0)) resolve()
  }

  /** Holds writers back until `release(holder)`. Held twice by one holder is held once. */
  hold(holder: string): void {
    this.#holds.add(holder)
  }

  /** Ends one holder's hold; the gate moves when the last has ended. */
  release(holder: string): void {
    if (!this.#holds.delete(holder)) return
    this.#admitWaiting()
    if (this.#holds.size === 0) for (const resolve of this.#moving.splice(0)) resolve()
  }

  /** Resolves when nobody holds the gate. */
  moving(): Promise<void> {
    return this.#holds.size === 0
      ? Promise.resolve()
      : new Promise((resolve) => this.#moving.push(resolve))
  }

  /** Refuses everybody who waits and everybody who comes, with `error`, until `reopen`. */
  shut(error: KeelsonError): void {
    this.#shut = error
    for (const waiting of [...this.#waiting]) this.#dismiss(waiting, error)
  }

  /** Ends `shut`. */
  reopen(): void {
    this.#shut = undefined
  }

  /** Resolves when no write is under way. */
  idle(): Promise<void> {
    return this.#entered === 0
      ? Promise.resolve()
      : new Promise((resolve) => this.#idle.push(resolve))
  }

  #admits(cost: number): boolean {
    return this.#holds.size === 0 && (this.#entered === 0 || this.#bytes + cost <= this.#bytesMax)
  }

  #count(cost: number): void {
    this.#entered++
    this.#bytes += cost
  }

  #wait({ cost, deadlineMs }: Entry, admit: () => void, refuse: Waiting['refuse']): void {
    const waiting: Waiting = {
      cost,
      admit,
      refuse,
      cancelDeadline: this.#clock.after(deadlineMs, () =>
        this.#dismiss(waiting, this.#tooLate(deadlineMs)),
      ),
    }
    this.#waiting.add(waiting)
  }

  #admitWaiting(): void {
    if (this.#shut) return
    for (const waiting of this.#waiting) {
      if (!this.#admits(waiting.cost)) return
      this.#waiting.delete(waiting)
      waiting.cancelDeadline()
      this.#count(waiting.cost)
      waiting.admit()
    }
  }

  #dismiss(waiting: Waiting, error: KeelsonError): void {
    this.#waiting.delete(waiting)
    waiting.cancelDeadline()
    waiting.refuse(error)
    // A large write at the head may have held back smaller ones behind it.
    this.#admitWaiting()
  }

  #busy(): KeelsonError {
    return new KeelsonError('BUSY', 'The shard takes no more writes at the moment.', {
      details: { ...this.load, bytesMax: this.#bytesMax, holds: this.holds },
    })
  }

  #tooLate(deadlineMs: number): KeelsonError {
    return new KeelsonError('NOT_SUBMITTED', 'The write waited at the gate past its deadline.', {
      details: { deadlineMs, ...this.load, holds: this.holds },
    })
  }
}
