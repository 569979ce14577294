/**
 * `keelson wal verify`: checks every frame of every log of a folder, changes nothing, and reports
 * the faults. A folder that is open elsewhere is checked up to its durable end.
 */
import { resolve } from 'node:path'
import { isKeelsonError, type KeelsonError } from '../../errors.ts'
import { type Disk, nodeDisk, verifying } from '../../storage/index.ts'
import { type Environment, printLine, signalStatuses } from '../command/environment.ts'
import { Interruption } from '../command/interruption.ts'
import { runSteps, WorkDisplay } from '../command/long-work.ts'
import { paintFor } from '../text/paint.ts'
import type { WalVerifyCommand } from './wal-command-line.ts'
import { statusOf, type VerifiedFolder, type VerifiedLog } from './wal-findings.ts'
import { type WalTarget, walTarget } from './wal-target.ts'
import { verifyJson, verifyText } from './wal-verify-view.ts'

/**
 * Runs the command and resolves with the exit status.
 * @throws KeelsonError the error of an unreadable folder
 */
export const runWalVerify = async (
  command: WalVerifyCommand,
  environment: Environment,
): Promise<number> => {
  const disk = nodeDisk()
  const interruption = new Interruption(environment)
  const display = new WorkDisplay(environment, command.progress)
  try {
    const dir = resolve(environment.cwd, command.dir)
    const verified = await verifiedSteadily(disk, dir, environment, interruption.signal, display)
    display.clear()
    if (!verified) return signalStatuses[interruption.received ?? 'SIGINT']
    const status = statusOf(verified)
    const { output, variables } = environment
    printLine(
      output,
      command.json
        ? JSON.stringify(verifyJson(verified, status))
        : verifyText(verified, status, paintFor(output, variables)),
    )
    return status
  } finally {
    display.clear()
    interruption.release()
  }
}

/**
 * Repeats the check when the folder was opened during it: files that seemed at rest may have
 * changed.
 */
const verifiedSteadily = async (
  disk: Disk,
  dir: string,
  environment: Environment,
  signal: AbortSignal,
  display: WorkDisplay,
): Promise<VerifiedFolder | undefined> => {
  const target = walTarget(disk, dir)
  const verified = await verifyFolder(disk, target, environment, signal, display)
  if (!verified || target.heldBy !== undefined) return verified
  const again = walTarget(disk, dir)
  if (again.heldBy === undefined) return verified
  return await verifyFolder(disk, again, environment, signal, display)
}

/** Verifies each log in turn; `undefined` when `signal` was aborted before the end. */
export const verifyFolder = async (
  disk: Disk,
  target: WalTarget,
  environment: Environment,
  signal: AbortSignal,
  display: WorkDisplay,
): Promise<VerifiedFolder | undefined> => {
  const logs: VerifiedLog[] = []
  for (const log of target.logs) {
    const startedAt = environment.clock.monotonic()
    const what = `verifying ${log.shard === undefined ? 'the log' : `shard ${log.shard}`}`
    const elapsed = () => environment.clock.monotonic() - startedAt
    try {
      const found = await runSteps(
        verifying(disk, log.dir, log.knowledge),
        environment,
        signal,
        (progress) => display.show(what, progress, startedAt),
      )
      if (!found) return undefined
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
