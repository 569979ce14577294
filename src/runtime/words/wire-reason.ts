/**
 * How errors and exit reasons cross to another thread or process: a copy of an error loses its
 * class, its code and its details.
 */
import { type ErrorCode, type ErrorDetails, KeelsonError } from '../../errors.ts'
import { describeReason, type ExitReason, isError } from './exit-reason.ts'

/** An exit reason, or an error, as plain data. */
export type WireReason =
  | { readonly value: unknown }
  | {
      readonly name: string
      readonly message: string
      readonly stack: string | undefined
      readonly cause: WireReason | undefined
      readonly code?: ErrorCode
      readonly details?: ErrorDetails
    }

/** How many causes of an error cross: a chain may have no end. */
const causesMax = 8

/** The reason as plain data. `carried` makes what can cross of each value in it. */
export const reasonToWire = (
  reason: ExitReason,
  carried: (value: unknown) => unknown,
  depth = 0,
): WireReason => {
  if (!isError(reason)) return { value: carried(reason) }
  const { name, message, stack, cause } = reason
  const parts = {
    name: String(name),
    message: String(message),
    stack: typeof stack === 'string' ? stack : undefined,
    cause:
      cause === undefined || depth === causesMax
        ? undefined
        : reasonToWire(cause, carried, depth + 1),
  }
  if (!(reason instanceof KeelsonError)) return parts
  return { ...parts, code: reason.code, details: carried(reason.details) as ErrorDetails }
}

/** The reason that crossed. An error is a `KeelsonError` or an `Error` again, with its stack. */
export const reasonFromWire = (wire: WireReason): ExitReason => {
  if (!('message' in wire)) return wire.value
  const { name, message, stack, cause, code, details } = wire
  const options = cause === undefined ? {} : { cause: reasonFromWire(cause) }
  const error =
    code === undefined
      ? Object.assign(new Error(message, options), { name })
      : new KeelsonError(code, message, { ...options, details: details ?? {} })
  return stack === undefined ? error : Object.assign(error, { stack })
}

/** The value if `carry` takes it, else so much of it as text. */
export const carriedAs = (value: unknown, carry: (value: unknown) => unknown): unknown => {
  try {
    return carry(value)
  } catch {
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).map(([key, each]) => [key, describeReason(each)]))
      : describeReason(value)
  }
}
