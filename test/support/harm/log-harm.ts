/**
 * A disk that betrays its log: synced bytes rot, and a write that was answered lands elsewhere. No log can prevent that;
 * what it owes is to say so. After each harm the log is whole, or `CORRUPT` with nothing changed, or lacks frames of its last
 * group that nothing proves to have been durable; never a wrong frame. One seed decides everything.
 */
import { seededRandom } from '../../../src/clock.ts'
import type { SimulatedDisk } from '../../../src/testing/simulated/simulated-disk.ts'
import {
  commit,
  content,
  dir,
  type LogWorld,
  newestOn,
  newWorld,
  payload,
  segmentsOn,
} from '../worlds/logs.ts'
import { checkThatItGoesOn, judgeDamage } from './damage-oracle.ts'

/** How many harms came out how: reported, without consequence, or at the cost of the last, unproven group. */
export type HarmStory = {
  harms: number
  misdirected: number
  corrupt: number
  whole: number
  cut: number
}

type Frame = { readonly number: number; readonly size: number }

const sector = 512

/** Lets the disk of `seed` betray its log. @throws Error with the seed when the log believes what it should not. */
export const harmOn = (seed: number): HarmStory => new BetrayedLog(seed).run()

class BetrayedLog {
  readonly #seed: number
  readonly #random: () => number
  readonly #world: LogWorld
  readonly #story: HarmStory = { harms: 0, misdirected: 0, corrupt: 0, whole: 0, cut: 0 }
  #frames: Frame[] = []
  /** So many frames are proven by something else than their own group. */
  #proven = 0
  #number = 0

  constructor(seed: number) {
    this.#seed = seed
    this.#random = seededRandom(seed)
    this.#world = newWorld({ maxFileSize: 10 * 1024, sectorBytes: sector }, seed)
  }

  run(): HarmStory {
    this.#live(3 + this.#below(8), false)
    for (let harm = 0; harm < 6; harm++) {
      const copy = this.#world.on(this.#world.disk.clone({ seed: this.#seed + harm }))
      const what = this.#rot(copy.disk)
      this.#judge(copy, what)
    }
    this.#live(1 + this.#below(6), true)
    this.#judge(this.#world, 'a write that went elsewhere')
    return this.#story
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit)
  }

  /** Some groups, all synced; perhaps a marker or a close at the end. One of them may go elsewhere. */
  #live(groups: number, isBetrayed: boolean): void {
    const { log } = this.#world.open()
    // An opening copies what nothing else proves, and then MANIFEST proves it.
    this.#proven = this.#frames.length
    const betrayed = isBetrayed ? this.#below(groups) : -1
    for (let group = 0; group < groups; group++) {
      if (group === betrayed) this.#misdirect()
      const before = this.#frames.length
      const frames = Array.from({ length: 1 + this.#below(3) }, () => ({
        number: this.#number++,
        size: 8 + this.#below(900),
      }))
      commit(
        log,
        frames.map(({ number, size }) => payload(number, size)),
      )
      this.#frames.push(...frames)
      this.#proven = before
    }
    const ending = this.#below(4)
    if (ending === 0) log.handle('close', { projectedLsn: 0 })
    else if (ending === 1) log.handle('mark', null)
    else log.abandon()
    if (ending < 2) this.#proven = this.#frames.length
    this.#world.disk.crash()
  }

  /** The next write to a segment lands on another sector of it, as far away as the segment goes. */
  #misdirect(): void {
    const offset = this.#below(20) * sector
    const fault = { kind: 'misdirected', offset } as const
    this.#world.disk.inject({ at: 1, operation: 'write', path: '.wal', fault })
    this.#story.misdirected += 1
  }

  /** Changes bytes at rest in one sector of one file. */
  #rot(disk: SimulatedDisk): string {
    const paths = [...segmentsOn(disk), newestOn(disk), newestOn(disk), `${dir}/MANIFEST`]
    const path = paths[this.#below(paths.length)] ?? ''
    const bytes = disk.contents(path)
    const used = bytes.findLastIndex((byte) => byte !== 0) + 1
    const at = this.#below(Math.min(used + 2 * sector, bytes.length))
    const first = at - (at % sector)
    const kind = this.#below(4)
    if (kind === 0) disk.poke(path, at, Uint8Array.of((bytes[at] ?? 0) ^ (1 << this.#below(8))))
    else if (kind === 1) disk.poke(path, first, new Uint8Array(sector))
    else if (kind === 2) disk.poke(path, first, this.#noise(sector))
    else {
      const from = this.#below(Math.ceil(used / sector)) * sector
      disk.poke(path, first, bytes.slice(from, from + sector))
    }
    const words = ['a bit turned over', 'zeros', 'noise', 'bytes of another sector']
    return `${words[kind]} at ${at} of ${path}`
  }

  #noise(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.#below(256))
  }

  #judge(world: LogWorld, what: string): void {
    this.#story.harms += 1
    const contents = this.#frames.map(({ number, size }) => content(number, size))
    try {
      const { outcome, found } = judgeDamage(world, { contents, proven: this.#proven })
      this.#story[outcome] += 1
      if (outcome !== 'corrupt') checkThatItGoesOn(world, found)
    } catch (error) {
      throw new Error(`seed ${this.#seed}: after ${what}: ${String(error)}`, { cause: error })
    }
  }
}
