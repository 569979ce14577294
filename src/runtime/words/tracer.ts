/**
 * The port of a System to a tracer, such as OpenTelemetry's. A System without a tracer pays a
 * comparison for each message. Only types.
 */
import type { TraceContext } from '../../trace-context.ts'

/** A place in a trace. */
export interface TraceScope {
  /** Calls `work` as a part of it. */
  run<T>(work: () => T): T
}

/** A call, a turn or other work in its trace. It ends once. */
export interface Traced<Facts = undefined> extends TraceScope {
  /** Where it is, for what it records. `undefined`: it has no trace. */
  readonly place: TraceContext | undefined
  /** A try that is a part of it has failed, and is made again. */
  retries(facts: RetryFacts): void
  /** It is over: as it should be, or with the error of `failure`. */
  end(failure: { readonly error: unknown } | undefined, facts: Facts): void
}

/** A try that is made again. */
export interface RetryFacts {
  /** The key of a step, or the id of a job. */
  readonly of: string
  /** How often it has been tried. */
  readonly attempt: number
  /** When it is tried again, in ms from now. */
  readonly inMs: number
}

/** Where the cause of work is that was recorded. */
export interface TraceOrigin {
  readonly trace: TraceContext
  /** The work may come long after its cause: it is no part of that trace, and has a link to it. */
  readonly isLate: boolean
}

/** A process as a tracer sees it. */
export interface TracedProcess {
  readonly kind: string
  /** The instance that it belongs to. */
  readonly instance: string | undefined
  /** Absent in the processes of an instance that are not the user's. */
  readonly app: unknown
}

/** A turn of a durable actor when it begins. */
export interface TurnFacts {
  readonly instance: string
  readonly kind: string
  readonly id: string
  readonly shard: number
  /** `call pay`, `continue charge`. */
  readonly what: string
  /** Of a step and of an alarm: the turn that recorded it. */
  readonly origin: TraceOrigin | undefined
  readonly seq: number
}

/** How a turn became durable: its frame, if it changed something. */
export type TurnEnd = { readonly lsn: number | undefined }

/** Work beside the turns: an activation of a run, a try of one of its steps, a try of a job, a batch of jobs. */
export interface WorkFacts {
  readonly kind: 'run' | 'step' | 'job' | 'batch'
  /** The workflow of the run or step, or the queue of the job. */
  readonly of: string
  /** The id of the run or the job; of a batch that of its first job. */
  readonly id: string
  /** Of a batch: how many jobs it has, and where their tries are, which it has links to. */
  readonly batch?: { readonly jobs: number; readonly places: readonly TraceContext[] }
  /** The key of the step. */
  readonly key?: string
  /** The try, counted from 1. */
  readonly attempt?: number
  /** `undefined`: it is a part of the work of the current code, if that has a trace. */
  readonly origin: TraceOrigin | undefined
}

/** Jobs that a producer adds to a queue. */
export interface SendFacts {
  readonly queue: string
  readonly count: number
}

/** The ids of the jobs that were added. */
export type SendEnd = { readonly ids: readonly string[] } | undefined

/** A tracer. Its methods do not throw. */
export interface Tracer {
  /**
   * The scope of what the current code sends, arms or starts without waiting for it. `undefined`:
   * it has no trace.
   */
  caused(): TraceScope | undefined
  /** A call leaves. Its message is handled in the scope of the result. */
  call(process: TracedProcess, message: string): Traced | undefined
  /** A turn begins, in the scope of its message. */
  turn(facts: TurnFacts): Traced<TurnEnd>
  /** Work begins. */
  work(facts: WorkFacts): Traced
  /** Jobs are added to a queue. */
  send(facts: SendFacts): Traced<SendEnd>
  /** Where the current code is, for what it records or sends to another member. */
  place(): TraceContext | undefined
  /** The scope of a message that comes from there: a part of that trace, or caused by it. */
  scope(origin: TraceOrigin): TraceScope
  /** The trace of the current code, for lines of the log. */
  traceId(): string | undefined
}
