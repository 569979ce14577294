/**
 * Waits for an abort signal. Any number of calls that share one signal have one listener together,
 * because Node warns of a leak beyond ten and all calls of a program may share a signal.
 */

interface Shared {
  readonly waits: Set<() => void>
  readonly listener: () => void
}

/** The waits of one System. */
export class AbortWaits {
  readonly #shared = new WeakMap<AbortSignal, Shared>()

  /**
   * Calls `onAbort` when `signal` aborts; it has not aborted yet. Returns a function that cancels
   * this.
   */
  add(signal: AbortSignal, onAbort: () => void): () => void {
    const shared = this.#shared.get(signal) ?? this.#listen(signal)
    shared.waits.add(onAbort)
    return () => {
      shared.waits.delete(onAbort)
      if (shared.waits.size > 0 || this.#shared.get(signal) !== shared) return
      this.#shared.delete(signal)
      signal.removeEventListener('abort', shared.listener)
    }
  }

  #listen(signal: AbortSignal): Shared {
    const waits = new Set<() => void>()
    const listener = (): void => {
      this.#shared.delete(signal)
      for (const onAbort of [...waits]) onAbort()
    }
    const shared = { waits, listener }
    this.#shared.set(signal, shared)
    signal.addEventListener('abort', listener, { once: true })
    return shared
  }
}
