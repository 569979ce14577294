/**
 * The log of the runtime: crashes, restarts and unexpected messages. Any logger with these three
 * methods fits.
 */

import type { Clock } from '../../clock.ts'
import { stackText } from './error-stack.ts'
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

/** The levels of a log. */
export type LogLevel = keyof Logger

/**
 * A logger that writes each event as text: time (ISO 8601, UTC), level and message in one line,
 * then the stack, details and causes of an error behind it, without Keelson's own frames, and the
 * lines of a report.
 */
export const textLogger = (
  clock: Pick<Clock, 'now'>,
  write: (text: string, level: LogLevel) => void,
): Logger => {
  const log =
    (level: LogLevel): Log =>
    (message, facts) =>
      write(
        `${new Date(clock.now()).toISOString()} ${level.padEnd(5)} ${text(message, facts)}`,
        level,
      )
  return { error: log('error'), warn: log('warn'), info: log('info') }
}

/** The default of a System: text to `console`. */
export const consoleLogger = (clock: Pick<Clock, 'now'>): Logger =>
  textLogger(clock, (written, level) => console[level](written))

/**
 * `logger` as the runtime uses it. It never throws and leaves no unhandled rejection. If `logger`
 * fails, the line goes to `lastResort` without its facts, because they may be the cause.
 */
export const guardedLogger = (logger: Logger, lastResort: Logger): Logger => {
  const guarded =
    (level: LogLevel): Log =>
    (message, facts) => {
      callOutside(
        () => logger[level](message, facts),
        () => fallBack(lastResort, level, message),
      )
    }
  return { error: guarded('error'), warn: guarded('warn'), info: guarded('info') }
}

const fallBack = (logger: Logger, level: LogLevel, message: string): void => {
  try {
    logger[level](message)
  } catch {
    // No logger is left.
  }
}

const text = (message: string, facts: Readonly<Record<string, unknown>> | undefined): string => {
  const { reason, report } = facts ?? {}
  const lines = [isError(reason) ? `${message}${stackText(reason, message)}` : message]
  if (report !== undefined) lines.push(String(report))
  return lines.join('\n')
}
