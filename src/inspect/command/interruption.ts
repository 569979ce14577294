/** Signals that ask for the end: the first one ends in order, the second one at once. */
import type { Clock } from '../../clock.ts'
import { createSystem, type System } from '../../runtime/index.ts'
import {
  type App,
  registeredName,
  type StartOptions,
  type StartProgress,
  start,
} from '../../supervisors/index.ts'
import { type EndSignal, type Environment, printLine, signalStatuses } from './environment.ts'

/** Watches for signals from its making to `release`. */
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

  /** The first signal, when it has come. */
  get received(): EndSignal | undefined {
    return this.#received
  }
}

// Starting, as far as a signal lets it: one that comes before the instance is there ends in order what there is of it. A
// start cannot be taken back from outside, but the user's tree can be ended, and it alone may take for ever.

/** The user's tree is the last that starts: so often it is looked for, once a signal has come. */
const lookMs = 20

/** The instance; `undefined` when a signal came first, and everything has ended. @throws KeelsonError as `start` does */
export const startUnlessInterrupted = async (
  options: StartOptions,
  clock: Clock,
  interruption: Interruption,
): Promise<App | undefined> => {
  const system = options.system ?? createSystem({ clock })
  let hasTouched = false
  const onProgress = (progress: StartProgress): void => {
    hasTouched = true
    options.onProgress?.(progress)
  }
  const starting = start({ ...options, system, onProgress })
  const app = await Promise.race([starting, interruption.first.then(() => undefined)])
  if (app) return app
  const ended = endOf(starting, options, system)
  // Modules that are being loaded cannot be ended; nothing on disk is held for them.
  if (hasTouched) await ended
  return undefined
}

/** Ends what is starting, whether it gets there or not. Never rejects: nobody asks any more why a start failed. */
const endOf = async (starting: Promise<App>, options: StartOptions, system: System) => {
  const { clock } = system
  const { app: tree } = options
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
