/** SHA-256, the sum that names the content of a blob. The one file of storage that reaches for it. */
import { createHash } from 'node:crypto'

/** Bytes of a sum. */
export const shaBytes = 32

/** A sum that grows with what it is given. */
export type Sha256 = {
  readonly add: (bytes: Uint8Array) => void
  /** The 32 bytes of the sum; nothing can be added after it. */
  readonly end: () => Uint8Array
}

/** A sum over nothing yet. */
export const startSha256 = (): Sha256 => {
  const hash = createHash('sha256')
  return {
    add: (bytes) => void hash.update(bytes),
    end: () => new Uint8Array(hash.digest()),
  }
}

/** The sum of `bytes`: 32 bytes. */
export const sha256 = (bytes: Uint8Array): Uint8Array => {
  const sum = startSha256()
  sum.add(bytes)
  return sum.end()
}
