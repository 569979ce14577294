/** A durable server as its process reads it, without its types. */
import { argument } from '../../check.ts'
import {
  invalidArgument,
  isKeelsonError,
  KeelsonError,
  keptError,
  missingDeclaration,
} from '../../errors.ts'
import { type Table, tableOf } from '../../own-names.ts'
import {
  type AnyContext,
  type AppContext,
  call,
  isThenable,
  messageSchemas,
  noReply,
  type Parses,
  type Ref,
} from '../../runtime/index.ts'
import { encodeIndexValue } from '../../storage/index.ts'
import { answeredAtOnce } from '../core/argument-check.ts'
import { type Fields, nothing } from './memory.ts'
import type { RetryPolicies } from './retry-policy.ts'

/** A handler without its types. */
export type Handler = (state: unknown, payload: unknown, context: unknown) => unknown

/** The sections of handlers. */
export type Section = Table<Handler>

/** The erased server. */
export type DurableTable = {
  readonly kind: string | undefined
  readonly version: number
  /** The structural hash of a state machine, or ''. */
  readonly shape: string
  /** The definition of that machine. */
  readonly machine: unknown
  readonly migrate: ((state: unknown, from: number) => unknown) | undefined
  readonly init: (arg: unknown, context: unknown) => unknown
  readonly wake: ((state: unknown, context: unknown) => unknown) | undefined
  /** Whether volatile work of a state runs. */
  readonly isBusy: (state: unknown) => boolean
  /** Whether the actor ends in this state, if its kind says how long it is kept. */
  readonly isFinal: (state: unknown) => boolean
  /** The values of the index fields of a state, checked. */
  readonly fieldsOf: (state: unknown) => Fields
  readonly calls: Section
  readonly casts: Section
  readonly infos: Section
  readonly continues: Section
  readonly alarms: Section
  /** When steps and alarms that failed are tried again. */
  readonly retry: RetryPolicies | undefined
  /** Gets a `Failed` when the tries of a step or an alarm have ended. */
  readonly onFailed: Handler | undefined
  /** By the names of steps that have one try: they get its `Failed`. */
  readonly triedOnce: Section
  /**
   * Handlers by the names of infos. If the turn of an info is refused, the handler gets `{ news,
   * error }`.
   */
  readonly refused: Section
  readonly accepts: { readonly [section in 'calls' | 'casts' | 'infos']?: object } | undefined
  /** The schemas of its messages. */
  readonly parses: Parses | undefined
  /** The bytes of the causes of its turns without a caller, by their messages; `causesMax` at most. */
  readonly causes: Map<string, Uint8Array>
  /** The type of the event that a message brings, if its server is a machine. */
  readonly eventOf: ((message: string, payload: unknown) => string | undefined) | undefined
  readonly info: Handler | undefined
  readonly exit: Handler | undefined
  readonly down: Handler | undefined
  readonly timeout: ((state: unknown, context: unknown) => unknown) | undefined
  readonly terminate: ((state: unknown, reason: unknown, context: unknown) => unknown) | undefined
  readonly formatStatus: unknown
  /** The value of a layer above of which it has made the server. */
  readonly part: unknown
}

/** The key of the value of which a layer above has made a server. */
export const madeOf: unique symbol = Symbol('what the server is made of')

/** The most causes that a table keeps. Types of events may come from users. */
export const causesMax = 1_000

/** Reads a durable server that was checked where it is configured. */
export const durableTable = (server: object): DurableTable => {
  const given = server as Partial<DurableTable> &
    Pick<DurableTable, 'init'> & {
      readonly index?: (state: unknown) => unknown
      readonly messages?: unknown
      readonly [madeOf]?: unknown
    }
  const { version = 1, index, shape = '' } = given
  return {
    causes: new Map(),
    eventOf: given.eventOf,
    kind: given.kind,
    version,
    shape,
    migrate: given.migrate,
    init: given.init,
    wake: given.wake,
    accepts: given.accepts,
    parses: messageSchemas(given, argument('messages')),
    info: given.info,
    exit: given.exit,
    down: given.down,
    timeout: given.timeout,
    terminate: given.terminate,
    formatStatus: given.formatStatus,
    machine: given.machine,
    part: given[madeOf],
    isBusy: given.isBusy ?? (() => false),
    isFinal: (state) => answeredAtOnce(given.isFinal?.(state) ?? false, 'isFinal'),
    calls: tableOf(given.calls),
    casts: tableOf(given.casts),
    infos: tableOf(given.infos),
    continues: tableOf<Handler>(given.continues, { [callStep]: makesCall }),
    alarms: tableOf(given.alarms),
    refused: tableOf(given.refused),
    triedOnce: tableOf(given.triedOnce),
    retry: given.retry,
    onFailed: given.onFailed,
    fieldsOf: (state) => (index === undefined ? nothing.fields : fieldsBy(index, state)),
  }
}

/**
 * The name of the step that makes a recorded call. Every durable actor has this step. The call is
 * made when the turn is durable, and repeated until it is answered: after a crash the receiver may
 * get the call twice. So the payload must identify the call.
 */
export const callStep = '$call'

/** A call to an entity that a turn records. */
export type RecordedCall = {
  readonly kind: string
  readonly id: string
  readonly name: string
  readonly payload: unknown
}

/** Messages whose names and payloads the receiver alone knows. */
type AnyCalls = { readonly calls: { readonly [name: string]: (payload: unknown) => unknown } }

const makesCall = async (state: unknown, recorded: unknown, given: unknown): Promise<unknown> => {
  const context = given as AnyContext
  const { kind, id, name, payload } = recorded as RecordedCall
  const ref = kindIn(context.app as AppContext, kind).ref(id) as Ref<AnyCalls>
  await call(context.to(ref), name, payload).catch((error) => {
    // The member that has its shard may run another program.
    const isAbsent = isKeelsonError(error, 'NO_PROCESS') && error.details.kind === kind
    throw isAbsent ? missingDeclaration(`kind ${kind}`, error) : error
  })
  return noReply(state)
}

/** The kind that a recorded call names. @throws KeelsonError a `missingDeclaration` */
const kindIn = (app: AppContext, kind: string): ReturnType<AppContext['entity']> => {
  try {
    return app.entity(kind)
  } catch (error) {
    const isAbsent =
      isKeelsonError(error, 'INVALID_ARGUMENT') || isKeelsonError(error, 'NO_PROCESS')
    throw isAbsent ? missingDeclaration(`kind ${kind}`, error) : error
  }
}

/** A throw of `index` refuses the turn, as a state does that throws when it is read. */
const fieldsBy = (index: (state: unknown) => unknown, state: unknown): Fields => {
  let found: unknown
  try {
    found = index(state)
  } catch (cause) {
    const { message } = keptError(cause)
    throw new KeelsonError('INVALID_ARGUMENT', `the index of the server threw: ${message}`, {
      details: { path: 'index' },
      cause,
    })
  }
  return checkedFields(found)
}

const checkedFields = (found: unknown): Fields => {
  if (typeof found !== 'object' || found === null || isThenable(found) || Array.isArray(found))
    throw invalidArgument('index', 'an object of fields', found)
  const fields = found as Fields
  for (const field of Object.keys(fields)) {
    if (field.startsWith('$'))
      throw invalidArgument('index', 'names of fields that do not begin with $', field)
    const value = fields[field]
    if (value !== undefined) encodeIndexValue(value, 'index', field)
  }
  return fields
}
