/**
 * Random calls about the jobs of one queue, and the handlers of these jobs, for `HandleLife`. What
 * they must come to says `JobLedger`.
 */
import { type JobLook, type JobTry, type Queue, queue } from '../../../src/flow/index.ts'
import { name as nameOf } from '../../../src/index.ts'
import { type DrainedJobs, JobLedger, type JobTerms } from '../models/job-ledger.ts'
import type { ProgramLife } from './program-life.ts'

/** A job says what its handler does. */
type Work = {
  readonly name: string
  /** How many of its tries fail. */
  readonly fails: number
  readonly lastsMs: number
  /** Its handler ends when its signal aborts. */
  readonly heeds: boolean
}

const limits = { concurrency: 2, triesMax: 3 }
const options = {
  concurrency: limits.concurrency,
  retry: { max: limits.triesMax, baseMs: 200, maxMs: 2_000 },
  // Lives are longer than a day: retention would take ends away.
  keep: { dead: '9999d', results: '9999d' },
} as const

/** The try of a job, alone or in a batch. */
type OwnTry = Omit<JobTry, 'app'>

/** The queue of a life, and its callers. */
export class JobCalls {
  readonly ledger = new JobLedger(limits)
  readonly #life: ProgramLife
  readonly #begun = new Map<string, number>()
  readonly #works = new Map<string, Work>()
  #queue!: Queue<Work, string>
  #program = 0

  constructor(life: ProgramLife) {
    this.#life = life
  }

  /** The queue of another program. Its handler gets each job alone, or batches, from one program to the next. */
  queue(): Queue<Work, string> {
    const program = ++this.#program
    const handler = async (work: Work, attempt: OwnTry): Promise<string> =>
      program === this.#program ? this.#handles(work, attempt) : new Promise<never>(() => undefined)
    const batch = this.#life.pick([undefined, { max: 2, waitMs: 0 }, { max: 2, waitMs: 3_000 }])
    const several = (jobs: readonly (OwnTry & { readonly input: Work })[]) => {
      this.#life.count(`batches of ${jobs.length}`)
      return Promise.allSettled(jobs.map((job) => handler(job.input, job)))
    }
    this.#queue = batch
      ? queue('work', several, { ...options, batch })
      : queue('work', (work: Work, attempt: JobTry) => handler(work, attempt), options)
    return this.#queue
  }

  /** The program ends. One that is killed begins nothing more that anybody hears of. */
  ends(how: 'kill' | 'close'): void {
    if (how === 'kill') this.#program++
    this.ledger.dies(how)
  }

  async #handles(work: Work, { key, attempt, signal, log, progress }: OwnTry): Promise<string> {
    const { ledger } = this
    const { name, fails, lastsMs, heeds } = work
    const id = key.split('/').at(-1) as string
    const { life } = ledger
    const begun = (this.#begun.get(id) ?? 0) + 1
    this.#begun.set(id, begun)
    ledger.begins(id, name, attempt, this.#life.now)
    const says = (what: string): void => {
      const line = `${what} ${life}.${attempt}.${begun}`
      log(line)
      ledger.logs(id, line)
      progress(line)
      ledger.shows(id, line)
    }
    says('begins')
    const aborted = new Promise<void>((resolve) =>
      signal.addEventListener('abort', () => {
        if (ledger.life === life) ledger.aborts(id, signal.reason?.code)
        if (heeds) resolve()
      }),
    )
    await Promise.race([aborted, this.#life.later(lastsMs)])
    // What a handler of an earlier life still does, nobody hears.
    if (ledger.life !== life) return 'too late'
    says('ends')
    const text = `${name} ${life}.${attempt}.${begun}`
    const end = begun <= fails || signal.aborted ? { error: `no ${text}` } : { value: text }
    ledger.ends(id, end)
    if ('error' in end) throw new Error(end.error)
    return end.value
  }

  /** Asks something about jobs. */
  async acts(): Promise<void> {
    const { random, pick } = this.#dice
    // Newer jobs are more often open.
    const id = pick(this.ledger.ids.slice(random() < 0.7 ? -4 : 0))
    const chance = random()
    if (id === undefined || chance < 0.34) await this.#adds()
    else if (chance < 0.46) await this.#removes(id)
    else if (chance < 0.62) await this.#updates(id)
    else if (chance < 0.72) await this.#retries(id)
    else if (chance < 0.76) await this.#drains()
    else if (chance < 0.84) await this.#pauses()
    else if (chance < 0.92) await this.#waits(id)
    else await this.looks()
  }

  get #dice() {
    const { random } = this.#life
    return { random, pick: <T>(from: readonly T[]): T => this.#life.pick(from) }
  }

  #job(id: string) {
    return this.#life.flow.job(this.#queue, id)
  }

  /** A job with the name of another one is that one, unless it has ended. */
  async #adds(): Promise<void> {
    const { random, pick } = this.#dice
    const names = [...this.#works.keys()]
    const freed = this.ledger.removedIds.flatMap((id) => this.ledger.nameOf(id) ?? [])
    const again = random() < 0.5 && freed.length > 0 ? freed : names
    const isNew = again.length === 0 || random() < 0.75
    const name = isNew ? `job${names.length}` : pick(again)
    const drawn = { fails: pick([0, 0, 0, 1, 2, 4, 9]), lastsMs: pick([0, 5, 400, 20_000]) }
    const work = this.#works.get(name) ?? { name, ...drawn, heeds: random() < 0.7 }
    this.#works.set(name, work)
    const terms = { priority: pick([0, 0, 5, -5]), delayMs: pick([0, 0, 0, 700, 60_000]) }
    this.ledger.adds(name, terms)
    const at = this.#life.now
    const { priority, delayMs: delay } = terms
    const answered = await this.#life.answers('adds', () =>
      this.#life.flow.add(this.#queue, work, { unique: name, priority, delay }),
    )
    if (!('answer' in answered)) return this.ledger.unknownAdd()
    const { id, repeated } = answered.answer
    if (repeated) this.#life.count('adds repeated')
    this.ledger.added(name, id, repeated, at)
  }

  async #removes(id: string): Promise<void> {
    const mayBeGone = this.ledger.removes(id)
    const waiting = this.#dice.random() < 0.5 ? this.#result(id) : undefined
    const answered = await this.#life.answers('removals', () => this.#job(id).remove())
    await this.#life.machine.clock.settle()
    if (!('answer' in answered)) return
    const { state } = answered.answer
    this.#life.count(`removed ${state}`)
    this.ledger.removed(id, state, mayBeGone)
    const isOpen = state === 'waiting' || state === 'delayed' || state === 'running'
    if (!waiting || !isOpen) return
    const end = await this.#life.machine.during(waiting, 120_000)
    if (end !== 'CANCELLED') this.ledger.wrong.push(`W10: a waiter for job ${id} got ${end}`)
  }

  /** The result, or the code of the error. */
  #result(id: string): Promise<unknown> {
    return this.#job(id)
      .result({ timeoutMs: 60_000 })
      .catch((error) => error.code)
  }

  async #updates(id: string): Promise<void> {
    const { random, pick } = this.#dice
    const change: { delayMs?: number; priority?: number } = {}
    if (random() < 0.6) change.delayMs = pick([0, 0, 300, 30_000, 600_000])
    if (change.delayMs === undefined || random() < 0.5) change.priority = pick([-9, 0, 5, 9])
    const before = this.ledger.updates(id, this.#life.now)
    const answered = await this.#life.answers('changes', () => this.#job(id).update(asked(change)))
    if ('answer' in answered) this.ledger.updated(id, change, before)
    else if (answered.code === 'CONFLICT') this.ledger.refusedUpdate(id, before)
  }

  async #retries(id: string): Promise<void> {
    const before = this.ledger.retries(id)
    const answered = await this.#life.answers('job retries', async () => this.#job(id).retry())
    if ('answer' in answered) this.ledger.retried(id, true, before)
    else if (answered.code === 'CONFLICT') this.ledger.retried(id, false, before)
  }

  async #drains(): Promise<void> {
    const { random, pick } = this.#dice
    const where: DrainedJobs = random() < 0.3 ? {} : { priority: pick([0, 5, -5]) }
    const before = this.ledger.drains(where)
    const answered = await this.#life.answers('drains', () =>
      this.#life.flow.drain(this.#queue, where.priority === undefined ? {} : { where }),
    )
    if (!('answer' in answered)) return
    this.#life.count(answered.answer > 0 ? 'drained some' : 'drained none')
    const looks = await this.#looksAt([...before.open.keys()])
    if (looks) this.ledger.drained(where, answered.answer, before, looks)
  }

  async #pauses(): Promise<void> {
    const isPaused = this.#dice.random() < 0.4
    this.ledger.pauses()
    const { flow } = this.#life
    const asked = isPaused ? flow.pause(this.#queue) : flow.resume(this.#queue)
    const answered = await this.#life.answers(isPaused ? 'pauses' : 'resumes', () => asked)
    if ('answer' in answered) this.ledger.paused(isPaused)
  }

  async #waits(id: string): Promise<void> {
    const answered = await this.#life.answers('results', () =>
      this.#job(id).result({ timeoutMs: 5_000 }),
    )
    if ('answer' in answered) this.ledger.hasResult(id, answered.answer)
    else this.ledger.refusedResult(id, answered.code)
  }

  /** Looks at every job. */
  async looks(): Promise<void> {
    const looks = await this.#looksAt(this.ledger.ids)
    for (const [id, look] of looks ?? []) this.ledger.looked(id, look)
  }

  async #looksAt(ids: readonly string[]) {
    const looks = new Map<string, JobLook | undefined>()
    for (const id of ids) {
      const answered = await this.#life.answers('looks', () => this.#job(id).get())
      if (!('answer' in answered)) return undefined
      looks.set(id, answered.answer)
    }
    return looks
  }

  /** The queue lives on, and its process dies. */
  kills(): void {
    const place = '$queue-work/queue'
    if (!this.#life.app.entities.holder(place)) return
    this.ledger.dies('kill')
    this.#life.app.system.kill(nameOf(place) as never)
  }

  /** Whether every job has ended. The queue is not paused any more. */
  async isOver(): Promise<boolean> {
    this.ledger.pauses()
    const resumed = await this.#life.answers('resumes', () => this.#life.flow.resume(this.#queue))
    if ('answer' in resumed) this.ledger.paused(false)
    const { ready, delayed, running } = await this.#life.machine.during(
      this.#life.flow.counts(this.#queue),
    )
    return ready + delayed + running === 0
  }

  /** Judges the end of all lives. */
  async judgeEnd(): Promise<void> {
    const looks = await this.#looksAt(this.ledger.ids)
    if (!looks) throw new Error('a job that has ended cannot be looked at')
    this.ledger.judgeEnd(looks)
    for (const look of looks.values()) this.#life.count(`ended ${look?.state}`)
  }
}

const asked = ({ delayMs, ...others }: Partial<JobTerms>) =>
  delayMs === undefined ? others : { delay: delayMs, ...others }
