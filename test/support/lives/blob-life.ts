/**
 * A life of an instance with large values: writes of every kind, deletes, refused and abandoned
 * writes, crashes, kills and sweeps, compared with a map of acknowledged values. An acknowledged
 * value is always readable. A blob without references is gone after its grace period and one sweep.
 */
import { expect } from 'vitest'
import { BlobStore } from '../../../src/actors/index.ts'
import { seededRandom } from '../../../src/clock.ts'
import { isKeelsonError, KeelsonError } from '../../../src/errors.ts'
import type { App } from '../../../src/supervisors/index.ts'
import { payload } from '../worlds/blob-folder.ts'
import { despiteDeath, nastyMachine, setClock } from '../worlds/nasty-machine.ts'
import { codeOf, type Machine } from '../worlds/simulated-instance.ts'

const graceMs = 20_000
const dir = '/data/shard-0/blobs'

/** What happened in a life: a property over lives in which nothing happens would hold for anything. */
export type BlobStory = Record<
  'writes' | 'crashes' | 'sweeps' | 'freed' | 'abandoned' | 'refused',
  number
>

/** What a key may hold: what was acknowledged last, and what may have taken effect since. */
type Held = (Buffer | undefined)[]

/** One life. */
export class BlobLife {
  readonly story: BlobStory = {
    writes: 0,
    crashes: 0,
    sweeps: 0,
    freed: 0,
    abandoned: 0,
    refused: 0,
  }
  readonly #seed: number
  readonly #random: () => number
  /** Decides what was added later. */
  readonly #dice: () => number
  readonly #machine: Machine
  readonly #losses: readonly (() => void)[]
  readonly #held = new Map<string, Held>()
  /** What marks the values of writes that gave up or were refused. */
  readonly #gone: string[] = []
  #app: App | undefined
  #number = 0

  /** `losses`: what the folder may lose while no instance runs, if it is a cache. */
  constructor(
    seed: number,
    on: Machine = nastyMachine({ seed }),
    losses: readonly (() => void)[] = [() => undefined],
  ) {
    this.#seed = seed
    this.#random = seededRandom(seed)
    this.#dice = seededRandom(seed ^ 0xd1ce)
    this.#machine = on
    this.#losses = losses
  }

  async run(steps: number): Promise<BlobStory> {
    await this.#start()
    for (let step = 0; step < steps; step++) await this.#step()
    await this.#check()
    await this.#sweepTwice()
    await this.#check()
    await this.#machine.during(this.#running.close())
    return this.story
  }

  get #running(): App {
    if (!this.#app) throw new Error('it does not run')
    return this.#app
  }

  #pick(count: number): number {
    return Math.floor(this.#random() * count)
  }

  async #start(): Promise<void> {
    const blobs = { threshold: 500, segmentBytes: 4096 * (1 + this.#pick(10)), graceMs, sweepMs: 0 }
    this.#app = await this.#machine.start({ blobs })
    const { store } = this.#app
    const lock = () => store.lock(['locked'], { owner: 'me', leaseMs: 10_000_000 })
    await this.#machine.during(despiteDeath(this.#app, lock))
  }

  async #step(): Promise<void> {
    // The time of a shard does not jump with it: what is locked stays locked.
    if (this.#dice() < 0.1) setClock(this.#machine.clock, this.#dice)
    const dice = this.#pick(20)
    if (dice < 9) await this.#write(1 + this.#pick(4))
    else if (dice < 11) await this.#abandon()
    else if (dice < 12) await this.#refused()
    else if (dice < 14) await this.#machine.clock.advance(this.#pick(graceMs))
    else if (dice < 17) await this.#sweep()
    else if (dice < 18) await this.#check()
    else await this.#die()
  }

  /** Some writes at once, to different keys; with a death in the middle now and then. */
  async #write(count: number): Promise<void> {
    const first = this.#pick(8)
    const writes = Array.from({ length: count }, (_, at) => this.#begin(`k${(first + at) % 8}`))
    this.story.writes += count
    if (this.#pick(6) === 0) {
      await this.#machine.clock.advance(this.#pick(6))
      await this.#die()
    } else await this.#machine.during(Promise.all(writes))
  }

  /** A write by some way. Its acknowledgement makes it what the key holds; until then it may be. */
  async #begin(key: string): Promise<void> {
    const { store } = this.#running
    const held = this.#held.get(key) ?? [undefined]
    this.#held.set(key, held)
    const last = held[held.length - 1]
    const value = Buffer.from(payload(this.#number++, this.#pick(6000)))
    const way = this.#pick(6)
    const [next, work]: [Buffer | undefined, Promise<unknown>] =
      way === 0
        ? [undefined, store.delete(key)]
        : way === 1 && held.length === 1
          ? [Buffer.concat([last ?? Buffer.alloc(0), value]), store.append(key, value)]
          : way === 2
            ? [value, store.putStream(key, [value])]
            : way === 3
              ? [value, store.putMany([[key, value]])]
              : [value, store.put(key, value)]
    held.push(next)
    const app = this.#app
    await work.then(
      () => {
        // An answer after the death of the instance is ignored.
        if (this.#app === app) this.#held.set(key, [next])
      },
      (error: unknown) => {
        if (!(error instanceof KeelsonError)) throw error
      },
    )
  }

  /** A write whose caller gives up while its blob is written. */
  async #abandon(): Promise<void> {
    const mark = this.#mark('abandoned')
    const late = this.#running.store.put('late', Buffer.alloc(5000, mark), { deadlineMs: 1 })
    const code = await this.#machine.during(codeOf(late))
    // It may have been in time, or the outcome is unknown: then it stays.
    if (code !== 'NOT_SUBMITTED') return
    this.story.abandoned++
    this.#gone.push(mark)
  }

  #mark(what: string): string {
    return `<${what} ${this.#number++}>`
  }

  async #refused(): Promise<void> {
    const mark = this.#mark('refused')
    const put = this.#running.store.put('locked', Buffer.alloc(5000, mark))
    const code = await this.#machine.during(codeOf(put))
    // The thread of the log died.
    if (code === 'NOT_SUBMITTED') return
    expect(code, `seed ${this.#seed}`).toBe('LOCKED')
    this.story.refused++
    this.#gone.push(mark)
  }

  async #sweep(): Promise<void> {
    const writes = this.#pick(2) === 0 ? [this.#begin(`k${this.#pick(8)}`)] : []
    const sweeping = swept(this.#running)
    const [report] = await this.#machine.during(Promise.all([sweeping, ...writes]))
    this.story.sweeps++
    this.story.freed += report.freedBytes
  }

  async #die(): Promise<void> {
    this.story.crashes++
    const dead = this.#running
    this.#app = undefined
    const { disk } = this.#machine
    const die = () => (this.#pick(2) === 0 ? disk.crash() : disk.killProcess())
    die()
    // Its code goes on, as no dead process's does: it ends before the next begins, and so does what it did since.
    await this.#machine.during(dead.close({ deadlineMs: 0 })).catch(() => undefined)
    disk.crash()
    // No draw without a choice: the lives on a disk stay as they are.
    if (this.#losses.length > 1) this.#losses[this.#pick(this.#losses.length)]?.()
    await this.#start()
    await this.#check()
  }

  /** Every key holds what was acknowledged, or something later that may have taken effect. */
  async #check(): Promise<void> {
    const { store } = this.#running
    for (const [key, held] of this.#held) {
      const found = (await this.#machine.during(store.load(key))) as Buffer | undefined
      const at = held.findIndex((each) =>
        each === undefined || found === undefined ? each === found : each.equals(found),
      )
      expect(at, `seed ${this.#seed}: ${key} holds what was never written there`).not.toBe(-1)
      this.#held.set(key, [found])
    }
  }

  /** After the grace nothing is left of what gave up or was refused, in whatever life of the instance. */
  async #sweepTwice(): Promise<void> {
    await this.#machine.clock.advance(graceMs + 1_000)
    await this.#sweep()
    await this.#machine.clock.advance(graceMs + 1_000)
    await this.#sweep()
    const { disk } = this.#machine
    if (!disk.entry(dir)) return
    const again = await this.#machine.during(swept(this.#running))
    expect(again.freedBytes, `seed ${this.#seed}`).toBe(0)
    for (const name of disk.list(dir).filter((file) => file.endsWith('.bloblog'))) {
      const bytes = Buffer.from(disk.contents(`${dir}/${name}`))
      for (const mark of this.#gone)
        expect(bytes.includes(mark), `seed ${this.#seed}: ${mark} is in ${name}`).toBe(false)
    }
  }
}

/** A thread that dies in a sweep fails it, and frees no blob. When the shard has settled, the next sweep goes on. */
const swept = async ({ system, shards }: App) => {
  const store = system.to(BlobStore.name('default', 0))
  try {
    return await BlobStore.sweep(store)
  } catch (error) {
    if (!isKeelsonError(error, 'SHARD_DOWN')) throw error
    await Promise.all(shards.map((shard) => shard.settled()))
    return BlobStore.sweep(store)
  }
}
