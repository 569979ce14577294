/**
 * Work in steps that takes long: signals are heard between steps, and how far it is is shown on standard error, on a
 * terminal as one line that changes, elsewhere only when asked for, as a line a second.
 */
import { refusing } from '../../storage/index.ts'
import { bytesText, clockText } from '../text/quantities.ts'
import { type Environment, printLine } from './environment.ts'

/** How far work is, in bytes. */
export type WorkDone = { readonly bytes: number; readonly totalBytes: number }

/** So long the event loop waits for steps, in ms. */
const sliceMs = 20
/** So often progress changes on a terminal, and elsewhere, in ms. */
const showMs = { live: 100, lines: 1_000 } as const

const clearLine = '\u001b[K'

/** Shows how far work is. */
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

  /** Shows it, when it is time to; a new piece of work at once. `startedAt` as the clock's `monotonic` has it. */
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

  /** Takes the line away, before something else is printed. */
  clear(): void {
    if (this.#hasLine) this.#environment.errors.write(`\r${clearLine}`)
    this.#hasLine = false
  }
}

/** `verifying shard 0  45%, 1.20 GB of 2.60 GB, 812 MB/s, 0:02 left`. */
export const workLine = (
  what: string,
  { bytes, totalBytes }: WorkDone,
  elapsedMs: number,
): string => {
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
 * Runs `steps` to their end, and answers what they answer; `undefined` when `signal` was aborted before. What is thrown, by a
 * disk too, is a KeelsonError.
 */
export const runSteps = async <S, T>(
  steps: Generator<S, T>,
  environment: Pick<Environment, 'clock'>,
  signal: AbortSignal,
  onStep: (step: S) => void | Promise<void>,
): Promise<T | undefined> => {
  const { clock } = environment
  let slice = clock.monotonic()
  try {
    for (;;) {
      const step = refusing(() => steps.next())
      if (step.done) return step.value
      await onStep(step.value)
      if (clock.monotonic() - slice < sliceMs) continue
      await new Promise<void>((resolve) => clock.soon(resolve))
      if (signal.aborted) return undefined
      slice = clock.monotonic()
    }
  } finally {
    // Steps that are left in their middle close their files.
    steps.return(undefined as never)
  }
}
