/**
 * The gate of a shard: every write enters it before anything of it is written, and leaves when its outcome is known.
 * It is first come, first served; it bounds what is under way, and holds writers back while anybody holds the gate
 * (a recovering shard, a full overlay, a pause). It lives in the `Shard` value, so that no actor's death opens or closes it.
 */
import type { Cancel, Clock } from '../../clock.ts'
import { KeelsonError } from '../../errors.ts'
import { Admission, type Allowance, type Place, type Watch, type Weight } from './allowance.ts'

/** What one entry asks for. `bytes` and `commands` are what it counts; `deadlineMs` how long it may wait. */
export type Entry = Weight & {
  readonly whenFull: 'wait' | 'refuse'
  readonly deadlineMs: number
}

/** The bounds of a gate; `total` is shared by the gates of an instance. */
export type GateLimits = {
  readonly bytesMax: number
  readonly commandsMax: number
  readonly total: Allowance
  readonly watch: Watch
}

/** What is under way, and how many writers wait. */
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

/** A wait until none of these waits any more. */
type Pass = { readonly left: Set<Waiting>; readonly resolve: () => void }

/** A wait for the moment at which nothing is under way while `holder` holds the gate. */
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
  #entered = 0
  #bytes = 0
  #commands = 0
  #shut: KeelsonError | undefined

  constructor(clock: Clock, limits: GateLimits) {
    this.#clock = clock
    this.#limits = limits
    this.#total = limits.total
  }

  /** Writes under way, what they count, and writers that wait. */
  get load(): GateLoad {
    return {
      entered: this.#entered,
      commands: this.#commands,
      bytes: this.#bytes,
      waiting: this.#waiting.size,
    }
  }

  /** Who holds the gate. */
  get holds(): readonly string[] {
    return [...this.#holds]
  }

  /** Whether it lets nobody in: it is held, or shut. */
  get isHeld(): boolean {
    return this.#holds.size > 0 || this.#shut !== undefined
  }

  /**
   * Enters: calls `admitted` (with the entry, so that one function serves all) before it returns when there is room, else when the
   * writer's turn has come. Synchronously, so that writes go on in the order in which they came. Whoever was admitted leaves once, by
   * `leave` or with a `token`.
   * Or calls `refused`: `BUSY` (told to refuse), `NOT_SUBMITTED` (waited past its deadline), what the gate was shut with.
   * A write larger than a bound is admitted alone.
   */
  enter<Asked extends Entry>(
    entry: Asked,
    admitted: (entry: Asked) => void,
    refused: (error: KeelsonError, entry: Asked) => void,
  ): void {
    if (this.#shut) {
      refused(this.#shut, entry)
    } else if (this.#waiting.size === 0 && this.#fits(entry) && this.#fitsTotal(entry)) {
      this.#count(entry)
      admitted(entry)
    } else if (entry.whenFull === 'refuse') {
      refused(this.#busy(), entry)
    } else {
      this.#wait(
        entry,
        () => admitted(entry),
        (error) => refused(error, entry),
      )
    }
  }

  /** Who was admitted, and counts so much, has nothing under way any more. */
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

  /** A token for who was admitted, and counts so much: it leaves for him, and may be handed to a process. */
  token(weight: Weight): Admission {
    return new Admission(weight, this.#limits.watch, this.#giveBack)
  }

  /** Holds writers back until `release(holder)`. Held twice by one holder is held once. */
  hold(holder: string): void {
    this.#holds.add(holder)
    // Whoever waits here waits for this hold, and keeps no other shard's writers from their turn.
    this.#total.unqueue(this.#place)
  }

  /** Ends one holder's hold; the gate moves when the last has ended. False when it held nothing. */
  release(holder: string): boolean {
    if (!this.#holds.delete(holder)) return false
    for (const drain of this.#drains) if (drain.holder === holder) drain.end(released(holder))
    this.#admitWaiting()
    if (this.#holds.size === 0) for (const resolve of this.#moving.splice(0)) resolve()
    return true
  }

  /** Resolves when nobody holds the gate. */
  moving(): Promise<void> {
    return this.#holds.size === 0
      ? Promise.resolve()
      : new Promise((resolve) => this.#moving.push(resolve))
  }

  /**
   * Resolves once nothing is under way while `holder` holds the gate, so that nothing will be until it lets go.
   * @throws KeelsonError `TIMEOUT`; `DISCARDED` when the hold has ended, or ends meanwhile: then nothing is promised
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

  /** Refuses everybody who waits and everybody who comes, with `error`, until `reopen`. */
  shut(error: KeelsonError): void {
    this.#shut = error
    for (const waiting of [...this.#waiting]) this.#dismiss(waiting, error)
    this.#total.unqueue(this.#place)
  }

  /** Ends `shut`. */
  reopen(): void {
    this.#shut = undefined
  }

  /** Resolves when every write that waits here now was let in or refused. */
  passed(): Promise<void> {
    if (this.#waiting.size === 0) return Promise.resolve()
    return new Promise((resolve) => this.#passes.add({ left: new Set(this.#waiting), resolve }))
  }

  /** Resolves when no write is under way. */
  idle(): Promise<void> {
    return this.#entered === 0
      ? Promise.resolve()
      : new Promise((resolve) => this.#idle.push(resolve))
  }

  /** This gate's place in the line of all: its turn lets in who waits here. */
  readonly #place: Place = () => this.#admitWaiting()

  readonly #giveBack = (admission: Admission): void => this.leave(admission)

  /** Whether the shard's own bounds and holds let it in. */
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
    waiting.refuse(error)
    // A large write at the head may have held back smaller ones behind it.
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
