/**
 * One random life of entities that end, are deleted, begin again and are migrated, from one seed,
 * with crashes at any call to the disk. A life throws when anything is seen that an end denies.
 */
import { Applier, WalWriter } from '../../src/actors/index.ts'
import { seededRandom } from '../../src/clock.ts'
import {
  type App,
  call,
  type DurableServer,
  type EntityHandle,
  entity,
  type KeelsonError,
  name,
  ok,
  reply,
  supervisor,
} from '../../src/index.ts'
import { createSystem } from '../../src/runtime/index.ts'
import { silentLogger } from '../../src/testing/index.ts'
import type { Tally } from './seed-lives.ts'
import { machine } from './simulated-instance.ts'

type State = { readonly deeds: readonly number[]; readonly version: number }
type Deed = { readonly number: number; readonly what: 'note' | 'write' | 'end' | 'look' }
type Messages = { calls: { do: (deed: Deed & { readonly keepMs: number }) => State } }
type Ended = {
  readonly id: string
  readonly deeds: readonly number[]
  endsAt: number | undefined
}

const ids = ['a', 'b']

/** The key that a deed writes. */
const keyOf = (id: string, number: number): string => `{thing/${id}}:${number}`

const serverOf = (version: number): DurableServer<Messages, State, { count: number }> => ({
  version,
  migrate: (state) => ({ ...(state as State), version }),
  init: () => ok({ deeds: [], version }),
  calls: {
    do: (state, { number, what, keepMs }, context) => {
      if (what === 'look') return reply(state, state)
      if (what === 'write') context.writes.put(keyOf(context.id, number), number)
      if (what === 'end') context.end({ keepMs, keys: number % 2 === 0 })
      const next = { ...state, deeds: [...state.deeds, number] }
      return reply(next, next)
    },
  },
  index: ({ deeds }) => ({ count: deeds.length }),
})

/** Lives a life. Rejects with what was promised and did not hold. */
export const liveEnds = async (seed: number): Promise<Tally> => {
  const life = new EndLife(seed)
  await life.begin()
  await life.live()
  await life.end()
  return life.tally
}

class EndLife {
  readonly tally: Record<string, number> = { lives: 1 }
  readonly #random: () => number
  readonly #machine: ReturnType<typeof machine>
  readonly #pending = new Set<Promise<void>>()
  /** By the first deed of a life of an entity: what it had when its end was seen. */
  readonly #ended = new Map<number, Ended>()
  /** Entities that were deleted while they had ended may be gone at once. */
  readonly #deleted = new Set<string>()
  /** The deeds that were refused. */
  readonly #refused = new Set<number>()
  #version = 1
  #numbers = 0
  #app: App | undefined
  #kind = this.#kindOf()

  constructor(seed: number) {
    this.#random = seededRandom(seed)
    this.#machine = machine({ seed, syncMs: this.pick([0, 1, 7]) })
  }

  #kindOf() {
    return entity('thing', serverOf(this.#version), { idleMs: 50, keys: true })
  }

  pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.#random() * from.length)] as T
  }

  #count(what: string): void {
    this.tally[what] = (this.tally[what] ?? 0) + 1
  }

  get #running(): App {
    if (!this.#app) throw new Error('the instance runs')
    return this.#app
  }

  get #things(): EntityHandle<Messages, State, { count: number }> {
    return this.#running.entity(this.#kind)
  }

  async begin(): Promise<void> {
    const { clock, start } = this.#machine
    this.#app = await start({
      system: createSystem({ clock, logger: silentLogger }),
      app: supervisor('app', {}, [this.#kind]),
      lmdb: { intervalMs: 5, quietMs: 2, maxLagMs: 20 },
      wal: { maxFileSize: 128 * 1024 },
    })
  }

  #track(work: Promise<void>): void {
    const done = work.finally(() => this.#pending.delete(done))
    done.catch(() => undefined)
    this.#pending.add(done)
  }

  #do(): void {
    const id = this.pick(ids)
    const what = this.pick(['note', 'note', 'write', 'write', 'end', 'look'] as const)
    const deed = { number: ++this.#numbers, what, keepMs: this.pick([0, 20, 500, 20_000]) }
    const options = { timeoutMs: this.pick([5, 5_000]) }
    const asked = call(this.#things.ref(id), 'do', deed, options)
    this.#track(
      asked.then(
        (state) => this.#answered(id, deed, state),
        (error: KeelsonError) => {
          this.#count(`failed.${error.code}`)
          if (error.code === 'CONFLICT') this.#refused.add(deed.number)
        },
      ),
    )
  }

  #answered(id: string, { what, number }: Deed, state: State): void {
    this.#count(what)
    this.#sees(id, state)
    if (what !== 'end') return
    const [first = 0] = state.deeds
    this.#ended.set(first, { id, deeds: state.deeds, endsAt: undefined })
    this.#claim(state.deeds.at(-1) === number, `${id} ended by ${number}, and says ${state.deeds}`)
  }

  /** A state is seen: one that has ended is as it was then. */
  #sees(id: string, { deeds }: State): void {
    const ended = this.#ended.get(deeds[0] ?? 0)
    if (ended)
      this.#claim(`${ended.deeds}` === `${deeds}`, `${id} ended at ${ended.deeds}: ${deeds}`)
    this.#claim(new Set(deeds).size === deeds.length, `${id} did a deed twice: ${deeds}`)
    this.#claim(
      !deeds.some((deed) => this.#refused.has(deed)),
      `${id} did a refused deed: ${deeds}`,
    )
  }

  /** What has ended stays until its time, unless it was deleted. */
  #check(): void {
    const { shards, store } = this.#running
    const [shard] = shards
    if (shard?.phase.kind !== 'open') return
    for (const id of ids) {
      const state = this.#things.state(id)
      const endsAt = this.#things.endsAt(id)
      if (state === undefined || state.deeds.length === 0) continue
      this.#sees(id, state)
      const [first = 0] = state.deeds
      if (endsAt !== undefined) {
        const known = this.#ended.get(first) ?? { id, deeds: state.deeds, endsAt }
        this.#claim((known.endsAt ?? endsAt) === endsAt, `${id} ends at another time`)
        known.endsAt = endsAt
        this.#ended.set(first, known)
      } else this.#claim(!this.#ended.has(first), `${id} forgot its end`)
    }
    for (const [first, { id, deeds, endsAt }] of this.#ended) {
      if (endsAt === undefined || endsAt <= shard.now()) continue
      const isThere = this.#things.state(id)?.deeds[0] === first
      this.#claim(isThere || this.#deleted.has(id), `${deeds} went before its time`)
      this.#count('kept')
    }
    this.#claim(store.get('outside') === 1 || this.#numbers === 0, 'a foreign key went')
  }

  #claim(holds: boolean, what: string): void {
    if (!holds) throw new Error(what)
  }

  #delete(): void {
    const id = this.pick(ids)
    this.#deleted.add(id)
    const options = { keys: this.pick([true, false]), timeoutMs: 5_000 }
    const work = this.#things.delete(id, options).then(
      () => this.#count('deleted'),
      (error: KeelsonError) => this.#count(`delete.${error.code}`),
    )
    this.#track(work)
  }

  #migrate(): void {
    const work = this.#things.migrateAll().then(
      ({ migrated, blocked }) => {
        this.#claim(blocked === 0, `${blocked} are blocked`)
        if (migrated > 0) this.#count('migrated')
      },
      (error: KeelsonError) => this.#count(`migrate.${error.code}`),
    )
    this.#track(work)
  }

  async live(): Promise<void> {
    const { clock, disk, during } = this.#machine
    await during(this.#running.store.put('outside', 1))
    const events: (() => unknown)[] = [
      ...Array(16).fill(() => this.#do()),
      ...Array(5).fill(() => clock.advance(this.pick([1, 10, 60, 600]))),
      ...Array(3).fill(() => this.#check()),
      () => this.#delete(),
      () => this.#migrate(),
      () => this.#running.system.kill(name(`thing/${this.pick(ids)}`)),
      () => this.#running.system.kill(this.pick([WalWriter, Applier]).name(0) as never),
      () => disk.inject({ at: 1 + Math.floor(this.#random() * 30), fault: { kind: 'halt' } }),
      () => this.#crash(),
    ]
    for (let step = 0; step < 60; step++) await this.pick(events)()
  }

  /** The power goes. The next program may have a newer version. */
  async #crash(): Promise<void> {
    const { disk, during, projections } = this.#machine
    this.#count('crashes')
    disk.halt()
    await during(this.#running.close({ deadlineMs: 0 })).catch(() => undefined)
    await during(Promise.all(this.#pending), 10_000)
    disk.crash()
    disk.clearFaults()
    projections.loseCommits('/data/shard-0/lmdb', this.pick([0, 1, 3]))
    await during(this.#running.system.stop()).catch(() => undefined)
    if (this.pick([true, false])) {
      this.#version++
      this.#kind = this.#kindOf()
    }
    await this.begin()
    this.#check()
  }

  /** Every end comes, and nothing of what has ended is left. */
  async end(): Promise<void> {
    const { clock, during } = this.#machine
    await this.#crash()
    await clock.advance(40_000)
    await during(this.#things.migrateAll())
    this.#check()
    const { store, shards } = this.#running
    for (const id of ids) {
      this.#claim(this.#things.endsAt(id) === undefined, `${id} is not removed`)
      const deeds = this.#things.state(id)?.deeds ?? []
      this.#claim(!this.#ended.has(deeds[0] ?? 0), `${id} is there after its end: ${deeds}`)
    }
    for (const { id, deeds } of this.#ended.values()) {
      const withKeys = (deeds.at(-1) ?? 0) % 2 === 0
      // A deletion may have left the keys.
      if (!withKeys || this.#deleted.has(id)) continue
      this.#count('ended with keys')
      const left = deeds.filter((deed) => store.has(keyOf(id, deed)))
      this.#claim(left.length === 0, `${deeds} left the keys of ${left}`)
    }
    const counts = await during(this.#things.counts('count'))
    const born = ids.filter((id) => this.#things.state(id) !== undefined)
    const indexed = [...counts.values()].reduce((sum, count) => sum + count, 0)
    this.#claim(indexed === born.length, `the index has ${indexed} of ${born}`)
    this.#claim(shards[0]?.phase.kind === 'open', 'the shard is open')
    await during(this.#running.close())
    await during(this.#running.system.stop())
  }
}
