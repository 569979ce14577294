/**
 * A door between a thread's work and the end of the process. Node cuts threads short when the process ends; a thread that is
 * within an LMDB transaction then would never end, nor the process (`lmdb-environment.ts`). So the thread says when it is
 * inside, and `process.exit` waits until it is out, and lets it in no more.
 *
 * It does not help against what gives no notice: a thread that runs out of memory while it is inside.
 */

/** Where the thread is. `shut`: it may not go in any more. */
const states = { outside: 0, inside: 1, shut: 2 } as const

/** Slots of the shared memory: the state, and whether the thread has come out of a gate that was shut behind it. */
const slots = { state: 0, left: 1 } as const

/** The memory that both sides of a gate share. */
export const gateMemory = (): SharedArrayBuffer => new SharedArrayBuffer(8)

/** The thread's side: `work` inside; when the gate is shut, it waits here for its end. */
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

/** Shuts the gate for good; returns when the thread is outside. */
export const shutGate = (memory: SharedArrayBuffer): void => {
  const words = new Int32Array(memory)
  if (Atomics.exchange(words, slots.state, states.shut) === states.inside)
    Atomics.wait(words, slots.left, 0)
}

/**
 * Node 20 aborts (an assertion in `ForIsolate`) when it cuts a thread short while V8 compiles for it in the background, as it does
 * in a thread's first tenths of a second. A thread that has come to rest asks for no more of that, and what was asked for has ended
 * after so many ms: 3 of 120 such exits were aborted without this pause, none of 200 with it.
 */
const restMs = 100

const pause = (ms: number): void => {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}

/**
 * The gates that are shut when the process ends: one listener for all of them, while there are any. Node warns of a leak
 * when an event has more listeners than it expects; each of these is expected.
 */
export class ExitGates {
  readonly #memories = new Set<SharedArrayBuffer>()
  readonly #shut = (): void => {
    for (const memory of this.#memories) shutGate(memory)
    pause(restMs)
  }

  /** From now on the process does not end while the thread behind this gate is inside. */
  add(memory: SharedArrayBuffer): void {
    if (this.#memories.size === 0) {
      expectListeners(1)
      process.prependListener('exit', this.#shut)
    }
    this.#memories.add(memory)
  }

  /** The thread behind this gate has ended. */
  remove(memory: SharedArrayBuffer): void {
    if (!this.#memories.delete(memory) || this.#memories.size > 0) return
    process.removeListener('exit', this.#shut)
    expectListeners(-1)
  }
}

/** 0 is without limit, and stays so. */
const expectListeners = (more: number): void => {
  const max = process.getMaxListeners()
  if (max > 0) process.setMaxListeners(max + more)
}
