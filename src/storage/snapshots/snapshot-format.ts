/**
 * The bytes of a snapshot: a header, blocks of rows, an index of the blocks, a footer. Pure. The
 * same rows at the same position give the same bytes. Integers are little endian; FORMAT.md has the
 * tables. Every byte is under a checksum.
 */

import { crc32 } from '../../bytes/crc32.ts'
import { hex, layout, u32, u64 } from '../../bytes/layout.ts'
import { viewOf } from '../../bytes/u64.ts'
import { KeelsonError } from '../../errors.ts'
import type { FrameMark, ProjectedPosition } from '../ports/projection-store.ts'

/** The version that this code writes, and the newest that it reads. */
const snapshotVersion = 1

/** The version of the rows inside: those of `row-codec.ts`. */
const rowsVersion = 1

const magic = new TextEncoder().encode('KEELSNP\n')
const endMagic = new TextEncoder().encode('KEELSNE\n')
const frameFlag = 1

/** Bytes of the header. */
export const headerBytes = 64

/** Bytes of the footer: the last of the file. */
export const footerBytes = 64

/** Bytes before the rows of a block. */
export const blockHeadBytes = 12

/** Bytes before the key of a row. */
export const rowHeadBytes = 6

/** Bytes before the key of an entry of the index. */
export const indexHeadBytes = 10

/** A block ends before the row that would make it longer. A longer row has a separate block. */
export const blockBytesMax = 256 * 1024

/** Damage in a snapshot. `file` is its name; the evidence is one sentence. */
export const snapshotDamage = (file: string, offset: number, evidence: string): KeelsonError =>
  new KeelsonError('CORRUPT', `the snapshot ${file} is damaged at offset ${offset}: ${evidence}`, {
    details: { file, offset, evidence },
  })

const place = layout<Omit<ProjectedPosition, 'frame'>>({
  walId: hex(16, 16),
  epoch: u64(32),
  lsn: u64(40),
})

const mark = layout<FrameMark>({ time: u64(48), crc: u32(56) })

/** Encodes a header. */
export const encodeHeader = (position: ProjectedPosition): Uint8Array => {
  const { frame } = position
  const bytes = new Uint8Array(headerBytes)
  const view = viewOf(bytes)
  bytes.set(magic)
  view.setUint16(8, snapshotVersion, true)
  view.setUint16(10, rowsVersion, true)
  view.setUint16(12, frame ? frameFlag : 0, true)
  place.write(view, position)
  if (frame) mark.write(view, frame)
  view.setUint32(60, crc32(bytes.subarray(0, 60)), true)
  return bytes
}

/** The sum of a header: it seeds those of the blocks, so that none fits another snapshot. */
export const sumOfHeader = (header: Uint8Array): number => viewOf(header).getUint32(60, true)

/**
 * Decodes the header of `file`.
 * @throws KeelsonError `CORRUPT`; `UNSUPPORTED_VERSION` for a newer version of the file or its rows
 */
export const decodeHeader = (file: string, bytes: Uint8Array): ProjectedPosition => {
  const view = viewOf(bytes)
  if (bytes.length < headerBytes) throw snapshotDamage(file, 0, 'it ends within its header')
  if (!magic.every((byte, at) => bytes[at] === byte))
    throw snapshotDamage(file, 0, 'it does not begin as a snapshot does')
  if (crc32(bytes.subarray(0, 60)) !== view.getUint32(60, true))
    throw snapshotDamage(file, 0, 'the checksum of its header does not hold')
  const [version, rows] = [view.getUint16(8, true), view.getUint16(10, true)]
  if (version > snapshotVersion || rows > rowsVersion)
    throw new KeelsonError('UNSUPPORTED_VERSION', `${file} was written by a newer version`, {
      details: { file, version, rows },
    })
  const hasFrame = (view.getUint16(12, true) & frameFlag) !== 0
  return { ...place.read(view), ...(hasFrame && { frame: mark.read(view) }) }
}

/** The head of a block. */
export type BlockHead = { readonly length: number; readonly rows: number; readonly crc: number }

/** Writes the head of the block that fills the rest of `block`. `seed`: the sum of the header. */
export const sealBlock = (block: Uint8Array, rows: number, seed: number): void => {
  const view = viewOf(block)
  view.setUint32(4, block.length - blockHeadBytes, true)
  view.setUint32(8, rows, true)
  view.setUint32(0, crc32(block.subarray(4), seed), true)
}

/** Reads the head of a block. */
export const readBlockHead = (bytes: Uint8Array): BlockHead => {
  const view = viewOf(bytes)
  return {
    crc: view.getUint32(0, true),
    length: view.getUint32(4, true),
    rows: view.getUint32(8, true),
  }
}

/** The sum over all blocks, when another one with this head follows. */
export const sumWith = (sum: number, block: Uint8Array): number =>
  crc32(block.subarray(0, blockHeadBytes), sum)

/** The end of a file. */
export type Footer = {
  readonly rows: number
  /** Of the whole file. */
  readonly bytes: number
  readonly blocks: number
  readonly lsn: number
  /** Where the index begins. It ends at the footer. */
  readonly indexAt: number
  readonly indexCrc: number
  /** Over the heads of all blocks. */
  readonly sum: number
}

const end = layout<Footer>({
  rows: u64(8),
  bytes: u64(16),
  blocks: u64(24),
  lsn: u64(32),
  indexAt: u64(40),
  indexCrc: u32(48),
  sum: u32(52),
})

/** Encodes a footer. */
export const encodeFooter = (footer: Footer): Uint8Array => {
  const bytes = new Uint8Array(footerBytes)
  const view = viewOf(bytes)
  bytes.set(endMagic)
  end.write(view, footer)
  view.setUint32(60, crc32(bytes.subarray(0, 60)), true)
  return bytes
}

/** Decodes the footer at `offset` of `file`. @throws KeelsonError `CORRUPT` */
export const decodeFooter = (file: string, offset: number, bytes: Uint8Array): Footer => {
  const view = viewOf(bytes)
  if (!endMagic.every((byte, at) => bytes[at] === byte))
    throw snapshotDamage(file, offset, 'it does not end as a snapshot does')
  if (crc32(bytes.subarray(0, 60)) !== view.getUint32(60, true))
    throw snapshotDamage(file, offset, 'the checksum of its footer does not hold')
  return end.read(view)
}
