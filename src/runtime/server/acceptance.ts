/**
 * The messages that a server accepts. A server without `accepts` ends by a message that it has no
 * handler of, as in OTP. A server with `accepts` refuses such a message, and a payload that fails
 * the check of its message, and lives on: the caller of a call gets the error, a cast or an info is
 * logged. A payload that its schema refuses is refused in the same way, with or without `accepts`.
 */

import { isKeelsonError, KeelsonError } from '../../errors.ts'
import { type Table, tableOf } from '../../own-names.ts'
import type { Parse } from '../../schema.ts'
import { isCall, type PendingCall } from '../process/pending-call.ts'
import type { Process } from '../process/process.ts'
import { describeMessage, kinds, type Message } from '../words/envelope.ts'
import type { CallsOf, CastsOf, InfosOf } from '../words/messages.ts'
import type { Parses } from './message-schemas.ts'

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

type Section = {
  readonly checks: Table<Accepts | undefined> | undefined
  readonly parses: Table<Parse | undefined> | undefined
}

/**
 * The checks and the schemas as the loop reads them, by the kind of the message. Other kinds come from
 * the runtime and pass.
 */
export type AcceptanceTable = { readonly [kind: number]: Section | undefined }

type GivenAccepts = Partial<Record<keyof Acceptance<unknown>, Checks<Record<string, unknown>>>>

/** Reads the `accepts` of a server, beside its schemas. No message reaches a member of a prototype. */
export const acceptanceTable = (
  accepts: GivenAccepts | undefined,
  parses: Parses | undefined,
): AcceptanceTable | undefined => {
  if (accepts === undefined && parses === undefined) return undefined
  const section = (name: keyof Parses): Section => ({
    checks: accepts && tableOf(accepts[name]),
    parses: parses?.[name],
  })
  return {
    [kinds.call]: section('calls'),
    [kinds.cast]: section('casts'),
    [kinds.info]: section('infos'),
  }
}

/**
 * Whether a message was refused by these checks; then its sender knows, or the log does. Another one has
 * the payload that its schema makes: a process takes each of its messages once.
 */
export const isRefused = (table: AcceptanceTable, process: Process, message: Message): boolean => {
  const section = table[message.kind]
  const { checks, parses } = section ?? {}
  const { name, payload } = message
  let fault: unknown = checks && faultOf(checks[name], process, message)
  const parse = parses?.[name]
  if (fault === undefined && parse === undefined) return false
  const what = describeMessage(message)
  try {
    if (fault === undefined) Object.assign(message, { payload: parse?.(payload, what) })
  } catch (error) {
    fault = error
  }
  const call = isCall(message) ? message : undefined
  return fault !== undefined && refuse(process, { what, name, payload, call }, fault)
}

type Refused = Pick<Message, 'name' | 'payload'> & {
  readonly what: string
  readonly call: Pick<PendingCall, 'fail'> | undefined
}

/**
 * Refuses a message: the caller of a call gets the fault, another message is logged. Of its issues the log
 * has the places alone: the text of a library may have the value in it. Answers true.
 */
export const refuse = (
  process: Process,
  { what, name, payload, call }: Refused,
  fault: unknown,
): true => {
  if (call) {
    call.fail(fault)
    return true
  }
  const issues = isKeelsonError(fault) ? fault.details.issues : undefined
  const shown = process.shownPayload(what, payload)
  process.kernel.logger.warn(`${process}: refused ${what}`, {
    ...process.logged,
    name,
    payload: shown,
    ...(Array.isArray(issues) && { issues: issues.map(({ path }) => path) }),
  })
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
