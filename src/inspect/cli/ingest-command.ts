/**
 * `keelson ingest`: puts the records of a file, or of standard input, into the store. It opens the
 * file before it touches the data folder, shows its progress, and ends with a summary. Exit status:
 * 0 when every record is acknowledged, 1 when some were refused or the store ended it, 130 or 143
 * after a signal. Acknowledged records are durable in all cases.
 */
import { open } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Readable } from 'node:stream'
import { isKeelsonError, KeelsonError } from '../../errors.ts'
import { type App, start } from '../../supervisors/index.ts'
import { type Environment, printLine, signalStatuses } from '../command/environment.ts'
import { Interruption } from '../command/interruption.ts'
import { unreadable } from '../command/named-file.ts'
import { type IngestFailure, type IngestProgress, ingest } from '../ingest/ingest.ts'
import { failureLine, ingestSummary, progressBar, progressLine } from '../ingest/ingest-view.ts'
import { surveyProjections } from '../prompt/shard-survey.ts'
import { paintFor } from '../text/paint.ts'
import { pluralText } from '../text/quantities.ts'
import type { IngestCommand } from './command-line.ts'

/**
 * Runs the command and resolves with the exit status.
 * @throws KeelsonError the error that prevented its start or ended it
 */
export const runIngest = async (
  command: IngestCommand,
  environment: Environment,
): Promise<number> => {
  const { input, totalBytes } = await opened(command, environment)
  const interruption = new Interruption(environment)
  try {
    const app = await start({ dir: resolve(environment.cwd, command.dir), app: false })
    try {
      return await ingested(app, command, { input, totalBytes }, environment, interruption)
    } finally {
      await app.close()
    }
  } finally {
    input.destroy()
    interruption.release()
  }
}

/** The input, and its size if that is known. */
type Source = { readonly input: Readable; readonly totalBytes: number | undefined }

const opened = async ({ file }: IngestCommand, { cwd, input }: Environment): Promise<Source> => {
  if (file === '-') return { input, totalBytes: undefined }
  const path = resolve(cwd, file)
  try {
    const handle = await open(path)
    const facts = await handle.stat()
    if (!facts.isDirectory())
      return {
        input: handle.createReadStream({ highWaterMark: readBytes }),
        totalBytes: facts.isFile() ? facts.size : undefined,
      }
    await handle.close()
  } catch (cause) {
    throw unreadable(path, (cause as Error).message, cause)
  }
  throw unreadable(path, 'it is a folder')
}

/** The size of one read of the file. */
const readBytes = 256 * 1024

const ingested = async (
  app: App,
  { key, format }: IngestCommand,
  { input, totalBytes }: Source,
  environment: Environment,
  interruption: Interruption,
): Promise<number> => {
  const display = new Display(environment, totalBytes)
  const end = async (progress: IngestProgress, stopped?: string): Promise<void> => {
    const lag = await lagOf(app)
    display.end(
      ingestSummary(
        progress,
        { lag, ...(stopped === undefined ? {} : { stopped }) },
        display.paint,
      ),
    )
  }
  try {
    const progress = await ingest(app.store, input, {
      key,
      format,
      clock: environment.clock,
      signal: interruption.signal,
      onProgress: (each) => display.show(each),
      onFailure: (failure) => display.report(failure),
    })
    const { received } = interruption
    await end(progress, received && `by ${received}`)
    if (received) return signalStatuses[received]
    return progress.failed === 0 ? 0 : 1
  } catch (error) {
    if (!isKeelsonError(error)) throw error
    const { progress, ...details } = error.details
    await end(progress as IngestProgress, `by ${error.code}`)
    throw new KeelsonError(error.code, error.message, { details, cause: error.cause })
  }
}

/** Frames that projections do not show yet; `undefined` when a shard does not answer. */
const lagOf = async (app: App): Promise<number | undefined> => {
  const projections = await surveyProjections(app)
  return projections.reduce<number | undefined>(
    (sum, { description }) =>
      sum === undefined || !description ? undefined : sum + description.lag,
    0,
  )
}

/** The most refused records that are shown; the rest is counted. */
const failuresShown = 10
/** The interval of progress lines without a terminal. */
const lineMs = 1_000

/** Shows progress: one changing line on a terminal, a line a second elsewhere. */
class Display {
  readonly paint
  readonly #environment: Environment
  readonly #totalBytes: number | undefined
  readonly #live: boolean
  #failures = 0
  #lineAt = 0

  constructor(environment: Environment, totalBytes: number | undefined) {
    this.#environment = environment
    this.#totalBytes = totalBytes
    this.#live = environment.output.isTTY === true
    this.paint = paintFor(environment.output, environment.variables)
  }

  show(progress: IngestProgress): void {
    const { output } = this.#environment
    if (this.#live) {
      const bar = progressBar(progress, this.#totalBytes, output.columns ?? 80, this.paint)
      output.write(`\r${bar}${clearLine}`)
    } else if (progress.elapsedMs - this.#lineAt >= lineMs) {
      this.#lineAt = progress.elapsedMs
      printLine(output, progressLine(progress, this.#totalBytes))
    }
  }

  report(failure: IngestFailure): void {
    this.#failures++
    if (this.#failures > failuresShown) return
    printLine(
      this.#environment.errors,
      `${this.#live ? `\r${clearLine}` : ''}${failureLine(failure)}`,
    )
  }

  end(summary: string): void {
    const { output, errors } = this.#environment
    if (this.#live) printLine(output, '')
    const more = this.#failures - failuresShown
    if (more > 0) printLine(errors, `… and ${pluralText(more, 'more record')} refused.`)
    printLine(output, summary)
  }
}

/** Clears the terminal's line from the cursor on. */
const clearLine = '\u001b[K'
