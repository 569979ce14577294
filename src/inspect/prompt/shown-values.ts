/**
 * Values that a prompt prints otherwise than they are: states and replies of servers that have a
 * `formatStatus`. Code at the prompt gets the value itself, so that it may be written back.
 */
import { hiddenText, redacted } from '../../redaction.ts'
import { View } from '../text/view.ts'

/** The text that a prompt prints for an object. */
export class ShownValues {
  /** Everything is printed as it is. */
  readonly reveals: boolean
  readonly #decided = new WeakMap<object, unknown>()

  constructor(reveals = false) {
    this.reveals = reveals
  }

  /**
   * `value`, which is printed as `shown`. Of a text or a number, which is equal to every other one,
   * only `shown` is returned.
   */
  mark(value: unknown, shown: unknown): unknown {
    if (this.reveals) return value
    if (typeof value === 'object' && value !== null) this.#decided.set(value, shown)
    else if (!Object.is(value, shown)) return shown ?? new View(hiddenText(value))
    return value
  }

  /** `value` as it is printed. */
  printed(value: unknown): unknown {
    return this.reveals ? value : redacted(value, this.#decided)
  }
}

/** Where the words of a prompt have what is printed instead of their values. */
export const shownValues = Symbol('shown values')
