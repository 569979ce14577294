/**
 * The log of the runtime: crashes, restarts and unexpected messages. Any logger with these three
 * methods fits.
 */

import { inspect } from 'node:util'
import { noMore } from '../../check.ts'
import type { Clock } from '../../clock.ts'
import { isKeelsonError, reasonText } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import { redacted } from '../../redaction.ts'
import { isError, readError } from '../../thrown.ts'
import { isFrame, isHiddenFrame } from '../../user-frames.ts'
import { describeReason } from './exit-reason.ts'
import { atOnce, callOutside, type Outside } from './outside-code.ts'

/** The facts of a line. */
type Facts = Readonly<Record<string, unknown>>

/**
 * One line and its facts. If the `reason` is an Error, JSON and copies of the facts have `error` in
 * its place: its name, message and stack.
 */
export type Log = (message: string, facts?: Facts) => void

/** The logger's shape: winston and console fit. One of pino is recognized, and used as its own. */
export interface Logger {
  error: Log
  warn: Log
  info: Log
}

/** The levels of a log. */
export type LogLevel = keyof Logger

/** A logger that takes the facts first, as pino and bunyan do. */
export type ObjectFirstLogger = Readonly<
  Record<LogLevel, (facts: Record<string, unknown>, message: string) => void>
>

/**
 * A logger that writes each event as text: time (ISO 8601, UTC), level and message in one line,
 * then the stack, details and causes of its error, without Keelson's own frames, and the lines of a
 * report.
 */
export const textLogger = (
  clock: Pick<Clock, 'now'>,
  write: (text: string, level: LogLevel) => void,
): Logger =>
  loggerOf((level) => (message, facts) => write(logLine(clock, level, message, facts), level))

/** One event of a log as `textLogger` writes it. */
export const logLine = (
  clock: Pick<Clock, 'now'>,
  level: LogLevel,
  message: string,
  facts?: Facts,
): string => `${timeOf(clock)} ${level.padEnd(5)} ${eventText(message, facts)}`

/** The default of a System: text to `console`. */
export const consoleLogger = (clock: Pick<Clock, 'now'>): Logger =>
  textLogger(clock, (written, level) => console[level](written))

/**
 * `logger`, which takes the facts first, as one that takes the message first. An Error that is the
 * `reason` is `err`, for which such loggers have a serializer. The `pid` of a process is `process`,
 * because theirs is the one of the operating system.
 */
export const objectFirst = (logger: ObjectFirstLogger, ...surplus: []): Logger => {
  noMore(surplus, 'objectFirst(logger)')
  return loggerOf((level) => (message, facts = noOptions) => {
    const { reason } = facts
    const isFailure = isError(reason)
    const others = Object.entries(facts)
      .filter(([name]) => !isFailure || (name !== 'reason' && name !== 'error'))
      .map(([name, value]) => [name === 'pid' ? 'process' : name, value] as const)
    const object = { ...(isFailure && { err: reason }), ...Object.fromEntries(others) }
    return logger[level](object, message)
  })
}

/** The documented property of pino's loggers that no other has. */
const pinoMark = Symbol.for('pino.serializers')

const isObjectFirst = (logger: object): logger is ObjectFirstLogger => pinoMark in logger

const messageFirst = (logger: Logger): Logger =>
  isObjectFirst(logger) ? objectFirst(logger) : logger

/** `logger`, whose lines have these facts before their own. One of pino is used as its own. */
export const withFacts = (logger: Logger, facts: Facts): Logger => {
  const own = messageFirst(logger)
  return loggerOf((level) => (message, others) => {
    const all = { ...facts, ...others }
    // In the facts of a System an Error is not among what is copied.
    if (isError(others?.reason)) Object.defineProperty(all, 'reason', { value: others.reason })
    own[level](message, all)
  })
}

/**
 * `logger` as the runtime uses it. It never throws and leaves no unhandled rejection. `others` get
 * each line too. A line in a trace has its `traceId` as `trace_id`. If one of them all fails, the line goes to `lastResort` without its facts, because
 * they may be the cause.
 */
export const guardedLogger = (
  logger: Logger,
  lastResort: Logger,
  outside: Outside = atOnce,
  others: Iterable<Logger> = [],
  traceId: () => string | undefined = () => undefined,
): Logger => {
  const own = messageFirst(logger)
  return loggerOf((level) => (message, given) => {
    const trace = traceId()
    const facts = trace === undefined ? given : { ...given, trace_id: trace }
    for (const each of [own, ...others])
      callOutside(
        () => outside(() => each[level](message, facts && withError(redacted(firstFacts(facts))))),
        () => fallBack(lastResort, level, message),
      )
  })
}

/** A logger with one function for its three levels. */
export const loggerOf = (log: (level: LogLevel) => Log): Logger => ({
  error: log('error'),
  warn: log('warn'),
  info: log('info'),
})

const timeOf = (clock: Pick<Clock, 'now'>): string => new Date(clock.now()).toISOString()

/** The most facts of one line, with the one that says how many are left out. */
const factsMax = 1_000

/** A copy of the first facts, and how many follow. Only these are read. */
export const firstFacts = (facts: Facts): Facts => {
  const names = Object.keys(facts)
  if (names.length <= factsMax) return { ...facts }
  const first = names.slice(0, factsMax - 1).map((name) => [name, facts[name]])
  return { ...Object.fromEntries(first), '…': `${names.length - factsMax + 1} more` }
}

/** `facts` for JSON and for loggers that copy them: an Error would be `{}` there. */
const withError = (facts: Facts): Facts => {
  const { reason } = facts
  if (!isError(reason)) return facts
  const { reason: _, ...shown } = facts
  return Object.defineProperty(Object.assign(shown, { error: new ErrorFact(reason) }), 'reason', {
    value: reason,
  })
}

/** An Error as plain data, made when a logger reads it. */
class ErrorFact {
  readonly #error: Error

  constructor(error: Error) {
    this.#error = error
  }

  toJSON(): Record<string, unknown> {
    return errorFact(this.#error)
  }

  [Symbol.for('nodejs.util.inspect.custom')](): Error {
    return this.#error
  }
}

/** An Error as plain data. Its stack has no frame of Keelson. */
export const errorFact = (error: Error): Record<string, unknown> => {
  const { name, message, code } = readError(error)
  const head = describeReason(error)
  return {
    name,
    ...(code !== undefined && { code }),
    message,
    stack: `${head}${stackText(error, head)}`,
  }
}

const fallBack = (logger: Logger, level: LogLevel, message: string): void => {
  try {
    logger[level](message)
  } catch {
    // No logger is left.
  }
}

/** A message, the stack of its error, and the lines of its report. */
export const eventText = (message: string, facts?: Facts): string => {
  const { reason, report } = facts ?? {}
  const lines = [isError(reason) ? `${message}${stackText(reason, message)}` : message]
  if (report !== undefined) lines.push(String(report))
  return lines.join('\n')
}

/**
 * Returns the text that completes `said`, a text about `error`: its first line, unless `said` has
 * it; its frames but those of Keelson and of Node's insides; details and causes. An error without
 * other frames is a fault in Keelson. It keeps all frames, unless it is a `KeelsonError`.
 */
const stackText = (error: Error, said: string): string => {
  const text = printed(error)
  const head = describeReason(error)
  const isOwn = isKeelsonError(error)
  const isSaid = said.includes(head) || (isOwn && said.includes(reasonText(error)))
  const rest = isSaid && text.startsWith(head) ? text.slice(head.length) : `\n${text}`
  const lines = rest.split('\n')
  const isTheirs = lines.some((line) => isFrame(line) && !isHiddenFrame(line))
  return isTheirs || isOwn ? shownLines(lines).join('\n') : rest
}

/** The most characters of an error in one line of the log. */
const printedMax = 64_000

/** As Node prints it, if it can be printed. */
const printed = (error: Error): string => {
  try {
    const text = inspect(redacted(error))
    return text.length > printedMax ? `${text.slice(0, printedMax)}…` : text
  } catch {
    // Its stack or its own printer throws.
    return readError(error).stack ?? describeReason(error)
  }
}

/** Node prints this for frames that an error has in common with its cause, which shows them. */
const sharedFrames = /^\s+\.\.\. \d+ lines matching cause stack trace \.\.\./

/**
 * The lines without hidden frames, and without the word on frames that the cause shows. Details of an error
 * begin on the line of its last frame.
 */
const shownLines = (lines: readonly string[]): readonly string[] => {
  const shown: string[] = []
  for (const line of lines) {
    if (!isHiddenFrame(line) && !sharedFrames.test(line)) shown.push(line)
    else if (line.endsWith(' {')) shown.push(`${shown.pop() ?? ''} {`)
  }
  return shown
}
