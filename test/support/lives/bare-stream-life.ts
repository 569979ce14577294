/**
 * A random life, from one seed, of streams by themselves: producers with epochs, bounds of age, bytes and messages, ends by a
 * TTL or at a time, forks, trims, closes and deletes, over kills, power cuts and dying threads, while readers wait. Beside
 * it stands a model: the states that a stream may be in. An answer leaves those of them that give it; a call whose outcome is
 * not known leaves those with and those without it.
 */
import { seededRandom } from '../../../src/clock.ts'
import { isKeelsonError } from '../../../src/errors.ts'
import type { App, StreamHandle } from '../../../src/index.ts'
import { offsetOf, offsetPlace, streamOwner } from '../../../src/storage/index.ts'
import { despiteDeath, nastyMachine } from '../worlds/nasty-machine.ts'
import type { Tally } from './seed-lives.ts'

type Keep = { readonly ageMs?: number; readonly bytes?: number; readonly messages?: number }

type Lasting = { readonly ttlMs?: number; readonly expiresAt?: number }

/** A time that is known to lie between two others. */
type Between = { readonly lo: number; readonly hi: number }

/** A message: its JSON, and when it was appended. */
type Said = Between & { readonly text: string }

/** A stream as it may be. */
type State = {
  /** `undefined`: no answer had its offset yet. */
  readonly birth: string | undefined
  readonly said: readonly Said[]
  readonly isClosed: boolean
  readonly keep: Keep
  readonly lasting: Lasting
  readonly touched: Between
  readonly producers: Readonly<Record<string, { readonly epoch: number; readonly next: number }>>
  /** The number of the first message that is kept lies between these. */
  readonly floor: Between
  readonly source: string | undefined
  readonly mayHaveForks: boolean
  /** It was deleted, and its name stays taken. */
  readonly isSoft: boolean
}

type Possible = State | undefined

/** What a call may do to a state: its answer, and the state after it. */
type Outcome = readonly [answer: string, after: Possible]
type Deed = (state: Possible, when: Between) => readonly Outcome[]

/** Stamps of frames are a little before or after the times that a caller sees. */
const slackMs = 100
/** By then the background has removed what is too old, and has told who waits. */
const laterMs = 40_000

const fresh = (when: Between): State => ({
  birth: undefined,
  said: [],
  isClosed: false,
  keep: {},
  lasting: {},
  touched: when,
  producers: {},
  floor: { lo: 0, hi: 0 },
  source: undefined,
  mayHaveForks: false,
  isSoft: false,
})

/** The states of which one is there, as time has passed. */
const living = (found: Possible, when: Between): readonly Possible[] => {
  const { lo, hi } = when
  const state = found && dropped(found, when)
  const { ttlMs, expiresAt } = state?.lasting ?? {}
  if (!state || (ttlMs === undefined && expiresAt === undefined)) return [state]
  const endLo = expiresAt ?? state.touched.lo + (ttlMs ?? 0)
  const endHi = expiresAt ?? state.touched.hi + (ttlMs ?? 0)
  if (lo - slackMs > endHi) return [undefined]
  return hi + slackMs < endLo ? [state] : [state, undefined]
}

/** The bounds move the floor: it must, and it may. */
const dropped = (state: State, { hi }: Between): State => {
  const { keep, said, floor } = state
  let { lo, hi: most } = floor
  if (keep.messages !== undefined) lo = Math.max(lo, said.length - keep.messages)
  if (keep.bytes !== undefined) {
    let [bytes, at] = [0, said.length]
    while (at > 0 && bytes < keep.bytes) bytes += said[--at]?.text.length ?? 0
    if (bytes >= keep.bytes) most = Math.max(most, at)
  }
  return { ...state, floor: { lo, hi: Math.max(most, lo, aged(state, hi + slackMs)) } }
}

/** How many messages are too old by then. */
const aged = ({ keep: { ageMs }, said }: State, now: number): number => {
  if (ageMs === undefined) return 0
  const young = said.findIndex(({ lo }) => lo + ageMs > now)
  return young < 0 ? said.length : young
}

type Number = { readonly id: string; readonly epoch: number; readonly seq: number }

const appending =
  (texts: readonly string[], closes: boolean, number?: Number, keep?: Keep): Deed =>
  (found, when) =>
    living(found, when).flatMap((state): readonly Outcome[] => {
      if (state?.isSoft) return [['CONFLICT', state]]
      let now = state ?? fresh(when)
      if (keep) now = dropped({ ...now, keep }, when)
      // A part that is refused makes no stream, but the one before it with the bounds has.
      const refused = (code: string): readonly Outcome[] => [
        [code, keep || state ? now : undefined],
      ]
      const known = number && now.producers[number.id]
      if (number) {
        if (known && number.epoch < known.epoch) return refused('FENCED')
        const next = known && known.epoch === number.epoch ? known.next : 0
        if (number.seq > next) return refused('CONFLICT')
        if (number.seq < next) return [['ok', now]]
      }
      if (now.isClosed) return texts.length === 0 && !number ? [['ok', now]] : refused('CONFLICT')
      const said = [...now.said, ...texts.map((text) => ({ ...when, text }))]
      const producers = number
        ? { ...now.producers, [number.id]: { epoch: number.epoch, next: number.seq + 1 } }
        : now.producers
      const isClosed = closes
      const next = { ...now, said, isClosed, touched: when, producers }
      return [['ok', dropped(next, when)]]
    })

const creating =
  (texts: readonly string[], lasting: Lasting, source?: string): Deed =>
  (found, when) =>
    living(found, when).flatMap((state): readonly Outcome[] => {
      if (state?.isSoft) return [['deleted', state]]
      if (state) {
        const isSame =
          state.lasting.ttlMs === lasting.ttlMs &&
          state.lasting.expiresAt === lasting.expiresAt &&
          state.source === source &&
          !state.isClosed
        return [[isSame ? 'ok' : 'differs', state]]
      }
      const said = texts.map((text) => ({ ...when, text }))
      return [['ok', { ...fresh(when), said, lasting, source }]]
    })

const trimming =
  (birth: string, number: number): Deed =>
  (found, when) =>
    living(found, when).flatMap((state): readonly Outcome[] => {
      if (!state) return [['BAD_CURSOR', state]]
      if (state.isSoft) return [['CONFLICT', state]]
      if (state.birth !== undefined && state.birth !== birth) return [['BAD_CURSOR', state]]
      const { lo, hi } = state.floor
      const floor = { lo: Math.max(lo, number), hi: Math.max(hi, number) }
      const isThere: Outcome = ['ok', { ...state, birth, floor }]
      return state.birth === undefined ? [isThere, ['BAD_CURSOR', state]] : [isThere]
    })

const deleting =
  (hasFork: boolean): Deed =>
  (found, when) =>
    living(found, when).flatMap((state): readonly Outcome[] => {
      if (!state) return [['none', undefined]]
      const soft = { ...state, isSoft: true }
      if (hasFork) return [[state.isSoft ? 'none' : 'ok', soft]]
      const answer = state.isSoft ? 'none' : 'ok'
      const gone: Outcome = [answer, undefined]
      return state.mayHaveForks ? [gone, [answer, soft]] : [gone]
    })

/** Refusals of which it is certain that nothing was written. */
const refusals = ['CONFLICT', 'FENCED', 'BAD_CURSOR', 'INVALID_ARGUMENT']

class Broken extends Error {}

/** A reader that waits, with all that it got. */
type Watcher = {
  readonly name: string
  readonly seen: { readonly birth: string; readonly number: number; readonly text: string }[]
  readonly since: number
  end: string | undefined
  endedAt: number
}

const names = ['a', 'b', 'c', 'd']

class BareStreamLife {
  readonly tally: Tally = { lives: 1 }
  readonly #random: () => number
  readonly #world: ReturnType<typeof nastyMachine>
  readonly #states = new Map<string, readonly Possible[]>(names.map((name) => [name, [undefined]]))
  /** What is known of each birth: all that was ever said in it. */
  readonly #known = new Map<string, readonly Said[]>()
  readonly #watchers: Watcher[] = []
  #app!: App
  #number = 0

  constructor(seed: number) {
    this.#random = seededRandom(seed)
    this.#world = nastyMachine({ seed, syncMs: this.#pick([0, 1, 7]) })
  }

  async live(): Promise<Tally> {
    const { disk, pass, during, clock } = this.#world
    await this.#begin()
    for (let lives = 1 + this.#upTo(3); lives > 0; lives--) {
      if (this.#random() < 0.6) disk.inject({ at: 1 + this.#upTo(150), fault: { kind: 'halt' } })
      await this.#deeds().catch((error) => {
        if (error instanceof Broken || !disk.isHalted) throw error
        this.#counts('halts')
      })
      await pass(this.#upTo(50))
      disk.halt()
      await during(this.#app.close({ deadlineMs: 0 })).catch(() => undefined)
      await during(this.#app.system.stop()).catch(() => undefined)
      const isCut = this.#random() < 0.5
      if (isCut) disk.crash()
      this.#counts(isCut ? 'power cuts' : 'kills')
      disk.clearFaults()
      disk.killProcess()
      await this.#begin()
      await during(despiteDeath(this.#app, () => this.#checks()))
    }
    await clock.advance(laterMs)
    await during(despiteDeath(this.#app, () => this.#checks()))
    await during(this.#allForksGo())
    await during(this.#app.close())
    return this.tally
  }

  async #begin(): Promise<void> {
    const lmdb = { intervalMs: 5, quietMs: 2, maxLagMs: 20 }
    this.#app = await this.#world.start({ lmdb })
    for (const watcher of this.#watchers) {
      if (watcher.end === undefined) watcher.endedAt = this.#world.clock.now()
      watcher.end ??= 'killed'
    }
  }

  /** Things happen one after another, until the disk halts. */
  async #deeds(): Promise<void> {
    const { during, pass, disk } = this.#world
    for (let left = 4 + this.#upTo(30); left > 0 && !disk.isHalted; left--) {
      await during(this.#deed())
      if (this.#random() < 0.06) await pass(this.#pick([5, 500, 3_000, 20_000]))
      if (this.#random() < 0.1) await during(despiteDeath(this.#app, () => this.#checks()))
    }
    if (this.#random() < 0.5) return
    await pass(laterMs)
    if (disk.isHalted) return
    await during(despiteDeath(this.#app, () => this.#checks()))
    this.#expectTold()
  }

  async #deed(): Promise<void> {
    const name = this.#pick(names)
    const what = this.#random()
    if (what < 0.48) await this.#append(name)
    else if (what < 0.53) await this.#close(name)
    else if (what < 0.63) await this.#create(name)
    else if (what < 0.73) await this.#fork(name)
    else if (what < 0.8) await this.#trim(name)
    else if (what < 0.88) await this.#delete(name)
    else this.#watch(name)
  }

  async #append(name: string): Promise<void> {
    const texts = Array.from({ length: 1 + this.#upTo(3) }, () => this.#text())
    const keep = this.#random() < 0.15 ? this.#drawnKeep() : undefined
    const id = this.#random() < 0.5 ? this.#pick(['p', 'q']) : undefined
    const last = this.#states.get(name)?.at(-1)?.producers[id ?? '']
    const epoch = Math.max(0, (last?.epoch ?? 0) + this.#pick([0, 0, 0, 0, 1, -1]))
    const next = last && last.epoch === epoch ? last.next : 0
    const seq = Math.max(0, next + this.#pick([0, 0, 0, 0, -1, 1]))
    const number = id === undefined ? undefined : { id, epoch, seq }
    const stream = this.#app.streams.open<unknown>(name, keep && { keep })
    const values = texts.map((text) => JSON.parse(text))
    const deed = appending(texts, false, number, keep)
    await this.#do(name, deed, 'appends', () => stream.appendMany(values, number ?? {}))
  }

  async #close(name: string): Promise<void> {
    const text = this.#random() < 0.5 ? this.#text() : undefined
    const stream = this.#app.streams.open<unknown>(name)
    const deed = appending(text === undefined ? [] : [text], true)
    await this.#do(name, deed, 'closes', () =>
      text === undefined ? stream.close() : stream.close(JSON.parse(text)),
    )
  }

  #drawnLasting(): Lasting {
    const what = this.#random()
    if (what < 0.4) return { ttlMs: this.#pick([2_000, 10_000, 60_000]) }
    const now = this.#world.clock.now()
    return what < 0.7 ? { expiresAt: now + this.#pick([100, 5_000, 30_000]) } : {}
  }

  #making(lasting: Lasting) {
    const { ttlMs, expiresAt } = lasting
    return { contentType: 'application/json', ttlMs, expiresAt, closes: false }
  }

  async #create(name: string): Promise<void> {
    const texts = Array.from({ length: this.#upTo(2) }, () => this.#text())
    const lasting = this.#drawnLasting()
    await this.#do(name, creating(texts, lasting), 'creations', async () => {
      const making = { ...this.#making(lasting), source: undefined, messages: texts }
      return this.#answer(await this.#app.streams.raw().create(streamOwner(name), making))
    })
  }

  async #fork(from: string): Promise<void> {
    const raw = this.#app.streams.raw()
    const name = this.#pick(names.filter((each) => each !== from))
    const owner = streamOwner(from)
    const head = await despiteDeath(this.#app, () => raw.head(owner))
    if (!head || head.terms?.isDeleted) return
    const number = head.floor + this.#upTo(head.next - head.floor)
    const forked = await raw.forked(owner, head, { number, more: 0 }).catch((error) => {
      // It has lost messages, or has ended, in the meantime.
      if (isKeelsonError(error, 'BAD_CURSOR')) return undefined
      throw error
    })
    if (!forked) return
    const { source, messages } = forked
    const lasting = this.#drawnLasting()
    const key = JSON.stringify(source)
    const states = this.#states.get(from) ?? []
    this.#states.set(
      from,
      states.map((state) => {
        const touched = state && { lo: state.touched.lo, hi: this.#world.clock.now() }
        return state && ({ ...state, touched, mayHaveForks: true } as State)
      }),
    )
    const deed = creating(messages as readonly string[], lasting, key)
    // The source may be another one by now: then nothing was made.
    const orNone: Deed = (state, when) => [...deed(state, when), ['none', state]]
    await this.#do(name, orNone, 'forks', async () => {
      const making = { ...this.#making(lasting), source, messages }
      return this.#answer(await raw.create(streamOwner(name), making))
    })
  }

  #answer(answer: { readonly kind: string; readonly why?: string }): string {
    return answer.kind === 'refusedPart' ? (answer.why ?? '') : 'ok'
  }

  async #trim(name: string): Promise<void> {
    const state = this.#states.get(name)?.at(-1)
    if (!state?.birth || state.said.length === 0) return
    const { birth } = state
    const number = 1 + this.#upTo(state.said.length - 1)
    if (this.#states.get(name)?.some((each) => each && each.said.length < number)) return
    const stream = this.#app.streams.open(name)
    await this.#do(name, trimming(birth, number), 'trims', () =>
      stream.trim(offsetOf({ birth, number })),
    )
  }

  async #delete(name: string): Promise<void> {
    const stream = this.#app.streams.open(name)
    await this.#do(name, deleting(this.#hasFork(name)), 'deletions', async () =>
      (await stream.delete()) ? 'ok' : 'none',
    )
    this.#mayFree()
  }

  /** Whether a fork of the stream is there for certain. */
  #hasFork(name: string): boolean {
    const births = new Set((this.#states.get(name) ?? []).map((state) => state?.birth))
    const when = this.#now()
    return [...this.#states].some(([each, states]) => {
      const all = states.flatMap((state) => living(state, when))
      return (
        each !== name &&
        births.size === 1 &&
        all.every((state) => {
          if (!state?.source || state.isSoft) return false
          const { owner, birth } = JSON.parse(state.source)
          return owner === streamOwner(name) && births.has(birth)
        })
      )
    })
  }

  /** A name that is taken only by forks may be free by now. */
  #mayFree(): void {
    for (const [name, states] of this.#states)
      if (states.some((state) => state?.isSoft) && !this.#hasFork(name))
        this.#states.set(name, distinct([...states, undefined]))
  }

  /** Calls, and leaves the states that give the answer. */
  async #do(name: string, deed: Deed, what: string, call: () => Promise<unknown>): Promise<void> {
    const begun = this.#world.clock.now()
    this.#wereRead(name)
    this.#mayFree()
    const before = this.#states.get(name) ?? []
    const after = (when: Between): readonly Outcome[] =>
      before.flatMap((state) => deed(state, when))
    // Whatever becomes of the call, it may be done from now on.
    const open = { lo: begun, hi: Number.POSITIVE_INFINITY }
    this.#states.set(name, distinct([...before, ...after(open).map(([, state]) => state)]))
    let answer: unknown
    let offset: string | undefined
    try {
      answer = await call()
      const place = offsetPlace(answer)
      if (place) [offset, answer] = [place.birth, 'ok']
      answer ??= 'ok'
    } catch (error) {
      if (!isKeelsonError(error) || !refusals.includes(error.code)) {
        this.#counts('unknown outcomes')
        if (!isKeelsonError(error)) throw error
        const until = after({ lo: begun, hi: this.#world.clock.now() }).map(([, state]) => state)
        this.#states.set(name, distinct([...before, ...until]))
        return
      }
      answer = error.code
    }
    const outcomes = after({ lo: begun, hi: this.#world.clock.now() })
    const left = outcomes
      .filter(([given]) => given === answer)
      .map(([, state]) => (state && offset !== undefined ? { ...state, birth: offset } : state))
    if (left.length === 0)
      throw new Broken(`${what} of ${name}: ${answer}, and not ${outcomes.map(([each]) => each)}`)
    this.#states.set(name, distinct(left))
    this.#counts(answer === 'ok' ? what : `${what}, ${answer}`)
  }

  /** Readers that wait keep a stream with a TTL. */
  #wereRead(name: string): void {
    const now = this.#world.clock.now()
    for (const { name: read, since, end, endedAt } of this.#watchers) {
      if (read !== name) continue
      const keeps = (state: State): State => {
        const { touched, lasting } = state
        const ttlMs = lasting.ttlMs ?? 0
        const hi = Math.max(touched.hi, end === undefined ? now : endedAt)
        const isKept = end === undefined && since + slackMs < touched.lo + ttlMs
        const lo = isKept ? Math.max(touched.lo, now - ttlMs / 2) : touched.lo
        return { ...state, touched: { lo, hi } }
      }
      const states = this.#states.get(name) ?? []
      this.#states.set(
        name,
        states.map((state) => state && keeps(state)),
      )
    }
  }

  /** A reader waits from now on. */
  #watch(name: string): void {
    const mine = [...this.#watchers].reverse().find((each) => each.name === name)
    if (mine && mine.end === undefined) return
    const last = mine?.seen.at(-1)
    const resumes = last !== undefined && this.#random() < 0.7
    const from = resumes
      ? offsetOf({ birth: last.birth, number: last.number + 1 })
      : this.#pick(['start', 'now'])
    const watcher: Watcher = {
      name,
      seen: resumes ? [last] : [],
      since: this.#world.clock.now(),
      end: undefined,
      endedAt: 0,
    }
    this.#watchers.push(watcher)
    const stream: StreamHandle<unknown> = this.#app.streams.open(name)
    const read = async (): Promise<string> => {
      for await (const { value, offset } of stream.read({ from })) {
        const { birth, number } = offsetPlace(offset) as { birth: string; number: number }
        watcher.seen.push({ birth, number: number - 1, text: JSON.stringify(value) })
      }
      return 'closed'
    }
    const ends = (end: string): void => {
      watcher.endedAt = this.#world.clock.now()
      watcher.end ??= end
    }
    read().then(ends, (error) => ends(isKeelsonError(error) ? error.code : String(error)))
    this.#counts('readers')
  }

  /** Finds the states that are there, and that the readers saw no others. */
  async #checks(): Promise<void> {
    for (const name of names) await this.#check(name)
    this.#mayFree()
    for (const watcher of this.#watchers) this.#checkWatcher(watcher)
  }

  async #check(name: string): Promise<void> {
    const begun = this.#world.clock.now()
    const found = await this.#read(name)
    const when = { lo: begun, hi: this.#world.clock.now() }
    this.#wereRead(name)
    const states = (this.#states.get(name) ?? []).flatMap((state) => living(state, when))
    const fits = states.filter((state) => isSame(state, found))
    if (fits.length === 0) {
      const all = states.map((state) => state && { ...state, said: state.said.length })
      throw new Broken(
        `${name}: ${JSON.stringify({ ...found, texts: found?.texts.length })} is none of ${JSON.stringify(all)}`,
      )
    }
    this.#states.set(
      name,
      distinct(
        fits.map((state): Possible => {
          if (!state || !found) return state
          const { birth, floor } = found
          // Two states that differ below the floor cannot be told apart.
          if (fits.length === 1) this.#known.set(birth, state.said)
          else this.#known.delete(birth)
          // A read keeps a stream with a TTL, once a part of it has passed.
          const touched = { lo: state.touched.lo, hi: Math.max(state.touched.hi, when.hi) }
          return { ...state, birth, floor: { lo: floor, hi: floor }, touched }
        }),
      ),
    )
    this.#counts('checks')
  }

  async #read(name: string) {
    const stream = this.#app.streams.open<unknown>(name)
    // Old messages may go in the meantime.
    for (let tries = 0; ; tries++) {
      if (tries > 100) throw new Broken(`${name} cannot be read`)
      const head = await stream.head()
      if (!head) return undefined
      const texts: string[] = []
      try {
        for await (const { value } of stream.read({ live: false }))
          texts.push(JSON.stringify(value))
      } catch (error) {
        if (isKeelsonError(error, 'BAD_CURSOR')) continue
        throw error
      }
      const after = await stream.head()
      if (JSON.stringify(after) !== JSON.stringify(head)) continue
      const [start, end] = [offsetPlace(head.start), offsetPlace(head.end)]
      if (!start || !end) throw new Broken(`the offsets of ${name}`)
      const { isClosed } = head
      return { birth: end.birth, floor: start.number, next: end.number, isClosed, texts }
    }
  }

  /** What a reader saw is there, or was; and an offset is gone for a reason. */
  #checkWatcher({ name, seen, end }: Watcher): void {
    let last: Watcher['seen'][number] | undefined
    for (const each of seen) {
      const { birth, number, text } = each
      if (last && last !== each && last.birth === birth && number !== last.number + 1)
        throw new Broken(`a reader of ${name} got message ${number} after ${last.number}`)
      const known = this.#known.get(birth)
      const isPresent = this.#states
        .get(name)
        ?.every((state) => state?.birth === birth && !state.isSoft)
      if (known && (isPresent || number < known.length) && known[number]?.text !== text)
        throw new Broken(
          `a reader of ${name} got ${text.slice(0, 20)}, which is not message ${number}`,
        )
      last = each
    }
    const states = this.#states.get(name) ?? []
    if (end === 'BAD_CURSOR' && last)
      for (const state of states)
        if (state?.birth === last.birth && state.floor.hi <= last.number + 1 && !state.isSoft)
          throw new Broken(`a reader of ${name} lost its place ${last.number + 1}, which is there`)
  }

  /** A reader that waits was told of the end of its stream, and has all messages. */
  #expectTold(): void {
    if (this.#world.disk.isHalted) return
    for (const { name, seen, end } of this.#watchers) {
      const last = seen.at(-1)
      const states = this.#states.get(name) ?? []
      if (end !== undefined || !last || states.length !== 1) continue
      const [state] = states
      if (!state || state.isSoft || state.birth !== last.birth)
        throw new Broken(`a reader of ${name} waits in a stream that has ended`)
      if (state.isClosed)
        throw new Broken(`a reader of ${name} waits at the end of a closed stream`)
      if (last.number + 1 < state.said.length)
        throw new Broken(
          `a reader of ${name} waits with ${last.number + 1} of ${state.said.length}`,
        )
      this.#counts('readers that wait on')
    }
  }

  /** Once no fork is there, every name is free. */
  async #allForksGo(): Promise<void> {
    for (let round = 0; round < names.length; round++)
      for (const name of names)
        await despiteDeath(this.#app, () => this.#app.streams.open(name).delete())
    for (const name of names) {
      await despiteDeath(this.#app, () => this.#app.streams.raw().head(streamOwner(name)))
      await despiteDeath(this.#app, () => this.#app.streams.open(name).append('free'))
    }
  }

  #now(): Between {
    const now = this.#world.clock.now()
    return { lo: now, hi: now }
  }

  #text(): string {
    return JSON.stringify(
      `${this.#number++} ${'x'.repeat(this.#upTo(this.#pick([10, 300, 4_000])))}`,
    )
  }

  #drawnKeep(): Keep {
    const what = this.#random()
    if (what < 0.4) return { ageMs: this.#pick([200, 5_000, 30_000]) }
    if (what < 0.7) return { bytes: this.#pick([1, 5_000, 20_000]) }
    return { messages: this.#pick([1, 4, 20]), ...(what < 0.85 && { ageMs: 10_000 }) }
  }

  #counts(what: string): void {
    this.tally[what] = (this.tally[what] ?? 0) + 1
  }

  #upTo(most: number): number {
    return Math.floor(this.#random() * (most + 1))
  }

  #pick<T>(list: readonly T[]): T {
    return list[this.#upTo(list.length - 1)] as T
  }
}

/** States that cannot be told apart stand for one another. */
const distinct = (states: readonly Possible[]): readonly Possible[] => [
  ...new Map(
    states.map((state) => {
      const { said, ...others } = state ?? { said: [] }
      return [JSON.stringify([state && others, said.length, said.at(-1)]), state]
    }),
  ).values(),
]

type Found = {
  readonly birth: string
  readonly floor: number
  readonly next: number
  readonly isClosed: boolean
  readonly texts: readonly string[]
}

const isSame = (state: Possible, found: Found | undefined): boolean => {
  if (!state || state.isSoft || !found) return (!state || state.isSoft) && !found
  const { said, floor, isClosed, birth } = state
  return (
    (birth === undefined || birth === found.birth) &&
    said.length === found.next &&
    isClosed === found.isClosed &&
    found.floor >= floor.lo &&
    found.floor <= floor.hi &&
    found.texts.length === found.next - found.floor &&
    found.texts.every((text, at) => text === said[found.floor + at]?.text)
  )
}

/** Lives one life. @throws if a promise is broken */
export const liveBareStreams = (seed: number): Promise<Tally> => new BareStreamLife(seed).live()
