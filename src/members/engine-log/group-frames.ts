/**
 * The bytes of a group in a shared log, as FORMAT.md describes them: a header, the length of each frame,
 * the payloads of its DATA frames. They verify only in the place of that group.
 */

import { crc32 } from '../../bytes/crc32.ts'
import { readU64, viewOf, writeU64 } from '../../bytes/u64.ts'
import { KeelsonError } from '../../errors.ts'
import { type EngineGroup, type EnginePosition, stampBytes } from '../../storage/index.ts'

/** The place of a group in its log. Its bytes verify only there. */
export type GroupPlace = Omit<EngineGroup, 'bytes'>

/** The input of a group's bytes: payloads one after another, each with room for its stamp. */
export type GroupContent = {
  readonly time: number
  readonly bytesBefore: number
  readonly payloads: Uint8Array
  readonly lengths: ArrayLike<number>
}

/** A DATA frame of a group: its payload is `bytes.subarray(at, at + length)` of the group. */
export type GroupFrame = { readonly lsn: number; readonly at: number; readonly length: number }

/** A verified group. */
export type GroupFrames = {
  readonly time: number
  readonly bytesBefore: number
  readonly frames: readonly GroupFrame[]
}

const version = 1
const headerBytes = 32
const summedFrom = 8

/** The bytes of the group at `place` of the log `logId`. Stamps the payloads. */
export const encodeGroup = (
  logId: string,
  place: GroupPlace,
  { time, bytesBefore, payloads, lengths }: GroupContent,
): Uint8Array => {
  const payloadsAt = headerBytes + 4 * lengths.length
  const bytes = new Uint8Array(payloadsAt + payloads.length)
  const view = viewOf(bytes)
  bytes[0] = version
  writeU64(view, 8, time)
  writeU64(view, 16, bytesBefore)
  view.setUint32(24, lengths.length, true)
  bytes.set(payloads, payloadsAt)
  let at = payloadsAt
  for (let index = 0; index < lengths.length; index++) {
    const length = lengths[index] ?? 0
    view.setUint32(headerBytes + 4 * index, length, true)
    writeU64(view, at, time)
    at += length
  }
  view.setUint32(4, sumOf(logId, place, bytes), true)
  return bytes
}

/**
 * The frames of a group of the log `logId`.
 * @throws KeelsonError `CORRUPT` if the bytes are damaged, or are those of another group;
 * `UNSUPPORTED_VERSION`
 */
export const decodeGroup = (logId: string, group: EngineGroup): GroupFrames => {
  const { end, bytes } = group
  const view = viewOf(bytes)
  const isWhole =
    bytes.length >= headerBytes && view.getUint32(4, true) === sumOf(logId, group, bytes)
  if (!isWhole) throw damagedGroup(end, 'its checksum is wrong')
  if (bytes[0] !== version)
    throw new KeelsonError('UNSUPPORTED_VERSION', 'a newer version wrote the log', {
      details: { lsn: end.lsn, version: bytes[0] },
    })
  const count = view.getUint32(24, true)
  const frames: GroupFrame[] = []
  let at = headerBytes + 4 * count
  for (let index = 0; index < count; index++) {
    const length = view.getUint32(headerBytes + 4 * index, true)
    frames.push({ lsn: end.lsn - count + 1 + index, at, length })
    at += length
    if (length < stampBytes || at > bytes.length) throw damagedGroup(end, 'its lengths are wrong')
  }
  return { time: readU64(view, 8), bytesBefore: readU64(view, 16), frames }
}

/** `CORRUPT` for the group that ends at a position. */
export const damagedGroup = ({ lsn, id }: EnginePosition, evidence: string): KeelsonError =>
  new KeelsonError(
    'CORRUPT',
    `the group ${id} of the log, up to lsn ${lsn}, is damaged: ${evidence}`,
    {
      details: { lsn, evidence },
    },
  )

/** Bytes in the place of another group, or of another log, do not verify. */
const sumOf = (logId: string, { after, end, provenLsn }: GroupPlace, bytes: Uint8Array): number => {
  const text = `${logId} ${positionText(after)} ${positionText(end)} ${provenLsn}`
  const seed = crc32(Buffer.from(text))
  return crc32(bytes.subarray(summedFrom), crc32(bytes.subarray(0, 4), seed))
}

const positionText = ({ epoch, lsn, id }: EnginePosition): string => `${epoch} ${lsn} ${id}`
