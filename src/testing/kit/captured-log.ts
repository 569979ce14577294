/** A log that keeps its lines, for tests in which processes crash on purpose. */
import type { Log, Logger } from '../../runtime/index.ts'

// A log that says nothing, for tests in which processes crash on purpose.

/** Drops everything. */
export const silentLogger: Logger = { error: () => {}, warn: () => {}, info: () => {} }

/** A line that the runtime, or an actor, wrote. */
export interface LogLine {
  readonly level: keyof Logger
  readonly message: string
  readonly facts: Readonly<Record<string, unknown>> | undefined
}

/** A logger, and what it was told. */
export interface CapturedLog extends Logger {
  /** All lines so far, oldest first. */
  readonly lines: readonly LogLine[]
  /** The messages of one level, oldest first. */
  messages(level: keyof Logger): readonly string[]
}

/** Keeps every line, and hands it on to `logger` when there is one. */
export const capturedLog = (logger?: Logger): CapturedLog => {
  const lines: LogLine[] = []
  const keep =
    (level: keyof Logger): Log =>
    (message, facts) => {
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
