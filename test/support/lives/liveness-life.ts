/**
 * One random life of durable actors in trouble: calls that time out, stops, deletes, kills, hung
 * handlers, rows that cannot be used, full and failing disks, from one seed. When the trouble is
 * over everything must go on. A life throws if a call never settles, a process spins, an entity is
 * stuck, or a due alarm or step does not run, or if an actor that was not killed has lost anything
 * (`steady-actors.ts`).
 */
import { Applier, BlobStore, LmdbWriter, WalWriter } from '../../../src/actors/index.ts'
import { seededRandom } from '../../../src/clock.ts'
import {
  type App,
  call,
  cast,
  isKeelsonError,
  type KeelsonError,
  name,
  type Ref,
  supervisor,
  worker,
} from '../../../src/index.ts'
import { createSystem } from '../../../src/runtime/index.ts'
import { StateMachine } from '../../../src/runtime/state-machine/state-machine.ts'
import { silentLogger } from '../../../src/testing/index.ts'
import { fillFast } from '../harm/full-disk.ts'
import { CountedTurns } from '../worlds/counted-turns.ts'
import { unevenClock } from '../worlds/nasty-machine.ts'
import { machine } from '../worlds/simulated-instance.ts'
import {
  type Deed,
  type Ledger,
  ledgers,
  lockedKey,
  type Operation,
  witness,
} from './ledger-entity.ts'
import { atRest, orders } from './order-machine.ts'
import type { Tally } from './seed-lives.ts'
import { SteadyActors } from './steady-actors.ts'

/** What a call may be refused with. */
const refusals: readonly unknown[] = [
  ...['LOCKED', 'TOO_LARGE', 'SHARD_DOWN', 'CLOSED', 'NO_PROCESS', 'EXITED', 'BLOCKED', 'NO_SPACE'],
  ...['UNKNOWN_OUTCOME', 'TIMEOUT', 'NOT_SUBMITTED', 'BUSY'],
  // The disk failed as it made the file of the next segment, so the turn was not written.
  'READ_ONLY',
]

const ids = ['a', 'b', 'c']
const deeds: readonly Deed[] = [
  ...(['note', 'note', 'look', 'write', 'locked', 'step', 'step', 'alarm', 'alarm'] as const),
  ...(['cancel', 'tell', 'slow', 'slow', 'throw', 'large', 'hang', 'keep'] as const),
]

/** More turns in one second without work than timers, sweeps and markers take. */
const idleTurnsMax = 100

/** Lives a life. Rejects with what was promised and did not hold. */
export const liveThroughTrouble = async (seed: number): Promise<Tally> => {
  const life = new LivenessLife(seed)
  await life.begin()
  await life.live(life.pick([20, 60, 120]))
  await life.end()
  return life.tally
}

class LivenessLife {
  readonly tally: Tally = { lives: 1 }
  readonly #random: () => number
  readonly #seed: number
  readonly #machine: ReturnType<typeof machine>
  readonly #idleMs: number
  readonly #pending = new Map<Promise<void>, string>()
  readonly #wrong: string[] = []
  #app: App | undefined
  readonly #steady: SteadyActors
  readonly #shards: number
  #ledgers!: ReturnType<typeof ledgers>
  #orders!: ReturnType<typeof orders>
  #version = 0
  #numbers = 0
  /** Effects fail while the world is away. */
  #isAway = false
  /** Rows cannot be used, and entities fail as they wake. */
  #isSick = false
  /** Turns of steady actors are refused. */
  #isStrict = false
  readonly #turns: CountedTurns

  constructor(seed: number) {
    this.#seed = seed
    this.#random = seededRandom(seed)
    this.#machine = machine({
      seed,
      clock: unevenClock(seed),
      syncMs: this.pick([0, 1, 7]),
      capacityBytes: roomy,
    })
    this.#turns = new CountedTurns(this.#machine.clock, (what) => this.#wrong.push(what))
    this.#idleMs = this.pick([5, 50, 60_000])
    this.#shards = this.pick([1, 2])
    this.#steady = new SteadyActors({
      pick: (from) => this.pick(from),
      now: () => this.#machine.clock.monotonic(),
      later: (ms) => new Promise((resolve) => this.#machine.clock.after(ms, () => resolve())),
      fails: this.#fails,
      isRefused: () => this.#isStrict && this.#random() < 0.7,
      awaits: (text, work) => this.#awaits(text, work),
      counts: (what) => this.#count(what),
    })
  }

  pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.#random() * from.length)] as T
  }

  get #running(): App {
    if (!this.#app) throw new Error('the instance runs')
    return this.#app
  }

  #count(what: string): void {
    this.tally[what] = (this.tally[what] ?? 0) + 1
  }

  #judge(): void {
    if (this.#wrong.length > 0) throw new Error(this.#wrong.join('; '))
  }

  // The world.

  readonly #fails = (): boolean => this.#isAway && this.#random() < 0.8

  readonly #isUsed = (): void => {
    if (this.#isSick && this.#random() < 0.9) throw new Error('sick')
  }

  readonly #lastsMs = (): number => this.pick([0, 0, 0, 5, 300, 3_000])

  /** The kinds of a program that is newer than the last one: their rows are migrated. */
  #program() {
    this.#version++
    const options = {
      ...{ version: this.#version, idleMs: this.#idleMs, handlerTimeoutMs: 2_000 },
      pipeline: this.pick([1, 3, 64]),
    }
    this.#ledgers = ledgers(
      {
        ...{ tries: () => this.#fails() && 'away', lastsMs: this.#lastsMs },
        ...{ wakes: this.#isUsed, migrates: this.#isUsed },
      },
      { ...options, handlerTimeoutMs: 4_000 },
    )
    this.#orders = orders(
      {
        charges: async () => {
          const fails = this.#fails()
          await new Promise<void>((resolve) =>
            this.#machine.clock.after(this.#lastsMs(), () => resolve()),
          )
          if (fails) throw new Error('the bank is away')
          return 'x'.repeat(this.pick([10, 10, 10, 100_000]))
        },
        ships: () => {
          if (this.#fails()) throw new Error('the post is away')
        },
        migrates: this.#isUsed,
      },
      options,
    )
    const parts = [this.#ledgers, this.#orders, worker('witness', witness)]
    return [...parts, ...this.#steady.children(options)]
  }

  // What happens.

  async begin(): Promise<void> {
    const { start, during } = this.#machine
    const parts = this.#program() as never[]
    const system = createSystem({
      clock: this.#turns.clock,
      logger: silentLogger,
      seed: this.#seed,
    })
    this.#app = await start({
      system,
      shards: this.#shards,
      app: supervisor('app', { intensity: 1e6 }, parts),
      blobs: { threshold: 8 * 1024 },
      lmdb: { intervalMs: 5, quietMs: 2, maxLagMs: 20, trickleMs: this.#seed % 2 ? 30 : 0 },
      wal: { maxFileSize: 128 * 1024 },
    })
    for (const id of ids)
      await during(
        this.#app.store.lock([lockedKey(id)], { owner: 'other', leaseMs: 10_000_000 }),
      ).catch(() => undefined)
    await this.#steady.begin(this.#app, during)
  }

  /** Notes an answer that is due. `text` tells which one, if it never comes. */
  #awaits(text: string, work: Promise<unknown>): void {
    const done = work.then(
      () => this.#count('answers'),
      (error: unknown) => {
        const { code = (error as Error).message } = error as KeelsonError
        this.#count(`failed.${code}`)
        if (code !== 'thrown' && !refusals.includes(code)) this.#wrong.push(`${text}: ${error}`)
      },
    )
    this.#pending.set(done, text)
    void done.then(() => this.#pending.delete(done))
  }

  get #timeoutMs(): number {
    return this.pick([2, 40, 5_000, Number.POSITIVE_INFINITY])
  }

  #operation(): Operation {
    this.#numbers++
    return { number: this.#numbers, deed: this.pick(deeds), ms: this.pick([0, 3, 30, 400, 3_000]) }
  }

  #ledger(): Ref<import('./ledger-entity.ts').LedgerMessages> {
    return this.#running.entity(this.#ledgers).ref(this.pick(ids))
  }

  #call(): void {
    this.#count('calls')
    const operation = this.#operation()
    const timeoutMs = this.#timeoutMs
    // A handler that keeps its `from` has no outcome to remember.
    const hasId = this.#random() < 0.2 && operation.deed !== 'keep'
    const id = hasId ? { id: `call-${operation.number}` } : {}
    const text = `${operation.number} ${operation.deed} within ${timeoutMs} ms`
    this.#awaits(text, call(this.#ledger(), 'run', operation, { timeoutMs, ...id }))
  }

  #order(): void {
    const type = this.pick(['place', 'place', 'place', 'status', 'cancel'] as const)
    this.#count(`orders.${type}`)
    const ref = this.#running.entity(this.#orders).ref(this.pick(ids))
    if (type === 'cancel') StateMachine.send(ref, { type })
    else {
      const timeoutMs = this.#timeoutMs
      const answer = StateMachine.call(ref, { type }, { timeoutMs })
      this.#awaits(`${type} within ${timeoutMs} ms`, answer)
    }
  }

  #ends(how: 'stop' | 'delete'): void {
    this.#count(how)
    const handle = this.#running.entity(this.pick([this.#ledgers, this.#orders]) as never)
    const timeoutMs = this.#timeoutMs
    this.#awaits(`${how} within ${timeoutMs} ms`, handle[how](this.pick(ids), { timeoutMs }))
  }

  #kill(what: string, victim: string): void {
    this.#count(`kills.${what}`)
    this.#running.system.kill(name(victim) as never)
  }

  #unblock(): void {
    for (const kind of [this.#ledgers, this.#orders]) {
      const handle = this.#running.entity(kind as never)
      try {
        for (const id of handle.blocked().keys())
          void handle.unblock(id).then((was) => was && this.#count('unblocked'))
      } catch (error) {
        // The kind restarts.
        if (!isKeelsonError(error, 'NO_PROCESS')) throw error
      }
    }
  }

  /** The disk is full from now on, and the log soon. */
  #fill(): void {
    this.#count('full disks')
    fillFast(this.#machine.disk, this.#running.store)
  }

  /** Steady actors are told much, and the disk fills. A call is refused at once. */
  async #shortage(): Promise<void> {
    const { clock, disk } = this.#machine
    this.#isAway = this.pick([true, false])
    this.#isStrict = this.pick([true, false])
    for (let at = 0; at < 4; at++) this.#steady.acts()
    this.#steady.bears()
    await clock.advance(this.pick([0, 5, 20]))
    this.#fill()
    await clock.advance(this.pick([20, 50]))
    for (let at = 0; at < 4; at++) this.#steady.acts()
    this.#steady.bears()
    disk.clearFaults()
    const isLate = await this.#steady.isLate(() => clock.advance(500))
    if (isLate) this.#wrong.push('a call waits for a full disk')
    this.#isStrict &&= this.pick([true, false])
    if (this.pick([true, false])) this.#free()
  }

  #free(): void {
    this.#machine.disk.capacityBytes = roomy
  }

  async live(steps: number): Promise<void> {
    const { clock, disk } = this.#machine
    const shards = Array.from({ length: this.#shards }, (_, shard) => shard)
    const storage = [WalWriter, Applier, LmdbWriter, BlobStore].flatMap((each) =>
      shards.map((shard) => String(each.name(shard))),
    )
    const events: (() => unknown)[] = [
      ...Array(16).fill(() => this.#call()),
      ...Array(6).fill(() => this.#order()),
      ...Array(3).fill(() => cast(this.#ledger(), 'run', this.#operation())),
      ...Array(3).fill(() => clock.settle()),
      ...Array(6).fill(() => clock.advance(this.pick([1, 2, 10, 60, 1_500, 6_000]))),
      ...Array(3).fill(() => this.#ends('stop')),
      ...Array(2).fill(() => this.#ends('delete')),
      ...Array(3).fill(() =>
        this.#kill('entity', `${this.pick(['ledger', 'order'])}/${this.pick(ids)}`),
      ),
      ...Array(2).fill(() => this.#kill('storage', this.pick(storage))),
      ...Array(12).fill(() => this.#steady.acts()),
      ...Array(3).fill(() => this.#shortage()),
      () => this.#steady.bears(),
      () => this.#steady.unblock(),
      () => this.#awaits('put of a blob', this.#running.store.put('{b}', 'x'.repeat(20_000))),
      () => {
        this.#isStrict = !this.#isStrict
      },
      () => this.#kill('alarms', `alarms(${this.pick(shards)})`),
      () => this.#killKind(),
      ...Array(2).fill(() => {
        this.#isAway = !this.#isAway
      }),
      ...Array(2).fill(() => {
        this.#isSick = !this.#isSick
      }),
      () => this.#unblock(),
      () => this.#fill(),
      ...Array(2).fill(() => this.#free()),
      ...Array(2).fill(() => this.#reopen()),
      () => {
        this.#count('faults')
        const fault = { kind: 'error', code: 'EIO' } as const
        const operation = this.pick(['sync', 'write'] as const)
        const path = `/data/shard-${this.pick(shards)}/${this.pick(['wal', 'wal', 'wal', 'blobs'])}`
        disk.inject({ at: this.pick([1, 3]), operation, path, fault })
      },
      () => this.#restart(),
      () => this.#powerCut(),
    ]
    for (let step = 0; step < steps; step++) {
      await this.pick(events)()
      this.#judge()
    }
  }

  #killKind(): void {
    this.#count('kills.kind')
    const kind = this.pick(['ledger', 'order'])
    const { system } = this.#running
    for (const { label, ref } of system.processes()) if (label === kind) system.kill(ref)
  }

  async #reopen(): Promise<void> {
    const { control, shards } = this.#running
    for (const { phase, index } of shards) {
      if (phase.kind === 'down') this.#count('reopened')
      for (const part of ['shard', 'followers'] as const)
        await this.#machine.during(control.reopen(index, part)).catch(() => undefined)
    }
  }

  async #restart(): Promise<void> {
    this.#count('restarts')
    await this.#machine.during(this.#running.close({ deadlineMs: this.pick([5, 30_000]) }))
    await this.#again()
  }

  async #powerCut(): Promise<void> {
    const { disk, during } = this.#machine
    this.#count('power cuts')
    disk.halt()
    await during(this.#running.close({ deadlineMs: 0 })).catch(() => undefined)
    await this.#settled('when the power was cut')
    disk.crash()
    await this.#again()
  }

  async #again(): Promise<void> {
    await this.#settled('at the end of the instance')
    this.#free()
    this.#machine.disk.clearFaults()
    await this.#machine.during(this.#running.system.stop()).catch(() => undefined)
    this.#machine.disk.killProcess()
    await this.begin()
  }

  // What holds.

  /** Every call settles. */
  async #settled(when: string): Promise<void> {
    await this.#machine.clock.advance(5_500)
    if (this.#pending.size === 0) return
    throw new Error(`never settled ${when}: ${[...this.#pending.values()].join('; ')}`)
  }

  /** The trouble is over: everything that was recorded happens, and everything goes on. */
  async end(): Promise<void> {
    const { clock, disk, during } = this.#machine
    disk.clearFaults()
    this.#free()
    await this.#isSteady()
    this.#isAway = this.pick([true, false])
    this.#isSick = this.pick([true, false])
    if (this.#isSick) {
      await this.#restart()
      await clock.advance(20_000)
    } else if (this.pick([true, false])) await this.#powerCut()
    this.#isAway = false
    this.#isSick = false
    await this.#reopen()
    this.#unblock()
    await clock.advance(100_000)
    await this.#reopen()
    this.#unblock()
    await clock.advance(200_000)
    this.#ran()
    await this.#goesOn()
    await this.#rests()
    await during(this.#running.close())
    await during(this.#running.system.stop())
    if (clock.untilNext() !== undefined) this.#wrong.push('a timer is left')
    this.#judge()
  }

  /** Steady actors go on by themselves, before any restart mends them. */
  async #isSteady(): Promise<void> {
    const { clock, during } = this.#machine
    this.#isAway = this.#isStrict = this.#isSick = false
    await clock.advance(100)
    await this.#reopen()
    this.#steady.unblock()
    await clock.advance(70_000)
    this.#wrong.push(...(await this.#steady.judge(during)))
    this.#judge()
  }

  /** Every due alarm and step has run, and each order that was placed has come to its end. */
  #ran(): void {
    const ledger = this.#running.entity(this.#ledgers)
    const order = this.#running.entity(this.#orders)
    for (const id of ids) {
      const state = ledger.state(id) as Ledger | undefined
      const { recorded = [], consumed = [], alarm } = state ?? {}
      const left = recorded.filter((number) => !consumed.includes(number))
      if (left.length > 0) this.#wrong.push(`ledger ${id} has steps left: ${left}`)
      if (alarm) this.#wrong.push(`the alarm ${alarm.number} of ledger ${id} did not fire`)
      const { value = 'open' } = (order.state(id) ?? {}) as { readonly value?: unknown }
      if (!atRest.includes(value)) this.#wrong.push(`order ${id} is stuck in ${value}`)
      this.#count(`ended.${value}`)
    }
    for (const handle of [ledger, order])
      if (handle.blocked().size > 0) this.#wrong.push(`blocked: ${[...handle.blocked().keys()]}`)
    this.#judge()
  }

  /** Every entity answers, and no call is left that waits. */
  async #goesOn(): Promise<void> {
    const { clock } = this.#machine
    for (const id of ids) {
      const note: Operation = { number: ++this.#numbers, deed: 'note', ms: 0 }
      const ledger = this.#running.entity(this.#ledgers)
      this.#goes(`ledger ${id}`, call(ledger.ref(id), 'run', note, { timeoutMs: 1_000 }))
      const order = this.#running.entity(this.#orders)
      const status = StateMachine.call(order.ref(id), { type: 'status' }, { timeoutMs: 1_000 })
      this.#goes(`order ${id}`, status)
      await clock.advance(1_100)
      // A caller whose `from` was kept learns of the end.
      for (const handle of [ledger, order]) this.#awaits(`stop of ${id}`, handle.stop(id))
    }
    await this.#settled('in peace')
    this.#judge()
  }

  #goes(who: string, work: Promise<unknown>): void {
    const wrong = (error: unknown): void => void this.#wrong.push(`${who} does not go on: ${error}`)
    this.#awaits(`${who} goes on`, work.catch(wrong))
  }

  /** Without work entities rest, and nothing but the storage's own timers turns. */
  async #rests(): Promise<void> {
    const { clock } = this.#machine
    await clock.advance(120_000)
    const awake = this.#running.system
      .processes()
      .filter(({ label }) => /^(ledger|order)\//.test(label ?? ''))
    if (awake.length > 0) this.#wrong.push(`no rest for ${awake.map(({ label }) => label)}`)
    const before = this.#turns.turns
    await clock.advance(10_000)
    const turns = (this.#turns.turns - before) / 10
    if (turns > idleTurnsMax) this.#wrong.push(`${turns} turns a second without work`)
    this.#judge()
  }
}

/** The bytes of a disk that is not full. */
const roomy = 2 ** 40
