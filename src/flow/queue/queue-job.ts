/** One try of a job, as its handler gets it: the job runs in it, or ignores its end. */
import type { AppContext } from '../../runtime/index.ts'
import type { Try } from '../runs/body.ts'
import type { Claim } from './queue-book.ts'

/** The try of a claim. */
export class JobTry implements Try {
  readonly app: AppContext
  readonly key: string
  readonly claim: Claim
  /** In ms since 1970. */
  readonly since: number
  /** Its end is decided: it has settled, or its time is up. */
  hasEnded = false
  #abort: AbortController | undefined

  constructor(app: AppContext, key: string, claim: Claim, since: number) {
    this.app = app
    this.key = key
    this.claim = claim
    this.since = since
  }

  get attempt(): number {
    return this.claim.attempt
  }

  /** Most handlers never look at it. */
  get signal(): AbortSignal {
    this.#abort ??= new AbortController()
    return this.#abort.signal
  }

  abort(reason: unknown): void {
    this.#abort ??= new AbortController()
    this.#abort.abort(reason)
  }
}
