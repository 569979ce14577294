/**
 * A logger of lines of JSON in pino's shape, for whatever reads the output of a service. It never
 * throws, and a slow reader costs lines, not memory.
 */

import type { Writable } from 'node:stream'
import { argument, noMore, readOptions } from '../../check.ts'
import { type Clock, systemClock } from '../../clock.ts'
import { invalidArgument } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import { isError } from '../../thrown.ts'
import { valueText } from '../../value-text.ts'
import { errorFact, firstFacts, type Logger, type LogLevel, loggerOf } from './logger.ts'

/** The options of `jsonLogger`. */
export interface JsonLoggerOptions {
  /** Where the lines go; standard output by default. */
  readonly stream?: Writable
  /** While more bytes wait in the stream, lines are dropped; 1 MiB by default. */
  readonly bufferBytes?: number
  /** The clock of `time`; that of the machine by default. */
  readonly clock?: Pick<Clock, 'now'>
}

const keys = ['stream', 'bufferBytes', 'clock']

/** pino's numbers. */
const levels: Readonly<Record<LogLevel, number>> = { info: 30, warn: 40, error: 50 }

/**
 * A logger whose lines are objects of JSON as pino writes them: `level` (30, 40, 50), `time` (ms
 * since 1970), `msg`, `err` with `type`, `code`, `message` and `stack`, and the facts. `process` is
 * the number of a process of Keelson. Other values than texts, numbers and booleans are text of at
 * most 1,000 characters. Of more than 1,000 facts a line has the first. A System has hidden secrets
 * in the facts before. Lines that a slow stream has no room for are dropped, and a line says how
 * many, once it takes lines again. A stream that failed gets none.
 * @throws KeelsonError `INVALID_ARGUMENT` for wrong options
 */
export const jsonLogger = (given: JsonLoggerOptions = noOptions, ...surplus: []): Logger => {
  noMore(surplus, 'jsonLogger({ stream, … })')
  const options = readOptions(given, keys, argument('', 'jsonLogger'))
  const { stream = process.stdout, bufferBytes = 1024 * 1024, clock = systemClock() } = options
  if (typeof stream?.write !== 'function' || typeof stream.on !== 'function')
    throw invalidArgument('stream', 'a stream', stream)
  if (typeof bufferBytes !== 'number' || !(bufferBytes > 0))
    throw invalidArgument('bufferBytes', 'a number above 0', bufferBytes)
  let dropped = 0
  // An error of the stream has no other listener, and would end the program.
  stream.on('error', () => undefined)
  const write = (level: LogLevel, message: string, facts: Facts): void => {
    const msg = isScalar(message) ? message : valueText(message)
    const text = line({ level: levels[level], time: clock.now(), msg }, facts)
    try {
      if (stream.writable) stream.write(`${text}\n`, sayDropped)
    } catch (error) {
      // Streams of one's own throw where Node's ones would emit an error. No more lines, then.
      stream.destroy(isError(error) ? error : undefined)
    }
  }
  const sayDropped = (): void => {
    if (dropped === 0 || stream.writableLength >= bufferBytes) return
    const count = dropped
    dropped = 0
    write('warn', `${count} lines of the log were dropped: the stream was slow`, { dropped: count })
  }
  return loggerOf((level) => (message, facts = noOptions) => {
    if (stream.writableLength < bufferBytes) write(level, message, facts)
    else dropped++
  })
}

type Facts = Readonly<Record<string, unknown>>

const line = (head: object, facts: Facts): string => {
  try {
    return JSON.stringify({ ...head, ...shownFacts(facts), ...head })
  } catch {
    return JSON.stringify(head)
  }
}

const shownFacts = (facts: Facts): object => {
  // A System has an Error under `reason`, which its copies do not have.
  const { reason, pid, report } = facts
  const left = ['pid', 'report', ...(isError(reason) ? ['reason', 'error'] : [])]
  const shown = Object.entries(firstFacts(facts)).flatMap(([name, value]) =>
    value === undefined || left.includes(name)
      ? []
      : [[name, isScalar(value) ? value : valueText(value)]],
  )
  return {
    ...Object.fromEntries(shown),
    ...(isError(reason) && { err: errOf(reason) }),
    process: pid,
    report,
  }
}

const isScalar = (value: unknown): boolean => ['string', 'number', 'boolean'].includes(typeof value)

const errOf = (error: Error): object => {
  const { name: type, ...fact } = errorFact(error)
  return { type, ...fact }
}
