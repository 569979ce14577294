/**
 * A log that is not open here: it is verified, or repaired, which cuts a torn tail as an opening
 * would. Other damage is reported and left unchanged. So it is apart from `wal.ts`, which is an
 * open log.
 */

import { join } from 'node:path'
import { config, listener, object, optional, wholeFrom } from '../../check.ts'
import { isKeelsonError, KeelsonError } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import { describeHolder } from '../disk/lock-holder.ts'
import type { LogVerdict, LogVerification } from '../examination/log-judgement.ts'
import { verifying } from '../examination/log-verification.ts'
import type { LogPlan } from '../log/log-plan.ts'
import { DiskError, type DiskLock } from '../ports/disk.ts'
import { refusing } from '../ports/disk-failure.ts'
import { lockFileName } from '../ports/folder-layout.ts'
import type { Inspection } from '../ports/log-host.ts'
import type { Progress } from '../ports/progress.ts'
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
      lock: claim.lock,
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

/**
 * The verdict on a log: valid, torn at its end, or damaged, with the places and the proven losses.
 */
export type WalVerification = LogVerdict

const verifyOptions = object({
  minDurable: optional(wholeFrom(0)),
  onProgress: listener<Progress>(),
})

/** The options of a verification. */
export type VerifyOptions = {
  /** The log was once durable up to this LSN. */
  readonly minDurable?: number
  /** `what` is the file that is read. It may throw: that changes nothing. */
  readonly onProgress?: (progress: Progress) => void
}

/**
 * Verifies the whole log in a folder in pieces, also after damage, and while another process writes
 * it. It changes only LOCK, which it holds if no other process does, so that the log cannot change
 * during the check. Damage is a result here and not an error.
 * @throws KeelsonError `NO_SEGMENTS` if there is no log, `UNSUPPORTED_VERSION`, `CONFIG`;
 * `READ_ONLY` or `SHARD_DOWN` if it cannot be read
 */
export const verifyWal = async (
  folder: string,
  ports: WalPorts,
  options: VerifyOptions = noOptions,
): Promise<WalVerification> => {
  const { minDurable, onProgress } = verifyOptions(options, config())
  const { dir } = checkWalOptions({ dir: folder })
  const { disk, clock } = ports
  const evidence = minDurable === undefined ? [] : [{ lsn: minDurable, source: 'minDurable' }]
  const lock = refusing(() => tryLock(dir, ports))
  try {
    const steps = verifying(disk, dir, { evidence, isLive: lock === 'held' })
    for (;;) {
      const step = refusing(() => steps.next())
      if (step.done) return withoutFrames(step.value)
      onProgress(step.value)
      await new Promise<void>((resolve) => clock.soon(resolve))
    }
  } finally {
    if (typeof lock === 'object') lock.release()
  }
}

/** Without a LOCK no process has the log open. On a read-only disk no process could open it. */
const tryLock = (dir: string, { disk, clock }: WalPorts): DiskLock | 'held' | 'free' => {
  const path = join(dir, lockFileName)
  if (!disk.entry(path)) return 'free'
  try {
    return disk.lock(path, describeHolder({ log: 'verify', since: clock.now() }))
  } catch (error) {
    if (isKeelsonError(error, 'LOCKED_DIR')) return 'held'
    if (error instanceof DiskError) return 'free'
    throw error
  }
}

const withoutFrames = ({ good: _, ...verification }: LogVerification): WalVerification =>
  verification
