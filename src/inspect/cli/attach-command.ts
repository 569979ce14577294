/**
 * `keelson attach`: the prompt of a running instance, in another process. Lines, keys and history
 * are here; what a line does happens there. The instance goes on when the prompt ends.
 */

import { resolve } from 'node:path'
import { noOptions } from '../../own-names.ts'
import type { Greeting } from '../attach/attach-protocol.ts'
import { RemoteSession } from '../attach/remote-session.ts'
import { type Environment, isTerminal, printLine, signalStatuses } from '../command/environment.ts'
import { Interruption } from '../command/interruption.ts'
import { historyPath } from '../prompt/history-file.ts'
import { Prompt } from '../prompt/prompt.ts'
import { paintFor, plainPaint, printable } from '../text/paint.ts'
import type { InstanceCommand, InstanceWords } from './command-line.ts'

/**
 * Runs the command and resolves with the exit status: 0 when the prompt was left or its input has
 * ended, that of a signal otherwise.
 * @throws KeelsonError `CLOSED` when the instance ends; as `RemoteSession.open`
 */
export const runAttach = async (
  command: InstanceCommand,
  environment: Environment,
  verbose: boolean,
): Promise<number> => {
  const interruption = new Interruption(environment)
  try {
    const opening = openSession(command, environment, verbose, { log: isTerminal(environment) })
    // An instance that is busy answers late.
    const first = await Promise.race([opening, interruption.first])
    if (typeof first === 'object')
      return await attended({ ...first, member: command.member }, environment, interruption)
    opening.then(
      ({ session }) => session.close(),
      () => undefined,
    )
    return signalStatuses[first]
  } finally {
    interruption.release()
  }
}

type Opened = {
  readonly session: RemoteSession
  readonly greeting: Greeting
  /** The members that did not answer before this one. */
  readonly silent?: readonly string[]
  readonly member?: string | undefined
}

type SessionParts = {
  readonly open?: (...args: Parameters<typeof RemoteSession.open>) => Promise<Opened>
  readonly log?: boolean
}

/**
 * Opens a session with the instance that a command names, with `log` for one that shows the log.
 * @throws as `RemoteSession.open`
 */
export const openSession = async (
  command: InstanceWords & { readonly member?: string | undefined },
  environment: Environment,
  verbose: boolean,
  { open = RemoteSession.open, log = false }: SessionParts = noOptions,
): Promise<Opened> => {
  const { cwd, output, variables, clock } = environment
  const colours = isTerminal(environment) && paintFor(output, variables) !== plainPaint
  const dir = command.dir === undefined ? await configuredDir(command, cwd) : command.dir
  const place = { dir: resolve(cwd, dir), member: command.member }
  return open(place, { colours, verbose, log }, undefined, { clock })
}

/** The data folder of the configuration, or the default one. */
export const configuredDir = async (command: InstanceWords, cwd: string): Promise<string> => {
  const { readConfiguration } = await import('../command/configuration-file.ts')
  return (await readConfiguration({ ...command, cwd })).options.dir
}

const attended = async (
  { session, greeting, member }: Opened & { readonly member: string | undefined },
  environment: Environment,
  interruption: Interruption,
): Promise<number> => {
  const { output, variables } = environment
  const terminal = isTerminal(environment)
  if (terminal) printLine(output, greetingText(greeting, member))
  const prompt = new Prompt({ environment, session, history: historyPath(variables) })
  session.onLine((line) => prompt.print(line))
  // The log leaves the typed text alone, unless it goes elsewhere.
  session.onLog((text) =>
    environment.errors.isTTY ? prompt.print(text) : printLine(environment.errors, text),
  )
  try {
    const signal = await Promise.race([prompt.run(), session.ended, interruption.first])
    return signal === undefined ? 0 : signalStatuses[signal]
  } catch (error) {
    // The typed text is on its line.
    if (terminal) printLine(output, '')
    throw error
  } finally {
    prompt.close()
    session.close()
  }
}

const greetingText = ({ version, dir, pid }: Greeting, member: string | undefined): string =>
  `Keelson ${printable(version)}  ${printable(dir)}${memberText(member)}  process ${pid}
Type help for the commands, tree() for what runs; Ctrl-D leaves, and the instance keeps running.`

const memberText = (member: string | undefined): string =>
  member === undefined ? '' : `  member ${member}`
