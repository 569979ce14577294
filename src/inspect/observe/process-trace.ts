/**
 * A trace of one process while a page looks at it: its last 100 messages, replies and steps, by
 * name and shape. More than 200 in a second end it, because a trace slows the process down. It is
 * apart from `process-looks.ts` because each trace begins with its first viewer and ends with its
 * last one.
 */
import { reasonText } from '../../errors.ts'
import type { Traced } from '../../observe/index.ts'
import { shapeText } from '../../redaction.ts'
import { type Ref, type System, type TraceEvent, trace } from '../../runtime/index.ts'
import { shortText } from '../text/shown-text.ts'
import { WhileLooked } from './while-looked.ts'

const eventsMax = 100
const perSecondMax = 200
const secondMs = 1_000

/** The trace of one process. */
export class ProcessTrace {
  readonly #system: System
  readonly #ref: Ref
  readonly #looked: WhileLooked
  #events: Traced['events'][number][] = []
  #ended: string | undefined
  #second = { at: Number.NEGATIVE_INFINITY, count: 0 }

  /** `over`: called when the last viewer has left. */
  constructor(system: System, ref: Ref, over: () => void) {
    this.#system = system
    this.#ref = ref
    this.#looked = new WhileLooked(system.clock, () => {
      trace(ref, (event) => this.#add(event)).catch((error: unknown) => {
        this.#ended = reasonText(error)
      })
      return () => {
        this.#stop()
        over()
      }
    })
  }

  /** The events so far. */
  look(): Traced {
    this.#looked.look()
    return {
      events: this.#events.slice(-eventsMax),
      ...(this.#ended !== undefined && { ended: this.#ended }),
    }
  }

  /** Ends it. */
  end(): void {
    this.#looked.end()
  }

  #add({ direction, what, payload }: TraceEvent): void {
    if (this.#ended !== undefined) return
    const at = this.#system.clock.now()
    if (at - this.#second.at >= secondMs) this.#second = { at, count: 0 }
    if (++this.#second.count > perSecondMax) {
      this.#ended = `it has ended: more than ${perSecondMax} events in a second`
      this.#stop()
      return
    }
    const shape = payload === undefined ? {} : { shape: shapeText(payload) }
    this.#events.push({ at, direction, what: shortText(what, 300), ...shape })
    if (this.#events.length > 2 * eventsMax) this.#events.splice(0, eventsMax)
  }

  #stop(): void {
    trace(this.#ref, undefined).catch(() => undefined)
  }
}
