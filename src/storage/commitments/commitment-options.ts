/** The check of the option `commitments` of a log. Pure. */

import { privateKeyOf } from '../../bytes/ed25519.ts'
import { below, type Check, refusal, secret } from '../../check.ts'
import type { CommitmentOptions } from '../ports/log-host.ts'

/** `undefined` for none. */
export const commitments: Check<CommitmentOptions | undefined, boolean | { readonly key: string }> =
  secret((found, at) => {
    if (typeof found === 'boolean') return found ? {} : undefined
    const { key, ...others } = (found ?? {}) as { key?: unknown }
    if (typeof key !== 'string' || Object.keys(others).length > 0)
      throw refusal(at, 'true, false or { key }', found)
    try {
      return { key: privateKeyOf(key) }
    } catch {
      throw refusal(below(at, 'key'), 'an Ed25519 private key in PEM', key)
    }
  })
