/**
 * The part of one shard in a watch: its changes from a position on, each once it is durable. While
 * it follows, the applier shows it every change. Otherwise it reads the log up to what is applied,
 * and gives each key that was named there with its present value. It follows again once it has read
 * every applied frame.
 */
import { isKeelsonError, KeelsonError } from '../../errors.ts'
import { decodeFrame, type LogHost, type ReadAnswer, type Row } from '../../storage/index.ts'
import type { Position } from '../admission/appends.ts'
import { levelOf } from '../shard/settings.ts'
import type { Shard } from '../shard/shard.ts'
import { type KeyChange, touchedBy } from '../shard/shard-changes.ts'

/** A change with the position to go on from behind it. */
export type WatchedChange = {
  readonly change: KeyChange
  /** The value is that of now: later changes of the key may be in it, and come again. */
  readonly catchingUp: boolean
  readonly next: Position
}

/** Which changes a watch wants. */
export type ChangeFilter = (change: KeyChange) => boolean

/** Stands for the first LSN of the log. */
export const logStart = 0

/** The changes, and their bytes, that wait for a slow reader. Beyond them it reads the log. */
const waitingMax = 10_000
const waitingBytesMax = 8 * 1024 * 1024

/** The bytes of the log that one read transfers to this thread. */
const readBytes = 1024 * 1024

/** The changes of one shard. */
export class ShardWatch {
  readonly #shard: Shard
  readonly #wants: ChangeFilter
  readonly #stopListening: () => void
  #waiting: WatchedChange[] = []
  #waitingBytes = 0
  /** Frames below are in `#waiting`, or were given out. */
  #from: number
  /** The answer of the last `next`, until the following one. */
  #given: WatchedChange | undefined
  #follows = false
  /** The log is known to be durable up to here. */
  #durableLsn = 0
  #wake: () => void = () => undefined
  #watchesPhase = false
  #isClosed = false

  constructor(shard: Shard, from: number, wants: ChangeFilter) {
    this.#shard = shard
    this.#from = from
    this.#wants = wants
    this.#follows = from > shard.appliedLsn
    this.#stopListening = shard.changes.listen({
      applied: (lsn, changes) => this.#applied(lsn, changes),
      missed: () => {
        this.#follows = false
        this.#wake()
      },
    })
  }

  /**
   * The next change; `undefined` after `close`. Called again only after it settled.
   * @throws KeelsonError `BAD_CURSOR` if the log does not have the position ; `SHARD_DOWN`,
   * `CLOSED`, `CORRUPT`
   */
  async next(): Promise<WatchedChange | undefined> {
    this.#given = undefined
    for (;;) {
      if (this.#isClosed) return undefined
      const first = this.#waiting.shift()
      if (first) {
        this.#given = first
        this.#waitingBytes -= bytesOf(first.change)
        await this.#durable(first.change.lsn)
        return first
      }
      if (this.#follows && this.#shard.phase.kind === 'open') await this.#woken()
      else await this.#catchUp()
    }
  }

  /** The position of the first change that no `next` before the last one has answered. */
  get unread(): Position {
    const change = this.#given?.change ?? this.#waiting[0]?.change
    return { shard: this.#shard.index, lsn: change?.lsn ?? this.#from }
  }

  /** Ends the watch. A `next` under way resolves with `undefined`. */
  close(): void {
    this.#isClosed = true
    this.#stopListening()
    this.#waiting = []
    this.#wake()
  }

  #applied(lsn: number, changes: readonly KeyChange[]): void {
    if (!this.#follows || lsn < this.#from) return
    if (this.#waiting.length >= waitingMax || this.#waitingBytes >= waitingBytesMax) {
      this.#follows = false
      return
    }
    this.#from = lsn + 1
    this.#take(changes.filter(this.#wants), false)
  }

  /** Gives out changes, the last of each frame with the position behind the frame. */
  #take(changes: readonly KeyChange[], catchingUp: boolean): void {
    for (const [at, change] of changes.entries()) {
      const isLast = changes[at + 1]?.lsn !== change.lsn
      const next = { shard: this.#shard.index, lsn: change.lsn + Number(isLast) }
      this.#waiting.push({ change, catchingUp, next })
      this.#waitingBytes += bytesOf(change)
    }
    if (changes.length > 0) this.#wake()
  }

  /** Resolves at the next change, and when the shard is not open. */
  #woken(): Promise<void> {
    if (!this.#watchesPhase) {
      this.#watchesPhase = true
      void this.#shard.changed().then(() => {
        this.#watchesPhase = false
        this.#wake()
      })
    }
    return new Promise((resolve) => {
      this.#wake = resolve
    })
  }

  /** Reads the next piece of the log, or begins to follow where there is none. */
  async #catchUp(): Promise<void> {
    const shard = this.#shard
    const phase = await shard.settled()
    if (phase.kind !== 'open') throw shard.unavailable()
    this.#follows = this.#from > shard.appliedLsn
    if (this.#follows) return
    const log = shard.files.log()
    if (this.#from === logStart) this.#from = await firstLsnOf(log)
    const read = await this.#read(log)
    if (!read || this.#isClosed) return
    // A frame that is not applied yet is shown by the applier, or read in the next turn.
    const end = Math.min(read.next, shard.appliedLsn + 1)
    this.#take(this.#changesOf(read, end).filter(this.#wants), true)
    if (end > this.#from) this.#from = end
    // The log is written and not synced up to what is applied.
    else this.#durableLsn = (await log.run('sync', null)).durableLsn
    this.#follows = this.#from > shard.appliedLsn
  }

  /** A piece of the log; `undefined` if this life of the log ended meanwhile. */
  async #read(log: LogHost): Promise<ReadAnswer | undefined> {
    try {
      return await log.run('read', { from: this.#from, maxBytes: readBytes })
    } catch (error) {
      if (isKeelsonError(error, 'INVALID_ARGUMENT')) throw this.#fallenBehind(error)
      const shard = this.#shard
      if (shard.phase.kind === 'open' && shard.files.log() === log) throw error
      return undefined
    }
  }

  /** The keys named in the frames below `end`, each once, with their present rows. */
  #changesOf(read: ReadAnswer, end: number): readonly KeyChange[] {
    const shard = this.#shard
    const view = shard.view()
    const now = shard.now()
    const changes = new Map<string, KeyChange>()
    const set = (name: string, change: KeyChange): void => {
      changes.delete(name)
      changes.set(name, change)
    }
    for (const { lsn, time, offset, length } of read.frames) {
      if (lsn >= end) break
      const { units } = decodeFrame(read.bytes.slice(offset, offset + length))
      for (const touched of touchedBy(units)) {
        if (touched.kind === 'clear') {
          set(`\0${touched.namespace}`, { lsn, time, ...touched })
          continue
        }
        for (const key of touched.keys) {
          const row: Row | undefined = view.get(key, now)
          if (!row || !touched.ended) set(key, { lsn, time, kind: 'key', key, row })
        }
      }
    }
    return [...changes.values()]
  }

  #fallenBehind(cause: KeelsonError): KeelsonError {
    const { index } = this.#shard
    const { firstLsn } = cause.details
    return new KeelsonError('BAD_CURSOR', `the log of shard ${index} begins behind the position`, {
      details: { shard: index, from: this.#from, firstLsn },
      cause,
    })
  }

  async #durable(lsn: number): Promise<void> {
    const { settings } = this.#shard.parts
    if (levelOf(settings) === 'durable' || lsn <= this.#durableLsn) return
    const { durableLsn } = await this.#shard.files.log().run('sync', null)
    this.#durableLsn = durableLsn
  }
}

const firstLsnOf = async (log: LogHost): Promise<number> =>
  (await log.run('describe', null)).segments[0]?.baseLsn ?? 1

const bytesOf = (change: KeyChange): number =>
  change.kind === 'key' ? change.key.length + (change.row?.value.bytes.length ?? 0) : 0
