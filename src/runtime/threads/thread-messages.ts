/**
 * The messages between the process of a thread server and its thread, and how errors and exit
 * reasons cross: a structured clone loses the class, the code and the details of an error.
 */
import { type ErrorCode, type ErrorDetails, KeelsonError } from '../../errors.ts'
import { describeReason, type ExitReason, isError } from '../words/exit-reason.ts'
import type { Logger } from '../words/logger.ts'
import type { StatusParts } from '../words/telemetry.ts'

/** A message for the server in the thread. */
export interface ServerMessage {
  readonly kind: 'call' | 'cast' | 'info'
  readonly name: string
  readonly payload: unknown
}

/** How the server starts in the thread. */
export interface ThreadStart {
  readonly label: string
  readonly handlerTimeoutMs: number | undefined
  /** Counts the messages that processes in the thread began to handle, if that is watched. */
  readonly begun: Int32Array | undefined
}

/** From the process to the thread. */
export type ToThread =
  | {
      readonly kind: 'start'
      readonly module: string
      readonly arg: unknown
      readonly options: ThreadStart
    }
  | (ServerMessage & { readonly id: number })
  /** An exit signal that came from another process. */
  | { readonly kind: 'signal'; readonly reason: WireReason }
  /** The parent's exit, or a stop. */
  | { readonly kind: 'end'; readonly reason: WireReason }
  /** Answered with a `pong` in its turn, unless a handler keeps the thread. */
  | { readonly kind: 'ping' }

/** From the thread to the process. */
export type ToProcess =
  /** `formats`: the server has a `formatStatus`, so only the thread may show what is in it. */
  | { readonly kind: 'started'; readonly pid: number | undefined; readonly formats: boolean }
  | { readonly kind: 'ignored' | 'pong' }
  | { readonly kind: 'refused'; readonly reason: WireReason }
  | { readonly kind: 'reply'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'failed'; readonly id: number; readonly reason: WireReason }
  /** So many more messages were taken from the server's mailbox. */
  | { readonly kind: 'handled'; readonly count: number }
  | {
      readonly kind: 'log'
      readonly level: keyof Logger
      readonly line: string
      readonly reason: WireReason
      /** Of the crash of a process in the thread. */
      readonly crash: { readonly pid: unknown; readonly report: string } | undefined
    }
  | {
      readonly kind: 'ended'
      readonly reason: WireReason
      /** If it crashed, what its `formatStatus` shows of that. */
      readonly crash: (ShownCrash & { readonly reason: WireReason }) | undefined
    }

/** The parts of a crash, as data. */
export type ShownCrash = Pick<StatusParts, 'state' | 'lastMessage'>

/** The visible facts of a crash, as data that can be cloned. */
export const crashToWire = ({ state, lastMessage, reason }: StatusParts) => ({
  state: cloneable(state),
  lastMessage: lastMessage && { ...lastMessage, payload: cloneable(lastMessage.payload) },
  reason: toWire(reason),
})

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

/** The reason as data that can be cloned. A value that cannot be cloned crosses as text. */
export const toWire = (reason: ExitReason, depth = 0): WireReason => {
  if (!isError(reason)) return { value: cloneable(reason) }
  const { name, message, stack, cause } = reason
  const parts = {
    name: String(name),
    message: String(message),
    stack: typeof stack === 'string' ? stack : undefined,
    cause: cause === undefined || depth === causesMax ? undefined : toWire(cause, depth + 1),
  }
  if (!(reason instanceof KeelsonError)) return parts
  return { ...parts, code: reason.code, details: cloneable(reason.details) as ErrorDetails }
}

/** The reason that crossed. An error is a `KeelsonError` or an `Error` again, with its stack. */
export const fromWire = (wire: WireReason): ExitReason => {
  if ('value' in wire) return wire.value
  const { name, message, stack, cause, code, details } = wire
  const options = cause === undefined ? {} : { cause: fromWire(cause) }
  const error =
    code === undefined
      ? Object.assign(new Error(message, options), { name })
      : new KeelsonError(code, message, { ...options, details: details ?? {} })
  return stack === undefined ? error : Object.assign(error, { stack })
}

/** The error of a value that a structured clone refuses. */
export const notCloneable = (what: string, cause: unknown): KeelsonError =>
  new KeelsonError('INVALID_ARGUMENT', `${what} cannot be cloned for another thread`, {
    details: { path: what },
    cause,
  })

const cloneable = (value: unknown): unknown => {
  try {
    return structuredClone(value)
  } catch {
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).map(([key, each]) => [key, describeReason(each)]))
      : describeReason(value)
  }
}
