/**
 * The book of a queue: which jobs wait, run and are dead, and which one starts next. Everything that
 * it decides is written with the current turn, as rows and as the state `kept`. So the book is a
 * function of what is durable: after a refused turn, and after a crash, it is opened again.
 *
 * A claim is a part of `kept`: the row of the job stays where it was. When an incarnation of the queue has
 * ended, the claims in `kept` are the jobs that it cut off. They go first in the next incarnation. If the
 * incarnation did not end by a close, each of them may be the reason of its end. Such a suspect is claimed
 * alone, and is dead when three incarnations have ended while it was. Pure.
 */
import type { DurableRows } from '../../actors/index.ts'
import { KeelsonError, type KeptError } from '../../errors.ts'
import {
  cutOff,
  endedAlone,
  endsAloneMax,
  heldLengthMax,
  type KeptBook,
  type KeptClaim,
} from './kept-claims.ts'
import {
  deadPrefix,
  deadRow,
  delayedPrefix,
  delayedRow,
  dueOf,
  type JobRecord,
  numberOf,
  packRecord,
  placeOf,
  ratePrefix,
  readRecord,
  readyPrefix,
  readyRow,
  uniquePrefix,
} from './queue-rows.ts'
import { type RateLimit, Rates } from './rates.ts'
import { ReadyJobs } from './ready-jobs.ts'
import { UniqueTexts } from './unique-texts.ts'

/** The limits of a queue. */
export type QueueLimits = {
  readonly concurrency: number
  /** Of jobs of one key, for jobs with a key. */
  readonly perKey: number
  readonly rate: RateLimit | undefined
  /** How long a unique text is taken, in ms; `undefined`: until its job has ended. */
  readonly uniqueMs: number | undefined
  /** The most jobs that wait or run. */
  readonly depthMax: number
  /** The most pairs of key and priority with jobs that are ready: each has a list in memory. */
  readonly keysMax: number
  /** How long a dead job is kept, in ms. */
  readonly keepMs: number
  /** The most tries of a job that fail. */
  readonly triesMax: number
  /** False: a job that an incarnation has cut off goes on as it was. */
  readonly countsEnds: boolean
}

/** A job to add. */
export type NewJob = {
  readonly job: unknown
  readonly key: string
  readonly priority: number
  readonly delayMs: number
  readonly unique: string | undefined
}

/** The number of a job; `repeated`: it is the holder of the unique text, and nothing was added. */
export type Added = { readonly number: number; readonly repeated: boolean }

/** A job that may start when the current turn is durable. */
export type Claim = {
  readonly number: number
  readonly row: string
  readonly record: JobRecord
  /** Counts from 1, with this try. */
  readonly attempt: number
  /** The key of the rate that it counts for; `undefined`: for none. */
  readonly rateKey: string | undefined
}

/** `isSuspect`: it was claimed alone. */
type Running = Claim & { readonly isSuspect: boolean; readonly endsAlone: number }

/** How many jobs are where. */
export type QueueCounts = {
  readonly ready: number
  readonly delayed: number
  readonly running: number
  readonly dead: number
  /**
   * The rows that this incarnation could not read: the ids of jobs, which are neither ready nor delayed;
   * `unique x`, a text that is refused; `rate x`, the rate of a key.
   */
  readonly unreadable: readonly string[]
}

/** How many rows one sweep looks at. */
const sweepMax = 1_000

const full = (of: string, max: number): KeelsonError =>
  new KeelsonError('BUSY', `the queue has ${max} ${of}`, { details: { of, max } })

/** The jobs of one queue. The methods that take `rows` are parts of a turn. */
export class QueueBook {
  readonly #limits: QueueLimits
  readonly #ready = new ReadyJobs()
  readonly #running = new Map<number, Running>()
  readonly #runningOfKey = new Map<string, number>()
  /** By their numbers, in order. */
  readonly #cut: Map<number, KeptClaim>
  readonly #rates: Rates | undefined
  readonly #texts: UniqueTexts
  /** The jobs whose rows cannot be read. The rows stay as they are: the next incarnation reads them. */
  readonly #unreadable = new Set<number>()
  #delayed = 0
  /** When the first delayed job is due, or earlier. */
  #dueAt = Number.POSITIVE_INFINITY
  isPaused: boolean
  #isLeaving = false
  #next: number
  #dead: number
  /** How many jobs the current turn may bury: an earlier program may have had more tries. */
  #mayBury = 0

  /** `running`: the claims of this incarnation, which go on when a turn was refused. */
  constructor(
    limits: QueueLimits,
    kept: KeptBook,
    now: number,
    running: ReadonlyMap<number, Claim> = new Map(),
  ) {
    const { rate, countsEnds } = limits
    const { claims, isLeaving } = kept
    this.#limits = limits
    this.#texts = new UniqueTexts(limits.uniqueMs)
    this.#rates = rate && new Rates(rate, now)
    const cut = [...kept.cut]
    for (const claim of claims) {
      const [row, attempt, isSuspect, endsAlone] = claim
      const known = running.get(numberOf(row))
      if (known) this.#runs({ ...known, attempt, isSuspect, endsAlone })
      else cut.push(cutOff(claim, countsEnds && !isLeaving, claims.length === 1))
    }
    const numbered = cut.map((claim) => [numberOf(claim[0]), claim] as const)
    this.#cut = new Map(numbered.sort(([one], [other]) => one - other))
    this.isPaused = kept.isPaused
    this.#next = kept.next
    this.#dead = kept.dead
  }

  /** Counts a stored row of a ready or delayed job. All of them are counted before the first turn. */
  found(row: string): void {
    const number = numberOf(row)
    if (row.startsWith(delayedPrefix)) this.#isDelayed(dueOf(row))
    else if (!this.#running.has(number) && !this.#cut.has(number)) this.#ready.add(row)
  }

  #isDelayed(dueAt: number): void {
    this.#delayed++
    this.#dueAt = Math.min(this.#dueAt, dueAt)
  }

  /** The state to store with the turn. */
  get kept(): KeptBook {
    return {
      ...{ isPaused: this.isPaused, next: this.#next, dead: this.#dead },
      cut: [...this.#cut.values()],
      claims: [...this.#running.values()].map(({ row, attempt, isSuspect, endsAlone }) => [
        ...([row, attempt, isSuspect, endsAlone] as const),
      ]),
      isLeaving: this.#isLeaving,
    }
  }

  get counts(): QueueCounts {
    return {
      ready: this.#waiting,
      delayed: this.#delayed,
      running: this.#running.size,
      dead: this.#dead,
      unreadable: [
        ...[...this.#unreadable].map(String),
        ...[...this.#texts.unreadable].map((unique) => `unique ${unique}`),
        ...[...(this.#rates?.unreadable ?? [])].map((key) => `rate ${key}`.trim()),
      ],
    }
  }

  get #waiting(): number {
    return this.#ready.size + this.#cut.size
  }

  get isFull(): boolean {
    return this.#depth >= this.#limits.depthMax
  }

  /** The instance closes: no further job starts, and a try that is cut off does not count. */
  leave(): void {
    this.#isLeaving = true
  }

  /**
   * Adds jobs, all or none.
   * @throws KeelsonError `BUSY` when the queue is full; `CORRUPT` for a unique text whose row cannot
   * be read
   */
  add(jobs: readonly NewJob[], now: number, rows: DurableRows): readonly Added[] {
    const { depthMax, keysMax } = this.#limits
    if (this.#depth + jobs.length > depthMax) throw full('jobs', depthMax)
    if (this.#ready.lists + jobs.length > keysMax && this.#newLists(jobs) > keysMax)
      throw full('keys with ready jobs', keysMax)
    for (const { unique } of jobs) if (unique !== undefined) this.#texts.holder(unique, now, rows)
    return jobs.map((job) => this.#add(job, now, rows))
  }

  /** How many jobs wait or run. */
  get #depth(): number {
    return this.#waiting + this.#delayed + this.#running.size
  }

  /** How many keys would have ready jobs with these. */
  #newLists(jobs: readonly NewJob[]): number {
    const added = new Set(jobs.map(({ priority, key }) => readyPrefix(priority, key)))
    return [...added].filter((prefix) => !this.#ready.has(prefix)).length + this.#ready.lists
  }

  #add({ delayMs, ...given }: NewJob, now: number, rows: DurableRows): Added {
    const { unique } = given
    const holder = unique === undefined ? undefined : this.#texts.holder(unique, now, rows)
    if (holder !== undefined) return { number: holder, repeated: true }
    const number = this.#next++
    if (unique !== undefined) this.#texts.hold(unique, number, now, rows)
    const record = { ...given, at: now, tries: 0, failure: undefined }
    if (delayMs > 0) this.#delay(number, record, now + delayMs, rows)
    else this.#makeReady(number, record, rows)
    return { number, repeated: false }
  }

  #makeReady(number: number, record: JobRecord, rows: DurableRows): void {
    const row = readyRow(readyPrefix(record.priority, record.key), number)
    rows.put(row, packRecord(record))
    this.#ready.add(row)
  }

  #delay(number: number, record: JobRecord, dueAt: number, rows: DurableRows): void {
    const row = delayedRow(dueAt, number)
    rows.put(row, packRecord(record))
    this.#isDelayed(dueAt)
  }

  /** A try has ended well: the job is done. */
  done(number: number, rows: DurableRows): void {
    const { row, record } = this.#release(number)
    rows.delete(row)
    this.#texts.free(record.unique, number, rows)
  }

  /** A try has failed. There is another one in `inMs`; `undefined`: the job is dead. */
  failed(
    number: number,
    error: KeptError,
    inMs: number | undefined,
    now: number,
    rows: DurableRows,
  ): void {
    const { row, record, attempt } = this.#release(number)
    const failed = { ...record, tries: attempt, failure: { at: now, error } }
    rows.delete(row)
    if (inMs === undefined) this.#bury(row, failed, rows)
    else this.#delay(number, failed, now + Math.max(1, inMs), rows)
  }

  #release(number: number): Running {
    const running = this.#running.get(number) as Running
    this.#running.delete(number)
    const { key } = running.record
    const others = (this.#runningOfKey.get(key) ?? 0) - 1
    if (others > 0) this.#runningOfKey.set(key, others)
    else this.#runningOfKey.delete(key)
    this.#ready.rouse(key)
    return running
  }

  #bury(row: string, record: JobRecord, rows: DurableRows): void {
    rows.delete(row)
    rows.put(deadRow(numberOf(row)), packRecord(record))
    this.#dead++
    this.#texts.free(record.unique, numberOf(row), rows)
  }

  /**
   * Makes a dead job ready, with all its tries. False: no dead job has this number.
   * @throws KeelsonError `CONFLICT` when another job holds its unique text; `CORRUPT` if the row of
   * that text cannot be read
   */
  retry(number: number, now: number, rows: DurableRows): boolean {
    const record = readRecord(deadRow(number), rows)
    if (record === undefined) return false
    const { unique } = record
    if (unique !== undefined && this.#texts.untilEnded) {
      const holder = this.#texts.holder(unique, now, rows)
      if (holder !== undefined)
        throw new KeelsonError('CONFLICT', `job ${holder} holds the unique text ${unique}`)
      this.#texts.hold(unique, number, now, rows)
    }
    this.forgetDead(number, rows)
    this.#makeReady(number, { ...record, tries: 0 }, rows)
    return true
  }

  /** Removes a dead job. */
  forgetDead(number: number, rows: DurableRows): void {
    if (rows.delete(deadRow(number))) this.#dead--
  }

  /** Claims the jobs that may start, after at most `dueMax` delayed ones have become ready. */
  claim(now: number, rows: DurableRows, dueMax: number): readonly Claim[] {
    this.#mayBury = dueMax
    this.#makeDue(now, rows, dueMax)
    this.#buryCut(now, rows)
    const claims: Claim[] = []
    if (this.isPaused || this.#isLeaving) return claims
    for (const key of this.#rates?.awake(now) ?? []) this.#ready.rouse(key)
    let held = this.#heldLength()
    for (let next = this.#claimNext(now, rows, held); next; ) {
      claims.push(next)
      held += next.row.length
      next = this.#claimNext(now, rows, held)
    }
    return claims
  }

  #makeDue(now: number, rows: DurableRows, dueMax: number): void {
    if (this.#dueAt > now || dueMax === 0) return
    const limit = dueMax + this.#unreadable.size
    const { entries, exhausted } = rows.range({ prefix: delayedPrefix, limit, values: false })
    const due = entries.filter(([row]) => dueOf(row) <= now)
    for (const [row] of due) {
      if (this.#unreadable.has(numberOf(row))) continue
      this.#delayed--
      const record = this.#read(row, rows)
      if (!record) continue
      this.#makeReady(numberOf(row), record, rows)
      rows.delete(row)
    }
    const next = entries[due.length]?.[0]
    this.#dueAt = next ? dueOf(next) : exhausted ? Number.POSITIVE_INFINITY : now
  }

  /** The record of a job; without one the job is set aside. */
  #read(row: string, rows: DurableRows): JobRecord | undefined {
    const record = readRecord(row, rows)
    if (!record) this.#unreadable.add(numberOf(row))
    return record
  }

  /** Jobs that were alone at too many ends of the process are dead. */
  #buryCut(now: number, rows: DurableRows): void {
    for (const [number, [row, tries, , endsAlone]] of this.#cut) {
      if (endsAlone < endsAloneMax) continue
      const record = this.#read(row, rows)
      this.#cut.delete(number)
      if (!record) continue
      this.#bury(row, { ...record, tries, failure: { at: now, error: endedAlone } }, rows)
    }
  }

  /** The length of the rows that `kept` names. */
  #heldLength(): number {
    let length = 0
    for (const { row } of this.#running.values()) length += row.length
    for (const [row] of this.#cut.values()) length += row.length
    return length
  }

  /** Jobs that were cut off are held already, so that only others wait for the bound on `held`. */
  #claimNext(now: number, rows: DurableRows, held: number): Claim | undefined {
    const { concurrency, rate, countsEnds } = this.#limits
    if (this.#running.size >= concurrency || this.#waiting === 0) return undefined
    for (const { isSuspect } of this.#running.values()) if (isSuspect) return undefined
    const hasRoom = !rate || rate.key || this.#rates?.hasRoom('', now, rows)
    const mayStart = (key: string): boolean => this.#hasPlace(key) && this.#hasRoom(key, now, rows)
    for (const [number, cut] of this.#cut) {
      const [row, , isSuspect] = cut
      const { key } = placeOf(row)
      // A run that goes on needs a place, and no grant.
      if (!(countsEnds ? hasRoom && mayStart(key) : this.#hasPlace(key))) continue
      // Jobs that run have to end first: nothing else starts until then.
      if (isSuspect && this.#running.size > 0) return undefined
      this.#cut.delete(number)
      const claim = this.#take(cut, rows)
      if (claim) return claim
      if (this.#hasBuried(now)) return undefined
    }
    if (!hasRoom || held >= heldLengthMax) return undefined
    for (let row = this.#ready.take(mayStart); row; row = this.#ready.take(mayStart)) {
      const claim = this.#take([row, undefined, false, 0], rows)
      if (claim) return claim
      if (this.#hasBuried(now)) return undefined
    }
    return undefined
  }

  /** Whether this turn has met more spent jobs than it may bury. The next one follows at once. */
  #hasBuried(now: number): boolean {
    if (this.#mayBury >= 0) return false
    this.#dueAt = Math.min(this.#dueAt, now)
    return true
  }

  #hasPlace(key: string): boolean {
    return key === '' || (this.#runningOfKey.get(key) ?? 0) < this.#limits.perKey
  }

  #hasRoom(key: string, now: number, rows: DurableRows): boolean {
    return key === '' || !this.#limits.rate?.key || !!this.#rates?.hasRoom(key, now, rows)
  }

  #take(
    [row, tries, isSuspect, endsAlone]: KeptClaim | readonly [string, undefined, false, 0],
    rows: DurableRows,
  ): Claim | undefined {
    const record = this.#read(row, rows)
    if (!record) return undefined
    if (record.failure && record.tries >= this.#limits.triesMax) {
      if (this.#mayBury-- > 0) this.#bury(row, record, rows)
      else this.#ready.add(row)
      return undefined
    }
    const attempt = (tries ?? record.tries) + 1
    const isFirst = tries === undefined && record.tries === 0
    const rateKey = isFirst || this.#limits.countsEnds ? this.#rateKey(record) : undefined
    if (rateKey !== undefined) this.#rates?.grant(rateKey, rows)
    const number = numberOf(row)
    const claim = { number, row, record, attempt, rateKey, isSuspect, endsAlone }
    this.#runs(claim)
    return claim
  }

  #rateKey({ key }: JobRecord): string | undefined {
    const { rate } = this.#limits
    return rate?.key ? key || undefined : rate && ''
  }

  #runs(claim: Running): void {
    const { key } = claim.record
    this.#running.set(claim.number, claim)
    this.#runningOfKey.set(key, (this.#runningOfKey.get(key) ?? 0) + 1)
  }

  /** The turn of a claim is durable, and the job starts. */
  started({ rateKey }: Claim, now: number): void {
    if (rateKey !== undefined) this.#rates?.started(rateKey, now)
  }

  /** How many jobs start before that of a ready row; `undefined`: it does not wait. */
  before(row: string): number | undefined {
    const cut = [...this.#cut.keys()].indexOf(numberOf(row))
    return cut >= 0 ? cut : this.#ready.before(row, this.#cut.size)
  }

  /** The row of the ready job that was added first. */
  get oldest(): string | undefined {
    const [cut] = this.#cut.values()
    return cut?.[0] ?? this.#ready.oldest
  }

  /**
   * Looks at one page of the rows from `from` on that end by time, and removes those whose time is
   * over. Returns where the next page begins; `undefined`: at the first one.
   */
  sweep(from: string | undefined, now: number, rows: DurableRows): string | undefined {
    const { entries, exhausted } = rows.range({ gte: from ?? deadPrefix, limit: sweepMax })
    for (const [row, value] of entries) if (this.#isOver(row, value, now, rows)) rows.delete(row)
    return exhausted ? undefined : `${entries.at(-1)?.[0]}!`
  }

  #isOver(row: string, value: unknown, now: number, rows: DurableRows): boolean {
    if (row.startsWith(ratePrefix))
      return this.#rates?.forgets(row.slice(ratePrefix.length), now, rows) ?? true
    if (row.startsWith(uniquePrefix)) return this.#texts.isOver(value, now)
    const failure = readRecord(row, rows)?.failure
    const isOver = failure !== undefined && failure.at + this.#limits.keepMs <= now
    if (isOver) this.#dead--
    return isOver
  }

  /**
   * When something may start by itself, in ms since 1970, after the claims of this turn: a delayed
   * job, or one that a rate holds back. Infinite: nothing does.
   */
  get wakeAt(): number {
    // A rate that has room again changes nothing while the queue is paused, or nothing waits.
    const isHeld = this.isPaused || this.#isLeaving || this.#waiting === 0
    return Math.min(this.#dueAt, ...(isHeld ? [] : (this.#rates?.times ?? [])))
  }
}
