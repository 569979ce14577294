/**
 * Failures of operations that a body handles nowhere, in a helper that it does not await or in a promise
 * that it has made of theirs. Node would end the process for one. It is the run that cannot go on: it is
 * blocked when its body has ended so. It is apart from the activation, which knows nothing of Node.
 */
import type { KeptError } from '../../errors.ts'
import { failureRecord } from '../../failure-record.ts'
import { claim } from '../../process-events.ts'
import type { RunBackground } from '../runs/messages.ts'
import type { RunState } from '../runs/record.ts'

/** The activation, for what its body leaves unhandled. */
interface Leaving {
  readonly type: string
  readonly id: string
  readonly state: RunState
  readonly background: RunBackground
  /** The body has ended. */
  readonly isBodyOver: boolean
}

/** The failures that the body of one activation leaves unhandled. */
export class Unhandled {
  readonly #activation: Leaving
  /** The promises that were rejected and have no handler, each with its failure. */
  #left: Map<object, KeptError> | undefined
  /** The operations that have failed, and of which the body may hear later. */
  readonly #unheard: { readonly of: { readonly isHeard: boolean }; readonly error: KeptError }[] =
    []
  /** An operation has failed: a promise of the body may be rejected with that. */
  hasClaimed = false

  constructor(activation: Leaving) {
    this.#activation = activation
  }

  /** A rejection with this reason is of this run. `what` names the operation, whose promise is `of`. */
  claim(reason: unknown, what: string, of?: { readonly isHeard: boolean }): void {
    this.hasClaimed = true
    const { message, ...others } = failureRecord(reason)
    const text = `its body does not handle the failure of ${what}: ${message}`
    const error = { ...others, message: text }
    if (of && !of.isHeard && this.#mayHandle) this.#unheard.push({ of, error })
    const unhandled = (promise: object): void => {
      if (!this.#mayHandle) return
      const { type, id, background } = this.#activation
      this.#left ??= new Map()
      this.#left.set(promise, error)
      background?.system.logger.warn(`${type}/${id}: ${text}`, { code: 'NOT_AWAITED', reason })
    }
    const handled = (promise: object): void => void this.#left?.delete(promise)
    claim(reason as object, { unhandled, handled })
  }

  /** The first failure that the body, which has ended, has left. Node says so after its microtasks. */
  async first(): Promise<KeptError | undefined> {
    if (!this.hasClaimed) return undefined
    const { clock } = this.#activation.background.system
    await new Promise<void>((resolve) => void clock.soon(resolve))
    const unheard = this.#unheard.find(({ of }) => !of.isHeard)
    return this.#left?.values().next().value ?? unheard?.error
  }

  /** In a cancelled run everything fails, and a body that has ended handles nothing more. */
  get #mayHandle(): boolean {
    const { state, isBodyOver } = this.#activation
    return !state.cancel && !isBodyOver
  }
}
