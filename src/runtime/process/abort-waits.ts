/**
 * Waits for an abort signal. Any number of calls that share one signal have one listener together,
 * because Node warns of a leak beyond ten and all calls of a program may share a signal.
 */

import type { Logger } from '../words/logger.ts'
import { callOutside } from '../words/outside-code.ts'

type Listener = ((event: unknown) => unknown) | { handleEvent(event: unknown): unknown }
type Listening = (type: string, listener: unknown, options?: unknown) => void

/**
 * Lets `failed` have what a listener of `signal` throws or rejects with. Node would end the program
 * by it, though the listener belongs to one process.
 */
export const guardListeners = (signal: AbortSignal, failed: (reason: unknown) => void): void => {
  const guards = new WeakMap<object, (event: unknown) => void>()
  const guarded = (listener: unknown): unknown => {
    if (!isObject(listener)) return listener
    const call = (event: unknown): unknown =>
      typeof listener === 'function' ? listener.call(signal, event) : listener.handleEvent(event)
    const known = guards.get(listener)
    const guard = known ?? ((event) => callOutside(() => call(event), failed))
    guards.set(listener, guard)
    return guard
  }
  const add = signal.addEventListener.bind(signal) as Listening
  const remove = signal.removeEventListener.bind(signal) as Listening
  signal.addEventListener = (type: string, listener: unknown, options?: unknown) =>
    add(type, guarded(listener), options)
  signal.removeEventListener = (type: string, listener: unknown, options?: unknown) =>
    remove(type, guarded(listener), options)
}

/** A controller whose listeners end nothing: what one throws is logged. `title`: the owner of its signal. */
export const guardedAbort = (logger: Logger, title: string): AbortController => {
  const abort = new AbortController()
  guardListeners(abort.signal, (reason) =>
    logger.error(`a listener of the signal of ${title} threw`, { reason }),
  )
  return abort
}

/**
 * A property of what a handler gets that is made when it is read: most handlers never read their
 * `signal`. It is to be defined on the object itself, not on its class, so that `{ key, ...others }`
 * has it in `others`.
 */
export const whenRead = <T>(made: (given: T) => unknown): PropertyDescriptor => ({
  enumerable: true,
  get(this: T) {
    return made(this)
  },
})

/** Node takes every function and object. It asks an object for its `handleEvent` at the abort. */
const isObject = (listener: unknown): listener is Listener => Object(listener) === listener

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
