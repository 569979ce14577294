/**
 * What a command has of the world: its streams, folder, variables and signals. The commands take it as a value, so that a
 * test can run them beside others; only `processEnvironment` is this process's own.
 */

import { readFileSync } from 'node:fs'
import type { Readable, Writable } from 'node:stream'
import { type Clock, systemClock } from '../../clock.ts'
import { KeelsonError } from '../../errors.ts'

// The version of this package, out of its own `package.json`.

/** As npm knows it: `0.1.0`. */
export const packageVersion = (): string => {
  const file = new URL('../../../package.json', import.meta.url)
  const { version } = JSON.parse(readFileSync(file, 'utf8')) as { version: string }
  return version
}

/** Signals that ask a command to end. */
export type EndSignal = 'SIGINT' | 'SIGTERM'

/** A stream to read; a terminal when it says so, and then it may be put into raw mode. */
export type Input = Readable & {
  readonly isTTY?: boolean
  readonly isRaw?: boolean
  setRawMode?(mode: boolean): unknown
}

/** A stream to print to; a terminal when it says so. */
export type Output = Writable & { readonly isTTY?: boolean; readonly columns?: number }

/** What a command has of the world. */
export type Environment = {
  readonly input: Input
  readonly output: Output
  readonly errors: Output
  /** The folder in which relative paths begin. @throws KeelsonError `CONFIG` when it is gone */
  readonly cwd: string
  readonly variables: Readonly<Record<string, string | undefined>>
  readonly clock: Clock
  /** Calls `listener` at each signal, until what it answers is called. */
  readonly onSignal: (listener: (signal: EndSignal) => void) => () => void
  /** Calls `listener` with each rejection that nobody handled, until what it answers is called; meanwhile none ends the process. */
  readonly onStrayRejection: (listener: (reason: unknown) => void) => () => void
  /** Ends the process at once. */
  readonly exit: (status: number) => void
}

const signals: readonly EndSignal[] = ['SIGINT', 'SIGTERM']

/** Exit statuses by which shells know that a signal ended a command: 128 and the signal's number. */
export const signalStatuses: Readonly<Record<EndSignal, number>> = { SIGINT: 130, SIGTERM: 143 }

/** The world of this process. */
export const processEnvironment = (): Environment => ({
  input: process.stdin,
  output: process.stdout,
  errors: process.stderr,
  get cwd() {
    return presentFolder()
  },
  variables: process.env,
  clock: systemClock(),
  onSignal: (listener) => {
    for (const signal of signals) process.on(signal, listener)
    return () => {
      for (const signal of signals) process.off(signal, listener)
    }
  },
  onStrayRejection: (listener) => {
    process.on('unhandledRejection', listener)
    return () => void process.off('unhandledRejection', listener)
  },
  exit: (status) => process.exit(status),
})

const presentFolder = (): string => {
  try {
    return process.cwd()
  } catch (cause) {
    throw new KeelsonError('CONFIG', 'The present folder is not there any more.', {
      details: { path: 'cwd', expected: 'a folder that is there', found: (cause as Error).message },
      cause,
    })
  }
}

/** Prints a text as lines of its own. */
export const printLine = (stream: Writable, text: string): void => {
  stream.write(`${text}\n`)
}
