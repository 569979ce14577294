/**
 * A life of members that share the shards of an instance, under calls and casts of entities and writes of keys: what each
 * was told, and what must hold at its end. Who uses it decides what happens to the members.
 */
import { expect } from 'vitest'
import { seededRandom, type VirtualClock } from '../../../src/clock.ts'
import {
  call,
  cast,
  type DurableServer,
  entity,
  noReply,
  reply,
  supervisor,
} from '../../../src/index.ts'
import type { App, StartOptions } from '../../../src/supervisors/index.ts'
import { setClock } from '../worlds/nasty-machine.ts'
import { sumOf, type Tally } from './seed-lives.ts'
import { type NumberedWrite, StaleReads } from './stale-reads.ts'
import { WatchedCopies } from './watched-copies.ts'

type Messages = {
  calls: {
    add: (label: string) => number
    read: () => readonly string[]
    /** Sets the alarm of the account, in place of the one before. */
    wake: () => void
    /** Whether the alarm is still to come. */
    waits: () => boolean
  }
  casts: { note: (label: string) => void }
  alarms: { ring: () => void }
}

type Account = DurableServer<
  Messages,
  { readonly labels: readonly string[]; readonly isSet: boolean }
>

/** It has the labels of the calls and casts that took effect, in their order. */
const account = (slowMs: number): Account => ({
  init: () => ({ labels: [], isSet: false }),
  calls: {
    add: async ({ labels, isSet }, label, { system }) => {
      if (slowMs > 0 && Number(label) % 64 === 0)
        await new Promise<void>((resolve) => void system.clock.after(slowMs, resolve))
      return reply(labels.length + 1, { labels: [...labels, label], isSet })
    },
    read: (state) => reply(state.labels, state),
    wake: ({ labels }, _, context) => {
      context.setAlarm('ring', { inMs: 800 })
      return reply(undefined, { labels, isSet: true })
    },
    waits: (state) => reply(state.isSet, state),
  },
  casts: {
    note: ({ labels, isSet }, label) => noReply({ labels: [...labels, label], isSet }),
  },
  alarms: { ring: ({ labels }) => noReply({ labels, isSet: false }) },
})

type Call = {
  /** The start of a member that made it. */
  readonly app: App
  readonly label: string
  readonly id: string
  readonly from: string
  readonly hasId: boolean
  outcome: unknown
}

type Write = NumberedWrite & {
  readonly app: App
  readonly from: string
  outcome: unknown
  /** It was refused at its deadline. */
  isLate?: boolean
}

/** Until a write is refused, in ms. */
const deadlineMs = 20_000

/** The members. */
export type SharingWorld = {
  readonly clock: VirtualClock
  start(
    names: readonly string[],
    given: (member: string) => Partial<StartOptions>,
  ): Promise<readonly App[]>
  during<T>(work: Promise<T>): Promise<T>
}

/** What a call may end with that is lost, with an `id` and without one. */
export type LostOutcomes = { readonly withId: readonly string[]; readonly plain: readonly string[] }

const ids = ['u', 'v', 'w', 'x', 'y', 'z']

/** The calls and writes of one seed. */
export class SharingLife {
  readonly names: readonly string[]
  readonly random: () => number
  /** The members that run. */
  readonly apps = new Map<string, App>()
  /** The members of which one start or more has ended: their calls are nobody's. */
  readonly ended = new Set<string>()
  /** Starts of members whose process was killed: their calls never settle. */
  readonly #killed = new Set<App>()
  #endings = 0
  #clocksSet = 0
  readonly #seed: number
  #hasCasts = true
  readonly #slowMs: number
  readonly #world: SharingWorld
  readonly #calls: Call[] = []
  readonly #writes: Write[] = []
  readonly #stale: StaleReads
  readonly #copies: WatchedCopies
  /** Decides what was added later: a life with it is as it is without it. */
  readonly #dice: () => number

  /** `slowMs`: some calls take so long. */
  constructor(seed: number, names: readonly string[], world: SharingWorld, slowMs = 0) {
    this.#seed = seed
    this.#slowMs = slowMs
    this.#world = world
    this.names = names
    this.random = seededRandom(seed)
    this.#stale = new StaleReads(seed)
    this.#copies = new WatchedCopies(seed, world.clock)
    this.#dice = seededRandom(seed ^ 0xd1ce)
  }

  /** The members that do not run. */
  get gone(): readonly string[] {
    return this.names.filter((each) => !this.apps.has(each))
  }

  pick<T>(of: readonly T[]): T {
    return of[Math.floor(this.random() * of.length)] as T
  }

  async begin(of: readonly string[]): Promise<void> {
    const app = () =>
      supervisor('app', {}, [entity('account', account(this.#slowMs), { idleMs: 50 })])
    const started = await this.#world.start(of, () => ({ app: app() }))
    for (const [at, name] of of.entries()) {
      const each = started[at] as App
      this.apps.set(name, each)
      this.#copies.begin(name, each)
      void each.closed.then(() => this.left(name, each))
    }
  }

  /** A start of a member ends, `isKilled`: with its process. */
  left(name: string, app: App, isKilled = false): void {
    this.ended.add(name)
    if (isKilled) this.#killed.add(app)
    this.#endings++
    this.#copies.ended(name, app)
    if (this.apps.get(name) === app) this.apps.delete(name)
  }

  work(count: number): void {
    for (let each = 0; each < count && this.apps.size > 0; each++) {
      this.#ask()
      this.#put()
      this.#look()
      this.#note()
      // It must not overtake the cast.
      this.#ask()
    }
    if (this.#dice() < 0.1) this.#wake()
    if (this.#dice() < 0.8) this.#copy()
    if (this.#dice() < 0.04) {
      setClock(this.#world.clock, this.#dice)
      this.#clocksSet++
    }
  }

  /** Whether something happens that is likely by so much. */
  happens(probability: number): boolean {
    return this.#dice() < probability
  }

  /** The others go on while one closes. */
  async close(name: string, app: App): Promise<void> {
    this.left(name, app)
    const closing = app.close()
    for (let each = 0; each < 5; each++) {
      this.work(2)
      await this.#world.clock.advance(Math.floor(this.random() * 4))
    }
    await this.#world.during(closing)
  }

  /**
   * What holds at the end. `lost`: of members that stay; none in a life without losses. Without `hasCasts` the order of calls
   * alone is judged. `doomed`: so many threads of logs were to die. A write that the log has not got then is `NOT_SUBMITTED`.
   */
  async holds(
    lost: LostOutcomes | undefined,
    { hasCasts = true, doomed = 0 }: { hasCasts?: boolean; doomed?: number } = {},
  ): Promise<void> {
    this.#hasCasts = hasCasts
    this.#allSettled()
    this.#noneIsDown()
    const [[, reader]] = [...this.apps] as [[string, App]]
    await this.#writesHold(reader, lost !== undefined, doomed > 0)
    this.#stale.hold(this.#writes, this.ended, `seed ${this.#seed}`)
    await this.#copies.hold(reader, (work) => this.#world.during(work))
    for (const id of ids) {
      await this.#callsHold(reader, id, lost)
      const ref = reader.entity<Messages>('account').ref(id)
      const waits = await this.#world.during(call(ref, 'waits'))
      expect(waits, `seed ${this.#seed}: the alarm of ${id} has not come`).toBe(false)
    }
  }

  /** Every accepted call settles, and so does every write. */
  #allSettled(): void {
    const open = [...this.#calls, ...this.#writes].filter(
      ({ app, outcome }) => outcome === 'pending' && !this.#killed.has(app),
    )
    expect(open, `seed ${this.#seed}: never settled`).toHaveLength(0)
  }

  /** Neither the death of a thread nor a full disk takes a shard down for good. */
  #noneIsDown(): void {
    for (const [name, { shards }] of this.apps)
      for (const { index, phase } of shards)
        expect(phase.kind, `seed ${this.#seed}: shard ${index} at ${name}`).not.toBe('down')
  }

  /** What happened. */
  tally(): Tally {
    const calls = this.#calls.map(({ outcome }): Tally => {
      if (outcome === 'sent' || outcome === 'refused') return { [`casts.${outcome}`]: 1 }
      return { [`calls.${typeof outcome === 'number' ? 'answered' : outcome}`]: 1 }
    })
    const writes = this.#writes.map(({ outcome }): Tally => ({ [`writes.${outcome}`]: 1 }))
    const own = { lives: 1, 'members.ended': this.#endings, 'clocks.set': this.#clocksSet }
    return sumOf([own, ...calls, ...writes, this.#stale.tally(), this.#copies.tally()])
  }

  #ask(): void {
    const [from, app] = this.pick([...this.apps])
    const hasId = this.random() < 0.6
    const label = `${this.#calls.length}`
    const made: Call = { app, label, id: this.pick(ids), from, hasId, outcome: 'pending' }
    this.#calls.push(made)
    const ref = app.entity<Messages>('account').ref(made.id)
    const options = { timeoutMs: 20_000, ...(hasId && { id: `r-${made.label}` }) }
    call(ref, 'add', made.label, options).then(
      (value) => {
        made.outcome = value
      },
      (error) => {
        made.outcome = error.code ?? error
      },
    )
  }

  /** The alarm of an account is set. */
  #wake(): void {
    const apps = [...this.apps.values()]
    if (apps.length === 0) return
    const [app, id] = [this.#oneOf(apps), this.#oneOf(ids)]
    call(app.entity<Messages>('account').ref(id), 'wake').catch(() => undefined)
  }

  #oneOf<T>(of: readonly T[]): T {
    return of[Math.floor(this.#dice() * of.length)] as T
  }

  #copy(): void {
    const apps = [...this.apps.values()]
    if (apps.length > 0) this.#copies.write(this.#oneOf(apps))
  }

  /** A cast is `sent`, unless it was refused at once. */
  #note(): void {
    const [from, app] = this.pick([...this.apps])
    const label = `${this.#calls.length}`
    const made: Call = { app, label, id: this.pick(ids), from, hasId: false, outcome: '' }
    this.#calls.push(made)
    const isSent = cast(app.entity<Messages>('account').ref(made.id), 'note', label)
    made.outcome = isSent ? 'sent' : 'refused'
  }

  /** Each key has one writer, which writes one number after another. */
  #put(): void {
    const [from, app] = this.pick([...this.apps])
    const key = `${from}:${this.pick(ids)}`
    const value = this.#writes.length
    const made: Write = { app, key, value, from, outcome: 'pending' }
    this.#writes.push(made)
    const { clock } = this.#world
    const madeAt = clock.monotonic()
    app.store.put(key, value, { deadlineMs }).then(
      ({ position }) => {
        made.outcome = 'done'
        made.position = position
      },
      (error) => {
        made.outcome = error.code ?? error
        made.isLate = clock.monotonic() - madeAt > deadlineMs - 10
      },
    )
  }

  #look(): void {
    const apps = [...this.apps]
    const [from, app] = apps[this.#writes.length % apps.length] as [string, App]
    this.#stale.look(from, app.store, this.#writes)
  }

  async #writesHold(reader: App, mayFail: boolean, mayDie: boolean): Promise<void> {
    for (const { key, value, from, outcome, isLate } of this.#writes) {
      if (mayFail || this.ended.has(from)) continue
      if (mayDie && outcome === 'NOT_SUBMITTED' && !isLate) continue
      expect(outcome, `seed ${this.#seed}, ${key}=${value}`).toBe('done')
    }
    for (const key of new Set(this.#writes.map((each) => each.key))) {
      const own = this.#writes.filter((each) => each.key === key)
      const last = own.findLastIndex(({ outcome }) => outcome === 'done')
      // Later ones may have taken effect, too.
      const may = last < 0 ? [undefined, ...own] : own.slice(last)
      const found = await this.#world.during(reader.store.load(key))
      const where = `seed ${this.#seed}, ${key}`
      expect(
        may.map((each) => each?.value),
        where,
      ).toContain(found)
      for (const each of own)
        if (each.outcome === 'NOT_SUBMITTED') expect(found, where).not.toBe(each.value)
    }
  }

  async #callsHold(reader: App, id: string, lost: LostOutcomes | undefined): Promise<void> {
    const ref = reader.entity<Messages>('account').ref(id)
    const labels = await this.#world.during(call(ref, 'read'))
    const own = this.#calls.filter((each) => each.id === id)
    const where = `seed ${this.#seed}, ${id}`
    expect(new Set(labels).size, where).toBe(labels.length)
    for (const { label, hasId, from, outcome } of own) {
      const at = labels.indexOf(label) + 1
      if (typeof outcome === 'number') expect(outcome, `${where}: ${label}`).toBe(at)
      else if (outcome === 'sent') {
        if (!lost && !this.ended.has(from)) expect(at, `${where}: cast ${label}`).toBeGreaterThan(0)
      } else if (!this.ended.has(from)) {
        const may = lost ? (hasId ? lost.withId : lost.plain) : []
        expect(may, `${where}: ${label}`).toContain(outcome)
      }
      if (outcome === 'NOT_SUBMITTED') expect(at, `${where}: ${label}`).toBe(0)
    }
    this.#ordersHold(own, labels, where)
  }

  /** What took effect of each sender did so in its order. */
  #ordersHold(own: readonly Call[], labels: readonly string[], where: string): void {
    for (const sender of this.names) {
      const found = own.filter(
        ({ from, outcome, label }) =>
          from === sender &&
          (typeof outcome === 'number' ||
            (this.#hasCasts && outcome === 'sent' && labels.includes(label))),
      )
      const order = found.map(({ label }) => labels.indexOf(label))
      const sorted = [...order].sort((one, other) => one - other)
      expect(order, `${where}, from ${sender}`).toEqual(sorted)
    }
  }
}
