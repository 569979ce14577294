/** Signals that end a command: the first one in order, the second one at once. */
import type { System } from '../../runtime/index.ts'
import {
  type App,
  registeredName,
  type StartOptions,
  type StartProgress,
  start,
} from '../../supervisors/index.ts'
import { type EndSignal, type Environment, printLine, signalStatuses } from './environment.ts'

/** Watches for signals until `release`. */
export class Interruption {
  /** Resolves with the first signal. */
  readonly first: Promise<EndSignal>
  /** Aborted by the first signal. */
  readonly signal: AbortSignal
  readonly release: () => void
  #received: EndSignal | undefined

  constructor(environment: Environment) {
    const abort = new AbortController()
    this.signal = abort.signal
    let resolveFirst: (signal: EndSignal) => void = () => undefined
    this.first = new Promise((resolve) => (resolveFirst = resolve))
    this.release = environment.onSignal((signal) => {
      if (this.#received !== undefined) return environment.exit(signalStatuses[signal])
      this.#received = signal
      printLine(environment.errors, `${signal}: ending in order; once more ends at once.`)
      abort.abort()
      resolveFirst(signal)
    })
  }

  /** The first signal, if one has arrived. */
  get received(): EndSignal | undefined {
    return this.#received
  }
}

// A start that a signal can interrupt. A signal before the instance is ready ends its started parts
// in order. A start cannot be cancelled from outside, but the user's tree, the only part without a
// time bound, can be ended.

/** The user's tree starts last. After a signal it is looked for at this interval. */
const lookMs = 20

/**
 * The instance; `undefined` when a signal came first and everything has ended.
 * @throws KeelsonError as `start` does
 */
export const startUnlessInterrupted = async (
  options: StartOptions & { readonly system: System },
  interruption: Interruption,
): Promise<App | undefined> => {
  let hasTouched = false
  const onProgress = (progress: StartProgress): void => {
    hasTouched = true
    options.onProgress?.(progress)
  }
  const starting = start({ ...options, onProgress })
  const app = await Promise.race([starting, interruption.first.then(() => undefined)])
  if (app) return app
  const ended = endOf(starting, options)
  // Modules that are loading cannot be interrupted. They hold nothing on disk.
  if (hasTouched) await ended
  return undefined
}

/**
 * Ends the instance that is starting. Never rejects: the reason of a failed start is not needed
 * after a signal.
 */
const endOf = async (
  starting: Promise<App>,
  { system, app: tree }: StartOptions & { readonly system: System },
) => {
  const { clock } = system
  let cancel = (): void => undefined
  const look = (): void => {
    const root = tree && registeredName(tree)
    if (root && system.whereis(root)) system.kill(root)
    cancel = clock.after(lookMs, look)
  }
  look()
  const app = await starting.catch(() => undefined)
  cancel()
  await app?.close().catch(() => undefined)
  await system.stop()
}
