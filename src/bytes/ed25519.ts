/**
 * Ed25519 signatures. Keys come as PEM text; a public key is its 32 bytes in hex. A private key is
 * kept as an object of Node, never as text: crash reports and logs print the objects that they find.
 */
import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto'
import { configError } from '../errors.ts'

/** Length of a signature in bytes. */
export const signatureBytes = 64

/** A private key. Nothing that prints it shows it, and threads can send it to each other. */
export type PrivateKey = KeyObject

/** A signer with a private key. */
export type Signer = {
  /** The public key of that one. */
  readonly publicKey: string
  /** The signature of `bytes`. */
  readonly sign: (bytes: Uint8Array) => Uint8Array
}

/**
 * The private key in `pem`.
 * @throws KeelsonError `CONFIG` unless it is an unencrypted Ed25519 private key; the error never
 * has the key
 */
export const privateKeyOf = (pem: string): PrivateKey =>
  ed25519('private key', () => createPrivateKey(pem))

/** A signer with `key`. */
export const signerOf = (key: PrivateKey): Signer => ({
  publicKey: rawKey(createPublicKey(key)),
  sign: (bytes) => new Uint8Array(sign(null, bytes, key)),
})

/**
 * The public key in `pem`, or that of the private key there.
 * @throws KeelsonError `CONFIG` unless it is an Ed25519 key
 */
export const publicKeyOf = (pem: string): string =>
  rawKey(ed25519('key', () => createPublicKey(pem)))

/** Whether `signature` is that of `publicKey` over `bytes`. */
export const isSignature = (
  publicKey: string,
  bytes: Uint8Array,
  signature: Uint8Array,
): boolean => {
  const x = Buffer.from(publicKey, 'hex').toString('base64url')
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' })
  return verify(null, bytes, key, signature)
}

const rawKey = (key: KeyObject): string =>
  Buffer.from(key.export({ format: 'jwk' }).x ?? '', 'base64url').toString('hex')

const ed25519 = (what: string, read: () => KeyObject): KeyObject => {
  const expected = `an Ed25519 ${what} in PEM`
  try {
    const key = read()
    if (key.asymmetricKeyType === 'ed25519') return key
  } catch {
    // The cause may quote the text, which is a secret.
  }
  throw configError('key', expected, 'another text')
}
