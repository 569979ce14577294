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
import type { DurableRows, ReadRows } from '../../actors/index.ts'
import { KeelsonError } from '../../errors.ts'
import { type AddWindow, heldWindow, holdWindow, plannedAdd } from './add-windows.ts'
import { BatchWindow } from './batch-window.ts'
import { DelayedJobs } from './delayed-jobs.ts'
import { keepDone, sweepRows } from './ended-rows.ts'
import { forgetJob, indexJob, placeJob } from './job-attributes.ts'
import {
  cutJobs,
  endedAlone,
  endsAloneMax,
  heldLengthMax,
  type KeptBook,
  type KeptClaim,
} from './kept-claims.ts'
import {
  type ChangedLimits,
  isSameRate,
  type LimitsLook,
  limitsLook,
  limitsWith,
} from './queue-limits.ts'
import {
  deadRow,
  delayedPrefix,
  dueOf,
  failureAfter,
  hasRow,
  isOf,
  type JobRecord,
  numberOf,
  packRecord,
  placeOf,
  readRecord,
  readyPrefix,
  readyRow,
  type SomeJobs,
} from './queue-rows.ts'
import type {
  Added,
  Claim,
  DoneTry,
  FailedTry,
  FoundJob,
  JobChange,
  JobHold,
  JobPlace,
  NewJob,
  QueueCounts,
  QueueLimits,
} from './queue-types.ts'
import { Rates } from './rates.ts'
import { ReadyJobs } from './ready-jobs.ts'
import { RunningJobs } from './running-jobs.ts'
import { addedOnce, UniqueTexts } from './unique-texts.ts'

const full = (of: string, max: number): KeelsonError =>
  new KeelsonError('BUSY', `the queue has ${max} ${of}`, { details: { of, max } })

const inTurn: JobHold = { reason: 'turn' }

/** The jobs of one queue. The methods that take `rows` are parts of a turn. */
export class QueueBook {
  readonly #declared: QueueLimits
  /** The limits that were changed at run time; `undefined`: none. */
  #changed: ChangedLimits | undefined
  /** The limits that hold. */
  #limits: QueueLimits
  readonly #ready = new ReadyJobs()
  readonly #running = new RunningJobs()
  readonly #cut: Map<number, KeptClaim>
  #rates: Rates | undefined
  readonly #texts: UniqueTexts
  /** The jobs whose rows cannot be read. The rows stay as they are: the next incarnation reads them. */
  readonly #unreadable = new Set<number>()
  readonly #delayed = new DelayedJobs()
  readonly #window: BatchWindow
  /** The jobs that turns have removed or buried, for `takeGone`. */
  readonly #gone = new Map<number, 'removed' | 'dead'>()
  isPaused: boolean
  #isLeaving = false
  /** The number of the next job. */
  next: number
  #dead: number
  #deadSince: number | undefined
  /** How many jobs the current turn may bury: an earlier program may have had more tries. */
  #mayBury = 0

  /**
   * `running`: the claims of this incarnation, which go on when a turn was refused. Those with a
   * `rateKey` have yet to begin.
   */
  constructor(
    declared: QueueLimits,
    kept: KeptBook,
    now: number,
    rows: Pick<ReadRows, 'get'>,
    running: ReadonlyMap<number, Claim> = new Map(),
  ) {
    this.#declared = declared
    this.#changed = kept.limits
    this.#limits = limitsWith(declared, kept.limits)
    this.#texts = new UniqueTexts(declared.uniqueMs)
    this.#window = new BatchWindow(declared.batch?.waitMs ?? 0)
    this.#cut = cutJobs(kept, running, declared.countsEnds)
    for (const [row] of kept.claims) {
      const claim = running.get(numberOf(row))
      if (claim) this.#running.add(claim)
    }
    this.#openRates(now, rows)
    this.isPaused = kept.isPaused
    this.next = kept.next
    this.#dead = kept.dead
    this.#deadSince = kept.deadSince
  }

  /** Starts that were granted, and have yet to happen, still may. */
  #openRates(now: number, rows: Pick<ReadRows, 'get'>): void {
    const { rate } = this.#limits
    this.#rates = rate && new Rates(rate, now)
    for (const key of this.#running.grantedKeys) this.#rates?.goesOn(key, rows)
  }

  get limits(): LimitsLook {
    return limitsLook(this.#declared, this.#changed)
  }

  /** Changes limits; `undefined`: those of the declaration hold again. Jobs that run go on. */
  changeLimits(
    change: ChangedLimits | undefined,
    now: number,
    rows: Pick<ReadRows, 'get'>,
  ): LimitsLook {
    const { rate } = this.#limits
    this.#changed = change && { ...this.#changed, ...change }
    this.#limits = limitsWith(this.#declared, this.#changed)
    if (!isSameRate(rate, this.#limits.rate)) this.#openRates(now, rows)
    this.#ready.rouseAll()
    return this.limits
  }

  /** Counts a stored row of a ready or delayed job. All of them are counted before the first turn. */
  found(row: string): void {
    const number = numberOf(row)
    if (row.startsWith(delayedPrefix)) this.#delayed.found(dueOf(row))
    else if (!this.#running.has(number) && !this.#cut.has(number)) this.#ready.add(row)
  }

  /** The state to store with the turn. */
  get kept(): KeptBook {
    return {
      isPaused: this.isPaused,
      next: this.next,
      dead: this.#dead,
      cut: [...this.#cut.values()],
      claims: this.#running.kept,
      isLeaving: this.#isLeaving,
      ...(this.#deadSince !== undefined && { deadSince: this.#deadSince }),
      ...(this.#changed !== undefined && { limits: this.#changed }),
    }
  }

  get counts(): QueueCounts {
    return {
      ready: this.#waiting,
      delayed: this.#delayed.size,
      running: this.#running.size,
      dead: this.#dead,
      deadSince: this.#deadSince,
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
    if (this.#ready.lists + jobs.length > keysMax) {
      const added = new Set(jobs.map(({ priority, key }) => readyPrefix(priority, key)))
      if (this.#ready.listsWith(added) > keysMax) throw full('keys with ready jobs', keysMax)
    }
    for (const { unique } of jobs) if (unique !== undefined) this.#texts.holder(unique, now, rows)
    return jobs.map((job) => addedOnce(job.recorded, now, rows, () => this.#add(job, now, rows)))
  }

  /** How many jobs wait or run. */
  get #depth(): number {
    return this.#waiting + this.#delayed.size + this.#running.size
  }

  #add({ delayMs, ...given }: NewJob, now: number, rows: DurableRows): Added {
    const { unique, window } = given
    if (window) return this.#addUnder(window, given, now, rows)
    const holder = unique === undefined ? undefined : this.#texts.holder(unique, now, rows)
    if (holder !== undefined) return { number: holder, repeated: true }
    const number = this.next++
    if (unique !== undefined) this.#texts.hold(unique, number, now, rows)
    const record = { ...given, at: now, tries: 0, failure: undefined }
    if (given.attributes) indexJob(number, given.attributes, rows)
    if (delayMs > 0) this.#delayed.add(number, record, now + delayMs, rows)
    else this.#makeReady(number, record, rows)
    return { number, repeated: false }
  }

  /** Adds a job under a window, or moves the job that the window has, or neither. */
  #addUnder(
    window: AddWindow,
    given: Omit<NewJob, 'delayMs'>,
    now: number,
    rows: DurableRows,
  ): Added {
    const held = heldWindow(window, rows)
    const waits = held && this.#untried(held[0], now, rows)
    const planned = plannedAdd(window, held, waits !== undefined, now)
    if (planned.does === 'repeat') return { number: planned.number, repeated: true }
    const { at, dueAt } = planned
    const moved = planned.does === 'move' ? waits : undefined
    const number = moved && held ? held[0] : this.next++
    const isNewest = !moved || window.keep === 'last'
    const fresh = { ...given, at: moved?.record.at ?? now, tries: 0, failure: undefined }
    const record = isNewest ? fresh : moved.record
    if (moved) this.#delayed.remove(moved.row, rows)
    if (moved && isNewest) forgetJob(number, moved.record.attributes, rows)
    if (isNewest && given.attributes) indexJob(number, given.attributes, rows)
    holdWindow(window, number, at, rows)
    if (dueAt > now) this.#delayed.add(number, record, dueAt, rows)
    else this.#makeReady(number, record, rows)
    if (!moved) return { number, repeated: false }
    return isNewest ? { number, repeated: true, replaced: true } : { number, repeated: true }
  }

  /** A delayed job that has had no try, and is not due; `undefined`: the job of this number is none. */
  #untried(number: number, now: number, rows: DurableRows): FoundJob | undefined {
    const row = this.#delayed.find(number, rows)
    const record = row !== undefined && dueOf(row) > now ? readRecord(row, rows) : undefined
    if (row === undefined || !record || record.tries > 0 || record.failure) return undefined
    return { state: 'delayed', row, record }
  }

  #makeReady(number: number, record: JobRecord, rows: DurableRows): void {
    const row = readyRow(readyPrefix(record.priority, record.key), number)
    rows.put(row, packRecord(record))
    placeJob(number, record.attributes, row, rows)
    this.#ready.add(row)
  }

  /** A try has ended well: the job is done, and its result is kept if the queue keeps results. */
  done(number: number, end: DoneTry, now: number, rows: DurableRows): void {
    const { row, record, attempt } = this.#release(number, rows)
    const { resultsMs } = this.#limits
    rows.delete(row)
    this.#texts.free(record.unique, number, rows)
    if (resultsMs === undefined) forgetJob(number, record.attributes, rows)
    else keepDone(number, { ...record, tries: attempt }, end, now, resultsMs, rows)
  }

  /** A try has failed. */
  failed(number: number, end: FailedTry, now: number, rows: DurableRows): void {
    const { error, log: lines, tries, inMs } = end
    const { row, record } = this.#release(number, rows)
    const { triesMax } = this.#limits
    const failure = failureAfter(record, { at: now, error, lines, triesMax })
    const failed = { ...record, tries, failure }
    rows.delete(row)
    if (inMs === undefined) this.#bury(row, failed, now, rows)
    else this.#delayed.add(number, failed, now + Math.max(1, inMs), rows)
  }

  /** A try came too early, and counts for nothing: the job starts next, with the same try. */
  again(number: number, rows: DurableRows): void {
    const { row, attempt, isSuspect, endsAlone } = this.#release(number, rows)
    this.#cut.set(number, [row, attempt - 1, isSuspect, endsAlone])
  }

  #release(number: number, rows: DurableRows): Claim {
    const rateKey = this.#running.begins(number)
    if (rateKey !== undefined) this.#rates?.givenBack(rateKey, rows)
    const claim = this.#running.remove(number)
    this.#ready.rouse(claim.record.key)
    return claim
  }

  #bury(row: string, record: JobRecord, now: number, rows: DurableRows): void {
    rows.delete(row)
    const number = numberOf(row)
    rows.put(deadRow(number), packRecord(record))
    placeJob(number, record.attributes, deadRow(number), rows)
    if (this.#dead++ === 0) this.#deadSince = now
    this.#gone.set(numberOf(row), 'dead')
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
    this.#takeOut('dead', deadRow(number), rows)
    this.#makeReady(number, { ...record, tries: 0 }, rows)
    return true
  }

  /**
   * A job that is not done; `undefined`: it is done, was removed, or was never added.
   * @throws KeelsonError `CORRUPT` if its row cannot be read
   */
  find(number: number, rows: DurableRows): FoundJob | undefined {
    const isAside = this.#unreadable.has(number)
    const place = isAside ? undefined : this.#placeOf(number, rows)
    if (!place && !isAside) return undefined
    const record = place && readRecord(place.row, rows)
    if (!record) throw new KeelsonError('CORRUPT', `the row of job ${number} cannot be read`)
    return { ...place, record: { ...record, tries: place.tries ?? record.tries } }
  }

  #placeOf(number: number, rows: DurableRows): JobPlace | undefined {
    const running = this.#running.get(number)
    if (running) return { state: 'running', row: running.row, tries: running.attempt }
    const cut = this.#cut.get(number)
    if (cut) return { state: 'waiting', row: cut[0], tries: cut[1] }
    const ready = this.#ready.find(number)
    if (ready) return { state: 'waiting', row: ready }
    const delayed = this.#delayed.find(number, rows)
    if (delayed) return { state: 'delayed', row: delayed }
    const dead = deadRow(number)
    return hasRow(dead, rows) ? { state: 'dead', row: dead } : undefined
  }

  /** The rows of at most `max` jobs that wait, of those of `which`. */
  waiting(which: SomeJobs, max: number): readonly string[] {
    const cut = [...this.#cut].filter(([number, [row]]) => isOf(number, placeOf(row), which))
    return [...cut.map(([, [row]]) => row), ...this.#ready.some(which, max)].slice(0, max)
  }

  /** The job of a row; `undefined`: it cannot be read. One that waits is set aside then. */
  at(state: FoundJob['state'], row: string, rows: DurableRows): FoundJob | undefined {
    const number = numberOf(row)
    const record = this.#unreadable.has(number) ? undefined : readRecord(row, rows)
    if (record) return { state, row, record }
    if (state !== 'waiting') return undefined
    this.#unreadable.add(number)
    if (!this.#cut.delete(number)) this.#ready.remove(row)
    return undefined
  }

  /**
   * Removes a job. One that runs gives its place back: its handler is to hear of it.
   * @throws KeelsonError `CONFLICT` for one that runs as the run of a workflow
   */
  remove({ state, row, record }: FoundJob, rows: DurableRows): void {
    const number = numberOf(row)
    if (state === 'running' && !this.#limits.countsEnds)
      throw new KeelsonError('CONFLICT', `job ${number} ends with its run: cancel that`)
    this.#takeOut(state, row, rows)
    if (state !== 'dead') this.#texts.free(record.unique, number, rows)
    forgetJob(number, record.attributes, rows)
    this.#gone.set(number, 'removed')
  }

  #takeOut(state: FoundJob['state'], row: string, rows: DurableRows): void {
    if (state === 'delayed') this.#delayed.remove(row, rows)
    else rows.delete(row)
    if (state === 'running') this.#release(numberOf(row), rows)
    if (state === 'waiting' && !this.#cut.delete(numberOf(row))) this.#ready.remove(row)
    if (state === 'dead') this.#forgetDead()
  }

  #forgetDead(): void {
    if (--this.#dead === 0) this.#deadSince = undefined
  }

  /** The jobs that were removed or buried since it was asked last. */
  takeGone(): readonly (readonly [number: number, how: 'removed' | 'dead'])[] {
    const gone = [...this.#gone]
    this.#gone.clear()
    return gone
  }

  /**
   * Changes a job that waits or is delayed.
   * @throws KeelsonError `CONFLICT` for any other, and for one that was cut off, which starts next
   */
  update(number: number, change: JobChange, now: number, rows: DurableRows): void {
    const found = this.find(number, rows)
    const state = this.#cut.has(number) ? 'running' : found?.state
    const how = state ?? (number < this.next ? 'done or removed' : 'not there')
    if (!found || (state !== 'waiting' && state !== 'delayed'))
      throw new KeelsonError('CONFLICT', `job ${number} does not wait: it is ${how}`)
    const { row } = found
    const record = { ...found.record, priority: change.priority ?? found.record.priority }
    const present = state === 'delayed' ? dueOf(row) : now
    const dueAt = change.delayMs === undefined ? present : now + change.delayMs
    this.#takeOut(state, row, rows)
    if (dueAt > now) this.#delayed.add(number, record, dueAt, rows)
    else this.#makeReady(number, record, rows)
  }

  /** Claims the jobs that may start, after at most `dueMax` delayed ones have become ready. */
  claim(now: number, rows: DurableRows, dueMax: number): readonly Claim[] {
    this.#mayBury = dueMax
    this.#makeDue(now, rows, dueMax)
    this.#buryCut(now, rows)
    const claims: Claim[] = []
    if (this.isPaused || this.#isLeaving) {
      this.#window.close()
      return claims
    }
    for (const key of this.#rates?.awake(now) ?? []) this.#ready.rouse(key)
    const max = this.#admitted(now, rows)
    let held = this.#heldLength()
    while (claims.length < max) {
      const next = this.#claimNext(now, rows, held)
      if (!next) break
      claims.push(next)
      held += next.row.length
    }
    return claims
  }

  /** How many jobs this turn may claim, but for the limits: in a queue with batches some wait for others. */
  #admitted(now: number, rows: DurableRows): number {
    const { batch, concurrency } = this.#limits
    if (!batch) return Number.POSITIVE_INFINITY
    // Jobs that were cut off have waited before, and go first.
    const isHeld = this.#cut.size > 0 || this.#running.hasSuspect
    const ready = isHeld ? 0 : this.#startable(now, rows)
    if (ready > 0) return this.#window.admits(ready, Math.min(batch.max, concurrency), now)
    this.#window.close()
    return isHeld ? Number.POSITIVE_INFINITY : 0
  }

  /** How many ready jobs may start. */
  #startable(now: number, rows: DurableRows): number {
    const { concurrency, perKey, rate } = this.#limits
    const places = concurrency - this.#running.size
    if (places <= 0 || this.#ready.size === 0) return 0
    const roomIn = (key: string): number => this.#rates?.room(key, now, rows) ?? places
    const roomOf = (key: string): number =>
      key === ''
        ? places
        : Math.min(perKey - this.#running.of(key), rate?.key ? roomIn(key) : places)
    return this.#ready.startable(rate && !rate.key ? Math.min(places, roomIn('')) : places, roomOf)
  }

  #makeDue(now: number, rows: DurableRows, dueMax: number): void {
    for (const row of this.#delayed.due(now, dueMax, this.#unreadable, rows)) {
      const record = this.#read(row, rows)
      if (record) {
        this.#delayed.remove(row, rows)
        this.#makeReady(numberOf(row), record, rows)
      } else this.#delayed.setAside()
    }
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
      this.#bury(row, { ...record, tries, failure: { at: now, error: endedAlone } }, now, rows)
    }
  }

  #heldLength(): number {
    let length = this.#running.length
    for (const [row] of this.#cut.values()) length += row.length
    return length
  }

  /** Jobs that were cut off are held already, so that only others wait for the bound on `held`. */
  #claimNext(now: number, rows: DurableRows, held: number): Claim | undefined {
    const { concurrency, rate, countsEnds } = this.#limits
    if (this.#running.size >= concurrency || this.#waiting === 0) return undefined
    if (this.#running.hasSuspect) return undefined
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
      const claim = this.#take(cut, now, rows)
      if (claim) return claim
      if (this.#hasBuried(now)) return undefined
    }
    if (!hasRoom || held >= heldLengthMax) return undefined
    for (let row = this.#ready.take(mayStart); row; row = this.#ready.take(mayStart)) {
      const claim = this.#take([row, undefined, false, 0], now, rows)
      if (claim) return claim
      if (this.#hasBuried(now)) return undefined
    }
    return undefined
  }

  /** Whether this turn has met more spent jobs than it may bury. The next one follows at once. */
  #hasBuried(now: number): boolean {
    if (this.#mayBury >= 0) return false
    this.#delayed.wakeAt(now)
    return true
  }

  #hasPlace(key: string): boolean {
    return key === '' || this.#running.of(key) < this.#limits.perKey
  }

  #hasRoom(key: string, now: number, rows: DurableRows): boolean {
    return key === '' || !this.#limits.rate?.key || !!this.#rates?.hasRoom(key, now, rows)
  }

  #take(
    [row, tries, isSuspect, endsAlone]: KeptClaim | readonly [string, undefined, false, 0],
    now: number,
    rows: DurableRows,
  ): Claim | undefined {
    const record = this.#read(row, rows)
    if (!record) return undefined
    if (record.failure && record.tries >= this.#limits.triesMax) {
      if (this.#mayBury-- > 0) this.#bury(row, record, now, rows)
      else this.#ready.add(row)
      return undefined
    }
    const [attempt, isCut] = [(tries ?? record.tries) + 1, tries !== undefined]
    // A run that is blocked has begun.
    const mayRun = isCut || record.failure?.error.code === 'BLOCKED'
    const rateKey = this.#limits.countsEnds || !mayRun ? this.#rateKey(record) : undefined
    if (rateKey !== undefined) this.#rates?.grant(rateKey, rows)
    const number = numberOf(row)
    const claim = { number, row, record, attempt, rateKey, isCut, isSuspect, endsAlone }
    this.#running.add(claim)
    return claim
  }

  #rateKey({ key }: JobRecord): string | undefined {
    const { rate } = this.#limits
    return rate?.key ? key || undefined : rate && ''
  }

  /** A handler or a run begins, once the turn of its claim is durable: the rate counts it. */
  started({ number }: Claim, now: number): void {
    const rateKey = this.#running.begins(number)
    if (rateKey !== undefined) this.#rates?.started(rateKey, now)
  }

  /** How many jobs start before that of a ready row; `undefined`: it does not wait. */
  before(row: string): number | undefined {
    const cut = [...this.#cut.keys()].indexOf(numberOf(row))
    return cut >= 0 ? cut : this.#ready.before(row, this.#cut.size)
  }

  /** Why ready jobs of these keys do not start now. */
  holds(keys: readonly string[], now: number): readonly JobHold[] {
    const ofAll = this.#holdOfAll(now)
    const { until } = this.#window
    const others: JobHold = until < Number.POSITIVE_INFINITY ? { reason: 'batch', until } : inTurn
    return keys.map((key) => ofAll ?? this.#holdOf(key, now) ?? others)
  }

  #holdOfAll(now: number): JobHold | undefined {
    if (this.isPaused) return { reason: 'paused' }
    if (this.#isLeaving) return { reason: 'closing' }
    if (this.#running.hasSuspect) return { reason: 'suspect' }
    if (this.#running.size >= this.#limits.concurrency) return { reason: 'places' }
    return this.#limits.rate?.key ? undefined : this.#holdOfRate('', now)
  }

  #holdOf(key: string, now: number): JobHold | undefined {
    if (!this.#hasPlace(key)) return { reason: 'key' }
    return key !== '' && this.#limits.rate?.key ? this.#holdOfRate(key, now) : undefined
  }

  #holdOfRate(key: string, now: number): JobHold | undefined {
    const until = this.#rates?.fullUntil(key, now)
    return until === undefined ? undefined : { reason: 'rate', until }
  }

  /** The row of the ready job that was added first. */
  get oldest(): string | undefined {
    const [cut] = this.#cut.values()
    return cut?.[0] ?? this.#ready.oldest
  }

  /** As `sweepRows`. */
  sweep(from: string | undefined, now: number, rows: DurableRows): string | undefined {
    const forgets = (): void => this.#forgetDead()
    const { keepMs } = this.#limits
    const terms = { now, keepMs, texts: this.#texts, rates: this.#rates, forgets }
    return sweepRows(from, terms, rows)
  }

  /**
   * When something may start by itself, in ms since 1970, after the claims of this turn: a delayed
   * job, one that a rate holds back, or a batch. Infinite: nothing does.
   */
  get wakeAt(): number {
    // A rate that has room again changes nothing while the queue is paused, or nothing waits.
    const isHeld = this.isPaused || this.#isLeaving || this.#waiting === 0
    const times = isHeld ? [] : (this.#rates?.times ?? [])
    return Math.min(this.#delayed.dueAt, this.#window.until, ...times)
  }
}
