/** `context.rows`: the rows that a durable actor keeps itself, as its turn at hand sees them. */
import type { System } from '../../runtime/index.ts'
import type { ReadView } from '../overlay/read-view.ts'
import { checkedKey, storedValue } from '../shard/argument-check.ts'
import type { Memory } from '../turns/memory.ts'
import { type DurableRows, OwnRowsReader } from '../turns/own-rows.ts'
import type { TurnDraft } from '../turns/turn-draft.ts'
import type { DurableTerms } from './durable-terms.ts'

/** The parts of their actor that these rows use. */
interface Keeper {
  readonly terms: DurableTerms
  readonly memory: Memory
  /** The turn whose handler runs. */
  readonly open: TurnDraft | undefined
  /** The same. @throws KeelsonError `INVALID_ARGUMENT` outside of handlers */
  readonly draft: TurnDraft
  /** The rows that the shard shows. @throws KeelsonError `SHARD_DOWN`, `CLOSED` */
  view(): ReadView
}

/** The own rows of one actor. */
export class ContextRows extends OwnRowsReader implements DurableRows {
  readonly #actor: Keeper

  constructor(actor: Keeper, system: System) {
    const { shard, identity } = actor.terms
    super(system, shard, () => {
      const { open, memory } = actor
      // The birth of rows that are stored: the first turn that keeps one has none to read.
      const { birth } = open?.before.memory ?? memory
      const { own: layer } = open ?? memory
      return { entity: identity.entity, birth, layer, view: () => actor.view() }
    })
    this.#actor = actor
  }

  put(key: string, value: unknown): void {
    this.#actor.draft.setOwn(checkedKey(key), storedValue(value, ['value']))
  }

  delete(key: string): boolean {
    const { draft } = this.#actor
    if (!this.find(checkedKey(key))) return false
    draft.setOwn(key, undefined)
    return true
  }
}
