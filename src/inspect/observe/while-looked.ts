/** Work that runs only while a page looks at it: it ends ten seconds after the last look. */
import type { Cancel, Clock } from '../../clock.ts'

/** Without a look for so long nobody looks. In ms. */
const lookedMs = 10_000

/** Work of a page. */
export class WhileLooked {
  readonly #clock: Clock
  readonly #begin: () => () => void
  #end: (() => void) | undefined
  #cancel: Cancel = () => undefined

  /** `begin` starts the work and returns the function that ends it. */
  constructor(clock: Clock, begin: () => () => void) {
    this.#clock = clock
    this.#begin = begin
  }

  /** A page looks: the work begins, or goes on. */
  look(): void {
    this.#cancel()
    this.#cancel = this.#clock.after(lookedMs, () => this.end(), { holdsProcess: false })
    this.#end ??= this.#begin()
  }

  /** Ends the work. The next look begins it again. */
  end(): void {
    this.#cancel()
    this.#end?.()
    this.#end = undefined
  }
}
