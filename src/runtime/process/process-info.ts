/** Process information: the facts of a process at one moment, as plain data. */

import { redacted } from '../../redaction.ts'
import { addressOf, type Ref } from '../words/address.ts'
import { describeMessage } from '../words/envelope.ts'
import type { MessageNames } from './behaviour.ts'
import type { Process } from './process.ts'

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
  /** The message whose handler is pending, in words, and since when (ms since 1970). */
  readonly handling: { readonly message: string; readonly since: number } | undefined
}

/** The facts without ties: the process of a kind of entities is linked to each of them. */
export type ProcessSummary = Omit<ProcessInfo, 'links' | 'monitors' | 'monitoredBy'>

/** The facts about `process` now. */
export const processInfo = (process: Process): ProcessInfo => ({
  ...processSummary(process),
  links: [...process.ties.links.all].map(pidOf),
  monitors: [...process.ties.watching.all].flatMap((monitor) => monitor.target?.pid ?? []),
  monitoredBy: [...process.ties.watchers.all].flatMap((monitor) => monitor.owner?.pid ?? []),
})

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
  handling:
    process.busy && process.current !== undefined
      ? { message: describeMessage(process.current), since: process.busySince }
      : undefined,
})

/** The messages that the process of `ref` understands; `undefined` for none, and for a bare one. */
export const messageNames = (ref: Ref): MessageNames | undefined =>
  addressOf<Process>(ref).resolve()?.behaviour.messages

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

const pidOf = (process: Process): number => process.pid
