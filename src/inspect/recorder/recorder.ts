/**
 * The flight recorder of a System: it notes crashes, restarts and other failures, and the lines of
 * the log from warnings up, as redacted text. It listens to events that come with a failure only, so
 * a System in which nothing fails pays nothing for it.
 */

import type { StorageEvents } from '../../actors/index.ts'
import { errorOf, isKeelsonError, type KeptError, reasonText } from '../../errors.ts'
import { causesOf, failureRecord, keptText } from '../../failure-record.ts'
import type { FlowEvents, QueueEvents } from '../../flow/index.ts'
import { noOptions } from '../../own-names.ts'
import {
  type Ancestor,
  crashText,
  describeReason,
  type Logger,
  type LogLevel,
  logLine,
  otherLoggers,
  type ProcessFacts,
  type System,
  telemetry,
} from '../../runtime/index.ts'
import { isError, readError } from '../../thrown.ts'
import { partOf } from './crash-records.ts'
import type { FailedWork } from './failure-counts.ts'
import { flowKind } from './flow-names.ts'
import { type Recorded, Records } from './records.ts'

/** The records of a System. The first caller starts its recorder. */
export const recordsOf = (system: System): Records => {
  const loggers = otherLoggers(system)
  for (const each of loggers) if (each instanceof LogRecorder) return each.records
  const recorder = new LogRecorder(system)
  loggers.add(recorder)
  recordProcesses(system, recorder.records)
  recordStorage(system, recorder.records)
  return recorder.records
}

/** Records the lines of the log. It is one of the loggers of its System, which finds it so. */
class LogRecorder implements Logger {
  readonly records = new Records()
  readonly error = this.#recording('error')
  readonly warn = this.#recording('warn')
  readonly #system: System

  constructor(system: System) {
    this.#system = system
  }

  info(): void {}

  #recording(level: LogLevel): Logger['error'] {
    return (message, facts) => {
      const { clock } = this.#system
      const pid = typeof facts?.pid === 'number' ? facts.pid : undefined
      const text = logLine(clock, level, message, facts)
      const at = clock.now()
      this.records.add({ sort: 'log', at, kind: level, code: 'none', subject: '', pid, text })
    }
  }
}

const recordProcesses = (system: System, records: Records): void => {
  const bus = telemetry(system)
  const add = (
    sort: Recorded['sort'],
    facts: ProcessFacts,
    reason: unknown,
    text: string,
    more: Partial<Recorded> = noOptions,
  ): Recorded => {
    const { at, pid } = facts
    const subject = titleOf(facts)
    return records.add({
      sort,
      at,
      pid,
      kind: kindOf(facts),
      code: codeOf(reason),
      subject,
      text,
      ...more,
    })
  }
  bus.on('process.crashed', (crash) => {
    const reason = describeReason(crash.reason)
    const lastMessage = crash.lastMessage?.what ?? 'none'
    const kept = add('crash', crash, crash.reason, crashText(crash), { reason, lastMessage })
    const starters = crash.ancestors.slice(0, startersMax).flatMap(titlesOf)
    const thrown: unknown = Array.isArray(crash.reason) ? crash.reason[1] : crash.reason
    records.failures.add(partOf(crash.kind), kept.kind, kept.code)
    records.crashes.add(kept, { process: crash.kind, pid: crash.pid, starters, thrown })
  })
  bus.on('process.restarted', (event) => {
    const { id, reason, restarts } = event
    const text = `${id} was restarted, ${restarts} times in all: ${describeReason(reason)}`
    add('restart', event, reason, text)
  })
  bus.on('supervisor.gave_up', (event) => {
    const { id, reason } = event
    add('gave_up', event, reason, `gave up: ${id} ended: ${describeReason(reason)}`)
  })
  bus.on('supervisor.backed_off', (event) => {
    const { id, reason, waitMs, row } = event
    const text = `${id} starts again in ${Math.round(waitMs)} ms (wait ${row} in a row): ${describeReason(reason)}`
    add('backed_off', event, reason, text)
  })
  bus.on('handler.slow', (event) => {
    const { message = 'its start', tookMs } = event
    add('slow_handler', event, 'slow', `${message} took ${Math.round(tookMs)} ms`)
  })
  bus.on('handler.pending', (event) => {
    const { message, pendingMs } = event
    add('slow_handler', event, 'pending', `${message} is pending for ${Math.round(pendingMs)} ms`)
  })
}

const recordStorage = (system: System, records: Records): void => {
  const bus = telemetry<StorageEvents & FlowEvents & QueueEvents>(system)
  const add = (
    sort: Recorded['sort'],
    { at }: { readonly at: number },
    subject: string,
    reason: unknown,
    text: string,
    [kind = ''] = subject.split('/'),
  ): void => {
    records.add({ sort, at, pid: undefined, kind, code: codeOf(reason), subject, text })
  }
  const failed = (what: FailedWork, kind: string, error: unknown): void =>
    records.failures.add(what, kind, codeOf(error))
  bus.on('entity.failed', (event) => {
    const { entity, what, error } = event
    failed(what.startsWith('alarm ') ? 'alarm' : 'continue', entityKindOf(entity), error)
    add('step_failed', event, entity, error, failedText(what, event, failureRecord(error)))
  })
  bus.on('flow.failed', (event) => {
    const { type, id, key } = event
    const error = errorOf(event.error)
    failed('step', flowKind('workflow', type), error)
    const text = failedText(`step ${key}`, event, event.error)
    add('step_failed', event, `${type}/${id}`, error, text, [flowKind('workflow', type)])
  })
  bus.on('queue.failed', (event) => {
    const { queue, id, attempt: tries, retryAt, error } = event
    failed('job', flowKind('queue', queue), error)
    const text = failedText(`job ${id}`, { tries, retryAt }, failureRecord(error))
    add('step_failed', event, `${queue}/${id}`, error, text, [flowKind('queue', queue)])
  })
  bus.on('entity.blocked', (event) => {
    add('blocked', event, event.entity, event.error, describeReason(event.error))
  })
  bus.on('flow.blocked', (event) => {
    const { type, id, error } = event
    add('blocked', event, `${type}/${id}`, error, `${error.name}: ${error.message}`)
  })
  bus.on('shard.down', (event) => {
    add('shard_down', event, `shard/${event.shard}`, event.reason, reasonText(event.reason))
  })
  bus.on('projection.halted', ({ name, reason }) => failed('projection', name, reason))
  bus.on('journal.stopped', (event) => {
    failed('subscription', event.name, event.reason)
    add('subscription_stopped', event, event.name, undefined, event.reason)
  })
}

/** So many of the processes above it are recorded with a crash. */
const startersMax = 8

/** By these a person may ask for a process. */
const titlesOf = ({ pid, name, label }: Ancestor): readonly string[] => [
  ...[name, label].flatMap((each) => each ?? []),
  `<${pid}>`,
]

const titleOf = ({ name, label, kind }: ProcessFacts): string => name ?? label ?? kind

/** A failed try in one line. */
const failedText = (
  what: string,
  { tries, retryAt }: { readonly tries: number; readonly retryAt: number | undefined },
  record: KeptError,
): string => {
  const next =
    retryAt === undefined ? 'its last try' : `next try ${new Date(retryAt).toISOString()}`
  return `${what} failed at try ${tries}, ${next}: ${keptText(record)}`
}

/** The kind of a process. That of an entity is the kind in its label, `order/17`. */
export const kindOf = ({ kind, label }: Pick<ProcessFacts, 'kind' | 'label'>): string =>
  kind === 'entity' && label !== undefined ? entityKindOf(label) : kind

/** The kind of a durable actor by its name, `kind/id`. */
export const entityKindOf = (entity: string): string => entity.slice(0, entity.indexOf('/'))

/** The words of OTP for reasons, and those of this file. */
const reasonWords = [
  'normal',
  'shutdown',
  'kill',
  'killed',
  'noproc',
  'timeout',
  'nocatch',
  'thread_exited',
  'failed_to_start_child',
  'slow',
  'pending',
]

/** The code of an error of the system, such as `ECONNREFUSED`. */
const systemCodeOf = (error: unknown): string | undefined => {
  const code = isError(error) ? String(readError(error).code) : ''
  return /^E[A-Z]{2,}[A-Z0-9_]{0,40}$/.test(code) ? code : undefined
}

/**
 * The code of a reason, fit for a label: the code of an error of Keelson, that of the system of it or of
 * the first of its causes that has one, or a word of OTP. Any other text may be a user's: then it is `error` or `other`.
 */
export const codeOf = (reason: unknown): string => {
  try {
    const first: unknown = Array.isArray(reason) ? reason[0] : reason
    if (typeof first === 'string') return reasonWords.includes(first) ? first : 'other'
    if (isKeelsonError(first)) return first.code
    if (!isError(first)) return 'other'
    const codes = [first, ...causesOf(first)].flatMap((each) => systemCodeOf(each) ?? [])
    return codes[0] ?? 'error'
  } catch {
    // Reading it runs foreign code.
    return 'other'
  }
}
