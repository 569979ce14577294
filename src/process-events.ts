/**
 * The events of the process of Node: nothing else in `src` listens to them. Some are of the whole program:
 * a listener of `unhandledRejection` alone changes what Node does with every rejection. So rejections
 * whose reasons are ours are claimed here, and with all others Node does what it does without us.
 */

import { type Cancel, systemClock } from './clock.ts'
import { noOptions } from './own-names.ts'

/** Listens to an event of the process. `isFirst`: before the listeners that are there. */
export const onProcess = (
  event: string,
  listener: (...facts: never[]) => void,
  { isFirst = false }: { readonly isFirst?: boolean } = noOptions,
): Cancel => {
  const events: NodeJS.EventEmitter = process
  // A listener knows the facts of its event.
  const heard = listener as (...facts: unknown[]) => void
  if (isFirst) events.prependListener(event, heard)
  else events.on(event, heard)
  return () => void events.removeListener(event, heard)
}

/** Whose a reason is: it hears of each promise that was rejected with it and has no handler. */
export interface Claimant {
  unhandled(promise: object): void
  /** That promise has a handler after all. */
  handled(promise: object): void
}

/** Node alone has it: by it the copies of this module in one process find the one listener. */
const ours: unique symbol = Symbol.for('keelson.claims')

type Owned = { readonly [ours]?: Claims }

/** The reasons that are ours, and the listeners of the process that claim them. */
class Claims {
  readonly reasons = new WeakMap<object, Claimant>()
  readonly #promises = new WeakMap<object, Claimant>()
  #users = 0
  #ends: Cancel[] = []
  #stopsUnhandled: Cancel | undefined

  readonly #unhandled = (reason: unknown, promise: object): void => {
    const claimant = this.reasons.get(reason as object)
    if (claimant) {
      this.#promises.set(promise, claimant)
      claimant.unhandled(promise)
    } else this.#passes(reason)
  }

  readonly #handled = Object.assign(
    (promise: object): void => {
      const claimant = this.#promises.get(promise)
      if (claimant) claimant.handled(promise)
      else if (process.listenerCount('rejectionHandled') === 1)
        process.emitWarning(
          'Promise rejection was handled asynchronously',
          'PromiseRejectionHandledWarning',
        )
    },
    { [ours]: this },
  )

  begin(): Cancel {
    if (this.#users++ === 0) {
      this.#ends = [onProcess('rejectionHandled', this.#handled)]
      this.#listens()
    }
    let isOn = true
    return () => {
      if (!isOn) return
      isOn = false
      if (--this.#users > 0) return
      for (const end of this.#ends) end()
      this.#stopsUnhandled?.()
    }
  }

  #listens(): void {
    this.#stopsUnhandled = onProcess('unhandledRejection', this.#unhandled, { isFirst: true })
  }

  /**
   * A rejection of others. Other listeners hear of it anyway. If there are none, the same reason is
   * rejected once more while nothing listens, and Node does what it does then.
   */
  #passes(reason: unknown): void {
    if (process.listenerCount('unhandledRejection') > 1 || !endsUnheard()) return
    this.#stopsUnhandled?.()
    void Promise.reject(reason)
    systemClock().soon(() => {
      if (this.#users > 0) this.#listens()
    })
  }
}

/** The present claims: they are kept by the listener alone, as a module keeps no state. */
const present = (): Claims | undefined =>
  (process.listeners('rejectionHandled') as Owned[]).find((listener) => listener[ours])?.[ours]

/** Claims reasons from here on. Returns a function that ends this. */
export const claimRejections = (): Cancel => (present() ?? new Claims()).begin()

/** A promise that is rejected with this reason and has no handler is for `claimant`, while reasons are claimed. */
export const claim = (reason: object, claimant: Claimant): void => {
  present()?.reasons.set(reason, claimant)
}

/** Calls `listener` for each rejection that nothing handles and that is nobody's here. */
export const onStrayRejection = (listener: (reason: unknown) => void): Cancel =>
  onProcess('unhandledRejection', (reason: unknown) => {
    if (!present()?.reasons.has(reason as object)) listener(reason)
  })

/** The modes of Node in which it matters whether a listener has heard of a rejection. */
const heeding = ['throw', 'warn-with-error-codes']

/** Whether Node does something about a rejection of which no listener hears. */
const endsUnheard = (): boolean => {
  const given = `${process.env.NODE_OPTIONS ?? ''} ${process.execArgv.join(' ')}`
  const modes = [...given.matchAll(/--unhandled-rejections[= ]([\w-]+)/g)]
  return heeding.includes(modes.at(-1)?.[1] ?? 'throw')
}
