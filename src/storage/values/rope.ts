/**
 * A rope: a value with some or all of its content in blobs. Each part is inline bytes or a slice of
 * a blob. `append` and `setRange` add or cut parts. They never read a blob, so applying a command
 * needs no I/O.
 *
 *     u8 version | u8 content | u16 parts | per part: u8 kind | fields     (little endian)
 *     inline (0)   u32 length | bytes
 *     blob (1)     64 bytes reference | u64 from | u64 to
 *
 * A rope has at least one blob part; without one it is an ordinary value. No part is empty (except
 * the only part of an empty blob), no two inline parts are neighbours, and structured content is
 * one whole blob. Pure.
 */

import { readU64, viewOf, writeU64 } from '../../bytes/u64.ts'
import { KeelsonError } from '../../errors.ts'
import { type RowValue, rowTags, type StoredValue, valueTags } from '../ports/projection-store.ts'
import {
  type BlobRef,
  blobReferenceBytes,
  decodeBlobReference,
  encodeBlobReference,
} from './blob-reference.ts'

/** A part of a rope: inline bytes, or the bytes of a blob from `from` up to `to`. */
export type RopePart =
  | { readonly kind: 'inline'; readonly bytes: Uint8Array }
  | { readonly kind: 'blob'; readonly ref: BlobRef; readonly from: number; readonly to: number }

/**
 * Content in parts. `content` is one of `valueTags`: 0 structured, 1 text, 2 bytes. In a rope of
 * text every part begins and ends at a character boundary.
 */
export type Rope = { readonly content: 0 | 1 | 2; readonly parts: readonly RopePart[] }

/** The most parts of a rope. */
export const ropePartsMax = 1024

/** The most inline bytes of a rope made by `append` or `setRange`, gaps included. */
export const inlineBytesMax = 16 * 1024 * 1024

/** The greatest length of a value in bytes. */
export const valueBytesMax = 2 ** 40

const version = 1
const headBytes = 4
const kinds = { inline: 0, blob: 1 } as const
const blobPartBytes = 1 + blobReferenceBytes + 16

const partLength = (part: RopePart): number =>
  part.kind === 'inline' ? part.bytes.length : part.to - part.from

/** Length of the content in bytes. */
export const ropeLength = (rope: Rope): number =>
  rope.parts.reduce((sum, part) => sum + partLength(part), 0)

/** Whether any part is in a blob. */
const hasBlob = (rope: Rope): boolean => rope.parts.some((part) => part.kind === 'blob')

/** A rope over one whole blob. */
export const blobRope = (content: Rope['content'], ref: BlobRef): Rope => ({
  content,
  parts: [{ kind: 'blob', ref, from: 0, to: ref.size }],
})

/** A rope of inline bytes only, as an operand: it is not a value by itself. */
export const inlineRope = (content: Rope['content'], bytes: Uint8Array): Rope => ({
  content,
  parts: bytes.length === 0 ? [] : [{ kind: 'inline', bytes }],
})

/** The parts of `rope` from `from` up to `to`, clamped, with the first and last part cut to fit. */
export const ropeSlice = (rope: Rope, from: number, to: number): readonly RopePart[] => {
  const parts: RopePart[] = []
  let start = 0
  for (const part of rope.parts) {
    const length = partLength(part)
    const first = Math.max(0, from - start)
    const end = Math.min(length, to - start)
    if (first < end) parts.push(first === 0 && end === length ? part : cut(part, first, end))
    start += length
  }
  return parts
}

const cut = (part: RopePart, first: number, end: number): RopePart =>
  part.kind === 'inline'
    ? { kind: 'inline', bytes: part.bytes.subarray(first, end) }
    : { ...part, from: part.from + first, to: part.from + end }

/** The content of two joined ropes: text and text is text, anything else is bytes. */
const joinedContent = (rope: Rope, other: Rope): 1 | 2 =>
  rope.content === 1 && other.content === 1 ? 1 : 2

/**
 * Appends `suffix` to `rope`; `undefined` beyond the bounds (`ropePartsMax`, `inlineBytesMax`,
 * `valueBytesMax`). Either may be without blobs. Text and text is text, anything else is bytes. The
 * caller has made sure that neither is structured.
 */
export const appendToRope = (rope: Rope, suffix: Rope): Rope | undefined =>
  bounded({ content: joinedContent(rope, suffix), parts: joined(rope.parts, suffix.parts) })

/**
 * Replaces the content of `rope` from `offset` on by `patch`, and extends it if needed. A gap
 * before the patch is filled with zero bytes. An empty patch changes nothing. `undefined` beyond
 * the bounds. Neither is structured.
 *
 * Text patched with text stays text unless the patch cuts a character; then the content becomes
 * bytes. A cut inside a blob part counts as cutting a character, because the blob is not read.
 */
export const patchRope = (rope: Rope, offset: number, patch: Rope): Rope | undefined => {
  const length = ropeLength(rope)
  const end = offset + ropeLength(patch)
  if (end === offset) return rope
  if (offset - length > inlineBytesMax) return undefined
  const whole = startsCharacter(rope, offset) && startsCharacter(rope, end)
  const content = whole ? joinedContent(rope, patch) : 2
  const gap: RopePart = { kind: 'inline', bytes: new Uint8Array(Math.max(0, offset - length)) }
  const before = joined(ropeSlice(rope, 0, offset), [gap])
  return bounded({
    content,
    parts: joined(joined(before, patch.parts), ropeSlice(rope, end, length)),
  })
}

/**
 * Whether `offset` is known to be a character boundary (the end included) without reading a blob.
 */
const startsCharacter = (rope: Rope, offset: number): boolean => {
  let start = 0
  for (const part of rope.parts) {
    if (offset <= start) return offset === start
    const length = partLength(part)
    if (offset < start + length)
      return part.kind === 'inline' && ((part.bytes[offset - start] ?? 0) & 0xc0) !== 0x80
    start += length
  }
  return true
}

/** Both lists as one. Empty parts are dropped, neighbouring inline parts are merged into a copy. */
const joined = (left: readonly RopePart[], right: readonly RopePart[]): readonly RopePart[] => {
  const parts: RopePart[] = []
  for (const part of [...left, ...right]) {
    if (partLength(part) === 0) continue
    const last = parts[parts.length - 1]
    if (last?.kind === 'inline' && part.kind === 'inline')
      parts[parts.length - 1] = { kind: 'inline', bytes: bothOf(last.bytes, part.bytes) }
    else parts.push(part)
  }
  return parts
}

const bothOf = (left: Uint8Array, right: Uint8Array): Uint8Array => {
  const bytes = new Uint8Array(left.length + right.length)
  bytes.set(left)
  bytes.set(right, left.length)
  return bytes
}

const bounded = (rope: Rope): Rope | undefined => {
  let inline = 0
  for (const part of rope.parts) if (part.kind === 'inline') inline += part.bytes.length
  const fits =
    rope.parts.length <= ropePartsMax &&
    inline <= inlineBytesMax &&
    ropeLength(rope) <= valueBytesMax
  return fits ? rope : undefined
}

/**
 * Encodes a rope into new memory. @throws KeelsonError `INVALID_ARGUMENT` when it breaks a rule of
 * the file header.
 */
export const encodeRope = (rope: Rope): Uint8Array => {
  const wrong = faultOf(rope)
  if (wrong) throw new KeelsonError('INVALID_ARGUMENT', `this is no rope: ${wrong}`)
  const sizes = rope.parts.map((part) =>
    part.kind === 'inline' ? 5 + part.bytes.length : blobPartBytes,
  )
  const bytes = new Uint8Array(sizes.reduce((sum, size) => sum + size, headBytes))
  const view = viewOf(bytes)
  bytes[0] = version
  bytes[1] = rope.content
  view.setUint16(2, rope.parts.length, true)
  let at = headBytes
  rope.parts.forEach((part, index) => {
    putPart(bytes, view, at, part)
    at += sizes[index] ?? 0
  })
  return bytes
}

const putPart = (bytes: Uint8Array, view: DataView, at: number, part: RopePart): void => {
  bytes[at] = kinds[part.kind]
  if (part.kind === 'inline') {
    view.setUint32(at + 1, part.bytes.length, true)
    bytes.set(part.bytes, at + 5)
    return
  }
  bytes.set(encodeBlobReference(part.ref), at + 1)
  writeU64(view, at + 1 + blobReferenceBytes, part.from)
  writeU64(view, at + 9 + blobReferenceBytes, part.to)
}

/** The rule that this rope breaks, or `undefined`. */
const faultOf = ({ content, parts }: Rope): string | undefined => {
  if (content > 2) return `the unknown content ${content}`
  if (parts.length > ropePartsMax) return `${parts.length} parts`
  if (!parts.some((part) => part.kind === 'blob')) return 'nothing in it lies in a blob'
  for (const [index, part] of parts.entries()) {
    if (part.kind === 'inline' && parts[index + 1]?.kind === 'inline')
      return 'two inline parts side by side'
    if (
      part.kind === 'blob' &&
      !(part.from >= 0 && part.from <= part.to && part.to <= part.ref.size)
    )
      return 'a slice beyond its blob'
    if (partLength(part) === 0 && parts.length > 1) return 'an empty part'
  }
  const [only] = parts
  const isWhole = only?.kind === 'blob' && only.from === 0 && only.to === only.ref.size
  return content === 0 && !(isWhole && parts.length === 1)
    ? 'structured content in parts'
    : undefined
}

/**
 * Decodes a rope. Its inline parts are views of `bytes`.
 * @throws KeelsonError `CORRUPT` for damaged bytes; `UNSUPPORTED_VERSION` for an unknown version or
 * kind of part.
 */
export const decodeRope = (bytes: Uint8Array): Rope => {
  if (bytes.length < headBytes) throw damaged('too short')
  if (bytes[0] !== version) throw unsupported('rope', bytes[0])
  const view = viewOf(bytes)
  const parts: RopePart[] = []
  let at = headBytes
  for (let count = view.getUint16(2, true); count > 0; count--) {
    const part = readPart(bytes, view, at)
    parts.push(part)
    at += part.kind === 'inline' ? 5 + part.bytes.length : blobPartBytes
  }
  if (at !== bytes.length) throw damaged('bytes behind its last part')
  const rope: Rope = { content: bytes[1] as Rope['content'], parts }
  const wrong = faultOf(rope)
  if (wrong) throw damaged(wrong)
  return rope
}

const readPart = (bytes: Uint8Array, view: DataView, at: number): RopePart => {
  const kind = bytes[at]
  if (kind !== undefined && kind > kinds.blob) throw unsupported('part of a rope', kind)
  const size = kind === kinds.blob ? blobPartBytes : 5
  if (at + size > bytes.length) throw damaged('it ends too early')
  if (kind === kinds.inline) {
    const end = at + 5 + view.getUint32(at + 1, true)
    if (end > bytes.length) throw damaged('it ends too early')
    return { kind: 'inline', bytes: bytes.subarray(at + 5, end) }
  }
  const refEnd = at + 1 + blobReferenceBytes
  const ref = decodeBlobReference(bytes.subarray(at + 1, refEnd))
  return { kind: 'blob', ref, from: readU64(view, refEnd), to: readU64(view, refEnd + 8) }
}

const damaged = (evidence: string): KeelsonError =>
  new KeelsonError('CORRUPT', `a rope is damaged: ${evidence}`, { details: { evidence } })

const unsupported = (what: string, code: number | undefined): KeelsonError =>
  new KeelsonError('UNSUPPORTED_VERSION', `a newer version wrote this ${what}`, {
    details: { what, code },
  })

/** Whether the value of a row is a user's value (not a compound's head or a lock). */
export const isStoredValue = (value: RowValue): value is StoredValue => value.tag < rowTags.compound

/** A stored value as a rope. @throws KeelsonError `CORRUPT` for a damaged rope. */
export const ropeOf = ({ tag, bytes }: StoredValue): Rope =>
  tag === valueTags.blob ? decodeRope(bytes) : inlineRope(tag, bytes)

/** A rope as a stored value; without blob parts it becomes an ordinary value. */
export const storedRope = (rope: Rope): StoredValue => {
  if (hasBlob(rope)) return { tag: valueTags.blob, bytes: encodeRope(rope) }
  const [only] = rope.parts
  return { tag: rope.content, bytes: only?.kind === 'inline' ? only.bytes : new Uint8Array(0) }
}

/**
 * The blobs that a value refers to. @throws KeelsonError `CORRUPT` or `UNSUPPORTED_VERSION` for an
 * unreadable rope
 */
export const refsOf = ({ tag, bytes }: { tag: number; bytes: Uint8Array }): BlobRef[] => {
  if (tag !== valueTags.blob) return []
  const refs: BlobRef[] = []
  for (const part of decodeRope(bytes).parts) if (part.kind === 'blob') refs.push(part.ref)
  return refs
}
