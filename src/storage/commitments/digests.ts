/**
 * The hashes of commitments. Each kind of content has its own tag before it. So no record can be
 * taken for a node, and no node for a header. FORMAT.md lists what is hashed.
 */
import { sha256Hex, shaBytes } from '../../bytes/sha256.ts'
import { viewOf, writeU64 } from '../../bytes/u64.ts'

/** A SHA-256 sum as 64 hex digits in lower case. */
export type Digest = string

/** The first byte of what is hashed. */
export const tags = {
  record: 0x00,
  row: 0x01,
  header: 0x02,
  recordsNode: 0x03,
  recordsRoot: 0x04,
  historyNode: 0x05,
  historyRoot: 0x06,
} as const

/** Length of a digest in bytes. */
export const digestBytes = shaBytes

/** The digest of no content: before the first header, and of an absent key. */
export const noDigest: Digest = '0'.repeat(2 * digestBytes)

/** Whether `value` is written as a digest is. */
export const isDigest = (value: unknown): value is Digest =>
  typeof value === 'string' && /^[0-9a-f]{64}$/.test(value)

/** The 32 bytes at `at` as a digest. */
export const digestAt = (bytes: Uint8Array, at: number): Digest =>
  Buffer.from(bytes.buffer, bytes.byteOffset + at, digestBytes).toString('hex')

/** Writes a digest at `at`. */
export const putDigest = (into: Buffer, at: number, digest: Digest): void =>
  void into.write(digest, at, 'hex')

const pair = Buffer.allocUnsafeSlow(1 + 2 * digestBytes)

/** The node above two nodes. */
export const nodeAbove = (tag: number, left: Digest, right: Digest): Digest => {
  pair[0] = tag
  putDigest(pair, 1, left)
  putDigest(pair, 1 + digestBytes, right)
  return sha256Hex(pair)
}

/** The root of a range with `size` members, from its peaks. */
export const rootAbove = (tag: number, size: number, peaks: readonly Digest[]): Digest => {
  const bytes = Buffer.allocUnsafe(9 + digestBytes * peaks.length)
  bytes[0] = tag
  writeU64(viewOf(bytes), 1, size)
  for (const [index, peak] of peaks.entries()) putDigest(bytes, 9 + digestBytes * index, peak)
  return sha256Hex(bytes)
}

/** The digest of `tag` and `bytes`. */
export const tagged = (tag: number, bytes: Uint8Array): Digest => {
  const whole = Buffer.allocUnsafe(1 + bytes.length)
  whole[0] = tag
  whole.set(bytes, 1)
  return sha256Hex(whole)
}
