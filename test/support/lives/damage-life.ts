/**
 * Lives between which a file or folder of a shard is removed, cut, or has a byte changed. One seed
 * makes one folder, and damages many copies of it, each in another way. A start or a read of a copy
 * shows what was acknowledged, or is `CORRUPT`.
 *
 * The projection is a double in memory: it can be removed, damaged as a whole, or in one row.
 */
import { seededRandom } from '../../../src/clock.ts'
import {
  type Ctx,
  type DeadJob,
  type Flow,
  flow,
  flows,
  queue,
  workflow,
} from '../../../src/flow/index.ts'
import {
  type App,
  call,
  type DurableServer,
  entity,
  isKeelsonError,
  KeelsonError,
  ok,
  reply,
  supervisor,
} from '../../../src/index.ts'
import type { StartOptions } from '../../../src/supervisors/index.ts'
import { copiedMachine } from '../worlds/copied-machine.ts'
import { type Machine, machine } from '../worlds/simulated-instance.ts'
import type { Tally } from './seed-lives.ts'

/** How many copies of a folder are damaged. */
const copies = 20

const shard = '/data/shard-0'

type Account = { calls: { add: (by: string) => string } }

const account: DurableServer<Account, string> = {
  init: () => ok(''),
  calls: {
    add: (state, by) => {
      const next = (state + by).slice(-9_000)
      return reply(next, next)
    },
  },
}

const accounts = entity('account', account)

/** Its input and its output may be blobs. */
const order = workflow(
  'order',
  async (ctx: Ctx<{ approval: string }>, { text, fails, waits }: Input) => {
    const step = await ctx.step('double', () => text + text)
    if (fails) throw new Error(text.slice(0, 100))
    const by = waits ? await ctx.waitFor('approval') : 'nobody'
    return `${step}${by}`
  },
)

type Input = { readonly text: string; readonly fails?: boolean; readonly waits?: boolean }

/** The jobs that were handled in a life of the program, by their text. */
type Handled = string[]

const jobsInto = (handled: Handled) =>
  queue(
    'jobs',
    (job: { readonly text: string }) => {
      if (job.text.startsWith('bad')) throw new Error('refused')
      handled.push(job.text)
    },
    { retry: { max: 1 } },
  )

type Jobs = ReturnType<typeof jobsInto>

/** What was acknowledged: how to read it, and what it says. */
type Fact = {
  readonly what: string
  readonly read: (of: Reading) => unknown
  readonly expected: unknown
}

type State = { readonly lsn: number; readonly value: string }

type Reading = {
  readonly app: App
  readonly flow: Flow
  readonly jobs: Jobs
  readonly handled: Handled
  readonly world: Machine
}

/** Lives a seed. Rejects with a fact that was neither shown nor named as damaged. */
export const liveDamage = async (seed: number): Promise<Tally> => {
  const life = new DamageLife(seed)
  await life.make()
  for (let copy = 0; copy < copies; copy++) await life.damaged(copy)
  return life.tally
}

class DamageLife {
  readonly tally: Tally = { lives: 1, damaged: 0 }
  readonly #seed: number
  readonly #random: () => number
  readonly #facts: Fact[] = []
  /** All entries of the journal, in order. */
  readonly #entries: { readonly id: string; readonly lsn: number }[] = []
  readonly #origin: Machine
  readonly #options: Partial<StartOptions>

  constructor(seed: number) {
    this.#seed = seed
    this.#random = seededRandom(seed)
    this.#origin = machine({ seed })
    this.#options = {
      wal: { maxFileSize: 128 * 1024 },
      blobs: { threshold: 2_000, segmentBytes: 16_384, graceMs: 0, sweepMs: 0 },
      snapshot: { minLogBytes: 2 ** 30 },
    }
  }

  #pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.#random() * from.length)] as T
  }

  #count(what: string): void {
    this.tally[what] = (this.tally[what] ?? 0) + 1
  }

  async #start(world: Machine): Promise<Reading> {
    const handled: Handled = []
    const jobs = jobsInto(handled)
    const parts = flows({ workflows: [order], queues: [jobs] })
    const app = await world.start({
      ...this.#options,
      app: supervisor('app', { intensity: 100 }, [accounts, parts]),
    })
    return { app, flow: flow(app), jobs, handled, world }
  }

  /** Some are large enough for a blob. */
  #text(what: string): string {
    return `${what}:`.padEnd(this.#pick([20, 600, 3_000, 9_000]), what)
  }

  /** Fills the folder in some rounds, with a snapshot or an end of the program after each. */
  async make(): Promise<void> {
    const world = this.#origin
    let reading = await this.#start(world)
    const rounds = 1 + Math.floor(this.#random() * 3)
    for (let round = 0; round < rounds; round++) {
      await this.#fill(reading, round)
      const { app } = reading
      if (this.#pick([true, true, false])) await world.during(app.control.snapshot(0))
      if (this.#pick([true, false])) await world.during(app.control.sweep(0))
      if (this.#pick([true, false])) await this.#fill(reading, round + 10)
      const isLast = round === rounds - 1
      if (!isLast && this.#pick([true, false])) continue
      await this.#end(reading)
      if (!isLast) reading = await this.#start(world)
    }
  }

  /** A clean end, or a kill. */
  async #end({ app, world }: Reading): Promise<void> {
    if (this.#pick([true, false])) {
      await world.during(app.close())
      return
    }
    this.#count('kills')
    world.disk.halt()
    await world.during(app.close({ deadlineMs: 0 })).catch(() => undefined)
    await world.during(app.system.stop()).catch(() => undefined)
    world.disk.killProcess()
  }

  async #fill(reading: Reading, round: number): Promise<void> {
    const { app, world } = reading
    const { during } = world
    for (let at = 0; at < 6; at++) {
      const key = `k${Math.floor(this.#random() * 12)}`
      const text = this.#text(`${key}.${round}.${at}`)
      const isGone = this.#pick([true, false, false, false])
      await during(isGone ? app.store.delete(key) : app.store.put(key, text))
      const value = isGone ? undefined : text
      this.#sure(`key ${key}`, value, ({ app: now }) => now.store.load(key))
    }
    // So that a snapshot gives segments back.
    if (this.#pick([true, false]))
      for (let at = 0; at < 40; at++) await during(app.store.put('filler', 'x'.repeat(1_900)))
    for (const id of ['a', 'b', 'c']) {
      const state = await during(call(app.entity(accounts).ref(id), 'add', this.#text(`${round}`)))
      this.#sure(`entity ${id}`, state, ({ app: now }) =>
        call(now.entity(accounts).ref(id), 'add', ''),
      )
    }
    await this.#journal(reading, round)
    await this.#runs(reading, round)
    await this.#jobs(reading, round)
  }

  async #journal({ app, world: { during } }: Reading, round: number): Promise<void> {
    const id = `e${round}`
    const { lsn } = await during(app.journal.append({ id, type: 'order', command: this.#text(id) }))
    this.#entries.push({ id, lsn })
    if (!this.#pick([true, false, false])) return
    const value = this.#text(`state ${round}`)
    await during(app.journal.saveState(lsn, value))
    // A damaged newest state is logged, and the one before is loaded.
    const states = [...(this.#states() ?? []), { lsn, value }].slice(-2)
    this.#sure('state', states, ({ app: now }) => this.#recovered(now, states))
  }

  #states(): readonly State[] | undefined {
    return this.#facts.find(({ what }) => what === 'state')?.expected as
      | readonly State[]
      | undefined
  }

  /** The documented recovery: a saved state, and the later entries. Without a state all entries. */
  async #recovered({ journal }: App, states: readonly State[]): Promise<unknown> {
    const state = await journal.loadState<string>()
    const isKnown = !state || states.some(({ value }) => value === state.value)
    const found: string[] = []
    const from = (state?.lsn ?? -1) + 1
    await journal.replay({ from, handler: ({ id }) => void found.push(id) })
    const wanted = this.#entries.filter(({ lsn }) => lsn >= from).map(({ id }) => id)
    return isKnown && JSON.stringify(found) === JSON.stringify(wanted) ? states : { state, found }
  }

  async #runs({ flow: flowed, world: { during } }: Reading, round: number): Promise<void> {
    const text = this.#text(`run ${round}`)
    const done = await during(flowed.start(order, { text }, { id: `done ${round}` }))
    await during(done.result())
    this.#sure(`run ${done.id}`, `${text}${text}nobody`, ({ flow: now }) =>
      now.handle(order, done.id).result({ timeoutMs: 5_000 }),
    )
    const failing = await during(flowed.start(order, { text, fails: true }, { id: `bad ${round}` }))
    await during(failing.result()).catch(() => undefined)
    this.#sure(`run ${failing.id}`, text.slice(0, 100), ({ flow: now }) =>
      now
        .handle(order, failing.id)
        .result({ timeoutMs: 5_000 })
        .catch((error: unknown) => {
          if (isKeelsonError(error, 'FAILED')) return (error.cause as Error).message
          throw error
        }),
    )
    const waiting = await during(
      flowed.start(order, { text, waits: true }, { id: `waits ${round}` }),
    )
    this.#sure(`run ${waiting.id}`, `${text}${text}Eve`, async ({ flow: now }) => {
      const handle = now.handle(order, waiting.id)
      await handle.signal('approval', 'Eve', { id: 'once' })
      return handle.result({ timeoutMs: 5_000 })
    })
  }

  async #jobs({ flow: flowed, jobs, world }: Reading, round: number): Promise<void> {
    const bad = this.#text(`bad ${round}`)
    await world.during(flowed.add(jobs, { text: bad }))
    await world.clock.advance(1_000)
    this.#sure(`dead job ${round}`, bad, async ({ flow: now, jobs: of }) => {
      const { entries } = await now.dead(of)
      if (entries.some(isUnreadable)) throw damagedJob
      return entries.map(({ job }) => (job as { text: string }).text).find((each) => each === bad)
    })
    const later = this.#text(`later ${round}`)
    await world.during(flowed.add(jobs, { text: later }, { delay: '1h' }))
    this.#sure(
      `delayed job ${round}`,
      true,
      async ({ flow: now, jobs: of, handled, world: at }) => {
        await at.clock.advance(3_700_000)
        if (handled.includes(later)) return true
        const { unreadable } = await now.counts(of)
        const { entries } = await now.dead(of)
        if (unreadable.length > 0 || entries.some(isUnreadable)) throw damagedJob
        return 'not handled'
      },
    )
  }

  /** The last word about something. */
  #sure(what: string, expected: unknown, read: Fact['read']): void {
    const at = this.#facts.findIndex((fact) => fact.what === what)
    if (at >= 0) this.#facts.splice(at, 1)
    this.#facts.push({ what, expected, read })
  }

  /** Damages a copy, starts it and reads all facts. */
  async damaged(copy: number): Promise<void> {
    const world = await copiedMachine(this.#origin, this.#seed * 100 + copy)
    const damage = this.#damage(world)
    this.#count('damaged')
    const reading = await this.#start(world).catch((error: unknown) => error)
    if (reading instanceof Error) {
      if (!isKeelsonError(reading, 'CORRUPT'))
        throw new Error(`copy ${copy}, ${damage}: the start says ${reading}`, { cause: reading })
      this.#count('refused starts')
      return
    }
    let named = 0
    for (const fact of this.#facts) {
      const found = await this.#shown(fact, reading as Reading)
      if (found === 'named') named++
      else if (found !== undefined) throw new Error(`copy ${copy}, ${damage}: ${found}`)
    }
    this.#count(named > 0 ? 'named by readers' : 'whole')
    const { app } = reading as Reading
    await world.during(app.close({ deadlineMs: 100 })).catch(() => undefined)
  }

  /** `undefined`: it shows what was acknowledged. `named`: it is said to be damaged. */
  async #shown({ what, read, expected }: Fact, reading: Reading): Promise<string | undefined> {
    try {
      const found = await reading.world.during(Promise.resolve(read(reading)), 4_000_000)
      const isSame = JSON.stringify(found) === JSON.stringify(expected)
      return isSame ? undefined : `${what} is ${brief(found)}, and not ${brief(expected)}`
    } catch (error) {
      if (namesDamage(error)) return 'named'
      return `${what} says ${String(error)} ${JSON.stringify((error as { details?: unknown }).details)}`
    }
  }

  /** Damages a part, and says how. */
  #damage(world: Machine): string {
    const { disk, projections } = world
    const paths = [...filesBelow(disk, shard), `${shard}/lmdb`]
    const path = this.#pick(paths)
    if (path === `${shard}/lmdb`) {
      if (this.#pick([true, false])) projections.remove(path)
      else projections.damage(path, 'a byte has changed')
      return 'the projection'
    }
    const entry = disk.entry(path)
    const kind = entry?.kind === 'folder' || !entry?.size ? 'remove' : this.#pick(kinds)
    this.#count(kind)
    const at = Math.floor(this.#random() * (entry?.size ?? 0))
    if (kind === 'remove') disk.remove(path)
    else if (kind === 'cut') {
      const file = disk.open(path, 'write')
      file.truncate(at)
      file.sync()
      file.close()
    } else disk.flipBit(path, at * 8 + Math.floor(this.#random() * 8))
    return `${kind} ${path} at ${at} of ${entry?.size}`
  }
}

const kinds = ['remove', 'cut', 'flip', 'flip'] as const

/** The files and folders below `dir`. */
const filesBelow = (disk: Machine['disk'], dir: string): string[] =>
  disk.list(dir).flatMap((name) => {
    const path = `${dir}/${name}`
    return disk.entry(path)?.kind === 'folder' ? [path, ...filesBelow(disk, path)] : [path]
  })

/** How a queue lists a dead job whose value is damaged. */
const isUnreadable = ({ error }: DeadJob): boolean =>
  (error as { readonly code?: string }).code === 'CORRUPT'

const damagedJob = new KeelsonError('CORRUPT', 'a job is listed as unreadable')

/** Whether an error says that stored data are damaged. */
const namesDamage = (error: unknown): boolean => {
  if (!(error instanceof Error)) return false
  const { details, cause } = error as { details?: object; cause?: unknown }
  // The states of a journal are lost, and the log has given back what they had.
  if (isKeelsonError(error, 'CORRUPT') || isKeelsonError(error, 'BAD_CURSOR')) return true
  return JSON.stringify(details ?? {}).includes('CORRUPT') || namesDamage(cause)
}

const brief = (value: unknown): string => String(JSON.stringify(value)).slice(0, 400)
