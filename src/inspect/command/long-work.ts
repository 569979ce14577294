/**
 * Long work in steps. Signals are handled between steps. Progress is shown on standard error: on a
 * terminal as one changing line, elsewhere, if asked for, as a line a second.
 */
import { isKeelsonError } from '../../errors.ts'
import { refusalOf } from '../../storage/index.ts'
import { bytesText, clockText } from '../text/quantities.ts'
import { type Environment, printLine, signalStatuses } from './environment.ts'
import { Interruption } from './interruption.ts'

/** Progress in bytes. */
export type WorkDone = { readonly bytes: number; readonly totalBytes: number }

/** The time of steps between two turns of the event loop, in ms. */
const sliceMs = 20
/** The intervals of progress on a terminal and elsewhere, in ms. */
const showMs = { live: 100, lines: 1_000 } as const

const clearLine = '\u001b[K'

/** Shows progress. */
export class WorkDisplay {
  readonly #environment: Environment
  readonly #isLive: boolean
  readonly #isAsked: boolean
  #shown = ''
  #shownAt = Number.NEGATIVE_INFINITY
  #hasLine = false

  constructor(environment: Environment, isAsked: boolean) {
    this.#environment = environment
    this.#isLive = environment.errors.isTTY === true
    this.#isAsked = isAsked
  }

  /**
   * Shows it at its interval; a new piece of work at once. `startedAt` is the clock's `monotonic`.
   */
  show(what: string, done: WorkDone, startedAt: number): void {
    const { errors, clock } = this.#environment
    const now = clock.monotonic()
    if (!this.#isLive && !this.#isAsked) return
    const isDue = now - this.#shownAt >= (this.#isLive ? showMs.live : showMs.lines)
    if (!isDue && what === this.#shown) return
    this.#shown = what
    this.#shownAt = now
    const line = workLine(what, done, now - startedAt)
    if (this.#isLive) errors.write(`\r${line}${clearLine}`)
    else printLine(errors, line)
    this.#hasLine = this.#isLive
  }

  /** Clears the line before other output. */
  clear(): void {
    if (this.#hasLine) this.#environment.errors.write(`\r${clearLine}`)
    this.#hasLine = false
  }
}

/** `verifying shard 0  45%, 1.20 GB of 2.60 GB, 812 MB/s, 0:02 left`. */
const workLine = (what: string, { bytes, totalBytes }: WorkDone, elapsedMs: number): string => {
  const share = totalBytes > 0 ? Math.min(1, bytes / totalBytes) : 1
  const rate = (bytes / Math.max(elapsedMs, 1)) * 1_000
  const left = bytes > 0 ? [`${clockText((elapsedMs * (1 - share)) / share)} left`] : []
  return [
    `${what}  ${Math.floor(share * 100)}%`,
    `${bytesText(bytes)} of ${bytesText(totalBytes)}`,
    `${bytesText(rate)}/s`,
    ...left,
  ].join(', ')
}

/**
 * Runs `steps` to their end and resolves with their result; `undefined` when `signal` was aborted
 * before. Every error is a KeelsonError, those of a disk too.
 */
export const runSteps = async <S, T>(
  steps: Generator<S, T> | AsyncGenerator<S, T>,
  environment: Pick<Environment, 'clock'>,
  signal: AbortSignal,
  onStep: (step: S) => void | Promise<void>,
): Promise<T | undefined> => {
  const { clock } = environment
  let slice = clock.monotonic()
  try {
    for (;;) {
      const step = await steps.next()
      if (step.done) return step.value
      await onStep(step.value)
      if (clock.monotonic() - slice < sliceMs) continue
      await new Promise<void>((resolve) => clock.soon(resolve))
      if (signal.aborted) return undefined
      slice = clock.monotonic()
    }
  } catch (error) {
    throw refusalOf(error)
  } finally {
    // Unfinished steps close their files.
    await steps.return(undefined as never)
  }
}

/**
 * Runs work that ends with a report, which is printed as `text` says, or as JSON. Resolves with the
 * exit status: 0, or that of the signal that interrupted it. @throws what `work` throws
 */
export const runReported = async <Report>(
  command: { readonly json: boolean; readonly progress: boolean },
  environment: Environment,
  work: (interruption: Interruption, display: WorkDisplay) => Promise<Report>,
  text: (report: Report) => string,
): Promise<number> => {
  const interruption = new Interruption(environment)
  const display = new WorkDisplay(environment, command.progress)
  try {
    const report = await work(interruption, display)
    display.clear()
    printLine(environment.output, command.json ? JSON.stringify(report) : text(report))
    return 0
  } catch (error) {
    const { received } = interruption
    if (received !== undefined && isKeelsonError(error, 'CLOSED')) return signalStatuses[received]
    throw error
  } finally {
    display.clear()
    interruption.release()
  }
}
