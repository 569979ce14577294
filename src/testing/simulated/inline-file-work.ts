/**
 * Copies shards, writes backups and searches logs without a thread, for simulations, with a turn of the event loop
 * after each step.
 */
import type { Clock } from '../../clock.ts'
import { KeelsonError } from '../../errors.ts'
import {
  type BackupFolders,
  claimBackup,
  copyingShard,
  type Disk,
  refusing,
  type ShardCopier,
  scanningTurns,
  type TurnScannerFactory,
} from '../../storage/index.ts'

/** Locks the folders of backups on a given disk; each answer comes after a turn of the clock. */
export const inlineBackupFolders =
  (disk: Disk, clock: Clock): BackupFolders =>
  async (claim) => {
    const later = async <T>(work: () => T): Promise<T> => {
      await new Promise<void>((resolve) => clock.soon(resolve))
      return refusing(work)
    }
    const folder = await later(() => claimBackup(disk, claim))
    return {
      finish: (content) => later(() => folder.finish(content)),
      leave: () => later(() => folder.release()),
    }
  }

/** Makes a copier on a given disk and clock. */
export const inlineShardCopier =
  (disk: Disk, clock: Clock): ShardCopier =>
  (request, signal, onProgress) =>
    inSteps(clock, copyingShard(disk, request), signal, onProgress)

/** The bytes that a search reads at once: little, because simulated logs are short. */
const scannedBytes = 8 * 1024

/** Makes scanners on a given disk and clock. */
export const inlineTurnScanner =
  (disk: Disk, clock: Clock): TurnScannerFactory =>
  (signal) =>
  (request) =>
    inSteps(
      clock,
      scanningTurns(disk, request, () => false, scannedBytes),
      signal,
    )

const inSteps = async <P, T>(
  clock: Clock,
  steps: Generator<P, T>,
  signal: AbortSignal,
  onProgress?: (progress: P) => void,
): Promise<T> => {
  try {
    for (;;) {
      const step = refusing(() => steps.next())
      if (step.done) return step.value
      onProgress?.(step.value)
      await new Promise<void>((resolve) => clock.soon(resolve))
      if (signal.aborted) throw new KeelsonError('CLOSED', 'the work was ended')
    }
  } finally {
    steps.return(undefined as never)
  }
}
