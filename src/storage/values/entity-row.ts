/**
 * The bytes of an entity's main row: the 8 bytes of its incarnation, u64 seq, and a body that is
 * opaque here. Pure.
 */

import { putU64, u64In } from '../../bytes/u64.ts'
import { asBuffer } from '../../bytes/utf8.ts'
import { KeelsonError } from '../../errors.ts'
import { type Row, rowTags } from '../ports/projection-store.ts'

/**
 * Names one state of a durable actor: its incarnation (8 bytes as 16 lower-case hex digits), and
 * the number of the turn that made it.
 */
export type TurnMark = { readonly incarnation: string; readonly seq: number }

const incarnationBytes = 8

/** The bytes of a mark. The body of a main row follows them. */
export const markBytes = incarnationBytes + 8

/**
 * The value of a lower-case hexadecimal digit: a letter has the bit 0x40, and its low bits begin at
 * 1. Without a branch, which a processor would guess wrong for random digits.
 */
const digitOf = (unit: number): number => (unit & 0xf) + (unit >> 6) * 9

/** One byte of an incarnation. Every turn needs it, and a call into Node costs more. */
const byteOf = (incarnation: string, at: number): number =>
  digitOf(incarnation.charCodeAt(2 * at)) * 16 + digitOf(incarnation.charCodeAt(2 * at + 1))

/** Writes a mark into `bytes` from `at` on. */
export const writeMark = (bytes: Uint8Array, at: number, { incarnation, seq }: TurnMark): void => {
  for (let index = 0; index < incarnationBytes; index++)
    bytes[at + index] = byteOf(incarnation, index)
  putU64(bytes, at + incarnationBytes, seq)
}

const seqOf = (bytes: Uint8Array): number => u64In(bytes, incarnationBytes)

/** Whether these are the bytes of a main row. */
export const isMainRow = (bytes: Uint8Array): boolean =>
  bytes.length >= markBytes && Number.isSafeInteger(seqOf(bytes))

const markOf = (bytes: Uint8Array): TurnMark => ({
  incarnation: asBuffer(bytes).toString('hex', 0, incarnationBytes),
  seq: seqOf(bytes),
})

/** The bytes of a main row with this mark and body. */
export const mainRowOf = (mark: TurnMark, body: Uint8Array): Uint8Array => {
  const bytes = Buffer.allocUnsafe(markBytes + body.length)
  writeMark(bytes, 0, mark)
  bytes.set(body, markBytes)
  return bytes
}

/** The main row with these bytes. */
export const entityRow = (bytes: Uint8Array): Row => ({
  value: { tag: rowTags.entity, bytes },
  expiresAt: 0,
})

const checked = ({ value: { tag, bytes } }: Row): Uint8Array => {
  if (tag === rowTags.entity && bytes.length >= markBytes) return bytes
  throw new KeelsonError('CORRUPT', 'the main row of an entity cannot be read', {
    details: { evidence: `tag ${tag}, ${bytes.length} bytes` },
  })
}

/** A main row as it is read. The body is a view of it. */
export type MainRow = { readonly mark: TurnMark; readonly body: Uint8Array }

/** The mark and the body in the bytes of a main row. */
export const readMainRow = (bytes: Uint8Array): MainRow => ({
  mark: markOf(bytes),
  body: bytes.subarray(markBytes),
})

/** The mark and the body of an entity's main row. @throws KeelsonError `CORRUPT` for another row */
export const readEntityRow = (row: Row): MainRow => readMainRow(checked(row))

/**
 * Whether a main row was written by the first turn of its entity: a turn after another one has a
 * higher number.
 */
export const isFirstRow = ({ value: { bytes } }: Row): boolean => seqOf(bytes) === 1

/** Whether a main row has this mark. @throws KeelsonError `CORRUPT` for another row */
export const hasMark = (row: Row, { incarnation, seq }: TurnMark): boolean => {
  const bytes = checked(row)
  for (let at = 0; at < incarnationBytes; at++)
    if (bytes[at] !== byteOf(incarnation, at)) return false
  return seqOf(bytes) === seq
}
