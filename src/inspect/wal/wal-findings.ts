/** The findings about all logs of a folder, and the exit status that follows. Pure. */
import { isKeelsonError, type KeelsonError } from '../../errors.ts'
import type {
  Damage,
  LogVerification,
  NamedSnapshot,
  Salvaged,
  UncopiedPlace,
} from '../../storage/index.ts'
import type { LogTarget, WalTarget } from './wal-target.ts'

/** Exit statuses of `keelson wal`, beside the usual ones. */
export const walStatuses = { clean: 0, torn: 3, corrupt: 4 } as const

/** The finding about one log: its verification, or why there is none. */
export type VerifiedLog = {
  readonly target: LogTarget
  readonly found?: LogVerification
  /** There is no log, or a newer version wrote it. */
  readonly refused?: KeelsonError
  readonly elapsedMs: number
}

/** The findings about a folder. */
export type VerifiedFolder = { readonly target: WalTarget; readonly logs: readonly VerifiedLog[] }

/**
 * One salvaged log. `found` is the finding about its source; absent when nothing was left of it.
 */
export type SalvagedLog = {
  readonly shard?: number
  readonly found?: LogVerification
  readonly salvaged: Salvaged
  /** The snapshots of the new log. */
  readonly snapshots: readonly NamedSnapshot[]
  /** The parts of its blobs and archive that could not be read. */
  readonly uncopied: readonly UncopiedPlace[]
}

/** A folder that was salvaged. */
export type SalvagedFolder = {
  readonly from: string
  readonly to: string
  readonly logs: readonly SalvagedLog[]
  readonly elapsedMs: number
}

/** The faults of the folder as a whole: its `keelson.json`, or a missing log. */
export const folderDamage = ({ target, logs }: VerifiedFolder): Damage[] => {
  const isUnmade = logs.every(({ found }) => !found || found.frames === 0)
  const gone = logs.filter(
    (log) => log.target.mustExist && isKeelsonError(log.refused, 'NO_SEGMENTS'),
  )
  return [
    ...(isUnmade && !target.facts && target.isDataFolder ? [] : target.damage),
    ...gone.map(({ target: { dir } }) => ({
      file: dir,
      offset: 0,
      lsn: 1,
      evidence: 'keelson.json says that this log was made, and there is none',
    })),
  ]
}

/** The exit status: that of the worst finding. */
export const statusOf = (folder: VerifiedFolder): number => {
  const { logs } = folder
  const verdicts = logs.map(({ found }) => found?.verdict)
  if (folderDamage(folder).length > 0 || verdicts.includes('corrupt')) return walStatuses.corrupt
  if (logs.some(({ refused }) => refused)) return 1
  return verdicts.includes('torn') ? walStatuses.torn : walStatuses.clean
}
