/**
 * The log of the runtime: crashes and unexpected messages. Any logger with these three methods
 * fits.
 */

import { inspect } from 'node:util'
import { isError } from './exit-reason.ts'
import { callOutside } from './outside-code.ts'

/** One line and the facts behind it. */
export type Log = (message: string, facts?: Readonly<Record<string, unknown>>) => void

/** The logger's shape: pino, winston and console fit. */
export interface Logger {
  error: Log
  warn: Log
  info: Log
}

/** Writes one line for each event to `console`, with the stack, details and causes of errors, and the lines of a report. */
export const consoleLogger: Logger = {
  error: (message, facts) => console.error(line(message, facts)),
  warn: (message, facts) => console.warn(line(message, facts)),
  info: (message, facts) => console.info(line(message, facts)),
}

/**
 * `logger` as the runtime uses it. It never throws and leaves no unhandled rejection. If `logger`
 * fails, the line goes to `console` without its facts, because they may be the cause.
 */
export const guardedLogger = (logger: Logger): Logger => ({
  error: guarded(logger, 'error'),
  warn: guarded(logger, 'warn'),
  info: guarded(logger, 'info'),
})

const guarded =
  (logger: Logger, level: keyof Logger): Log =>
  (message, facts) => {
    callOutside(
      () => logger[level](message, facts),
      () => fallBack(level, message),
    )
  }

const fallBack = (level: keyof Logger, message: string): void => {
  try {
    consoleLogger[level](message)
  } catch {
    // No logger is left.
  }
}

/** The message, the error behind it, and the lines of a report. */
const line = (message: string, facts: Readonly<Record<string, unknown>> | undefined): string => {
  const { reason, report } = facts ?? {}
  const lines = [message]
  if (isError(reason)) lines.push(inspect(reason))
  if (report !== undefined) lines.push(String(report))
  return lines.join('\n')
}
