/**
 * Writes that share one commit. Each is encoded once, as it joins, into the memory that goes to the
 * log's thread. Each is settled once: by the owner of the group, which claims it to answer it, or
 * by the group, which passes it its fate.
 *
 * The group knows how far its writes are, and that alone decides between the fates: before `take` a
 * write can be withdrawn and is never written; from then on its outcome is unknown until the log
 * has answered.
 */
import type { Cancel, Clock } from '../../clock.ts'
import { KeelsonError } from '../../errors.ts'
import type { Fate } from './outcome.ts'

// When the callers of a group give up: one timer for all their deadlines, set for the earliest.
// Most groups are answered before it fires.

/** The resolution of timers in ms: deadlines are checked no more often. */
const tickMs = 1

/** Fails the writes that are late at `now`. Returns the next deadline; `Infinity` without one. */
export type Expire = (now: number) => number

/** The deadlines of the callers of a group, by the monotonic clock. */
export class CallersDeadline {
  readonly #clock: Clock
  readonly #expire: Expire
  #dueAt = Number.POSITIVE_INFINITY
  #cancel: Cancel | undefined

  constructor(clock: Clock, expire: Expire) {
    this.#clock = clock
    this.#expire = expire
  }

  /** Watches a deadline. */
  watch(endsAt: number): void {
    if (endsAt >= this.#dueAt) return
    this.#cancel?.()
    this.#dueAt = endsAt
    const inMs = Math.max(tickMs, endsAt - this.#clock.monotonic())
    this.#cancel = this.#clock.after(inMs, () => this.#ring())
  }

  /** Stops the timer: no deadline is left. */
  end(): void {
    this.#cancel?.()
    this.#cancel = undefined
    this.#dueAt = Number.POSITIVE_INFINITY
  }

  #ring(): void {
    this.end()
    this.watch(this.#expire(this.#clock.monotonic() + tickMs / 2))
  }
}

/** A write, in one object from its call to its answer. Times are by the monotonic clock. */
export interface GroupWrite {
  /** Bytes of its payload. */
  readonly length: number
  /** Its weight against its group's `weightMax`. */
  readonly weight: number
  /** When its group leaves at the latest; 0: as soon as the log takes it. */
  readonly departsAt: number
  /** When its caller gives up. `Infinity`: never, so that it is never withdrawn. */
  readonly endsAt: number
  /** Its index in its group. The group keeps it. */
  place: number
  /** Puts its payload, `length` bytes, into `into` from `at` on. */
  encode(into: Buffer, at: number): void
  /** It gets no answer, because of `cause`. `lsn`: its LSN, if it is in the log nevertheless. */
  failed(fate: Fate, cause: unknown, lsn: number | undefined): void
}

/** The largest group. One write that is larger than a limit goes alone. */
export type GroupLimits = { readonly bytesMax: number; readonly weightMax: number }

/** A group's payloads, one after another in memory that may be given away. */
export type GroupBytes = { readonly bytes: Uint8Array; readonly lengths: Uint32Array }

/**
 * So many writes share a sync well enough: their group waits for no other write, and may be in
 * flight after another group. Fewer are better off as one group with one sync.
 */
export const manyFrom = 512

/** A group begins with at least so much room, in bytes. */
export const roomMin = 512

/** A group that fills, is taken, comes back from the log, and is answered. */
export class WriteGroup<Write extends GroupWrite> {
  /** When it was begun, by the monotonic clock. */
  readonly beganAt: number
  readonly #limits: GroupLimits
  readonly #clock: Clock
  readonly #deadline: CallersDeadline
  #state: 'filling' | 'closed' | 'taken' = 'filling'
  #memory: Buffer
  #size = 0
  #weight = 0
  #departsAt = Number.POSITIVE_INFINITY
  #lengths: number[] = []
  /** `undefined` where a write was settled. */
  #writes: (Write | undefined)[] = []
  #settled = 0
  #takenAt: number | undefined
  #lsns: readonly number[] = []

  /** Fills `memory`, which is the group's from now on, and takes more when that is not enough. */
  constructor(memory: Buffer, limits: GroupLimits, clock: Clock) {
    this.#memory = memory
    this.#limits = limits
    this.#clock = clock
    this.beganAt = clock.monotonic()
    this.#deadline = new CallersDeadline(clock, (now) => this.#expire(now))
  }

  /** How many writes it has, without the withdrawn ones. */
  get count(): number {
    return this.#isTaken ? this.#writes.length : this.#writes.length - this.#settled
  }

  /** Bytes of its payloads. */
  get size(): number {
    return this.#size
  }

  /** The weight of its writes. */
  get weight(): number {
    return this.#weight
  }

  /** Its writes that wait for an answer, each at its place. */
  get writes(): readonly (Write | undefined)[] {
    return this.#writes
  }

  /** The bytes of each payload. */
  get lengths(): readonly number[] {
    return this.#lengths
  }

  /**
   * The LSN of each write, once the group is back; fewer than writes when the log refused the last
   * ones.
   */
  get lsns(): readonly number[] {
    return this.#lsns
  }

  /** When it leaves at the latest; 0: as soon as the log takes it. */
  get departsAt(): number {
    return this.#departsAt
  }

  /** When it was taken to be written, by the monotonic clock; `undefined` when it was not. */
  get takenAt(): number | undefined {
    return this.#takenAt
  }

  /** Whether writes may join it. */
  get isFilling(): boolean {
    return this.#state === 'filling'
  }

  /** Whether it waits for no other write. */
  get isDue(): boolean {
    return this.#departsAt === 0
  }

  /** Whether it need not wait for the group before it. */
  get isMany(): boolean {
    return this.count >= manyFrom
  }

  /** Whether `write` may join; the first always may. */
  takes({ length, weight }: Write): boolean {
    if (this.#state !== 'filling') return false
    const { bytesMax, weightMax } = this.#limits
    return (
      this.#size === 0 || (this.#size + length <= bytesMax && this.#weight + weight <= weightMax)
    )
  }

  /** Adds a write at the end. True when the group may leave sooner by it. */
  add(write: Write): boolean {
    const at = this.#size
    const end = at + write.length
    if (end > this.#memory.length) this.#resize(Math.max(end, 2 * this.#memory.length))
    write.encode(this.#memory, at)
    write.place = this.#writes.length
    this.#size = end
    this.#weight += write.weight
    this.#lengths.push(write.length)
    this.#writes.push(write)
    this.#deadline.watch(write.endsAt)
    return this.#note(write.departsAt)
  }

  /** It leaves as soon as the log takes it. */
  leave(): void {
    this.#departsAt = 0
  }

  /** Closes the group: no write joins it. */
  close(): void {
    if (this.#state === 'filling') this.#state = 'closed'
  }

  /** The bytes to write. From now on nothing joins, and nothing is withdrawn. */
  take(): GroupBytes {
    if (this.#settled > 0) this.#squeeze()
    this.#state = 'taken'
    this.#takenAt = this.#clock.monotonic()
    const bytes = this.#memory.subarray(0, this.#size)
    // It is given away.
    this.#memory = empty
    // An array of numbers would be copied to the thread number by number.
    return { bytes, lengths: new Uint32Array(this.#lengths) }
  }

  /** The first `lsns.length` writes are in the log; the others are not, because of `refused`. */
  committed(lsns: readonly number[], refused?: KeelsonError): void {
    this.#lsns = lsns
    for (let at = lsns.length; at < this.#writes.length; at++)
      this.claim(at)?.failed(refused ? 'refused' : 'unsubmitted', refused, undefined)
  }

  /** The write at `at`, which is answered now; `undefined` when it was settled. */
  claim(at: number): Write | undefined {
    const write = this.#writes[at]
    if (!write) return undefined
    this.#writes[at] = undefined
    this.#settled++
    if (this.#settled === this.#writes.length) this.#deadline.end()
    return write
  }

  /** The caller of `write` gives up: withdrawn while it waits, its outcome unknown later. */
  giveUp(write: Write, cause: unknown): void {
    if (this.#writes[write.place] !== write) return
    this.#fail(write.place, this.#fate, cause)
    this.#shrink()
  }

  /** The log took no frame of the group, and goes on: each write gets `error`. */
  refuse(error: KeelsonError): void {
    this.#end('refused', error)
  }

  /** The log, or the holder of the group, has ended: each write that has no answer gets none. */
  lose(cause: unknown): void {
    this.#end(this.#fate, cause)
  }

  get #isTaken(): boolean {
    return this.#state === 'taken'
  }

  get #fate(): Fate {
    return this.#isTaken ? 'unknown' : 'unsubmitted'
  }

  /**
   * The write that was added last leaves at `departsAt`. True when the group may leave sooner by
   * it.
   */
  #note(departsAt: number): boolean {
    const before = this.#departsAt
    const hasBecomeMany = this.#writes.length - this.#settled === manyFrom
    const { bytesMax, weightMax } = this.#limits
    const isFull = this.#size >= bytesMax || this.#weight >= weightMax
    this.#departsAt = hasBecomeMany || isFull ? 0 : Math.min(before, departsAt)
    return hasBecomeMany || this.#departsAt < before
  }

  #fail(at: number, fate: Fate, cause: unknown): void {
    const write = this.claim(at)
    if (!this.#isTaken) this.#weight -= write?.weight ?? 0
    write?.failed(fate, cause, this.#lsns[at])
  }

  #end(fate: Fate, cause: unknown): void {
    this.close()
    for (let at = 0; at < this.#writes.length; at++) this.#fail(at, fate, cause)
    this.#memory = empty
  }

  #expire(now: number): number {
    let next = Number.POSITIVE_INFINITY
    for (const [at, write] of this.#writes.entries()) {
      if (!write) continue
      if (write.endsAt <= now) this.#fail(at, this.#fate, tooLate())
      else next = Math.min(next, write.endsAt)
    }
    this.#shrink()
    return next
  }

  /**
   * It is given away whole, and comes back for a later group. A small `Buffer.from` would be a part of
   * Node's pool, in which other buffers are too.
   */
  #resize(length: number): void {
    const memory = Buffer.allocUnsafeSlow(length)
    this.#memory.copy(memory, 0, 0, this.#size)
    this.#memory = memory
  }

  /** While a disk hangs nothing takes the group: withdrawn writes must not pile up in it. */
  #shrink(): void {
    if (!this.#isTaken && 2 * this.#settled > this.#writes.length) this.#squeeze()
  }

  /** Closes the gaps that withdrawn writes left. */
  #squeeze(): void {
    const writes: Write[] = []
    const lengths: number[] = []
    let from = 0
    let size = 0
    for (const [at, length] of this.#lengths.entries()) {
      const write = this.#writes[at]
      if (write) {
        this.#memory.copyWithin(size, from, from + length)
        size += length
        write.place = writes.length
        writes.push(write)
        lengths.push(length)
      }
      from += length
    }
    this.#writes = writes
    this.#lengths = lengths
    this.#size = size
    this.#settled = 0
    if (this.#memory.length > 4 * Math.max(roomMin, size)) this.#resize(size)
  }
}

const empty = Buffer.alloc(0)

const tooLate = (): KeelsonError =>
  new KeelsonError('TIMEOUT', 'no answer in time', { details: { reason: 'timeout' } })
