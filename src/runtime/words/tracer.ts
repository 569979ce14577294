/**
 * The port of a System to a tracer, such as OpenTelemetry's. A System without a tracer pays a
 * comparison for each message. Only types.
 */

/** A place in a trace. */
export interface TraceScope {
  /** Calls `work` as a part of it. */
  run<T>(work: () => T): T
}

/** A call or a turn in its trace. It ends once. */
export interface Traced<Facts = undefined> extends TraceScope {
  /** It is over: as it should be, or with the error of `failure`. */
  end(failure: { readonly error: unknown } | undefined, facts: Facts): void
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
  /** Its name among all turns, and that of the turn that recorded its step or alarm. */
  readonly name: string
  readonly cause: string | undefined
  readonly seq: number
}

/** How a turn became durable: its frame, if it changed something. */
export type TurnEnd = { readonly lsn: number | undefined }

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
  /** The trace of the current code, for lines of the log. */
  traceId(): string | undefined
}
