/**
 * The messages in a mailbox: one flat object each, whose kind decides who handles it. Kinds are
 * numbers, because each message's kind is compared several times.
 */

import { KeelsonError } from '../../errors.ts'
import type { Carrier } from '../queues/async-context.ts'
import type { Ref } from './address.ts'
import type { ExitReason } from './exit-reason.ts'

/** Kinds of messages. Everything from `exit` on is a system message: never refused. */
export const kinds = {
  call: 0,
  cast: 1,
  info: 2,
  exit: 3,
  down: 4,
  /** A server's own timeout ran out. */
  timeout: 5,
  /** A request of `sys`: handled by the process itself, not by its server. */
  system: 6,
  /** A handler's `continue`: it goes to the front of the mailbox. */
  continue: 7,
} as const

/** The number of a kind of message. */
export type Kind = (typeof kinds)[keyof typeof kinds]

/** Any message; calls and system requests carry more (`PendingCall`). */
export interface Message extends Carrier {
  readonly kind: Kind
  readonly name: string
  readonly payload: unknown
  /** When it came, by the monotonic clock. Absent unless its wait is measured. */
  arrivedAt?: number | undefined
}

/** The fault of a message name that is not a string. It cannot be printed safely. */
export const noName = (name: unknown): KeelsonError =>
  new KeelsonError(
    'INVALID_ARGUMENT',
    `the name of a message: expected a string, got ${typeof name}`,
  )

/** A message without an answer. */
export class Envelope implements Message {
  declare context?: Carrier['context']
  declare arrivedAt?: number | undefined
  readonly kind: Kind
  readonly name: string
  readonly payload: unknown

  constructor(kind: Kind, name: string, payload: unknown) {
    this.kind = kind
    this.name = name
    this.payload = payload
  }
}

/** The payload of an exit message. */
export interface ExitMessage {
  /** Its sender; `undefined` when it came from no process. */
  readonly from: Ref | undefined
  readonly reason: ExitReason
}

/** Whether it is an exit message. */
export const isExit = (message: Message): message is Message & { readonly payload: ExitMessage } =>
  message.kind === kinds.exit

const kindNames = ['call', 'cast', 'info', 'exit', 'down', 'timeout', 'system', 'continue'] as const

/** The message in two words, as process information and logs show it: `call add`. */
export const describeMessage = (message: Message): string => {
  const kind = kindNames[message.kind]
  return message.name === '' ? kind : `${kind} ${message.name}`
}
