/**
 * `keelson flow` and `keelson streams`: look at the workflows and queues, or the durable streams, of an
 * instance that runs, and act on them. They ask as an attached prompt does: a command is one line
 * there, such as a call of the word `flow`.
 */

import { noOptions } from '../../own-names.ts'
import { membersText, RemoteSession, silence } from '../attach/remote-session.ts'
import { type Environment, printLine, signalStatuses } from '../command/environment.ts'
import { Interruption } from '../command/interruption.ts'
import type { StreamsCommand } from '../command/streams-words.ts'
import { openSession } from './attach-command.ts'
import type { InstanceWords } from './command-line.ts'
import type { FlowCommand } from './flow-command-line.ts'

/** Runs the command and resolves with the exit status. @throws KeelsonError as `runLine` */
export const runFlow = (
  command: FlowCommand,
  environment: Environment,
  verbose: boolean,
): Promise<number> => runLine(lineOf(command), command, environment, verbose)

/** Runs `keelson streams`, as `runFlow`. */
export const runStreams = (
  command: StreamsCommand,
  environment: Environment,
  verbose: boolean,
): Promise<number> => {
  const line = command.calls.map(([word, args]) => callOf(word, args)).join('.')
  return runLine(line, command, environment, verbose)
}

/**
 * Runs a line in the instance that a command names, and prints its answer. Resolves with the exit
 * status: 0 when the instance has done it, 1 with the error when it refuses, that of a signal
 * otherwise.
 * @throws KeelsonError as `RemoteSession.open`; `CLOSED` when the instance ends before its answer;
 * `TIMEOUT` without an answer `withinMs`
 */
export const runLine = async (
  line: string,
  command: InstanceWords & { readonly member?: string | undefined },
  environment: Environment,
  verbose: boolean,
  { answered, withinMs = answerMs }: LineOptions = noOptions,
): Promise<number> => {
  const interruption = new Interruption(environment)
  let release = (): void => undefined
  let asked = command.member === undefined ? [] : [command.member]
  const tooLate = new Promise<never>((_, reject) => {
    release = environment.clock.after(withinMs, () => reject(silence(asked, withinMs)))
  })
  const opening = openSession(command, environment, verbose, { open: RemoteSession.openAny })
  try {
    const answering = opening.then(({ session, member, silent = [] }) => {
      if (member !== undefined) asked = [member]
      if (silent.length > 0)
        printLine(environment.errors, `no answer from ${membersText(silent)}: another one is asked`)
      return session.run(line)
    })
    const answer = await Promise.race([answering, interruption.first, tooLate])
    if (typeof answer === 'string') return signalStatuses[answer]
    const { text = '', hasFailed } = answer
    if (!hasFailed && answered) return answered(text)
    printLine(hasFailed ? environment.errors : environment.output, text)
    return hasFailed ? 1 : 0
  } finally {
    release()
    interruption.release()
    opening.then(
      ({ session }) => session.close(),
      () => undefined,
    )
  }
}

type LineOptions = {
  /** Prints the answer of an instance that has done it, and answers the status. */
  readonly answered?: (text: string) => number
  /** The answer has so long, in ms; 60 s by default. */
  readonly withinMs?: number
}

/** A word may ask members that do not answer, one after the other, and read long pages. */
const answerMs = 60_000

const lineOf = ({ word, args }: FlowCommand): string => callOf(`flow.${word}`, args)

/** A call of a word as JavaScript, with its arguments as data. */
export const callOf = (word: string, args: readonly unknown[]): string =>
  `${word}(...JSON.parse(${JSON.stringify(JSON.stringify(args))}))`
