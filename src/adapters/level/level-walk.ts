/**
 * A walk over a Level database: its entries in order, read from the store page by page. Each page
 * shows the store at the moment of its reading. Every kind of iterator of Level is one walk.
 */
import type { RangeOptions, Store } from '../../actors/index.ts'
import type { LevelFormat, LevelPlace } from './level-place.ts'

/** The bounds and the direction of a walk, in Level's keys. */
export type LevelRange = {
  readonly gt?: LevelFormat
  readonly gte?: LevelFormat
  readonly lt?: LevelFormat
  readonly lte?: LevelFormat
  readonly reverse?: boolean
}

/** An entry of the store: its whole key, and its value; without one if the walk needs none. */
export type WalkedEntry = readonly [key: string, value: unknown]

type Bounds = Pick<RangeOptions, 'gt' | 'gte' | 'lt' | 'lte'>

/** The most entries of a page. */
const pageMax = 1000

/** The rest of a range of one Level database. */
export class LevelWalk {
  readonly #store: Store
  readonly #place: LevelPlace
  readonly #values: boolean
  readonly #reverse: boolean
  readonly #range: Bounds
  /** The bounds of what is left; `undefined` at the end. */
  #rest: Bounds | undefined

  constructor(store: Store, place: LevelPlace, range: LevelRange, values: boolean) {
    this.#store = store
    this.#place = place
    this.#values = values
    this.#reverse = range.reverse === true
    this.#range = boundsOf(place, range)
    this.#rest = this.#range
  }

  /** The next entries, at most `size`; none at the end. @throws as the reads of the store */
  async next(size: number): Promise<readonly WalkedEntry[]> {
    if (!this.#rest) return []
    const entries = await this.#page(this.#rest, Math.min(size, pageMax))
    const last = entries.at(-1)?.[0]
    this.#rest = last === undefined ? undefined : this.#from({ gt: last }, { lt: last })
    return entries
  }

  /**
   * Continues at `target`, or at the first key after it. Nothing is left if `target` is outside the
   * range of the walk.
   */
  seek(target: LevelFormat): void {
    const key = this.#place.keyOf(target)
    this.#rest = isWithin(key, this.#range) ? this.#from({ gte: key }, { lte: key }) : undefined
  }

  /** The range from a new beginning to its end: a lower bound, or an upper one in reverse. */
  #from(lower: Bounds, upper: Bounds): Bounds {
    const { gt, gte, lt, lte } = this.#range
    return this.#reverse
      ? { ...upper, ...given('gt', gt), ...given('gte', gte) }
      : { ...lower, ...given('lt', lt), ...given('lte', lte) }
  }

  async #page(bounds: Bounds, limit: number): Promise<readonly WalkedEntry[]> {
    const { prefix } = this.#place
    const page = { ...bounds, prefix, reverse: this.#reverse }
    const values = this.#values
    const found: WalkedEntry[] = []
    for await (const entry of this.#store.entries({ ...page, limit, values, load: values })) {
      found.push(entry)
      if (found.length === limit) break
    }
    return found
  }
}

const given = <K extends string>(
  name: K,
  bound: string | undefined,
): { readonly [name in K]?: string } =>
  (bound === undefined ? {} : { [name]: bound }) as { [name in K]?: string }

/** At most one bound on each side: as in Level, `gte` and `lte` win. */
const boundsOf = (place: LevelPlace, { gt, gte, lt, lte }: LevelRange): Bounds => ({
  ...(gte !== undefined
    ? { gte: place.keyOf(gte) }
    : given('gt', gt === undefined ? undefined : place.keyOf(gt))),
  ...(lte !== undefined
    ? { lte: place.keyOf(lte) }
    : given('lt', lt === undefined ? undefined : place.keyOf(lt))),
})

/** Stored keys of one place compare as texts do: none has a character above U+00FF. */
const isWithin = (key: string, { gt, gte, lt, lte }: Bounds): boolean =>
  !(
    (gt !== undefined && key <= gt) ||
    (gte !== undefined && key < gte) ||
    (lt !== undefined && key >= lt) ||
    (lte !== undefined && key > lte)
  )
