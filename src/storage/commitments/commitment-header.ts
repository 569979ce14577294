/**
 * The header of a group: the payload of a COMMITMENT frame. It commits to every record of the DATA
 * frames from `firstLsn` to `lastLsn`, and to the header before. Its hash covers everything but the
 * signature. Pure.
 */
import { isSignature, type Signer, signatureBytes } from '../../bytes/ed25519.ts'
import { readU64, viewOf, writeU64 } from '../../bytes/u64.ts'
import { type Digest, digestAt, digestBytes, noDigest, putDigest, tagged, tags } from './digests.ts'

/** The facts of a header. */
export type CommitmentHeader = {
  /** Counts all headers of the chain from 0 on. */
  readonly seq: number
  /** The hash of the header before; zeros in the first. */
  readonly prev: Digest
  /** The root of the records, and their number. */
  readonly records: Digest
  readonly count: number
  /** It covers every DATA frame of these LSNs. `lastLsn` is its own frame. */
  readonly firstLsn: number
  readonly lastLsn: number
  /** The time stamp of the group in ms since 1970. */
  readonly time: number
  /** The public key of its signature; zeros without one. */
  readonly signer: Digest
}

/** A header as read: its facts, its bytes without the signature, and its hash. */
export type ReadHeader = {
  readonly header: CommitmentHeader
  readonly hash: Digest
  /** The whole payload. */
  readonly bytes: Uint8Array
}

/** Bytes that the hash covers. */
export const headerBytes = 136

/** Bytes of a header with its signature. */
export const signedHeaderBytes = headerBytes + signatureBytes

const version = 1
const signedFlag = 1

/** The payload of a COMMITMENT frame, signed if there is a signer. */
export const encodeHeader = (
  header: Omit<CommitmentHeader, 'signer'>,
  signer?: Signer,
): Pick<ReadHeader, 'hash' | 'bytes'> => {
  const bytes = Buffer.alloc(signer ? signedHeaderBytes : headerBytes)
  const view = viewOf(bytes)
  view.setUint8(0, version)
  view.setUint8(1, signer ? signedFlag : 0)
  view.setUint32(4, header.count, true)
  writeU64(view, 8, header.seq)
  putDigest(bytes, 16, header.prev)
  putDigest(bytes, 48, header.records)
  writeU64(view, 80, header.firstLsn)
  writeU64(view, 88, header.lastLsn)
  writeU64(view, 96, header.time)
  if (signer) putDigest(bytes, 104, signer.publicKey)
  const hash = tagged(tags.header, bytes.subarray(0, headerBytes))
  if (signer) bytes.set(signer.sign(signedContent(hash)), headerBytes)
  return { hash, bytes }
}

/** A header from the payload of a COMMITMENT frame; `undefined` when it is none. */
export const decodeHeader = (bytes: Uint8Array): ReadHeader | undefined => {
  if (bytes.length !== headerBytes && bytes.length !== signedHeaderBytes) return undefined
  const view = viewOf(bytes)
  const isSigned = bytes.length === signedHeaderBytes
  if (view.getUint8(0) !== version || view.getUint8(1) !== (isSigned ? signedFlag : 0))
    return undefined
  const header = {
    seq: readU64(view, 8),
    prev: digestAt(bytes, 16),
    records: digestAt(bytes, 48),
    count: view.getUint32(4, true),
    firstLsn: readU64(view, 80),
    lastLsn: readU64(view, 88),
    time: readU64(view, 96),
    signer: digestAt(bytes, 104),
  }
  const { seq, count, firstLsn, lastLsn, time, signer } = header
  const isSensible =
    [seq, firstLsn, lastLsn, time].every(Number.isSafeInteger) &&
    view.getUint16(2, true) === 0 &&
    count > 0 &&
    firstLsn <= lastLsn &&
    (signer !== noDigest) === isSigned
  if (!isSensible) return undefined
  return { header, hash: tagged(tags.header, bytes.subarray(0, headerBytes)), bytes }
}

/** Whether the signature of a signed header is right. */
export const hasItsSignature = ({ header, hash, bytes }: ReadHeader): boolean =>
  bytes.length === signedHeaderBytes &&
  isSignature(header.signer, signedContent(hash), bytes.subarray(headerBytes))

const purpose = new TextEncoder().encode('keelson commitment 1\n')

/** The signed bytes: the purpose, so that the signature means nothing elsewhere, and the hash. */
const signedContent = (hash: Digest): Uint8Array => {
  const bytes = Buffer.alloc(purpose.length + digestBytes)
  bytes.set(purpose)
  putDigest(bytes, purpose.length, hash)
  return bytes
}
