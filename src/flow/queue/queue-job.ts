/** One try of a job: the job runs in it, or ignores its end. The arguments of its handler, and that end. */
import { argument, text } from '../../check.ts'
import { isMissing, KeelsonError, type KeptError } from '../../errors.ts'
import {
  type AppContext,
  guardedAbort,
  type Logger,
  type Traced,
  whenRead,
} from '../../runtime/index.ts'
import { decodeValue } from '../../storage/index.ts'
import { logLinesMax } from '../book/queue-rows.ts'
import type { Claim } from '../book/queue-types.ts'
import type { Try } from '../runs/body.ts'
import { copied, encoded, progressOf } from '../runs/values.ts'

/** One try of a job. */
export type JobTry = Try & {
  /**
   * Says how far this try is, to looks at the job while it runs. Only the last one counts, and it is
   * in memory alone. @throws KeelsonError `INVALID_ARGUMENT`; `TOO_LARGE` for more than 64 KiB
   */
  readonly progress: (value: unknown) => void
  /**
   * Adds a line to the log of the job, of at most 1,000 characters: what is beyond is cut off. The
   * last 100 lines, of 32 KiB, are written with the end of the try, and lost with a crash before.
   * @throws KeelsonError `INVALID_ARGUMENT`
   */
  readonly log: (line: string) => void
}

/** A job `J` of a batch. Its `key`, `attempt` and `signal` are those of its try. */
export type BatchJob<J = unknown> = Omit<JobTry, 'app'> & {
  readonly id: string
  /** The value that was added. */
  readonly input: J
}

/** The most characters of a line of a log. */
const lineMax = 1_000

/** The try of a claim. Words of a handler after its end count for nothing. */
export class RunningTry {
  readonly app: AppContext
  readonly key: string
  readonly claim: Claim
  /** In ms since 1970. */
  readonly since: number
  /** Its end is decided: it has settled, its time is up, or its job was removed. */
  hasEnded = false
  /** Its handler, or the run of the job, has begun: the rate counts it from now. */
  hasBegun = false
  /** False: its failure is that of no try, and the next one is the same. */
  counts = true
  /** The run of the job may have begun, and has not ended, as far as is known. */
  mayRun: boolean
  /** The entity of that run; `undefined`: the job has none. */
  run: string | undefined
  /** Its progress. */
  shown: unknown
  /** Its log. */
  lines: readonly string[] = []
  /** Its span, until it has ended. */
  traced: Traced | undefined
  /** Hears of the abort of its signal: its batch does. */
  onAbort: ((reason: unknown) => void) | undefined
  #abort: AbortController | undefined

  readonly logger: Logger
  readonly #onBegun: (claim: Claim) => void

  constructor(
    app: AppContext,
    logger: Logger,
    key: string,
    claim: Claim,
    since: number,
    onBegun: (claim: Claim) => void,
  ) {
    this.app = app
    this.logger = logger
    this.key = key
    this.claim = claim
    this.mayRun = claim.isCut
    this.since = since
    this.#onBegun = onBegun
  }

  get attempt(): number {
    return this.claim.attempt
  }

  /** Its claim as it is now: the grant of one that has begun is used. */
  get present(): Claim {
    return this.hasBegun ? { ...this.claim, rateKey: undefined } : this.claim
  }

  /** Most handlers never look at it. */
  get signal(): AbortSignal {
    return this.#aborting.signal
  }

  get #aborting(): AbortController {
    this.#abort ??= guardedAbort(this.logger, `the job ${this.key}`)
    return this.#abort
  }

  /** @throws KeelsonError as `JobTry.progress` */
  shows(value: unknown): void {
    this.shown = progressOf(value)
  }

  /** @throws KeelsonError as `JobTry.log` */
  logs(line: unknown): void {
    const checked = text(line, argument('line')).slice(0, lineMax).toWellFormed()
    if (!this.hasEnded) this.lines = [...this.lines, checked].slice(-logLinesMax)
  }

  /** Its handler begins, or its run has answered: that runs, or has. */
  begun(): void {
    this.mayRun = true
    if (this.hasBegun || this.hasEnded) return
    this.hasBegun = true
    this.#onBegun(this.claim)
  }

  /** Its handler is heard no longer. */
  end(reason: unknown): void {
    this.hasEnded = true
    this.abort(reason)
  }

  abort(reason: unknown): void {
    if (this.signal.aborted) return
    this.#aborting.abort(reason)
    this.onAbort?.(reason)
  }
}

/** The members of a try that every handler gets. Each member is its own: a handler may take them apart. */
class GivenTry {
  static readonly #signal = whenRead((given: GivenTry) => given.#job.signal)
  readonly key: string
  readonly attempt: number
  readonly progress: JobTry['progress']
  readonly log: JobTry['log']
  declare readonly signal: AbortSignal
  readonly #job: RunningTry

  constructor(job: RunningTry) {
    this.key = job.key
    this.attempt = job.attempt
    this.progress = (value) => job.shows(value)
    this.log = (line) => job.logs(line)
    this.#job = job
    Object.defineProperty(this, 'signal', GivenTry.#signal)
  }
}

/** A try, as a handler gets it with its job. */
export class GivenAlone extends GivenTry implements JobTry {
  readonly app: AppContext

  constructor(job: RunningTry) {
    super(job)
    this.app = job.app
  }
}

/** A try and its job, as a handler of batches gets them. */
export class GivenInBatch extends GivenTry implements BatchJob {
  readonly id: string
  readonly input: unknown

  constructor(job: RunningTry) {
    super(job)
    this.id = String(job.claim.number)
    this.input = inputOfTry(job)
  }
}

/**
 * The end of a try. `retryAt`: when the next one begins, as the turn has decided. `isTooLate`: the close
 * has refused what it called. So its job is cut off, and the next start makes the same try. `isTooEarly`:
 * the tree has yet to start what it called. The same try comes again.
 */
export type TryEnd = {
  readonly job: RunningTry
  /** The value that the handler returned. */
  readonly value?: unknown
  readonly error?: { readonly thrown: unknown }
  retryAt?: number | undefined
  /** The record of its error, as its row keeps it. */
  failure?: KeptError
  isTooLate?: boolean
  isTooEarly?: boolean
}

/** The job of a try for its handler. A copy: the record is stored again when the try fails. */
export const inputOfTry = ({ claim }: RunningTry): unknown => copied(claim.record.job, 'the job')

/** The end of a try that went well. `keepsResult`: its value has to be one that can be kept. */
export const doneTry = (job: RunningTry, value: unknown, keepsResult: boolean): TryEnd => {
  try {
    return { job, value: keepsResult ? storable(value, 'the result').value : value }
  } catch (thrown) {
    return failedTry(job, thrown)
  }
}

/** The end of a try that has failed. */
export const failedTry = (job: RunningTry, thrown: unknown): TryEnd => {
  // Nothing has been tried.
  if (isMissing(thrown)) job.counts = false
  return { job, error: { thrown } }
}

/** Calls the handler of a single try. Answers a list, as a batch does. */
export const endsOfOne = async (
  job: RunningTry,
  handler: (given: unknown, job: RunningTry) => unknown,
  keepsResult: boolean,
): Promise<readonly TryEnd[]> => {
  try {
    return [doneTry(job, await handler(inputOfTry(job), job), keepsResult)]
  } catch (thrown) {
    return [failedTry(job, thrown)]
  }
}

/** The most bytes of a job or a result: with its record it is below 1 MiB, which is read at once. */
const bytesMax = 960 * 1024

/**
 * A copy of a value as its row gives it, and its length.
 * @throws KeelsonError `INVALID_ARGUMENT`, `TOO_LARGE`
 */
export const storable = <T>(
  value: T,
  of: string,
): { readonly value: T; readonly bytes: number } => {
  if (value === undefined) return { value, bytes: 0 }
  const stored = encoded(value, of)
  const bytes = stored.bytes.length
  if (bytes <= bytesMax) return { value: decodeValue(stored) as T, bytes }
  throw new KeelsonError('TOO_LARGE', `${of} takes ${bytes} bytes`, {
    details: { bytes, bytesMax },
  })
}
