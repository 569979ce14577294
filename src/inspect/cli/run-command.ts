/**
 * `keelson run`: an instance as a service. Nothing is read from standard input; signals drive
 * it. It prints lines of a log only. Standard output gets one, when everything has started.
 */
import type { Writable } from 'node:stream'
import { jsonLogger, type Logger, textLogger } from '../../runtime/index.ts'
import { type Environment, printLine, startFailureStatus } from '../command/environment.ts'
import { ServiceManager } from '../command/service-manager.ts'
import { errorText } from '../text/error-view.ts'
import { printableLines } from '../text/paint.ts'
import type { InstanceCommand } from './command-line.ts'
import { replaced, runInstance, warningLines } from './instance-run.ts'
import { startLine, stepText } from './start-view.ts'

/**
 * Runs the command and resolves with the exit status.
 * @throws KeelsonError as `runInstance` does, unless the log is JSON and has the error
 */
export const runService = async (
  command: InstanceCommand,
  environment: Environment,
): Promise<number> => {
  const isJson = command.log === 'json'
  const logTo = (stream: Writable): Logger =>
    isJson
      ? jsonLogger({ stream, clock: environment.clock })
      : textLogger(environment.clock, (text) => printLine(stream, printableLines(text)))
  const log = logTo(environment.errors)
  const notify = (text: string): void => log.info(text)
  const manager = new ServiceManager(environment, (text) => log.warn(text))
  try {
    return await runInstance(command, environment, {
      attach: true,
      logger: log,
      notify,
      onProgress: (progress) => {
        const text = stepText(progress)
        if (text !== undefined) notify(text)
      },
      attend: async (_app, started, over) => {
        for (const line of warningLines(started)) log.warn(line)
        logTo(environment.output).info(`ready: ${startLine(started)}`)
        manager.ready()
        await new Promise((resolve) => over.addEventListener('abort', resolve))
        // To a service manager, a service that says that it stops has ended.
        if (over.reason !== replaced) manager.stopping()
      },
    })
  } catch (reason) {
    if (!isJson) throw reason
    log.error(errorText(reason, false), { reason })
    return startFailureStatus(reason)
  } finally {
    manager.release()
  }
}
