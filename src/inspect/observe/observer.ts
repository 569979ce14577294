/**
 * One session that observes an instance: it answers questions, and performs actions if it was
 * opened for writing. No source runs in it. A message that names another member is answered there, in
 * a session for the pages of all other members: one page shows all of them.
 */
import type { ShardClient } from '../../actors/index.ts'
import { invalidArgument, isKeelsonError, KeelsonError, reasonText } from '../../errors.ts'
import type { Planned, Refusal } from '../../observe/index.ts'
import { type App, innerParts } from '../../supervisors/index.ts'
import { readError } from '../../thrown.ts'
import { answerLooks } from '../answers/member-looks.ts'
import { ownerOf } from '../answers/process-finder.ts'
import { answerTroubled } from '../answers/troubled-entities.ts'
import { printable } from '../text/paint.ts'
import { shortText } from '../text/shown-text.ts'
import { type CheckedAction, effectOf, perform, proposedIn, reasonIn } from './actions.ts'
import { Looks } from './looks.ts'
import { type Answered, answerIn, optionalText, type Query } from './questions.ts'
import { answerKeys } from './storage-looks.ts'

/** Who observes, and whether they may act. */
export type ObserverTerms = { readonly isWriting: boolean; readonly user: string }

/** The most questions that wait at a time. */
const runningMax = 64

/** The question of members to each other with which a page looks at another one. */
const pageQuestion = 'page'

/** A message for another member, as JSON, and who sends it. */
type Forwarded = { readonly message: string } & ObserverTerms

/** Another member has so long to answer a look or a plan, in ms. */
const memberMs = 10_000

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

  #forwarded(message: object, user: string): Forwarded {
    return { message: JSON.stringify(message), ...this.#terms, user }
  }

  async #answer(message: Readonly<Record<string, unknown>>, user: string): Promise<unknown> {
    const { look, query, plan, act, planned, isForOwner } = message
    const member = optionalText(Object(query ?? plan ?? act) as Query, 'member')
    const { way, shards } = this.#app[innerParts]
    if (way && member !== undefined && member !== way.member) {
      const forwarded = this.#forwarded(message, user)
      const actMs = act === undefined ? undefined : shards[0]?.parts.settings.deadlineMs
      return answerIn(JSON.parse(await askedThere(way, member, forwarded, actMs)) as Answered)
    }
    if (typeof look === 'string') {
      const asked = Object(query) as Query
      const owner = way && ownerFor(this.#app, look, asked)
      // Two members may disagree about the owner: the question goes to one of them, and no further.
      if (!way || owner === undefined || isForOwner === true) return this.#looks.answer(look, asked)
      // The page goes on to show this member, and its choice does not lead the question back here.
      const forOwner = { ...message, query: { ...asked, member: owner }, isForOwner: true }
      const there = await askedThere(way, owner, this.#forwarded(forOwner, user), undefined)
      const { data } = answerIn(JSON.parse(there) as Answered) as { data: object }
      return { header: this.#looks.header(), data: { ...data, member: owner } }
    }
    if (!this.#terms.isWriting)
      throw new KeelsonError('READ_ONLY', 'this session only looks: keelson observe --write acts')
    if (plan !== undefined) return plannedOf(this.#app, proposedIn(plan))
    const action = proposedIn(act)
    const because = reasonIn(act)
    const { logger } = this.#app.system
    const { effect, start } = plannedOf(this.#app, action)
    const { effect: seen, start: before } = Object(planned) as Partial<Planned>
    if (effect !== seen || start !== before)
      throw new KeelsonError(
        'CONFLICT',
        'it or the instance is another one than in its plan: plan it again',
      )
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

/**
 * The effect of an action here. Pids count from 1 in each process, and a page may be connected to another
 * member than before: its action must not reach a process of the same number there.
 */
const plannedOf = (app: App, action: CheckedAction): Planned => {
  const { way, since } = app[innerParts]
  const start = [process.pid, since, ...(way ? [way.member] : [])].join(' ')
  return { effect: effectOf(app, action), start }
}

/**
 * Answers the pages of other members from now on. Nothing is measured before the first question. A
 * member that has the secret of the links may do what this one does, so it says whether its user may act.
 */
export const answerPages = (app: App): void => {
  const { way, ending } = app[innerParts]
  answerLooks(app)
  answerKeys(app)
  answerTroubled(app)
  const observers = new Map<boolean, Observer>()
  const observerFor = (isWriting: boolean): Observer => {
    const found =
      observers.get(isWriting) ?? new Observer(app, { isWriting, user: 'another member' })
    observers.set(isWriting, found)
    return found
  }
  way?.answer(pageQuestion, async (payload) => {
    const { message, isWriting, user } = forwardedIn(payload)
    return JSON.stringify(await observerFor(isWriting).answer(JSON.parse(message), user))
  })
  ending.addEventListener('abort', () => {
    for (const each of observers.values()) each.end()
  })
}

/** @throws KeelsonError `INVALID_ARGUMENT` for what no member sends */
const forwardedIn = (payload: unknown): Forwarded => {
  const { message, isWriting, user } = Object(payload) as Partial<Forwarded>
  if (typeof message === 'string' && typeof user === 'string')
    return { message, isWriting: isWriting === true, user: shortText(user, 100) }
  throw invalidArgument('message', 'a message of a page', payload)
}

/**
 * The answer of another member, as JSON. `actMs`: how long an action may take there. It may go on
 * after that. @throws KeelsonError why there is no answer
 */
const askedThere = async (
  way: ShardClient,
  member: string,
  forwarded: Forwarded,
  actMs: number | undefined,
): Promise<string> => {
  try {
    return String(await way.askMember(member, pageQuestion, forwarded, actMs ?? memberMs))
  } catch (error) {
    if (actMs === undefined || !isKeelsonError(error, 'TIMEOUT')) throw error
    const text = `the member ${member} has not answered in ${actMs} ms: the action may still be at work`
    throw new KeelsonError('UNKNOWN_OUTCOME', text, { details: { member }, cause: error })
  }
}

/** The member that has what a look is about, if it is another one. */
const ownerFor = (app: App, look: string, query: Query): string | undefined => {
  const { kind, id } = query
  const isOne = look === 'entity' && typeof kind === 'string' && typeof id === 'string'
  return isOne ? ownerOf(app, { kind, id }) : undefined
}

/** Its message has no code: a refusal that members pass on would get it once more at each of them. */
const refusalOf = (error: unknown): Refusal =>
  isKeelsonError(error)
    ? { code: error.code, message: shortText(readError(error).message) }
    : { code: 'FAILED', message: shortText(reasonText(error)) }
