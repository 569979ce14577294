/**
 * Values that a prompt prints otherwise than they are: states and replies of servers that have a
 * `formatStatus`, and sockets, servers and streams. Code at the prompt gets the value itself, so that
 * it may be written back.
 */
import { hiddenText, redacted, replaced } from '../../redaction.ts'
import { View } from '../text/view.ts'

const depthMax = 4

/** The text that a prompt prints for an object. */
export class ShownValues {
  /** Everything is printed as it is. */
  readonly reveals: boolean
  readonly #decided = new WeakMap<object, unknown>()
  #awaited: Promise<unknown> = Promise.resolve()

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

  /** The answer to this line is printed when `work` has settled: then what it shows has arrived. */
  awaits(work: Promise<unknown>): void {
    const settled = work.catch(() => undefined)
    this.#awaited = Promise.all([this.#awaited, settled])
  }

  /** Resolves when everything that an answer waits for has settled. */
  async ready(): Promise<void> {
    await this.#awaited
  }

  /** `value` as it is printed by a printer that goes down to `depth`. */
  printed(value: unknown, depth = depthMax): unknown {
    if (this.reveals) return value
    const decided = this.#decided
    const instead = {
      has: (each: object) => decided.has(each) || emitters.has(each),
      get: (each: object) => emitters.get(each) ?? replaced(decided.get(each), emitters, depth),
    }
    return redacted(value, instead, depth)
  }
}

/** An emitter of Node has its relations as fields, so it is printed as its class. */
const emitterText = (value: object): View | undefined => {
  try {
    const isEmitter = '_events' in value && '_eventsCount' in value
    return isEmitter ? new View(`[${value.constructor.name}]`) : undefined
  } catch {
    // A Proxy may throw when it is asked.
    return undefined
  }
}

const emitters = {
  has: (each: object) => emitterText(each) !== undefined,
  get: emitterText,
}

/** Where the words of a prompt have the texts that are printed instead of their values. */
export const shownValues = Symbol('shown values')
