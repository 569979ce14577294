/**
 * The child of `keelson dev`: a service that says which parts its configuration declares, and ends
 * when its parent has ended. It is apart from `dev-command.ts`, which is the parent.
 */
import { onProcess } from '../../process-events.ts'
import { declaredParts } from '../answers/declared-parts.ts'
import type { Environment } from '../command/environment.ts'
import type { InstanceCommand } from './command-line.ts'
import { runInstance } from './instance-run.ts'
import { ServiceLines, serviceAttendance, serviceLog } from './run-command.ts'

/** The variable that the parent sets for its child. */
export const devVariable = 'KEELSON_DEV'

/** Runs the service, and resolves with the exit status. @throws KeelsonError as `runInstance` does */
export const runDevChild = (
  command: InstanceCommand,
  environment: Environment,
): Promise<number> => {
  const log = serviceLog(command, environment, environment.errors)
  const ready = serviceLog(command, environment, environment.output)
  const inChild: Environment = {
    ...environment,
    onSignal: (listener) => {
      const forget = onProcess('disconnect', () => listener('SIGTERM'))
      const release = environment.onSignal(listener)
      return () => {
        forget()
        release()
      }
    },
  }
  return runInstance(command, inChild, {
    ...serviceAttendance(new ServiceLines(log), log, (line) => ready.info(`ready: ${line}`)),
    // Of its end the parent speaks.
    interrupted: () => undefined,
    configured: ({ options }) => {
      process.send?.(declaredParts(options))
      return options
    },
  })
}
