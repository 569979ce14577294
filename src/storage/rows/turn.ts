/**
 * The rows of a durable actor, as a turn writes them. The main row is the 8 bytes of its
 * incarnation, u64 seq, and a body that is opaque here; so are the bytes of the rows beside it. A
 * turn takes effect only if the main row has the mark that it follows. So a late unit of a killed
 * incarnation changes nothing. Pure.
 */
import { KeelsonError } from '../../errors.ts'
import { readU64, viewOf, writeU64 } from '../bytes/u64.ts'
import { asBuffer } from '../bytes/utf8.ts'
import type { Turn, TurnMark } from '../commands/command.ts'
import { type Refusal, refused } from '../commands/command-answer.ts'
import { type Row, rowTags } from '../ports/projection-store.ts'
import { entityRowKey } from '../values/entity-key.ts'
import type { RowSink, Rows } from './rows.ts'

const incarnationBytes = 8
const markBytes = incarnationBytes + 8

const entityRow = (bytes: Uint8Array): Row => ({
  value: { tag: rowTags.entity, bytes },
  expiresAt: 0,
})

/** The value of a lower-case hexadecimal digit. */
const digitOf = (unit: number): number => unit - (unit < 0x60 ? 0x30 : 0x57)

/** One byte of an incarnation. Most turns are applied twice, and a call into Node costs more. */
const byteOf = (incarnation: string, at: number): number =>
  digitOf(incarnation.charCodeAt(2 * at)) * 16 + digitOf(incarnation.charCodeAt(2 * at + 1))

const mainRow = ({ mark: { incarnation, seq }, body }: NonNullable<Turn['row']>): Row => {
  const bytes = new Uint8Array(markBytes + body.length)
  for (let at = 0; at < incarnationBytes; at++) bytes[at] = byteOf(incarnation, at)
  writeU64(viewOf(bytes), incarnationBytes, seq)
  bytes.set(body, markBytes)
  return entityRow(bytes)
}

const checkMainRow = ({ value: { tag, bytes } }: Row): Uint8Array => {
  if (tag === rowTags.entity && bytes.length >= markBytes) return bytes
  throw new KeelsonError('CORRUPT', 'the main row of an entity cannot be read', {
    details: { evidence: `tag ${tag}, ${bytes.length} bytes` },
  })
}

/**
 * The mark and the body of an entity's main row. The body is a view of the row. @throws
 * KeelsonError `CORRUPT` for another row
 */
export const readEntityRow = (row: Row): { readonly mark: TurnMark; readonly body: Uint8Array } => {
  const bytes = checkMainRow(row)
  const incarnation = asBuffer(bytes).toString('hex', 0, incarnationBytes)
  const seq = readU64(viewOf(bytes), incarnationBytes)
  return { mark: { incarnation, seq }, body: bytes.subarray(markBytes) }
}

const hasMark = (row: Row, { incarnation, seq }: TurnMark): boolean => {
  const bytes = checkMainRow(row)
  for (let at = 0; at < incarnationBytes; at++)
    if (bytes[at] !== byteOf(incarnation, at)) return false
  return readU64(viewOf(bytes), incarnationBytes) === seq
}

/** The refusal of a turn that follows another main row than the present one. */
export const turnRefusal = ({ entity, follows }: Turn, rows: Rows): Refusal | undefined => {
  const row = rows.get(entityRowKey(entity))
  const isNext = row && follows ? hasMark(row, follows) : !row && !follows
  if (isNext) return undefined
  return refused({ code: 'CONFLICT', present: row && readEntityRow(row).mark }, entity)
}

/** Sets the rows of a turn that was not refused. */
export const setEntityRows = ({ entity, row, rows }: Turn, into: RowSink): void => {
  into.set(entityRowKey(entity), row && mainRow(row))
  for (const [rowKey, bytes] of rows) into.set(rowKey, bytes && entityRow(bytes))
}
