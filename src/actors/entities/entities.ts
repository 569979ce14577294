/**
 * The durable actors of one instance, across the incarnations of their processes: the kinds that run, and
 * the logs of turns that are not drained. The instance makes one value before its tree.
 */
import { invalidArgument, KeelsonError, reasonText } from '../../errors.ts'
import {
  type CallOptions,
  type ChildContext,
  type ChildSpec,
  type Directory,
  name,
  type Process,
  processOf,
  type Ref,
  refOfName,
  type StartResult,
  type System,
} from '../../runtime/index.ts'
import {
  checkEntityId,
  checkKind,
  shardOf,
  type TurnScanner,
  workerKind,
} from '../../storage/index.ts'
import { watchesBegun } from '../core/at-owner.ts'
import { instanceName } from '../core/shard-name.ts'
import { emit } from '../core/storage-events.ts'
import type { ActorShard } from '../turns/actor-shard.ts'
import { ActorTrouble } from '../turns/actor-trouble.ts'
import { ActorWork, type WorkLedger } from '../turns/actor-work.ts'
import type { DurableTable } from '../turns/durable-table.ts'
import { FailureLog } from '../turns/failure-log.ts'
import { Judgement } from '../turns/judgement.ts'
import type { Identity } from '../turns/memory.ts'
import type { TurnDraft } from '../turns/turn-draft.ts'
import type { TurnLog } from '../turns/turn-log.ts'

/** The units of one incarnation that may be undecided. */
type Undecided = Pick<TurnLog<TurnDraft>, 'isEmpty' | 'drained'>

/** A kind of entities while its process lives. */
export interface RunningKind {
  /** Its process. */
  readonly ref: Ref
  readonly table: DurableTable
  /** Whether it notes the keys that its entities write: the option `keys`. */
  readonly notesKeys: boolean
  /** Starts the process of an entity that is at rest. */
  wake(id: string): Process
  /** How many entities have a process. */
  readonly live: number
  /** The processes of entities of a shard. */
  processesOf(shard: ActorShard): readonly Process[]
  /** The ids of blocked entities, with their errors. */
  readonly blocked: ReadonlyMap<string, KeelsonError>
  /** Notes that the row of an entity at rest cannot be used. */
  block(id: string, reason: KeelsonError): void
  /** Lets a blocked entity try to wake again. False: it is not blocked. */
  unblock(id: string): boolean
  /** Forgets which entities of a shard are blocked, or have failed to wake: its next owner tries. */
  forget(shard: ActorShard): void
}

/** The parts of an instance that its durable actors need. */
export type EntityParts = {
  /** From then on nothing at rest wakes. */
  readonly isClosing: () => boolean
  /** The user's tree has not started yet. */
  readonly isStarting: () => boolean
  /** No kind will run, and rows of every kind can be looked at. */
  readonly isStoreAlone: boolean
  readonly scanTurns: TurnScanner
  /** Makes the lookup of actors whose shards other members have. Absent: there are no others. */
  readonly elsewhere?: ((entities: Entities) => Elsewhere) | undefined
  /** Absent: there are no other members. */
  readonly ledger?: WorkLedger | undefined
}

/** The lookup of durable actors whose shards other members have. This is a port: `src/members` has it. */
export interface Elsewhere {
  /** Looks an actor up at the member that has its shard; `here`: where it is looked up at this one. */
  directory(entity: string, here: Directory<Process>): Directory<Process>
  /** As `Entities.meant`. `hereOf`: where an entity is looked up at this member. */
  meant<M>(
    target: string,
    hereOf: (names: Directory<Process>, kind: string, id: string) => Directory<Process>,
  ): Ref<M> | undefined
  /**
   * Leads the name of a durable worker to the member that has its shard, and starts it below its
   * supervisor when the shard comes here. A dynamic supervisor starts none, wherever the shard is: it
   * would not be there at the next owner. `undefined`: the shard is here.
   */
  leads(id: string, context: ChildContext, spec: ChildSpec): StartResult<unknown> | undefined
  /**
   * Ends the actors of a shard that leaves, once they have done what they had begun. Their names lead
   * to the next owner. False: a call has not ended, and the shard has to stay. With `isLast`, in a
   * member that closes, it is cut off instead after `withinMs`.
   */
  leave(shard: ActorShard, withinMs: number, isLast: boolean): Promise<boolean>
  /** The service of other members. */
  childSpec(): ChildSpec
  /** As `Entities.askOwner`. */
  ask(question: OwnersQuestion, options: CallOptions): Promise<unknown>
  /** As `Entities.onArrival`. */
  onArrival(listener: (shard: ActorShard) => void): () => void
}

/** A question about an entity for the member that has its shard: a method of its handle. */
export type OwnersQuestion = {
  readonly kind: string
  readonly id: string
  readonly method: string
  /** The arguments after the id. */
  readonly rest: readonly unknown[]
}

/** Whether another member may have the shard: it has not been opened here. */
export const isElsewhere = ({ isAway, isComing }: ActorShard): boolean => isAway || isComing

/** All durable actors of an instance. */
export class Entities {
  readonly system: System
  readonly instance: string
  readonly shards: readonly ActorShard[]
  /** The servers of the kinds that have run. One that restarts is among them. */
  readonly known = new Map<string, DurableTable>()
  /** The servers of the durable workers that have run, by their names. */
  readonly workers = new Map<string, DurableTable>()
  /** The troubles of the actors. */
  readonly trouble: ActorTrouble
  /** The running work of the actors. */
  readonly work: ActorWork
  /** Parts of the health of the instance that layers above add, by their names. */
  readonly reports = new Map<string, () => unknown>()
  /** Which actors at rest the running program would block. */
  readonly judgement = new Judgement()
  readonly #kinds = new Map<string, RunningKind>()
  /** Of each entity the logs of incarnations that have ended undecided. */
  readonly #logs = new Map<string, Set<Undecided>>()
  readonly #isClosing: () => boolean
  readonly #onRuns = new Set<() => void>()
  readonly #isStoreAlone: boolean
  readonly #elsewhere: Elsewhere | undefined

  /** Searches the log of a shard. */
  readonly scanTurns: EntityParts['scanTurns']

  constructor(
    system: System,
    instance: string,
    shards: readonly ActorShard[],
    { isClosing, isStarting, isStoreAlone, scanTurns, elsewhere, ledger }: EntityParts,
  ) {
    this.system = system
    this.instance = instance
    this.shards = shards
    this.#isClosing = isClosing
    const log = new FailureLog(system)
    this.trouble = new ActorTrouble(log)
    const saying = { clock: system.clock, log }
    this.work = new ActorWork(system.logger, isClosing, isStarting, ledger, saying)
    this.#isStoreAlone = isStoreAlone
    this.scanTurns = scanTurns
    this.#elsewhere = elsewhere?.(this)
  }

  /** The server of an actor, if it has run: each durable worker has its own. */
  tableOf(kind: string, id: string): DurableTable | undefined {
    return kind === workerKind ? this.workers.get(id) : this.known.get(kind)
  }

  /** As `Elsewhere.leave`. */
  async leave(shard: ActorShard, withinMs: number, isLast: boolean): Promise<boolean> {
    if ((await this.#elsewhere?.leave(shard, withinMs, isLast)) === false) return false
    for (const kind of this.#kinds.values()) kind.forget(shard)
    this.trouble.forget((entity) => this.shardOf(entity) === shard)
    this.judgement.forget((entity) => this.shardOf(entity) === shard)
    return true
  }

  /** Whether rows of the kind can be looked at: it runs, has run, or nothing does. */
  knows(kind: string): boolean {
    return this.#isStoreAlone || this.known.has(kind)
  }

  /** The identity of an actor. */
  identity(kind: string, id: string): Identity {
    return { kind, id, entity: `${kind}/${id}` }
  }

  /** The shard of an actor: that of keys with its tag, `{kind/id}`. */
  shardOf(entity: string): ActorShard {
    return this.shards[shardOf(`{${entity}}`, this.shards.length)] as ActorShard
  }

  /** Says in the log and on the bus that an actor is blocked. */
  emitBlocked(entity: string, error: KeelsonError): void {
    this.system.logger.error(reasonText(error), { reason: error })
    emit(this.system, this.shardOf(entity), 'entity.blocked', { entity, error })
  }

  /** The name of the process of an entity. */
  nameOf(entity: string): string {
    return instanceName(entity, this.instance)
  }

  /** A kind that runs; `undefined` while its process does not. */
  kind(kind: string): RunningKind | undefined {
    return this.#kinds.get(kind)
  }

  /** The names of the kinds that run. */
  get kinds(): readonly string[] {
    return [...this.#kinds.keys()]
  }

  /** Durable actors can be asked that could not before. */
  woke(): void {
    for (const listener of this.#onRuns) listener()
  }

  /** The service of other members, as a part of the tree; `undefined`: there are none. */
  childSpec(): ChildSpec | undefined {
    return this.#elsewhere?.childSpec()
  }

  /** The shards that no other member has. */
  get shardsHere(): readonly ActorShard[] {
    return this.#elsewhere ? this.shards.filter((shard) => !isElsewhere(shard)) : this.shards
  }

  /** Whether another member may own the shards by now: the lease of this one is not renewed. */
  get isUnsure(): boolean {
    return this.shards[0]?.unsure !== undefined
  }

  /** Whether another member has the shard of an actor. */
  isElsewhere(entity: string): boolean {
    return this.#elsewhere !== undefined && isElsewhere(this.shardOf(entity))
  }

  /**
   * Asks the member that has the shard of an entity.
   * @throws KeelsonError as a call to an entity, and as the method
   */
  async askOwner(question: OwnersQuestion, options: CallOptions): Promise<unknown> {
    await watchesBegun(this.shardOf(`${question.kind}/${question.id}`))
    return this.#elsewhere?.ask(question, options)
  }

  /** Calls `listener` with each shard that comes here later. Returns a function that ends this. */
  onArrival(listener: (shard: ActorShard) => void): () => void {
    return this.#elsewhere?.onArrival(listener) ?? (() => undefined)
  }

  /** As `Elsewhere.leads`. */
  leads(id: string, context: ChildContext, spec: ChildSpec): StartResult<unknown> | undefined {
    return this.#elsewhere?.leads(id, context, spec)
  }

  /** Whether a kind may come that does not run: the tree starts. */
  mayRun(kind: string): boolean {
    return !this.#kinds.has(kind) && this.work.isStarting
  }

  /** Calls `listener` when a kind or a worker begins to run. Returns a function that ends this. */
  onRuns(listener: () => void): () => void {
    this.#onRuns.add(listener)
    return () => this.#onRuns.delete(listener)
  }

  /** The process of a kind begins. The function that is returned ends that. */
  runs(kind: string, running: RunningKind): () => void {
    if (this.#kinds.has(kind))
      throw new KeelsonError('CONFIG', `the kind ${kind} is in the tree twice`, {
        details: { kind },
      })
    this.#kinds.set(kind, running)
    this.known.set(kind, running.table)
    this.woke()
    return () => {
      if (this.#kinds.get(kind) === running) this.#kinds.delete(kind)
    }
  }

  /** No process drains this log of an entity: the next incarnation waits until it is drained. */
  ended(entity: string, log: Undecided): void {
    if (log.isEmpty) return
    const logs = this.#logs.get(entity) ?? new Set()
    this.#logs.set(entity, logs.add(log))
    void log.drained().then(() => {
      logs.delete(log)
      if (logs.size === 0) this.#logs.delete(entity)
    })
  }

  /** Resolves when every unit of earlier incarnations is decided; `undefined`: there is none. */
  decided(entity: string): Promise<unknown> | undefined {
    const undecided = this.#logs.get(entity)
    return undecided && Promise.all([...undecided].map((log) => log.drained()))
  }

  /** The ref of an entity. @throws KeelsonError `INVALID_ARGUMENT` */
  ref<M>(kind: string, id: string): Ref<M> {
    checkKind(kind)
    checkEntityId(id)
    const called = this.nameOf(`${kind}/${id}`)
    return refOfName<M>(this.system, called, (names) => {
      const here = this.#directory(names, kind, id)
      const found = this.#elsewhere?.directory(`${kind}/${id}`, here) ?? here
      return Object.assign(found, { entity: { instance: this.instance, kind, id } })
    })
  }

  /** The ref that another member means by this name; `undefined` if it is of no durable actor. */
  meant<M>(target: string): Ref<M> | undefined {
    const hereOf = (names: Directory<Process>, kind: string, id: string): Directory<Process> =>
      this.#directory(names, kind, id)
    return this.#elsewhere?.meant(target, hereOf)
  }

  /** The process of an entity, woken if it is at rest; `undefined` if nothing may wake. */
  wake(kind: string, id: string): Process | undefined {
    if (this.#isClosing()) return undefined
    return this.holder(`${kind}/${id}`) ?? this.#kinds.get(kind)?.wake(id)
  }

  /** The process of an entity; `undefined` while it is at rest. */
  holder(entity: string): Process | undefined {
    const ref = this.system.whereis(name(this.nameOf(entity)))
    return ref && processOf({ self: ref as Ref })
  }

  /** The durable worker of this name; `undefined` also if another process has the name. */
  worker<M>(id: string): Ref<M> | undefined {
    const holder = this.system.whereis(name(id))
    if (!holder || !processOf({ self: holder as Ref }).outputs.isDurable) return undefined
    return this.system.to(name<M>(id))
  }

  /** Looks up the name of an entity; a message to one at rest wakes it. */
  #directory(names: Directory<Process>, kind: string, id: string): Directory<Process> {
    return {
      holderOf: (name) => names.holderOf(name),
      awaitHolder: (...wait) => names.awaitHolder(...wait),
      wake: () => this.wake(kind, id),
      fault: () =>
        this.#isClosing()
          ? new KeelsonError('CLOSED', 'the instance is closing')
          : this.#kinds.has(kind)
            ? undefined
            : notRunning(kind),
    }
  }
}

/**
 * A kind that runs.
 * @throws KeelsonError `INVALID_ARGUMENT` for a kind that never ran; `NO_PROCESS` while it restarts
 */
export const expectKind = (entities: Entities, kind: string): RunningKind => {
  expectKnown(entities, kind)
  const found = entities.kind(kind)
  if (found) return found
  throw notRunning(kind)
}

/**
 * Throws `INVALID_ARGUMENT` for a kind that never ran in this instance, and `NO_PROCESS` while its
 * tree starts: the kind may come.
 */
export const expectKnown = (entities: Entities, kind: string): void => {
  if (entities.knows(checkKind(kind))) return
  if (entities.work.isStarting) throw notRunning(kind)
  throw invalidArgument(
    'kind',
    `one of ${[...entities.known.keys()].join(', ') || 'the tree'}`,
    kind,
  )
}

const notRunning = (kind: string): KeelsonError =>
  new KeelsonError('NO_PROCESS', `the kind ${kind} does not run`, {
    details: { kind, reason: 'noproc' },
  })
