/**
 * Where the runtime tells of crashes and of messages that nobody expected. Any logger with these three methods will do.
 */

/** One line and the facts behind it. */
export type Log = (message: string, facts?: Readonly<Record<string, unknown>>) => void

/** A structural logger: pino, winston and console all fit behind it. */
export interface Logger {
  error: Log
  warn: Log
  info: Log
}

/** Writes one line an event to `console`, errors with their stack. */
export const consoleLogger: Logger = {
  error: (message, facts) => console.error(line(message, facts)),
  warn: (message, facts) => console.warn(line(message, facts)),
  info: (message, facts) => console.info(line(message, facts)),
}

const line = (message: string, facts: Readonly<Record<string, unknown>> | undefined): string => {
  const reason = facts?.reason
  return reason instanceof Error && reason.stack !== undefined
    ? `${message}\n${reason.stack}`
    : message
}
