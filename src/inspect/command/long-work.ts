/**
 * Long work in steps. Signals are handled between steps. Progress is shown on standard error: on a
 * terminal as one changing line, elsewhere, if asked for, as a line a second.
 */
import { isKeelsonError } from '../../errors.ts'
import { cease, type Progress, refusalOf } from '../../storage/index.ts'
import { type Paint, paintFor } from '../text/paint.ts'
import { bytesText, clockText } from '../text/quantities.ts'
import { type Environment, printLine, signalStatuses } from './environment.ts'
import { Interruption } from './interruption.ts'

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
  /** When the piece of work that is shown began. */
  #startedAt = 0
  #shownAt = 0
  #hasLine = false

  constructor(environment: Environment, isAsked: boolean) {
    this.#environment = environment
    this.#isLive = environment.errors.isTTY === true
    this.#isAsked = isAsked
  }

  /** Shows it at its interval; a new piece of work at once. */
  show(progress: Progress): void {
    const { errors, clock } = this.#environment
    const now = clock.monotonic()
    if (!this.#isLive && !this.#isAsked) return
    const isNew = progress.what !== this.#shown
    if (isNew) this.#startedAt = now
    if (!isNew && now - this.#shownAt < (this.#isLive ? showMs.live : showMs.lines)) return
    this.#shown = progress.what
    this.#shownAt = now
    const line = workLine(progress, now - this.#startedAt)
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

/** `verifying shard 0  45%, 1.20 GB of 2.60 GB, 812 MB/s, 0:02 left`: at its beginning without rate. */
const workLine = ({ what, bytes, totalBytes }: Progress, elapsedMs: number): string => {
  const share = totalBytes > 0 ? Math.min(1, bytes / totalBytes) : 1
  const size = `${bytesText(bytes)} of ${bytesText(totalBytes)}`
  const rate = elapsedMs > 0 ? [`${bytesText((bytes / elapsedMs) * 1_000)}/s`] : []
  const leftMs = (elapsedMs * (1 - share)) / share
  const left = elapsedMs > 0 && bytes > 0 ? [`${clockText(leftMs)} left`] : []
  return [`${what}  ${Math.floor(share * 100)}%`, size, ...rate, ...left].join(', ')
}

/** A signal ended the work. Thrown for control flow; not an error. */
const interrupted = Symbol('interrupted')

/** The context of each step of a command. */
export type Work = {
  readonly environment: Environment
  readonly signal: AbortSignal
  readonly display: WorkDisplay
}

/**
 * Runs `steps` to their end and resolves with their result. Every error is a KeelsonError, those of
 * a disk too. @throws `interrupted` if a signal ended the work
 */
export const runSteps = async <S, T>(
  steps: Generator<S, T> | AsyncGenerator<S, T>,
  { environment: { clock }, signal }: Omit<Work, 'display'>,
  onStep: (step: S) => void | Promise<void> = () => undefined,
): Promise<T> => {
  let slice = clock.monotonic()
  try {
    for (;;) {
      const step = await steps.next()
      if (step.done) return step.value
      await onStep(step.value)
      if (clock.monotonic() - slice < sliceMs) continue
      await new Promise<void>((resolve) => clock.soon(resolve))
      if (signal.aborted) throw interrupted
      slice = clock.monotonic()
    }
  } catch (error) {
    throw refusalOf(error)
  } finally {
    // Unfinished steps close their files.
    await cease(steps)
  }
}

/** The same, with the progress shown, each piece by the name that `name` gives it. */
export const showSteps = async <T>(
  work: Work,
  steps: Generator<Progress, T> | AsyncGenerator<Progress, T>,
  name: (what: string) => string,
): Promise<T> => {
  const show = (step: Progress) => work.display.show({ ...step, what: name(step.what) })
  const result = await runSteps(steps, work, show)
  if (work.signal.aborted) throw interrupted
  return result
}

/** How a report is printed, and the exit status that it means. */
export type ReportView<Report> = {
  readonly text: (report: Report, paint: Paint) => string
  /** The report as plain data; by default as it is. */
  readonly json?: (report: Report) => unknown
  /** By default 0. */
  readonly status?: (report: Report) => number
}

/**
 * Runs work that ends with a report, and prints it as text or as JSON. Resolves with the exit
 * status: that of the report, or of the signal that interrupted the work. @throws what `work` throws
 */
export const runReported = async <Report>(
  command: { readonly json: boolean; readonly progress: boolean },
  environment: Environment,
  work: (work: Work) => Promise<Report>,
  { text, json = (report) => report, status = () => 0 }: ReportView<Report>,
): Promise<number> => {
  const interruption = new Interruption(environment)
  const display = new WorkDisplay(environment, command.progress)
  const { output, variables } = environment
  try {
    const report = await work({ environment, signal: interruption.signal, display })
    display.clear()
    const paint = paintFor(output, variables)
    printLine(output, command.json ? JSON.stringify(json(report)) : text(report, paint))
    return status(report)
  } catch (error) {
    const { received } = interruption
    const isOver = error === interrupted || isKeelsonError(error, 'CLOSED')
    if (received !== undefined && isOver) return signalStatuses[received]
    throw error
  } finally {
    display.clear()
    interruption.release()
  }
}
