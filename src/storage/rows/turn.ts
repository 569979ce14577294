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

const mainRow = ({ mark, body }: NonNullable<Turn['row']>): Row => {
  const bytes = new Uint8Array(markBytes + body.length)
  bytes.set(Buffer.from(mark.incarnation, 'hex'))
  writeU64(viewOf(bytes), incarnationBytes, mark.seq)
  bytes.set(body, markBytes)
  return entityRow(bytes)
}

/**
 * The mark and the body of an entity's main row. The body is a view of the row. @throws
 * KeelsonError `CORRUPT` for another row
 */
export const readEntityRow = ({
  value: { tag, bytes },
}: Row): { readonly mark: TurnMark; readonly body: Uint8Array } => {
  if (tag !== rowTags.entity || bytes.length < markBytes)
    throw new KeelsonError('CORRUPT', 'the main row of an entity cannot be read', {
      details: { evidence: `tag ${tag}, ${bytes.length} bytes` },
    })
  const incarnation = asBuffer(bytes).toString('hex', 0, incarnationBytes)
  const seq = readU64(viewOf(bytes), incarnationBytes)
  return { mark: { incarnation, seq }, body: bytes.subarray(markBytes) }
}

/** Whether two marks name the same state; without a mark it is that of an entity without a row. */
const isSame = (one: TurnMark | undefined, other: TurnMark | undefined): boolean =>
  one?.incarnation === other?.incarnation && one?.seq === other?.seq

/** The refusal of a turn that follows another main row than the present one. */
export const turnRefusal = ({ entity, follows }: Turn, rows: Rows): Refusal | undefined => {
  const row = rows.get(entityRowKey(entity))
  const present = row && readEntityRow(row).mark
  return isSame(present, follows) ? undefined : refused('CONFLICT', entity)
}

/** Sets the rows of a turn that was not refused. */
export const setEntityRows = ({ entity, row, rows }: Turn, into: RowSink): void => {
  into.set(entityRowKey(entity), row && mainRow(row))
  for (const [rowKey, bytes] of rows) into.set(rowKey, bytes && entityRow(bytes))
}
