/** Starts the processes of durable actors below a supervisor: a kind of entities, or a worker. */
import {
  type ChildContext,
  type ChildSpec,
  name,
  type StartOptions,
  type StartResult,
} from '../../runtime/index.ts'
import { checkKind, workerKind } from '../../storage/index.ts'
import { emit } from '../core/storage-events.ts'
import type { CommonTerms, DurableTerms } from '../durable/durable-terms.ts'
import type { RecordOptions } from '../durable/turn-record.ts'
import { durableServer } from '../durable/turn-server.ts'
import { type KeepIds, keepIdsDefault } from '../turns/call-ids.ts'
import { durableTable } from '../turns/durable-table.ts'
import type { Entities } from './entities.ts'
import { kindServer } from './entity-kind.ts'

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
   * An entity ends when a handler is pending for this many ms. Its own waits count, but not the
   * waits for the storage before and after it. No limit by default.
   */
  readonly handlerTimeoutMs?: number
  /**
   * How long an entity is kept after `context.end`, in ms, where the handler does not say. With it,
   * an entity ends by itself in a state that is final: a machine in its final state.
   */
  readonly keepMs?: number
  /**
   * Notes each key that a turn writes with `context.writes`, so that it can be removed with the
   * entity: a row of about 120 bytes for each. False.
   */
  readonly keys?: boolean
  /**
   * Turns of messages record what they got and gave in their unit, so that a rehearsal runs them again
   * with the next build. Not by default.
   */
  readonly record?: RecordOptions
}

const pipelineDefault = 64
const idleMsDefault = 60_000

const unfrozen = <T>(state: T): T => state

type OrUndefined<T> = { readonly [K in keyof T]?: T[K] | undefined }

const commonTerms = (
  { pipeline = pipelineDefault, keepIds }: OrUndefined<DurableOptions>,
  { idleMs, handlerTimeoutMs, keepMs, keys = false, record }: OrUndefined<EntityOptions>,
): CommonTerms => ({
  pipeline,
  keepIds: { ...keepIdsDefault, ...keepIds },
  idleMs,
  handlerTimeoutMs,
  keepMs,
  keys,
  record,
  freeze: process.env.NODE_ENV === 'production' ? unfrozen : frozen,
})

/** Starts the process of a kind. @throws KeelsonError `INVALID_ARGUMENT`, `CONFIG` */
export const startKind = (
  entities: Entities,
  context: ChildContext,
  kind: string,
  server: object,
  options: EntityOptions,
): Promise<StartResult<unknown>> => {
  const { idleMs = idleMsDefault, mailboxMax } = options
  const terms = {
    entities,
    kind: checkKind(kind),
    table: durableTable(server),
    common: commonTerms(options, { ...options, idleMs }),
    mailboxMax,
  }
  return context.startLinkResult(kindServer, terms, {
    label: kind,
    mailboxMax: Number.POSITIVE_INFINITY,
  })
}

/**
 * Starts a durable worker under a name, by which its rows are found again. `spec`: that of the child,
 * which is started later if another member has its shard.
 */
export const startDurableWorker = (
  entities: Entities,
  context: ChildContext,
  id: string,
  server: object,
  arg: unknown,
  spec: ChildSpec,
  { pipeline, keepIds, handlerTimeoutMs, ...start }: DurableOptions & StartOptions,
): Promise<StartResult<unknown>> => {
  const table = durableTable(server)
  const identity = entities.identity(workerKind, id)
  entities.workers.set(id, table)
  const elsewhere = entities.leads(id, context, spec)
  if (elsewhere) return Promise.resolve(elsewhere)
  const { entity } = identity
  const terms: DurableTerms = {
    common: commonTerms({ pipeline, keepIds }, { handlerTimeoutMs }),
    table,
    identity,
    arg,
    shard: entities.shardOf(entity),
    blockedBy: undefined,
    trouble: entities.trouble,
    work: entities.work,
    mayWake: () => entities.decided(entity),
    ended: (log, reason) => {
      entities.trouble.blockedWorkers.delete(id)
      entities.ended(entity, log)
      emit(entities.system, terms.shard, 'entity.ended', { entity, reason })
    },
    successor: () => undefined,
    woke: (reason) => {
      if (reason) terms.blocks(reason)
      else entities.trouble.blockedWorkers.delete(id)
      entities.woke()
      emit(entities.system, terms.shard, 'entity.woke', { entity, blocked: reason?.message })
    },
    blocks: (reason) => {
      const { blockedWorkers } = entities.trouble
      entities.trouble.blocks(reason, blockedWorkers.get(id), entities.system.clock.now())
      blockedWorkers.set(id, reason)
      entities.emitBlocked(entity, reason)
    },
    removed: () => undefined,
  }
  return context.startLinkResult(durableServer(table), terms, {
    ...(start as object),
    name: name(id),
  })
}

// Freezes states. A durable state is changed by returning another one: a change in place would be
// lost. Outside of production such a change throws where it happens. Bytes cannot be frozen.

/**
 * Freezes a state and everything in it. Without recursion: a state that is too deep to be stored is
 * refused later, by its path.
 */
export const frozen = <T>(state: T): T => {
  const left: unknown[] = [state]
  const walked = new Set<object>()
  while (left.length > 0) {
    const value = left.pop()
    if (typeof value !== 'object' || value === null || walked.has(value)) continue
    const methods = changing(value)
    // A value that cannot be stored is not frozen: a Ref leads to processes, and the turn is
    // refused.
    if (methods === undefined) continue
    walked.add(value)
    if (value instanceof Map || value instanceof Set)
      for (const [key, member] of value.entries()) left.push(key, member)
    for (const member of Object.values(value)) left.push(member)
    if (Object.isFrozen(value)) continue
    for (const method of methods) refuse(value, method)
    Object.freeze(value)
  }
  return state
}

/** The methods that change a value inside; `undefined` for what is not a part of a state. */
const changing = (value: object): readonly string[] | undefined => {
  const prototype: unknown = Object.getPrototypeOf(value)
  if (Array.isArray(value) || prototype === Object.prototype || prototype === null) return []
  if (value instanceof Map) return ['set', 'delete', 'clear']
  if (value instanceof Set) return ['add', 'delete', 'clear']
  return value instanceof Date ? dateSetters : undefined
}

const dateSetters: readonly string[] = Object.getOwnPropertyNames(Date.prototype).filter((name) =>
  name.startsWith('set'),
)

/** `Object.freeze` does not reach what is inside of a Map, a Set or a Date. */
const refuse = (value: object, method: string): void => {
  Object.defineProperty(value, method, {
    value: () => {
      throw new TypeError(`cannot ${method}: a durable state is changed by returning another one`)
    },
  })
}
