/** The check of the option `commitments` of a log. Pure. */
import { configError } from '../../errors.ts'
import { privateKeyOf } from '../bytes/ed25519.ts'
import type { CommitmentOptions } from '../ports/log-host.ts'

/**
 * The option at `path`: `undefined` for none.
 * @throws KeelsonError `CONFIG`, which never has the key
 */
export const checkCommitments = (
  path: string,
  commitments: unknown = false,
): CommitmentOptions | undefined => {
  if (typeof commitments === 'boolean') return commitments ? {} : undefined
  const { key, ...others } = (commitments ?? {}) as { key?: unknown }
  if (typeof key !== 'string' || Object.keys(others).length > 0)
    throw configError(path, 'true, false or { key }', typeof commitments)
  try {
    return { key: privateKeyOf(key) }
  } catch {
    throw configError(`${path}.key`, 'an Ed25519 private key in PEM', 'another text')
  }
}
