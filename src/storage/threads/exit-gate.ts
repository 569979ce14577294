/**
 * A gate between a thread's transactions and the end of the process. Node stops threads when the
 * process ends. A thread inside an LMDB transaction would then never end, and neither would the
 * process (`lmdb-environment.ts`). So the thread passes the gate for each transaction.
 * `process.exit` shuts the gate and waits until the thread is outside.
 *
 * The gate does not help a thread that runs out of memory inside a transaction.
 */

import type { Cancel } from '../../clock.ts'
import { onProcess } from '../../process-events.ts'

/** Where the thread is. `shut`: it may not enter again. */
const states = { outside: 0, inside: 1, shut: 2 } as const

/**
 * Words of the shared memory: the state, and whether the thread left a gate that was shut while it
 * was inside.
 */
const slots = { state: 0, left: 1 } as const

/** Makes the memory that both sides of a gate share. */
export const gateMemory = (): SharedArrayBuffer => new SharedArrayBuffer(8)

/**
 * The thread's side: runs `work` inside. If the gate is shut, the thread waits here until it is
 * stopped.
 */
export const insideGate = <T>(memory: SharedArrayBuffer, work: () => T): T => {
  const words = new Int32Array(memory)
  while (Atomics.compareExchange(words, slots.state, states.outside, states.inside) === states.shut)
    Atomics.wait(words, slots.state, states.shut)
  try {
    return work()
  } finally {
    if (
      Atomics.compareExchange(words, slots.state, states.inside, states.outside) === states.shut
    ) {
      Atomics.store(words, slots.left, 1)
      Atomics.notify(words, slots.left)
    }
  }
}

/** Shuts the gate for good. Returns once the thread is outside. */
const shutGate = (memory: SharedArrayBuffer): void => {
  const words = new Int32Array(memory)
  if (Atomics.exchange(words, slots.state, states.shut) === states.inside)
    Atomics.wait(words, slots.left, 0)
}

/**
 * Node 20 aborts (an assertion in `ForIsolate`) if it stops a thread while V8 compiles code for it
 * in the background. V8 does that in a thread's first tenths of a second. A waiting thread requests
 * no more compilation, and this pause in ms lets the rest finish. Without the pause 3 of 120 exits
 * aborted, with it none of 200.
 */
const compileMs = 100

const pause = (ms: number): void => {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}

/**
 * The gates that are shut when the process ends. All gates share one exit listener. It raises the
 * limit above which Node warns of a leak.
 */
export class ExitGates {
  readonly #memories = new Set<SharedArrayBuffer>()
  #forget: Cancel | undefined
  readonly #shut = (): void => {
    for (const memory of this.#memories) shutGate(memory)
    pause(compileMs)
  }

  /** Adds the gate of a thread: the process does not end while the thread is inside. */
  add(memory: SharedArrayBuffer): void {
    if (this.#memories.size === 0) {
      expectListeners(1)
      this.#forget = onProcess('exit', this.#shut, { isFirst: true })
    }
    this.#memories.add(memory)
  }

  /** Removes the gate of a thread that has ended. */
  remove(memory: SharedArrayBuffer): void {
    if (!this.#memories.delete(memory) || this.#memories.size > 0) return
    this.#forget?.()
    expectListeners(-1)
  }
}

/** Moves the limit by `more`; 0 means no limit. */
const expectListeners = (more: number): void => {
  const max = process.getMaxListeners()
  if (max > 0) process.setMaxListeners(max + more)
}
