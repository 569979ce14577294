/**
 * An entry of the journal as bytes. Its body is encoded once, when the entry is made, and the same
 * bytes go to the log and to readers. The digest is that of its canonical form, which a repeat has
 * whatever the order of its names. Applying an entry looks only at its id and digest, except for a
 * repeat with another digest. Pure.
 *
 *     body   id | type | sized command | sized response | u32 events, each: type, sized payload |
 *            u32 effects, each: type, sized payload
 *
 * Texts follow their length as u16, sized bytes as u32.
 */
import { sha256Latin1 } from '../../bytes/sha256.ts'
import { u32In, u64In } from '../../bytes/u64.ts'
import { KeelsonError } from '../../errors.ts'
import { type Row, rowTags } from '../ports/projection-store.ts'
import type { EventPayload } from '../values/event-payload.ts'
import { entryIdBytesMax } from '../values/row-key.ts'
import type { EntryUnit } from './command.ts'
import type { EntryPlace } from './command-answer.ts'
import { PayloadMeasure, PayloadReader, type PayloadSink, PayloadWriter } from './payload.ts'

/** An event of an entry, or a side effect: `type` has 1 to 512 bytes. */
export type TypedPayload = { readonly type: string; readonly payload: EventPayload }

/** The content of an entry. `id` and `type` have 1 to 512 bytes without NUL. */
export type EntryContent = {
  readonly id: string
  readonly type: string
  readonly command: EventPayload
  readonly response: EventPayload
  readonly events: readonly TypedPayload[]
  /** They are never emitted to subscribers. */
  readonly effects: readonly TypedPayload[]
}

/** The bytes of a digest. */
export const entryDigestBytes = 16

const typeBytesMax = 512

/** Keeps the digest of an entry apart from every other hash. It is as long as the digest. */
const digestDomain = 'keelson.entry.1\n'

/**
 * The body after the tag of digests, whose place the digest takes. @throws KeelsonError
 * `INVALID_ARGUMENT` for an id or a type of another length, with a NUL, or ill-formed
 */
export const taggedBody = (content: EntryContent): Buffer => {
  const measure = new PayloadMeasure()
  writeBody(measure, content)
  const bytes = Buffer.allocUnsafe(entryDigestBytes + measure.length)
  bytes.write(digestDomain, 0, 'latin1')
  writeBody(new PayloadWriter(bytes, entryDigestBytes), content)
  return bytes
}

/**
 * The digest of the body as it is. An earlier build gave it to every entry, whatever the order of its
 * names.
 */
export const earlierDigest = (body: Uint8Array): Buffer =>
  Buffer.from(
    sha256Latin1(Buffer.concat([Buffer.from(digestDomain, 'latin1'), body])),
    'latin1',
  ).subarray(0, entryDigestBytes)

const writeBody = (sink: PayloadSink, content: EntryContent): void => {
  sink.text('an id', content.id, entryIdBytesMax)
  sink.text('a type', content.type, typeBytesMax)
  sink.sized(content.command)
  sink.sized(content.response)
  writeAll(sink, content.events)
  writeAll(sink, content.effects)
}

const writeAll = (sink: PayloadSink, list: readonly TypedPayload[]): void => {
  sink.u32(list.length)
  for (const { type, payload } of list) {
    sink.text('a type', type, typeBytesMax)
    sink.sized(payload)
  }
}

/** The content of the body of an entry. Payloads are views of it. @throws KeelsonError `CORRUPT` */
export const entryContent = ({ body }: Pick<EntryUnit, 'body'>): EntryContent => {
  const reader = new PayloadReader(body)
  const content = readBody(reader, readPayload)
  if (reader.at !== reader.end) throw reader.damaged('bytes behind an entry')
  return content
}

/**
 * Checks a body, up to its end, and returns its id. It makes no views, which cost more than the
 * checks. @throws KeelsonError `CORRUPT`
 */
export const checkBody = (reader: PayloadReader): string => readBody(reader, skipPayload).id

type PayloadTaker = (reader: PayloadReader) => EventPayload

const readBody = (reader: PayloadReader, take: PayloadTaker): EntryContent => ({
  id: reader.text('an id', entryIdBytesMax),
  type: reader.text('a type', typeBytesMax),
  command: take(reader),
  response: take(reader),
  events: readAll(reader, take),
  effects: readAll(reader, take),
})

const readAll = (reader: PayloadReader, take: PayloadTaker): readonly TypedPayload[] =>
  reader.list(() => ({ type: reader.text('a type', typeBytesMax), payload: take(reader) }))

const readPayload: PayloadTaker = (reader) => {
  const from = payloadAt(reader)
  return reader.bytes.subarray(from, reader.at)
}

const skipped = new Uint8Array(0)

const skipPayload: PayloadTaker = (reader) => {
  payloadAt(reader)
  return skipped
}

/** Passes a payload, and returns where it begins. */
const payloadAt = (reader: PayloadReader): number => {
  const from = reader.take(reader.u32())
  if (reader.at - from < 2 || reader.bytes[from] === 0)
    throw reader.damaged('a payload without a version')
  return from
}

/** The bytes of the row of an id: the digest, and the place of the first entry with it. */
export const entryRowBytes = entryDigestBytes + 8 + 4 + 8

/** The place of the first entry with an id, from its row. @throws KeelsonError `CORRUPT` */
export const readEntryRow = ({ value }: Row): EntryPlace => {
  const { bytes } = value
  if (value.tag !== rowTags.entryId || bytes.length !== entryRowBytes)
    throw new KeelsonError('CORRUPT', 'the row of an id of the journal cannot be read', {
      details: { evidence: `tag ${value.tag}, ${bytes.length} bytes` },
    })
  const at = entryDigestBytes
  return { lsn: u64In(bytes, at), index: u32In(bytes, at + 8), time: u64In(bytes, at + 12) }
}
