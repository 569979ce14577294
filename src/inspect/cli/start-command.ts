/**
 * `keelson start`: an instance with a prompt. It ends in order at the end of the input or at a
 * signal, with status 0. If the instance cannot start or its root supervisor gives up, it prints
 * the reason and exits with status 1. A signal before the instance has started exits with the
 * signal's status.
 */
import { KeelsonError, reasonText } from '../../errors.ts'
import type { App, StartProgress } from '../../supervisors/index.ts'
import {
  type Environment,
  packageVersion,
  printLine,
  signalStatuses,
} from '../command/environment.ts'
import { Interruption, startUnlessInterrupted } from '../command/interruption.ts'
import { Prompt } from '../prompt/prompt.ts'
import { processWords, promptWords } from '../prompt/prompt-words.ts'
import { surveyLogs } from '../prompt/shard-survey.ts'
import { durabilityWarning } from '../prompt/shard-view.ts'
import { errorText } from '../text/error-view.ts'
import { paintFor, plainPaint } from '../text/paint.ts'
import type { StartCommand } from './command-line.ts'
import { type Configuration, namingFile, readConfiguration } from './configuration-file.ts'
import { remarkLines, startLine, startScreen, stepText } from './start-view.ts'

/**
 * Runs the command and resolves with the exit status.
 * @throws KeelsonError the error that prevented the start
 */
export const runStart = async (
  command: StartCommand,
  environment: Environment,
  verbose: boolean,
): Promise<number> => {
  const interruption = new Interruption(environment)
  const release = environment.onStrayRejection((reason) =>
    printLine(
      environment.errors,
      `A promise was rejected and nobody handled it: ${errorText(reason, verbose)}`,
    ),
  )
  try {
    const reading = readConfiguration({ ...command, cwd: environment.cwd })
    const configuration = await Promise.race([reading, interruption.first])
    if (typeof configuration === 'string') return signalStatuses[configuration]
    const app = await started(configuration, environment, interruption)
    if (!app) return signalStatuses[await interruption.first]
    try {
      return await attended(app, configuration, environment, interruption, verbose)
    } finally {
      await app.system.stop()
    }
  } finally {
    release()
    interruption.release()
  }
}

/** Whether a person uses it. */
const isTerminal = ({ input, output }: Environment): boolean =>
  input.isTTY === true && output.isTTY === true

const started = async (
  { file, options }: Configuration,
  environment: Environment,
  interruption: Interruption,
): Promise<App | undefined> => {
  const onProgress = (progress: StartProgress): void => {
    options.onProgress?.(progress)
    const text = stepText(progress)
    if (text !== undefined && isTerminal(environment)) printLine(environment.output, text)
  }
  try {
    return await startUnlessInterrupted({ ...options, onProgress }, environment.clock, interruption)
  } catch (error) {
    throw namingFile(file, error)
  }
}

/** From the start screen to the end of the instance. */
const attended = async (
  app: App,
  { file }: Configuration,
  environment: Environment,
  interruption: Interruption,
  verbose: boolean,
): Promise<number> => {
  const paint = isTerminal(environment)
    ? paintFor(environment.output, environment.variables)
    : plainPaint
  await greet(app, file, environment)
  const prompt = new Prompt({
    environment,
    words: promptWords(app, paint),
    colours: paint !== plainPaint,
    verbose,
    completions: () => processWords(app),
  })
  let hasEnded = false
  const end = app.closed.then(() => {
    hasEnded = true
  })
  try {
    await Promise.race([prompt.run(), interruption.first, end])
  } finally {
    prompt.close()
    if (!hasEnded) await app.close()
  }
  const why = await app.closed
  if (why === 'normal') return 0
  throw new KeelsonError('EXITED', `the instance has ended: ${reasonText(why)}`, {
    details: { reason: reasonText(why) },
    cause: why,
  })
}

/** The start screen on a terminal. Elsewhere one line and the warnings, on standard error. */
const greet = async (
  app: App,
  file: string | undefined,
  environment: Environment,
): Promise<void> => {
  const durability = app.shards[0]?.parts.settings.wal ?? {
    enableFsync: true,
    syncInterval: undefined,
  }
  const logs = await surveyLogs(app)
  const screen = { version: packageVersion(), dir: app.dir, file, durability, logs }
  if (isTerminal(environment)) {
    const paint = paintFor(environment.output, environment.variables)
    return printLine(environment.output, startScreen(screen, paint))
  }
  const warning = durabilityWarning(durability)
  printLine(environment.errors, startLine(screen))
  for (const line of remarkLines(logs)) printLine(environment.errors, line)
  if (warning !== undefined) printLine(environment.errors, warning)
}
