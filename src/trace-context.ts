/**
 * A place in a trace as it is stored and sent: `traceparent` and `tracestate` of W3C Trace Context. Any client
 * may send one: if it is malformed there is no place, and never an error. Pure.
 */

/** A place in a trace. */
export type TraceContext = {
  /** `00-`, 32 digits of the trace, 16 of the span, and 2 of flags, all hexadecimal. */
  readonly traceparent: string
  /** The additions of vendors; at most 512 bytes. */
  readonly tracestate?: string
}

/** The most bytes of a `tracestate`: a longer one is left out. */
const tracestateMax = 512

/** Versions after 00 may add parts at the end. */
const form = /^(?!ff)([0-9a-f]{2})-((?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2})(-.*)?$/
const formMax = 256

/** The place in these headers, or in a row; `undefined`: there is none, or it is malformed. */
export const traceContextIn = (found: unknown): TraceContext | undefined => {
  const { traceparent, tracestate } = Object(found) as { readonly [name: string]: unknown }
  if (typeof traceparent !== 'string' || traceparent.length > formMax) return undefined
  const [, version, place, more] = form.exec(traceparent) ?? []
  if (place === undefined || (version === '00' && more !== undefined)) return undefined
  const known = `00-${place}`
  const isKept = typeof tracestate === 'string' && tracestate !== ''
  if (!isKept || Buffer.byteLength(tracestate) > tracestateMax) return { traceparent: known }
  return { traceparent: known, tracestate }
}

/** The trace of a place: its 32 digits, as tracing systems search for it. */
export const traceIdOf = ({ traceparent }: TraceContext): string => traceparent.slice(3, 35)

/**
 * The last members of a list in a row: a payload, which may be absent, and then the place. A list
 * without a place is as it always was; a build that knows of none ignores it.
 */
export const withTrace = (
  payload: unknown,
  trace: TraceContext | undefined,
): readonly unknown[] => {
  if (trace !== undefined) return payload === undefined ? [null, trace, true] : [payload, trace]
  return payload === undefined ? [] : [payload]
}

/** Reads what `withTrace` made. */
export const readTraced = ([payload, trace, isAbsent]: readonly unknown[]): {
  readonly payload: unknown
  readonly trace?: TraceContext
} => {
  const own = isAbsent === true ? undefined : payload
  const known = trace === undefined ? undefined : traceContextIn(trace)
  return known ? { payload: own, trace: known } : { payload: own }
}
