/** Process information: the facts of a process at one moment, as plain data. */

import { types } from 'node:util'
import { redacted } from '../../redaction.ts'
import { addressOf, type Ref } from '../words/address.ts'
import { describeMessage, type Message } from '../words/envelope.ts'
import type { MessageNames } from './behaviour.ts'
import type { Handling } from './pending-call.ts'
import type { Process } from './process.ts'
import { Ties } from './ties.ts'

/** Facts about a process, for people and tests. */
export interface ProcessInfo {
  readonly pid: number
  readonly ref: Ref
  readonly name: string | undefined
  readonly kind: string
  readonly label: string | undefined
  readonly status: 'starting' | 'waiting' | 'runnable' | 'busy' | 'suspended' | 'terminating'
  /** Messages that wait. */
  readonly mailbox: number
  readonly mailboxMax: number
  readonly links: readonly number[]
  /** Processes that it monitors. */
  readonly monitors: readonly number[]
  /** Processes that monitor it. */
  readonly monitoredBy: readonly number[]
  readonly parent: number | undefined
  readonly trapExit: boolean
  /** How often a supervisor has started this child again. */
  readonly restarts: number
  /** Messages handled so far. */
  readonly handled: number
  /** The message whose handler is pending. */
  readonly handling: Handling | undefined
}

/** The facts without ties: the process of a kind of entities is linked to each of them. */
export type ProcessSummary = Omit<ProcessInfo, 'links' | 'monitors' | 'monitoredBy'>

/** The facts about `process` now. */
export const processInfo = (process: Process): ProcessInfo => {
  const { links, monitors, monitoredBy } = someTies(process.ties, Number.POSITIVE_INFINITY)
  return {
    ...processSummary(process),
    links: links.pids,
    monitors: monitors.pids,
    monitoredBy: monitoredBy.pids,
  }
}

/** The same without ties. */
export const processSummary = (process: Process): ProcessSummary => ({
  pid: process.pid,
  ref: process.address,
  name: process.name,
  kind: process.kind,
  label: process.label,
  status: statusOf(process),
  mailbox: process.depth,
  mailboxMax: process.mailboxMax,
  parent: process.starter?.pid,
  trapExit: process.trapping,
  restarts: process.restarts,
  handled: process.handled,
  handling: process.handling,
})

const livingAt = (ref: Ref): Process | undefined => {
  const process = addressOf<Process>(ref).resolve()
  return process?.alive ? process : undefined
}

/** The facts without ties about the process of `ref`; `undefined` if there is none. */
export const summaryOf = (ref: Ref): ProcessSummary | undefined => {
  const process = livingAt(ref)
  return process && processSummary(process)
}

/** Some of the ties of a process, and how many there are. */
export interface SomeTies {
  readonly count: number
  readonly pids: readonly number[]
}

/** The ties of a process, of which it may have very many. */
export type ProcessTies = Readonly<Record<'links' | 'monitors' | 'monitoredBy', SomeTies>>

/** At most `limit` of each kind of ties of the process of `ref`. */
export const tiesOf = (ref: Ref, limit: number): ProcessTies =>
  someTies(livingAt(ref)?.ties ?? new Ties(), limit)

const someTies = ({ links, watching, watchers }: Ties<Process>, limit: number): ProcessTies => ({
  links: some(links.all, limit, ({ pid }) => pid),
  monitors: some(watching.all, limit, ({ target }) => target?.pid),
  monitoredBy: some(watchers.all, limit, ({ owner }) => owner?.pid),
})

const some = <T>(
  ties: { readonly size: number } & Iterable<T>,
  limit: number,
  pidIn: (tie: T) => number | undefined,
): SomeTies => {
  const pids: number[] = []
  for (const tie of ties) {
    if (pids.length === limit) break
    const pid = pidIn(tie)
    if (pid !== undefined) pids.push(pid)
  }
  return { count: pids.length < limit ? pids.length : ties.size, pids }
}

/** A message that waits: what it is, and its payload as the server lets it be shown. */
export interface WaitingMessage {
  readonly what: string
  readonly payload: unknown
}

/** The first `limit` messages that wait for the process of `ref`. */
export const waitingMessages = (ref: Ref, limit: number): readonly WaitingMessage[] => {
  const process = livingAt(ref)
  const waiting: WaitingMessage[] = []
  for (let at = 0; process && at < Math.min(limit, process.depth); at++) {
    const message = waitingAt(process, at)
    if (message === undefined) break
    const what = describeMessage(message)
    waiting.push({ what, payload: process.shownPayload(what, message.payload) })
  }
  return waiting
}

/** The messages that a suspended server has set aside come before its mailbox. */
const waitingAt = ({ aside, mailbox, behaviour }: Process, index: number): Message | undefined =>
  index < aside ? behaviour.aside?.(index) : mailbox.at(index - aside)

/** The most waiting messages that are looked at for their size. */
const sizedMax = 10

/** About how many bytes the state and the waiting messages of the process of `ref` take. */
export const bytesHeld = (ref: Ref): number => {
  const process = livingAt(ref)
  if (process === undefined) return 0
  const count = Math.min(process.depth, sizedMax)
  const payloads = Array.from({ length: count }, (_, at) => waitingAt(process, at)?.payload)
  const waiting = count === 0 ? 0 : (sizeOf(...payloads) * process.depth) / count
  return sizeOf(process.behaviour.state) + waiting
}

/** The messages that the process of `ref` understands; `undefined` for none, and for a bare one. */
export const messageNames = (ref: Ref): MessageNames | undefined =>
  addressOf<Process>(ref).resolve()?.behaviour.messages

/** The definition of the machine that the process of `ref` runs; `undefined` if it runs none. */
export const machineOf = (ref: Ref): unknown => addressOf<Process>(ref).resolve()?.behaviour.machine

/**
 * How the process of `ref` lets the answer to a call be shown. It is taken before the call, which
 * may end the process.
 */
export const replyShownBy = (ref: Ref): ((reply: unknown) => unknown) => {
  const process = addressOf<Process>(ref).resolve()
  return (reply) => (process ? process.shownPayload('reply', reply) : redacted(reply))
}

const statusOf = (process: Process): ProcessInfo['status'] => {
  const status = process.behaviour.status()
  if (status !== 'waiting') return status
  if (process.busy) return 'busy'
  return process.mailbox.length > 0 ? 'runnable' : 'waiting'
}

/** The most members of one value that are looked at. */
const membersMax = 200
/** The most members of one object within it, so that one long list leaves some for the others. */
const sampleMax = 20

const objectBytes = 32
const slotBytes = 8

/**
 * About how many bytes of memory values take; an object that several of them hold counts once. The
 * walk looks at a bounded number of members, and takes the rest of a long list, map or object for like
 * them. Of an object of a class only its own slots count. Getters and proxies are left alone. Never
 * throws.
 */
export const sizeOf = (...values: readonly unknown[]): number => {
  const size = new Size()
  try {
    return values.reduce<number>((sum, value) => sum + size.of(value), 0)
  } catch {
    // A value may be of a class that lists its members by code of its own.
    return 0
  }
}

class Size {
  readonly #seen = new Set<object>()
  #left = membersMax

  of(value: unknown): number {
    if (typeof value === 'string') return 16 + value.length
    if (typeof value === 'bigint') return 24
    if (typeof value !== 'object' || value === null || this.#left <= 0) return 0
    if (this.#seen.has(value) || types.isProxy(value)) return 0
    this.#seen.add(value)
    if (types.isAnyArrayBuffer(value)) return objectBytes + value.byteLength
    if (ArrayBuffer.isView(value)) return objectBytes + value.byteLength
    if (types.isMap(value)) return this.#several(value.size, value.entries(), 2)
    if (types.isSet(value)) return this.#several(value.size, value.values(), 1)
    if (Array.isArray(value)) return this.#several(value.length, value.values(), 1)
    return this.#object(value)
  }

  #object(value: object): number {
    const names = Object.keys(value)
    const prototype: unknown = Object.getPrototypeOf(value)
    // An object of a class mostly knows the world around it: processes, sockets, the instance.
    if (prototype !== null && prototype !== Object.prototype)
      return objectBytes + names.length * slotBytes
    const items = names.slice(0, sampleMax).map((name) => {
      const found = Object.getOwnPropertyDescriptor(value, name)
      return found?.get ? undefined : found?.value
    })
    return this.#several(names.length, items.values(), 1)
  }

  /** `count` members, of which the first are looked at. `slots`: of each. */
  #several(count: number, members: Iterator<unknown>, slots: number): number {
    let [bytes, seen] = [0, 0]
    while (seen < Math.min(count, sampleMax) && this.#left > 0) {
      const { value, done } = members.next()
      if (done === true) break
      this.#left--
      seen++
      const parts: readonly unknown[] = slots === 2 && Array.isArray(value) ? value : [value]
      for (const part of parts) bytes += this.of(part)
    }
    return objectBytes + count * slots * slotBytes + (seen === 0 ? 0 : (bytes * count) / seen)
  }
}
