/** The user's handle of a kind of entities: their refs, and looks at them without waking them. */
import type { KeelsonError } from '../../errors.ts'
import type { Ref } from '../../runtime/index.ts'
import { checkEntityId, entityRowKey, readEntityRow } from '../../storage/index.ts'
import { type Entities, expectKind } from './entities.ts'
import { type Fields, readBody } from './memory.ts'

declare const fields: unique symbol

/** One kind of entities. */
export class EntityHandle<M = unknown, S = unknown, F = Fields> {
  declare readonly [fields]?: F
  readonly kind: string
  readonly #entities: Entities

  constructor(entities: Entities, kind: string) {
    expectKind(entities, kind)
    this.kind = kind
    this.#entities = entities
  }

  /**
   * The ref of an entity. A message to one at rest wakes it.
   * @throws KeelsonError `INVALID_ARGUMENT` for an id that is not 1 to 256 bytes of well-formed
   * text without `{`, `}` and NUL
   */
  ref(id: string): Ref<M> {
    return this.#entities.ref<M>(this.kind, id)
  }

  /**
   * The durable state of an entity, read from its row without waking it; `undefined` if it is
   * unborn. @throws KeelsonError `SHARD_DOWN`, `CLOSED`, `CORRUPT`
   */
  state(id: string): S | undefined {
    checkEntityId(id)
    const entity = `${this.kind}/${id}`
    const row = this.#entities.shardOf(entity).view().row(entityRowKey(entity))
    return row && (readBody(readEntityRow(row).body).state as S)
  }

  /** The entities that could not use their rows, as far as they were tried, with the errors. */
  blocked(): ReadonlyMap<string, KeelsonError> {
    return new Map(expectKind(this.#entities, this.kind).blocked)
  }

  /** Lets a blocked entity try to wake again. False: it is not blocked. */
  unblock(id: string): boolean {
    return expectKind(this.#entities, this.kind).unblock(id)
  }
}
