/**
 * The first 4 KiB of a segment: its log, its first LSN, and the end of the segment before it. The
 * facts are stored twice, half a block apart, each copy with its own CRC. One valid copy is enough.
 * Pure.
 */
import { crc32 } from '../../bytes/crc32.ts'
import { flag, hex, layout, u16, u32, u64 } from '../../bytes/layout.ts'
import { viewOf } from '../../bytes/u64.ts'
import { knownFeatures } from '../ports/log-host.ts'
import type { Salt } from './frame.ts'

/** Bytes before the first frame. */
export const segmentHeaderBytes = 4096

/** The version of the format that this code writes, and the newest that it reads. */
export const formatVersion = 1

/**
 * The end of the previous segment, stored in its successor. It detects a missing, shortened or
 * swapped earlier segment. All zero in the first segment of a log.
 */
export type Predecessor = {
  readonly seq: number
  readonly lastLsn: number
  readonly endOffset: number
  readonly lastCrc: number
}

/** The predecessor of a log's first segment. */
export const noPredecessor: Predecessor = { seq: 0, lastLsn: 0, endOffset: 0, lastCrc: 0 }

/** The facts of a segment. Sizes in bytes. */
export type SegmentHeader = {
  /** 16 bytes in hex. */
  readonly walId: string
  readonly seq: number
  readonly baseLsn: number
  readonly epoch: number
  readonly salt: Salt
  readonly prev: Predecessor
  /** The longest payload of a frame in this segment. */
  readonly payloadMax: number
  readonly createdMs: number
  readonly allocatedBytes: number
  readonly sectorBytes: number
  /** Bits that its readers must know. A segment has those of the one before. */
  readonly features: number
  /** Present from the first commitment on. */
  readonly chain?: ChainAnchor | undefined
}

/**
 * The chain of commitments before a segment's first frame: the number of its headers, and the root
 * over them in hex. It says which part of the files of the chain belongs to the segments before.
 */
export type ChainAnchor = {
  readonly count: number
  readonly root: string
  /** Whether the groups of this segment are committed to. */
  readonly commits: boolean
}

/**
 * The result of reading a header block. `damagedCopies` is 1 when one of the two copies was
 * damaged.
 */
export type HeaderReading =
  | { readonly kind: 'good'; readonly header: SegmentHeader; readonly damagedCopies: 0 | 1 }
  | { readonly kind: 'damaged' }
  | { readonly kind: 'unsupported'; readonly minReaderVersion: number; readonly flags: number }

const magic = new TextEncoder().encode('KEELWAL\n')
const copyOffsets = [0, 2048] as const
const copyBytes = 512
const checksumAlgorithm = 1

/** The compatible feature: the header has a chain anchor. */
const chainFeature = 1

const facts = layout<Omit<SegmentHeader, 'chain'>>({
  walId: hex(16, 16),
  seq: u64(32),
  baseLsn: u64(40),
  epoch: u64(48),
  salt: layout<Salt>({ low: u32(56), high: u32(60) }),
  prev: layout<Predecessor>({
    seq: u64(64),
    lastLsn: u64(72),
    endOffset: u64(80),
    lastCrc: u32(88),
  }),
  features: u32(92),
  payloadMax: u32(100),
  createdMs: u64(104),
  allocatedBytes: u64(112),
  sectorBytes: u16(120),
})

const anchor = layout<ChainAnchor>({ count: u64(128), root: hex(136, 32), commits: flag(168) })

/** Encodes the header block of a segment. */
export const encodeSegmentHeader = (header: SegmentHeader): Uint8Array => {
  const block = new Uint8Array(segmentHeaderBytes)
  const copy = encodeCopy(header)
  for (const offset of copyOffsets) block.set(copy, offset)
  return block
}

const encodeCopy = (header: SegmentHeader): Uint8Array => {
  const copy = new Uint8Array(copyBytes)
  const view = viewOf(copy)
  copy.set(magic)
  view.setUint16(8, formatVersion, true)
  view.setUint16(10, formatVersion, true)
  view.setUint16(12, segmentHeaderBytes, true)
  view.setUint8(14, checksumAlgorithm)
  facts.write(view, header)
  if (header.chain) {
    view.setUint32(96, chainFeature, true)
    anchor.write(view, header.chain)
  }
  view.setUint32(508, crc32(copy.subarray(0, 508)), true)
  return copy
}

/** Decodes the header block of a segment. `block` may be shorter if the file is. */
export const decodeSegmentHeader = (block: Uint8Array): HeaderReading => {
  const copies = copyOffsets
    .map((offset) => block.subarray(offset, offset + copyBytes))
    .filter(copyIsWhole)
  const [copy] = copies
  if (!copy) return { kind: 'damaged' }
  const view = viewOf(copy)
  const minReaderVersion = view.getUint16(10, true)
  const flags = view.getUint32(92, true)
  if (
    minReaderVersion > formatVersion ||
    (flags & ~knownFeatures) !== 0 ||
    view.getUint8(14) !== checksumAlgorithm ||
    view.getUint16(12, true) !== segmentHeaderBytes
  )
    return { kind: 'unsupported', minReaderVersion, flags }
  const hasChain = (view.getUint32(96, true) & chainFeature) !== 0
  const header = { ...facts.read(view), chain: hasChain ? anchor.read(view) : undefined }
  if (!isSensible(header)) return { kind: 'damaged' }
  return { kind: 'good', header, damagedCopies: copies.length === 2 ? 0 : 1 }
}

const copyIsWhole = (copy: Uint8Array): boolean =>
  copy.length === copyBytes &&
  magic.every((byte, at) => copy[at] === byte) &&
  crc32(copy.subarray(0, 508)) === viewOf(copy).getUint32(508, true)

/** Checks the ranges of a copy with a valid CRC, so that later code can rely on its numbers. */
const isSensible = (header: SegmentHeader): boolean =>
  [header.seq, header.baseLsn, header.epoch, header.prev.seq, header.prev.lastLsn].every((value) =>
    Number.isSafeInteger(value),
  ) &&
  header.seq >= 1 &&
  header.baseLsn >= 1 &&
  Number.isSafeInteger(header.prev.endOffset) &&
  Number.isSafeInteger(header.allocatedBytes) &&
  Number.isSafeInteger(header.chain?.count ?? 0) &&
  isSectorSize(header.sectorBytes)

/**
 * Whether this is a valid sector size: a power of two from 64 bytes to the size of the header
 * block.
 */
export const isSectorSize = (bytes: number): boolean =>
  Number.isInteger(Math.log2(bytes)) && bytes >= 64 && bytes <= segmentHeaderBytes
