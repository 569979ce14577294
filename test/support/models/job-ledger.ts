/**
 * The jobs of one queue, as their callers and handlers have seen them over all lives of its program,
 * and what of it breaks a promise (W10): a job that was removed never runs again, a running one is
 * aborted; a change of its delay or priority takes effect; a try is counted; what is kept of its end
 * is what its handler returned and logged. The queue keeps results for longer than any life.
 */
import type { JobLook } from '../../../src/flow/index.ts'

/** One try, as its handler has seen it. */
type SeenTry = {
  readonly life: number
  readonly attempt: number
  readonly lines: string[]
  shown: unknown
  /** What the handler has returned or thrown. */
  end?: { readonly value: string } | { readonly error: string }
  /** The code of the reason of its signal. */
  aborted?: string
}

/** Whether something has happened; `maybe`: it was asked for, without an answer. */
type Known = 'no' | 'maybe' | 'yes'

/** A job, as the world knows it. */
class SeenJob {
  readonly tries: SeenTry[] = []
  name: string | undefined
  /** Its add is acknowledged. */
  isSure = false
  /** The life in which its add was acknowledged, or in which it has run first. */
  life: number
  removed: Known = 'no'
  /** `undefined`: nobody knows. */
  priority: number | undefined
  /** Its next try does not begin before, in ms since 1970. */
  dueAt = Number.NEGATIVE_INFINITY
  /** It waits for a place, and has never run. */
  isReady = false
  isDead = false
  /** Since its last try it was made to begin again with all its tries. */
  retried: Known = 'no'
  retriedIn = 0
  /** Its result, once somebody has seen it. */
  result: { readonly value: unknown } | undefined

  constructor(life: number) {
    this.life = life
  }

  /** The try that goes on in this life. */
  running(life: number): SeenTry | undefined {
    const last = this.tries.at(-1)
    return last?.life === life && !last.end && this.removed !== 'yes' ? last : undefined
  }
}

/** The options of a job that say when it runs. */
export type JobTerms = { readonly priority: number; readonly delayMs: number }

/** Which jobs a drain is about. */
export type DrainedJobs = { readonly priority?: number }

/** What happened to the jobs of one queue. */
export class JobLedger {
  readonly wrong: string[] = []
  readonly #concurrency: number
  readonly #triesMax: number
  readonly #jobs = new Map<string, SeenJob>()
  /** The terms of all jobs that were ever asked for, by their names. */
  readonly #terms = new Map<string, JobTerms>()
  /** Whether adds without an answer may have made jobs that nobody knows. */
  #hasUnknown = false
  #isPaused: boolean | undefined = false
  #life = 1
  /** How each life has ended. */
  readonly #ends = new Map<number, 'kill' | 'close'>()

  constructor(limits: { readonly concurrency: number; readonly triesMax: number }) {
    this.#concurrency = limits.concurrency
    this.#triesMax = limits.triesMax
  }

  /** The queue has another life: nothing of the last one runs. A close may leave tries uncounted. */
  dies(how: 'kill' | 'close'): void {
    this.#ends.set(this.#life, how)
    this.#life++
  }

  /** The number of the present life. */
  get life(): number {
    return this.#life
  }

  /** The ids of the jobs that are known, and not gone for good. */
  get ids(): readonly string[] {
    return [...this.#jobs].filter(([, { removed }]) => removed !== 'yes').map(([id]) => id)
  }

  /** The ids of the jobs whose removal was acknowledged. */
  get removedIds(): readonly string[] {
    return [...this.#jobs].filter(([, { removed }]) => removed === 'yes').map(([id]) => id)
  }

  nameOf(id: string): string | undefined {
    return this.#jobs.get(id)?.name
  }

  /** An add is asked for. */
  adds(name: string, terms: JobTerms): void {
    this.#terms.set(name, terms)
  }

  /** An add has no answer. */
  unknownAdd(): void {
    this.#hasUnknown = true
  }

  /** An add is answered. Its name is its unique text. */
  added(name: string, id: string, repeated: boolean, askedAt: number): void {
    const job = this.#job(id)
    const { priority = 0, delayMs = 0 } = this.#terms.get(name) ?? {}
    if (job.name !== undefined && job.name !== name)
      this.#fails(id, `is ${job.name}, and ${name} too`)
    if (job.removed === 'yes') this.#fails(id, 'has its unique text, and was removed')
    if (!repeated) {
      const open = [...this.#jobs].find(([other, each]) => other !== id && this.#isOpen(each, name))
      if (open) this.#fails(id, `has the unique text of job ${open[0]}, which is open`)
      if (job.isSure) this.#fails(id, 'is the id of two jobs')
    }
    job.name = name
    const isNew = !job.isSure && !repeated
    job.isSure = true
    if (!isNew || job.tries.length > 0) return
    job.life = this.#life
    job.priority = priority
    if (delayMs > 0) job.dueAt = askedAt + delayMs
    else job.isReady = true
  }

  /** Whether a job of this name has surely not ended. Three kills may end a job. */
  #isOpen({ tries, isSure, removed, life, ...job }: SeenJob, name: string): boolean {
    if (job.name !== name || !isSure || removed !== 'no') return false
    return tries.every(({ end }) => !end) && this.#life - life < 3
  }

  /** A handler begins. */
  begins(id: string, name: string, attempt: number, at: number): void {
    const job = this.#job(id)
    const [before, wasDue] = [job.running(this.#life), job.dueAt]
    job.name ??= name
    if (job.name !== name) this.#fails(id, `is ${job.name}, and runs as ${name}`)
    if (job.removed === 'yes') this.#fails(id, 'runs after its removal')
    if (this.#isPaused) this.#fails(id, 'runs in a paused queue')
    if (at < wasDue) this.#fails(id, `runs ${wasDue - at} ms before its time`)
    if (job.result) this.#fails(id, 'runs after its result was seen')
    if (job.isDead) this.#fails(id, 'runs while it is dead')
    if (before) this.#fails(id, 'runs twice at once')
    this.#judgeAttempt(id, job, attempt)
    if (job.tries.length === 0) this.#judgeOrder(id, job, attempt)
    Object.assign(job, { isReady: false, retried: 'no', dueAt: Number.NEGATIVE_INFINITY })
    job.tries.push({ life: this.#life, attempt, lines: [], shown: undefined })
    // An aborted one was removed: its place is free, before its caller has the answer.
    const running = [...this.#jobs.values()].filter(
      (each) =>
        each.running(this.#life) && !(each.removed === 'maybe' && each.tries.at(-1)?.aborted),
    )
    if (running.length > this.#concurrency) this.#fails(id, `is one of ${running.length} at once`)
  }

  /** A try that a kill has cut off counts, also if it had not reached its handler. */
  #judgeAttempt(id: string, job: SeenJob, attempt: number): void {
    const last = job.tries.at(-1)
    // An add without an answer may have made it in an earlier life.
    if (!last && this.#hasUnknown) return
    const lives = this.#life - (last?.life ?? job.life)
    const from = last?.attempt ?? 0
    const isUncounted = last && lives > 0 && this.#ends.get(last.life) === 'close'
    const least = job.retried === 'no' ? from + (isUncounted ? 0 : 1) : 1
    const most = job.retried === 'yes' && this.#life === job.retriedIn ? 1 : from + 1 + lives
    if (attempt < least || attempt > Math.max(most, 1))
      this.#fails(id, `has try ${attempt} after try ${from}, ${lives} lives later`)
  }

  /** A new job starts after the ready ones of a higher priority. */
  #judgeOrder(id: string, job: SeenJob, attempt: number): void {
    const priority = job.isSure ? job.priority : this.#terms.get(job.name ?? '')?.priority
    if (priority === undefined || attempt > 1 || job.life !== this.#life) return
    if (!job.isSure && this.#hasUnknown) return
    for (const [other, { isReady, removed, priority: higher = priority }] of this.#jobs)
      if (isReady && removed === 'no' && higher > priority)
        this.#fails(id, `of ${priority} starts before job ${other} of ${higher}`)
  }

  logs(id: string, line: string): void {
    this.#job(id).running(this.#life)?.lines.push(line)
  }

  shows(id: string, value: unknown): void {
    const running = this.#job(id).running(this.#life)
    if (running) running.shown = value
  }

  /** A handler has ended. */
  ends(id: string, end: NonNullable<SeenTry['end']>): void {
    const running = this.#job(id).running(this.#life)
    if (running) running.end = end
  }

  /** The signal of the present try has aborted. */
  aborts(id: string, code: string): void {
    const last = this.#job(id).tries.at(-1)
    if (last?.life === this.#life && !last.end) last.aborted = code
  }

  /** A removal is asked for: from now on the job may be gone. Answers whether it may have been before. */
  removes(id: string): boolean {
    const job = this.#job(id)
    const mayBeGone = job.removed !== 'no'
    if (!mayBeGone) job.removed = 'maybe'
    return mayBeGone
  }

  /** A removal is answered with the state in which the job was; `undefined`: there was none. */
  removed(id: string, state: string | undefined, mayBeGone: boolean): void {
    const job = this.#job(id)
    if (state === undefined && job.isSure && !mayBeGone)
      this.#fails(id, 'is lost: nothing to remove')
    const last = job.tries.at(-1)
    const isPresent = job.removed !== 'yes' && last?.life === this.#life && !last.end
    if (isPresent && state !== 'running') this.#fails(id, `runs, and was removed as ${state}`)
    if (isPresent && last.aborted !== 'CANCELLED')
      this.#fails(id, 'was removed, and is not aborted')
    job.removed = 'yes'
  }

  /** A change is asked for: from now on nobody knows its time and priority. Answers what was known. */
  updates(id: string, at: number): JobBefore {
    const job = this.#job(id)
    const { priority, dueAt, isReady, tries } = job
    Object.assign(job, { isReady: false, priority: undefined, dueAt: Number.NEGATIVE_INFINITY })
    return { priority, dueAt, isReady, at, tries: tries.length, isPaused: this.#isPaused }
  }

  /** A change of a job is answered. */
  updated(id: string, change: Partial<JobTerms>, before: JobBefore): void {
    const job = this.#job(id)
    const { delayMs, priority } = change
    // It has begun since: the change was of its wait before.
    if (job.tries.length > before.tries) return
    if (job.removed === 'yes') this.#fails(id, 'was changed after its removal')
    job.priority = priority ?? before.priority
    job.dueAt = delayMs === undefined ? before.dueAt : delayMs > 0 ? before.at + delayMs : 0
    const isNowReady = delayMs === undefined ? before.isReady : delayMs === 0
    job.isReady = isNowReady && job.tries.length === 0 && job.isSure
  }

  /** A change of a job was refused: it does not wait. */
  refusedUpdate(id: string, before: JobBefore): void {
    const job = this.#job(id)
    const mustWait = before.dueAt > before.at || (before.isReady && before.isPaused === true)
    const mayBeCut = job.life !== this.#life || job.tries.length > 0
    if (mustWait && job.isSure && job.removed === 'no' && !mayBeCut)
      this.#fails(id, 'waits, and a change of it is refused')
    const { priority, dueAt, isReady } = before
    if (job.tries.length === before.tries) Object.assign(job, { priority, dueAt, isReady })
  }

  /** A retry is asked for. Answers whether the job is dead for sure, and its tries. */
  retries(id: string): { readonly wasDead: boolean; readonly tries: number } {
    const job = this.#job(id)
    const { isDead, tries } = job
    Object.assign(job, { retried: 'maybe', isDead: false })
    return { wasDead: isDead, tries: tries.length }
  }

  /** A retry is answered; false: refused, for the job is not dead. */
  retried(id: string, done: boolean, before: ReturnType<JobLedger['retries']>): void {
    const job = this.#job(id)
    if (!done) {
      const hasRival = this.#hasRival(id, job)
      if (before.wasDead && job.removed === 'no' && !hasRival)
        this.#fails(id, 'is dead, and has no retry')
      return
    }
    if (job.removed === 'yes') this.#fails(id, 'is tried again after its removal')
    // Its first try may begin before the answer comes.
    if (job.tries.length > before.tries) return
    job.retried = 'yes'
    job.retriedIn = this.#life
  }

  /** Whether another job with the unique text of a dead one may be open. It has no retry then. */
  #hasRival(id: string, { name }: SeenJob): boolean {
    return [...this.#jobs].some(
      ([other, each]) =>
        other !== id &&
        (each.name ?? name) === name &&
        each.removed !== 'yes' &&
        !each.isDead &&
        !each.result,
    )
  }

  pauses(): void {
    this.#isPaused = undefined
  }

  paused(isPaused: boolean): void {
    this.#isPaused = isPaused
  }

  /** A drain is asked for. Answers what `drained` needs. */
  drains(where: DrainedJobs): JobsBefore {
    const open = new Map<string, number>()
    const isExact = !this.#hasUnknown && [...this.#jobs.values()].every(isCertain)
    for (const [id, job] of this.#jobs) {
      if (job.removed === 'yes') continue
      // One that runs is not meant, also if it waits for another try before the answer comes.
      open.set(id, job.running(this.#life) ? -1 : job.tries.length)
      const { priority = where.priority } = job
      if (job.removed === 'no' && priority === (where.priority ?? priority)) job.removed = 'maybe'
    }
    return { open, isExact }
  }

  /** A drain is answered, and every job was looked at since. */
  drained(where: DrainedJobs, count: number, before: JobsBefore, looks: Looks): void {
    const { open, isExact } = before
    let gone = 0
    for (const [id, tries] of open) {
      const [job, look] = [this.#job(id), looks.get(id)]
      if (look === undefined) gone++
      else job.removed = 'no'
      const waits = look?.state === 'waiting' || look?.state === 'delayed'
      const isMeant = look?.priority === (where.priority ?? look?.priority)
      if (waits && isMeant && job.tries.length === tries) this.#fails(id, 'was left by a drain')
      this.looked(id, look)
    }
    if (isExact && count !== gone)
      this.wrong.push(`W10: a drain says ${count} jobs, and ${gone} are gone`)
  }

  /** The answer to a look. */
  looked(id: string, look: JobLook | undefined): void {
    const job = this.#job(id)
    if (!look) {
      if (job.removed === 'no' && job.isSure) this.#fails(id, 'is lost')
      job.removed = 'yes'
      return
    }
    if (job.removed === 'yes') this.#fails(id, `is ${look.state} after its removal`)
    const { state, priority } = look
    if (state !== 'done' && job.priority !== undefined && priority !== job.priority)
      this.#fails(id, `has the priority ${priority}, and not ${job.priority}`)
    const running = job.running(this.#life)
    if (running && state !== 'running') this.#fails(id, `runs, and is ${state}`)
    if (running && running.shown !== look.progress) this.#fails(id, `shows ${look.progress}`)
    if (state === 'delayed' && (look.dueAt ?? 0) < job.dueAt) this.#fails(id, 'is due too early')
    if (state === 'done') this.hasResult(id, look.result)
    if (job.result && state !== 'done') this.#fails(id, `was done, and is ${state}`)
    if (state === 'dead') this.#judgeDead(id, job, look.error?.message)
    this.#judgeLog(id, job, look)
  }

  /** Somebody got the result of a job. */
  hasResult(id: string, value: unknown): void {
    const job = this.#job(id)
    const isReturned = job.tries.some(({ end }) => end && 'value' in end && end.value === value)
    if (!isReturned) this.#fails(id, `has the result ${value}, which no try has returned`)
    if (job.result && job.result.value !== value) this.#fails(id, `has another result, ${value}`)
    job.result = { value }
  }

  /** Somebody waited for a result, and was refused. */
  refusedResult(id: string, code: string): void {
    const { removed, isSure, result } = this.#job(id)
    const isGone = code === 'CANCELLED' || code === 'CONFLICT'
    if (isGone && isSure && removed === 'no') this.#fails(id, `has no result: ${code}`)
    if (code === 'FAILED' && result) this.#fails(id, 'had a result, and has failed')
  }

  #judgeDead(id: string, job: SeenJob, message = ''): void {
    const last = job.tries.at(-1)
    const thrown = job.tries.flatMap(({ end }) => (end && 'error' in end ? [end.error] : []))
    const kills = [...this.#ends].filter(
      ([life, how]) => how === 'kill' && life >= (last?.life ?? job.life),
    )
    const spent = (last?.attempt ?? 0) + kills.length >= this.#triesMax
    const endedAlone = /^the process ended 3 times/.test(message) && this.#ends.size >= 3
    if (!endedAlone && !(thrown.includes(message) && spent))
      this.#fails(id, `is dead of '${message}' after ${last?.attempt} tries`)
    if (job.retried !== 'maybe') job.isDead = true
    if (job.retried === 'yes' && this.#ends.size === 0) this.#fails(id, 'is dead without a new try')
  }

  /**
   * The log has all lines of the try that was done, and of each other one all or none. A look at a
   * running one has the lines so far, and its answer may come after the next ones.
   */
  #judgeLog(id: string, job: SeenJob, { state, log, result }: JobLook): void {
    let at = 0
    for (const { lines: all, end } of job.tries) {
      const isLast = all === job.tries.at(-1)?.lines
      const lines = state === 'running' && isLast ? all.slice(0, log.length - at) : all
      const isThere = lines.length > 0 && lines.every((line, index) => log[at + index] === line)
      const isDone = state === 'done' && end && 'value' in end && end.value === result
      if (isThere) at += lines.length
      else if (isDone && lines.length > 0) this.#fails(id, `has not the log of its result: ${log}`)
    }
    if (at !== log.length) this.#fails(id, `has the log ${log}`)
  }

  /** Judges the end of all lives: every job has ended. */
  judgeEnd(looks: Looks): void {
    for (const [id, job] of this.#jobs) {
      if (job.removed === 'yes') continue
      const look = looks.get(id)
      this.looked(id, look)
      if (look && look.state !== 'done' && look.state !== 'dead')
        this.#fails(id, `is ${look.state} in the end`)
    }
  }

  #job(id: string): SeenJob {
    const job = this.#jobs.get(id) ?? new SeenJob(this.#life)
    this.#jobs.set(id, job)
    return job
  }

  #fails(id: string, text: string): void {
    this.wrong.push(`W10: job ${id} ${text}`)
  }
}

/** What looks at jobs have answered, by their ids. */
export type Looks = ReadonlyMap<string, JobLook | undefined>

/** The tries of the jobs that were there before a drain, and whether it is known which were. */
type JobsBefore = { readonly open: ReadonlyMap<string, number>; readonly isExact: boolean }

const isCertain = ({ removed }: SeenJob): boolean => removed !== 'maybe'

/** What was known of a job before a change. */
export type JobBefore = Pick<SeenJob, 'priority' | 'dueAt' | 'isReady'> & {
  readonly at: number
  /** How many tries had begun. */
  readonly tries: number
  readonly isPaused: boolean | undefined
}
