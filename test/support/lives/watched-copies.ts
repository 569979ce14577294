/**
 * Copies of some keys in a life of members, each made as the docs describe: begin a watch, read the range, then take the changes.
 * When its watch or its member ends, a copy goes on where it was, or is made anew. At the end each equals the store.
 */
import { expect } from 'vitest'
import { type Clock, passed, seededRandom } from '../../../src/clock.ts'
import { isKeelsonError } from '../../../src/errors.ts'
import type { App } from '../../../src/supervisors/index.ts'
import type { Tally } from './seed-lives.ts'

const prefix = 'w/'
const keys = Array.from({ length: 24 }, (_, at) => `${prefix}${at}`)

type Positions = readonly { readonly shard: number; readonly lsn: number }[]

/** What was copied. `next`: the changes from there on are to come; `undefined`: it was not read whole. */
type Copy = { entries: Map<string, unknown>; next: Positions | undefined }

/** The copies of one life, one at each member. They draw by themselves. */
export class WatchedCopies {
  readonly #random: () => number
  readonly #clock: Clock
  readonly #seed: number
  /** The last copy of each member, with the start of the member that keeps it. */
  readonly #of = new Map<string, { copy: Copy; app: App }>()
  /** Copies of members that have ended, which another one may go on with. */
  readonly #left: Copy[] = []
  readonly #tally: Tally = {}
  #written = 0

  constructor(seed: number, clock: Clock) {
    this.#seed = seed
    this.#clock = clock
    this.#random = seededRandom(seed ^ 0xc0b1)
  }

  /** A start of a member copies until its end. */
  begin(member: string, app: App): void {
    const left = this.#left.pop()
    const copy = (this.#random() < 0.5 ? left : undefined) ?? {
      entries: new Map(),
      next: undefined,
    }
    const own = { copy, app }
    this.#of.set(member, own)
    void this.#keep(own)
    void app.closed.then(() => this.ended(member, app))
  }

  /** A start of a member has ended. */
  ended(member: string, app: App): void {
    const own = this.#of.get(member)
    if (own?.app !== app) return
    this.#of.delete(member)
    // What its loop may still take is not part of what another one goes on with.
    this.#left.push({ entries: new Map(own.copy.entries), next: own.copy.next })
  }

  /** Some keys are written, or removed. */
  write({ store }: App): void {
    const number = () => ++this.#written
    const one = () => keys[Math.floor(this.#random() * keys.length)] as string
    const roll = this.#random()
    const work: Promise<unknown> =
      roll < 0.5
        ? store.put(one(), number())
        : roll < 0.8
          ? store.delete(one())
          : store.putMany([one(), one(), one()].map((key) => [key, number()] as const))
    work.catch((error) => {
      if (!isKeelsonError(error)) throw error
    })
  }

  /** Each member that runs has the keys that the store has. */
  async hold(reader: App, during: <T>(work: Promise<T>) => Promise<T>): Promise<void> {
    const expected = await during(pageOf(reader))
    for (const [member, { copy }] of this.#of) {
      const what = `seed ${this.#seed}: the copy of ${member} is whole`
      expect(copy.next, what).toBeDefined()
      expect(Object.fromEntries(copy.entries), `${what}, and right`).toEqual(
        Object.fromEntries(expected),
      )
      this.#count('copies.right')
    }
  }

  tally(): Tally {
    return { ...this.#tally, 'copies.written': this.#written }
  }

  async #keep(own: { copy: Copy; app: App }): Promise<void> {
    for (;;) {
      try {
        await this.#follow(own)
      } catch (error) {
        if (!isKeelsonError(error)) throw error
        this.#count(`copies.${error.code}`)
        if (error.code === 'CLOSED') return
        const isAnew = error.code === 'BAD_CURSOR' || this.#random() < 0.5
        if (isAnew) own.copy.next = undefined
        await passed(this.#clock, 20 + 200 * this.#random())
      }
    }
  }

  /** Takes changes until the watch ends, which it does with an error. */
  async #follow({ copy, app }: { copy: Copy; app: App }): Promise<void> {
    const { next: from } = copy
    const watch = app.store.watch({ prefix, ...(from && { from }) })
    const ready = await watch.ready
    if (from === undefined) {
      this.#count('copies.begun')
      copy.entries = new Map(await pageOf(app))
      copy.next = ready
    } else this.#count('copies.resumed')
    for await (const change of watch) {
      if (change.kind === 'put') copy.entries.set(change.key, change.value)
      else if (change.kind === 'delete') copy.entries.delete(change.key)
      else copy.entries.clear()
      copy.next = change.next
      this.#count('copies.changes')
    }
  }

  #count(what: string): void {
    this.#tally[what] = (this.#tally[what] ?? 0) + 1
  }
}

/** All keys, page by page. */
const pageOf = async ({ store }: App): Promise<[string, unknown][]> => {
  const found: [string, unknown][] = []
  let cursor: string | undefined
  do {
    const page = await store.page({ prefix, limit: 10, ...(cursor !== undefined && { cursor }) })
    found.push(...page.entries.map(([key, value]): [string, unknown] => [key, value]))
    cursor = page.cursor
  } while (cursor !== undefined)
  return found
}
