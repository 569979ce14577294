/** The options of a log as a library. */
import { resolve } from 'node:path'
import { config, folder, type Given, object, optional, wholeFrom } from '../../check.ts'
import { type LogSettings, logSettings } from '../segments/log-settings.ts'

export { type WalLevel, walLevelOf } from '../segments/log-settings.ts'

const walOptions = {
  /** Refuses to open a log that ends before this LSN. */
  minDurable: optional(wholeFrom(0)),
}

/** The options of `Wal.open`. Only `dir` is required. Times are in ms, sizes in bytes. */
export type WalOptions = Given<LogSettings> &
  Given<typeof walOptions> & {
    /** The folder of the log. It is created if it is missing. */
    readonly dir: string
  }

const check = object({ dir: folder, ...logSettings, ...walOptions })

/** The options with all defaults filled in. */
export type WalSettings = ReturnType<typeof check>

/**
 * Checks options and fills in defaults. @throws KeelsonError `CONFIG` with `details.path`,
 * `expected` and `found`
 */
export const checkWalOptions = (options: WalOptions): WalSettings => {
  const checked = check(options, config())
  // An absolute path: the process may change its working directory.
  return { ...checked, dir: resolve(checked.dir) }
}
