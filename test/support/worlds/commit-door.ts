/** A door before a projection's commits: a test holds one up, before it is made or before it is answered, or lets its answer be lost. */
import { KeelsonError } from '../../../src/errors.ts'
import type {
  ProjectedPosition,
  ProjectionStore,
  Projections,
  RowChange,
} from '../../../src/storage/index.ts'

/** Which side of a commit its door is on. */
export type Moment = 'before' | 'after'

/** One door for all stores of some projections. */
export class CommitDoor {
  /** The LSNs of the commits that were made, in their order. */
  readonly made: number[] = []
  /** How many stores are open. */
  open = 0
  /** How many commits are held up. */
  waiting = 0
  #moment: Moment | undefined
  #let: (() => void)[] = []
  #lose: (() => void)[] = []

  /** Projections whose commits go through this door. */
  around(projections: Projections): Projections {
    return { ...projections, open: (dir) => heldStore(projections.open(dir), this) }
  }

  /** From now on commits are held up, each at this moment. */
  hold(moment: Moment): void {
    this.#moment = moment
  }

  /** From now on, and those held up too, commits pass. */
  release(): void {
    this.#moment = undefined
    for (const pass of this.#let.splice(0)) pass()
    this.#lose = []
  }

  /**
   * The writing thread dies: held commits fail with `SHARD_DOWN` and change nothing. Later commits
   * pass.
   */
  lose(): void {
    this.#moment = undefined
    for (const fail of this.#lose.splice(0)) fail()
    this.#let = []
  }

  /** A commit of `position`, made by `make`. */
  async pass({ lsn }: ProjectedPosition, make: () => Promise<void>): Promise<void> {
    const moment = this.#moment
    if (moment === 'before') await this.#held()
    await make()
    this.made.push(lsn)
    if (moment === 'after') await this.#held()
  }

  async #held(): Promise<void> {
    this.waiting++
    try {
      await new Promise<void>((resolve, reject) => {
        this.#let.push(resolve)
        this.#lose.push(() =>
          reject(new KeelsonError('SHARD_DOWN', 'died', { details: { reason: 'thread' } })),
        )
      })
    } finally {
      this.waiting--
    }
  }
}

const heldStore = (store: ProjectionStore, door: CommitDoor): ProjectionStore => {
  let pending: Promise<void> = Promise.resolve()
  door.open++
  return storeWith(store, {
    async commit(changes: Iterable<RowChange>, position) {
      const list = [...changes]
      const passing = door.pass(position, () => store.commit(list, position))
      pending = passing.catch(() => undefined)
      await passing
    },
    settled: () => pending,
    async close() {
      await pending
      await store.close()
      door.open--
    },
  })
}

/** The store with these methods in the place of its own. */
export const storeWith = (
  store: ProjectionStore,
  others: Partial<ProjectionStore>,
): ProjectionStore => ({
  position: () => store.position(),
  get: (key) => store.get(key),
  peek: (key) => store.peek(key),
  range: (range) => store.range(range),
  commit: (changes, position) => store.commit(changes, position),
  describe: () => store.describe(),
  pin: () => store.pin(),
  settled: () => store.settled(),
  close: () => store.close(),
  ...others,
})

/** Projections whose stores commit so. */
export const committing = (
  projections: Projections,
  commitOf: (store: ProjectionStore) => ProjectionStore['commit'],
): Projections => ({
  ...projections,
  open: (dir, mapBytesMax) => {
    const store = projections.open(dir, mapBytesMax)
    return storeWith(store, { commit: commitOf(store) })
  },
})
