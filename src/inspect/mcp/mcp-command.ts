/**
 * `keelson mcp`: reading tools of a running instance for a client of the Model Context Protocol, over
 * standard input and output. Standard output has messages of the protocol only.
 */
import { userInfo } from 'node:os'
import { resolve } from 'node:path'
import { type Environment, printLine, signalStatuses } from '../command/environment.ts'
import { Interruption } from '../command/interruption.ts'
import { docPages } from './doc-pages.ts'
import type { McpCommand } from './mcp-command-line.ts'
import { serveTools } from './mcp-server.ts'
import { ReadingLink } from './reading-link.ts'

/**
 * Serves until the input ends, and resolves with the exit status: 0 then, that of a signal otherwise.
 * The instance need not run: the next call that wants it connects.
 * @throws KeelsonError `CONFIG` if the package of the protocol is not installed
 */
export const runMcp = async (command: McpCommand, environment: Environment): Promise<number> => {
  const { clock, cwd, input, output, errors } = environment
  const dir = resolve(cwd, command.dir)
  const interruption = new Interruption(environment)
  const link = new ReadingLink({ dir, member: command.member }, clock, userInfo().username)
  const look: ReadingLink['look'] = (view, query) => link.look(view, query)
  try {
    const ended = new Promise<undefined>((resolve) => {
      for (const event of ['end', 'close', 'error']) input.once(event, () => resolve(undefined))
      // A client that reads no more is gone.
      for (const event of ['close', 'error']) output.once(event, () => resolve(undefined))
    })
    const end = await serveTools({ look, docs: docPages() }, { input, output, clock })
    printLine(errors, `keelson mcp: reading tools for ${dir}`)
    const first = await Promise.race([ended, interruption.first])
    if (first !== undefined) return signalStatuses[first]
    await Promise.race([end(), interruption.first])
    return 0
  } finally {
    link.close()
    input.pause()
    interruption.release()
  }
}
