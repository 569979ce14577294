/** SHA-256, which identifies the content of a blob and commits to the content of a log. */
import { createHash, hash } from 'node:crypto'

/** Length of a sum in bytes. */
export const shaBytes = 32

/** A sum over bytes that come in pieces. */
export type Sha256 = {
  readonly add: (bytes: Uint8Array) => void
  /** The 32 bytes of the sum. Nothing can be added afterwards. */
  readonly end: () => Uint8Array
}

/** Starts a sum. */
export const startSha256 = (): Sha256 => {
  const hash = createHash('sha256')
  return {
    add: (bytes) => void hash.update(bytes),
    end: () => new Uint8Array(hash.digest()),
  }
}

/** The sum of `bytes`: 32 bytes. */
export const sha256 = (bytes: Uint8Array): Uint8Array => hash('sha256', bytes, 'buffer')

/** The sum of `bytes` as 64 hex digits. For short bytes it costs a fifth of `sha256`. */
export const sha256Hex = (bytes: Uint8Array): string => hash('sha256', bytes, 'hex')

/** The sum of `bytes` as 32 characters of Latin-1, one a byte: half the cost of `sha256Hex`. */
export const sha256Latin1 = (bytes: Uint8Array): string => hash('sha256', bytes, 'binary')
