/**
 * What a server answers to `sys` by itself, between two messages: its state, a new state, its status, whether it is
 * suspended, its statistics and its trace. None of it calls a handler.
 */
import { describeMessage, kinds, type Message } from './envelope.ts'
import type { ExitReason } from './exit-reason.ts'
import { reasonOf } from './exit-reason.ts'
import type { PendingCall } from './pending-call.ts'
import type { Process } from './process.ts'

/** A request of `sys`, by its name. */
export type SystemRequest = PendingCall & { readonly payload: unknown }

/** How many messages came in and how many replies went out since counting began. */
export interface Statistics {
  /** ms since 1970. */
  readonly startedAt: number
  readonly messagesIn: number
  readonly messagesOut: number
}

/** One line of a trace. */
export interface TraceEvent {
  readonly direction: 'in' | 'out'
  /** `call add`, `cast reset`, `reply` … */
  readonly what: string
  readonly payload: unknown
}

/** What `getStatus` answers. */
export interface ServerStatus {
  readonly status: 'running' | 'suspended'
  readonly pid: number
  readonly name: string | undefined
  readonly parent: number | undefined
  readonly state: unknown
}

/** What a request may look at and change. */
export interface Inspected {
  readonly state: unknown
  readonly suspended: boolean
  readonly process: Process
}

type Held = Pick<Inspected, 'state' | 'suspended'>

/** The part of a server that answers `sys`; made with the first request. */
export class SystemRequests {
  #counts: { startedAt: number; in: number; out: number } | undefined = undefined
  #trace: ((event: TraceEvent) => void) | undefined = undefined

  /** Answers `request`, and what state and suspension are from now on. */
  handle(request: SystemRequest, server: Inspected): Held {
    const { state, suspended } = server
    switch (request.name) {
      case 'suspend':
      case 'resume':
        request.reply(undefined)
        return { state, suspended: request.name === 'suspend' }
      case 'replaceState':
        return { state: replace(request, state), suspended }
      case 'getState':
        request.reply(state)
        break
      case 'getStatus':
        request.reply(statusOf(server))
        break
      case 'statistics':
        request.reply(this.#statistics(request.payload, server.process.kernel.clock.now()))
        break
      default:
        this.#trace = request.payload as ((event: TraceEvent) => void) | undefined
        request.reply(undefined)
    }
    return { state, suspended }
  }

  /** A message is about to be handled. What a handler asked to have done next is none. */
  received(message: Message): void {
    if (message.kind === kinds.continue) return
    if (this.#counts !== undefined) this.#counts.in++
    this.#trace?.({ direction: 'in', what: describeMessage(message), payload: message.payload })
  }

  /** A handler answered its call. */
  replied(value: unknown): void {
    if (this.#counts !== undefined) this.#counts.out++
    this.#trace?.({ direction: 'out', what: 'reply', payload: value })
  }

  #statistics(command: unknown, now: number): Statistics | undefined {
    if (command === 'get') {
      const counts = this.#counts
      return (
        counts && { startedAt: counts.startedAt, messagesIn: counts.in, messagesOut: counts.out }
      )
    }
    this.#counts = command === 'on' ? { startedAt: now, in: 0, out: 0 } : undefined
    return undefined
  }
}

/** The new state, unless the function that makes it throws: then the caller is told and the old one stays. */
const replace = (request: SystemRequest, state: unknown): unknown => {
  let next: unknown
  try {
    next = (request.payload as (state: unknown) => unknown)(state)
  } catch (thrown) {
    request.fail(failureOf(reasonOf(thrown)))
    return state
  }
  request.reply(next)
  return next
}

const failureOf = (reason: ExitReason): unknown =>
  reason instanceof Error ? reason : new Error('replaceState failed', { cause: reason })

const statusOf = ({ state, suspended, process }: Inspected): ServerStatus => ({
  status: suspended ? 'suspended' : 'running',
  pid: process.pid,
  name: process.name,
  parent: process.starter?.pid,
  state,
})
