/**
 * A watch of one shard: items of its frames from a position on, each once it is durable. While it
 * follows, the applier shows it every frame. Otherwise it reads the log up to the applied LSN. It
 * follows again once it has read every applied frame. Changes of keys and entries of the journal are
 * such items.
 */
import { invalidArgument, isKeelsonError, KeelsonError } from '../../errors.ts'
import type { LogHost, ReadAnswer } from '../../storage/index.ts'
import { levelOf } from '../core/settings.ts'
import type { ShownFrame } from '../core/shard-changes.ts'
import type { Position } from '../core/shard-core.ts'
import type { WritingShard } from '../writing/writing-shard.ts'

/** The output of a watch: items in the order of their frames. */
export type WatchSource<Item extends { readonly lsn: number }> = {
  /** The items of a frame that was applied just now. */
  readonly ofFrame: (shown: ShownFrame) => readonly Item[]
  /** The items of the frames below `end`, all of which are applied. */
  readonly ofLog: (read: ReadAnswer, end: number) => readonly Item[]
  /** The memory that an item takes, in bytes. */
  readonly bytesOf: (item: Item) => number
  /**
   * Whether there were items from `from` up to, not including, `end`: frames that the log has given
   * back. Without it there were.
   */
  readonly hadWithin?: (from: number, end: number) => Promise<boolean>
}

/** An item with the position from which a later watch goes on after it. */
export type Watched<Item> = {
  readonly item: Item
  /** It was read from the log. */
  readonly catchingUp: boolean
  readonly next: Position
}

/** The bounds of a watch, and what it keeps. */
export type WatchBounds = {
  /** The first LSN, or `logStart`. */
  readonly from: number
  /** The last LSN; without it the watch follows for ever. */
  readonly to?: number
  /** Whether the log keeps what the watch has not read. */
  readonly pins?: boolean
}

/** Stands for the first LSN that the log has. */
export const logStart = 0

/**
 * Where a walk begins: with the first LSN of all (1), unless `from` says otherwise. 0 counts as 1;
 * `'oldest'` is the first one that the log has. @throws KeelsonError `INVALID_ARGUMENT`
 */
export const walkStart = (from: number | 'oldest' = 1): number => {
  if (from === 'oldest') return logStart
  if (!Number.isSafeInteger(from) || from < 0)
    throw invalidArgument('from', 'an LSN, or `oldest`', from)
  return Math.max(1, from)
}

/**
 * Requires that a shard has come to the position before `from`: a watch that follows from there on
 * leaves nothing out. The shard is open.
 * @throws KeelsonError `BAD_CURSOR`
 */
export const checkReached = ({ appliedLsn, index }: WritingShard, from: number): void => {
  if (from <= appliedLsn + 1) return
  throw new KeelsonError('BAD_CURSOR', `shard ${index} has not come to lsn ${from}`, {
    details: { shard: index, from, appliedLsn },
  })
}

/** The items, and their bytes, that wait for a slow reader. Beyond them it reads the log. */
const waitingMax = 10_000
const waitingBytesMax = 8 * 1024 * 1024

/** The bytes of the log that one read transfers to this thread, which takes them in one turn. */
const readBytes = 256 * 1024

/** A pin moves on when the watch is so many frames further. */
const pinnedFrames = 1_024

/** The items of one shard. */
export class ShardWatch<Item extends { readonly lsn: number }> {
  readonly #shard: WritingShard
  readonly #source: WatchSource<Item>
  readonly #to: number
  readonly #pin: WatchPin | undefined
  readonly #stopListening: () => void
  #waiting: Watched<Item>[] = []
  #waitingBytes = 0
  /** Frames below are in `#waiting`, or were given out. */
  #from: number
  /** The answer of the last `next`, until the following one. */
  #given: Watched<Item> | undefined
  #follows = false
  /** The log is known to be durable up to here. */
  #durableLsn = 0
  #wake: () => void = () => undefined
  #isClosed = false

  constructor(shard: WritingShard, source: WatchSource<Item>, bounds: WatchBounds) {
    const { from, to = Number.POSITIVE_INFINITY, pins = false } = bounds
    this.#shard = shard
    this.#source = source
    this.#from = from
    this.#to = to
    this.#pin = pins ? new WatchPin() : undefined
    this.#follows = from > shard.appliedLsn
    const stopChanges = shard.changes.listen({
      applied: (shown) => this.#applied(shown),
      missed: () => {
        this.#follows = false
        this.#wake()
      },
    })
    const stopPhases = shard.onPhase(() => {
      // The pins of an epoch of the log end with it, and its successor may release frames soon.
      this.#keep()
      this.#wake()
    })
    this.#stopListening = () => {
      stopChanges()
      stopPhases()
    }
  }

  /**
   * Resolves with the position from which on it gives every item: from the start of the log on, that
   * takes the first read. Called before `next`.
   * @throws KeelsonError as `next`
   */
  async begin(): Promise<Position> {
    while (this.#from === logStart && !this.#isClosed) await this.#catchUp()
    return this.unread
  }

  /**
   * The next item; `undefined` after the last LSN, and after `close`. Called again only after it
   * settled.
   * @throws KeelsonError `BAD_CURSOR` if the log does not have the position; `SHARD_DOWN`,
   * `CLOSED`, `CORRUPT`
   */
  async next(): Promise<Watched<Item> | undefined> {
    this.#given = undefined
    for (;;) {
      if (this.#isClosed) return undefined
      const first = this.#waiting[0]
      if (first && this.#isDurable(first.item.lsn)) return this.#give(first)
      if (first) {
        await this.#sync()
        continue
      }
      if (this.#from > this.#to) return undefined
      if (this.#follows && this.#shard.phase.kind === 'open') await this.#woken()
      else await this.#catchUp()
    }
  }

  /**
   * As `next`, at once: `undefined` if that has to wait, or has no further item. Called only while
   * no `next` is pending.
   */
  ready(): Watched<Item> | undefined {
    const first = this.#waiting[0]
    return first && this.#isDurable(first.item.lsn) ? this.#give(first) : undefined
  }

  /** The position of the first item that no `next` before the last one has answered. */
  get unread(): Position {
    const item = this.#given?.item ?? this.#waiting[0]?.item
    return { shard: this.#shard.index, lsn: item?.lsn ?? this.#from }
  }

  /** Lets the log go up to what is unread. While it follows, it does so now and then only. */
  async letGo(): Promise<void> {
    await this.#pin?.move(this.unread.lsn, 1)
  }

  /** Ends the watch. A pending `next` resolves with `undefined`. */
  close(): void {
    this.#isClosed = true
    this.#stopListening()
    this.#waiting = []
    this.#pin?.end()
    this.#wake()
  }

  /** Gives out the first item that waits. */
  #give(first: Watched<Item>): Watched<Item> {
    this.#waiting.shift()
    this.#waitingBytes -= this.#source.bytesOf(first.item)
    this.#given = first
    return first
  }

  #applied(shown: ShownFrame): void {
    const { lsn } = shown.frame
    if (!this.#follows || lsn < this.#from) return
    if (this.#waiting.length >= waitingMax || this.#waitingBytes >= waitingBytesMax) {
      this.#follows = false
      this.#keep()
      return
    }
    this.#from = lsn + 1
    this.#take(this.#source.ofFrame(shown), false)
    if (this.#from > this.#to) this.#wake()
    void this.#pin?.move(this.unread.lsn, pinnedFrames)
  }

  /** The log keeps what this watch will read from it, whenever its reader asks for more. */
  #keep(): void {
    const { phase, files } = this.#shard
    if (phase.kind === 'open' && !this.#follows && this.#from !== logStart)
      this.#pin?.keep(files.log(), this.#from)
  }

  /** Gives out items, the last of each frame with the position after the frame. */
  #take(items: readonly Item[], catchingUp: boolean): void {
    for (const [at, item] of items.entries()) {
      if (item.lsn > this.#to) break
      const isLast = items[at + 1]?.lsn !== item.lsn
      const next = { shard: this.#shard.index, lsn: item.lsn + Number(isLast) }
      this.#waiting.push({ item, catchingUp, next })
      this.#waitingBytes += this.#source.bytesOf(item)
    }
    if (items.length > 0) this.#wake()
  }

  /** Resolves at the next item, and when the shard is not open. */
  #woken(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve
    })
  }

  /** Reads the next piece of the log, or begins to follow where there is none. */
  async #catchUp(): Promise<void> {
    const shard = this.#shard
    const log = await this.#log()
    this.#follows = this.#from > shard.appliedLsn
    if (this.#follows) return
    await this.#readPiece(log).catch((error: unknown) => this.#afterEnd(log, error))
  }

  /** The log of the open shard. @throws KeelsonError `SHARD_DOWN`, `CLOSED` */
  async #log(): Promise<LogHost> {
    const shard = this.#shard
    const phase = await shard.settled()
    if (phase.kind !== 'open') throw shard.unavailable()
    return shard.files.log()
  }

  async #readPiece(log: LogHost): Promise<void> {
    const shard = this.#shard
    const read = await this.#read(log)
    if (this.#isClosed) return
    // A frame that is not applied yet is shown by the applier, or read in the next turn.
    const end = Math.min(read.next, shard.appliedLsn + 1)
    this.#take(this.#source.ofLog(read, end), true)
    if (end > this.#from) this.#from = end
    // The log up to the applied LSN is written, but not synced.
    else this.#durableLsn = (await log.run('sync', null)).durableLsn
    this.#follows = this.#from > shard.appliedLsn
  }

  async #read(log: LogHost): Promise<ReadAnswer> {
    for (;;) {
      const from = this.#from === logStart ? await firstLsnOf(log) : this.#from
      // The log takes both in order: what it reads is pinned.
      const held = this.#pin?.hold(log, from)
      try {
        return await log.run('read', { from, maxBytes: readBytes })
      } catch (error) {
        if (!isKeelsonError(error, 'BAD_CURSOR')) throw error
        await this.#skipGivenBack(error)
      } finally {
        await held
      }
    }
  }

  /** Begins where the log does, unless that leaves an item out. @throws KeelsonError `BAD_CURSOR` */
  async #skipGivenBack(cause: KeelsonError): Promise<void> {
    if (this.#from === logStart) return
    const firstLsn = cause.details.firstLsn as number
    const end = Math.min(firstLsn, this.#to + 1)
    const { hadWithin } = this.#source
    if (!hadWithin || (await hadWithin(this.#from, end))) throw this.#fallenBehind(cause)
    this.#from = firstLsn
  }

  /** A request failed. If its epoch of the log has ended, the next one is asked again. */
  async #afterEnd(log: LogHost, error: unknown): Promise<void> {
    const shard = this.#shard
    const isPresent = (): boolean => shard.phase.kind === 'open' && shard.files.log() === log
    if (isKeelsonError(error, 'BAD_CURSOR')) throw error
    // The writer hears of the end later than the watch. Without a write it may not hear of it.
    if (isPresent() && shard.files.hasEnded(error))
      await shard.reopened(shard.opened, shard.parts.settings.deadlineMs)
    if (isPresent()) throw error
    if ((await shard.settled()).kind !== 'open') throw shard.unavailable()
  }

  #fallenBehind(cause: KeelsonError): KeelsonError {
    const { index } = this.#shard
    const { firstLsn } = cause.details
    return new KeelsonError(
      'BAD_CURSOR',
      `the log of shard ${index} begins with lsn ${firstLsn}, behind lsn ${this.#from}; from 'oldest' reads what it has`,
      { details: { shard: index, from: this.#from, firstLsn }, cause },
    )
  }

  #isDurable(lsn: number): boolean {
    return lsn <= this.#durableLsn || levelOf(this.#shard.parts.settings) === 'durable'
  }

  /** Makes the log durable, in the epoch that can. */
  async #sync(): Promise<void> {
    const log = await this.#log()
    try {
      this.#durableLsn = (await log.run('sync', null)).durableLsn
    } catch (error) {
      await this.#afterEnd(log, error)
    }
  }
}

const firstLsnOf = async (log: LogHost): Promise<number> => (await log.run('state', null)).firstLsn

/** Keeps the log from a position on, in each epoch of the log that the watch reads. */
class WatchPin {
  #log: LogHost | undefined
  #pin: number | undefined
  #from = 0

  /** Pins `log` from `from` on. A log that begins later, or has ended, is found out by a read. */
  async hold(log: LogHost, from: number): Promise<void> {
    if (this.#log !== log) this.#pin = undefined
    this.#log = log
    this.#from = from
    const moved = this.#pin === undefined ? { from } : { from, pin: this.#pin }
    const held = await log.run('pin', moved).catch(() => undefined)
    // Of two calls at once, each with a new pin, one is enough.
    const isOther = this.#log !== log || (this.#pin !== undefined && this.#pin !== held?.pin)
    if (held && isOther) await log.run('unpin', held).catch(() => undefined)
    else if (this.#log === log) this.#pin = held?.pin
  }

  /** Pins `log` from `from` on, unless it is pinned already. */
  keep(log: LogHost, from: number): void {
    if (this.#log !== log || this.#pin === undefined) void this.hold(log, from)
  }

  /** Moves the pin to `from` if that is at least `frames` further. */
  async move(from: number, frames: number): Promise<void> {
    if (this.#pin !== undefined && this.#log && from - this.#from >= frames)
      await this.hold(this.#log, from)
  }

  end(): void {
    const pin = this.#pin
    // The log may go on although the shard recovers: a new writer takes it over.
    if (pin !== undefined) void this.#log?.run('unpin', { pin }).catch(() => undefined)
    this.#log = undefined
    this.#pin = undefined
  }
}
