/**
 * `keelson wal verify`: checks every frame of every log of a folder, changes nothing, and reports
 * the faults. A folder that is open elsewhere is checked up to its durable end.
 */
import { resolve } from 'node:path'
import { isKeelsonError, type KeelsonError } from '../../errors.ts'
import { type Disk, nodeDisk, verifying } from '../../storage/index.ts'
import type { Environment } from '../command/environment.ts'
import { runReported, showSteps, type Work } from '../command/long-work.ts'
import type { WalVerifyCommand } from './wal-command-line.ts'
import { type WalTarget, walTarget } from './wal-target.ts'
import {
  statusOf,
  type VerifiedFolder,
  type VerifiedLog,
  verifyJson,
  verifyText,
} from './wal-verify-view.ts'

/**
 * Runs the command and resolves with the exit status.
 * @throws KeelsonError the error of an unreadable folder
 */
export const runWalVerify = (
  command: WalVerifyCommand,
  environment: Environment,
): Promise<number> => {
  const dir = resolve(environment.cwd, command.dir)
  return runReported(command, environment, (work) => verifiedSteadily(nodeDisk(), dir, work), {
    text: verifyText,
    json: verifyJson,
    status: statusOf,
  })
}

/**
 * Repeats the check when the folder was opened during it: files that seemed at rest may have
 * changed.
 */
const verifiedSteadily = async (disk: Disk, dir: string, work: Work): Promise<VerifiedFolder> => {
  const target = walTarget(disk, dir)
  const verified = await verifyFolder(disk, target, work)
  if (target.heldBy !== undefined) return verified
  const again = walTarget(disk, dir)
  return again.heldBy === undefined ? verified : await verifyFolder(disk, again, work)
}

/** Verifies each log in turn. */
export const verifyFolder = async (
  disk: Disk,
  target: WalTarget,
  work: Work,
): Promise<VerifiedFolder> => {
  const { clock } = work.environment
  const logs: VerifiedLog[] = []
  for (const log of target.logs) {
    const startedAt = clock.monotonic()
    const what = `verifying ${log.shard === undefined ? 'the log' : `shard ${log.shard}`}`
    const elapsed = () => clock.monotonic() - startedAt
    try {
      const found = await showSteps(work, verifying(disk, log.dir, log.knowledge), () => what)
      logs.push({ target: log, found, elapsedMs: elapsed() })
    } catch (error) {
      if (!isRefusal(error)) throw error
      logs.push({ target: log, refused: error, elapsedMs: elapsed() })
    }
  }
  return { target, logs }
}

const isRefusal = (error: unknown): error is KeelsonError =>
  isKeelsonError(error, 'NO_SEGMENTS') || isKeelsonError(error, 'UNSUPPORTED_VERSION')
