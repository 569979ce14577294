/**
 * Verifies the whole log in a folder, also after damage, and also while another process writes it.
 * It changes only LOCK, which it holds if no other process does, so that the log cannot change
 * during the check.
 */

import { join } from 'node:path'
import { isKeelsonError } from '../../errors.ts'
import { lockFileName } from '../disk/data-folder.ts'
import { refusing } from '../disk/disk-failure.ts'
import { describeHolder } from '../disk/lock-holder.ts'
import type { LogVerification } from '../examination/log-judgement.ts'
import { verifying } from '../examination/log-verification.ts'
import { DiskError, type DiskLock } from '../ports/disk.ts'
import type { Progress } from '../ports/progress.ts'
import type { WalPorts } from './wal-opening.ts'
import { checkWalOptions } from './wal-options.ts'

/**
 * The verdict on a log: valid, torn at its end, or damaged, with the places and the proven losses.
 */
export type WalVerification = Omit<LogVerification, 'good'>

/** The options of a verification. */
export type VerifyOptions = {
  /** The log was once durable up to this LSN. */
  readonly minDurable?: number
  /** `what` is the file that is read. */
  readonly onProgress?: (progress: Progress) => void
}

/**
 * Verifies in pieces and yields to the event loop between them. Damage is a result here and not an
 * error.
 * @throws KeelsonError `NO_SEGMENTS` if there is no log, `UNSUPPORTED_VERSION`, `CONFIG`;
 * `READ_ONLY` or `SHARD_DOWN` if it cannot be read
 */
export const verifyWal = async (
  folder: string,
  ports: WalPorts,
  { minDurable, onProgress }: VerifyOptions = {},
): Promise<WalVerification> => {
  const known = minDurable === undefined ? {} : { minDurable }
  const { dir } = checkWalOptions({ dir: folder, ...known })
  const { disk, clock } = ports
  const evidence = minDurable === undefined ? [] : [{ lsn: minDurable, source: 'minDurable' }]
  const lock = refusing(() => tryLock(dir, ports))
  try {
    const steps = verifying(disk, dir, { evidence, isLive: lock === 'held' })
    for (;;) {
      const step = refusing(() => steps.next())
      if (step.done) return withoutFrames(step.value)
      onProgress?.(step.value)
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
