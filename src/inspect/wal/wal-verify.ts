/**
 * `keelson wal verify`: checks every frame of every log of a folder, changes nothing, and reports
 * the faults. A folder that is open elsewhere is checked up to its durable end.
 */
import { resolve } from 'node:path'
import {
  type Disk,
  examiningLog,
  examiningProjection,
  knowledgeOf,
  nodeDisk,
  type Progress,
} from '../../storage/index.ts'
import type { Environment } from '../command/environment.ts'
import { runReported, showSteps, type Work } from '../command/long-work.ts'
import type { WalVerifyCommand } from './wal-command-line.ts'
import { type LogTarget, type WalTarget, walTarget } from './wal-target.ts'
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
  const logs: VerifiedLog[] = []
  for (const log of target.logs) logs.push(await verifyLog(disk, target, log, work))
  return { target, logs }
}

const verifyLog = async (
  disk: Disk,
  { heldBy }: WalTarget,
  target: LogTarget,
  work: Work,
): Promise<VerifiedLog> => {
  const { clock } = work.environment
  const { dir, known } = target
  const isLive = heldBy !== undefined
  const what = `verifying ${known === undefined ? 'the log' : `shard ${known.shard}`}`
  const shows = <T>(steps: Generator<Progress, T>) => showSteps(work, steps, () => what)
  // A file that is being written may look damaged, and its content is about to change.
  const projection =
    known === undefined || isLive
      ? absent
      : await shows(examiningProjection(disk, known.folders.lmdb, 'all'))
  const knowledge = known === undefined ? { isLive } : knowledgeOf(known, projection, isLive)
  const startedAt = clock.monotonic()
  const { found, refused } = await shows(examiningLog(disk, dir, knowledge))
  const elapsedMs = clock.monotonic() - startedAt
  const remarks =
    projection.state === 'damaged'
      ? [`the projection is damaged and would be rebuilt: ${projection.evidence}`]
      : []
  const verdict = { ...(found && { found }), ...(refused && { refused }) }
  return { target, knowledge, remarks, ...verdict, elapsedMs }
}

const absent = { state: 'absent' } as const
