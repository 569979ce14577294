/**
 * Reads a segment whose header is gone. What its frames cannot be read without is the salt that seeds their sums. MANIFEST has
 * that of the newest segment; of any other it follows from the frames: a CRC can be run backwards, so one frame gives the
 * seeds that its two sums began with, and the frame behind it, whose sums must hold with the same seeds, proves them.
 */
import { crc32Seed } from '../bytes/crc32.ts'
import { readU64, viewOf } from '../bytes/u64.ts'
import { frameHeaderBytes, groupFlag, type Salt } from '../frames/frame.ts'
import { FrameCursor } from '../frames/frame-cursor.ts'
import { noPredecessor, type SegmentHeader, segmentHeaderBytes } from '../frames/segment-header.ts'
import type { DiskFile } from '../ports/disk.ts'
import type { Manifest } from '../segments/manifest.ts'

/** How much of a file is looked through for a first frame. */
const searchBytes = 1024 * 1024

/** Assumed when no neighbour says it: what a log has by default. */
const usualSectorBytes = 512

/**
 * The header that the segment must have had, as far as reading its frames goes, or `undefined` when nothing readable
 * stands in it. Its predecessor is not known but for the last LSN and the CRC that its first frame names.
 */
export const rescueHeader = (
  file: DiskFile,
  named: { readonly seq: number; readonly baseLsn: number },
  manifest: Manifest | undefined,
  neighbour: SegmentHeader | undefined,
): SegmentHeader | undefined => {
  const bytes = new Uint8Array(Math.min(searchBytes, Math.max(0, file.size() - segmentHeaderBytes)))
  const read = bytes.subarray(0, file.read(bytes, segmentHeaderBytes))
  const sectorBytes = neighbour?.sectorBytes ?? usualSectorBytes
  const guess = (salt: Salt, lastCrc: number): SegmentHeader => ({
    walId: manifest?.walId ?? neighbour?.walId ?? '',
    seq: named.seq,
    baseLsn: named.baseLsn,
    epoch: Math.max(manifest?.newest.seq === named.seq ? manifest.epoch : 0, neighbour?.epoch ?? 0),
    salt,
    prev: { ...noPredecessor, seq: named.seq - 1, lastLsn: named.baseLsn - 1, lastCrc },
    payloadMax: Math.max(neighbour?.payloadMax ?? 0, file.size()),
    createdMs: 0,
    allocatedBytes: file.size(),
    sectorBytes,
  })
  const firstCrc = read.length < frameHeaderBytes ? 0 : viewOf(read).getUint32(20, true)
  if (manifest?.newest.seq === named.seq) return guess(manifest.newest.salt, firstCrc)
  for (let at = 0; at + frameHeaderBytes <= read.length; at += sectorBytes) {
    const salt = saltOf(read.subarray(at), named.baseLsn, at)
    if (salt && holds(file, guess(salt, firstCrc), read.subarray(at), at))
      return guess(salt, firstCrc)
  }
  return undefined
}

/** The seeds with which the frame at the head of `bytes` would be whole; `undefined` for what cannot be a group's first. */
const saltOf = (bytes: Uint8Array, baseLsn: number, at: number): Salt | undefined => {
  const view = viewOf(bytes)
  const payloadBytes = view.getUint32(4, true)
  const lsn = readU64(view, 8)
  const isPossible =
    bytes[16] !== 0 &&
    bytes[17] === groupFlag &&
    lsn >= baseLsn &&
    lsn <= baseLsn + at / frameHeaderBytes &&
    payloadBytes <= bytes.length - frameHeaderBytes
  if (!isPossible) return undefined
  const payload = bytes.subarray(frameHeaderBytes, frameHeaderBytes + payloadBytes)
  return {
    low: crc32Seed(bytes.subarray(4, frameHeaderBytes), view.getUint32(0, true)),
    high: crc32Seed(payload, view.getUint32(28, true)),
  }
}

/** Whether a second frame agrees. The first one fits its own salt by its making, and proves nothing. */
const holds = (file: DiskFile, header: SegmentHeader, bytes: Uint8Array, at: number): boolean => {
  const view = viewOf(bytes)
  const from = {
    offset: segmentHeaderBytes + at,
    lsn: readU64(view, 8) - 1,
    crc: view.getUint32(20, true),
  }
  const cursor = new FrameCursor(file, header, from, file.size())
  return cursor.next() !== undefined && cursor.next() !== undefined
}
