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
import { durableServer } from '../durable/turn-server.ts'
import { tell } from '../shard/storage-events.ts'
import type { KeepIds } from '../turns/call-ids.ts'
import type { DurableTable } from '../turns/durable-table.ts'
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
  const { entity } = identity
  const earlier = entities.decided(entity)
  const failure = (): Failure | undefined => state.failures.get(id)
  const make = (own: AnyContext): DurableProcess => {
    const self = new DurableProcess(
      {
        ...{ table: terms.table, identity, arg: id, shard: entities.shardOf(entity) },
        ...{ pipeline: terms.pipeline, keepIds: terms.keepIds, freeze: terms.freeze },
        ...{
          idleMs: terms.idleMs,
          handlerTimeoutMs: terms.handlerTimeoutMs,
          blockedBy: () => failure()?.blocked,
        },
        mayWake: async () => {
          await earlier
          const waitMs = (failure()?.notBefore ?? 0) - context.system.clock.monotonic()
          if (waitMs > 0) await pause(own, waitMs)
        },
        began: (log) => entities.began(entity, log),
        ended: (log) => entities.ended(entity, log),
        successor: () => entities.wake(terms.kind, id),
        woke: (reason) => {
          child.hasWoken = true
          if (!failure()?.blocked) state.failures.delete(id)
          if (reason) state.blocked.set(id, reason)
          else state.blocked.delete(id)
          const facts = { entity, blocked: reason?.message }
          tell(context.system, entities.shardOf(entity), 'entity.woke', facts)
        },
        removed: () => {
          state.failures.delete(id)
          state.blocked.delete(id)
        },
      },
      own,
    )
    return self
  }
  const processName = entities.nameOf(entity)
  void context.startLinkResult(server, make, {
    name: name(processName),
    label: entity,
    ...(terms.mailboxMax === undefined ? {} : { mailboxMax: terms.mailboxMax }),
  })
  const process = processOf({ self: context.system.whereis(name(processName)) as Ref })
  const child: Child = { id, process, hasWoken: false }
  state.live.set(process.address as Ref, child)
  return process
}

const pause = (context: AnyContext, ms: number): Promise<void> =>
  new Promise((resolve) => context.system.clock.after(ms, resolve))

const forget = ({ live }: State, { process }: Child): void => {
  live.delete(process.address as Ref)
}

/** An entity's process has ended. */
const ended = (state: State, child: Child, reason: ExitReason): void => {
  forget(state, child)
  const { entities, terms } = state
  const ending = { entity: entities.identity(terms.kind, child.id).entity, reason }
  tell(entities.system, entities.shardOf(ending.entity), 'entity.ended', ending)
  // A kill from outside says nothing about its state.
  if (child.hasWoken || isOrderly(reason) || reason === 'killed') return
  const { id, process } = child
  const tries = (state.failures.get(id)?.tries ?? 0) + 1
  const notBefore = process.kernel.clock.monotonic() + backoffMs(tries)
  const { entity } = state.entities.identity(state.terms.kind, id)
  const error = tries < triesMax ? undefined : blocked(entity, reason)
  state.failures.set(id, { tries, notBefore, blocked: error })
  if (error) state.blocked.set(id, error)
}

const unblock = (state: State, id: string): boolean => {
  const wasBlocked = state.blocked.delete(id)
  state.failures.delete(id)
  const { entity } = state.entities.identity(state.terms.kind, id)
  if (wasBlocked) state.entities.holder(entity)?.end('shutdown')
  return wasBlocked
}
