/**
 * What can be done with a log that nobody has open: cut its torn tail, as opening would. Damage that is not a torn tail is
 * told and left alone.
 */

import { KeelsonError } from '../../errors.ts'
import { refusing } from '../disk/disk-failure.ts'
import type { Inspection } from '../ports/log-host.ts'
import type { LogPlan } from '../recovery/log-plan.ts'
import { claimWalFolderAsItIs, logOptionsOf, type WalPorts } from './wal-opening.ts'
import { checkWalOptions } from './wal-options.ts'

/** What a repair found and did. */
export type WalRepair = {
  /** Frames of the log that are whole, the log's own among them: all up to the cut, or to the end. */
  readonly kept: number
  /** Bytes that were cut; they are in quarantine. */
  readonly cutBytes: number
  /** Where the torn tail began, and the first LSN that is not there; `null` when nothing was cut. */
  readonly cut: { readonly segment: string; readonly offset: number; readonly lsn: number } | null
}

/**
 * Reads the whole log in `folder` and cuts a torn tail. A whole log, closed in order or not, is left as it is.
 * @throws KeelsonError `NO_SEGMENTS` when there is no log, `CORRUPT` with nothing changed, `LOCKED_DIR`, `CONFLICT` for the
 * log of a store, `UNSUPPORTED_VERSION`, `READ_ONLY`, `NO_SPACE`, `CONFIG`.
 */
export const repairWal = async (folder: string, ports: WalPorts): Promise<WalRepair> => {
  const settings = checkWalOptions({ dir: folder })
  const { dir } = settings
  const options = logOptionsOf(settings)
  const claim = claimWalFolderAsItIs({ ...ports, dir })
  const host = ports.makeHost()
  try {
    const inspection = await host.run('inspect', {
      dir,
      options,
      evidence: [],
      needs: { readFrom: 1 },
      ...(claim.lock === undefined ? {} : { lock: claim.lock }),
    })
    const plan = planIn(inspection, dir)
    if (inspection.tail === 'torn') {
      // Opening cuts; closing in order leaves a log of whose end nobody has a doubt.
      await host.run('open', { dir, options, inspection })
      await host.run('close', { projectedLsn: 0 })
    }
    return outcomeOf(plan)
  } finally {
    await host.end()
    refusing(() => claim.undo())
  }
}

const planIn = ({ plan }: Inspection, dir: string): LogPlan => {
  if (plan) return plan as LogPlan
  throw new KeelsonError('NO_SEGMENTS', `there is no log in ${dir}`, { details: { dir } })
}

const outcomeOf = ({ chain, fresh, lastLsn, tail, cutBytes, trims }: LogPlan): WalRepair => {
  const firstLsn = chain[0]?.header.baseLsn ?? fresh.baseLsn
  const kept = lastLsn - firstLsn + 1
  const torn = tail === 'torn' ? trims.at(-1) : undefined
  if (!torn) return { kept, cutBytes: 0, cut: null }
  return {
    kept,
    cutBytes,
    cut: { segment: torn.name, offset: torn.keepFrom, lsn: lastLsn + 1 },
  }
}
