/**
 * The process of a kind of entities: it starts a process for each entity that a message wakes,
 * linked to itself, and ends them with itself. One that fails while it wakes waits longer before
 * each try, and is blocked after five. Its siblings do not notice. It is apart from
 * `durable-start.ts`, which only starts processes, because it is one.
 */
import { backoffMs, passed } from '../../clock.ts'
import { isKeelsonError, type KeelsonError } from '../../errors.ts'
import {
  type AnyContext,
  type ExitReason,
  type GenServer,
  isOrderly,
  type Messages,
  name,
  noReply,
  type Process,
  processOf,
  type Ref,
  shutDown,
} from '../../runtime/index.ts'
import { emit } from '../core/storage-events.ts'
import type { CommonTerms, DurableTerms } from '../durable/durable-terms.ts'
import { durableServer } from '../durable/turn-server.ts'
import type { ActorShard } from '../turns/actor-shard.ts'
import type { ActorTrouble } from '../turns/actor-trouble.ts'
import type { ActorWork } from '../turns/actor-work.ts'
import type { DurableTable } from '../turns/durable-table.ts'
import type { Identity } from '../turns/memory.ts'
import type { TurnDraft } from '../turns/turn-draft.ts'
import type { TurnLog } from '../turns/turn-log.ts'
import { blocked, shownCause } from '../turns/waking.ts'
import type { Entities, RunningKind } from './entities.ts'

/** How the entities of a kind live. */
type KindTerms = {
  readonly entities: Entities
  readonly kind: string
  readonly table: DurableTable
  readonly common: CommonTerms
  readonly mailboxMax: number | undefined
}

/** The failures of an entity while it wakes. */
type Failure = { readonly tries: number; readonly notBefore: number }

type State = {
  readonly entities: Entities
  readonly terms: KindTerms
  readonly live: Map<Ref, Child>
  /** Of the entities that are tried again. The one that failed last is at the end. */
  readonly failures: Map<string, Failure>
  readonly blocked: Map<string, KeelsonError>
  /** The blocked entities that are not tried to wake again. */
  readonly untried: Set<string>
  readonly left: () => void
}

/** An entity while its process lives: what that is made from. */
class Child implements DurableTerms {
  readonly identity: Identity
  readonly shard: ActorShard
  process!: Process
  hasWoken = false
  readonly #state: State

  constructor(state: State, id: string) {
    this.#state = state
    this.identity = state.entities.identity(state.terms.kind, id)
    this.shard = state.entities.shardOf(this.identity.entity)
  }

  get table(): DurableTable {
    return this.#state.terms.table
  }

  get common(): CommonTerms {
    return this.#state.terms.common
  }

  get trouble(): ActorTrouble {
    return this.#state.entities.trouble
  }

  get work(): ActorWork {
    return this.#state.entities.work
  }

  get arg(): string {
    return this.identity.id
  }

  get blockedBy(): KeelsonError | undefined {
    const { blocked, untried } = this.#state
    return untried.has(this.identity.id) ? blocked.get(this.identity.id) : undefined
  }

  get #failure(): Failure | undefined {
    return this.#state.failures.get(this.identity.id)
  }

  mayWake(): Promise<unknown> | undefined {
    const earlier = this.#state.entities.decided(this.identity.entity)
    if (this.#failure === undefined) return earlier
    return Promise.resolve(earlier).then(() => this.#backedOff())
  }

  async #backedOff(): Promise<void> {
    const { clock } = this.#state.entities.system
    const waitMs = (this.#failure?.notBefore ?? 0) - clock.monotonic()
    if (waitMs > 0) await passed(clock, waitMs)
  }

  ended(log: TurnLog<TurnDraft>): void {
    this.#state.entities.ended(this.identity.entity, log)
  }

  successor(): Process | undefined {
    return this.#state.entities.wake(this.identity.kind, this.identity.id)
  }

  woke(reason: KeelsonError | undefined): void {
    const { entities, failures, blocked } = this.#state
    const { id, entity } = this.identity
    this.hasWoken = true
    failures.delete(id)
    entities.judgement.woke(entity)
    if (reason) block(this.#state, id, reason)
    else if (blocked.delete(id)) entities.woke()
    emit(entities.system, this.shard, 'entity.woke', { entity, blocked: reason?.message })
  }

  blocks(reason: KeelsonError): void {
    const { id } = this.identity
    this.#state.untried.add(id)
    this.#state.entities.judgement.woke(this.identity.entity)
    block(this.#state, id, reason)
  }

  removed(): void {
    const { blocked, untried } = this.#state
    untried.delete(this.identity.id)
    blocked.delete(this.identity.id)
  }
}

/** The tries of waking before an entity is blocked. */
const triesMax = 5

/** The most entities whose failures are kept. Beyond it the oldest is tried as if it had none. */
const failuresMax = 10_000

/** The pauses before other tries to wake. */
const pauses = { baseMs: 100, maxMs: 10_000 }

/** The server of a kind. */
export const kindServer: GenServer<object, State, KindTerms, unknown> = {
  kind: 'entity_kind',
  init: (terms, context) => {
    context.trapExit(true)
    const { entities } = terms
    const server = durableServer(terms.table)
    const running: RunningKind = {
      ref: context.self as Ref,
      table: terms.table,
      notesKeys: terms.common.keys,
      blocked: new Map<string, KeelsonError>(),
      get live() {
        return state.live.size
      },
      processesOf: (shard) =>
        [...state.live.values()].flatMap((child) => (child.shard === shard ? child.process : [])),
      wake: (id) => start(state, server, id, context as unknown as AnyContext),
      block: (id, reason) => block(state, id, reason),
      unblock: (id) => unblock(state, id),
      forget: (shard) => forget(state, shard),
    }
    const state: State = {
      entities,
      terms,
      live: new Map(),
      failures: new Map(),
      untried: new Set(),
      blocked: running.blocked as Map<string, KeelsonError>,
      left: entities.runs(terms.kind, running),
    }
    // Nothing runs in a process that is killed, not even `terminate`.
    context.system.monitor(context.self, state.left)
    return state
  },
  accepts: { calls: {}, casts: {}, infos: {} },
  exit: (state, { from, reason }) => {
    const child = from && state.live.get(from)
    if (child) ended(state, child, reason)
    return noReply(state)
  },
  terminate: async (state, _reason, context) => {
    state.left()
    const by = processOf(context)
    const { work } = state.entities
    const late = new Set(work.late.map(({ actor }) => actor))
    const ends = [...state.live.values()].map(({ process, identity }) =>
      shutDown(by, process, late.has(identity.entity) ? 'brutal_kill' : 'infinity'),
    )
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
  const child = new Child(state, id)
  const { entity } = child.identity
  const processName = name<Messages>(entities.nameOf(entity))
  const starting = context.startLinkResult(server, child, {
    name: processName,
    label: entity,
    ...(terms.mailboxMax === undefined ? {} : { mailboxMax: terms.mailboxMax }),
  })
  // Of one that a signal ends while it wakes no exit message comes (OTP).
  void starting.then((result) => {
    if (!result.ok) ended(state, child, result.reason)
  })
  child.process = processOf({ self: context.system.whereis(processName) as Ref })
  state.live.set(child.process.address as Ref, child)
  return child.process
}

/** An entity's process has ended. Its exit and the result of its start may both say so. */
const ended = (state: State, child: Child, reason: ExitReason): void => {
  const { entities, terms, live, failures } = state
  const { system } = entities
  const { id, entity } = child.identity
  if (!live.delete(child.process.address as Ref)) return
  emit(system, child.shard, 'entity.ended', { entity, reason })
  // A kill from outside says nothing about its state.
  if (child.hasWoken || isOrderly(reason) || reason === 'killed') return
  // A shard that does not answer now says nothing about it either, and does not last.
  const isOwn = !isKeelsonError(reason, 'SHARD_DOWN') && !isKeelsonError(reason, 'ELSEWHERE')
  const tries = (failures.get(id)?.tries ?? 0) + Number(isOwn)
  failures.delete(id)
  if (tries === triesMax) {
    state.untried.add(id)
    block(state, id, blocked(entity, shownCause(terms.table, undefined, reason)))
    return
  }
  failures.set(id, {
    tries,
    notBefore: system.clock.monotonic() + backoffMs(pauses, Math.max(1, tries)),
  })
  for (const oldest of failures.keys()) {
    if (failures.size <= failuresMax) break
    failures.delete(oldest)
  }
}

/** Logged once, however often its process begins until it is unblocked. */
const block = ({ entities, terms, blocked }: State, id: string, reason: KeelsonError): void => {
  const before = blocked.get(id)
  if (!before) entities.emitBlocked(entities.identity(terms.kind, id).entity, reason)
  entities.trouble.blocks(reason, before, entities.system.clock.now())
  blocked.set(id, reason)
}

const unblock = (state: State, id: string): boolean => {
  const wasBlocked = state.blocked.delete(id)
  state.failures.delete(id)
  state.untried.delete(id)
  const { entity } = state.entities.identity(state.terms.kind, id)
  if (!wasBlocked) return false
  state.entities.holder(entity)?.end('shutdown')
  // Wake-ups that were held back are due now.
  state.entities.woke()
  return true
}

const forget = (state: State, shard: ActorShard): void => {
  const { entities, terms, failures, blocked, untried } = state
  for (const ids of [failures, blocked, untried])
    for (const id of ids.keys())
      if (entities.shardOf(`${terms.kind}/${id}`) === shard) ids.delete(id)
}
