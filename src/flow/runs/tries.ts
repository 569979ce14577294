/**
 * Whether a try that failed is followed by another one, and when: of steps, whole runs and jobs. The
 * steps of a run that are tried again are a trouble of the instance until then.
 */
import { type ActorTrouble, keptText } from '../../actors/index.ts'
import { backoffMs, type Clock, type FullRetry, type Retry, retryOf } from '../../clock.ts'
import { isMissing } from '../../errors.ts'
import { runKind } from './parts.ts'
import type { Operation } from './record.ts'

/** The policy of a call: its own fields, those of its type, and the built-in ones. */
export const policyOf = (...given: readonly (Retry | undefined)[]): FullRetry =>
  retryOf({ max: 3 }, ...given)

/**
 * The pause before the try after this one, in ms; `undefined`: it was the last. A throw of `unless`
 * does not end the tries. The program may lack what was tried: then no number of tries ends them.
 */
export const pauseAfter = (
  policy: FullRetry,
  attempt: number,
  error: unknown,
  clock: Clock,
): number | undefined => {
  if (isMissing(error)) return lackingMs
  if (attempt >= policy.max) return undefined
  try {
    if (policy.unless(error) === true) return undefined
  } catch {
    // A policy that throws decides nothing.
  }
  return pauseMs(attempt, clock, policy)
}

/** A try that another member may begin, too, waits for so long, and looks again. */
export const unsureMs = 1_000

/** The pause after a try that came before the tree had started: it does not count. */
export const earlyMs = 100

/** The pause after a try for which the program lacks a declaration: it does not count either. */
const lackingMs = 30_000

const untilDone = retryOf()

/** The pause after so many failures, in ms; by default of work that is tried until it succeeds. */
export const pauseMs = (failures: number, clock: Clock, policy: FullRetry = untilDone): number =>
  Math.ceil(backoffMs(policy, failures, clock.random()))

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
