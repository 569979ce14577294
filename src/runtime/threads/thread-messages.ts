/** The messages between the process of a thread server and its thread. */
import { KeelsonError } from '../../errors.ts'
import type { ExitReason } from '../words/exit-reason.ts'
import type { Logger } from '../words/logger.ts'
import type { StatusParts } from '../words/telemetry.ts'
import { carriedAs, reasonToWire, type WireReason } from '../words/wire-reason.ts'

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
  /** An exit signal that came from another process, for a server that traps exits. */
  | { readonly kind: 'signal'; readonly reason: WireReason }
  /** A stop, or the parent's exit. */
  | { readonly kind: 'end'; readonly reason: WireReason }
  /** Answered with a `pong` in its turn, unless a handler keeps the thread. */
  | { readonly kind: 'ping' }

/** From the thread to the process. */
export type ToProcess =
  /** `formats`: the server has a `formatStatus`, so only the thread may show what is in it. */
  | { readonly kind: 'started'; readonly pid: number | undefined; readonly formats: boolean }
  | { readonly kind: 'ignored' | 'pong' }
  /** Whether the server traps exits from now on. */
  | { readonly kind: 'traps'; readonly on: boolean }
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

/**
 * As it crosses. Code in the thread may post to its port, too: a library believes that the worker is its
 * own. A message without this mark is not for the process.
 */
export type FromThread = { readonly keelson: ToProcess }

/** The message of the server in the thread; `undefined`: other code has sent it. */
export const ownMessage = (found: unknown): ToProcess | undefined => {
  const { keelson }: Partial<FromThread> = Object(found)
  return typeof keelson === 'object' && keelson !== null ? keelson : undefined
}

/** The parts of a crash, as data. */
export type ShownCrash = Pick<StatusParts, 'state' | 'lastMessage'>

/** The visible facts of a crash, as data that can be cloned. */
export const crashToWire = ({ state, lastMessage, reason }: StatusParts) => ({
  state: cloneable(state),
  lastMessage: lastMessage && { ...lastMessage, payload: cloneable(lastMessage.payload) },
  reason: toWire(reason),
})

/** The error of a value that a structured clone refuses. */
export const notCloneable = (what: string, cause: unknown): KeelsonError =>
  new KeelsonError('INVALID_ARGUMENT', `${what} cannot be cloned for another thread`, {
    details: { path: what },
    cause,
  })

const cloneable = (value: unknown): unknown => carriedAs(value, structuredClone)

/** The reason as data that can be cloned. A value that cannot be cloned crosses as text. */
export const toWire = (reason: ExitReason): WireReason => reasonToWire(reason, cloneable)
