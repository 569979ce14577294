/**
 * `keelson flow`: looks at the workflows and queues of an instance that runs, and acts on them. It
 * asks as an attached prompt does: the command is one line, a call of the word `flow` there.
 */
import { type Environment, printLine, signalStatuses } from '../command/environment.ts'
import { Interruption } from '../command/interruption.ts'
import { openSession } from './attach-command.ts'
import type { FlowCommand } from './flow-command-line.ts'

/**
 * Runs the command and resolves with the exit status: 0 when the instance has done it, 1 with the
 * error when it refuses, that of a signal otherwise.
 * @throws KeelsonError as `RemoteSession.open`; `CLOSED` when the instance ends before its answer
 */
export const runFlow = async (
  command: FlowCommand,
  environment: Environment,
  verbose: boolean,
): Promise<number> => {
  const interruption = new Interruption(environment)
  const opening = openSession(command, environment, verbose)
  try {
    const answering = opening.then(({ session }) =>
      Promise.race([session.run(lineOf(command)), session.ended]),
    )
    const answer = await Promise.race([answering, interruption.first])
    if (typeof answer === 'string') return signalStatuses[answer]
    const { text = '', hasFailed } = answer
    printLine(hasFailed ? environment.errors : environment.output, text)
    return hasFailed ? 1 : 0
  } finally {
    interruption.release()
    opening.then(
      ({ session }) => session.close(),
      () => undefined,
    )
  }
}

/** The call as JavaScript, with the typed words as data. */
const lineOf = ({ word, args }: FlowCommand): string =>
  `flow.${word}(...JSON.parse(${JSON.stringify(JSON.stringify(args))}))`
