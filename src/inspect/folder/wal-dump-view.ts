/**
 * The frames of a log as lines of text, which have no values, and as JSON objects. No kind of
 * entities is known here that says what may be shown: of values the objects have only type and
 * length, unless they are revealed. Pure.
 */
import { readBody } from '../../actors/index.ts'
import { hiddenText } from '../../redaction.ts'
import {
  type Command,
  type DumpRecord,
  decodeCause,
  decodeValue,
  type EntryUnit,
  type EventPayload,
  entityOfStream,
  entryContent,
  type FrameContent,
  frameTypes,
  isEntityStream,
  isStream,
  readMainRow,
  type StoredValue,
  type StreamPart,
  streamNameOf,
  type Turn,
  type TypedPayload,
  type Unit,
  valueTags,
} from '../../storage/index.ts'
import type { LogTarget } from '../../tools/index.ts'
import { type Paint, plainPaint, printable } from '../text/paint.ts'
import { bytesText, countText } from '../text/quantities.ts'

type Shown = Exclude<DumpRecord, { kind: 'pause' }>

/** `DATA` for 1; the number of an unknown type. */
const frameTypeName = (type: number): string => {
  const name = Object.entries(frameTypes).find(([, code]) => code === type)?.[0]
  return name ? name.replace(/[A-Z]/g, '_$&').toUpperCase() : `TYPE ${type}`
}

/** The line above a shard's frames. */
export const logHeading = ({ known, dir }: LogTarget, paint: Paint = plainPaint): string =>
  paint('strong', `shard ${known?.shard ?? 0}  ${printable(dir)}`)

/** One record as one line, without values. */
export const dumpLine = (record: Shown, paint: Paint = plainPaint): string => {
  switch (record.kind) {
    case 'segment': {
      const { name, size, header } = record.segment
      return `${paint('strong', name)}  segment ${header.seq}, epoch ${header.epoch}, from lsn ${countText(header.baseLsn)}, ${bytesText(size)}`
    }
    case 'damage':
      return paint(
        'bad',
        `  damage  ${printable(record.file)}  offset ${countText(record.offset)}  lsn ${countText(record.lsn)}: ${printable(record.evidence)}`,
      )
    case 'given back':
      return paint(
        'odd',
        `  freed: the log begins with lsn ${countText(record.firstLsn)}, behind lsn ${countText(record.from)}`,
      )
    case 'newer':
      return paint(
        'odd',
        `  newer   lsn ${countText(record.lsn)}  offset ${countText(record.offset)}: type ${record.type} of version ${record.typeVersion}, which this version cannot read`,
      )
    case 'frame': {
      const { lsn, type, offset, payloadBytes, content } = record
      const head = `${String(lsn).padStart(10)}  ${frameTypeName(type).padEnd(11)}  at ${String(offset).padEnd(9)} ${String(payloadBytes).padStart(7)} B`
      return `${head}  ${printable(contentText(content))}`.trimEnd()
    }
  }
}

/** The content of a frame in one line: kinds of writes, their keys and names. No values. */
export const contentText = (content: FrameContent): string => {
  switch (content.kind) {
    case 'units':
      return `${timeText(content.time)}  ${listText(content.units.map(unitText), '; ')}`
    case 'entry':
      return `${timeText(content.time)}  entry of type ${content.type}`
    case 'checkpoint':
      return `durable elsewhere up to lsn ${countText(content.checkpoint.lsn)}`
    case 'mark':
      return `${countText(content.mark.count)} frames, the last is ${countText(content.mark.lastLsn)}`
    case 'commitment': {
      const { seq, count, firstLsn, lastLsn } = content.header
      return `group ${countText(seq)}: ${countText(count)} records, lsn ${countText(firstLsn)} to ${countText(lastLsn)}`
    }
    case 'lost':
      return content.range
        ? `lost: lsn ${countText(content.range.from)} to ${countText(content.range.to)}`
        : 'lost'
    case 'bytes':
      return content.why ?? ''
  }
}

const timeText = (ms: number): string =>
  ms > 0 && ms <= 8.64e15 ? new Date(ms).toISOString() : `${ms} ms`

/** The most writes of a frame, and keys of a write, that a line names. */
const namesMax = 8

const listText = (names: readonly string[], between = ', '): string => {
  const more = names.length - namesMax
  const shown = names.slice(0, namesMax).join(between)
  return more > 0 ? `${shown}${between}and ${countText(more)} more` : shown
}

const unitText = (unit: Unit): string => {
  switch (unit.kind) {
    case 'turn': {
      const { mark } = unit.row ? readMainRow(unit.row) : {}
      const number = mark ? `${mark.incarnation}:${mark.seq}` : 'removes it'
      const writes = unit.writes.length === 0 ? '' : ` writes ${commandsText(unit.writes)}`
      const streams = unit.streams ? ` streams [${listText(unit.streams.map(partText))}]` : ''
      return `turn ${JSON.stringify(unit.entity)} ${number}${writes}${streams}`
    }
    case 'entry':
      return `entry ${JSON.stringify(unit.id)} ${entryContent(unit).type}`
    case 'removal':
      return `removal of ${countText(unit.keys.length)} rows of ${isStream(unit.entity) ? streamText(unit.entity) : JSON.stringify(unit.entity)}`
    case 'streams':
      return `streams [${listText(unit.parts.map(partText))}]`
    case 'batch':
      return `batch ${commandsText(unit.commands)}`
    default:
      return commandText(unit)
  }
}

/** A stream as a line names it: that of an entity after its entity. */
const streamText = (owner: string): string => {
  const entity = isEntityStream(owner) ? `${JSON.stringify(entityOfStream(owner))} ` : ''
  return entity + JSON.stringify(streamNameOf(owner))
}

const partText = (part: StreamPart): string => {
  const messages = part.act === 'append' ? ` of ${countText(part.count)} messages` : ''
  return `${part.act}${messages} ${streamText(part.owner)}`
}

const commandsText = (commands: readonly Command[]): string =>
  `[${listText(commands.map(commandText))}]`

const commandText = (command: Command): string => {
  const keys = listText(keysOf(command).map((key) => JSON.stringify(key)))
  return keys === '' ? command.kind : `${command.kind} ${keys}`
}

const keysOf = (command: Command): readonly string[] => {
  if ('key' in command) return [command.key]
  if ('keys' in command) return command.keys
  if ('entries' in command) return command.entries.map(({ key }) => key)
  return command.namespace === undefined ? [] : [command.namespace]
}

/**
 * One record as plain data, complete: bytes as base64, values as they are if JSON can hold them.
 */
export const dumpJson = (record: Shown, shard: number | undefined): object => {
  const where = shard === undefined ? {} : { shard }
  if (record.kind === 'segment') {
    const { name: file, size: bytes, header } = record.segment
    const { seq, baseLsn, epoch, walId, createdMs, allocatedBytes } = header
    const facts = { seq, baseLsn, epoch, walId, createdMs, allocatedBytes }
    return { kind: 'segment', ...where, file, bytes, ...facts }
  }
  if (record.kind !== 'frame') return { ...record, ...where }
  const { segment, lsn, type, offset, payloadBytes, content } = record
  const place = { file: segment.name, epoch: segment.header.epoch, offset, payloadBytes }
  return {
    kind: 'frame',
    ...where,
    lsn,
    type: frameTypeName(type),
    ...place,
    ...contentJson(content),
  }
}

/** The same as plain data. */
export const contentJson = (content: FrameContent): object => {
  switch (content.kind) {
    case 'units':
      return { time: content.time, units: content.units.map(unitJson) }
    case 'entry':
      return { time: content.time, entry: { type: content.type, base64: base64(content.bytes) } }
    case 'checkpoint': {
      const { lsn, opaque } = content.checkpoint
      return { checkpoint: { lsn, base64: base64(opaque) } }
    }
    case 'mark':
      return { mark: content.mark }
    case 'commitment':
      return { commitment: { ...content.header, hash: content.hash } }
    case 'lost':
      return { lost: content.range ?? null }
    case 'bytes': {
      const { time, why, bytes } = content
      return {
        ...(time === undefined ? {} : { time }),
        ...(why ? { why } : {}),
        base64: base64(bytes),
      }
    }
  }
}

/** Messages are no values that a kind of entities may show: of them there is the length. */
const partJson = (part: StreamPart): object => {
  const { owner, ...fields } = part
  const { packed, ...rest } = { packed: undefined, ...fields }
  const entity = isEntityStream(owner) ? entityOfStream(owner) : undefined
  return given({
    stream: streamNameOf(owner),
    entity,
    ...rest,
    ...(packed && { bytes: packed.length }),
  })
}

const unitJson = (unit: Unit): object => {
  if (unit.kind === 'turn') return { turn: turnJson(unit) }
  if (unit.kind === 'entry') return { entry: entryJson(unit) }
  if (unit.kind === 'streams') return { streams: unit.parts.map(partJson) }
  if (unit.kind === 'removal') return { removal: given({ ...unit, kind: undefined }) }
  return unit.kind === 'batch' ? { batch: unit.commands.map(commandJson) } : commandJson(unit)
}

/** Whether an entity is of the journal, whose rows have other bodies. Workers and runs are actors. */
const isOwn = (entity: string): boolean => /^\$(?:journal|state)\//.test(entity)

const mainRowJson = (entity: string, row: Uint8Array): object => {
  const { mark, body } = readMainRow(row)
  return { ...mark, ...(isOwn(entity) ? structuredJson(body) : bodyJson(body)) }
}

const bodyJson = (body: Uint8Array): object => {
  try {
    const { steps, state, birth, ...read } = readBody(body)
    const json = {
      ...read,
      steps: steps.map(given),
      ...given({ birth, state }),
    }
    return isJson(json) ? json : { base64: base64(body) }
  } catch {
    return { base64: base64(body) }
  }
}

/** The fields that are there: none is `undefined`. */
const given = (fields: Readonly<Record<string, unknown>>): object =>
  Object.fromEntries(Object.entries(fields).filter(([, field]) => field !== undefined))

const structuredJson = (bytes: Uint8Array): object =>
  valueJson({ tag: valueTags.structured, bytes })

const entryJson = (entry: EntryUnit): object => {
  const { id, type, command, response, events, effects } = entryContent(entry)
  const each = ({ type: name, payload }: TypedPayload): object => ({
    type: name,
    ...payloadJson(payload),
  })
  return {
    id,
    type,
    digest: Buffer.from(entry.digest).toString('hex'),
    command: payloadJson(command),
    response: payloadJson(response),
    events: events.map(each),
    effects: effects.map(each),
  }
}

const payloadJson = (payload: EventPayload): object => {
  const [version = 0] = payload
  return { version, ...structuredJson(payload.subarray(1)) }
}

const turnJson = ({
  entity,
  follows,
  row,
  rows,
  writes,
  entries,
  own,
  streams,
  cause,
  recorded,
}: Turn): object => ({
  entity,
  ...(cause && { cause: decodeCause(cause) }),
  follows: follows ?? null,
  row: row ? mainRowJson(entity, row) : null,
  rows: rows.map(([key, bytes]) => ({
    key,
    ...(bytes && bytes.length > 0 ? structuredJson(bytes) : { base64: bytes ? '' : null }),
  })),
  writes: writes.map(commandJson),
  ...(recorded && { recorded: structuredJson(recorded) }),
  ...(entries && { entries: entries.map(entryJson) }),
  ...(streams && { streams: streams.map(partJson) }),
  ...(own && {
    own: {
      birth: own.birth,
      rows: own.changes.map(([key, value]) => ({
        key,
        ...(value ? valueJson(value) : { base64: null }),
      })),
    },
  }),
})

const commandJson = (command: Command): object =>
  Object.fromEntries(
    Object.entries(command).map(([name, field]) =>
      name === 'kind' ? ['command', field] : [name, fieldJson(field)],
    ),
  )

const isStored = (field: object): field is StoredValue => 'tag' in field && 'bytes' in field

const fieldJson = (field: unknown): unknown => {
  if (typeof field !== 'object' || field === null) return field
  if (isStored(field)) return valueJson(field)
  if (field instanceof Uint8Array) return { base64: base64(field) }
  if (Array.isArray(field)) return field.map(fieldJson)
  return Object.fromEntries(Object.entries(field).map(([name, part]) => [name, fieldJson(part)]))
}

const tagNames = ['structured', 'text', 'bytes', 'blob'] as const

const valueJson = (stored: StoredValue): object => {
  const tag = tagNames[stored.tag]
  const encoded = { tag, base64: base64(stored.bytes) }
  try {
    const value = decodeValue(stored)
    return tag !== 'bytes' && isJson(value) ? { tag, value } : encoded
  } catch {
    return encoded
  }
}

/** Whether the value survives JSON unchanged. */
const isJson = (value: unknown): boolean => {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return true
  if (typeof value === 'number') return Number.isFinite(value) && !Object.is(value, -0)
  if (Array.isArray(value)) return value.every(isJson)
  if (typeof value !== 'object') return false
  return Object.getPrototypeOf(value) === Object.prototype && Object.values(value).every(isJson)
}

const base64 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64')

/** The members of the plain data that have values of users. */
const valueNames = ['value', 'base64', 'state', 'payload', 'fields']

/** Plain data of a record, with type and length in the place of its values. */
export const withoutValues = (json: unknown, name = ''): unknown => {
  if (name === 'base64' && typeof json === 'string') return hiddenText(Buffer.from(json, 'base64'))
  if (json === null || json === undefined) return json
  const isValue = valueNames.includes(name) && !isEncoded(json)
  if (isValue || ArrayBuffer.isView(json)) return hiddenText(json)
  if (Array.isArray(json)) return json.map((each) => withoutValues(each))
  if (typeof json !== 'object') return json
  const members = Object.entries(json)
  return Object.fromEntries(members.map(([each, member]) => [each, withoutValues(member, each)]))
}

/** Whether it is a value as `valueJson` has it, and nothing else. */
const isEncoded = (json: unknown): boolean => {
  const [tag, value, ...more] = typeof json === 'object' ? Object.entries(json ?? {}) : []
  const isTagged = tag?.[0] === 'tag' && tagNames.some((each) => each === tag[1])
  return isTagged && (value?.[0] === 'value' || value?.[0] === 'base64') && more.length === 0
}
