/**
 * The store of this member for the other ones: a process that does what they ask for in the shards
 * that are here. A write goes the way of every write, so its order, its bounds and its answer are
 * those of a write that was called here. A shard that is not here is refused with `ELSEWHERE`, and
 * nothing has happened. It is apart from `remote-shards.ts`: the one asks, the other answers.
 */

import { types } from 'node:util'
import {
  answerWith,
  checkedKey,
  checkSent,
  checkWrite,
  clearShard,
  instanceName,
  isCount,
  isRecord,
  isText,
  isTime,
  type JournalShard,
  KeyPlacement,
  loadValue,
  naming,
  placed,
  settled,
  shardAsked,
  submit,
  valueIn,
} from '../../actors/index.ts'
import { invalidArgument } from '../../errors.ts'
import { type From, type GenServer, noReply, ok, type System } from '../../runtime/index.ts'
import {
  encodeValue,
  isStoredValue,
  type RowValue,
  ropeLength,
  ropeOf,
  type StoredValue,
  type UnitAnswer,
  valueTags,
} from '../../storage/index.ts'
import { unitIn, type WriteAnswer, type WriteRequest } from './store-message.ts'

/** The questions of other members. */
export type Messages = {
  calls: {
    write: (request: WriteRequest) => WriteAnswer
    /** The whole value of a key; null without one. */
    load: (request: { readonly shard: number; readonly key: string }) => StoredValue | null
    /** Answers when every earlier write to the shard is decided. */
    settled: (shard: number) => null
  }
}

/** Its shards: all of the instance, of which some are here. */
export type Options = { readonly shards: readonly JournalShard[] }

type State = Options & { readonly keys: KeyPlacement }

/** The name of an instance's service; prints as `store_service`. */
export const name = (instance?: string) => instanceName<Messages>('store_service', instance)

const isWrite = isRecord({
  shard: isCount,
  frame: (payload: unknown) => types.isUint8Array(payload),
  ack: isText,
  whenFull: isText,
  deadlineMs: isTime,
})

/** The service of an instance. */
export const server: GenServer<Messages, State, Options> = {
  init: ({ shards }) => ok({ shards, keys: new KeyPlacement(shards) }),

  accepts: {
    calls: {
      write: isWrite,
      load: isRecord({ shard: isCount, key: isText }),
      settled: isCount,
    },
    casts: {},
    infos: {},
  },

  calls: {
    write: (state, request, { from, system }) =>
      answering(state, from, () => written(system, state, request)),
    load: (state, request, { from, system }) =>
      answering(state, from, () => loaded(system, state, request)),
    settled: (state, index, { from, system }) =>
      answering(state, from, async () => {
        await settled(system, shardAsked(state.shards, index))
        return null
      }),
  },

  casts: {},
  infos: {},
}

/** Begins the work at once, so that writes keep their order, and answers at its end. */
const answering = <R>(state: State, from: From<R>, work: () => Promise<R>) => {
  void answerWith(from, work())
  return noReply(state)
}

const written = async (
  system: System,
  state: State,
  { shard: index, frame, ack, deadlineMs, whenFull, windowMs }: WriteRequest,
): Promise<WriteAnswer> => {
  const shard = shardAsked(state.shards, index)
  const terms = { ack, deadlineMs, whenFull, ...(windowMs !== undefined && { windowMs }) }
  const options = checkWrite(terms, deadlineMs, shard.replication.isFollowed)
  const units = unitIn(frame, index, state.shards.length)
  if (units.kind === 'clear') {
    const { position, removed } = await clearShard(system, shard, units, options)
    return { lsn: position.lsn, answers: [], removed }
  }
  const refusal = units.kind === 'entry' ? shard.journal.refusal(index) : undefined
  if (refusal) throw shard.gate.counts(refusal)
  const { position, answers } = await submit(system, shard, { units, options })
  try {
    return { lsn: position.lsn, answers: await withWholeValues(system, shard, answers) }
  } catch (error) {
    throw placed(error, { position })
  }
}

/** The answers with the values that they have in blobs. */
const withWholeValues = async (
  system: System,
  shard: JournalShard,
  answers: readonly UnitAnswer[],
): Promise<readonly UnitAnswer[]> => {
  const whole = async <A extends UnitAnswer>(answer: A): Promise<A> => {
    if (answer.kind === 'batch') {
      const all: UnitAnswer[] = []
      for (const each of answer.answers) all.push(await whole(each))
      return { ...answer, answers: all }
    }
    const { kind } = answer
    if (kind !== 'set' && kind !== 'getSet' && kind !== 'compareAndSet') return answer
    const stored = valueIn(answer)
    if (!stored) return answer
    const value = await wholeValue(system, shard, stored)
    return { ...answer, [kind === 'compareAndSet' ? 'current' : 'previous']: value }
  }
  return Promise.all(answers.map(whole))
}

/** A value without blobs. @throws KeelsonError as `loadValue`; `TOO_LARGE` for one that no link takes */
const wholeValue = async (
  system: System,
  shard: JournalShard,
  stored: RowValue,
): Promise<StoredValue> => {
  checkSent(isStoredValue(stored) ? ropeLength(ropeOf(stored)) : 0)
  if (isStoredValue(stored) && stored.tag !== valueTags.blob) return stored
  return encodeValue(await loadValue(system, shard, stored))
}

const loaded = async (
  system: System,
  state: State,
  { shard: index, key }: { readonly shard: number; readonly key: string },
): Promise<StoredValue | null> => {
  const shard = shardAsked(state.shards, index)
  if (state.keys.of(checkedKey(key)) !== shard)
    throw invalidArgument('key', `a key of shard ${index}`, key)
  try {
    const row = shard.ownersView().get(key, shard.now())
    return row ? await wholeValue(system, shard, row.value) : null
  } catch (error) {
    throw naming(error, { key })
  }
}
