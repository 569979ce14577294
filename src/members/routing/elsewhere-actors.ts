/**
 * Durable actors of shards that other members have: their refs here lead there, and what other
 * members mean by the name of one leads to the actor here. It is apart from `entities.ts`, because
 * an instance without members has none.
 */

import {
  Access,
  answerWith,
  differenceOf,
  type Elsewhere,
  type Entities,
  EntityHandle,
  historyOf,
  type Identity,
  instanceName,
  isElsewhere,
  isList,
  isOneOf,
  isRecord,
  isText,
  type JournalShard,
  type OwnersQuestion,
  type PastOptions,
  type RowsOptions,
  rowsHere,
  sentPageOf,
  sentRowOf,
} from '../../actors/index.ts'
import { isGone, KeelsonError, reasonText } from '../../errors.ts'
import { ownOf } from '../../own-names.ts'
import {
  type AnyContext,
  addressOf,
  type CallOptions,
  type ChildContext,
  type ChildSpec,
  call,
  type Directory,
  type GenServer,
  type HolderWait,
  isCall,
  kernelOf,
  type Lead,
  type Name,
  NameWaits,
  noReply,
  type Process,
  processOf,
  type Ref,
  refOfName,
  restartChild,
  type StartResult,
  type System,
  startChild,
  worker,
} from '../../runtime/index.ts'
import { checkEntityId, workerKind } from '../../storage/index.ts'
import { movedError } from '../links/link-refusals.ts'
import type { Members } from '../links/members.ts'
import { LeavingActors, type LeavingWorker } from './leaving-actors.ts'

type Names = Directory<Process>

/** The name of a durable actor between members: `kind/id`. */
const actorName = /^(\$?[a-z][\w-]*)\/(.+)$/s

/** A durable worker that has begun here, or would have: how its supervisor starts it again. */
type Begun = LeavingWorker & { readonly shard: JournalShard }

/** The one place of the waits for parts of the tree. */
const parts = 'parts'

/** So many processes are looked at between a message and the actor for which it is sent. */
const hopsMax = 16

/** The durable actors of an instance whose shards members have between them. */
export class ElsewhereActors implements Elsewhere {
  readonly #entities: Entities
  readonly #owners: Members
  /** The calls of other members that wait until a part of the tree has started. */
  readonly #partWaits: NameWaits
  /** The durable workers of the tree, by their names. */
  readonly #begun = new Map<string, Begun>()

  constructor(entities: Entities, owners: Members) {
    this.#entities = entities
    this.#owners = owners
    this.#partWaits = new NameWaits(kernelOf(entities.system))
    entities.onRuns(() => this.#partWaits.registered(parts))
    owners.onMoved((index) => {
      for (const begun of this.#begun.values())
        if (begun.shard.index === index && begun.place === 'away' && !isElsewhere(begun.shard))
          void startHere(entities.system, begun)
    })
  }

  directory(entity: string, here: Names): Names {
    const shard = this.#entities.shardOf(entity)
    const there = addressOf<Process>(this.#owners.refOf(shard.index, entity)).directory
    const isThere = (): boolean => isElsewhere(shard) || this.#owners.hasWaiting(shard.index)
    const at = (sender?: Process): Names =>
      isThere() && !this.#isOfLeaving(shard, sender) ? there : here
    return {
      holderOf: (name, sender) => at(sender).holderOf(name),
      wake: (name, sender) => at(sender).wake?.(name),
      fault: (name) => at().fault?.(name),
      awaits: (name) => at().awaits?.(name) === true,
      get absence() {
        return at().absence ?? 'noproc'
      },
      awaitHolder: (...wait) => at().awaitHolder(...wait),
    }
  }

  /**
   * Whether a message belongs to work that an actor of this shard has begun: its sender is such an
   * actor, a process that handles a call of such an actor, or a process that one of these has
   * started. The actor may wait for this message, and the shard leaves only after its actors have
   * ended.
   */
  #isOwn(shard: JournalShard, sender: Process | undefined): boolean {
    let process = sender
    for (let hops = 0; process !== undefined && hops < hopsMax; hops++) {
      if (this.#isActorOf(shard, process)) return true
      const { current, parent } = process
      process = current && isCall(current) ? (current.maker as Process | undefined) : parent
    }
    return false
  }

  #isOfLeaving(shard: JournalShard, sender: Process | undefined): boolean {
    return shard.isLeaving && this.#isOwn(shard, sender)
  }

  #isActorOf(shard: JournalShard, { label = '', name = '' }: Process): boolean {
    const [, kind = ''] = actorName.exec(label) ?? []
    if (this.#entities.known.has(kind)) return this.#entities.shardOf(label) === shard
    return this.#begun.get(name)?.shard === shard
  }

  meant<M>(target: string, hereOf: (names: Names, kind: string, id: string) => Names) {
    const [, kind, id = ''] = actorName.exec(target) ?? []
    if (kind === undefined) return undefined
    const entities = this.#entities
    const waits = this.#partWaits
    if (kind === workerKind) {
      const mayCome = (): boolean => entities.work.isStarting
      return this.#ref<M>(target, id, (names) => new OnceItRuns(names, mayCome, waits))
    }
    if (!entities.known.has(kind) && !entities.mayRun(kind)) return undefined
    const mayCome = (): boolean => entities.mayRun(kind)
    return this.#ref<M>(
      target,
      entities.nameOf(target),
      (names) => new OnceItRuns(hereOf(names, kind, id), mayCome, waits),
    )
  }

  leads(id: string, context: ChildContext, spec: ChildSpec): StartResult<unknown> | undefined {
    const shard = this.#entities.shardOf(`${workerKind}/${id}`)
    const { self } = context as AnyContext
    const above = processOf({ self })
    if (above.kind === 'dynamic_supervisor') return { ok: false, reason: noPlace(id) }
    const isAway = isElsewhere(shard)
    const begun: Begun = {
      shard,
      spec,
      above: self as Begun['above'],
      place: isAway ? 'away' : 'here',
    }
    this.#begun.set(id, begun)
    kernelOf(this.#entities.system).names.lead(id, this.#leadOf(begun, id), above)
    return isAway ? { ignore: true } : undefined
  }

  /**
   * Where the name of a durable worker leads. Once its shard has come, a call waits until its supervisor
   * has started it.
   */
  #leadOf(begun: Begun, id: string): Lead<Process> {
    const { shard } = begun
    const { names } = kernelOf(this.#entities.system)
    const entity = `${workerKind}/${id}`
    const there = addressOf<Process>(this.#owners.refOf(shard.index, entity)).directory
    const isThere = (): boolean => isElsewhere(shard)
    return {
      leads: (sender) => isThere() && !this.#isOfLeaving(shard, sender),
      holderOf: (name) => there.holderOf(name),
      fault: () => (isThere() ? there.fault?.() : undefined),
      awaits: () => (isThere() ? there.awaits?.() === true : begun.place !== 'here'),
      awaitHolder: (name, ms, signal) =>
        isThere() ? there.awaitHolder(name, ms, signal) : names.awaitHere(id, ms, signal),
    }
  }

  leave(shard: JournalShard, withinMs: number, isLast: boolean): Promise<boolean> {
    const leaving = new LeavingActors({
      entities: this.#entities,
      owners: this.#owners,
      shard,
      isLast,
      workers: () => new Map([...this.#begun].filter(([, begun]) => begun.shard === shard)),
      isOwn: (sender) => this.#isOwn(shard, sender),
    })
    return leaving.end(withinMs)
  }

  childSpec(): ChildSpec {
    return serviceSpec(this.#entities)
  }

  ask(question: OwnersQuestion, options: CallOptions): Promise<unknown> {
    const { index } = this.#entities.shardOf(`${question.kind}/${question.id}`)
    const service = this.#owners.refOf<Messages>(index, serviceName(this.#entities.instance))
    return call(service, 'ask', question, options)
  }

  onArrival(listener: (shard: JournalShard) => void): () => void {
    return this.#owners.onMoved((index) => {
      const shard = this.#entities.shards[index]
      if (shard && !isElsewhere(shard) && this.#owners.isHere(index)) listener(shard)
    })
  }

  /** A ref for another member: it leads to no third one. */
  #ref<M>(entity: string, called: string, look: (names: Names) => Names): Ref<M> {
    const { system } = this.#entities
    const shard = this.#entities.shardOf(entity)
    if (!isElsewhere(shard))
      return refOfName<M>(system, called, (names) => new Leaving(look(names), shard))
    return refOfName<M>(system, called, ({ awaitHolder }) => ({
      holderOf: () => undefined,
      fault: () => movedError(shard.index),
      awaitHolder,
    }))
  }
}

/**
 * Delegates every lookup to `names`; subclasses override some methods. Each call of another member
 * makes a new `Through`.
 */
class Through implements Names {
  protected readonly names: Names

  constructor(names: Names) {
    this.names = names
  }

  holderOf(name: string): Process | undefined {
    return this.names.holderOf(name)
  }

  wake(name: string | undefined): Process | undefined {
    return this.names.wake?.(name)
  }

  awaits(name?: string): boolean {
    return this.names.awaits?.(name) === true
  }

  awaitHolder(...wait: Parameters<Names['awaitHolder']>): HolderWait {
    return this.names.awaitHolder(...wait)
  }

  fault(name?: string): KeelsonError | undefined {
    return this.names.fault?.(name)
  }
}

/**
 * While the tree starts, a call waits for the part that runs its actor. When the tree has started, a
 * part that has not come is not in it.
 */
class OnceItRuns extends Through {
  readonly #mayCome: () => boolean
  readonly #waits: NameWaits

  constructor(names: Names, mayCome: () => boolean, waits: NameWaits) {
    super(names)
    this.#mayCome = mayCome
    this.#waits = waits
  }

  override awaits(name?: string): boolean {
    return this.#mayCome() || super.awaits(name)
  }

  override awaitHolder(name: string, ms: number, signal: AbortSignal | undefined): HolderWait {
    if (!this.#mayCome()) return super.awaitHolder(name, ms, signal)
    const isThere = (): boolean => !this.#mayCome() || this.holderOf(name) !== undefined
    return this.#waits.add(parts, isThere, ms, signal)
  }
}

/** The messages that a closing member refuses go to the next owner. */
class Leaving extends Through {
  readonly #shard: JournalShard

  constructor(names: Names, shard: JournalShard) {
    super(names)
    this.#shard = shard
  }

  override fault(name?: string): KeelsonError | undefined {
    const fault = super.fault(name)
    return fault?.code === 'CLOSED' ? movedError(this.#shard.index) : fault
  }
}

const noPlace = (id: string): KeelsonError =>
  new KeelsonError(
    'INVALID_ARGUMENT',
    `${id}: with members a durable worker is a part of the tree, which starts it where its shard is; what is started at run time is an entity`,
  )

/** Starts a worker whose shard has come. Never rejects. */
const startHere = async (system: System, begun: Begun): Promise<void> => {
  const { above, spec } = begun
  const failed = (reason: unknown): void =>
    system.logger.error(`${spec.id} does not start where its shard is now: ${reasonText(reason)}`, {
      reason,
    })
  begun.place = 'coming'
  try {
    const restarted = await restartChild(above, spec.id)
    // A temporary child that was not started is forgotten.
    const isForgotten = !restarted.ok && restarted.reason === 'not_found'
    const result = isForgotten ? await startChild(above, spec) : restarted
    if (!result.ok && !result.ignore && !isBegun(result.reason)) failed(result.reason)
  } catch (error) {
    // The supervisor has ended: another one starts all its children.
    if (!isGone(error)) failed(error)
  } finally {
    // It may have left again in that time.
    if (begun.place === 'coming') begun.place = 'here'
  }
}

/** Whether the supervisor has started a child by itself, or will: it restarts it with others. */
const isBegun = (reason: unknown): boolean => reason === 'running' || reason === 'restarting'

// The process that answers other members about the entities whose shards are here, beside their
// messages: looks at durable states, and what operators do by hand.

/** The methods of a handle that other members may ask for. Their first argument is the id. */
const handleMethods = [
  ...(['state', 'stop', 'unblock', 'retryStep', 'fireAlarm', 'cancelAlarm'] as const),
  'endsAt',
] as const

type Look = (entities: Entities, actor: Identity, rest: readonly unknown[]) => unknown

/** The looks of other members at one actor, entity or durable worker. */
const looks: Readonly<Record<string, Look>> = {
  history: (entities, { kind, id }, [options = {}]) =>
    historyOf(entities, kind, id, options as PastOptions),
  diff: (entities, { kind, id }, [lsn, lsn2, options = {}]) =>
    differenceOf(entities, kind, id, [lsn, lsn2] as [number, number], options as PastOptions),
  rowsLoad: (entities, { entity }, [key]) => sentRowOf(rowsHere(entities, entity), key as string),
  rowsPage: (entities, { entity }, [options]) =>
    sentPageOf(rowsHere(entities, entity), options as RowsOptions),
}

/** The messages of the service. */
export type Messages = { calls: { ask: (question: OwnersQuestion) => unknown } }

/** The name of the service, at each member. */
const serviceName = (instance: string): Name<Messages> =>
  instanceName<Messages>('entity_service', instance)

const server: GenServer<Messages, Entities, Entities> = {
  init: (entities) => entities,
  accepts: {
    calls: {
      ask: isRecord({
        kind: isText,
        id: isText,
        rest: isList,
        method: isOneOf(...handleMethods, ...Object.keys(looks)),
      }),
    },
    casts: {},
    infos: {},
  },
  calls: {
    ask: (entities, question, { from }) => {
      // One question does not hold up the next one.
      void answerWith(from, asked(entities, question))
      return noReply(entities)
    },
  },
  casts: {},
  infos: {},
}

const asked = async (
  entities: Entities,
  { kind, id, method, rest }: OwnersQuestion,
): Promise<unknown> => {
  const shard = entities.shardOf(`${kind}/${id}`)
  if (isElsewhere(shard)) throw movedError(shard.index)
  const look = ownOf(looks, method)
  if (look) return look(entities, entities.identity(kind, checkEntityId(id)), rest)
  const handle = new EntityHandle(entities, kind, new Access(), noStream)
  return (
    handle[method as (typeof handleMethods)[number]] as (...given: unknown[]) => unknown
  ).call(handle, id, ...rest)
}

/** Streams are asked for by questions of their own. */
const noStream = (): never => {
  throw new Error('a stream was asked for as an actor')
}

/** The service as a part of the tree. */
const serviceSpec = (entities: Entities): ChildSpec =>
  worker('entity_service', server, entities, {
    mailboxMax: Number.POSITIVE_INFINITY,
    name: serviceName(entities.instance),
  })
