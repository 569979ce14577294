/**
 * How errors and exit reasons cross to another thread or process: a copy of an error loses its
 * class, its code and its details.
 */
import { type ErrorCode, type ErrorDetails, isKeelsonError, KeelsonError } from '../../errors.ts'
import { isError, readError } from '../../thrown.ts'
import { describeReason, type ExitReason } from './exit-reason.ts'

/** An exit reason, or an error, as plain data. */
export type WireReason =
  | { readonly value: unknown }
  | {
      readonly name: string
      readonly message: string
      readonly stack: string | undefined
      readonly cause: WireReason | undefined
      /** Those of an `AggregateError`. */
      readonly errors?: readonly WireReason[]
      readonly code?: ErrorCode
      readonly details?: ErrorDetails
      /** The errors among the details: `details` has each as a text, for members of older versions. */
      readonly reasons?: Readonly<Record<string, WireReason>>
    }

/** How many errors inside an error cross: a chain of causes may have no end. */
const innerMax = 8

/**
 * The reason as plain data. `carried` makes what can cross of each value in it. Never throws if
 * `carried` does not, whatever the reason is.
 */
export const reasonToWire = (
  reason: ExitReason,
  carried: (value: unknown) => unknown,
): WireReason => wireOf(reason, carried, { left: innerMax })

const wireOf = (
  reason: ExitReason,
  carried: (value: unknown) => unknown,
  inner: { left: number },
): WireReason => {
  if (!isError(reason)) return { value: carried(reason) }
  const { name, message, stack, code, details, cause, errors } = readError(reason)
  const inside = (each: unknown): WireReason[] =>
    inner.left-- > 0 ? [wireOf(each, carried, inner)] : []
  const parts = {
    name,
    message,
    stack,
    cause: cause === undefined ? undefined : inside(cause)[0],
    ...(errors.length > 0 && { errors: errors.flatMap(inside) }),
  }
  if (!isKeelsonError(reason)) return parts
  const within = errorsIn(details)
  const texts = within.map(([key, each]) => [key, describeReason(each)])
  const facts = carried(within.length > 0 ? { ...details, ...Object.fromEntries(texts) } : details)
  const isRecord = typeof facts === 'object' && facts !== null
  const reasons = within.flatMap(([key, each]) => inside(each).map((wire) => [key, wire]))
  return {
    ...parts,
    code: code as ErrorCode,
    details: isRecord ? { ...facts } : {},
    ...(reasons.length > 0 && { reasons: Object.fromEntries(reasons) }),
  }
}

/** The fields of `details` that are errors. Never throws. */
const errorsIn = (details: unknown): [string, unknown][] => {
  try {
    return Object.entries(details ?? {}).filter(([, each]) => isError(each))
  } catch {
    // A getter that throws, a revoked proxy.
    return []
  }
}

/** The reason that crossed. An error is a `KeelsonError` or an `Error` again, with its stack. */
export const reasonFromWire = (wire: WireReason): ExitReason => {
  if (!('message' in wire)) return wire.value
  const { name, message, stack, cause, errors, code, details, reasons = {} } = wire
  const options = cause === undefined ? {} : { cause: reasonFromWire(cause) }
  const detailed = Object.fromEntries(
    Object.entries(reasons).map(([key, each]) => [key, reasonFromWire(each)]),
  )
  const error =
    code === undefined
      ? Object.assign(new Error(message, options), { name })
      : new KeelsonError(code, message, { ...options, details: { ...details, ...detailed } })
  if (errors !== undefined)
    Object.defineProperty(error, 'errors', { ...hidden, value: errors.map(reasonFromWire) })
  return stack === undefined ? error : Object.assign(error, { stack })
}

const hidden = { configurable: true, writable: true } as const

/** The value if `carry` takes it, else so much of it as text. Never throws. */
export const carriedAs = (value: unknown, carry: (value: unknown) => unknown): unknown => {
  try {
    return carry(value)
  } catch {
    return textsOf(value) ?? describeReason(value)
  }
}

const textsOf = (value: unknown): object | undefined => {
  try {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
    return Object.fromEntries(
      Object.entries(value).map(([key, each]) => [key, describeReason(each)]),
    )
  } catch {
    // A getter that throws, a revoked proxy.
    return undefined
  }
}
