/**
 * The steps of runs and the jobs of queues that fail, as a trouble of their instance. They stay one until
 * a try succeeds, or no other one follows.
 */
import type { ActorTrouble } from '../../actors/index.ts'
import type { KeptError } from '../../errors.ts'
import { keptText } from '../../failure-record.ts'
import type { AppContext, durableActors } from '../../supervisors/index.ts'
import { queueId, queueKind, runKind } from './parts.ts'
import type { Operation } from './record.ts'

type Row = Pick<Operation, 'key' | 'at' | 'tries' | 'failure' | 'dueAt' | 'outcome'>

/**
 * The failing steps of a run in the health of its instance. They stay there while the run rests until
 * the next try. The rows are the truth: each activation begins with them.
 */
export class FailingSteps {
  readonly #trouble: ActorTrouble
  readonly #type: string
  readonly #id: string

  /** `trouble`: that of the instance. */
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

  /** A try has failed, and another one follows. */
  failed({ key, at, tries = 0, failure, dueAt }: Row): void {
    if (!failure || dueAt === undefined) return
    const error = keptText(failure)
    const failed = { entity: this.#entity, what: `step ${key}`, tries, retryAt: dueAt, error }
    this.#trouble.fails(key, failed, at, this.#owner)
  }

  /** No try of this step follows. */
  passes(key: string): void {
    this.#trouble.passes(key, this.#owner)
  }

  /** The run does not go on. */
  end(): void {
    this.#trouble.keeps(this.#owner, new Set())
  }
}

type Instance = Pick<AppContext[typeof durableActors]['entities'], 'trouble' | 'system'>

/** A try of a job, and how it ended. */
export type EndOfTry = {
  readonly id: string
  readonly attempt: number
  /** When the next try begins; `undefined`: there is none. */
  readonly retryAt: number | undefined
  /** `undefined`: it has not failed. */
  readonly failure: KeptError | undefined
}

/** The end of a try of a job of this queue is durable. */
export const noteEnd = (
  { trouble, system }: Instance,
  queue: string,
  { id, attempt, retryAt, failure }: EndOfTry,
): void => {
  const entity = `${queueKind(queue)}/${queueId}`
  const owner = `jobs of ${entity}`
  if (retryAt === undefined || failure === undefined) {
    trouble.passes(id, owner)
    return
  }
  const failed = { entity, what: `job ${id}`, tries: attempt, retryAt, error: keptText(failure) }
  trouble.fails(id, failed, system.clock.now(), owner)
}
