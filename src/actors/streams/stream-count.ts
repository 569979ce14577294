/**
 * Counts the streams of a shard for its metrics. A scrape looks at a thousand of them, so that many
 * streams hold up nothing; with more than that the count is as late as the scrapes that it took. It is
 * apart from the streams of an instance, which a process has only if it uses one.
 */
import { allStreamHeads, isExpired, isHeadAlone } from '../../storage/index.ts'
import type { ReadView } from '../core/read-view.ts'

/** How many streams there are: by themselves, and of actors. */
export type StreamTotals = { readonly alone: number; readonly actors: number }

/** The most streams that one step looks at. */
const stepMax = 1_000

/** The count of a shard. */
export class StreamCount {
  #behind: string | undefined
  #walked = { alone: 0, actors: 0 }
  #totals: StreamTotals | undefined

  /** Goes on, and gives the last whole count; until there is one, what was counted so far. */
  next(view: ReadView, now: number): StreamTotals {
    const { gt, lt } = allStreamHeads
    let left = stepMax
    for (const [key, row] of view.rows({ gt: this.#behind ?? gt, lt })) {
      if (left-- === 0) return this.#totals ?? { ...this.#walked }
      this.#behind = key
      if (!isExpired(row, now)) this.#walked[isHeadAlone(key) ? 'alone' : 'actors']++
    }
    this.#totals = this.#walked
    this.#walked = { alone: 0, actors: 0 }
    this.#behind = undefined
    return this.#totals
  }
}
