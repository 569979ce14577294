/**
 * Repairs a log that no process has open: it cuts a torn tail, as an opening would. Other damage is
 * reported and left unchanged.
 */

import { KeelsonError } from '../../errors.ts'
import { refusing } from '../disk/disk-failure.ts'
import type { Inspection } from '../ports/log-host.ts'
import type { LogPlan } from '../recovery/log-plan.ts'
import { claimWalFolderAsItIs, logOptionsOf, type WalPorts } from './wal-opening.ts'
import { checkWalOptions } from './wal-options.ts'

/** The report of a repair. */
export type WalRepair = {
  /** The number of valid frames, control frames included, up to the cut or the end. */
  readonly kept: number
  /** The number of cut bytes. They are in quarantine. */
  readonly cutBytes: number
  /** The start of the torn tail and the first missing LSN; `null` if nothing was cut. */
  readonly cut: { readonly segment: string; readonly offset: number; readonly lsn: number } | null
}

/**
 * Reads the whole log in `folder` and cuts a torn tail. A valid log is left unchanged, closed
 * cleanly or not.
 * @throws KeelsonError `NO_SEGMENTS` if there is no log, `CORRUPT` with nothing changed,
 * `LOCKED_DIR`, `CONFLICT` for the log of a store, `UNSUPPORTED_VERSION`, `READ_ONLY`, `NO_SPACE`,
 * `CONFIG`
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
      // The opening cuts. The clean close leaves an end that needs no examination.
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
