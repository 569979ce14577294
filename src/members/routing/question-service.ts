/**
 * The answers of this member to the questions of others: a process that answers with what the parts of
 * this one have registered. It is apart from `remote-shards.ts`: the one asks, the other answers.
 */
import {
  type Answerer,
  answerWith,
  instanceName,
  isIgnored,
  isRecord,
  isText,
} from '../../actors/index.ts'
import { KeelsonError } from '../../errors.ts'
import { type GenServer, type Name, noReply } from '../../runtime/index.ts'

/** The questions of other members. */
export type Messages = {
  calls: { ask: (asked: { readonly question: string; readonly payload: unknown }) => unknown }
}

/** The answers that the parts of this member have registered. */
export type Answerers = { answererOf(question: string): Answerer | undefined }

/** The name of an instance's service; prints as `owner_questions`. */
export const name = (instance: string): Name<Messages> => instanceName('owner_questions', instance)

/** The service of an instance. */
export const server: GenServer<Messages, Answerers, Answerers> = {
  init: (answerers) => answerers,
  accepts: {
    calls: { ask: isRecord({ question: isText, payload: isIgnored }) },
    casts: {},
    infos: {},
  },
  calls: {
    ask: (answerers, { question, payload }, { from }) => {
      // One question does not hold up the next one.
      void answerWith(from, answered(answerers.answererOf(question), question, payload))
      return noReply(answerers)
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
