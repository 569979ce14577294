/**
 * `keelson observe`: the page of a running instance, served by this process on this machine alone.
 * The instance opens no port and answers questions only.
 */
import { spawn } from 'node:child_process'
import { userInfo } from 'node:os'
import { resolve } from 'node:path'
import { type Environment, isTerminal, printLine, signalStatuses } from '../command/environment.ts'
import { Interruption } from '../command/interruption.ts'
import { Tokens } from '../page-server/admission.ts'
import { builtPage } from '../page-server/built-page.ts'
import { InstanceLink } from '../page-server/instance-link.ts'
import { listenOnLoopback } from '../page-server/loopback-server.ts'
import { PageServer } from '../page-server/page-server.ts'
import { configuredDir } from './attach-command.ts'
import type { ObserveCommand } from './command-line.ts'

/**
 * Runs the command until a signal, and resolves with its exit status.
 * @throws KeelsonError `NO_PROCESS`, `READ_ONLY` if the instance cannot be reached; `CONFIG` for a
 * port that is taken
 */
export const runObserve = async (
  command: ObserveCommand,
  environment: Environment,
): Promise<number> => {
  const { clock, cwd, output, input } = environment
  const dir = resolve(cwd, command.dir ?? (await configuredDir(command, cwd)))
  const interruption = new Interruption(environment)
  const source = new InstanceLink({ dir, member: command.member }, clock, {
    write: command.write,
    user: userInfo().username,
  })
  const tokens = new Tokens(clock)
  try {
    // An instance that is busy answers late.
    const ended = await Promise.race([source.open(), interruption.first])
    if (ended !== undefined) return signalStatuses[ended]
    const { port, close } = await listenOnLoopback(
      command.port,
      clock,
      ({ headers }) => tokens.admits(headers.authorization),
      (terms) =>
        new PageServer({
          ...terms,
          source,
          clock,
          page: builtPage(),
          isWriting: command.write,
          exchanged: (code) => tokens.exchanged(code),
        }),
    )
    // The fragment is in no log and no request.
    const address = (): string => `http://127.0.0.1:${port}/#code=${tokens.code()}`
    const printAddress = (): void => printLine(output, address())
    const { member, write } = command
    const place = member === undefined ? dir : `${dir}, member ${member}`
    printLine(output, `Observes ${place}${write ? ', and may act' : ', read only'}.`)
    printAddress()
    const isAsked = isTerminal(environment)
    const another = isAsked ? 'Return prints another one.' : 'A new start prints another one.'
    printLine(output, `The address is good once, for 30 s. ${another}`)
    if (isAsked) input.on('data', printAddress)
    if (command.open) openBrowser(address())
    try {
      return signalStatuses[await interruption.first]
    } finally {
      input.off('data', printAddress)
      input.pause()
      close()
    }
  } finally {
    source.close()
    interruption.release()
  }
}

/** Without a browser the printed address is there. */
const openBrowser = (address: string): void => {
  const program = process.platform === 'darwin' ? 'open' : 'xdg-open'
  const browser = spawn(program, [address], { stdio: 'ignore', detached: true })
  browser.on('error', () => undefined)
  browser.unref()
}
