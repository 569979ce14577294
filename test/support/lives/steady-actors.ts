/**
 * Durable actors that nobody kills, for the random lives: entities, a durable worker, machines. The
 * storage below them dies, the disk fills, effects fail, turns are refused. Once that is over, and
 * without a restart, they have done everything that they were told and that no refusal dropped.
 */
import { isDeepStrictEqual } from 'node:util'
import { assign, fromPromise, setup } from 'xstate'
import {
  type App,
  call,
  cast,
  type DurableContext,
  type DurableServer,
  type EntityOptions,
  entity,
  type KeelsonError,
  name,
  noReply,
  ok,
  type Ref,
  reply,
  type StartOptions,
  worker,
} from '../../../src/index.ts'
import { StateMachine } from '../../../src/runtime/state-machine/state-machine.ts'

/** What the world around them does now. */
export type SteadyWorld = {
  readonly pick: <T>(from: readonly T[]) => T
  readonly now: () => number
  readonly later: (ms: number) => Promise<void>
  /** Whether this try of an effect fails. */
  readonly fails: () => boolean
  /** Whether this turn of a step or an alarm, or of the result of a promise, is refused. */
  readonly isRefused: () => boolean
  /** Notes an answer that is due. */
  readonly awaits: (text: string, work: Promise<unknown>) => void
  readonly counts: (what: string) => void
}

/** `bad`: its turn is refused, by a lock or because the state cannot be stored. */
type Deed = 'note' | 'bad' | 'work' | 'ring'
type Operation = { readonly number: number; readonly deed: Deed; readonly bytes: number }

type State = {
  readonly isGreeted: boolean
  readonly noted: readonly number[]
  readonly worked: readonly number[]
  readonly alarm: number | undefined
  readonly filling: string
  readonly odd?: unknown
}

type Messages = {
  calls: { run: (operation: Operation) => void; look: () => State }
  casts: { run: (operation: Operation) => void }
  continues: { greet: () => void; work: (number: number) => void }
  alarms: { ring: (number: number) => void }
}

/** Codes that say that nothing of the call became durable. */
const never: readonly unknown[] = [
  ...['LOCKED', 'TOO_LARGE', 'INVALID_ARGUMENT', 'NO_SPACE', 'SHARD_DOWN', 'NOT_SUBMITTED'],
]

/** Reasons with which such a process ends without having failed. */
const orderly: readonly unknown[] = ['normal', 'shutdown', 'killed']

const deeds: readonly Deed[] = ['note', 'note', 'bad', 'work', 'ring']
const loneName = name<Messages>('lone')
const lockedKey = (id: string): string => `{steady/${id}}:locked`

const giantsKey = '{giant/1}:locked'

/** More than a state may have. */
const tooLarge = 'x'.repeat(100_000)

/** What is known of an operation. `due`: nobody was told that it was refused. */
type Fate = 'due' | 'done' | 'refused' | 'open'
type Told = { readonly who: string; readonly operation: Operation; fate: Fate }

/** The steady actors of one life. */
export class SteadyActors {
  readonly #world: SteadyWorld
  readonly #told: Told[] = []
  readonly #wrong: string[] = []
  /** The effects that have succeeded in this instance, and when others were refused. */
  #effects = new Set<string>()
  #refusedAt = new Map<string, number>()
  #app!: App
  #kinds!: ReturnType<SteadyActors['kinds']>
  #fresh = 0
  #numbers = 0
  /** Slips that were asked to begin, which answered. */
  readonly #begun = new Set<string>()
  #isGrown = false

  constructor(world: SteadyWorld) {
    this.#world = world
  }

  kinds({ version, ...options }: Program) {
    return {
      steady: entity('steady', { ...this.#server(), version, migrate: same }, options),
      slip: entity('slip', this.#slips(version), options),
      giant: entity('giant', this.#giants(), options),
      grown: entity('grown', this.#growing(version), options),
    }
  }

  /** The children of a tree for the next instance, by a program that is newer than the last. */
  children(program: Program): NonNullable<StartOptions['app']>[] {
    const { version } = program
    this.#effects = new Set()
    this.#refusedAt = new Map()
    this.#isGrown = version > 1 && this.#world.pick([true, false])
    this.#kinds = this.kinds(program)
    const lone = { ...this.#server(), version, migrate: same }
    return [...Object.values(this.#kinds), worker(loneName, lone, { durable: true })] as never
  }

  /** The instance has started. What its predecessor did not make durable may be lost. */
  async begin(app: App, during: <T>(work: Promise<T>) => Promise<T>): Promise<void> {
    this.#app = app
    for (const told of this.#told) if (told.fate === 'due') told.fate = 'open'
    app.system.events.on('process.exited', ({ label, name, reason }) => {
      const who = label ?? name ?? ''
      if (/^(steady\/|slip\/|grown\/|lone$)/.test(who) && !orderly.includes(reason))
        this.#wrong.push(`${who} has ended: ${reason}`)
    })
    const keys = [lockedKey('a'), lockedKey('b'), giantsKey]
    for (const key of keys)
      await during(app.store.lock([key], { owner: 'other', leaseMs: 10_000_000 })).catch(
        () => undefined,
      )
  }

  // What they are told.

  /** One of them is told something. */
  acts(): void {
    const { pick } = this.#world
    pick([
      ...Array(4).fill(() => this.#cast(this.#anyone())),
      ...Array(3).fill(() => void this.#call(this.#anyone())),
      () => this.#begins(`s${pick([1, 2, 3])}`),
      () => this.#grows(),
      () => this.#awakesGiant(),
    ])()
  }

  /** An entity is born, and a slip begins. */
  bears(): void {
    const who = `n${++this.#fresh}`
    if (this.#world.pick([true, false])) this.#cast(who)
    else void this.#call(who)
    this.#begins(`s${who}`)
  }

  /** Whether a call that nothing but a full disk holds up has no answer after `during`. */
  async isLate(during: () => Promise<void>): Promise<boolean> {
    let isLate = isOpen(this.#app)
    void this.#call('quick', 'note').then(() => {
      isLate = false
    })
    await during()
    return isLate && isOpen(this.#app)
  }

  #anyone(): string {
    return this.#world.pick(['a', 'b', 'lone'])
  }

  #ref(who: string): Ref<Messages> {
    if (who === 'lone') return this.#app.system.to(loneName)
    return this.#app.entity(this.#kinds.steady).ref(who)
  }

  #tell(who: string, deed = this.#world.pick(deeds)): Told {
    const bytes = this.#world.pick([0, 0, 20_000])
    const operation = { number: ++this.#numbers, deed, bytes }
    const told: Told = { who, operation, fate: 'due' }
    this.#told.push(told)
    return told
  }

  #cast(who: string): void {
    const told = this.#tell(who)
    this.#world.counts('steady.casts')
    if (cast(this.#ref(who), 'run', told.operation) === false) told.fate = 'refused'
  }

  #call(who: string, deed?: Deed): Promise<unknown> {
    const told = this.#tell(who, deed)
    this.#world.counts('steady.calls')
    const { operation } = told
    const done = call(this.#ref(who), 'run', operation, {
      timeoutMs: this.#world.pick([50, Number.POSITIVE_INFINITY]),
    })
    const settled = done.then(
      () => {
        told.fate = 'done'
      },
      (error: KeelsonError) => {
        told.fate = never.includes(error.code) ? 'refused' : 'open'
        return error.code
      },
    )
    this.#world.awaits(`steady ${who} ${operation.number} ${operation.deed}`, settled)
    return settled
  }

  #begins(id: string): void {
    this.#world.counts('slips')
    const ref = this.#app.entity(this.#kinds.slip).ref(id)
    const begun = StateMachine.call(ref, { type: 'begin' }, { timeoutMs: 5_000 })
    this.#world.awaits(
      `slip ${id}`,
      begun.then(
        () => void this.#begun.add(id),
        () => undefined,
      ),
    )
  }

  #grows(): void {
    const begun = call(this.#app.entity(this.#kinds.grown).ref('g'), 'begin')
    this.#world.awaits(
      'grown',
      begun.catch(() => undefined),
    )
  }

  /** One whose birth is refused tells its caller, and is not there. */
  #awakesGiant(): void {
    const { giant } = this.#kinds
    const answer = call(this.#app.entity(giant).ref('1'), 'look', undefined, { timeoutMs: 5_000 })
    this.#world.awaits(
      'giant',
      answer.then(
        () => void this.#wrong.push('a giant answers'),
        () => undefined,
      ),
    )
  }

  // What they do.

  #server(): DurableServer<Messages, State> {
    const none = { noted: [], worked: [], alarm: undefined, filling: '' }
    const handled = (state: State, operation: Operation, context: Own): State => {
      const { number, deed, bytes } = operation
      if (deed === 'work') context.addContinue('work', number)
      if (deed === 'ring') context.setAlarm('ring', { inMs: 10 * (number % 50) }, number)
      if (deed === 'bad' && (context.id !== 'a' || bytes > 0))
        return { ...state, odd: () => 'cannot be stored' }
      if (deed === 'bad') context.writes.put(lockedKey('a'), number)
      return {
        ...state,
        filling: 'x'.repeat(bytes),
        noted: [...state.noted, number],
        alarm: deed === 'ring' ? number : state.alarm,
      }
    }
    return {
      init: () => ok({ ...none, isGreeted: false }, { continue: ['greet'] }),
      calls: {
        run: (state, operation, context) => reply(undefined, handled(state, operation, context)),
        look: (state) => reply(state, state),
      },
      casts: { run: (state, operation, context) => noReply(handled(state, operation, context)) },
      continues: {
        greet: (state) => noReply({ ...state, isGreeted: true }),
        work: (state, number) => {
          if (this.#world.fails()) throw new Error('the world is away')
          const worked = [...state.worked, number]
          return noReply(this.#effect(`step ${number}`, { ...state, filling: '', worked }))
        },
      },
      alarms: {
        ring: (state, number) => {
          if (this.#world.fails()) throw new Error('the world is away')
          const next = { ...state, filling: '', alarm: undefined }
          return noReply(this.#effect(`alarm ${number}`, next))
        },
      },
    }
  }

  /** The effect of a step or an alarm succeeds once, or its turn is refused, and tried later. */
  #effect(what: string, next: State): State {
    const now = this.#world.now()
    if (now - (this.#refusedAt.get(what) ?? -1_000) < 720)
      this.#wrong.push(`${what} is tried again at once`)
    if (this.#world.isRefused()) {
      this.#refusedAt.set(what, now)
      return { ...next, filling: tooLarge }
    }
    this.#starts(what)
    return next
  }

  #starts(what: string): void {
    if (this.#effects.has(what)) this.#wrong.push(`${what} has run twice`)
    this.#effects.add(what)
  }

  /** A promise whose result may be refused, and then the turn that is told so. */
  #slips(version: number) {
    const { pick, later, fails, isRefused } = this.#world
    const bytes = (): string => (isRefused() ? tooLarge : 'x')
    const machine = setup({
      types: {} as {
        context: { got: string; round: number }
        events: { type: 'begin' }
      },
      actors: {
        work: fromPromise(async ({ input: round }: { input: number }) => {
          this.#starts(promiseOf(round))
          await later(pick([0, 5, 60, 300]))
          if (fails()) throw new Error('the world is away')
          return bytes()
        }),
      },
      actions: { round: assign({ round: () => ++this.#numbers }) },
    }).createMachine({
      id: 'slip',
      context: { got: '', round: 0 },
      initial: 'idle',
      states: {
        idle: { on: { begin: 'waiting' } },
        waiting: {
          entry: 'round',
          invoke: {
            src: 'work',
            input: ({ context }) => context.round,
            onDone: { target: 'done', actions: assign({ got: ({ event }) => event.output }) },
            onError: {
              target: 'failed',
              actions: assign({ got: () => bytes() }),
            },
          },
        },
        failed: { after: { 1000: 'waiting' } },
        done: { on: { begin: 'waiting' } },
      },
    })
    return StateMachine.durable(machine, {
      ...{ version, unknownEvents: 'ignore', answers: { begin: () => 'begun' } },
      migrate: (saved) => saved as never,
    })
  }

  /** What its `init` records is refused. */
  #giants(): DurableServer<Giant, string> {
    return {
      init: (_, context) => {
        context.writes.put(giantsKey, 1)
        return ok('', { continue: ['greet'] })
      },
      calls: {
        look: (state) => reply(state, state),
      },
      continues: { greet: (state) => noReply(state) },
    }
  }

  /** Its migrated state may be too large, so that not even the failure of a step can be stored. */
  #growing(version: number): DurableServer<Growing, { at: number; filling: string }> {
    const isGrown = this.#isGrown
    return {
      version,
      migrate: (state) => ({
        ...(state as { at: number }),
        filling: isGrown ? tooLarge : '',
      }),
      init: () => ({ at: 0, filling: '' }),
      calls: {
        begin: ({ at, filling }) =>
          reply(undefined, { at: at + 1, filling }, { continue: ['end'] }),
      },
      continues: {
        end: ({ at, filling }) => {
          // That it has failed cannot be stored, so it is blocked.
          if (filling !== '') this.#starts('the step of one that has grown')
          if (filling !== '' || this.#world.fails()) throw new Error('the world is away')
          return noReply({ at: at - 1, filling })
        },
      },
    }
  }

  // What holds.

  /** The trouble is over, and time has passed: what has not happened never will. */
  async judge(during: <T>(work: Promise<T>) => Promise<T>): Promise<readonly string[]> {
    for (const who of new Set(this.#told.map(({ who }) => who))) {
      const told = this.#told.filter((each) => each.who === who)
      const state = who === 'lone' ? await during(this.#look(who)) : this.#stateOf(who)
      this.#judgeOne(who, told, state)
    }
    for (const id of this.#begun) {
      const saved = this.#app.entity(this.#kinds.slip).state(id) as { value?: unknown } | undefined
      if (saved?.value !== 'done') this.#wrong.push(`slip ${id} is stuck in ${saved?.value}`)
    }
    const grown = this.#app.entity(this.#kinds.grown)
    const isBlocked = grown.blocked().has('g')
    if (isBlocked) this.#world.counts('blocked.grown')
    if (isBlocked && !this.#isGrown) this.#wrong.push('grown is blocked')
    if (!isBlocked && (grown.state('g')?.at ?? 0) > 0) this.#wrong.push('grown has steps left')
    const { steady } = this.#kinds
    const blocked = [...this.#app.entity(steady).blocked().keys()]
    if (blocked.length > 0) this.#wrong.push(`blocked: ${blocked}`)
    return this.#wrong
  }

  /** Slips whose `onError` was refused are blocked, and go on from here. */
  unblock(): void {
    if (!isOpen(this.#app)) return
    const slips = this.#app.entity(this.#kinds.slip)
    for (const id of slips.blocked().keys()) {
      const saved = slips.state(id) as { readonly context: { readonly round: number } } | undefined
      void slips.unblock(id)
      this.#world.counts('unblocked')
      // Its promise is started again.
      this.#effects.delete(promiseOf(saved?.context.round ?? 0))
    }
  }

  #stateOf(who: string): State | undefined {
    return this.#app.entity(this.#kinds.steady).state(who)
  }

  #look(who: string): Promise<State | undefined> {
    return call(this.#ref(who), 'look', undefined, { timeoutMs: 1_000 }).catch((error) => {
      this.#wrong.push(`${who} does not answer: ${error}`)
      return undefined
    })
  }

  #judgeOne(who: string, told: readonly Told[], state: State | undefined): void {
    const { noted = [], worked = [], alarm, isGreeted } = state ?? {}
    for (const { operation, fate } of told) {
      const { number, deed } = operation
      const text = `${who} ${number} ${deed}, ${fate}`
      const isNoted = noted.includes(number)
      const isDue = fate === 'done' || (fate === 'due' && deed !== 'bad')
      if (isDue && !isNoted) this.#wrong.push(`lost: ${text}`)
      if (isNoted && (fate === 'refused' || deed === 'bad')) this.#wrong.push(`too much: ${text}`)
      if (isNoted && deed === 'work' && !worked.includes(number))
        this.#wrong.push(`the step is left: ${text}`)
      this.#world.counts(`steady.${fate}`)
    }
    if (
      !isDeepStrictEqual(
        noted,
        [...new Set(noted)].sort((a, b) => a - b),
      )
    )
      this.#wrong.push(`${who} has not kept the order: ${noted}`)
    if (new Set(worked).size < worked.length) this.#wrong.push(`${who} worked twice: ${worked}`)
    if (alarm !== undefined) this.#wrong.push(`the alarm ${alarm} of ${who} did not fire`)
    if (state && !isGreeted) this.#wrong.push(`${who} was not greeted at its birth`)
  }
}

type Program = EntityOptions & { readonly version: number }

type Own = DurableContext<Messages>

const promiseOf = (round: number): string => `promise ${round}`

const same = (state: unknown): State => state as State

type Growing = { calls: { begin: () => void }; continues: { end: () => void } }

type Giant = { calls: { look: () => string }; continues: { greet: () => void } }

const isOpen = ({ shards }: App): boolean => shards.every(({ phase }) => phase.kind === 'open')
