/**
 * SHA-256, which identifies the content of a blob. The one file of storage that imports
 * `node:crypto`.
 */
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
