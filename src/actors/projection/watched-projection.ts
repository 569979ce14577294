/**
 * A projection that reports damage: every read that meets a damaged row does. The reader still gets
 * `CORRUPT`.
 */
import { isKeelsonError } from '../../errors.ts'
import type {
  ProjectedPosition,
  ProjectionPin,
  ProjectionStore,
  Row,
  RowChange,
  RowRange,
} from '../../storage/index.ts'

/** The same store. `damaged` is called before the error of a damaged row is thrown. */
export class WatchedProjection implements ProjectionStore {
  readonly #store: ProjectionStore
  readonly #damaged: (evidence: unknown) => void

  constructor(store: ProjectionStore, damaged: (evidence: unknown) => void) {
    this.#store = store
    this.#damaged = damaged
  }

  position(): ProjectedPosition | undefined {
    try {
      return this.#store.position()
    } catch (error) {
      throw this.#judged(error)
    }
  }

  get(key: string): Row | undefined {
    try {
      return this.#store.get(key)
    } catch (error) {
      throw this.#judged(error)
    }
  }

  peek(key: string): Row | undefined {
    try {
      return this.#store.peek(key)
    } catch (error) {
      throw this.#judged(error)
    }
  }

  range(range: RowRange): IterableIterator<readonly [key: string, row: Row]> {
    try {
      return this.#walk(this.#store.range(range))
    } catch (error) {
      throw this.#judged(error)
    }
  }

  *#walk(
    rows: IterableIterator<readonly [key: string, row: Row]>,
  ): IterableIterator<readonly [key: string, row: Row]> {
    try {
      yield* rows
    } catch (error) {
      throw this.#judged(error)
    }
  }

  commit(changes: Iterable<RowChange>, position: ProjectedPosition): Promise<void> {
    return this.#store.commit(changes, position)
  }

  settled(): Promise<void> {
    return this.#store.settled()
  }

  pin(): ProjectionPin {
    return this.#store.pin()
  }

  describe(): { readonly rows: number; readonly bytes: number } {
    return this.#store.describe()
  }

  close(): Promise<void> {
    return this.#store.close()
  }

  #judged(error: unknown): unknown {
    if (isKeelsonError(error, 'CORRUPT')) this.#damaged(error.details)
    return error
  }
}
