/**
 * The streams of one shard at this member: what is sent to them, and the readers that wait. One
 * listener to the shard's applied frames wakes the readers, while there are any. Nothing polls.
 */
import type { Cancel } from '../../clock.ts'
import type { System } from '../../runtime/index.ts'
import { streamPartsOf, unitsIn } from '../../storage/index.ts'
import { atOwner } from '../core/at-owner.ts'
import { levelOf } from '../core/settings.ts'
import type { ShownFrame } from '../core/shard-changes.ts'
import type { ShardClient } from '../core/shard-client.ts'
import { emit } from '../core/storage-events.ts'
import { synced } from '../writing/write-path.ts'
import type { WritingShard } from '../writing/writing-shard.ts'
import { StreamGather } from './stream-gather.ts'
import { nothingAt, type Reading, type ReadingPlace, readingFrom } from './stream-reading.ts'

/** A reader elsewhere asks again after so many ms without a message. */
const askedMs = 10_000

/** A reading to make: `waits` for a message, or the end of the stream. */
export type ReadingTerms = {
  readonly owner: string
  readonly place: ReadingPlace
  readonly bytesMax: number
  readonly waits: boolean
}

/** Ends a wait from outside. */
export type Stop = { isStopped: boolean; wake: () => void }

/** The streams of a shard. */
export class ShardStreams {
  readonly gather: StreamGather
  /** How many readings wait for a message, by who has asked. */
  readonly waiting = { process: 0, http: 0 }
  readonly #system: System
  readonly #shard: WritingShard
  /** The readers that wait, by the owners of their streams. */
  readonly #waiting = new Map<string, Set<() => void>>()
  #stopListening: (() => void) | undefined
  /** The streams of which it is being written that they were read. */
  readonly #touching = new Map<string, Promise<unknown>>()

  constructor(system: System, shard: WritingShard) {
    this.#system = system
    this.#shard = shard
    this.gather = new StreamGather(system, shard)
  }

  /**
   * Reads durable messages, here or at the owner of the shard. `undefined`: it was stopped.
   * @throws KeelsonError `BAD_CURSOR`, `SHARD_DOWN`, `CLOSED`, `CORRUPT`
   */
  async read(
    terms: ReadingTerms,
    stop: Stop,
    via: keyof ShardStreams['waiting'] = 'process',
  ): Promise<Reading | undefined> {
    if (!terms.waits) return this.#read(terms, stop)
    this.waiting[via]++
    try {
      return await this.#read(terms, stop)
    } finally {
      this.waiting[via]--
    }
  }

  async #read(terms: ReadingTerms, stop: Stop): Promise<Reading | undefined> {
    const shard = this.#shard
    const there = async (way: ShardClient): Promise<Reading | undefined> => {
      const { deadlineMs } = shard.parts.settings
      const timeoutMs = deadlineMs + (terms.waits ? askedMs : 0)
      const stopped = new Promise<undefined>((resolve) => {
        stop.wake = () => resolve(undefined)
      })
      const asked = way.ask(shard.index, 'streams.read', [shard.index, terms], timeoutMs)
      // A reader that has stopped hears nothing of its last question.
      asked.catch(() => undefined)
      return (await Promise.race([asked, stopped])) as Reading | undefined
    }
    for (;;) {
      const reading = await atOwner(shard, () => this.readHere(terms, stop), there)
      if (stop.isStopped) return undefined
      if (reading && !(terms.waits && isIdle(reading))) return reading
      // It waited elsewhere for as long as one question may. The birth is known from now on.
      if (reading) terms = { ...terms, place: reading.next }
    }
  }

  /** Reads for a member that asks: it has an answer after a while even if there is no message. */
  async readFor(terms: ReadingTerms): Promise<Reading> {
    const stop: Stop = { isStopped: false, wake: () => undefined }
    const cancel = this.#system.clock.after(askedMs, () => {
      stop.isStopped = true
      stop.wake()
    })
    try {
      return await this.readHere(terms, stop)
    } finally {
      cancel()
    }
  }

  /**
   * Reads at this member. When it is stopped it answers without a message, and with the place that it
   * came to: `'now'` stays the moment of its first look. @throws KeelsonError as `read`; `ELSEWHERE`
   */
  async readHere(terms: ReadingTerms, stop: Stop): Promise<Reading> {
    const shard = this.#shard
    const { owner, bytesMax, waits } = terms
    let { place } = terms
    let hasWaited = false
    for (;;) {
      if ((await shard.settled()).kind !== 'open') throw shard.unavailable()
      if (waits && stop.isStopped) return nothingAt(place)
      // The rows may be damaged, and are rebuilt: the same reading succeeds after that.
      const reading = this.#looked(owner, place, bytesMax)
      if (!reading) continue
      if (!waits || !isIdle(reading)) {
        // The log has every message that was read. No crash takes one back once the log is synced.
        if (levelOf(shard.parts.settings) !== 'durable') await synced(this.#system, shard)
        if (reading.isToTouch) await this.#touched(owner)
        if (hasWaited) this.#tellOf(reading)
        return reading
      }
      place = reading.next
      hasWaited = true
      // A reader that waits is a reader: the TTL begins again. It waits before that is written.
      if (reading.isToTouch) void this.#touched(owner)
      await this.#woken(owner, stop, reading.touchMs)
    }
  }

  #tellOf({ messages, writtenMs }: Reading): void {
    const tookMs = Math.max(0, this.#shard.now() - writtenMs)
    if (messages.length > 0)
      emit(this.#system, this.#shard, 'streams.tailed', { messages: messages.length, tookMs })
  }

  /** Writes that a stream was read. A stream that cannot be written is read all the same. */
  #touched(owner: string): Promise<unknown> {
    const writing =
      this.#touching.get(owner) ??
      this.gather
        .send({ owner, act: 'touch' })
        .catch(() => undefined)
        .finally(() => this.#touching.delete(owner))
    this.#touching.set(owner, writing)
    return writing
  }

  #looked(owner: string, place: ReadingPlace, bytesMax: number): Reading | undefined {
    const shard = this.#shard
    try {
      return readingFrom(shard.view(), owner, place, bytesMax, shard.now())
    } catch (error) {
      if (shard.mends(error)) return undefined
      throw error
    }
  }

  /**
   * Resolves at the next change of the stream, of the shard's phase, and when it is stopped; with
   * `withinMs` after that time at the latest.
   */
  #woken(owner: string, stop: Stop, withinMs: number): Promise<void> {
    return new Promise((resolve) => {
      const { clock } = this.#system
      let cancel: Cancel | undefined
      const waiting = this.#waiting.get(owner) ?? new Set()
      this.#waiting.set(owner, waiting)
      const wake = (): void => {
        // A reader that leaves later wakes its last wait once more. By then others may wait in another set.
        if (!waiting.delete(wake)) return
        cancel?.()
        if (waiting.size === 0) this.#waiting.delete(owner)
        if (this.#waiting.size === 0) this.#unlisten()
        resolve()
      }
      waiting.add(wake)
      stop.wake = wake
      if (withinMs > 0) cancel = clock.after(withinMs, wake, { holdsProcess: false })
      this.#listen()
    })
  }

  #listen(): void {
    if (this.#stopListening) return
    const shard = this.#shard
    const all = (): void => {
      for (const waiting of [...this.#waiting.values()]) for (const wake of [...waiting]) wake()
    }
    const stopChanges = shard.changes.listen({
      applied: (shown) => this.#applied(shown),
      missed: all,
    })
    const stopPhases = shard.onPhase(all)
    this.#stopListening = () => {
      stopChanges()
      stopPhases()
    }
  }

  #unlisten(): void {
    this.#stopListening?.()
    this.#stopListening = undefined
  }

  #applied({ frame }: ShownFrame): void {
    for (const unit of unitsIn(frame.units))
      for (const { owner } of streamPartsOf(unit))
        for (const wake of [...(this.#waiting.get(owner) ?? [])]) wake()
  }
}

/** Whether there is nothing to give: no message, and the stream may get some. */
const isIdle = ({ messages, isClosed }: Reading): boolean => messages.length === 0 && !isClosed
