/**
 * Questions of members to each other: a process that answers those of the others by what the parts of
 * this one have registered, and the way to it at the owner of a shard or at a member. Questions are
 * such that asking twice does no harm: one whose owner ended is asked again at the next owner.
 */

import { againPauses, backoffMs, leftUntil, passed } from '../../clock.ts'
import { isKeelsonError, KeelsonError, reasonText } from '../../errors.ts'
import {
  type ChildSpec,
  call,
  type GenServer,
  type Name,
  noReply,
  type Ref,
  type System,
  worker,
} from '../../runtime/index.ts'
import { answerWith } from '../core/answering.ts'
import type { Answerer, OwnersWay } from '../core/owners-way.ts'
import { isLinkFull, type OtherMembers } from '../core/owners-way.ts'
import { isIgnored, isRecord, isText } from '../core/payload-check.ts'
import { instanceName } from '../core/shard-name.ts'
import { closing, mayReadAgain } from './routed-outcome.ts'

/** The messages of the process. */
type Messages = {
  calls: { ask: (asked: { readonly question: string; readonly payload: unknown }) => unknown }
}

/** An owner answers late by its own clock; the caller waits so much longer, in ms. */
const answerSlackMs = 250

const name = (instance: string): Name<Messages> => instanceName('owner_questions', instance)

const server: GenServer<Messages, OwnerQuestions, OwnerQuestions> = {
  init: (questions) => questions,
  accepts: {
    calls: { ask: isRecord({ question: isText, payload: isIgnored }) },
    casts: {},
    infos: {},
  },
  calls: {
    ask: (questions, { question, payload }, { from }) => {
      // One question does not hold up the next one.
      void answerWith(from, answered(questions.answererOf(question), question, payload))
      return noReply(questions)
    },
  },
  casts: {},
  infos: {},
}

const answered = async (
  answerer: Answerer | undefined,
  question: string,
  payload: unknown,
): Promise<unknown> => {
  // A part that starts later answers later.
  if (!answerer) throw new KeelsonError('NO_PROCESS', `nothing answers ${question} here`)
  return (await answerer(payload)) ?? null
}

/** The parts that questions need. */
export type QuestionsParts = {
  readonly system: System
  readonly instance: string
  readonly members: OtherMembers
  /** Aborted when this member closes. */
  readonly ending: AbortSignal
}

/** The questions of one member. */
export class OwnerQuestions implements OwnersWay {
  readonly #parts: QuestionsParts
  readonly #answerers = new Map<string, Answerer>()

  constructor(parts: QuestionsParts) {
    this.#parts = parts
  }

  /** The process that answers, as a part of the tree. */
  childSpec(): ChildSpec {
    return worker('owner_questions', server, this as OwnerQuestions, {
      name: name(this.#parts.instance),
      // The room of the links bounds what comes.
      mailboxMax: Number.POSITIVE_INFINITY,
    })
  }

  answer(question: string, answerer: Answerer): void {
    this.#answerers.set(question, answerer)
  }

  answererOf(question: string): Answerer | undefined {
    return this.#answerers.get(question)
  }

  get member(): string {
    return this.#parts.members.member
  }

  get others(): readonly string[] {
    return this.#parts.members.others
  }

  ownerOf(shard: number): string | undefined {
    return this.#parts.members.ownerOf(shard)
  }

  isLinked(member: string): boolean {
    return this.#parts.members.isLinked(member)
  }

  onMoved(listener: (shard: number) => void): () => void {
    return this.#parts.members.onMoved(listener)
  }

  onUnlinked(listener: (member: string) => void): () => void {
    return this.#parts.members.onUnlinked(listener)
  }

  at<M>(member: string, target: Name<M>): Ref<M> {
    return this.#parts.members.at(member).ref<M>(target)
  }

  async ask(
    shard: number,
    question: string,
    payload: unknown,
    timeoutMs: number,
  ): Promise<unknown> {
    const { clock } = this.#parts.system
    const endsAt = clock.monotonic() + timeoutMs + answerSlackMs
    const ref = this.#parts.members.refOf<Messages>(shard, name(this.#parts.instance))
    for (let tries = 1; ; tries++) {
      const pauseMs = backoffMs(againPauses, tries)
      const member = this.ownerOf(shard)
      const leftMs = leftUntil(clock, endsAt)
      try {
        const options = { timeoutMs: leftMs, waitForName: true }
        return await call(ref, 'ask', { question, payload }, options)
      } catch (error) {
        const failure = unlessOwned(error)
        if (!failure) throw named(error, shard, member)
        if (this.#parts.ending.aborted) throw closing(shard, failure)
        if (clock.monotonic() + pauseMs >= endsAt) throw unanswered(failure, shard, member)
      }
      await passed(clock, pauseMs)
    }
  }

  async askMember(
    member: string,
    question: string,
    payload: unknown,
    timeoutMs: number,
  ): Promise<unknown> {
    // A question for a member that is none would make one: links are tried to each that is named.
    if (member !== this.member && !this.others.includes(member))
      throw new KeelsonError('NO_PROCESS', `there is no member ${member}`, { details: { member } })
    const ref = this.at(member, name(this.#parts.instance))
    try {
      return await call(ref, 'ask', { question, payload }, { timeoutMs })
    } catch (error) {
      throw named(error, undefined, member)
    }
  }
}

/** A failure that says no owner has answered; `undefined`: it is the answer of the owner. */
export const unlessOwned = (error: unknown): KeelsonError | undefined =>
  isKeelsonError(error) && mayReadAgain(error) && (error.code !== 'BUSY' || isLinkFull(error))
    ? error
    : undefined

/** The error of an owner, with its name. */
const named = (error: unknown, shard: number | undefined, member: string | undefined): unknown => {
  if (!isKeelsonError(error) || member === undefined) return error
  const { code, message, details } = error
  return new KeelsonError(code, `${message} (at the member ${member})`, {
    details: { ...(shard !== undefined && { shard }), ...details, member },
    cause: error,
  })
}

const unanswered = (
  error: KeelsonError,
  shard: number,
  member: string | undefined,
): KeelsonError => {
  const place = member === undefined ? 'has no owner' : `is at the member ${member}`
  return new KeelsonError(
    'SHARD_DOWN',
    `shard ${shard} ${place}, and nobody answered in time: ${reasonText(error)}`,
    {
      details: { shard, state: 'elsewhere', ...(member !== undefined && { member }) },
      cause: error,
    },
  )
}
