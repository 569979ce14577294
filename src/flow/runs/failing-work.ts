/**
 * Runs, steps of runs and jobs of queues that fail, as a trouble of their instance and in the log. Steps and
 * jobs stay a trouble until a try succeeds, or no other one follows.
 */
import { type ActorTrouble, type FailedWork, stuckTries } from '../../actors/index.ts'
import type { KeptError } from '../../errors.ts'
import { keptText } from '../../failure-record.ts'
import type { AppContext, durableActors } from '../../supervisors/index.ts'
import { queueId, queueKind, runKind } from './parts.ts'
import type { Operation, RunStatus } from './record.ts'

/** The tries of a step, as its row has them. */
type Tries = Pick<Operation, 'tries' | 'triesMax' | 'failingSince'>

type Row = Pick<Operation, 'key' | 'at' | 'tries' | 'failure' | 'dueAt' | 'outcome'>

/**
 * The failing steps of a run in the health of its instance. They stay there while the run rests until
 * the next try. The rows are the truth: each activation begins with them.
 */
export class FailingSteps {
  readonly #trouble: ActorTrouble
  readonly #type: string
  readonly #id: string

  /** `trouble` has the failing work of the whole instance. */
  constructor(trouble: ActorTrouble, type: string, id: string) {
    this.#trouble = trouble
    this.#type = type
    this.#id = id
  }

  /** Made when it is needed: most runs never fail. */
  get #entity(): string {
    return `${runKind(this.#type)}/${this.#id}`
  }

  get #owner(): string {
    return `steps of ${this.#entity}`
  }

  /** An activation begins with this record. */
  begin(record: readonly Row[]): void {
    const failing = record.filter(({ tries = 0, outcome }) => tries > 0 && !outcome)
    this.#trouble.keeps(this.#owner, new Set(failing.map(({ key }) => key)))
    for (const row of failing) this.failed(row)
  }

  /** A try has failed, and will be repeated. */
  failed({ key, at, tries = 0, failure, dueAt }: Row): void {
    if (!failure || dueAt === undefined) return
    const error = keptText(failure)
    const failed = { entity: this.#entity, what: `step ${key}`, tries, retryAt: dueAt, error }
    this.#trouble.fails(key, failed, at, this.#owner)
  }

  /** Logs a failed try. `retryAt` is the time of the next try; `undefined`: there is none. */
  logs(key: string, error: KeptError, row: Tries, retryAt: number | undefined, now: number): void {
    const { tries = 1, triesMax, failingSince: since } = row
    const tried = { ...triedOnce(tries, triesMax, retryAt, now), since }
    this.#trouble.log.failed(this.#workOf(key), tried, error)
  }

  /** No try of this step follows. */
  passes({ key, tries = 0, outcome }: Pick<Row, 'key' | 'tries' | 'outcome'>): void {
    this.#trouble.passes(key, this.#owner)
    if (tries >= stuckTries && outcome?.kind === 'ok')
      this.#trouble.log.recovered(this.#workOf(key), `has succeeded at try ${tries + 1}`)
  }

  #workOf(key: string): FailedWork {
    const [kind, which] = [this.#type, `${this.#type}/${this.#id}`]
    return {
      kind,
      which,
      subject: `${which}: step ${key}`,
      alike: `${kind}: step ${key}`,
      facts: { run: which, step: key },
    }
  }

  /** The run does not go on. */
  end(): void {
    this.#trouble.keeps(this.#owner, new Set())
  }
}

/** A run, as lines of the log name it. */
type NamedRun = { readonly type: string; readonly id: string }

const runWork = ({ type, id }: NamedRun): FailedWork => ({
  kind: type,
  subject: `${type}/${id}: the run`,
  alike: `${type}: the run`,
  which: `${type}/${id}`,
  facts: { run: `${type}/${id}` },
})

type Logging = { readonly trouble: Pick<ActorTrouble, 'log'> }

type Ended = { readonly status: RunStatus; readonly error?: KeptError }

/** A run has ended. Each failed run is logged. */
export const noteRunEnd = ({ trouble }: Logging, run: NamedRun, end: Ended): void => {
  if (end.status === 'failed' && end.error) trouble.log.ended(runWork(run), 'has failed', end.error)
}

/** A run does not go on until an operator lets it. */
export const noteBlocked = ({ trouble }: Logging, run: NamedRun, error: KeptError): void =>
  trouble.log.ended(runWork(run), 'is blocked', error)

/** A run that was blocked, or has ended, goes on. */
export const noteResumed = ({ trouble }: Logging, run: NamedRun, status: RunStatus): void =>
  trouble.log.recovered(runWork(run), `continues, after it was ${status}`)

type Instance = Pick<AppContext[typeof durableActors]['entities'], 'trouble' | 'system'>

/** A try of a job, and how it ended. */
export type EndOfTry = {
  readonly id: string
  readonly attempt: number
  readonly triesMax?: number | undefined
  /** When the next try begins; absent: there is none. */
  readonly retryAt?: number | undefined
  /** Absent: it has not failed. */
  readonly failure?: KeptError | undefined
  /** As its row had it before this try: when it failed first. */
  readonly before?: { readonly since?: number } | undefined
}

const jobWork = (queue: string, id: string): FailedWork => ({
  kind: queue,
  subject: `${queue}: job ${id}`,
  alike: `${queue}: job`,
  which: `job ${id}`,
  facts: { queue, job: id },
})

/** The end of a try of a job of this queue is durable. */
export const noteEnd = ({ trouble, system }: Instance, queue: string, end: EndOfTry): void => {
  const { id, attempt: tries, triesMax, retryAt, failure, before } = end
  const entity = `${queueKind(queue)}/${queueId}`
  const owner = `jobs of ${entity}`
  const now = system.clock.now()
  if (retryAt === undefined || failure === undefined) {
    trouble.passes(id, owner)
    // A dead job that was retried begins with its first try again.
    const wasDead = before !== undefined && tries === 1
    if (failure === undefined && (wasDead || (before && tries > stuckTries)))
      trouble.log.recovered(
        jobWork(queue, id),
        `is done at try ${tries}${wasDead ? ', after it was dead' : ''}`,
      )
    return
  }
  const failed = { entity, what: `job ${id}`, tries, retryAt, error: keptText(failure) }
  trouble.fails(id, failed, now, owner)
  const since = before?.since ?? now
  trouble.log.failed(
    jobWork(queue, id),
    { ...triedOnce(tries, triesMax, retryAt, now), since },
    failure,
  )
}

/** A job is dead, and that is durable. */
export const noteDead = ({ trouble }: Logging, queue: string, { id, tries, error }: Dead): void =>
  trouble.log.ended(
    jobWork(queue, id),
    `is dead after ${tries} ${tries === 1 ? 'try' : 'tries'}`,
    error,
  )

type Dead = { readonly id: string; readonly tries: number; readonly error: KeptError }

const triedOnce = (
  tries: number,
  triesMax: number | undefined,
  retryAt: number | undefined,
  now: number,
) => ({
  tries,
  retryAt,
  triesMax: Number.isFinite(triesMax) ? triesMax : undefined,
  next:
    retryAt === undefined
      ? 'the last one'
      : `the next one is in ${Math.max(0, Math.round(retryAt - now))} ms`,
})
