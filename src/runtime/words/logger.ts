/**
 * Where the runtime tells of crashes and of messages that nobody expected. Any logger with these three methods will do.
 */

import { inspect } from 'node:util'
import { isError } from './exit-reason.ts'
import { callOutside } from './outside-code.ts'

/** One line and the facts behind it. */
export type Log = (message: string, facts?: Readonly<Record<string, unknown>>) => void

/** A structural logger: pino, winston and console all fit behind it. */
export interface Logger {
  error: Log
  warn: Log
  info: Log
}

/** Writes one line an event to `console`, errors with their stack, their details and their causes. */
export const consoleLogger: Logger = {
  error: (message, facts) => console.error(line(message, facts)),
  warn: (message, facts) => console.warn(line(message, facts)),
  info: (message, facts) => console.info(line(message, facts)),
}

/**
 * `logger` as the runtime uses it: it cannot throw, nor leave a rejection that nobody handles. A line that it does not take goes to `console` instead, without its
 * facts, which may be what it stumbled over.
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
    // There is nobody left to tell.
  }
}

const line = (message: string, facts: Readonly<Record<string, unknown>> | undefined): string => {
  const reason = facts?.reason
  return isError(reason) ? `${message}\n${inspect(reason)}` : message
}
