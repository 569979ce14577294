/**
 * The frames of a log as lines of text and as JSON objects. No kind of entities is known here that
 * says what may be shown: of values only type and length are, unless they are revealed. Pure.
 */
import { inspect } from 'node:util'
import { readBody } from '../../actors/index.ts'
import { hiddenText, shapeText } from '../../redaction.ts'
import {
  type Command,
  type DumpRecord,
  decodeCause,
  decodeValue,
  type EntityRowChange,
  type EntryUnit,
  type EventPayload,
  type Expiry,
  entryContent,
  type FrameContent,
  frameTypes,
  type KeepExpiry,
  type LoggedCause,
  type OwnChange,
  type Removal,
  readEventPayload,
  readMainRow,
  ropeLength,
  ropeOf,
  type StoredValue,
  type Turn,
  type TurnMark,
  type TypedPayload,
  type Unit,
  valueTags,
} from '../../storage/index.ts'
import { type Paint, plainPaint, printable } from '../text/paint.ts'
import { bytesText, countText } from '../text/quantities.ts'
import type { LogTarget } from './wal-target.ts'

type Shown = Exclude<DumpRecord, { kind: 'pause' }>

/** `DATA` for 1; the number of an unknown type. */
const frameTypeName = (type: number): string => {
  const name = Object.entries(frameTypes).find(([, code]) => code === type)?.[0]
  return name ? name.replace(/[A-Z]/g, '_$&').toUpperCase() : `TYPE ${type}`
}

/** The line above a shard's frames. */
export const logHeading = ({ known, dir }: LogTarget, paint: Paint = plainPaint): string =>
  paint('strong', `shard ${known?.shard ?? 0}  ${printable(dir)}`)

/** One record as one line; a value is cut to `width` characters, of which 0 are its type and length. */
export const dumpLine = (record: Shown, width: number, paint: Paint = plainPaint): string => {
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
        `  given back: the log begins with lsn ${countText(record.firstLsn)}, behind lsn ${countText(record.from)}`,
      )
    case 'newer':
      return paint(
        'odd',
        `  newer   lsn ${countText(record.lsn)}  offset ${countText(record.offset)}: type ${record.type} of version ${record.typeVersion}, which this version cannot read`,
      )
    case 'frame': {
      const { lsn, type, offset, payloadBytes, content } = record
      const head = `${String(lsn).padStart(10)}  ${frameTypeName(type).padEnd(11)}  at ${String(offset).padEnd(9)} ${String(payloadBytes).padStart(7)} B`
      return `${head}  ${contentText(content, width)}`.trimEnd()
    }
  }
}

/** The content of a frame, in one line, with values as in `dumpLine`. */
export const contentText = (content: FrameContent, width: number): string => {
  switch (content.kind) {
    case 'units':
      return `${timeText(content.time)}  ${content.units.map((unit) => unitText(unit, width)).join('; ')}`
    case 'entry':
      return `${timeText(content.time)}  entry of type ${content.type}: ${bytesPreview(content.bytes, width)}`
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
    case 'bytes': {
      const time = content.time === undefined ? '' : `${timeText(content.time)}  `
      const why = content.why === undefined ? '' : `  (${content.why})`
      return `${time}${bytesPreview(content.bytes, width)}${why}`
    }
  }
}

const timeText = (ms: number): string =>
  ms > 0 && ms <= 8.64e15 ? new Date(ms).toISOString() : `${ms} ms`

const unitText = (unit: Unit, width: number): string => {
  if (unit.kind === 'turn') return turnText(unit, width)
  if (unit.kind === 'entry') return entryText(unit, width)
  if (unit.kind === 'removal') return removalText(unit)
  return unit.kind === 'batch'
    ? `batch ${commandsText(unit.commands, width)}`
    : commandText(unit, width)
}

const removalText = ({ entity, birth, keys, isLast }: Removal): string =>
  `removal of ${countText(keys.length)} rows of ${JSON.stringify(entity)} ${birth}${isLast ? ', the last' : ''}`

const commandsText = (commands: readonly Command[], width: number): string =>
  `[${commands.map((command) => commandText(command, width)).join(', ')}]`

const entryText = (entry: EntryUnit, width: number): string => {
  const { id, type, command, response, events, effects } = entryContent(entry)
  const each = ({ type: name, payload }: TypedPayload): string =>
    `${name} ${payloadText(payload, width)}`
  return [
    `entry ${JSON.stringify(id)} ${type}`,
    `command ${payloadText(command, width)}`,
    `response ${payloadText(response, width)}`,
    events.length === 0 ? '' : `events [${events.map(each).join(', ')}]`,
    effects.length === 0 ? '' : `effects [${effects.map(each).join(', ')}]`,
  ]
    .filter((part) => part !== '')
    .join(' ')
}

const payloadText = (payload: EventPayload, width: number): string => {
  try {
    const { version, value } = readEventPayload(payload)
    return cut(`${version === 1 ? '' : `v${version} `}${shownText(value, width)}`, width)
  } catch {
    return bytesPreview(payload, width)
  }
}

const turnText = (turn: Turn, width: number): string => {
  const { entity, follows, row, rows, writes, entries = [], own, cause } = turn
  const { mark, body } = row ? readMainRow(row) : {}
  return [
    `turn ${JSON.stringify(entity)} ${markText(mark)} follows ${markText(follows)}`,
    cause ? causeText(decodeCause(cause)) : '',
    body ? bodyText(entity, body, width) : '',
    rows.length === 0 ? '' : `rows [${rows.map((each) => rowText(each, width)).join(', ')}]`,
    own ? `own ${own.birth} [${own.changes.map((each) => ownText(each, width)).join(', ')}]` : '',
    writes.length === 0 ? '' : `writes ${commandsText(writes, width)}`,
    entries.length === 0
      ? ''
      : `journal [${entries.map((each) => entryText(each, width)).join(', ')}]`,
  ]
    .filter((part) => part !== '')
    .join(' ')
}

const causeText = ({ what, by }: LoggedCause): string =>
  `cause ${JSON.stringify(what)}${by === undefined ? '' : ` by ${JSON.stringify(by)}`}`

const ownText = ([key, value]: OwnChange, width: number): string =>
  value ? `${JSON.stringify(key)} ${valueText(value, width)}` : `no ${JSON.stringify(key)}`

/** The state of a durable actor, and what else its row has. */
const bodyText = (entity: string, body: Uint8Array, width: number): string => {
  if (isOwn(entity)) return structuredText(body, width)
  try {
    const { version, shape, steps, fields, state } = readBody(body)
    const named = steps.map(({ name, payload }) =>
      payload === undefined ? name : `${name} ${cut(shownText(payload, width), width)}`,
    )
    return [
      `state ${state === undefined ? 'none' : cut(shownText(state, width), width)}`,
      version === 1 ? '' : `version ${version}`,
      shape === '' ? '' : `shape ${shape}`,
      named.length === 0 ? '' : `steps [${named.join(', ')}]`,
      Object.keys(fields).length === 0 ? '' : `index ${cut(shownText(fields, width), width)}`,
    ]
      .filter((part) => part !== '')
      .join(' ')
  } catch {
    return bytesPreview(body, width)
  }
}

/** Whether an entity is of the journal, whose rows have other bodies. Workers and runs are actors. */
const isOwn = (entity: string): boolean => /^\$(?:journal|state)\//.test(entity)

const structuredText = (bytes: Uint8Array, width: number): string =>
  cut(valueText({ tag: valueTags.structured, bytes }, width), width)

const markText = (mark: TurnMark | undefined): string =>
  mark ? `${mark.incarnation}:${mark.seq}` : 'nothing'

const rowText = ([rowKey, bytes]: EntityRowChange, width: number): string => {
  const key = JSON.stringify(rowKey)
  if (!bytes) return `${key} removed`
  return bytes.length === 0 ? key : `${key} = ${structuredText(bytes, width)}`
}

const commandText = (command: Command, width: number): string => {
  const { kind, ...fields } = command
  return [kind, ...Object.entries(fields).map((field) => fieldText(field, width))]
    .filter((part) => part !== '')
    .join(' ')
}

const fieldText = ([name, field]: readonly [string, unknown], width: number): string => {
  if (name === 'key') return JSON.stringify(field)
  if (isStored(field))
    return `${name === 'value' ? '=' : name} ${cut(valueText(field, width), width)}`
  if (isExpiry(field)) return expiryText(field)
  if (field === undefined) return ''
  return `${name} ${cut(Array.isArray(field) ? listText(field, width) : plainText(field), width)}`
}

const expiryText = (expiry: Expiry | KeepExpiry): string => {
  if (expiry.kind === 'none') return ''
  return expiry.kind === 'keep' ? 'ends as before' : `ends ${expiry.kind} ${expiry.ms} ms`
}

/** Keys, fields with their values, or keys with theirs. */
const listText = (list: readonly unknown[], width: number): string =>
  list.map((item) => itemText(item, width)).join(', ')

const itemText = (item: unknown, width: number): string => {
  if (Array.isArray(item) && isStored(item[1]))
    return `${JSON.stringify(item[0])} = ${valueText(item[1], width)}`
  if (typeof item !== 'object' || item === null) return JSON.stringify(item)
  return Object.entries(item)
    .map((field) => fieldText(field, width))
    .filter((part) => part !== '')
    .join(' ')
}

const contentNames = ['structured', 'text', 'bytes'] as const

const valueText = (value: StoredValue, width: number): string => {
  try {
    if (value.tag !== valueTags.blob) return shownText(decodeValue(value), width)
    const rope = ropeOf(value)
    return `<${contentNames[rope.content]} of ${bytesText(ropeLength(rope))}, in blobs>`
  } catch {
    return bytesPreview(value.bytes, width)
  }
}

/** A value of users. */
const shownText = (value: unknown, width: number): string =>
  width === 0 ? `<${shapeText(value)}>` : plainText(value)

const plainText = (value: unknown): string =>
  inspect(value, { breakLength: Number.POSITIVE_INFINITY, depth: 6, maxStringLength: 10_000 })

const bytesPreview = (bytes: Uint8Array, width: number): string => {
  if (width === 0) return `<${shapeText(bytes)}>`
  const shown = bytes.subarray(0, Math.ceil(width / 2))
  return cut(
    `<${Buffer.from(shown).toString('hex')}${shown.length < bytes.length ? '…' : ''}>`,
    width + 2,
  )
}

const cut = (text: string, width: number): string => {
  const oneLine = text.replaceAll('\n', ' ')
  return width === 0 || oneLine.length <= width
    ? oneLine
    : `${oneLine.slice(0, Math.max(0, width - 1))}…`
}

const isStored = (field: unknown): field is StoredValue =>
  typeof field === 'object' && field !== null && 'tag' in field && 'bytes' in field

const isExpiry = (field: unknown): field is Expiry | KeepExpiry =>
  typeof field === 'object' && field !== null && 'kind' in field

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

const unitJson = (unit: Unit): object => {
  if (unit.kind === 'turn') return { turn: turnJson(unit) }
  if (unit.kind === 'entry') return { entry: entryJson(unit) }
  if (unit.kind === 'removal') return { removal: given({ ...unit, kind: undefined }) }
  return unit.kind === 'batch' ? { batch: unit.commands.map(commandJson) } : commandJson(unit)
}

const mainRowJson = (entity: string, row: Uint8Array): object => {
  const { mark, body } = readMainRow(row)
  return { ...mark, ...(isOwn(entity) ? structuredJson(body) : bodyJson(body)) }
}

const bodyJson = (body: Uint8Array): object => {
  try {
    const { steps, state, birth, ...read } = readBody(body)
    const json = {
      ...read,
      steps: steps.map(({ payload, ...step }) => ({ ...step, ...given({ payload }) })),
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
    ...{ id, type, digest: Buffer.from(entry.digest).toString('hex') },
    ...{ command: payloadJson(command), response: payloadJson(response) },
    ...{ events: events.map(each), effects: effects.map(each) },
  }
}

const payloadJson = (payload: EventPayload): object => {
  const [version = 0] = payload
  return { version, ...structuredJson(payload.subarray(1)) }
}

const turnJson = ({ entity, follows, row, rows, writes, entries, own, cause }: Turn): object => ({
  entity,
  ...(cause && { cause: decodeCause(cause) }),
  follows: follows ?? null,
  row: row ? mainRowJson(entity, row) : null,
  rows: rows.map(([key, bytes]) => ({
    key,
    ...(bytes && bytes.length > 0 ? structuredJson(bytes) : { base64: bytes ? '' : null }),
  })),
  writes: writes.map(commandJson),
  ...(entries && { entries: entries.map(entryJson) }),
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
