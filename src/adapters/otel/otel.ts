/**
 * `keelson/otel`: spans of OpenTelemetry for calls, turns, commits and projections. A call is a
 * span of its caller, and the turn that it makes is a child of it. Casts, steps and alarms happen
 * later than their cause: each begins a new trace that is linked to it. Commits
 * and projections are linked to their turns. Spans have names, codes and ids, and no payload.
 */

import {
  type Attributes,
  type Context,
  context,
  createContextKey,
  createTraceState,
  INVALID_SPAN_CONTEXT,
  isSpanContextValid,
  type Link,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  type Tracer as SpanMaker,
  SpanStatusCode,
  type TracerProvider,
  trace,
} from '@opentelemetry/api'
import type { StorageEvents } from '../../actors/index.ts'
import { argument, noMore, readOptions } from '../../check.ts'
import { failedAs, invalidArgument } from '../../errors.ts'
import { failureRecord, recordLines } from '../../failure-record.ts'
import { noOptions } from '../../own-names.ts'
import {
  type SendEnd,
  type SendFacts,
  type System,
  type Traced,
  type TracedProcess,
  type TraceOrigin,
  type Tracer,
  type TraceScope,
  type TurnEnd,
  type TurnFacts,
  traceWith,
  type WorkFacts,
} from '../../runtime/index.ts'
import { type TraceContext, traceContextIn } from '../../trace-context.ts'

export {
  type MeteredInstance,
  type MeteredMetric,
  type MeteredSeries,
  type Metering,
  type MeteringOptions,
  metering,
} from './metering.ts'
export {
  type CollectedBuckets,
  type CollectedMetric,
  type CollectedMetrics,
  type CollectedPoint,
  type EmptyResource,
  type InstanceMetricProducer,
  metricProducer,
} from './metric-producer.ts'

/** The options of `tracing`. */
export interface TracingOptions {
  /** The maker of spans; by default the global one, which an SDK registers. */
  readonly tracerProvider?: TracerProvider
}

/** A System that is traced. */
export interface Tracing {
  /** Ends it. A second call does nothing. */
  stop(): void
}

/**
 * Makes spans of the calls, turns, commits and projections of an instance, or of a System, until
 * `stop`. A context manager of OpenTelemetry has to be registered, as an SDK for Node does. It lists
 * no processes of the storage and no messages of Keelson's own. Throws `INVALID_ARGUMENT` for wrong
 * arguments, and `CONFLICT` if the System is traced already.
 */
export const tracing = (
  of: System | { readonly system: System },
  options: TracingOptions = noOptions,
  ...surplus: []
): Tracing => {
  noMore(surplus, 'tracing(of, { tracerProvider })')
  const { tracerProvider = trace } = readOptions(
    options,
    ['tracerProvider'],
    argument('', 'tracing'),
  )
  if (typeof tracerProvider?.getTracer !== 'function')
    throw invalidArgument('tracerProvider', 'a tracer provider of OpenTelemetry', tracerProvider)
  const system = (of as { readonly system?: System } | null)?.system ?? (of as System | null)
  if (typeof system?.whereis !== 'function')
    throw invalidArgument('of', 'an instance or a System', of)
  const spans = guarded(tracerProvider.getTracer('keelson'))
  const shards = new Shards(spans)
  const end = traceWith(system, new SystemTracer(spans, shards))
  const { events } = system
  const listeners = {
    'wal.commit': (event: EventOf<'wal.commit'>) => shards.committed(event),
    'applier.applied': (event: EventOf<'applier.applied'>) => shards.applied(event),
    'lmdb.flushed': (event: EventOf<'lmdb.flushed'>) => shards.flushed(event),
  }
  events.on('wal.commit', listeners['wal.commit'])
  events.on('applier.applied', listeners['applier.applied'])
  events.on('lmdb.flushed', listeners['lmdb.flushed'])
  return {
    stop: () => {
      end()
      events.off('wal.commit', listeners['wal.commit'])
      events.off('applier.applied', listeners['applier.applied'])
      events.off('lmdb.flushed', listeners['lmdb.flushed'])
    },
  }
}

type Spans = Pick<SpanMaker, 'startSpan'>

/** A tracer whose failure costs a span, and never the call or the turn that it is made for. */
const guarded = (spans: SpanMaker): Spans => ({
  startSpan: (...about) => {
    try {
      return spans.startSpan(...about)
    } catch {
      return trace.wrapSpanContext(INVALID_SPAN_CONTEXT)
    }
  },
})

/** Ends a span. The processors of an SDK run in it, and may throw. */
const ended = (span: Span | undefined, at?: number): void => {
  try {
    span?.end(at)
  } catch {
    // A span is lost.
  }
}

type EventOf<K extends keyof StorageEvents> = Parameters<StorageEvents[K]>[0]

/**
 * Calls `work` as a part of the trace that the headers of a request name in `traceparent` and
 * `tracestate`. Headers that are malformed name none, and a `tracestate` of more than 512 bytes is left
 * out: `work` is called all the same. A propagator of an SDK does the same.
 */
export const inTraceOf = <T>(
  headers: { readonly traceparent?: unknown; readonly tracestate?: unknown },
  work: () => T,
): T => {
  const from = traceContextIn(headers)
  return from ? context.with(contextOf({ trace: from, isLate: false }), work) : work()
}

/** The key of the span that caused the current work from another trace. */
const causeKey = createContextKey('keelson.cause')

const causeIn = (within: Context): SpanContext | undefined =>
  within.getValue(causeKey) as SpanContext | undefined

/** The most links of one span. */
const linksMax = 32

/** So many turns of a shard are counted one by one until a projection shows them. */
const countedMax = 10_000

const scopeOf = (within: Context): TraceScope => ({ run: (work) => context.with(within, work) })

/** A place as it is stored; `undefined`: its span is of no trace. */
const placeOf = (at: SpanContext | undefined): TraceContext | undefined => {
  if (at === undefined || !isSpanContextValid(at)) return undefined
  const flags = (at.traceFlags & 0xff).toString(16).padStart(2, '0')
  const traceparent = `00-${at.traceId}-${at.spanId}-${flags}`
  const tracestate = at.traceState?.serialize()
  return traceContextIn({ traceparent, tracestate })
}

/** The span of a stored place, which may be of another process. */
const spanContextOf = ({ traceparent, tracestate }: TraceContext): SpanContext => {
  const [, traceId = '', spanId = '', flags = ''] = traceparent.split('-')
  const known = { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true }
  return tracestate === undefined
    ? known
    : Object.assign(known, { traceState: createTraceState(tracestate) })
}

/** The context of work with this origin: a part of its trace, or caused by it. */
const contextOf = ({ trace: stored, isLate }: TraceOrigin): Context => {
  const at = spanContextOf(stored)
  return isLate ? ROOT_CONTEXT.setValue(causeKey, at) : trace.setSpanContext(ROOT_CONTEXT, at)
}

/** The name of a span of work, and its attributes: those of the messaging conventions for a job. */
const processWords = (queue: string) => ({
  'messaging.system': 'keelson',
  'messaging.operation.name': 'process',
  'messaging.operation.type': 'process',
  'messaging.destination.name': queue,
})

const workWords = ({ kind, of, id, key, batch, attempt = 1 }: WorkFacts) => {
  if (batch) {
    const attributes = { ...processWords(of), 'messaging.batch.message_count': batch.jobs }
    return { name: `batch ${of}`, kind: SpanKind.CONSUMER, attributes }
  }
  if (kind === 'job') {
    const own = { 'messaging.message.id': id, 'keelson.attempt': attempt }
    const attributes = { ...processWords(of), ...own }
    return { name: `process ${of}`, kind: SpanKind.CONSUMER, attributes }
  }
  const attributes = { 'keelson.run.type': of, 'keelson.run.id': id }
  if (kind === 'run') return { name: `run ${of}`, kind: SpanKind.CONSUMER, attributes }
  const own = { 'keelson.step.key': key ?? '', 'keelson.attempt': attempt }
  return {
    name: `step ${key}`,
    kind: SpanKind.INTERNAL,
    attributes: Object.assign(own, attributes),
  }
}

class SystemTracer implements Tracer {
  readonly #spans: Spans
  readonly #shards: Shards

  constructor(spans: Spans, shards: Shards) {
    this.#spans = spans
    this.#shards = shards
  }

  caused(): TraceScope | undefined {
    const active = context.active()
    const cause = trace.getSpanContext(active) ?? causeIn(active)
    if (cause === undefined) return undefined
    return scopeOf(ROOT_CONTEXT.setValue(causeKey, cause))
  }

  call({ kind, instance, app }: TracedProcess, message: string): Traced | undefined {
    const isStorage = instance !== undefined && app === undefined
    if (isStorage || message.startsWith('$')) return undefined
    const attributes = { 'keelson.server': kind, 'keelson.message': message }
    const span = this.#begin(`call ${kind} ${message}`, SpanKind.CLIENT, attributes)
    return traced(span, () => undefined)
  }

  turn(facts: TurnFacts): Traced<TurnEnd> {
    const { kind, id, seq, shard, what, origin } = facts
    const own = {
      'keelson.entity.kind': kind,
      'keelson.entity.id': id,
      'keelson.entity.seq': seq,
      'keelson.entity.shard': shard,
      'keelson.turn': what,
    }
    const spanKind = what.startsWith('call ') ? SpanKind.SERVER : SpanKind.CONSUMER
    const span = this.#begin(`${kind} ${what}`, spanKind, own, origin)
    const spanContext = span.spanContext()
    return traced(span, ({ lsn }: TurnEnd) => {
      if (lsn === undefined) return
      span.setAttribute('keelson.entity.lsn', lsn)
      span.addEvent('durable')
      if (span.isRecording()) this.#shards.durable(facts, lsn, spanContext)
    })
  }

  traceId(): string | undefined {
    return trace.getSpanContext(context.active())?.traceId
  }

  work(facts: WorkFacts): Traced {
    const { name, kind, attributes } = workWords(facts)
    const places = facts.batch?.places.slice(0, linksMax) ?? []
    const links = places.map((place) => ({ context: spanContextOf(place) }))
    return traced(this.#begin(name, kind, attributes, facts.origin, links), () => undefined)
  }

  send({ queue, count }: SendFacts): Traced<SendEnd> {
    const span = this.#begin(`add ${queue}`, SpanKind.PRODUCER, {
      'messaging.system': 'keelson',
      'messaging.operation.name': 'add',
      'messaging.operation.type': 'send',
      'messaging.destination.name': queue,
      // The conventions allow it for several messages alone.
      ...(count > 1 && { 'messaging.batch.message_count': count }),
    })
    return traced(span, (end: SendEnd) => {
      const [id] = end?.ids ?? []
      if (count === 1 && id !== undefined) span.setAttribute('messaging.message.id', id)
    })
  }

  place(): TraceContext | undefined {
    const active = context.active()
    return placeOf(trace.getSpanContext(active) ?? causeIn(active))
  }

  scope(origin: TraceOrigin): TraceScope {
    return scopeOf(contextOf(origin))
  }

  /** A span in the trace of its origin, or else in the current one. Without it begins one, with a link to its cause. */
  #begin(
    name: string,
    kind: SpanKind,
    attributes: Attributes,
    origin?: TraceOrigin,
    known: readonly Link[] = [],
  ): Span {
    const active = origin ? contextOf(origin) : context.active()
    const isPart = trace.getSpanContext(active) !== undefined
    const linked = isPart ? undefined : causeIn(active)
    const links = [...known, ...(linked ? [{ context: linked }] : [])]
    return this.#spans.startSpan(name, { kind, attributes, links }, isPart ? active : ROOT_CONTEXT)
  }
}

const traced = <Facts>(span: Span, over: (facts: Facts) => void): Traced<Facts> => {
  const within = trace.setSpan(ROOT_CONTEXT, span)
  return {
    run: (work) => context.with(within, work),
    get place() {
      return placeOf(span.spanContext())
    },
    retries: ({ of, attempt, inMs }) => {
      span.addEvent('retry', {
        'keelson.retry.of': of,
        'keelson.retry.attempt': attempt,
        'keelson.retry.in_ms': inMs,
      })
    },
    end: (failure, facts) => {
      if (failure) {
        const code = failedAs(failure.error)
        span.setStatus({ code: SpanStatusCode.ERROR, message: code })
        span.setAttribute('error.type', code)
        if (span.isRecording()) span.addEvent('exception', exceptionOf(failure.error))
      }
      over(facts)
      ended(span)
    },
  }
}

/** An exception as OpenTelemetry names its parts, with the user's frames and the causes, and without texts. */
const exceptionOf = (error: unknown): Attributes => {
  const record = failureRecord(error)
  const stack = recordLines(record, false).join('\n')
  return { 'exception.type': record.name, 'exception.stacktrace': stack }
}

type Turn = { readonly lsn: number; readonly context: SpanContext }
/** So many turns, the last of which has this LSN. */
type Counted = { lsn: number; count: number }
type Commit = EventOf<'wal.commit'> & { readonly firstLsn: number }

/** A shard whose commits and projections get links to their turns. */
type Shard = {
  /** Groups that are synced, and whose turns are not all decided. */
  commits: Commit[]
  durableLsn: number
  /** Durable turns without the span of their commit. */
  toCommit: Turn[]
  /** Durable turns without the span of their projection, counted, and the ends of their list. */
  toProject: Counted[]
  toLink: Turn[]
}

/** The spans of commits and projections: only of those with a turn that is traced. */
class Shards {
  readonly #spans: Spans
  readonly #shards = new Map<string, Shard>()

  constructor(spans: Spans) {
    this.#spans = spans
  }

  #of({ instance, shard }: { readonly instance: string; readonly shard: number }): Shard {
    const key = `${instance} ${shard}`
    const known = this.#shards.get(key)
    if (known) return known
    const made = { commits: [], durableLsn: 0, toCommit: [], toProject: [], toLink: [] }
    this.#shards.set(key, made)
    return made
  }

  durable(facts: TurnFacts, lsn: number, spanContext: SpanContext): void {
    const shard = this.#of(facts)
    const turn = { lsn, context: spanContext }
    shard.toCommit.push(turn)
    const last = shard.toProject.at(-1)
    // A suspension may last for days.
    if (last && shard.toProject.length === countedMax)
      Object.assign(last, { lsn, count: last.count + 1 })
    else shard.toProject.push({ lsn, count: 1 })
    shard.toLink.push(turn)
    if (shard.toLink.length > 2 * linksMax) shard.toLink.splice(linksMax, 1)
  }

  committed(event: EventOf<'wal.commit'>): void {
    const shard = this.#of(event)
    shard.commits.push({ ...event, firstLsn: shard.durableLsn + 1 })
    shard.durableLsn = event.durableLsn
  }

  /** The callers of these frames have their answers: their turns are durable. */
  applied(event: EventOf<'applier.applied'>): void {
    const shard = this.#of(event)
    const isApplied = ({ durableLsn }: Commit): boolean => durableLsn <= event.appliedLsn
    const done = shard.commits.filter(isApplied)
    if (done.length === 0) return
    shard.commits = shard.commits.filter((commit) => !isApplied(commit))
    for (const { firstLsn, durableLsn, at, syncMs, frames, bytes } of done) {
      const turns = shard.toCommit.filter(({ lsn }) => lsn >= firstLsn && lsn <= durableLsn)
      const attributes = { 'keelson.frames': frames, 'keelson.bytes': bytes }
      ended(this.#span('commit', event.shard, turns, turns.length, at - syncMs, attributes), at)
    }
    const { durableLsn } = done[done.length - 1] ?? { durableLsn: 0 }
    shard.toCommit = shard.toCommit.filter(({ lsn }) => lsn > durableLsn)
  }

  flushed(event: EventOf<'lmdb.flushed'>): void {
    const shard = this.#of(event)
    const { at, durationMs, rows, projectedLsn } = event
    const isShown = ({ lsn }: { readonly lsn: number }): boolean => lsn <= projectedLsn
    const turns = shard.toLink.filter(isShown)
    const attributes = { 'keelson.rows': rows, 'keelson.lsn': projectedLsn }
    const count = shard.toProject.filter(isShown).reduce((sum, each) => sum + each.count, 0)
    const span = this.#span('projection', event.shard, turns, count, at - durationMs, attributes)
    ended(span, at)
    shard.toProject = shard.toProject.filter((each) => !isShown(each))
    shard.toLink = shard.toLink.filter((turn) => !isShown(turn))
  }

  #span(
    name: string,
    shard: number,
    turns: readonly Turn[],
    count: number,
    startTime: number,
    attributes: Attributes,
  ): Span | undefined {
    if (count === 0) return undefined
    const links: Link[] = turns.slice(0, linksMax).map((turn) => ({ context: turn.context }))
    const all = { ...attributes, 'keelson.shard': shard, 'keelson.turns': count }
    return this.#spans.startSpan(name, { startTime, attributes: all, links }, ROOT_CONTEXT)
  }
}
