/**
 * The process of a kind of entities: it starts the processes of those that messages wake, linked to
 * itself, and ends them with itself. One that fails while it wakes waits longer before each try,
 * and is blocked after five. Its siblings do not notice.
 */
import type { KeelsonError } from '../../errors.ts'
import {
  type AnyContext,
  type ExitReason,
  type GenServer,
  isOrderly,
  name,
  noReply,
  type Process,
  processOf,
  type Ref,
  shutDown,
} from '../../runtime/index.ts'
import { DurableProcess } from '../durable/durable-process.ts'
import type { DurableTerms } from '../durable/durable-terms.ts'
import { durableServer } from '../durable/turn-server.ts'
import { tell } from '../shard/storage-events.ts'
import type { KeepIds } from '../turns/call-ids.ts'
import type { DurableTable } from '../turns/durable-table.ts'
import type { Identity } from '../turns/memory.ts'
import { blocked } from '../turns/waking.ts'
import { type Entities, entitiesIn, type RunningKind } from './entities.ts'

/** How the entities of a kind live. */
export type KindTerms = {
  readonly kind: string
  readonly table: DurableTable
  readonly idleMs: number
  readonly pipeline: number
  readonly keepIds: KeepIds
  readonly freeze: <T>(state: T) => T
  readonly mailboxMax: number | undefined
  readonly handlerTimeoutMs: number | undefined
}

/** A failure while waking. */
type Failure = {
  readonly tries: number
  readonly notBefore: number
  /** After the last try. */
  readonly blocked: KeelsonError | undefined
}

type State = {
  readonly entities: Entities
  readonly terms: KindTerms
  readonly live: Map<Ref, Child>
  readonly failures: Map<string, Failure>
  readonly blocked: Map<string, KeelsonError>
  readonly left: () => void
}

type Child = {
  readonly id: string
  readonly process: Process
  hasWoken: boolean
}

/** The tries of waking before an entity is blocked. */
const triesMax = 5

/** Before another try to wake: 100 ms, doubling. */
const backoffMs = (tries: number): number => 100 * 2 ** (tries - 1)

/** The server of a kind. */
export const kindServer: GenServer<object, State, KindTerms, unknown> = {
  kind: 'entity_kind',
  init: (terms, context) => {
    context.trapExit(true)
    const entities = entitiesIn(context)
    const server = durableServer(terms.table)
    const running: RunningKind = {
      table: terms.table,
      blocked: new Map<string, KeelsonError>(),
      get live() {
        return state.live.size
      },
      wake: (id) => start(state, server, id, context as unknown as AnyContext),
      unblock: (id) => unblock(state, id),
    }
    const state: State = {
      ...{ entities, terms, live: new Map(), failures: new Map() },
      blocked: running.blocked as Map<string, KeelsonError>,
      left: entities.runs(terms.kind, running),
    }
    // Nothing runs in a process that is killed, not even `terminate`.
    context.system.monitor(context.self, state.left)
    return state
  },
  exit: (state, { from, reason }) => {
    const child = from && state.live.get(from)
    if (child) ended(state, child, reason)
    return noReply(state)
  },
  terminate: async (state, _reason, context) => {
    state.left()
    const by = processOf(context as never)
    const ends = [...state.live.values()].map(({ process }) => shutDown(by, process, 'infinity'))
    await Promise.all(ends)
  },
}

/** Starts the process of an entity. Its name is taken before this returns. */
const start = (
  state: State,
  server: ReturnType<typeof durableServer>,
  id: string,
  context: AnyContext,
): Process => {
  const { entities, terms } = state
  const identity = entities.identity(terms.kind, id)
  const life = termsOf(state, identity, () => {
    child.hasWoken = true
  })
  const make = (own: AnyContext): DurableProcess => new DurableProcess(life, own)
  const processName = entities.nameOf(identity.entity)
  void context.startLinkResult(server, make, {
    name: name(processName),
    label: identity.entity,
    ...(terms.mailboxMax === undefined ? {} : { mailboxMax: terms.mailboxMax }),
  })
  const process = processOf({ self: context.system.whereis(name(processName)) as Ref })
  const child: Child = { id, process, hasWoken: false }
  state.live.set(process.address as Ref, child)
  return process
}

/** What the process of an entity is made from. `onWake`: its state could be read, or is blocked. */
const termsOf = (state: State, identity: Identity, onWake: () => void): DurableTerms => {
  const { entities, terms, failures } = state
  const { table, pipeline, keepIds, freeze, idleMs, handlerTimeoutMs } = terms
  const { entity, id } = identity
  const { system } = entities
  const earlier = entities.decided(entity)
  const place = entities.placeOf(identity)
  return {
    ...{ ...place, table, pipeline, keepIds, freeze, idleMs, handlerTimeoutMs, arg: id },
    blockedBy: () => failures.get(id)?.blocked,
    mayWake: async () => {
      await earlier
      const waitMs = (failures.get(id)?.notBefore ?? 0) - system.clock.monotonic()
      if (waitMs > 0) await new Promise<void>((resolve) => system.clock.after(waitMs, resolve))
    },
    successor: () => entities.wake(terms.kind, id),
    woke: (reason) => {
      onWake()
      if (!failures.get(id)?.blocked) failures.delete(id)
      if (reason) state.blocked.set(id, reason)
      else state.blocked.delete(id)
      tell(system, place.shard, 'entity.woke', { entity, blocked: reason?.message })
    },
    removed: () => {
      failures.delete(id)
      state.blocked.delete(id)
    },
  }
}

/** An entity's process has ended. */
const ended = (state: State, { id, process, hasWoken }: Child, reason: ExitReason): void => {
  const { entities, terms, live, failures } = state
  const { system } = entities
  live.delete(process.address as Ref)
  const { entity } = entities.identity(terms.kind, id)
  tell(system, entities.shardOf(entity), 'entity.ended', { entity, reason })
  // A kill from outside says nothing about its state.
  if (hasWoken || isOrderly(reason) || reason === 'killed') return
  const tries = (failures.get(id)?.tries ?? 0) + 1
  const notBefore = system.clock.monotonic() + backoffMs(tries)
  const error = tries < triesMax ? undefined : blocked(entity, reason)
  failures.set(id, { tries, notBefore, blocked: error })
  if (error) state.blocked.set(id, error)
}

const unblock = (state: State, id: string): boolean => {
  const wasBlocked = state.blocked.delete(id)
  state.failures.delete(id)
  const { entity } = state.entities.identity(state.terms.kind, id)
  if (wasBlocked) state.entities.holder(entity)?.end('shutdown')
  return wasBlocked
}
