/**
 * The messages that a server accepts. A server without `accepts` ends by a message that it has no
 * handler of, as in OTP. A server with `accepts` refuses such a message, and a payload that fails
 * the check of its message, and lives on: the caller of a call gets the error, a cast or an info is
 * logged.
 */

import { isKeelsonError, KeelsonError } from '../../errors.ts'
import { type Table, tableOf } from '../../own-names.ts'
import { isCall } from '../process/pending-call.ts'
import type { Process } from '../process/process.ts'
import { describeMessage, kinds, type Message } from '../words/envelope.ts'
import type { CallsOf, CastsOf, InfosOf } from '../words/messages.ts'

/**
 * Whether a payload is one of its message. A check may throw a KeelsonError, which is then the
 * refusal.
 */
export type Accepts = (payload: unknown) => boolean

/** The check of each message of a section. */
type Checks<Sent> = { readonly [N in keyof Sent]: Accepts }

/** The check of each call, cast and info of `M`. */
export interface Acceptance<M> {
  readonly calls: Checks<CallsOf<M>>
  readonly casts: Checks<CastsOf<M>>
  readonly infos: Checks<InfosOf<M>>
}

/**
 * The answer of a server without messages: a wrong one must not end the processes that depend on
 * it.
 */
export const acceptsNothing = { calls: {}, casts: {}, infos: {} }

/** Accepts any payload. */
export const isAnything: Accepts = () => true

/** An object with the field `name`. */
export const hasField =
  (name: string): Accepts =>
  (payload) =>
    typeof payload === 'object' && payload !== null && name in payload

type Section = Table<Accepts | undefined>

/**
 * The checks as the loop reads them, by the kind of the message. Other kinds come from the runtime
 * and pass.
 */
export type AcceptanceTable = { readonly [kind: number]: Section | undefined }

/** Reads the `accepts` of a server. No message reaches a member of a prototype. */
export const acceptanceTable = (
  accepts: Partial<Record<keyof Acceptance<unknown>, Checks<Record<string, unknown>>>> | undefined,
): AcceptanceTable | undefined => {
  if (accepts === undefined) return undefined
  return {
    [kinds.call]: tableOf(accepts.calls),
    [kinds.cast]: tableOf(accepts.casts),
    [kinds.info]: tableOf(accepts.infos),
  }
}

/** Whether a message was refused by these checks; then its sender knows, or the log does. */
export const isRefused = (table: AcceptanceTable, process: Process, message: Message): boolean => {
  const section = table[message.kind]
  const fault = section && faultOf(section[message.name], process, message)
  if (!fault) return false
  if (isCall(message)) message.fail(fault)
  else {
    const { name, payload } = message
    const what = describeMessage(message)
    const shown = process.shownPayload(what, payload)
    process.kernel.logger.warn(`${process}: refused ${what}`, {
      ...process.logged,
      name,
      payload: shown,
    })
  }
  return true
}

const faultOf = (
  accepts: Accepts | undefined,
  process: Process,
  message: Message,
): KeelsonError | undefined => {
  try {
    if (accepts?.(message.payload)) return undefined
  } catch (error) {
    // A payload may be any proxy: reading it may throw anything.
    if (isKeelsonError(error)) return error
  }
  const what = accepts ? 'does not accept the payload of' : 'does not know'
  return new KeelsonError('INVALID_ARGUMENT', `${process} ${what} ${describeMessage(message)}`, {
    details: { message: message.name },
  })
}
