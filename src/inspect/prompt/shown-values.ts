/**
 * Values that a prompt prints otherwise than they are: states and replies of servers that have a
 * `formatStatus`, and the sockets, servers and streams in a value. Code at the prompt gets the value
 * itself, so that it may be written back.
 */
import { type Decided, hiddenText, redacted } from '../../redaction.ts'
import { View } from '../text/view.ts'

/** So much of a value is printed: more would hold up the event loop. */
const membersMax = 2_000
const depthMax = 4

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

  /** `value` as it is printed by a printer that goes down to `depth`. */
  printed(value: unknown, depth = depthMax): unknown {
    return this.reveals
      ? value
      : redacted(value, this.#within(value), { members: membersMax, depth })
  }

  /** An emitter of Node has its relations as fields: within a value its class is enough. */
  #within(whole: unknown): Decided {
    const decided = this.#decided
    const isNamed = (value: object) => value !== whole && isEmitter(value)
    return {
      has: (value) => decided.has(value) || isNamed(value),
      get: (value) =>
        decided.has(value) ? decided.get(value) : new View(`[${value.constructor.name}]`),
    }
  }
}

/** A Proxy may throw when it is asked. */
const isEmitter = (value: object): boolean => {
  try {
    return '_events' in value && '_eventsCount' in value
  } catch {
    return false
  }
}

/** Where the words of a prompt have the texts that are printed instead of their values. */
export const shownValues = Symbol('shown values')
