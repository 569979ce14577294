/** Logs for tests in which processes crash on purpose. */
import { noMore } from '../../check.ts'
import type { Log, Logger } from '../../runtime/index.ts'
import { isError, readError } from '../../thrown.ts'

/** A log that drops every line. */
export const silentLogger: Logger = { error: () => {}, warn: () => {}, info: () => {} }

/** A line of the runtime or of an actor. */
export interface LogLine {
  readonly level: keyof Logger
  readonly message: string
  readonly facts: Readonly<Record<string, unknown>> | undefined
}

/** A logger, and its lines. */
export interface CapturedLog extends Logger {
  /** All lines so far, oldest first. */
  readonly lines: readonly LogLine[]
  /** The messages of one level, oldest first. */
  messages(level: keyof Logger): readonly string[]
}

/**
 * Makes the stack of each error in `facts` text. Until it is read, a stack holds the objects whose
 * methods it names: a crash report would hold the whole instance that crashed.
 */
const settleStacks = (facts: LogLine['facts']): void => {
  // The runtime gives a reason that is not enumerable, beside its text.
  for (let fact of [facts?.['reason'], ...Object.values(facts ?? {})])
    for (let depth = 0; isError(fact) && depth < 8; depth++) {
      const { stack, cause } = readError(fact)
      void stack
      fact = cause
    }
}

/** Keeps every line, and passes it to `logger` if there is one. */
export const capturedLog = (logger?: Logger, ...surplus: []): CapturedLog => {
  noMore(surplus, 'capturedLog(logger)')
  const lines: LogLine[] = []
  const keep =
    (level: keyof Logger): Log =>
    (message, facts) => {
      settleStacks(facts)
      lines.push({ level, message, facts })
      return logger?.[level](message, facts)
    }
  return {
    lines,
    messages: (level) => lines.filter((line) => line.level === level).map(({ message }) => message),
    error: keep('error'),
    warn: keep('warn'),
    info: keep('info'),
  }
}
