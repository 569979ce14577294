/**
 * Appends that go to the disk together. Each is encoded where it will be sent from, once, as it is handed in; who waits for it
 * is told by the group, once, whatever becomes of it. The group keeps what the others need in columns: the bytes for the log's
 * thread, the units for the applier and the projection, those who wait until they were told.
 */
import type { Clock } from '../../clock.ts'
import { KeelsonError } from '../../errors.ts'
import { encodeFrameInto, type FrameUnits, type UnitAnswer } from '../../storage/index.ts'
import { SharedDeadline } from './shared-deadline.ts'
import type { Ticket } from './ticket.ts'

/** A write on its way into the log, and who is told what became of it: by one call of one of the two. */
export interface Append extends Ticket {
  readonly units: FrameUnits
  /** Bytes of its frame, as `frameLength` says. */
  readonly length: number
  /** What it counts against the bound of its group. */
  readonly commands: number
  /** When its caller gives up, by the monotonic clock. */
  readonly endsAt: number
  /** When its group leaves at the latest, by the monotonic clock; 0: at once. */
  readonly departsAt: number
  /** Of its first key. */
  readonly namespace: string
  /** It stands at `lsn`, and its units answered so. */
  applied(lsn: number, answers: readonly UnitAnswer[]): void
  /** It did not come to that. `lsn` where it stands in the log nevertheless. */
  failed(error: unknown, lsn: number | undefined): void
}

/** The bounds of a group: commands, and bytes of frames. A larger append goes alone. */
export type GroupLimits = { readonly commandsMax: number; readonly bytesMax: number }

/** A group that fills, is taken, is committed, and told. */
export class AppendGroup {
  readonly #limits: GroupLimits
  readonly #clock: Clock
  readonly #deadline: SharedDeadline
  #departsAt = Number.POSITIVE_INFINITY
  #memory: Buffer
  #size = 0
  #commands = 0
  #units: FrameUnits[] = []
  #lengths: number[] = []
  /** `undefined` where who waited was told. */
  #appends: (Append | undefined)[] = []
  #lsns: readonly number[] = []
  #told = 0
  #isTaken = false
  #takenAt: number | undefined

  /** Fills `memory`, which is the group's from now on, and takes more when that is not enough. */
  constructor(memory: Buffer, limits: GroupLimits, clock: Clock) {
    this.#memory = memory
    this.#limits = limits
    this.#clock = clock
    this.#deadline = new SharedDeadline(clock, (now) => this.#giveUp(now))
  }

  /** How many appends it has, but for those that were withdrawn while they waited. */
  get count(): number {
    return this.#isTaken ? this.#appends.length : this.#appends.length - this.#told
  }

  /** Bytes of its frames. */
  get size(): number {
    return this.#size
  }

  /** What its appends count. */
  get commands(): number {
    return this.#commands
  }

  /** When it leaves, by the monotonic clock; 0: at once. */
  get departsAt(): number {
    return this.#departsAt
  }

  /** Whether the writer may take it. */
  get isDue(): boolean {
    return this.#departsAt === 0
  }

  /** Whether nothing joins any more. */
  get isTaken(): boolean {
    return this.#isTaken
  }

  /** When it was taken to be written, by the monotonic clock. */
  get takenAt(): number | undefined {
    return this.#takenAt
  }

  /** The units of each append. */
  get units(): readonly FrameUnits[] {
    return this.#units
  }

  /** The bytes of each append's frame. */
  get lengths(): readonly number[] {
    return this.#lengths
  }

  /** Where each append stands in the log, once it is committed; fewer than appends when the log refused the last ones. */
  get lsns(): readonly number[] {
    return this.#lsns
  }

  /** Whether a frame of so many bytes and commands may join: none once it was taken; the first always may. */
  takes(length: number, commands: number): boolean {
    if (this.#isTaken) return false
    if (this.#size === 0) return true
    const { bytesMax, commandsMax } = this.#limits
    return this.#size + length <= bytesMax && this.#commands + commands <= commandsMax
  }

  /** Adds an append at the end. True if the group leaves sooner for it; a full group leaves at once. */
  add(append: Append): boolean {
    const { units, length, endsAt } = append
    const at = this.#size
    if (at + length > this.#memory.length) this.#grow(at + length)
    encodeFrameInto(units, this.#memory, at)
    this.#size = at + length
    this.#commands += append.commands
    this.#units.push(units)
    this.#lengths.push(length)
    this.#appends.push(append)
    this.#deadline.watch(endsAt)
    if (this.#departsAt === 0) return false
    const { bytesMax, commandsMax } = this.#limits
    const isFull = this.#size >= bytesMax || this.#commands >= commandsMax
    const departsAt = isFull ? 0 : append.departsAt
    if (departsAt >= this.#departsAt) return false
    this.#departsAt = departsAt
    return true
  }

  /** It waits for nothing any more: the writer may take it. */
  depart(): void {
    this.#departsAt = 0
  }

  /** Nothing joins any more. */
  close(): void {
    this.#isTaken = true
  }

  /** What is to be written. From now on nothing joins, and everything in it is submitted. */
  take(): { readonly bytes: Uint8Array; readonly lengths: Uint32Array } {
    if (this.#told > 0) this.#squeeze()
    this.#isTaken = true
    this.#takenAt = this.#clock.monotonic()
    for (const append of this.#appends) if (append) append.state = 'submitted'
    const bytes = this.#memory.subarray(0, this.#size)
    // It is given away.
    this.#memory = empty
    // An array of numbers would be copied to the thread number by number.
    return { bytes, lengths: new Uint32Array(this.#lengths) }
  }

  /** The first `lsns.length` appends are in the log; the others are not, and are told so. */
  committed(lsns: readonly number[], refusal: unknown): void {
    this.#lsns = lsns
    for (let at = lsns.length; at < this.#appends.length; at++) this.#fail(at, refusal)
  }

  /** The append at `at` has taken effect. */
  applied(at: number, answers: readonly UnitAnswer[]): void {
    const append = this.#tell(at)
    if (append) append.applied(this.#lsns[at] as number, answers)
  }

  /** Whoever was not told yet is. Nothing joins any more. */
  fail(error: unknown): void {
    this.#isTaken = true
    for (let at = 0; at < this.#appends.length; at++) this.#fail(at, error)
    this.#appends = []
    this.#memory = empty
  }

  #fail(at: number, error: unknown): void {
    this.#tell(at)?.failed(error, this.#lsns[at])
  }

  /** Who waits for the append at `at`, to be told now. */
  #tell(at: number): Append | undefined {
    const append = this.#appends[at]
    if (!append) return undefined
    this.#appends[at] = undefined
    this.#told++
    if (this.#told === this.#appends.length) this.#deadline.end()
    return append
  }

  /** Those whose time is up are told. On a disk that hangs nobody takes the group: what is dead must not pile up in it. */
  #giveUp(now: number): number {
    let next = Number.POSITIVE_INFINITY
    for (const [at, append] of this.#appends.entries()) {
      if (!append) continue
      if (append.endsAt <= now) this.#fail(at, tooLate())
      else next = Math.min(next, append.endsAt)
    }
    if (!this.#isTaken && 2 * this.#told > this.#appends.length) this.#squeeze()
    return next
  }

  #grow(size: number): void {
    const grown = Buffer.allocUnsafeSlow(Math.max(size, 2 * this.#memory.length))
    this.#memory.copy(grown, 0, 0, this.#size)
    this.#memory = grown
  }

  /** Closes the gaps that withdrawn appends left. */
  #squeeze(): void {
    let from = 0
    let size = 0
    for (const [at, length] of this.#lengths.entries()) {
      if (this.#appends[at]) {
        this.#memory.copyWithin(size, from, from + length)
        size += length
      }
      from += length
    }
    this.#size = size
    const isLeft = (_: unknown, at: number): boolean => this.#appends[at] !== undefined
    this.#units = this.#units.filter(isLeft)
    this.#lengths = this.#lengths.filter(isLeft)
    this.#appends = this.#appends.filter(isLeft)
    this.#commands = this.#appends.reduce((sum, append) => sum + (append?.commands ?? 0), 0)
    this.#told = 0
  }
}

const empty = Buffer.alloc(0)

const tooLate = (): KeelsonError =>
  new KeelsonError('TIMEOUT', 'append: no answer in time', { details: { reason: 'timeout' } })
