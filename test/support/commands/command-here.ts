/**
 * The `keelson` command in this process, on the built package: what it does, prints and answers, without the start of a process.
 * What belongs to a process (signals, streams, its end) is for `keelson-command.ts`.
 */
import { PassThrough } from 'node:stream'
import { runCommandLine } from '../../../dist/inspect/cli/command.js'
import { type Environment, processEnvironment } from '../../../dist/inspect/command/environment.js'

/** What else the environment of a command has: its input as a text, or any part of it. */
export type Given = Partial<Omit<Environment, 'input'>> & {
  readonly input?: string | Environment['input']
}

/** Runs `keelson` with `words` in the folder `cwd` to its end. */
export const commandHere = async (
  words: readonly string[],
  cwd: string,
  { input = '', ...more }: Given = {},
) => {
  const [output, errors] = [new PassThrough(), new PassThrough()]
  const printed = { output: '', errors: '' }
  output.on('data', (text: Buffer) => (printed.output += text))
  errors.on('data', (text: Buffer) => (printed.errors += text))
  const environment: Environment = {
    ...processEnvironment(),
    ...{ output, errors, cwd, variables: {} },
    input: typeof input === 'string' ? new PassThrough().end(input) : input,
    hasInput: true,
    onSignal: () => () => undefined,
    onStrayRejection: () => () => undefined,
    exit: (status) => {
      throw new Error(`it ends its process with ${status}`)
    },
    ...more,
  }
  const status = await runCommandLine(words, environment)
  return { status, ...printed }
}
