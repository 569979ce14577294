/**
 * Verifies the log in a folder: all of it, also behind damage, and also while somebody writes it. Changes nothing but LOCK,
 * which it holds as long as nobody else does, so that nothing changes under its eyes.
 */

import { join } from 'node:path'
import { isKeelsonError } from '../../errors.ts'
import { lockFileName } from '../disk/data-folder.ts'
import { refusing } from '../disk/disk-failure.ts'
import { describeHolder } from '../disk/lock-holder.ts'
import { DiskError, type DiskLock } from '../ports/disk.ts'
import type { LogVerification } from '../rescue/log-judgement.ts'
import { type LogProgress, verifying } from '../rescue/log-verification.ts'
import type { WalPorts } from './wal-opening.ts'
import { checkWalOptions } from './wal-options.ts'

/** What a log was found to be: whole, torn at its end, or damaged, where, and what is proven to be lost. */
export type WalVerification = Omit<LogVerification, 'good'>

/** What whoever verifies knows, and wants to be told. */
export type VerifyOptions = {
  /** The log once was durable up to here. */
  readonly minDurable?: number
  readonly onProgress?: (progress: LogProgress) => void
}

/**
 * Verifies in pieces, between which the event loop has its turn.
 * @throws KeelsonError `NO_SEGMENTS` when there is no log, `UNSUPPORTED_VERSION`, `CONFIG`; `READ_ONLY` or `SHARD_DOWN` when it
 * cannot be read. Damage is no error here.
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

/** Where no LOCK is nobody has the log open, and where it may not be written nobody could open it. */
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
