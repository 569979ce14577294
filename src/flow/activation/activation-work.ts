/**
 * The operations that one activation carries out: it may rest, and a close need not wait for it, once
 * none of them is at work. It is apart from the activation, as it alone counts that.
 */
import { type KeptError, keptError } from '../../errors.ts'
import type { ActivationRest } from '../runs/activation-turns.ts'
import type { Active } from '../runs/active.ts'

/** The activation, for its work. */
interface Working {
  /** The instance closes: operations that do something may end, and none begins. */
  readonly isClosing: boolean
  stop(after: 'rest'): void
  /** The run cannot go on. */
  block(error: KeptError): void
}

/** The work of one activation. */
export class ActivationWork {
  /** How many operations do something, and do not wait. */
  count = 0
  readonly #activation: Working
  readonly #rest: ActivationRest

  constructor(activation: Working, rest: ActivationRest) {
    this.#activation = activation
    this.#rest = rest
  }

  /** Carries out an operation. */
  async perform(active: Active): Promise<void> {
    this.count++
    try {
      await active.parts.perform(active)
    } catch (error) {
      this.#activation.block(keptError(error))
    } finally {
      this.#lets()
    }
  }

  /** A wait that holds up neither the rest of the run nor a close. */
  async passively<T>(wait: Promise<T>): Promise<T> {
    this.#lets()
    try {
      return await this.#rest.after(wait)
    } finally {
      this.count++
      this.#rest.disarm()
    }
  }

  #lets(): void {
    this.count--
    if (this.#activation.isClosing && this.count === 0) this.#activation.stop('rest')
    this.#rest.arm()
  }
}
