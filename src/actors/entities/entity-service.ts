/**
 * What other members ask of the entities whose shards are here, beside their messages: looks at
 * durable states, and what operators do by hand. It is apart from `elsewhere-actors.ts`, because it is
 * a process.
 */
import {
  type ChildSpec,
  type From,
  type GenServer,
  type Name,
  noReply,
  worker,
} from '../../runtime/index.ts'
import { Access } from '../core/access.ts'
import { isList, isOneOf, isRecord, isText } from '../core/payload-check.ts'
import { instanceName } from '../core/shard-name.ts'
import { movedError } from '../links/shard-owners.ts'
import { type Entities, isElsewhere, type OwnersQuestion } from './entities.ts'
import { EntityHandle } from './entity-handle.ts'

/** The methods of a handle that other members may ask for. Their first argument is the id. */
const askedMethods = [
  ...(['state', 'stop', 'unblock', 'retryStep', 'fireAlarm', 'cancelAlarm'] as const),
] as const

/** The messages of the service. */
export type Messages = { calls: { ask: (question: OwnersQuestion) => unknown } }

/** The name of the service, at each member. */
export const serviceName = (instance: string): Name<Messages> =>
  instanceName<Messages>('entity_service', instance)

const server: GenServer<Messages, Entities, Entities> = {
  init: (entities) => entities,
  accepts: {
    calls: {
      ask: isRecord({
        ...{ kind: isText, id: isText, rest: isList },
        method: isOneOf(...askedMethods),
      }),
    },
    casts: {},
    infos: {},
  },
  calls: {
    ask: (entities, question, { from }) => {
      answer(entities, question, from)
      return noReply(entities)
    },
  },
  casts: {},
  infos: {},
}

/** Answers later: one question does not hold up the next one. */
const answer = (entities: Entities, question: OwnersQuestion, from: From<unknown>): void => {
  asked(entities, question).then(
    (value) => from.reply(value),
    (error) => from.fail(error),
  )
}

const asked = async (
  entities: Entities,
  { kind, id, method, rest }: OwnersQuestion,
): Promise<unknown> => {
  const shard = entities.shardOf(`${kind}/${id}`)
  if (isElsewhere(shard)) throw movedError(shard.index)
  const handle = new EntityHandle(entities, kind, new Access())
  return (handle[method as (typeof askedMethods)[number]] as (...given: unknown[]) => unknown).call(
    handle,
    id,
    ...rest,
  )
}

/** The service as a part of the tree. */
export const serviceSpec = (entities: Entities): ChildSpec =>
  worker('entity_service', server, entities, {
    mailboxMax: Number.POSITIVE_INFINITY,
    name: serviceName(entities.instance),
  })
