/**
 * `keelson start`: an instance with a prompt. It ends in order at the end of the input or at a
 * signal, with status 0.
 */
import type { App } from '../../supervisors/index.ts'
import { type Environment, printLine } from '../command/environment.ts'
import { Prompt } from '../prompt/prompt.ts'
import { processWords, promptWords } from '../prompt/prompt-words.ts'
import { errorText } from '../text/error-view.ts'
import { paintFor, plainPaint } from '../text/paint.ts'
import type { InstanceCommand } from './command-line.ts'
import { printWarnings, runInstance } from './instance-life.ts'
import { type Started, startLine, startScreen, stepText } from './start-view.ts'

/**
 * Runs the command and resolves with the exit status.
 * @throws KeelsonError as `runInstance` does
 */
export const runStart = async (
  command: InstanceCommand,
  environment: Environment,
  verbose: boolean,
): Promise<number> => {
  const release = environment.onStrayRejection((reason) =>
    printLine(
      environment.errors,
      `A promise was rejected and nobody handled it: ${errorText(reason, verbose)}`,
    ),
  )
  try {
    return await runInstance(command, environment, {
      onProgress: (progress) => {
        const text = stepText(progress)
        if (text !== undefined && isTerminal(environment)) printLine(environment.output, text)
      },
      attend: (app, started, over) => prompted(app, started, over, environment, verbose),
    })
  } finally {
    release()
  }
}

/** Whether a person uses it. */
const isTerminal = ({ input, output }: Environment): boolean =>
  input.isTTY === true && output.isTTY === true

/** From the start screen to the end of the input, or of the instance. */
const prompted = async (
  app: App,
  started: Started,
  over: AbortSignal,
  environment: Environment,
  verbose: boolean,
): Promise<void> => {
  const paint = isTerminal(environment)
    ? paintFor(environment.output, environment.variables)
    : plainPaint
  greet(started, environment)
  const prompt = new Prompt({
    environment,
    words: promptWords(app, paint),
    colours: paint !== plainPaint,
    verbose,
    completions: () => processWords(app),
  })
  over.addEventListener('abort', () => prompt.close())
  await prompt.run()
}

/** The start screen on a terminal. Elsewhere one line and the warnings, on standard error. */
const greet = (started: Started, environment: Environment): void => {
  if (isTerminal(environment)) {
    const paint = paintFor(environment.output, environment.variables)
    printLine(environment.output, startScreen(started, paint))
  } else {
    printLine(environment.errors, startLine(started))
    printWarnings(environment, started)
  }
}
