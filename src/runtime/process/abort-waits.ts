/**
 * Who waits until a signal aborts. However many calls share one signal, it has one listener of ours while any of them
 * waits: Node warns of a leak beyond ten, and a signal that lives as long as its program is shared by all its calls.
 */

interface Shared {
  readonly waits: Set<() => void>
  readonly listener: () => void
}

/** The waits of one System. */
export class AbortWaits {
  readonly #shared = new WeakMap<AbortSignal, Shared>()

  /** Calls `onAbort` when `signal`, which has not aborted yet, does; answers how to take that back. */
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
