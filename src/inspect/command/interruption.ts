/** Signals that end a command: the first one in order, the second one at once. */
import { type EndSignal, type Environment, printLine, signalStatuses } from './environment.ts'

/** Watches for signals until `release`. */
export class Interruption {
  /** Resolves with the first signal. */
  readonly first: Promise<EndSignal>
  /** Aborted by the first signal. */
  readonly signal: AbortSignal
  readonly release: () => void
  #received: EndSignal | undefined

  constructor(
    environment: Environment,
    notify: (text: string) => void = (text) => printLine(environment.errors, text),
  ) {
    const abort = new AbortController()
    this.signal = abort.signal
    let resolveFirst: (signal: EndSignal) => void = () => undefined
    this.first = new Promise((resolve) => (resolveFirst = resolve))
    this.release = environment.onSignal((signal) => {
      if (this.#received !== undefined) return environment.exit(signalStatuses[signal])
      this.#received = signal
      notify(`${signal}: ending in order; once more ends at once.`)
      abort.abort()
      resolveFirst(signal)
    })
  }

  /** The first signal, if one has arrived. */
  get received(): EndSignal | undefined {
    return this.#received
  }
}
