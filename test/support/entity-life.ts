/**
 * One random life of durable actors: calls, casts, steps and alarms, kills of actors, of storage
 * actors and of the machine, from one seed. A life throws when the world has seen anything that a
 * durable state denies.
 */

import { fieldCountsIn, kindCountIn } from '../../src/actors/entities/entity-listing.ts'
import { Applier, LmdbWriter, WalWriter } from '../../src/actors/index.ts'
import { seededRandom } from '../../src/clock.ts'
import {
  type App,
  call,
  cast,
  type GenServer,
  type KeelsonError,
  name,
  noReply,
  supervisor,
  worker,
} from '../../src/index.ts'
import { createSystem } from '../../src/runtime/index.ts'
import { encodeIndexValue } from '../../src/storage/index.ts'
import { silentLogger } from '../../src/testing/index.ts'
import {
  areSame,
  type Deed,
  fieldsOf,
  keyOf,
  type Ledger,
  ledgers,
  lockedKey,
  type Operation,
  rowsIn,
  type WitnessMessages,
} from './ledger-entity.ts'
import { machine } from './simulated-instance.ts'

/** What happened in a life, counted. */
export type LifeTally = Record<string, number>

/** Codes that say that nothing of the call became durable. */
const never = [
  ...['LOCKED', 'TOO_LARGE', 'SHARD_DOWN', 'CLOSED', 'NO_PROCESS', 'MAILBOX_FULL', 'EXITED'],
]
/** Codes that leave it open. */
const open = ['UNKNOWN_OUTCOME', 'TIMEOUT']

/** What is known of one entity. */
type Known = {
  /** The longest list of operations that the world has seen. */
  released: readonly number[]
  /** Operations that were refused at each try. */
  readonly refused: Set<number>
  /** The step of each operation that has acted on the world. */
  readonly steps: Map<number, string>
}

const ids = ['a', 'b', 'c']
const deeds: readonly Deed[] = [
  ...(['note', 'note', 'note', 'look', 'write', 'write', 'locked', 'step', 'step'] as const),
  ...(['alarm', 'alarm', 'cancel', 'tell', 'tell', 'slow', 'throw', 'large'] as const),
  ...(['row', 'row', 'large row', 'remove row'] as const),
]

/** Lives a life. Rejects with what was promised and did not hold. */
export const liveEntities = async (seed: number): Promise<LifeTally> => {
  const life = new EntityLife(seed)
  await life.begin()
  await life.live(life.pick([20, 60, 120]))
  await life.end()
  return life.tally
}

class EntityLife {
  readonly tally: LifeTally = { lives: 1 }
  readonly #random: () => number
  readonly #seed: number
  readonly #machine: ReturnType<typeof machine>
  readonly #known = new Map<string, Known>(
    ids.map((id) => [id, { released: [], refused: new Set(), steps: new Map() }]),
  )
  readonly #pending = new Map<Promise<void>, string>()
  readonly #kind
  readonly #shards: number
  /** Operations that were called with an id, to be repeated with the same one. */
  readonly #repeatable: { readonly id: string; readonly operation: Operation }[] = []
  readonly #wrong: string[] = []
  #numbers = 0
  #app: App | undefined
  /** Effects fail while the world is away. */
  #isAway = false
  /** The disk stops, or will. */
  #isHalting = false

  constructor(seed: number) {
    this.#seed = seed
    this.#random = seededRandom(seed)
    this.#shards = this.pick([1, 1, 2])
    this.#machine = machine({ seed, syncMs: this.pick([0, 1, 1, 7, 20]) })
    this.#kind = ledgers(
      {
        works: (id, number, step) => this.#works(id, number, step),
        rings: (id, number, ledger, now) => this.#rings(id, number, ledger, now),
      },
      { idleMs: this.pick([5, 50, 60_000]), pipeline: this.pick([1, 3, 64]) },
    )
  }

  pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.#random() * from.length)] as T
  }

  get #running(): App {
    if (!this.#app) throw new Error('the instance runs')
    return this.#app
  }

  #of(id: string): Known {
    return this.#known.get(id) as Known
  }

  #count(what: string): void {
    this.tally[what] = (this.tally[what] ?? 0) + 1
  }

  /** Notes what does not hold. A throw in a handler would only be a crash of its process. */
  #claim(holds: boolean, what: string): void {
    if (!holds) this.#wrong.push(what)
  }

  #judge(): void {
    if (this.#wrong.length > 0) throw new Error(this.#wrong.join('; '))
  }

  // What the world sees.

  /** The durable ledger of an entity; `undefined` while the shard cannot be read. */
  #durable(id: string): Ledger | undefined {
    try {
      const found = this.#running.entity(this.#kind).state(id)
      return (found ?? { operations: [], recorded: [], consumed: [], rung: [], rows: {} }) as Ledger
    } catch {
      return undefined
    }
  }

  /** Something that an operation of an entity caused is seen: the operation must be durable. */
  #sees(what: string, id: string, number: number): void {
    const ledger = this.#durable(id)
    if (!ledger) return
    this.#count(what)
    this.#claim(ledger.operations.includes(number), `${what} of ${number} of ${id} left too soon`)
  }

  /** A state of an entity was shown: it continues every one that was shown before. */
  #shows(id: string, operations: readonly number[]): void {
    const known = this.#of(id)
    const [shorter, longer] =
      operations.length < known.released.length
        ? [operations, known.released]
        : [known.released, operations]
    this.#claim(
      isPrefix(shorter, longer),
      `the history of ${id} has two ends: ${shorter} | ${longer}`,
    )
    known.released = longer
  }

  #works(id: string, number: number, step: string): boolean {
    this.#sees('steps', id, number)
    const { steps } = this.#of(id)
    const first = steps.get(number)
    if (first === undefined) {
      for (const known of this.#known.values())
        this.#claim(![...known.steps.values()].includes(step), `${step} is the step of two effects`)
      steps.set(number, step)
    } else this.#claim(step === first, `the step of ${number} of ${id} changed`)
    return this.#isAway && this.#random() < 0.8
  }

  #rings(id: string, number: number, ledger: Ledger, now: number): boolean {
    this.#sees('alarms', id, number)
    this.#claim(ledger.alarm?.number === number, `a setting of ${id} fires that does not stand`)
    this.#claim(now >= (ledger.alarm?.at ?? 0), `the alarm ${number} of ${id} fires early`)
    return this.#isAway && this.#random() < 0.8
  }

  readonly #witness: GenServer<WitnessMessages, null> = {
    init: () => null,
    casts: {
      told: (state, { id, number }) => {
        this.#sees('messages', id, number)
        return noReply(state)
      },
    },
  }

  // What happens.

  async begin(): Promise<void> {
    const { clock, start, during } = this.#machine
    const system = createSystem({ clock, logger: silentLogger, seed: this.#seed })
    const deaths: unknown[] = []
    this.#app = await start({
      system,
      shards: this.#shards,
      app: supervisor('app', {}, [this.#kind, worker('witness', this.#witness)]),
      lmdb: { intervalMs: 5, quietMs: 2, maxLagMs: 20 },
      wal: { maxFileSize: 128 * 1024 },
      blobs: { threshold: 2_000 },
    })
    const storage = /\(\d\)$|^(services|shards)$/
    system.events.on('process.restarted', ({ id }) => {
      if (!storage.test(id)) deaths.push(id)
    })
    system.events.on('process.exited', ({ label, reason }) => {
      const isOrderly = ['normal', 'shutdown', 'killed'].includes(reason as string)
      const isThrown = reason instanceof Error && reason.message === 'thrown'
      // A handler reads a blob, and the machine has stopped.
      const isHalted = this.#isHalting && `${reason}`.includes('HALTED')
      if (label?.startsWith('ledger/') && !isOrderly && !isThrown && !isHalted) deaths.push(reason)
    })
    this.#deaths = deaths
    for (const id of ids)
      await during(
        this.#app.store.lock([lockedKey(id)], { owner: 'other', leaseMs: 10_000_000 }),
      ).catch((error: KeelsonError) => {
        if (error.code !== 'LOCKED') throw error
      })
  }

  #deaths: unknown[] = []

  #operation(): Operation {
    this.#numbers++
    return { number: this.#numbers, deed: this.pick(deeds), ms: this.pick([0, 3, 30, 400, 3_000]) }
  }

  #call(): void {
    const again = this.#random() < 0.15 ? this.pick(this.#repeatable) : undefined
    const id = again?.id ?? this.pick(ids)
    const operation = again?.operation ?? this.#operation()
    const withId = again !== undefined || this.#random() < 0.2
    if (withId && !again) this.#repeatable.push({ id, operation })
    const timeoutMs = this.pick([2, 40, 5_000, Number.POSITIVE_INFINITY])
    const options = withId ? { timeoutMs, id: `call-${operation.number}` } : { timeoutMs }
    this.#count('calls')
    const work = call(this.#running.entity(this.#kind).ref(id), 'run', operation, options)
    const done = work.then(
      (ledger) => this.#answered(id, operation, ledger),
      (error: KeelsonError) => this.#failed(id, operation, error, withId),
    )
    this.#pending.set(
      done,
      `${operation.number} ${operation.deed} of ${id}, ${JSON.stringify(options)}`,
    )
    done.finally(() => this.#pending.delete(done)).catch(() => undefined)
  }

  #answered(id: string, { number, deed }: Operation, { operations }: Ledger): void {
    this.#count('answers')
    this.#shows(id, operations)
    if (deed === 'look') return
    this.#claim(operations.at(-1) === number, `the reply to ${number} is that to another`)
    this.#sees('replies', id, number)
  }

  #failed(id: string, { number }: Operation, error: KeelsonError, withId: boolean): void {
    this.#count(`failed.${error.code ?? error.message}`)
    if (error.message === 'thrown' || never.includes(error.code)) {
      if (!withId) this.#of(id).refused.add(number)
    } else if (!open.includes(error.code)) throw error
  }

  #cast(): void {
    this.#count('casts')
    cast(this.#running.entity(this.#kind).ref(this.pick(ids)), 'run', this.#operation())
  }

  async live(steps: number): Promise<void> {
    const { clock, disk } = this.#machine
    const events: (() => unknown)[] = [
      ...Array(20).fill(() => this.#call()),
      ...Array(6).fill(() => this.#cast()),
      ...Array(4).fill(() => clock.settle()),
      ...Array(5).fill(() => clock.advance(this.pick([1, 2, 10, 60, 1_500]))),
      ...Array(2).fill(() => this.#check()),
      ...Array(3).fill(() => this.#kill(name(`ledger/${this.pick(ids)}`) as never, 'kills.entity')),
      ...Array(2).fill(() =>
        this.#kill(
          this.pick<never>([WalWriter, Applier, LmdbWriter].map((each) => each.name(0)) as never),
          'kills.storage',
        ),
      ),
      () => {
        this.#isAway = !this.#isAway
      },
      () => this.#reopen(),
      () => {
        this.#count('faults')
        const fault = { kind: 'error', code: 'EIO' } as const
        const operation = this.pick(['sync', 'write'] as const)
        disk.inject({ at: this.pick([1, 3]), operation, path: '/data/shard-0/wal', fault })
      },
      () => {
        this.#count('halts')
        this.#isHalting = true
        disk.inject({ at: 1 + Math.floor(this.#random() * 30), fault: { kind: 'halt' } })
      },
      () => this.#restart(),
      () => this.#powerCut(),
    ]
    for (let step = 0; step < steps; step++) await this.pick(events)()
  }

  #kill(victim: never, what: string): void {
    this.#count(what)
    this.#running.system.kill(victim)
  }

  async #reopen(): Promise<void> {
    for (const { index, phase } of this.#running.shards)
      if (phase.kind === 'down') {
        this.#count('reopened')
        await this.#machine.during(this.#running.control.reopen(index)).catch(() => undefined)
      }
  }

  async #restart(): Promise<void> {
    this.#count('restarts')
    await this.#machine.during(this.#running.close({ deadlineMs: this.pick([5, 30_000]) }))
    await this.#again()
  }

  async #powerCut(): Promise<void> {
    const { disk, during, projections } = this.#machine
    this.#count('power cuts')
    disk.halt()
    await during(this.#running.close({ deadlineMs: 0 })).catch(() => undefined)
    await this.#settled()
    disk.crash()
    for (let shard = 0; shard < this.#shards; shard++)
      projections.loseCommits(`/data/shard-${shard}/lmdb`, this.pick([0, 1, 3]))
    await this.#again()
  }

  async #again(): Promise<void> {
    await this.#settled()
    this.#machine.disk.clearFaults()
    this.#isHalting = false
    await this.#machine.during(this.#running.system.stop()).catch(() => undefined)
    this.#machine.disk.killProcess()
    await this.begin()
    this.#check()
  }

  /** Every call settles, exactly once. */
  async #settled(): Promise<void> {
    await this.#machine.during(Promise.all([...this.#pending.keys()]), 5_500).catch((error) => {
      throw error.code === 'TIMEOUT'
        ? new Error(`never settled: ${[...this.#pending.values()].join('; ')}`)
        : error
    })
  }

  // What holds.

  #check(): void {
    this.#claim(this.#deaths.length === 0, `ended by themselves: ${this.#deaths}`)
    for (const id of ids) {
      const ledger = this.#durable(id)
      if (ledger) this.#compare(id, ledger)
    }
    if (this.#running.shards.every(({ phase }) => phase.kind === 'open')) this.#compareIndexes()
    this.#judge()
  }

  #compare(id: string, ledger: Ledger): void {
    this.#count('looks')
    const { operations, consumed, recorded, rung } = ledger
    const { refused, released } = this.#of(id)
    this.#shows(id, operations)
    const isOnce = (numbers: readonly number[]): boolean => new Set(numbers).size === numbers.length
    const repeated = new Set(this.#repeatable.map(({ operation }) => operation.number))
    const once = operations.filter((number) => !repeated.has(number))
    const { store } = this.#running
    const claims: readonly (readonly [boolean, string])[] = [
      [isPrefix(released, operations), `lost ${released} of ${operations}`],
      [isOnce(operations), `applied a turn twice: ${operations}`],
      [isOnce(consumed), `consumed a step twice: ${consumed}`],
      [isOnce(rung), `fired an alarm twice: ${rung}`],
      [consumed.every((number) => recorded.includes(number)), `made up a step: ${consumed}`],
      [once.every((number, at) => number > (once[at - 1] ?? 0)), `reordered turns: ${once}`],
      [!operations.some((number) => refused.has(number)), `has a refused turn: ${operations}`],
      [store.get(keyOf(id)) === (ledger.written || undefined), 'denies what it wrote'],
      [store.get(lockedKey(id)) === undefined, 'wrote the locked key'],
      [areSame(this.#rowsOf(id) ?? ledger.rows, ledger.rows), 'denies its rows'],
    ]
    for (const [holds, what] of claims) this.#claim(holds, `${id} ${what}`)
  }

  /** The rows of an entity; `undefined` if the machine has stopped and their blobs cannot be read. */
  #rowsOf(id: string): Ledger['rows'] | undefined {
    try {
      return rowsIn(this.#running.entity(this.#kind).rows(id))
    } catch (error) {
      if (this.#isHalting && `${error}`.includes('HALTED')) return undefined
      throw error
    }
  }

  /** Each index has every entity once, with the value that its state gives, and no other row. */
  #compareIndexes(): void {
    const handle = this.#running.entity(this.#kind)
    const born = handle
      .list()
      .entries.map(({ id, state }) => ({ id, fields: fieldsOf(state as Ledger) }))
    for (const field of ['count', 'written'] as const) {
      this.#count('indexes')
      const expected = born
        .sort((a, b) => a.fields[field] - b.fields[field] || (a.id < b.id ? -1 : 1))
        .map(({ id, fields }) => `${id} ${fields[field]}`)
      const values = new Set(born.map(({ fields }) => fields[field]))
      const found = [...values].flatMap((value) =>
        handle.list({ where: { [field]: value } }).entries.map(({ id }) => `${id} ${value}`),
      )
      const all = handle.list({ where: { [field]: { gte: 0 } } }).entries.map(({ id }) => id)
      this.#compareCounts(field, born)
      const isRight = `${found}` === `${expected}` && all.length === expected.length
      this.#claim(isRight, `${field} has ${all}: ${found}, and states say ${expected}`)
    }
  }

  /** The counters are those of the states that are shown, once they are built. */
  #compareCounts(
    field: 'count' | 'written',
    born: readonly { readonly fields: Record<string, number> }[],
  ): void {
    const counts = new Map<string, number>()
    let all = 0
    for (const shard of this.#running.shards) {
      const [values, ofKind] = [fieldCountsIn(shard, 'ledger', field), kindCountIn(shard, 'ledger')]
      if (!values || ofKind === undefined) return
      all += ofKind
      for (const [value, count] of values) counts.set(value, (counts.get(value) ?? 0) + count)
    }
    this.#count('counters')
    const expected = new Map<string, number>()
    for (const { fields } of born) {
      const value = encodeIndexValue(fields[field] as number)
      expected.set(value, (expected.get(value) ?? 0) + 1)
    }
    const [one, other] = [[...counts].sort(), [...expected].sort()]
    this.#claim(`${one}` === `${other}`, `${field} is counted ${one}, and states say ${other}`)
    this.#claim(all === born.length, `${all} are counted, and ${born.length} have a row`)
  }

  /** Lets everything that was recorded happen, and ends. */
  async end(): Promise<void> {
    const { clock, disk, during } = this.#machine
    this.#isAway = false
    disk.clearFaults()
    if (this.#isHalting || this.pick([true, false])) await this.#powerCut()
    await this.#reopen()
    await clock.advance(200_000)
    await this.#reopen()
    await clock.advance(10_000)
    await this.#settled()
    this.#check()
    for (const id of ids) {
      const ledger = this.#durable(id)
      if (!ledger) throw new Error(`shard of ${id}: ${JSON.stringify(this.#running.health())}`)
      const { consumed = [], recorded = [] } = ledger
      this.#claim(consumed.length === recorded.length, `${id} has steps left: ${recorded}`)
      this.#claim(ledger.alarm === undefined, `${id} has an alarm that did not fire`)
    }
    await during(this.#running.close())
    await during(this.#running.system.stop())
    this.#claim(clock.untilNext() === undefined, 'a timer is left')
    this.#judge()
  }
}

const isPrefix = (shorter: readonly number[], longer: readonly number[]): boolean =>
  shorter.every((number, at) => longer[at] === number)
