/**
 * A server as the loop reads it: its handlers in tables without a prototype, so that no message reaches `toString`, and
 * every name is found by one look-up. Made once for each server object and system.
 */
import { invalidArgument, KeelsonError } from '../../errors.ts'
import { describeMessage, type Message } from '../words/envelope.ts'
import { type AcceptanceTable, acceptanceTable } from './acceptance.ts'

/** A handler, its types erased: the compiler checked them where the server was written. */
export type Handler = (state: unknown, payload: unknown, context: unknown) => unknown

type Table = Readonly<Record<string, Handler | undefined>>

/** The erased server. */
export interface ServerTable {
  /** What process information calls its processes, unless their start says otherwise. */
  readonly kind: string
  readonly init: (arg: unknown, context: unknown) => unknown
  readonly calls: Table
  readonly casts: Table
  readonly infos: Table
  readonly continues: Table
  /** Casts without a handler of their own; only the runtime's own servers have it. */
  readonly cast: Handler | undefined
  readonly info: Handler | undefined
  readonly exit: Handler | undefined
  readonly down: Handler | undefined
  readonly timeout: Handler | undefined
  readonly terminate: ((state: unknown, reason: unknown, context: unknown) => unknown) | undefined
  /** What it accepts; without it, it ends by what it does not know. */
  readonly accepts: AcceptanceTable | undefined
}

/** Reads a server object. Throws `INVALID_ARGUMENT` when it is none. */
export const serverTable = (server: object): ServerTable => {
  const given = server as Partial<Record<keyof ServerTable, unknown>>
  if (typeof given !== 'object' || given === null || typeof given.init !== 'function') {
    throw new KeelsonError('INVALID_ARGUMENT', 'expected a server: an object with an init function')
  }
  const { kind = 'server', init, cast, info, exit, down, terminate } = given as Partial<ServerTable>
  const timeout = given.timeout as ((state: unknown, context: unknown) => unknown) | undefined
  if (typeof kind !== 'string') throw invalidArgument('kind of a server', 'a text', kind)
  return {
    kind,
    init: init as ServerTable['init'],
    calls: table(given.calls),
    casts: table(given.casts),
    infos: table(given.infos),
    continues: table(given.continues),
    cast,
    info,
    exit,
    down,
    timeout: timeout && ((state, _, context) => timeout(state, context)),
    terminate,
    accepts: acceptanceTable(given.accepts as Parameters<typeof acceptanceTable>[0]),
  }
}

const table = (section: unknown): Table =>
  Object.assign(Object.create(null) as Record<string, Handler>, section)

/** The error of a declared message that `server` has no handler of. */
export const noHandler = (server: { toString(): string }, message: Message): KeelsonError =>
  new KeelsonError('INVALID_ARGUMENT', `${server} has no handler of ${describeMessage(message)}`, {
    details: { message: message.name },
  })
