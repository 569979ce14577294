/**
 * `keelson run`: an instance as a service. Nothing is read from standard input; signals drive its
 * life. Standard output gets one line, when everything has started.
 */
import { type Environment, printLine } from '../command/environment.ts'
import type { InstanceCommand } from './command-line.ts'
import { printWarnings, runInstance } from './instance-life.ts'
import { startLine, stepText } from './start-view.ts'

/**
 * Runs the command and resolves with the exit status.
 * @throws KeelsonError as `runInstance` does
 */
export const runService = (command: InstanceCommand, environment: Environment): Promise<number> =>
  runInstance(command, environment, {
    attach: true,
    tell: (text) => printLine(environment.errors, text),
    onProgress: (progress) => {
      const text = stepText(progress)
      if (text !== undefined) printLine(environment.errors, text)
    },
    attend: async (_app, started, over) => {
      printWarnings(environment, started)
      printLine(environment.output, `ready: ${startLine(started)}`)
      await new Promise((resolve) => over.addEventListener('abort', resolve))
    },
  })
