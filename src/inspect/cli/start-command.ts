/**
 * `keelson start`: an instance with a prompt. It ends in order at the end of the input or at a
 * signal, with status 0.
 */
import { textLogger } from '../../runtime/index.ts'
import type { App } from '../../supervisors/index.ts'
import { type Environment, isTerminal, printLine } from '../command/environment.ts'
import { historyPath } from '../prompt/history-file.ts'
import { Prompt } from '../prompt/prompt.ts'
import { processWords, promptWords } from '../prompt/prompt-words.ts'
import { LocalSession } from '../prompt/session.ts'
import { ShownValues } from '../prompt/shown-values.ts'
import { errorText } from '../text/error-view.ts'
import { paintFor, plainPaint, printableLines } from '../text/paint.ts'
import type { InstanceCommand } from './command-line.ts'
import { runInstance, warningLines } from './instance-run.ts'
import { isWait, type Started, startLine, startScreen, stepText } from './start-view.ts'

/**
 * Runs the command and resolves with the exit status.
 * @throws KeelsonError as `runInstance` does
 */
export const runStart = async (
  command: InstanceCommand,
  environment: Environment,
  verbose: boolean,
): Promise<number> => {
  let prompt: Prompt | undefined
  // The log leaves the typed text alone, unless it goes elsewhere.
  const beside = (text: string): void => {
    if (prompt && environment.errors.isTTY) prompt.print(text)
    else printLine(environment.errors, text)
  }
  const release = environment.onStrayRejection((reason) =>
    beside(`A rejected promise was not handled: ${errorText(reason, verbose)}`),
  )
  try {
    return await runInstance(command, environment, {
      attach: false,
      giveUpAfter: 0,
      logger: textLogger(environment.clock, (text) => beside(printableLines(text))),
      notify: (text) => printLine(environment.errors, text),
      onProgress: (progress) => {
        const text = stepText(progress)
        if (text === undefined) return
        if (isTerminal(environment)) printLine(environment.output, text)
        else if (isWait(progress)) printLine(environment.errors, text)
      },
      attend: async (app, started, over) => {
        greet(started, environment)
        prompt = promptFor(app, environment, command)
        over.addEventListener('abort', () => prompt?.close())
        await prompt.run()
      },
    })
  } finally {
    release()
  }
}

const promptFor = (
  app: App,
  environment: Environment,
  { verbose, reveal }: InstanceCommand,
): Prompt => {
  const paint = isTerminal(environment)
    ? paintFor(environment.output, environment.variables)
    : plainPaint
  return new Prompt({
    environment,
    session: new LocalSession({
      words: promptWords(app, paint, app.control, new ShownValues(reveal)),
      colours: paint !== plainPaint,
      verbose,
      completions: () => processWords(app),
    }),
    history: historyPath(environment.variables),
  })
}

/** The start screen on a terminal. Elsewhere one line and the warnings, on standard error. */
const greet = (started: Started, environment: Environment): void => {
  if (isTerminal(environment)) {
    const paint = paintFor(environment.output, environment.variables)
    printLine(environment.output, startScreen(started, paint))
  } else {
    printLine(environment.errors, startLine(started))
    for (const line of warningLines(started)) printLine(environment.errors, line)
  }
}
