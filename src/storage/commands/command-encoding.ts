/**
 * Encodes the payload of a DATA frame (all integers little endian; FORMAT.md has the fields of each
 * command):
 *
 *     u64 ms, the log's time stamp | u16 units | per unit: u32 length | u8 kind | body
 *     body of a command       u8 code, 80 with an owner | key, but for commands on many | owner | fields
 *     body of an atomic batch u32 commands | per command: u32 length | the body of a command
 *     body of an entry        16 bytes of its digest | its body, as in `journal-entry.ts`
 *     body of a turn          u8 length and bytes of its cause, 0 for none | entity | u8 0, or 1 and the
 *                             mark that it follows | u8 0, or 1 and the main row: mark, sized body | u32 other rows, each: row key, u8 0 or 1 and sized
 *                             bytes | u32 writes | per write: u32 length | the body of a command |
 *                             u32 entries | per entry: u32 length | the body of an entry |
 *                             nothing, or 8 bytes of a birth | u32 own rows, each: key, u8 0, or
 *                             1, u8 tag and sized bytes
 *     body of a removal       entity | 8 bytes of a birth | u8: 1 last, 2 of a stream of the entity |
 *                             the name of the stream | u32 keys, each a key
 *     body of streams         as in `stream-unit.ts`
 *     body of a turn with streams   u32 length and body of the turn | the body of streams
 *
 * A mark is the 8 bytes of an incarnation and u64 seq. Sized bytes follow their length as u32,
 * texts and row keys as u16. The length of a unit counts its kind and its body. Pure: equal units
 * give equal bytes.
 */

import { KeelsonError } from '../../errors.ts'
import { entityBytesMax, isBirth, isEntity } from '../values/entity-key.ts'
import { markBytes } from '../values/entity-row.ts'
import { entityOfStream, isEntityStream, isStream, streamNameOf } from '../values/stream-key.ts'
import {
  type Command,
  type EntryUnit,
  type FrameUnits,
  frameUnitsMax,
  type OwnChanges,
  ownedFlag,
  ownerIn,
  type Removal,
  stampBytes,
  type Turn,
  type Unit,
  unitKinds,
  unitsIn,
} from './command.ts'
import { expiry, key, lastValue, owner, writeValue } from './command-fields.ts'
import { commandPlans } from './command-table.ts'
import { PayloadMeasure, type PayloadSink, PayloadWriter } from './payload.ts'
import { removalFlags, type StreamPart, streamNameBytesMax, writeStreams } from './stream-unit.ts'
import { turnFault } from './turn-fault.ts'

const invalid = (message: string): KeelsonError => new KeelsonError('INVALID_ARGUMENT', message)

/** Bytes before the first unit: the time stamp and the number of units. */
const frameHeadBytes = stampBytes + 2

/**
 * The greatest length that is encoded: lengths are u32, and a frame must fit a segment of 1 GiB.
 */
const frameBytesMax = 2 ** 31

/**
 * The length in bytes of the payload with these units. The log decides whether it fits a segment.
 * @throws KeelsonError `INVALID_ARGUMENT` for no unit, an empty batch, a command on no key, more
 * than 65,535 units, an invalid key, field, owner, expiry, lease or offset, or a turn with a wrong
 * entity, mark or row; `TOO_LARGE` beyond 2 GiB
 */
export const frameLength = (units: FrameUnits): number => {
  const length = measuredLength(unitsIn(units))
  if (length > frameBytesMax)
    throw new KeelsonError('TOO_LARGE', 'a frame takes too many bytes', {
      details: { bytes: length, bytesMax: frameBytesMax },
    })
  return length
}

const measuredLength = (units: readonly Unit[]): number => {
  if (units.length === 0 || units.length > frameUnitsMax)
    throw invalid(`a frame must have 1 to ${frameUnitsMax} units`)
  const measure = new PayloadMeasure()
  for (const unit of units) {
    if (unit.kind === 'turn') checkTurn(unit)
    if (unit.kind === 'removal' && !(isRemovable(unit.entity) && isBirth(unit.birth)))
      throw invalid('a removal of rows of no entity')
    writeUnit(measure, unit)
  }
  return frameHeadBytes + measure.length
}

const isRemovable = (entity: string): boolean => isEntity(entity) || isStream(entity)

/**
 * Encodes the payload into `into` at `at`, with a zero time stamp. It takes `frameLength(units)`
 * bytes.
 */
export const encodeFrameInto = (units: FrameUnits, into: Buffer, at: number): void => {
  // Eight stores cost less than a call of `fill`.
  for (let offset = 0; offset < stampBytes; offset++) into[at + offset] = 0
  const writer = new PayloadWriter(into, at + stampBytes)
  const list = unitsIn(units)
  writer.u16(list.length)
  for (const unit of list) writeUnit(writer, unit)
}

/**
 * Encodes the payload with a zero time stamp. Its memory is never part of Node's pool, so it can be
 * transferred to another thread. @throws KeelsonError as `frameLength`
 */
export const encodeFrame = (units: FrameUnits): Uint8Array => {
  const bytes = Buffer.allocUnsafeSlow(frameLength(units))
  encodeFrameInto(units, bytes, 0)
  return new Uint8Array(bytes.buffer)
}

const writeUnit = (sink: PayloadSink, unit: Unit): void => {
  const from = sink.beginSized()
  switch (unit.kind) {
    case 'batch':
      sink.u8(unitKinds.batch)
      writeBatch(sink, unit.commands)
      break
    case 'turn':
      if (unit.recorded) {
        sink.u8(unitKinds.recordedTurn)
        sink.sized(unit.recorded)
      }
      if (unit.streams) writeStreamTurn(sink, unit, unit.streams)
      else {
        sink.u8(unitKinds.turn)
        writeTurn(sink, unit)
      }
      break
    case 'entry':
      sink.u8(unitKinds.entry)
      writeEntry(sink, unit)
      break
    case 'removal':
      sink.u8(unitKinds.removal)
      writeRemoval(sink, unit)
      break
    case 'streams':
      sink.u8(unitKinds.streams)
      writeStreams(sink, unit)
      break
    default:
      sink.u8(unitKinds.command)
      writeCommand(sink, unit)
  }
  sink.endSized(from)
}

const writeBatch = (sink: PayloadSink, commands: readonly Command[]): void => {
  if (commands.length === 0) throw invalid('a batch must have at least one command')
  writeCommands(sink, commands)
}

const writeCommands = (sink: PayloadSink, commands: readonly Command[]): void => {
  sink.u32(commands.length)
  for (const command of commands) {
    const from = sink.beginSized()
    writeCommand(sink, command)
    sink.endSized(from)
  }
}

const checkTurn = (turn: Turn): void => {
  const fault = turnFault(turn)
  if (fault !== undefined) throw invalid(`a turn cannot be stored: ${fault}`)
}

const writeEntry = (sink: PayloadSink, { digest, body }: EntryUnit): void => {
  sink.bytes(digest)
  sink.bytes(body)
}

const noCause = new Uint8Array(0)

const writeTurn = (sink: PayloadSink, turn: Turn): void => {
  const { cause = noCause, entity, follows, row, rows, writes, entries = [], own } = turn
  sink.u8(cause.length)
  sink.bytes(cause)
  sink.text('an entity', entity, entityBytesMax)
  sink.u8(follows ? 1 : 0)
  if (follows) sink.mark(follows)
  sink.u8(row ? 1 : 0)
  if (row) {
    sink.part(row, 0, markBytes)
    sink.u32(row.length - markBytes)
    sink.part(row, markBytes, row.length)
  }
  sink.u32(rows.length)
  for (const [rowKey, bytes] of rows) {
    sink.rowKey(rowKey)
    sink.u8(bytes ? 1 : 0)
    if (bytes) sink.sized(bytes)
  }
  writeCommands(sink, writes)
  sink.u32(entries.length)
  for (const entry of entries) {
    const from = sink.beginSized()
    writeEntry(sink, entry)
    sink.endSized(from)
  }
  if (own) writeOwn(sink, own)
}

const writeStreamTurn = (sink: PayloadSink, turn: Turn, parts: readonly StreamPart[]): void => {
  sink.u8(unitKinds.streamTurn)
  const from = sink.beginSized()
  writeTurn(sink, turn)
  sink.endSized(from)
  writeStreams(sink, { parts })
}

const writeOwn = (sink: PayloadSink, { birth, changes }: OwnChanges): void => {
  sink.bytes(Buffer.from(birth, 'hex'))
  sink.u32(changes.length)
  for (const [each, value] of changes) {
    key.write(sink, each)
    sink.u8(value ? 1 : 0)
    if (value) writeValue(sink, value)
  }
}

const writeRemoval = (sink: PayloadSink, { entity, birth, keys, isLast }: Removal): void => {
  const isOfEntity = isEntityStream(entity)
  sink.text('an entity', entityOfStream(entity), entityBytesMax)
  sink.bytes(Buffer.from(birth, 'hex'))
  sink.u8((isLast ? removalFlags.last : 0) | (isOfEntity ? removalFlags.stream : 0))
  if (isOfEntity) sink.text('a name of a stream', streamNameOf(entity), streamNameBytesMax)
  sink.u32(keys.length)
  for (const each of keys) key.write(sink, each)
}

const writeCommand = (sink: PayloadSink, command: Command): void => {
  const plan = commandPlans[command.kind]
  if (plan === undefined) throw invalid(`unknown kind of command: ${command.kind}`)
  const given = ownerIn(command)
  sink.u8(plan.code | (given === undefined ? 0 : ownedFlag))
  if ('key' in command) key.write(sink, command.key)
  if (given !== undefined) owner.write(sink, given)
  // The most frequent command avoids the walk over its fields.
  if (command.kind === 'put') {
    expiry.write(sink, command.expiry)
    lastValue.write(sink, command.value)
  } else
    for (const [name, field] of plan.rest)
      field.write(sink, command[name as keyof Command], command)
}
