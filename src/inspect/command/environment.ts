/**
 * The environment of a command: its streams, folder, variables and signals. Commands take it as a
 * value, so that tests can run them side by side. Only `processEnvironment` is that of this
 * process.
 */

import { fstatSync } from 'node:fs'
import type { Readable, Writable } from 'node:stream'
import { type Clock, systemClock } from '../../clock.ts'
import { isKeelsonError, KeelsonError, keptError } from '../../errors.ts'
import { onProcess, onStrayRejection } from '../../process-events.ts'

/** Signals that ask a command to end. */
export type EndSignal = 'SIGINT' | 'SIGTERM'

/** An input stream. A terminal can be put into raw mode. */
export type Input = Readable & {
  readonly isTTY?: boolean
  readonly isRaw?: boolean
  setRawMode?(mode: boolean): unknown
}

/** An output stream, perhaps a terminal. */
export type Output = Writable & { readonly isTTY?: boolean; readonly columns?: number }

/** The environment of a command. */
export type Environment = {
  readonly input: Input
  /** Whether the input is a terminal, a pipe or a file. False: `/dev/null`, as services have it. */
  readonly hasInput: boolean
  readonly output: Output
  readonly errors: Output
  /**
   * The folder for relative paths.
   * @throws KeelsonError `CONFIG` when it does not exist
   */
  readonly cwd: string
  readonly variables: Readonly<Record<string, string | undefined>>
  readonly clock: Clock
  /** Calls `listener` at each signal. Returns a function that cancels this. */
  readonly onSignal: (listener: (signal: EndSignal) => void) => () => void
  /**
   * Calls `listener` with each unhandled rejection, which then does not end the process. Returns a
   * function that cancels this.
   */
  readonly onStrayRejection: (listener: (reason: unknown) => void) => () => void
  /** Ends the process at once. */
  readonly exit: (status: number) => void
}

const signals: readonly EndSignal[] = ['SIGINT', 'SIGTERM']

/** Exit statuses after a signal: 128 plus the signal's number. */
export const signalStatuses: Readonly<Record<EndSignal, number>> = { SIGINT: 130, SIGTERM: 143 }

/**
 * The exit status after a start that failed: 78 (EX_CONFIG of sysexits.h) if the next start fails
 * as well, until a person has mended the configuration or the engine of a cluster; otherwise 1.
 */
export const startFailureStatus = (error: unknown): number =>
  isKeelsonError(error, 'CONFIG') ? 78 : 1

/** The environment of this process. */
export const processEnvironment = (): Environment => ({
  input: process.stdin,
  // Node opens /dev/null in the place of a closed input. Without `bigint` a pipe would stay in the
  // memory that Node's realpath looks at, and an import through a link would load a second copy.
  get hasInput() {
    return process.stdin.isTTY || !fstatSync(0, { bigint: true }).isCharacterDevice()
  },
  output: process.stdout,
  errors: process.stderr,
  get cwd() {
    return presentFolder()
  },
  variables: process.env,
  clock: systemClock(),
  onSignal: (listener) => {
    const heard = (signal: EndSignal): void => {
      // The shell may end of the same signal. That is no second one.
      npm()
      listener(signal)
    }
    const forget = signals.map((signal) => onProcess(signal, heard))
    const npm = onEndOfNpm(process.env, systemClock(), () => process.ppid, listener)
    return () => {
      npm()
      for (const end of forget) end()
    }
  },
  onStrayRejection,
  exit: (status) => process.exit(status),
})

/** npm, pnpm and yarn set it for what they run; `npx` to `npx`. */
const byNpm = 'npm_lifecycle_event'

/** The parent is looked at in this interval: no event reports its end. */
const parentMs = 500

/**
 * npm passes SIGTERM to the shell of the script, and that ends without passing it on. So under npm
 * `listener` gets SIGTERM when `parent`, the shell, is another process than it was. A service
 * outside of npm outlives its shell. Returns a function that cancels this.
 */
export const onEndOfNpm = (
  variables: Environment['variables'],
  clock: Clock,
  parent: () => number,
  listener: (signal: EndSignal) => void,
): (() => void) => {
  if (variables[byNpm] === undefined) return () => undefined
  const shell = parent()
  const look = (): void => {
    if (parent() === shell) cancel = clock.after(parentMs, look)
    else listener('SIGTERM')
  }
  let cancel = clock.after(parentMs, look)
  return () => cancel()
}

const presentFolder = (): string => {
  try {
    return process.cwd()
  } catch (cause) {
    throw new KeelsonError('CONFIG', 'the current folder does not exist: change to another one', {
      details: { path: 'cwd', expected: 'a folder that is there', found: keptError(cause).message },
      cause,
    })
  }
}

/** Whether a person uses it. */
export const isTerminal = ({ input, output }: Pick<Environment, 'input' | 'output'>): boolean =>
  input.isTTY === true && output.isTTY === true

/** Prints a text and ends its line. */
export const printLine = (stream: Writable, text: string): void => {
  stream.write(`${text}\n`)
}
