/** Starts the processes of durable actors below a supervisor: a kind of entities, or a worker. */
import {
  type AnyContext,
  type ChildContext,
  name,
  type StartOptions,
  type StartResult,
} from '../../runtime/index.ts'
import { checkKind } from '../../storage/index.ts'
import { DurableProcess } from '../durable/durable-process.ts'
import { durableServer } from '../durable/turn-server.ts'
import { type KeepIds, keepIdsDefault } from '../turns/call-ids.ts'
import { durableTable } from '../turns/durable-table.ts'
import { entitiesIn, workerKind } from './entities.ts'
import { kindServer } from './entity-kind.ts'
import { freezer } from './frozen.ts'

/** The options of durable actors. */
export type DurableOptions = {
  /** The most turns of one actor that may wait for the disk; 64 by default. */
  readonly pipeline?: number
  /** How long outcomes of calls with an id are kept. */
  readonly keepIds?: Partial<KeepIds>
  /** The most user messages in a mailbox; the System's by default. */
  readonly mailboxMax?: number
}

/** The options of a kind of entities. */
export type EntityOptions = DurableOptions & {
  /** Without a message for this long an entity rests; 60,000 by default. */
  readonly idleMs?: number
  /**
   * An entity ends when a handler is pending for this many ms. What it awaits counts, but not the
   * waits for the storage before and behind it. No limit by default.
   */
  readonly handlerTimeoutMs?: number
}

const pipelineDefault = 64
const idleMsDefault = 60_000

const unfrozen = <T>(state: T): T => state

const commonTerms = ({ pipeline = pipelineDefault, keepIds }: DurableOptions) => ({
  pipeline,
  keepIds: { ...keepIdsDefault, ...keepIds },
  freeze: process.env.NODE_ENV === 'production' ? unfrozen : freezer(),
})

/** Starts the process of a kind. @throws KeelsonError `INVALID_ARGUMENT`, `CONFIG` */
export const startKind = (
  context: ChildContext,
  kind: string,
  server: object,
  options: EntityOptions,
): Promise<StartResult<unknown>> => {
  const { idleMs = idleMsDefault, mailboxMax, handlerTimeoutMs } = options
  const limits = { mailboxMax, handlerTimeoutMs }
  const terms = { kind: checkKind(kind), table: durableTable(server), idleMs, ...limits }
  return context.startLinkResult(
    kindServer,
    { ...terms, ...commonTerms(options) },
    { label: kind, mailboxMax: Number.POSITIVE_INFINITY },
  )
}

/** Starts a durable worker under a name, by which its rows are found again. */
export const startDurableWorker = (
  context: ChildContext,
  id: string,
  server: object,
  arg: unknown,
  { pipeline, keepIds, handlerTimeoutMs, ...start }: DurableOptions & StartOptions,
): Promise<StartResult<unknown>> => {
  const entities = entitiesIn(context)
  const table = durableTable(server)
  const identity = entities.identity(workerKind, id)
  const make = (own: AnyContext): DurableProcess => {
    const earlier = entities.decided(identity.entity)
    const terms = {
      ...commonTerms({ ...(pipeline && { pipeline }), ...(keepIds && { keepIds }) }),
      ...{ ...entities.placeOf(identity), table, arg, idleMs: undefined, handlerTimeoutMs },
      mayWake: async () => earlier,
      blockedBy: () => undefined,
      successor: () => undefined,
      woke: () => entities.woke(),
      removed: () => undefined,
    }
    return new DurableProcess(terms, own)
  }
  return context.startLinkResult(durableServer(table), make, {
    ...(start as object),
    name: name(id),
  })
}
