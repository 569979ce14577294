/**
 * Waits for a name: until a process has it, the time is up, a signal aborts, or the waiting process
 * ends. A registration wakes the waits of its place; nothing looks again by itself. A wait that is
 * over leaves no trace.
 */
import type { HeapEntry, TimerHeap } from '../queues/timer-heap.ts'
import type { HolderWait } from '../words/address.ts'

/** The parts of a System that end waits. */
export interface WaitLimits {
  readonly timers: TimerHeap
  readonly aborts: { add(signal: AbortSignal, onAbort: () => void): () => void }
}

class NameWait implements HeapEntry, HolderWait {
  dueAt = 0
  order = 0
  slot = -1
  readonly left: Promise<number | undefined>
  readonly isHeld: () => boolean
  readonly #timers: TimerHeap
  readonly #onOver: () => void
  #resolve!: (left: number | undefined) => void
  #reject!: (error: unknown) => void

  constructor(timers: TimerHeap, ms: number, isHeld: () => boolean, onOver: () => void) {
    this.isHeld = isHeld
    this.#timers = timers
    this.#onOver = onOver
    this.left = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    timers.add(this, ms)
  }

  /** A process has the name. A wait without a limit is in no heap. */
  held(): void {
    const left = this.#timers.left(this) ?? Number.POSITIVE_INFINITY
    this.#over()
    this.#resolve(Math.ceil(left))
  }

  fire(): void {
    this.#over()
    this.#resolve(undefined)
  }

  fail(error: unknown): void {
    this.#over()
    this.#reject(error)
  }

  #over(): void {
    this.#timers.remove(this)
    this.#onOver()
  }
}

/** The waits of one kind of names. A place is what a registration of the name knows too. */
export class NameWaits {
  readonly #limits: WaitLimits
  readonly #places = new Map<unknown, Set<NameWait>>()

  constructor(limits: WaitLimits) {
    this.#limits = limits
  }

  /** Waits at `place` until a registration there makes `isHeld` true. */
  add(
    place: unknown,
    isHeld: () => boolean,
    ms: number,
    signal: AbortSignal | undefined,
  ): HolderWait {
    const { timers, aborts } = this.#limits
    const waits = this.#places.get(place) ?? new Set()
    let unlisten = (): void => undefined
    const wait = new NameWait(timers, ms, isHeld, () => {
      unlisten()
      waits.delete(wait)
      if (waits.size === 0 && this.#places.get(place) === waits) this.#places.delete(place)
    })
    this.#places.set(place, waits.add(wait))
    if (signal !== undefined) unlisten = aborts.add(signal, () => wait.fail(signal.reason))
    return wait
  }

  /** How many wait at `place`. */
  count(place: unknown): number {
    return this.#places.get(place)?.size ?? 0
  }

  /** Ends the waits of such places, as if their time were up. */
  giveUp(isOver: (place: unknown) => boolean): void {
    for (const [place, waits] of [...this.#places])
      if (isOver(place)) for (const wait of [...waits]) wait.fire()
  }

  /** A process was registered at `place`. */
  registered(place: unknown): void {
    for (const wait of [...(this.#places.get(place) ?? [])]) if (wait.isHeld()) wait.held()
  }
}
