/** The stale reads of a life, and what each must show: a prefix of the writes, which ends at its position (invariant M5). */
import { expect } from 'vitest'
import type { Store } from '../../../src/actors/index.ts'
import { seededRandom } from '../../../src/clock.ts'
import { staleFault } from '../models/stale-history.ts'
import { sumOf, type Tally } from './seed-lives.ts'

/** A write of a number to a key. Each key has one writer, whose numbers grow. */
export type NumberedWrite = {
  readonly key: string
  readonly value: number
  /** Its position, once it is acknowledged. */
  position?: { readonly shard: number; readonly lsn: number }
}

type StaleRead = {
  readonly key: string
  readonly from: string
  outcome: string
  value?: number | undefined
  lsn?: number
}

/** The stale reads of one life. It draws by itself: a life with them is as it is without them. */
export class StaleReads {
  readonly #random: () => number
  readonly #reads: StaleRead[] = []

  constructor(seed: number) {
    this.#random = seededRandom(seed ^ 0x57a1e)
  }

  /**
   * Reads a key that was written at the member `from`, now and then not before an acknowledged write
   * of it.
   */
  look(from: string, store: Pick<Store, 'loadStale'>, writes: readonly NumberedWrite[]): void {
    const write = writes[Math.floor(this.#random() * writes.length)]
    if (!write || this.#random() < 0.7) return
    const { position } = write
    const options = position && this.#random() < 0.3 ? { atLeast: position } : {}
    const read: StaleRead = { key: write.key, from, outcome: 'pending' }
    this.#reads.push(read)
    store.loadStale<number>(write.key, options).then(
      ({ value, position: { lsn } }) => {
        const least = options.atLeast?.lsn ?? 0
        Object.assign(read, { value, lsn, outcome: lsn < least ? 'too early' : 'shown' })
      },
      (error) => {
        read.outcome = error.code ?? error
      },
    )
  }

  /** Reads of members that have `ended` may have no answer. `where` names the life. */
  hold(writes: readonly NumberedWrite[], ended: ReadonlySet<string>, where: string): void {
    for (const { key, from, value, lsn = 0, outcome } of this.#reads) {
      if (outcome === 'pending' && ended.has(from)) continue
      const at = `${where}, ${key} at ${lsn}`
      expect(['shown', 'SHARD_DOWN', 'TIMEOUT', 'CLOSED', 'UNKNOWN_OUTCOME'], at).toContain(outcome)
      if (outcome !== 'shown') continue
      const own = writes.filter((write) => write.key === key)
      const placed = own.map((write) => ({ value: write.value, lsn: write.position?.lsn }))
      expect(staleFault(placed, { value, lsn }), at).toBeUndefined()
      const before = own.filter(({ position }) => position && position.lsn <= lsn)
      const last = Math.max(-1, ...before.map((write) => write.value))
      expect(value ?? -1, at).toBeGreaterThanOrEqual(last)
    }
  }

  tally(): Tally {
    return sumOf(this.#reads.map(({ outcome }): Tally => ({ [`stale.${outcome}`]: 1 })))
  }
}
