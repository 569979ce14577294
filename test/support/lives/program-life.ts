/**
 * What random lives of a program with flows have in common: dice from one seed, a machine, and every
 * way in which a program ends: a kill, a power cut, a close, and a halt at any operation on the disk.
 * `FlowLife` lives runs in it, `HandleLife` jobs, schedules and turns.
 */
import { seededRandom } from '../../../src/clock.ts'
import { type Flow, flow } from '../../../src/flow/index.ts'
import { type App, isKeelsonError, type supervisor } from '../../../src/index.ts'

import type { LifeMachine } from '../worlds/engine-machine.ts'
import { fillFor, nastyMachine } from '../worlds/nasty-machine.ts'
import type { Tally } from './seed-lives.ts'

/** What a request may be refused with, but for a wrong state of what it is about. */
const troubles = [
  ...['SHARD_DOWN', 'CLOSED', 'NO_PROCESS', 'EXITED', 'UNKNOWN_OUTCOME', 'TIMEOUT', 'NO_SPACE'],
]
const refusals = [...troubles, 'CONFLICT', 'BUSY', 'BLOCKED', 'FAILED', 'CANCELLED']

export const dayMs = 86_400_000

/** One program on one machine, over all of its lives. */
export abstract class ProgramLife {
  readonly tally: Tally = { lives: 1 }
  readonly random: () => number
  readonly machine: LifeMachine
  app!: App
  readonly #shards: number
  /** The call to the disk at which the program halts. */
  #haltsAt = Number.POSITIVE_INFINITY

  constructor(seed: number, on?: LifeMachine) {
    this.random = seededRandom(seed)
    this.machine = on ?? nastyMachine({ seed, syncMs: this.pick([0, 1, 7]) })
    this.#shards = this.pick([1, 2])
  }

  /** The tree of another program. */
  protected abstract tree(): ReturnType<typeof supervisor>

  /** Whether the actors at rest are judged: then bodies are called that do not run. */
  protected get judges(): boolean {
    return true
  }

  /** What was acknowledged is there at a start. @throws Error */
  protected abstract begun(): void | Promise<void>

  /** The program ends. */
  protected ends(_how: 'kill' | 'close'): void {}

  /** @throws Error with what has broken a promise */
  protected abstract judge(): void

  pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.random() * from.length)] as T
  }

  get flow(): Flow {
    return flow(this.app)
  }

  get now(): number {
    return this.machine.clock.now()
  }

  count(what: string): void {
    this.tally[what] = (this.tally[what] ?? 0) + 1
  }

  later(ms: number): Promise<void> {
    return new Promise((resolve) => void this.machine.clock.after(ms, () => resolve()))
  }

  async begin(): Promise<void> {
    // A start on a full disk is refused.
    this.machine.disk.capacityBytes = Number.POSITIVE_INFINITY
    const { judges: judge } = this
    this.app = await this.machine.start({ shards: this.#shards, app: this.tree(), judge })
    await this.begun()
  }

  protected planHalt(): void {
    const { disk } = this.machine
    const at = 1 + Math.floor(this.random() * 400)
    this.#haltsAt = disk.calls + at
    disk.inject({ at, fault: { kind: 'halt' } })
  }

  protected get isHalted(): boolean {
    return this.machine.disk.calls >= this.#haltsAt
  }

  protected fillsDisk(): void {
    this.count('full disks')
    const { disk, clock } = this.machine
    fillFor(disk, clock, this.pick([5, 300, 20_000]))
  }

  protected async dies(unsynced?: 'lost' | 'kept'): Promise<void> {
    this.count(unsynced ? 'power cuts' : 'kills of the program')
    const { disk, during } = this.machine
    if (this.isHalted) this.count('halts')
    this.#haltsAt = Number.POSITIVE_INFINITY
    this.ends('kill')
    disk.halt()
    await during(this.app.close({ deadlineMs: 0 })).catch(() => undefined)
    await during(this.app.system.stop()).catch(() => undefined)
    disk.crash(unsynced ? { unsynced } : {})
    disk.clearFaults()
    disk.killProcess()
    await this.begin()
  }

  protected async closes(): Promise<void> {
    this.count('closes')
    await this.machine.during(this.app.close()).catch(() => undefined)
    this.ends('close')
    this.#haltsAt = Number.POSITIVE_INFINITY
    this.machine.disk.clearFaults()
    this.machine.disk.killProcess()
    await this.begin()
  }

  /** Resolves when every shard can be read: the thread of a log may have died just now. */
  async opened(): Promise<void> {
    const { clock } = this.machine
    const isOpening = (): boolean =>
      this.app.shards.some(({ phase }) => phase.kind === 'recovering')
    while (isOpening() && !this.isHalted) await clock.advance(1)
  }

  /** Asks, and answers the answer, or the code of a refusal. @throws Error for any other refusal */
  async answers<T>(what: string, ask: () => Promise<T>): Promise<{ answer: T } | { code: string }> {
    try {
      const answer = await this.machine.during(ask(), 120_000)
      this.count(what)
      return { answer }
    } catch (error) {
      const code = refusals.find((each) => isKeelsonError(error, each as 'BUSY'))
      if (code === undefined) throw new Error(`${what} is refused`, { cause: error })
      this.count(`${what}: ${code}`)
      return { code }
    }
  }

  /** Asks, and answers `undefined` when it is refused, or the answer is not known. */
  protected async asks<T>(what: string, ask: () => Promise<T>): Promise<T | undefined> {
    const answered = await this.answers(what, ask)
    return 'answer' in answered ? answered.answer : undefined
  }
}
