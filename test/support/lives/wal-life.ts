/**
 * A life of a log that is used alone, step by step, beside an array that knows what was handed in and what was promised.
 * Whatever the steps, the log shows what was promised, then perhaps the beginning of what was in doubt, and nothing else.
 */
import { type ErrorCode, isKeelsonError } from '../../../src/errors.ts'
import type { Wal } from '../../../src/storage/wal/wal.ts'
import { dir, segmentsOn } from '../worlds/logs.ts'
import { bytesOf, readAll, type Shown, shown, type WalWorld } from '../worlds/wals.ts'

/** The next step. */
export type WalStep =
  | { readonly kind: 'append'; readonly sizes: readonly number[] }
  /** Appends, and the power goes, or the process is killed, after so many turns of the event loop. */
  | {
      readonly kind: 'die'
      readonly how: 'crash' | 'kill'
      readonly sizes: readonly number[]
      readonly turns: number
    }
  | {
      readonly kind: 'sync' | 'checkpoint' | 'release' | 'read' | 'close' | 'fill' | 'idle' | 'flip'
    }
  | { readonly kind: 'break'; readonly operation: 'sync' | 'write'; readonly at: number }

type Entry = { readonly number: number; readonly size: number; readonly lsn: number | undefined }

/** What a life came to, for a test to see that the interesting things did happen. */
export type WalStory = Record<
  'openings' | 'promised' | 'doubts' | 'kept' | 'failures' | 'refusals' | 'removed' | 'damaged',
  number
>

/** The codes with which a call may reject when the log fails before or during it. */
const failures: readonly ErrorCode[] = ['SHARD_DOWN', 'UNKNOWN_OUTCOME', 'NOT_SUBMITTED']

/** A log, and the array. */
export class WalLife {
  readonly story: WalStory = {
    openings: 0,
    promised: 0,
    doubts: 0,
    kept: 0,
    failures: 0,
    refusals: 0,
    removed: 0,
    damaged: 0,
  }
  readonly #world: WalWorld
  readonly #enableFsync: boolean
  #wal: Wal | undefined
  /** In the log for sure, whatever happens. */
  #promised: Entry[] = []
  /** Written and answered, not synced: there as long as the power stays. */
  #written: Entry[] = []
  /** In the log, or not, from some point on. */
  #doubtful: Entry[] = []
  #firstLsn = 1
  #coveredLsn = 0
  #number = 0

  constructor(world: WalWorld, enableFsync: boolean) {
    this.#world = world
    this.#enableFsync = enableFsync
  }

  async run(steps: readonly WalStep[]): Promise<WalStory> {
    for (const step of steps) await this.#step(await this.#open(), step)
    await this.#step(await this.#open(), { kind: 'die', how: 'crash', sizes: [], turns: 0 })
    await this.#open()
    return this.story
  }

  async #step(wal: Wal, step: WalStep): Promise<void> {
    const { disk, clock } = this.#world
    if (step.kind === 'append') await this.#append(wal, step.sizes)
    else if (step.kind === 'die') await this.#dieWhileAppending(wal, step)
    else if (step.kind === 'break')
      disk.inject({
        at: step.at,
        operation: step.operation,
        path: '.wal',
        fault: { kind: 'error' },
      })
    else if (step.kind === 'fill') this.#fill()
    else if (step.kind === 'idle') await clock.advance(150)
    else if (step.kind === 'sync')
      await this.#attempt(async () => this.#synced((await wal.sync()).durableLsn))
    else if (step.kind === 'checkpoint') await this.#checkpoint(wal)
    else if (step.kind === 'release') await this.#release(wal)
    else if (step.kind === 'read') await this.#read(wal)
    else if (step.kind === 'flip') await this.#flipInCopy(wal)
    else await this.#close(wal)
  }

  async #append(wal: Wal, sizes: readonly number[]): Promise<void> {
    const entries = sizes.map((size) => ({ number: this.#number++, size }))
    const answers = await Promise.allSettled(
      entries.map(({ number, size }) => wal.append(number, bytesOf(number, size))),
    )
    for (const [index, answer] of answers.entries()) {
      const entry = entries[index] ?? { number: -1, size: 0 }
      if (answer.status === 'rejected') this.#rejected(entry, answer.reason)
      else if (this.#doubtful.length > 0)
        throw new Error('an entry was answered behind one in doubt')
      else this.#answered({ ...entry, lsn: answer.value.lsn })
    }
  }

  #answered(entry: Entry): void {
    if (this.#enableFsync) this.#promised.push(entry)
    else this.#written.push(entry)
  }

  #rejected(entry: { number: number; size: number }, error: unknown): void {
    if (isKeelsonError(error, 'UNKNOWN_OUTCOME')) this.#doubtful.push({ ...entry, lsn: undefined })
    else if (isKeelsonError(error, 'NO_SPACE') || isKeelsonError(error, 'BUSY'))
      this.story.refusals++
    else if (!isKeelsonError(error, 'NOT_SUBMITTED') && !isKeelsonError(error, 'SHARD_DOWN'))
      throw error
  }

  /** Everything up to there is promised from now on. */
  #synced(durableLsn: number): void {
    this.#promised.push(...this.#written.filter(({ lsn }) => Number(lsn) <= durableLsn))
    this.#written = this.#written.filter(({ lsn }) => Number(lsn) > durableLsn)
  }

  /** A failed log is closed, which reports the failure; the next step opens it again. */
  async #attempt(action: () => Promise<void>): Promise<boolean> {
    try {
      await action()
      return true
    } catch (error) {
      if (isKeelsonError(error, 'NO_SPACE') || isKeelsonError(error, 'BUSY')) this.story.refusals++
      else if (!isKeelsonError(error) || !failures.includes(error.code)) throw error
      return false
    }
  }

  async #checkpoint(wal: Wal): Promise<void> {
    // A failed append may be in the log all the same.
    this.#coveredLsn = Number.MAX_SAFE_INTEGER
    await this.#attempt(async () => {
      const lsn = await wal.createCheckpoint(bytesOf(this.#number))
      this.#synced(lsn)
      this.#coveredLsn = lsn - 1
      const [first] = await readAll(wal, { fromCheckpoint: true, checkpoints: true })
      if (first?.lsn !== lsn || first.bytes !== shown(bytesOf(this.#number)))
        throw new Error('a reading from the checkpoint does not begin with it')
    })
  }

  async #release(wal: Wal): Promise<void> {
    await this.#attempt(async () => {
      const { removed, firstLsn } = await wal.release(Number.MAX_SAFE_INTEGER)
      if (firstLsn > this.#coveredLsn + 1) throw new Error('a release passed the checkpoint')
      this.story.removed += removed
      this.#firstLsn = firstLsn
    })
  }

  async #read(wal: Wal): Promise<void> {
    await this.#attempt(async () => {
      const found = await readAll(wal)
      this.#synced(Number.POSITIVE_INFINITY)
      this.#compare(found, this.#kept(this.#promised).length)
    })
  }

  async #close(wal: Wal): Promise<boolean> {
    const isClosed = await this.#attempt(() => wal.close())
    if (isClosed) this.#synced(Number.POSITIVE_INFINITY)
    else this.#doubt()
    this.#wal = undefined
    return isClosed
  }

  /** After a clean close no bit of what it holds may change unnoticed. */
  async #flipInCopy(wal: Wal): Promise<void> {
    if (!(await this.#close(wal))) return
    const disk = this.#world.disk.clone()
    const [segment = ''] = segmentsOn(disk).slice(-1)
    const used = disk.contents(segment).findLastIndex((byte) => byte !== 0) + 1
    if (used <= 4096) return
    disk.capacityBytes = Number.POSITIVE_INFINITY
    disk.flipBit(segment, (4096 + ((this.#number * 7919) % (used - 4096))) * 8 + 3)
    try {
      const found = await readAll(await this.#world.on(disk).open())
      this.#compare(found, this.#kept(this.#promised).length)
    } catch (error) {
      if (!isKeelsonError(error, 'CORRUPT')) throw error
      this.story.damaged++
    }
  }

  #fill(): void {
    const { disk } = this.#world
    if (disk.capacityBytes === Number.POSITIVE_INFINITY) {
      disk.capacityBytes = 2 ** 40
      disk.capacityBytes -= disk.freeBytes
    } else disk.capacityBytes = Number.POSITIVE_INFINITY
  }

  async #dieWhileAppending(
    wal: Wal,
    { how, sizes, turns }: Extract<WalStep, { kind: 'die' }>,
  ): Promise<void> {
    const appending = this.#append(wal, sizes)
    for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve))
    if (how === 'crash') this.#world.disk.crash()
    else this.#world.disk.killProcess()
    // What the log did before, its callers may learn only now.
    await appending
    this.#wal = undefined
    // As long as the machine goes on, what was written is there.
    if (how === 'kill') this.#synced(Number.POSITIVE_INFINITY)
    else this.#doubt()
  }

  /** Entries that were written and not synced are not guaranteed. */
  #doubt(): void {
    this.#doubtful = [...this.#written, ...this.#doubtful]
    this.#written = []
  }

  async #open(): Promise<Wal> {
    const { disk } = this.#world
    if (this.#wal) {
      const { mode } = await this.#wal.describe()
      if (mode === 'open') return this.#wal
      this.story.failures++
      await this.#close(this.#wal)
    }
    disk.clearFaults()
    disk.capacityBytes = Number.POSITIVE_INFINITY
    const wal = await this.#world.open({ enableFsync: this.#enableFsync })
    this.story.openings++
    this.#adopt(await readAll(wal))
    this.#wal = wal
    return wal
  }

  /** What was recovered is promised from now on; what was not is gone for good. */
  #adopt(found: readonly Shown[]): void {
    this.#compare(found, this.#kept(this.#promised).length)
    const extra = found.length - this.#kept(this.#promised).length
    this.story.doubts += this.#doubtful.length
    this.story.kept += extra
    const recovered = this.#doubtful.slice(0, extra)
    for (const [index, entry] of recovered.entries()) {
      const lsn = found[found.length - extra + index]?.lsn
      this.#promised.push({ ...entry, lsn })
    }
    this.#doubtful = []
    this.story.promised = this.#promised.length
  }

  #kept(entries: readonly Entry[]): readonly Entry[] {
    return entries.filter(({ lsn }) => lsn === undefined || lsn >= this.#firstLsn)
  }

  #compare(found: readonly Shown[], least: number): void {
    const expected = this.#kept([...this.#promised, ...this.#doubtful])
    if (found.length < least)
      throw new Error(`${least} entries are promised, ${found.length} are in ${dir}`)
    if (found.length > expected.length) throw new Error('there is more than was handed in')
    for (const [index, { lsn, type, bytes }] of found.entries()) {
      const entry = expected[index]
      if (entry?.number !== type || bytes !== shown(bytesOf(entry.number, entry.size)))
        throw new Error(`entry ${index} is not the one that was handed in`)
      if (entry.lsn !== undefined && entry.lsn !== lsn)
        throw new Error(`entry ${index} was answered as ${entry.lsn} and is ${lsn}`)
    }
  }
}
