/**
 * Decodes the payload of a DATA frame, which `command-encoding.ts` encodes. Strict: it accepts only
 * the bytes that the encoder writes. Pure.
 */

import { asBuffer, readUtf8 } from '../../bytes/utf8.ts'
import { isKeelsonError, type KeelsonError } from '../../errors.ts'
import { entityBytesMax, isEntity } from '../values/entity-key.ts'
import { mainRowOf, type TurnMark } from '../values/entity-row.ts'
import { isStream } from '../values/stream-key.ts'
import {
  type Command,
  type EntityRowChange,
  type EntryUnit,
  type Frame,
  type OwnChange,
  type OwnChanges,
  ownedFlag,
  type Removal,
  type Turn,
  type Unit,
  unitKinds,
} from './command.ts'
import {
  expiry,
  key,
  lastValue,
  owner,
  readFlag,
  readMany,
  readValue,
  unsupported,
} from './command-fields.ts'
import { commandPlans } from './command-table.ts'
import { checkBody, entryDigestBytes } from './journal-entry.ts'
import { PayloadReader } from './payload.ts'
import { readStreams, removalFlags, streamNameBytesMax } from './stream-unit.ts'
import { turnFault } from './turn-fault.ts'

/**
 * Decodes the units and the time stamp of a DATA frame's payload. Values are views of `bytes`: copy
 * them if they must outlive it. The checksum of `bytes` should have been verified before.
 * @throws KeelsonError `CORRUPT` with `details.evidence`; `UNSUPPORTED_VERSION` (`details.what`,
 * `details.code`) for a kind of unit, command, expiry or value of a later version. Its effect is
 * unknown, so a replay must stop there without changes.
 */
export const decodeFrame = (bytes: Uint8Array): Frame => {
  const reader = new PayloadReader(bytes)
  const time = reader.u64()
  const count = reader.u16()
  if (count === 0) throw reader.damaged('no unit')
  const units: Unit[] = []
  for (let index = 0; index < count; index++) {
    const length = reader.u32()
    units.push(reader.within(length, () => readUnit(reader)))
  }
  if (reader.at !== reader.end) throw reader.damaged('bytes behind the last unit')
  return { time, units }
}

/** The error that `decodeFrame` throws for this payload; `undefined` if it can be decoded. */
export const frameFault = (bytes: Uint8Array): KeelsonError | undefined => {
  try {
    decodeFrame(bytes)
    return undefined
  } catch (error) {
    if (isKeelsonError(error)) return error
    throw error
  }
}

const readUnit = (reader: PayloadReader): Unit => {
  const kind = reader.u8()
  const read = unitReaders[kind]
  if (!read) throw unsupported('unit', kind)
  return read(reader)
}

const readBatch = (reader: PayloadReader): Unit => ({
  kind: 'batch',
  commands: readMany(reader, readSizedCommand),
})

const readSizedCommand = (reader: PayloadReader): Command => {
  const length = reader.u32()
  return reader.within(length, () => readCommand(reader))
}

const readTurn = (reader: PayloadReader): Turn => {
  const cause = readCause(reader)
  const turn: Turn = {
    kind: 'turn',
    entity: reader.text('an entity', entityBytesMax),
    follows: readFlag(reader, 'mark of a turn') ? readMark(reader) : undefined,
    row: readFlag(reader, 'main row of a turn')
      ? mainRowOf(readMark(reader), reader.sized())
      : undefined,
    rows: reader.list(() => readRowChange(reader)),
    writes: reader.list(() => readSizedCommand(reader)),
    ...(cause && { cause }),
  }
  const entries = reader.list(() => reader.within(reader.u32(), () => readEntryUnit(reader)))
  const own = reader.at === reader.end ? undefined : readOwn(reader)
  const fault = turnFault(turn)
  if (fault !== undefined) throw reader.damaged(`a turn with ${fault}`)
  if (entries.length === 0 && !own) return turn
  return { ...turn, ...(entries.length > 0 && { entries }), ...(own && { own }) }
}

const readStreamTurn = (reader: PayloadReader): Turn => {
  const length = reader.u32()
  const turn = reader.within(length, () => readTurn(reader))
  const { parts } = readStreams(reader)
  const streams = { ...turn, streams: parts }
  const fault = turnFault(streams)
  if (fault !== undefined) throw reader.damaged(`a turn with ${fault}`)
  return streams
}

/** A turn after its record: a unit within a unit. */
const readRecordedTurn = (reader: PayloadReader): Unit => {
  const recorded = reader.sized()
  if (recorded.length === 0) throw reader.damaged('a recorded turn without its record')
  const unit = readUnit(reader)
  if (unit.kind !== 'turn' || unit.recorded) throw reader.damaged('a record without its turn')
  return Object.assign(unit, { recorded })
}

const readCause = (reader: PayloadReader): Uint8Array | undefined => {
  const length = reader.u8()
  const from = reader.take(length)
  return length === 0 ? undefined : reader.bytes.subarray(from, from + length)
}

const readOwn = (reader: PayloadReader): OwnChanges => {
  const birth = readDigits(reader)
  const changes = readMany(reader, readOwnChange)
  return { birth, changes }
}

const readOwnChange = (reader: PayloadReader): OwnChange => {
  const changed = key.read(reader)
  return [changed, readFlag(reader, 'change of a row') ? readValue(reader) : undefined]
}

/** 8 bytes as hex digits. */
const readDigits = (reader: PayloadReader): string => {
  const from = reader.take(8)
  return asBuffer(reader.bytes).toString('hex', from, from + 8)
}

const readRemoval = (reader: PayloadReader): Removal => {
  const owner = reader.text('an entity', entityBytesMax)
  const birth = readDigits(reader)
  const flags = reader.u8()
  if (flags > (removalFlags.last | removalFlags.stream))
    throw unsupported('flags of a removal', flags)
  const isLast = (flags & removalFlags.last) !== 0
  const isOfStream = (flags & removalFlags.stream) !== 0
  const entity = isOfStream
    ? `${owner}\0${reader.text('a name of a stream', streamNameBytesMax)}`
    : owner
  if (!(isOfStream ? isStream(entity) : isEntity(entity)))
    throw reader.damaged('a removal with the name of its entity')
  return { kind: 'removal', entity, birth, isLast, keys: reader.list(() => key.read(reader)) }
}

const readEntryUnit = (reader: PayloadReader): EntryUnit => {
  const digestAt = reader.take(entryDigestBytes)
  const id = checkBody(reader)
  const bodyAt = digestAt + entryDigestBytes
  return {
    kind: 'entry',
    id,
    digest: reader.bytes.subarray(digestAt, bodyAt),
    body: reader.bytes.subarray(bodyAt, reader.at),
  }
}

const readMark = (reader: PayloadReader): TurnMark => ({
  incarnation: readDigits(reader),
  seq: reader.u64(),
})

const readRowChange = (reader: PayloadReader): EntityRowChange => {
  const length = reader.u16()
  const from = reader.take(length)
  const rowKey = readUtf8(reader.bytes, from, from + length)
  return [rowKey, readFlag(reader, 'change of a row') ? reader.sized() : undefined]
}

const { put, delete: remove } = commandPlans

const readCommand = (reader: PayloadReader): Command => {
  const code = reader.u8()
  // The most frequent commands come first and avoid the table.
  if (code === put.code) {
    const name = key.read(reader)
    const time = expiry.read(reader)
    return { kind: 'put', key: name, expiry: time, value: lastValue.read(reader) }
  }
  if (code === remove.code) return { kind: 'delete', key: key.read(reader) }
  return readOther(reader, code)
}

/** The decoder of each kind of unit. A kind without a decoder belongs to a later version. */
const unitReaders: { readonly [kind: number]: ((reader: PayloadReader) => Unit) | undefined } = {
  [unitKinds.command]: readCommand,
  [unitKinds.batch]: readBatch,
  [unitKinds.entry]: readEntryUnit,
  [unitKinds.turn]: readTurn,
  [unitKinds.removal]: readRemoval,
  [unitKinds.streams]: readStreams,
  [unitKinds.streamTurn]: readStreamTurn,
  [unitKinds.recordedTurn]: readRecordedTurn,
}

const plansByCode = new Map(Object.values(commandPlans).map((plan) => [plan.code, plan]))

const readOther = (reader: PayloadReader, code: number): Command => {
  const plan = plansByCode.get(code & ~ownedFlag)
  const isOwned = (code & ownedFlag) !== 0
  if (plan === undefined || (isOwned && plan.owner === 'never')) throw unsupported('command', code)
  const { kind, hasKey, rest } = plan
  if (!isOwned && plan.owner === 'always') throw reader.damaged(`${kind} without an owner`)
  const command: Record<string, unknown> = { kind }
  if (hasKey) command.key = key.read(reader)
  if (isOwned) command.owner = owner.read(reader)
  for (const [name, field] of rest) command[name] = field.read(reader)
  return command as Command
}
