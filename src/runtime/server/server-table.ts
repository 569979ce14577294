/**
 * A server as the loop reads it. Its handlers are in tables without a prototype, so that a message
 * named `toString` finds none, and each name takes one look-up. Made once for each server object
 * and system.
 */

import { argument } from '../../check.ts'
import { invalidArgument, KeelsonError } from '../../errors.ts'
import { type Table, tableOf } from '../../own-names.ts'
import type { PendingCall } from '../process/pending-call.ts'
import { describeMessage, type Message } from '../words/envelope.ts'
import { type AcceptanceTable, acceptanceTable } from './acceptance.ts'
import type { FormatStatus } from './format-status.ts'
import { messageSchemas } from './message-schemas.ts'
import type { ServerContext } from './server-context.ts'

/** A handler without its types, which were checked where the server was written. */
export type Handler = (state: unknown, payload: unknown, context: unknown) => unknown

type Handlers = Table<Handler | undefined>

/** How `sys` reads and replaces a state that is held by the state of the loop. */
export interface HeldState {
  shown(holder: unknown): unknown
  /** Replaces the state by what `change` makes of it, and answers `request`. */
  replace(holder: unknown, request: PendingCall, change: (state: unknown) => unknown): void
}

/** The erased server. */
export interface ServerTable {
  /** The kind of its processes in process information, unless their start names another. */
  readonly kind: string
  readonly init: (arg: unknown, context: unknown) => unknown
  readonly calls: Handlers
  readonly casts: Handlers
  readonly infos: Handlers
  readonly continues: Handlers
  /**
   * Handle calls and casts without a handler of their own. Only the runtime's own servers have
   * them.
   */
  readonly call: Handler | undefined
  readonly cast: Handler | undefined
  readonly info: Handler | undefined
  readonly exit: Handler | undefined
  readonly down: Handler | undefined
  readonly timeout: Handler | undefined
  readonly terminate: ((state: unknown, reason: unknown, context: unknown) => unknown) | undefined
  readonly formatStatus: FormatStatus | undefined
  /** The definition of the state machine that it runs. */
  readonly machine: unknown
  /**
   * Where the state for `sys` is, if the state of the loop only holds it. Only durable actors have
   * it.
   */
  readonly sys: HeldState | undefined
  /** The class of its contexts, if they offer more than those of any server. */
  readonly Context: typeof ServerContext | undefined
  /** The checks of its messages, and their schemas. Without checks, an unknown message ends the server. */
  readonly accepts: AcceptanceTable | undefined
  /** The checks count in an instance only, but for those of infos that it has a handler of. */
  readonly isOtpOutside: boolean
}

/** Reads a server object. Throws `INVALID_ARGUMENT` when it is not a server. */
export const serverTable = (server: object): ServerTable => {
  expectServer(server)
  const {
    kind = 'server',
    init,
    call,
    cast,
    info,
    exit,
    down,
    terminate,
    formatStatus,
    machine,
    sys,
    Context,
    timeout,
  } = server
  return {
    kind,
    init,
    calls: tableOf(server.calls),
    casts: tableOf(server.casts),
    infos: tableOf(server.infos),
    continues: tableOf(server.continues),
    call,
    cast,
    info,
    exit,
    down,
    timeout: timeout && ((state, _, context) => timeout(state, context)),
    terminate,
    formatStatus,
    machine,
    sys,
    Context,
    accepts: acceptanceTable(server.accepts, messageSchemas(server, argument('messages'))),
    isOtpOutside: server.isOtpOutside === true,
  }
}

const sections = ['calls', 'casts', 'infos', 'continues'] as const
const hooks = [
  ...(['call', 'cast', 'info', 'exit', 'down', 'timeout', 'terminate'] as const),
  'formatStatus' as const,
]

/** A server object after its check. */
type GivenServer = Pick<ServerTable, 'init'> &
  Partial<Omit<ServerTable, 'accepts' | 'timeout'>> & {
    readonly accepts?: Parameters<typeof acceptanceTable>[0]
    readonly messages?: unknown
    readonly timeout?: (state: unknown, context: unknown) => unknown
  }

/** A handler that is not a function would end the server at its first message, and a misspelt one too. */
const expectServer: (server: object) => asserts server is GivenServer = (server) => {
  const given: { readonly [K in keyof ServerTable]?: unknown } = server
  if (typeof given !== 'object' || given === null || typeof given.init !== 'function')
    throw invalidArgument('server', 'an object with an init function', server)
  const { kind } = given
  if (kind !== undefined && typeof kind !== 'string')
    throw invalidArgument('kind of a server', 'a text', kind)
  for (const name of hooks) {
    const hook = given[name]
    if (hook !== undefined && typeof hook !== 'function')
      throw invalidArgument(`${name} of a server`, 'a function', hook)
  }
  for (const name of sections) {
    const section = given[name]
    if (section === undefined) continue
    if (typeof section !== 'object' || section === null || Array.isArray(section))
      throw invalidArgument(`${name} of a server`, 'an object of functions', section)
    for (const [message, handler] of Object.entries(section))
      if (typeof handler !== 'function')
        throw invalidArgument(`${name}.${message} of a server`, 'a function', handler)
  }
}

/** The error of a declared message without a handler in `server`. */
export const noHandler = (server: { toString(): string }, message: Message): KeelsonError =>
  new KeelsonError('INVALID_ARGUMENT', `${server} has no handler of ${describeMessage(message)}`, {
    details: { message: message.name },
  })
