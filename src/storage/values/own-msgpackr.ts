/**
 * A msgpackr that no other code has. `addExtension` of msgpackr changes a table of its module, and
 * an application may have the same package: an extension for `Uint8Array` would change what is
 * stored. Node keeps one module for each file, so this file takes that module out of the cache,
 * loads it anew, and puts it back. It is apart from `value.ts` because no value is seen here.
 */
import { createRequire } from 'node:module'
import type { Packr as SharedPackr } from 'msgpackr'
import { KeelsonError, reasonText } from '../../errors.ts'

/** What is used of msgpackr. */
export type Msgpackr = {
  readonly Packr: typeof SharedPackr
  readonly REUSE_BUFFER_MODE: number
  readonly RESET_BUFFER_MODE: number
}

/**
 * Loads it. Each call loads another one. `place`: the address of this file.
 * @throws KeelsonError `CONFIG` if it is not installed beside Keelson, or Keelson is in a bundle
 */
export const loadOwnMsgpackr = (place: string | undefined = import.meta.url): Msgpackr => {
  try {
    // In CommonJS a bundle has no address. Node refuses the empty one.
    const require = createRequire(place ?? '')
    const file = require.resolve('msgpackr')
    const shared = require.cache[file]
    delete require.cache[file]
    try {
      return require(file) as Msgpackr
    } finally {
      if (shared) require.cache[file] = shared
      else delete require.cache[file]
    }
  } catch (cause) {
    const found = reasonText(cause)
    const message = `msgpackr cannot be loaded: install it beside keelson, and leave packages out of a bundle (${found})`
    throw new KeelsonError('CONFIG', message, {
      details: { path: 'package', expected: 'msgpackr beside keelson', found },
      cause,
    })
  }
}
