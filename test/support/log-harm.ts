/**
 * A disk that betrays its log: synced bytes rot, and a write that was answered lands elsewhere. No log can prevent that;
 * what it owes is to say so. After each harm the log is whole, or `CORRUPT` with nothing changed, or lacks frames of its last
 * group that nothing proves to have been durable; never a wrong frame. One seed decides everything.
 */
import { seededRandom } from '../../src/clock.ts'
import { isKeelsonError } from '../../src/errors.ts'
import type { SimulatedDisk } from '../../src/storage/simulated-disk.ts'
import {
  commit,
  content,
  dir,
  filesOf,
  type LogWorld,
  newestOn,
  newWorld,
  payload,
  readAll,
  segmentsOn,
} from './logs.ts'

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
    const before = filesOf(world.disk)
    try {
      world.inspect()
    } catch (error) {
      if (!isKeelsonError(error, 'CORRUPT')) this.#fail(what, String(error))
      this.#story.corrupt += 1
      const after = filesOf(world.disk)
      const isSame = [...before].every(([path, bytes]) => after.get(path) === bytes)
      if (!isSame || after.size !== before.size) this.#fail(what, 'a refusal changed something')
      return
    }
    this.#read(world, what)
  }

  #read(world: LogWorld, what: string): void {
    const { log } = world.open()
    let next = 1
    const found: string[] = []
    try {
      for (;;) {
        const answer = log.handle('read', { from: next, maxBytes: 1 })
        if (answer.frames.length === 0) break
        for (const { offset, length } of answer.frames) {
          const bytes = answer.bytes.subarray(offset + 8, offset + length)
          found.push(Buffer.from(bytes).toString('base64'))
        }
        next = answer.next
      }
    } catch (error) {
      if (!isKeelsonError(error, 'CORRUPT')) this.#fail(what, String(error))
      this.#compare(found, what)
      this.#story.corrupt += 1
      return
    }
    this.#compare(found, what)
    const { length } = this.#frames
    if (found.length < this.#proven)
      this.#fail(what, `${found.length} of ${length} frames, ${this.#proven} are proven, no error`)
    if (found.length < length) this.#story.cut += 1
    else this.#story.whole += 1
    this.#resume(world, found.length, what)
  }

  /** What was opened takes another frame, which comes back behind the others. */
  #resume(world: LogWorld, count: number, what: string): void {
    world.disk.crash()
    const { log } = world.open()
    commit(log, [payload(7)])
    log.abandon()
    world.disk.crash()
    const again = readAll(world.open().log)
    if (again.length !== count + 1 || again.at(-1)?.content !== content(7))
      this.#fail(what, `${count} frames and one more came back as ${again.length}`)
  }

  #compare(found: readonly string[], what: string): void {
    for (const [index, text] of found.entries()) {
      const expected = this.#frames[index]
      if (!expected || text !== content(expected.number, expected.size))
        this.#fail(what, `frame ${index} is not the one that was written`)
    }
  }

  #fail(what: string, why: string): never {
    throw new Error(`seed ${this.#seed}: after ${what}: ${why}`)
  }
}
