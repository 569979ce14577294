/**
 * One random life of durable actors, from one seed: calls, casts, steps and alarms with their
 * policies, own rows, background work, ends and migrations; kills of actors and of storage actors;
 * and the machine stops at one call to the disk after another. A life throws when the world has
 * seen anything that a durable state denies.
 */
import type { ParkedTurn } from '../../../src/actors/entities/parked-actors.ts'
import { Applier, LmdbWriter, WalWriter } from '../../../src/actors/index.ts'
import { seededRandom } from '../../../src/clock.ts'
import {
  type App,
  type GenServer,
  KeelsonError,
  name,
  noReply,
  type PastTurn,
  supervisor,
  worker,
} from '../../../src/index.ts'
import { createSystem } from '../../../src/runtime/index.ts'
import { silentLogger } from '../../../src/testing/index.ts'
import { causeFault } from '../models/cause-fault.ts'
import { EffectiveTurns, lsnOf, pageFault } from '../models/effective-turns.ts'
import { LedgerClaims } from '../models/ledger-claims.ts'
import { indexFaults } from '../models/ledger-index.ts'
import type { LifeMachine } from '../worlds/engine-machine.ts'
import { despiteDeath, fillFor, nastyMachine, setClock } from '../worlds/nasty-machine.ts'
import {
  areSame,
  emptyLedger,
  type Failing,
  keyOf,
  type Ledger,
  ledgers,
  lockedKey,
  rowsIn,
  type Try,
  type WitnessMessages,
} from './ledger-entity.ts'
import { ids, LedgerRequests } from './ledger-requests.ts'

/** What happened in a life, counted. */
export type LifeTally = Record<string, number>

/** The calls to the disk in a life, about. The machine stops at another one in each life. */
export const haltsMax = 800

/** Lives a life. Rejects with what was promised and did not hold. */
export const liveEntities = async (seed: number, on?: LifeMachine): Promise<LifeTally> => {
  const life = new EntityLife(seed, on)
  await life.begin()
  await life.live(life.pick([30, 90, 180]))
  await life.end()
  return life.tally
}

class EntityLife {
  readonly tally: LifeTally = { lives: 1 }
  readonly #random: () => number
  readonly #seed: number
  readonly #machine: LifeMachine
  readonly #claims = new LedgerClaims(
    {
      durable: (id) => this.#durable(id),
      now: () => Math.max(...this.#running.shards.map((shard) => shard.now())),
      count: (what) => this.#count(what),
      policyOf: (kind) => ({
        ...builtIn,
        ...this.#retry,
        ...(kind === 'alarm' && this.#retry?.alarms.ring),
      }),
    },
    ids,
  )
  readonly #requests: LedgerRequests
  readonly #past = new EffectiveTurns(ids.map((id) => `ledger/${id}`))
  readonly #shards: number
  #app: App | undefined
  #kind
  #version = 1
  /** The policy of the program; `undefined`: the built-in one. */
  readonly #retry
  readonly #hasOnFailed: boolean
  /** Entities end, and are deleted. */
  readonly #isMortal: boolean
  /** Processes of entities that ended neither at a close nor by a kill. */
  #ended = 0
  /** Effects fail while the world is away, some of them for good. */
  #isAway = false
  #isMended = false
  /** The disk stops, or will. */
  #isHalting = true
  readonly #haltsAt: number
  /** Decides when clocks are set: a life with that is as it is without it. */
  readonly #dice: () => number

  constructor(seed: number, on?: LifeMachine) {
    this.#seed = seed
    this.#random = seededRandom(seed)
    this.#dice = seededRandom(seed ^ 0xc10c)
    this.#shards = this.pick([1, 1, 2])
    this.#machine = on ?? nastyMachine({ seed, syncMs: this.pick([0, 1, 1, 7, 20]) })
    this.#hasOnFailed = this.pick([true, false])
    this.#isMortal = this.pick([true, false])
    this.#retry = this.pick([true, true, false]) ? this.#policy() : undefined
    this.#options = { idleMs: this.pick([5, 50, 60_000]), pipeline: this.pick([1, 3, 64]) }
    this.#kind = this.#program()
    const { clock, during } = this.#machine
    this.#requests = new LedgerRequests({
      ...{ app: () => this.#running, kind: () => this.#kind, claims: this.#claims, during },
      ...{ pick: (from) => this.pick(from), count: (what) => this.#count(what) },
      happens: (probability) => this.#random() < probability,
      after: (ms) => new Promise((resolve) => clock.after(ms, () => resolve())),
      isMortal: this.#isMortal,
    })
    this.#haltsAt = 1 + ((seed * 7) % haltsMax)
    this.#machine.disk.inject({ at: this.#haltsAt, fault: { kind: 'halt' } })
  }

  readonly #options

  #policy() {
    return {
      ...{ max: this.pick([1, 2, 4]), baseMs: this.pick([20, 700]), maxMs: 2_000 },
      jitter: this.pick([0, 0.2]),
      unless: (error: unknown) => (error as Error).message === 'for good',
      alarms: { ring: { max: this.pick([1, 3]) } },
    }
  }

  #program() {
    return ledgers(
      {
        tries: (of) => this.#tries(of),
        lastsMs: () => this.pick([0, 0, 0, 10]),
        works: (id, number, life) => this.#requests.works(id, number, life),
        wakes: (id) => this.#requests.wakes(id),
        ...(this.#hasOnFailed && {
          givesUp: (of, failed) => {
            this.#claims.givesUp(of, failed)
            return of.number % 3 === 0
          },
        }),
      },
      {
        ...this.#options,
        keys: true,
        version: this.#version,
        ...(this.#retry && { retry: this.#retry }),
      },
    )
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

  // What the world sees.

  /** The durable ledger of an entity; `undefined` while the shard cannot be read. */
  #durable(id: string): Ledger | undefined {
    try {
      return (this.#running.entity(this.#kind).state(id) ?? emptyLedger) as Ledger
    } catch {
      return undefined
    }
  }

  #tries(of: Try): Failing {
    this.#claims.tries(of)
    if (this.#isMended) return false
    if (this.#retry && of.number % 5 === 0) return 'for good'
    return this.#isAway && this.#random() < 0.8 && 'away'
  }

  readonly #witness: GenServer<WitnessMessages, null> = {
    init: () => null,
    casts: {
      told: (state, { id, number }) => {
        this.#claims.sees('messages', id, number)
        return noReply(state)
      },
    },
  }

  // What happens.

  async begin(): Promise<void> {
    try {
      await this.#start()
    } catch (error) {
      if (!this.#isHalted) throw error
      this.#count('halted starts')
      this.#crash()
      await this.#start()
    }
  }

  async #start(): Promise<void> {
    const { clock, disk, start, during } = this.#machine
    // A start on a full disk is refused.
    disk.capacityBytes = Number.POSITIVE_INFINITY
    const system = createSystem({ clock, logger: silentLogger, seed: this.#seed })
    const deaths: unknown[] = []
    const storage = /\(\d\)$|^(services|shards)$/
    system.events.on('process.restarted', ({ id }) => {
      if (!storage.test(id)) deaths.push(id)
    })
    system.events.on('process.exited', ({ label, reason }) => {
      if (!label?.startsWith('ledger/')) return
      if (reason !== 'normal') this.#claims.crashes(label.slice(7))
      if (reason !== 'shutdown' && reason !== 'killed') this.#ended++
      const isOrderly = ['normal', 'shutdown', 'killed'].includes(reason as string)
      const isThrown = reason instanceof Error && reason.message === 'thrown'
      // A handler reads a blob, and the machine has stopped.
      const isHalted = this.#isHalting && `${reason}`.includes('HALTED')
      if (!isOrderly && !isThrown && !isHalted) deaths.push(reason)
    })
    this.#deaths = deaths
    const app = await start({
      system,
      shards: this.#shards,
      app: supervisor('app', {}, [this.#kind, worker('witness', this.#witness)]),
      lmdb: { intervalMs: 5, quietMs: 2, maxLagMs: 20, trickleMs: this.#seed % 2 ? 30 : 0 },
      wal: { maxFileSize: 128 * 1024 },
      // So that the model has read what is given back.
      retention: { log: 16 * 1024 },
      blobs: { threshold: 2_000 },
    })
    this.#app = app
    for (const id of ids) {
      const lock = () => app.store.lock([lockedKey(id)], { owner: 'other', leaseMs: 1e12 })
      await during(despiteDeath(app, lock)).catch((error: KeelsonError) => {
        if (error.code !== 'LOCKED' && !disk.isHalted) throw error
      })
    }
  }

  #deaths: unknown[] = []

  async live(steps: number): Promise<void> {
    const { clock, disk } = this.#machine
    const events: (() => unknown)[] = [
      ...Array(28).fill(() => this.#requests.call()),
      ...Array(6).fill(() => this.#requests.cast()),
      ...Array(4).fill(() => clock.settle()),
      ...Array(8).fill(() => clock.advance(this.pick([1, 2, 10, 60, 1_500]))),
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
      ...Array(2).fill(() => this.#requests.stop()),
      ...Array(2).fill(() => this.#requests.unblock()),
      ...Array(this.#isMortal ? 1 : 0).fill(() => this.#requests.delete()),
      () => this.#requests.migrate(),
      () => this.#release(),
      () => this.#restart(),
      () => this.#powerCut(),
      () => this.#machine.cutOff?.(this.pick([30, 400, 6_000])),
      () => {
        this.#count('full disks')
        fillFor(disk, clock, this.pick([5, 300, 4_000]))
      },
    ]
    for (let step = 0; step < steps; step++) {
      if (this.#dice() < 0.05) this.#setClock()
      const isDown = this.#running.shards.some(({ phase }) => phase.kind !== 'open')
      if (this.#isHalted && isDown && this.#random() < 0.3) await this.#powerCut()
      else await this.pick(events)()
    }
  }

  #setClock(): void {
    this.#count('clocks set')
    setClock(this.#machine.clock, this.#dice)
  }

  /** Whether the machine has stopped at the call to the disk that this life has for it. */
  get #isHalted(): boolean {
    return this.#isHalting && this.#machine.disk.calls >= this.#haltsAt
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

  /** Snapshots give back the log before them, after the model has read it. */
  async #release(): Promise<void> {
    const { during } = this.#machine
    const app = this.#running
    if (app.shards.some(({ phase }) => phase.kind !== 'open')) return
    try {
      await during(app.control.flushAll())
      await during(this.#past.read(app))
      await during(app.control.snapshotAll())
      this.#count('releases')
    } catch (error) {
      // The machine has stopped, or a storage actor was killed meanwhile.
      if (!this.#isHalting && !(error instanceof KeelsonError)) throw error
      this.#count('releases that failed')
    }
  }

  async #restart(): Promise<void> {
    this.#count('restarts')
    this.#requests.aborted = this.#ended = 0
    const deadlineMs = this.pick([1, 20, 30_000])
    const { cutOff } = await this.#machine.during(this.#running.close({ deadlineMs }))
    const named = cutOff.filter((each) => each.part === 'work' && each.what === 'background').length
    if (named > 0) this.#count('cut off')
    const isExact = named === this.#requests.aborted || this.#ended > 0
    this.#claims.claim(isExact, `${this.#requests.aborted} works were cut off, ${named} named`)
    this.#claims.claim(
      this.#requests.working.size === 0,
      `after a close: ${[...this.#requests.working]}`,
    )
    await this.#again()
  }

  async #powerCut(): Promise<void> {
    const { disk, during } = this.#machine
    this.#count('power cuts')
    disk.halt()
    await during(this.#running.close({ deadlineMs: 0 })).catch(() => undefined)
    await this.#requests.settled()
    this.#crash()
    await this.#again()
  }

  /** The power goes, and comes back. */
  #crash(): void {
    const { disk, projections } = this.#machine
    if (this.#isHalted) this.#count(`halt ${this.#haltsAt}`)
    this.#isHalting = false
    for (const id of ids) this.#claims.crashes(id)
    disk.crash()
    disk.clearFaults()
    for (let shard = 0; shard < this.#shards; shard++)
      projections.loseCommits(`/data/shard-${shard}/lmdb`, this.pick([0, 1, 3]))
  }

  /** The next program, which may be a newer version. */
  async #again(): Promise<void> {
    const { disk, during } = this.#machine
    await this.#requests.settled()
    const left = this.#haltsAt - disk.calls
    disk.clearFaults()
    this.#isHalting = left > 0
    if (left > 0) disk.inject({ at: left, fault: { kind: 'halt' } })
    await during(this.#running.system.stop()).catch(() => undefined)
    disk.killProcess()
    this.#settleUnblocks()
    if (this.pick([true, false, false])) {
      this.#version++
      this.#kind = this.#program()
    }
    await this.begin()
    this.#check()
  }

  /** Whatever became of calls of `unblock`, it has happened. */
  #settleUnblocks(): void {
    for (const id of ids) if (this.#claims.of(id).unblocking > 0) this.#claims.unblocked(id)
  }

  // What holds.

  #check(): void {
    this.#claims.claim(this.#deaths.length === 0, `ended by themselves: ${this.#deaths}`)
    for (const id of ids) {
      const ledger = this.#durable(id)
      if (ledger) this.#compare(id, ledger)
    }
    if (this.#running.shards.every(({ phase }) => phase.kind === 'open'))
      for (const fault of indexFaults(this.#running, this.#kind)) this.#claims.claim(false, fault)
    this.#claims.judge()
  }

  #compare(id: string, ledger: Ledger): void {
    this.#claims.compare(id, ledger)
    const handle = this.#running.entity(this.#kind)
    const blocked = handle.blocked().get(id)
    const { parked = [] } = (blocked?.details ?? {}) as { parked?: ParkedTurn[] }
    this.#claims.claim(!blocked || parked.length > 0, `${id} is listed with nothing parked`)
    this.#claims.parks(id, ledger, parked, this.#hasOnFailed)
    const { store } = this.#running
    const { end, version, rows, operations } = ledger
    const key = keyOf(id, operations[0])
    const isBorn = operations.length > 0
    const claims: readonly (readonly [boolean, string])[] = [
      [this.#claims.hasKey(id, ledger, store.get(key)) || !isBorn, 'denies what it wrote'],
      [store.get(lockedKey(id)) === undefined, 'wrote the locked key'],
      [areSame(this.#rowsOf(id) ?? rows, rows), 'denies its rows'],
      [handle.endsAt(id) === end?.at, `ends at ${handle.endsAt(id)}, not ${end?.at}`],
      [version === this.#version || !isBorn, `is of version ${version}, not ${this.#version}`],
    ]
    for (const [holds, what] of claims) this.#claims.claim(holds, `${id} ${what}`)
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

  /** Lets everything that was recorded happen, and ends. */
  async end(): Promise<void> {
    const { clock, disk, during } = this.#machine
    this.#isAway = false
    if (this.pick([true, false])) await this.#powerCut()
    if (this.#isHalted) await this.#powerCut()
    disk.clearFaults()
    this.#isHalting = false
    await this.#reopen()
    await clock.advance(200_000)
    await this.#reopen()
    await clock.advance(10_000)
    await this.#requests.settled()
    this.#check()
    await this.#requests.answer()
    this.#isMended = true
    this.#settleUnblocks()
    this.#requests.unblock(5_000)
    await clock.advance(10_000)
    this.#check()
    for (const id of ids) this.#isDone(id)
    if (!this.#machine.cutOff) await this.#comparePast()
    await during(this.#running.close())
    await during(this.#running.system.stop())
    this.#claims.claim(clock.untilNext() === undefined, 'a timer is left')
    this.#claims.judge()
  }

  /** The history of each entity is what its log did, turn by turn: now, and as of some LSN. */
  async #comparePast(): Promise<void> {
    const { during } = this.#machine
    const kind = this.#running.entity(this.#kind)
    const survived = <T>(work: () => Promise<T>) => during(despiteDeath(this.#running, work))
    await survived(() => this.#past.read(this.#running))
    for (const id of ids) {
      const all = this.#past.of(`ledger/${id}`)
      const atLsn = Math.max(1, lsnOf(this.pick(all)))
      for (const at of [Number.MAX_SAFE_INTEGER, atLsn]) {
        const page = await survived(() => kind.history(id, { limit: 1_000, atLsn: at }))
        const fault = pageFault(page, all, at)
        this.#claims.claim(fault === undefined, `the past of ${id} ${fault}`)
        for (const [at, turn] of page.turns.entries()) {
          const fault = causeFault(turn as PastTurn<Ledger>, page.turns[at + 1] as PastTurn<Ledger>)
          this.#claims.claim(
            fault === undefined,
            `the cause of lsn ${turn.lsn} of ${id} is ${fault}`,
          )
          this.#count(`cause ${turn.cause.message}`)
        }
        if (page.isCut) this.#count('past cut')
        this.tally.past = (this.tally.past ?? 0) + page.turns.length
      }
    }
  }

  /** Everything that was recorded has happened, and nothing is left of what has ended. */
  #isDone(id: string): void {
    const ledger = this.#durable(id)
    if (!ledger) throw new Error(`shard of ${id}: ${JSON.stringify(this.#running.health())}`)
    const { consumed, recorded, failed, alarm, end } = ledger
    const left = recorded.filter((each) => !consumed.includes(each) && !failed.includes(each))
    const { store } = this.#running
    this.#claims.claim(left.length === 0, `${id} has steps left: ${left}`)
    this.#claims.claim(alarm === undefined, `${id} has an alarm that did not fire`)
    this.#claims.claim(end === undefined, `${id} has ended, and is there`)
    for (const [first, { written, isRemoved }] of this.#claims.of(id).gone) {
      if (isRemoved === undefined) continue
      const expected = isRemoved ? undefined : written || undefined
      this.#claims.claim(store.get(keyOf(id, first)) === expected, `${id} left its key ${first}`)
    }
  }
}

/** Of steps and alarms without a policy. */
const builtIn = { max: Number.POSITIVE_INFINITY, baseMs: 1_000, maxMs: 60_000 }
