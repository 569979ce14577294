/**
 * Runs the handlers of a queue, in one incarnation of it. Everything that callers ask for and handlers end with in
 * one turn of the event loop becomes one turn of the entity, which claims the next jobs too. There is
 * one such turn at a time. A handler starts when the turn of its claim is durable.
 *
 * After a refused turn the book is invalid: it is opened again from the durable rows. The
 * ends of handlers are kept for the next turn. Requests that are too large together are made again
 * one by one.
 *
 * It is apart from the entity, its only importer, because it outlives a turn: the entity has what one
 * turn does, and makes one runner at each of its starts.
 */
import { type DurableRows, shardTime } from '../../actors/index.ts'
import { backoffMs, type Cancel } from '../../clock.ts'
import { isKeelsonError, KeelsonError } from '../../errors.ts'
import { failureRecord } from '../../failure-record.ts'
import { reply } from '../../runtime/index.ts'
import { type AppContext, durableActors } from '../../supervisors/index.ts'
import { readDone } from '../book/ended-rows.ts'
import { emptyBook } from '../book/kept-claims.ts'
import { QueueBook } from '../book/queue-book.ts'
import { type LimitsLook, limitsLook } from '../book/queue-limits.ts'
import {
  delayedPrefix,
  isNumbers,
  readRecord,
  readyPrefix,
  readyRow,
  uniqueRow,
} from '../book/queue-rows.ts'
import type { Claim, JobHold } from '../book/queue-types.ts'
import { earlyMs, pauseAfter, unsureMs } from '../runs/decide.ts'
import { noteDead, noteEnd } from '../runs/failing-work.ts'
import type { EnteringRun } from '../runs/messages.ts'
import { queueId, queueKind } from '../runs/parts.ts'
import { endTrace, tracedBatch, tracedJob } from '../tracing/traced-work.ts'
import { JobCallers } from './job-callers.ts'
import { doneLook, type JobLook, lookOf } from './job-look.ts'
import { RunningTry, type TryEnd } from './queue-job.ts'
import type {
  QueueContext,
  QueueEvents,
  QueueHealth,
  QueueLook,
  QueuePlace,
  QueueRequest,
  QueueState,
  QueueWork,
} from './queue-messages.ts'
import type { QueueTerms } from './queue-terms.ts'

/** The parts of one turn. */
type Batch = {
  readonly requests: QueueRequest[]
  readonly ends: readonly TryEnd[]
  /** The most delayed jobs that it makes ready. */
  readonly dueMax: number
  /** How often its turn has begun. One that was taken back begins again. */
  turns: number
}

/** The most jobs and bytes that one turn adds, unless one request has more. */
const jobsMax = 1_000
const bytesMax = 1024 * 1024

/** How often rows are looked at whose time may be over. */
const sweepMs = 3_600_000

const pauses = { baseMs: 100, maxMs: 1_000 }

/** The rows that are counted in one turn of the event loop, when a queue opens. */
const pageMax = 2_000

/** Runs the handlers of a queue. */
export class QueueRunner {
  readonly #terms: QueueTerms
  readonly #system: QueueContext['system']
  /** The durable rows: they are read between turns. */
  readonly #rows: DurableRows
  #state: NonNullable<QueueState>
  #book!: QueueBook
  #work!: QueueWork
  #requests: QueueRequest[] = []
  #ends: TryEnd[] = []
  readonly #running = new Map<number, RunningTry>()
  readonly #overdue = new Set<RunningTry>()
  readonly callers: JobCallers
  /** So many turns have one part each: together these were too large. */
  #alone = 0
  #failures = 0
  #wake: (() => void) | undefined
  #isWanted = true
  #cancel: Cancel | undefined
  #sweep: { readonly at: number; readonly from: string | undefined } = { at: 0, from: undefined }
  #hasLeft = false

  constructor(terms: QueueTerms, state: QueueState, { system, rows }: QueueContext) {
    this.#terms = terms
    this.#system = system
    this.#rows = rows
    this.callers = new JobCallers(terms.name, (number) => this.#job(number))
    const birth = (): string => Buffer.from(system.clock.randomBytes(8)).toString('hex')
    this.#state = state ?? { ...emptyBook, birth: birth() }
  }

  /** Opens the book from what is durable. The claims of this incarnation go on. */
  async open(now: number): Promise<void> {
    const jobs = [...this.#running.values(), ...this.#ends.map(({ job }) => job)]
    const claims = new Map(jobs.map((job) => [job.claim.number, job.present]))
    const book = new QueueBook(this.#terms.limits, this.#state, now, this.#rows, claims)
    for (const prefix of [delayedPrefix, 'r/']) {
      let cursor: string | undefined
      do {
        const options = { prefix, values: false, limit: pageMax, ...(cursor && { cursor }) }
        const page = this.#rows.range(options)
        for (const [row] of page.entries) book.found(row)
        cursor = page.cursor
        if (cursor) await new Promise<void>((resolve) => this.#system.clock.soon(resolve))
      } while (cursor)
    }
    this.#book = book
    // Some may have begun while it was opened.
    for (const { claim, hasBegun } of jobs) if (hasBegun) this.#begun(claim)
  }

  /** Takes a request into the next turn. */
  ask(request: QueueRequest): void {
    if (this.#hasLeft) {
      request.from.fail(new KeelsonError('CLOSED', `the queue ${this.#terms.name} is closing`))
      return
    }
    this.#requests.push(request)
    this.#rouse()
  }

  look(): QueueLook {
    const row = this.#book.oldest
    const oldest = row === undefined ? undefined : readRecord(row, this.#rows)?.at
    return { ...this.#health(), oldest }
  }

  /** As they are durable. */
  get limits(): LimitsLook {
    return limitsLook(this.#terms.limits, this.#state.limits)
  }

  holds(keys: readonly string[]): readonly JobHold[] {
    return this.#book.holds(keys, shardTime(this.#work).now())
  }

  #job(number: number): JobLook | undefined {
    const found = this.#book.find(number, this.#rows)
    const key = this.#keyOf(number)
    if (found) return lookOf(found, key, this.#running.get(number))
    const done = readDone(number, this.#rows)
    return done && doneLook(number, done, key)
  }

  /** The key of the tries of a job. */
  #keyOf(number: number): string {
    return `queue/${this.#terms.name}/${this.#state.birth}/${number}`
  }

  /** The place of a run that waits. */
  place({ run, key = '', priority = 0 }: EnteringRun): QueuePlace | undefined {
    const holder: unknown = this.#rows.get(uniqueRow(run))
    const [number] = isNumbers(holder) ? holder : []
    if (number === undefined) return undefined
    const before = this.#book.before(readyRow(readyPrefix(priority, key), number))
    const { ready } = this.#book.counts
    return before === undefined ? undefined : { queue: this.#terms.name, before, ready }
  }

  /** It reads no row: a shard that is down hides no queue from the health. */
  #health(): QueueHealth {
    return {
      ...this.#book.counts,
      isPaused: this.#book.isPaused,
      isFull: this.#book.isFull,
      changedLimits: this.#state.limits,
      overdue: [...this.#overdue].map(({ claim, attempt, since }) => ({
        id: String(claim.number),
        attempt,
        since,
      })),
      unreachable: [...this.#running.values()].filter(({ run }) => this.#isDown(run)).length,
    }
  }

  #isDown(run: string | undefined): boolean {
    return run !== undefined && this.#entities.shardOf(run).phase.kind === 'down'
  }

  /** Works until the instance closes and no handler runs, or the queue ends. */
  async run(work: QueueWork): Promise<void> {
    this.#work = work
    work.consistsOf(() => [...this.#running.keys()].map((number) => `job ${number}`))
    const { reports } = this.#entities
    const report = `queue/${this.#terms.name}`
    reports.set(report, () => this.#health())
    work.signal.addEventListener('abort', () => reports.delete(report))
    work.signal.addEventListener('abort', () => this.#end(work.signal.reason))
    work.closing.addEventListener('abort', () => this.#rouse())
    while (!work.signal.aborted) {
      await this.#wanted()
      if (work.closing.aborted) this.#book.leave()
      if (!work.closing.aborted || this.#awaits || this.#isOwing) await this.#flush()
      if (work.closing.aborted && !this.#awaits && !this.#isOwing) break
    }
    this.#hasLeft = true
    this.#cancel?.()
  }

  get #entities(): AppContext[typeof durableActors]['entities'] {
    return (this.#work.app as AppContext)[durableActors].entities
  }

  /** Whether a close waits for handlers. Runs go on without the job that follows them. */
  get #awaits(): boolean {
    return this.#running.size > 0 && this.#terms.limits.countsEnds
  }

  get #isOwing(): boolean {
    return this.#requests.length + this.#ends.length > 0 && !this.#isStranded
  }

  /** In a close, with its shard down, nothing is recorded: the next start makes the same tries. */
  get #isStranded(): boolean {
    const { isStill } = this.#entities.shardOf(`${queueKind(this.#terms.name)}/${queueId}`)
    return this.#work.closing.aborted && isStill
  }

  /** The incarnation has ended: its handlers may go on, but nothing of theirs counts. */
  #end(reason: unknown): void {
    for (const job of this.#running.values()) job.end(reason)
    this.#cancel?.()
    this.#rouse()
  }

  /** Everything that the present turn of the event loop brings joins the turn. */
  #rouse(): void {
    if (this.#isWanted) return
    this.#isWanted = true
    const wake = this.#wake
    if (wake) this.#system.clock.soon(wake)
  }

  async #wanted(): Promise<void> {
    if (!this.#isWanted)
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    this.#wake = undefined
    this.#isWanted = false
  }

  async #flush(): Promise<void> {
    const batch = this.#next()
    const { limits } = this.#state
    this.callers.isInTurn = true
    try {
      const claims = await this.#apply(batch)
      this.#failures = 0
      // In the order of the turn: a job whose try has failed may be removed in it.
      for (const end of batch.ends) {
        endTrace(end, this.#system)
        if (!end.isTooLate) this.#emitEnd(end)
      }
      for (const [number, how] of this.#book.takeGone()) this.#gone(number, how)
      if (this.#state.limits !== limits) this.#emit('queue.limits', { limits: this.limits })
      this.#start(claims)
      this.callers.isInTurn = false
      if (this.#isOwing || this.#sweep.from !== undefined) this.#rouse()
      this.#setTimer()
    } catch (error) {
      await this.#refused(batch, error)
      this.callers.isInTurn = false
    }
  }

  #next(): Batch {
    if (this.#alone > 0) {
      this.#alone--
      const ends = this.#ends.splice(0, 1)
      const requests = ends.length > 0 ? [] : this.#requests.splice(0, 1)
      return { requests, ends, dueMax: ends.length + requests.length > 0 ? 0 : 1, turns: 0 }
    }
    let [count, jobs, bytes] = [0, 0, 0]
    for (const request of this.#requests) {
      jobs += request.jobs
      bytes += request.bytes
      if (count > 0 && (jobs > jobsMax || bytes > bytesMax)) break
      count++
    }
    const requests = this.#requests.splice(0, count)
    return { requests, ends: this.#ends.splice(0, jobsMax), dueMax: jobsMax, turns: 0 }
  }

  async #apply(batch: Batch): Promise<readonly Claim[]> {
    let state: NonNullable<QueueState> | undefined
    const claims = await this.#work.apply((_, context) => {
      // The book has changed, also if the turn was taken back while it read: another one begins.
      if (batch.turns++ > 0) throw new KeelsonError('NOT_SUBMITTED', 'the turn was taken back')
      const claimed = this.#turn(batch, context)
      state = { ...this.#book.kept, birth: this.#state.birth }
      return reply(claimed, state as QueueState)
    })
    if (state) this.#state = state
    return claims
  }

  /** The turn: ends first, because they give places back; then requests; then claims. */
  #turn({ requests, ends, dueMax }: Batch, context: QueueContext): readonly Claim[] {
    const { rows } = context
    const now = shardTime(context).now()
    for (const end of ends) this.#recordEnd(end, now, rows)
    for (const { does, from } of requests)
      try {
        from.reply(does(this.#book, now, rows))
      } catch (error) {
        // The queue refuses, before it has changed anything.
        if (!isKeelsonError(error) || !refusals.has(error.code)) throw error
        from.fail(error)
      }
    if (now >= this.#sweep.at || this.#sweep.from !== undefined) {
      const from = this.#book.sweep(this.#sweep.from, now, rows)
      this.#sweep = { at: now + sweepMs, from }
    }
    return this.#book.claim(now, rows, dueMax)
  }

  #recordEnd(end: TryEnd, now: number, rows: DurableRows): void {
    const { job, value, error } = end
    const { number } = job.claim
    if (error === undefined) {
      this.#book.done(number, { result: value, log: job.lines }, now, rows)
      return
    }
    end.isTooLate = this.#entities.work.isTooLate(error.thrown)
    if (end.isTooLate) return
    if (end.isTooEarly) {
      this.#book.again(number, rows)
      return
    }
    const inMs = this.#retryIn(job, error.thrown)
    end.retryAt = inMs === undefined ? undefined : now + inMs
    const tries = job.counts ? job.attempt : job.attempt - 1
    end.failure = failureRecord(error.thrown)
    const failed = { error: end.failure, log: job.lines, tries, inMs }
    this.#book.failed(number, failed, now, rows)
  }

  /** The pause before the next try; `undefined`: there is none. */
  #retryIn({ attempt }: RunningTry, error: unknown): number | undefined {
    return pauseAfter(this.#terms.retry, attempt, error, this.#system.clock)
  }

  async #refused({ requests, ends, turns }: Batch, error: unknown): Promise<void> {
    if (this.#work.signal.aborted) return
    this.#emit('queue.refused', { error })
    this.#ends.unshift(...ends)
    const parts = requests.length + ends.length
    const isTooLarge = isKeelsonError(error, 'TOO_LARGE') && parts !== 1
    // Without requests and ends it was the delayed jobs that have become due.
    if (isTooLarge) this.#alone += parts || jobsMax
    if (isTooLarge || turns > 1) this.#requests.unshift(...requests)
    else for (const { from } of requests) from.fail(error)
    // Callers decide when they try again. Nobody does for the ends of handlers.
    if (requests.length === 0) await this.#pause()
    await this.#reopen()
    this.#rouse()
  }

  async #reopen(): Promise<void> {
    while (!this.#work.signal.aborted && (this.#awaits || !this.#isStranded))
      try {
        return await this.open(shardTime(this.#work).now())
      } catch (error) {
        this.#emit('queue.refused', { error })
        await this.#pause()
      }
  }

  /** Waits on the clock of the System, longer the more often in a row something has failed. */
  async #pause(): Promise<void> {
    await this.#work.sleep(backoffMs(pauses, ++this.#failures))
  }

  /** The next time at which something is due by itself. */
  #setTimer(): void {
    this.#cancel?.()
    const at = Math.min(this.#book.wakeAt, this.#sweep.at)
    this.#cancel = shardTime(this.#work).at(at, () => this.#rouse())
  }

  #start(claims: readonly Claim[]): void {
    const now = shardTime(this.#work).now()
    const app = this.#work.app as AppContext
    const { logger } = this.#system
    const jobs = claims.map((claim) => {
      const key = this.#keyOf(claim.number)
      const job = new RunningTry(app, logger, key, claim, now, this.#begun)
      this.#running.set(claim.number, job)
      return job
    })
    const size = this.#terms.limits.batch?.max ?? 1
    for (let from = 0; from < jobs.length; from += size) this.#begin(jobs.slice(from, from + size))
  }

  readonly #begun = (claim: Claim): void => {
    if (claim.rateKey === undefined) return
    this.#book.started(claim, shardTime(this.#work).now())
    // A turn sets the timer at its end.
    if (!this.callers.isInTurn) this.#setTimer()
  }

  /** Calls the handler once, for these jobs. While another member may have the jobs, too, it waits. */
  #begin(claimed: readonly RunningTry[]): void {
    for (const job of claimed) if (job.hasEnded) this.#overdue.delete(job)
    const jobs = claimed.filter(({ hasEnded }) => !hasEnded)
    if (jobs.length === 0 || this.#work.signal.aborted) return
    const { clock } = this.#system
    const { isUnsure, work: all } = this.#entities
    if (isUnsure) {
      clock.after(unsureMs, () => this.#begin(jobs), { holdsProcess: false })
      return
    }
    const { limits, timeoutMs, call } = this.#terms
    for (const job of jobs) {
      if (limits.countsEnds) job.begun()
      this.#emit('queue.started', { id: String(job.claim.number), attempt: job.attempt })
      job.traced ??= tracedJob(this.#system, this.#terms, job)
    }
    if (limits.batch) this.#emit('queue.batch', { jobs: jobs.length })
    const forget = all.whenLapsed((reason) => {
      for (const job of jobs) job.abort(reason)
    })
    const cancel =
      timeoutMs === undefined
        ? undefined
        : clock.after(timeoutMs, () => this.#late(jobs, timeoutMs))
    const tries = () => call(jobs, limits.resultsMs !== undefined)
    const batch = limits.batch && tracedBatch(this.#system, this.#terms, jobs)
    const scope = batch ?? jobs[0]?.traced
    void (scope ? scope.run(tries) : tries()).then((ends) => {
      cancel?.()
      forget()
      batch?.end(undefined, undefined)
      for (const end of ends) this.#settles(end)
    })
  }

  /** The handler has ended, or has the outcome of one of its jobs. */
  #settles(end: TryEnd): void {
    const { work: all } = this.#entities
    const settled = (): void => {
      this.#overdue.delete(end.job)
      this.#ended(end)
    }
    // The order of the parts of a tree does not matter: the same try comes again.
    end.isTooEarly = all.isTooEarly(end.error?.thrown)
    if (end.isTooEarly) this.#system.clock.after(earlyMs, settled, { holdsProcess: false })
    else settled()
  }

  /** Their places are free when the failed tries are durable, whether or not the handler ends. */
  #late(tries: readonly RunningTry[], timeoutMs: number): void {
    const jobs = tries.filter(({ hasEnded }) => !hasEnded)
    const ofBatch = jobs.length === 1 ? '' : `, in a batch of ${jobs.length},`
    for (const job of jobs) {
      const { number: id } = job.claim
      const text = `job ${id}${ofBatch} has taken longer than ${timeoutMs} ms`
      const thrown = new KeelsonError('TIMEOUT', text)
      this.#overdue.add(job)
      this.#ended({ job, error: { thrown } })
      this.#emit('queue.overdue', { id: String(id), attempt: job.attempt })
      job.abort(thrown)
    }
  }

  #ended(end: TryEnd): void {
    const { job } = end
    if (job.hasEnded || this.#work.signal.aborted) return
    // One that may have begun has done so by now.
    if (job.mayRun) job.begun()
    job.hasEnded = true
    this.#running.delete(job.claim.number)
    this.#ends.push(end)
    this.#rouse()
  }

  /** A job was removed or buried, and that is durable. */
  #gone(number: number, how: 'removed' | 'dead'): void {
    if (how === 'dead') {
      const job = this.#job(number)
      if (job?.error) noteDead(this.#entities, this.#terms.name, { ...job, error: job.error })
      this.callers.ended(number)
      return
    }
    const reason = this.callers.removed(number)
    const id = String(number)
    noteEnd(this.#entities, this.#terms.name, { id, attempt: 0 })
    const late = this.#ends.find(({ job }) => job.claim.number === number)
    this.#ends = this.#ends.filter((end) => end !== late)
    const job = this.#running.get(number) ?? late?.job
    if (!job) return
    // A handler that ignores its signal goes on without a place, as at the end of its time.
    if (this.#running.delete(number)) this.#overdue.add(job)
    const { attempt } = job
    this.#emit('queue.ended', { id, attempt, outcome: 'removed', error: reason })
    job.traced?.end({ error: reason }, undefined)
    job.traced = undefined
    job.end(reason)
  }

  #emitEnd({ job, value, error, failure, retryAt, isTooEarly }: TryEnd): void {
    const { number, attempt } = job.claim
    if (error === undefined) this.callers.done(number, value)
    const id = String(number)
    const thrown = error?.thrown
    const outcome = error === undefined ? 'done' : 'failed'
    const { failure: before } = job.claim.record
    const known = { id, attempt, retryAt, failure, before, triesMax: this.#terms.retry.max }
    if (!isTooEarly) noteEnd(this.#entities, this.#terms.name, known)
    this.#emit('queue.ended', { id, attempt, outcome, error: thrown })
    if (error && !isTooEarly) this.#emit('queue.failed', { id, attempt, retryAt, error: thrown })
  }

  #emit<K extends keyof QueueEvents>(
    event: K,
    facts: Omit<Parameters<QueueEvents[K]>[0], 'queue' | 'at'>,
  ): void {
    const { events } = this.#system
    if (events.listenerCount(event) === 0) return
    const emit = events.emit.bind(events) as (name: string, payload: object) => boolean
    emit(event, { queue: this.#terms.name, at: this.#system.clock.now(), ...facts })
  }
}

/** The refusals of the book itself. */
const refusals: ReadonlySet<string> = new Set(['BUSY', 'CONFLICT', 'CORRUPT'])
