/**
 * The messages of members to each other about the store: the unit of a write as the bytes of its frame,
 * and its answer. The member that gets one checks it: a peer may be wrong. Pure.
 */

import { isUtf8 } from 'node:buffer'
import { types } from 'node:util'
import type { CheckedWrite } from '../../actors/index.ts'
import { invalidArgument, isKeelsonError, KeelsonError } from '../../errors.ts'
import {
  type Command,
  type CommandAnswer,
  checkCommands,
  commandsOf,
  decodeFrame,
  decodeFromOutside,
  entityOfStream,
  isBirth,
  isJsonType,
  messagesOf,
  namedKeys,
  type StoredValue,
  type StreamAnswer,
  type StreamsUnit,
  shardOf,
  type Unit,
  type UnitAnswer,
  valuesOfUnit,
  valueTags,
} from '../../storage/index.ts'

/** A write, as its caller sends it to the owner of the shard. */
export type WriteRequest = CheckedWrite & {
  readonly shard: number
  /** The payload of a frame with one unit. */
  readonly frame: Uint8Array
}

/** A write that is done. A `clear` says how many keys it removed, and has no other answer. */
export type WriteAnswer = {
  readonly lsn: number
  readonly answers: readonly UnitAnswer[]
  readonly removed?: number
}

const malformed = (what: string, cause?: unknown): KeelsonError =>
  new KeelsonError('INVALID_ARGUMENT', `a message of another member is malformed: ${what}`, {
    cause,
  })

/** Runs the check of a message: whatever it throws but a refusal says that the message is malformed. */
const reading = <T>(what: string, read: () => T): T => {
  try {
    return read()
  } catch (error) {
    if (isKeelsonError(error) && error.code !== 'CORRUPT') throw error
    throw malformed(what, error)
  }
}

/**
 * The unit in the frame of a peer, for this one of so many shards: a command, a batch, an entry of
 * the journal or parts for streams.
 * @throws KeelsonError `INVALID_ARGUMENT`; `UNSUPPORTED_VERSION` for one of a later version
 */
export const unitIn = (frame: Uint8Array, shard: number, shards: number): Unit =>
  reading('its unit', () => {
    const [unit, second] = decodeFrame(frame).units
    if (!unit || second) throw malformed('not one unit')
    if (unit.kind === 'entry') return unit
    if (unit.kind === 'streams') return streamsIn(unit, shard, shards)
    if (unit.kind === 'turn' || unit.kind === 'removal' || unit.kind === 'removeExpired')
      throw malformed(`a ${unit.kind}`)
    for (const value of valuesOfUnit(unit)) storedIn(value)
    const commands = checkCommands(commandsOf(unit))
    for (const command of commands) checkPlace(command, shard, shards)
    return unit.kind === 'batch' ? { kind: 'batch', commands } : (commands[0] as Command)
  })

/** Parts for streams of this shard, whose messages are JSON. */
const streamsIn = (unit: StreamsUnit, shard: number, shards: number): StreamsUnit => {
  for (const part of unit.parts) {
    if (shardOf(`{${entityOfStream(part.owner)}}`, shards) !== shard)
      throw invalidArgument('owner', `a stream of shard ${shard}`, part.owner)
    if (part.act !== 'append' && part.act !== 'create') continue
    if (part.act === 'append' ? part.to?.isBytes : !isJsonType(part.contentType)) continue
    for (const message of messagesOf(part)) {
      if (!isUtf8(message)) throw malformed('a message of a stream')
      JSON.parse(Buffer.from(message).toString())
    }
  }
  return unit
}

const checkPlace = (command: Command, shard: number, shards: number): void => {
  if (command.kind === 'compareAndSet' && command.expected) storedIn(command.expected)
  const stray = namedKeys(command).find((key) => shardOf(key, shards) !== shard)
  if (stray !== undefined) throw invalidArgument('key', `a key of shard ${shard}`, stray)
}

/** A value that a peer sent. Only the store makes references to blobs. @throws KeelsonError `INVALID_ARGUMENT` */
export const storedIn = (found: unknown): StoredValue => {
  const { tag, bytes } = Object(found) as StoredValue
  if (!types.isUint8Array(bytes)) throw malformed('a value')
  const isBytes = tag === valueTags.bytes || (tag === valueTags.text && isUtf8(bytes))
  if (!isBytes) {
    if (tag !== valueTags.structured) throw malformed('a value')
    decodeFromOutside(bytes)
  }
  return { tag, bytes }
}

/** The answer of the owner to a write. @throws KeelsonError `INVALID_ARGUMENT` */
export const writeAnswerIn = (found: unknown): WriteAnswer =>
  reading('the answer to a write', () => {
    const { lsn, answers, removed } = found as WriteAnswer
    if (!Number.isSafeInteger(lsn)) throw malformed('a position')
    if (removed !== undefined && !Number.isSafeInteger(removed)) throw malformed('a count')
    return { lsn, answers: answers.map(unitAnswerIn), ...(removed !== undefined && { removed }) }
  })

const unitAnswerIn = (answer: UnitAnswer): UnitAnswer => {
  if (answer.kind === 'refused') return checkedRefusal(answer)
  if (answer.kind === 'streams')
    return { kind: 'streams', answers: answer.answers.map(streamAnswerIn) }
  if (answer.kind !== 'batch') return commandAnswerIn(answer as CommandAnswer)
  return { kind: 'batch', answers: answer.answers.map(commandAnswerIn) }
}

const reasons = ['WRONG_TYPE', 'LOCKED', 'TOO_LARGE', 'CONFLICT']

const checkedRefusal = (refusal: UnitAnswer & { kind: 'refused' }): UnitAnswer => {
  if (!reasons.includes(refusal.reason.code)) throw malformed('a refusal')
  return refusal
}

const streamAnswerIn = (answer: StreamAnswer): StreamAnswer => {
  if (!['stream', 'refusedPart', 'removed'].includes(answer.kind)) throw malformed('an answer')
  if (answer.kind === 'stream') {
    const { birth, next, end, floor } = answer
    const numbers = [next, end, floor]
    if (!isBirth(birth) || !numbers.every(Number.isSafeInteger)) throw malformed('an answer')
  }
  return answer
}

const commandAnswerIn = (answer: CommandAnswer): CommandAnswer => {
  if (typeof answer.kind !== 'string') throw malformed('an answer')
  const { previous, current } = answer as { previous?: unknown; current?: unknown }
  return {
    ...answer,
    ...(previous !== undefined && { previous: storedIn(previous) }),
    ...(current !== undefined && { current: storedIn(current) }),
  } as CommandAnswer
}
