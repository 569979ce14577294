/**
 * Durable actors of shards that other members have: their refs here lead there, and what other
 * members mean by the name of one leads to the actor here. It is apart from `entities.ts`, because
 * an instance without members has none.
 */
import { KeelsonError } from '../../errors.ts'
import {
  addressOf,
  type Directory,
  kernelOf,
  NameWaits,
  type Process,
  type Ref,
  refOfName,
} from '../../runtime/index.ts'
import { workerKind } from '../../storage/index.ts'
import { movedReason, type ShardOwners } from '../links/shard-owners.ts'
import type { ActorShard } from '../turns/actor-shard.ts'
import type { Elsewhere, Entities } from './entities.ts'

type Names = Directory<Process>

/** The name of a durable actor between members: `kind/id`. */
const actorName = /^(\$?[a-z][\w-]*)\/(.+)$/s

/** Whether another member may have the shard: it has not been opened here. */
export const isElsewhere = ({ phase, opened }: ActorShard): boolean =>
  phase.kind === 'elsewhere' || (phase.kind === 'recovering' && opened === 0)

/** The durable actors of an instance whose shards members have between them. */
export class ElsewhereActors implements Elsewhere {
  readonly #entities: Entities
  readonly #owners: ShardOwners
  readonly #kindWaits: NameWaits

  constructor(entities: Entities, owners: ShardOwners) {
    this.#entities = entities
    this.#owners = owners
    this.#kindWaits = new NameWaits(kernelOf(entities.system))
    entities.onRuns(() => {
      for (const kind of entities.kinds) this.#kindWaits.registered(kind)
    })
  }

  directory(entity: string, here: Names): Names {
    const shard = this.#entities.shardOf(entity)
    const there = addressOf<Process>(this.#owners.refOf(shard.index, entity)).directory
    const at = (): Names => (isElsewhere(shard) ? there : here)
    return {
      holderOf: (name) => at().holderOf(name),
      wake: (name) => at().wake?.(name),
      fault: () => at().fault?.(),
      awaits: () => at().awaits?.() === true,
      get absence() {
        return at().absence ?? 'noproc'
      },
      awaitHolder: (...wait) => at().awaitHolder(...wait),
    }
  }

  meant<M>(target: string, hereOf: (names: Names, kind: string, id: string) => Names) {
    const [, kind = '', id = ''] = actorName.exec(target) ?? []
    if (kind === workerKind) return this.#ref<M>(target, id, (names) => names)
    const { known } = this.#entities
    if (!known.has(kind) && !this.#entities.mayRun(kind)) return undefined
    return this.#ref<M>(target, this.#entities.nameOf(target), (names) =>
      this.#onceItRuns(kind, hereOf(names, kind, id)),
    )
  }

  /** A ref for another member: it leads to no third one. */
  #ref<M>(entity: string, called: string, look: (names: Names) => Names): Ref<M> {
    const { system } = this.#entities
    const shard = this.#entities.shardOf(entity)
    if (!isElsewhere(shard))
      return refOfName<M>(system, called, (names) => leaving(shard, look(names)))
    return refOfName<M>(system, called, ({ awaitHolder }) => ({
      ...{ holderOf: () => undefined, fault: () => moved(shard), awaitHolder },
    }))
  }

  /** While the tree starts, a call waits for the kind of its entity. */
  #onceItRuns(kind: string, here: Names): Names {
    const entities = this.#entities
    return {
      ...here,
      awaits: () => entities.mayRun(kind),
      awaitHolder: (_, ms, signal) =>
        this.#kindWaits.add(kind, () => entities.kind(kind) !== undefined, ms, signal),
    }
  }
}

/** What a member that closes does not take any more is for the next owner. */
const leaving = (shard: ActorShard, here: Names): Names => ({
  holderOf: (name) => here.holderOf(name),
  wake: (name) => here.wake?.(name),
  awaits: () => here.awaits?.() === true,
  awaitHolder: (...wait) => here.awaitHolder(...wait),
  fault: () => {
    const fault = here.fault?.()
    return fault?.code === 'CLOSED' ? moved(shard) : fault
  },
})

/** The refusal of a message that came to a member that has the shard no longer. */
const moved = ({ index }: ActorShard): KeelsonError =>
  new KeelsonError('SHARD_DOWN', `shard ${index} is at another member`, {
    details: { shard: index, state: 'elsewhere', reason: movedReason },
  })
