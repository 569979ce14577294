/**
 * One session that observes an instance: it answers questions, and performs actions if it was
 * opened for writing. No source runs in it.
 */
import { isKeelsonError, KeelsonError, reasonText } from '../../errors.ts'
import type { Refusal } from '../../observe/index.ts'
import type { App } from '../../supervisors/index.ts'
import { printable } from '../text/paint.ts'
import { shortText } from '../text/shown-text.ts'
import { effectOf, perform, proposedIn, reasonIn } from './actions.ts'
import { Looks } from './looks.ts'
import type { Query } from './questions.ts'

/** Who observes, and whether they may act. */
export type ObserverTerms = { readonly isWriting: boolean; readonly user: string }

/** The answer to a request. */
export type Answered = { readonly id: number } & (
  | { readonly answer: unknown }
  | { readonly refusal: Refusal }
)

/** The most questions that wait at a time. */
const runningMax = 64

/** A session of an observer. */
export class Observer {
  readonly #app: App
  readonly #terms: ObserverTerms
  readonly #looks: Looks
  #running = 0

  constructor(app: App, terms: ObserverTerms) {
    this.#app = app
    this.#terms = terms
    this.#looks = new Looks(app, terms.isWriting)
  }

  /**
   * The answer to one request of a user. Never rejects but for a message without a number, which is not of
   * this protocol.
   */
  async answer(
    message: Readonly<Record<string, unknown>>,
    user = this.#terms.user,
  ): Promise<Answered> {
    const id = Number(message.id)
    try {
      if (this.#running >= runningMax)
        throw new KeelsonError('BUSY', `${runningMax} questions wait for their answers`)
      this.#running++
      try {
        return { id, answer: await this.#answer(message, user) }
      } finally {
        this.#running--
      }
    } catch (error) {
      return { id, refusal: refusalOf(error) }
    }
  }

  /** Ends every measurement. */
  end(): void {
    this.#looks.end()
  }

  async #answer(
    { look, query, plan, act }: Readonly<Record<string, unknown>>,
    user: string,
  ): Promise<unknown> {
    if (typeof look === 'string') return this.#looks.answer(look, Object(query) as Query)
    if (!this.#terms.isWriting)
      throw new KeelsonError('READ_ONLY', 'this session only looks: keelson observe --write acts')
    if (plan !== undefined) return { effect: effectOf(this.#app, proposedIn(plan)) }
    const action = proposedIn(act)
    const because = reasonIn(act)
    const { logger } = this.#app.system
    const effect = effectOf(this.#app, action)
    // A text of a user must not look like another line.
    const title = printable(`${user}, observing: ${effect}`)
    // A warning: it is recorded, so the page shows it beside what it was done for.
    logger.warn(`${title}. Reason: ${printable(because)}`)
    try {
      return { text: await perform(this.#app, action) }
    } catch (reason) {
      logger.warn(`${title}. It failed: ${reasonText(reason)}`)
      throw reason
    }
  }
}

const refusalOf = (error: unknown): Refusal => ({
  code: isKeelsonError(error) ? error.code : 'FAILED',
  message: shortText(reasonText(error)),
})
