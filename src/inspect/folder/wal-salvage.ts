/**
 * `keelson wal salvage`: verifies a folder, makes a new one from everything that can be read, and
 * verifies that. The source is only read, and nothing can open it until the end. A failed or
 * interrupted salvage removes what it made. If the process is killed or the power fails, the
 * remains are refused as a folder that has lost data.
 */

import { join, resolve } from 'node:path'
import { isKeelsonError, KeelsonError } from '../../errors.ts'
import {
  type DataFolderFacts,
  type Disk,
  describeHolder,
  examiningLog,
  examiningProjection,
  knowledgeOf,
  type LogFacts,
  type LogKnowledge,
  lockFileName,
  nodeDisk,
  type Progress,
  refusing,
  replaceFile,
  salvagingShard,
  shardFolder,
  writeDataFolder,
} from '../../storage/index.ts'
import type { Environment } from '../command/environment.ts'
import { lockAll } from '../command/folder-locks.ts'
import { runReported, showSteps, type Work } from '../command/long-work.ts'
import { checkNewFolder, fillNewFolder } from '../command/new-folder.ts'
import type { WalSalvageCommand } from './wal-command-line.ts'
import {
  type SalvagedFolder,
  type SalvagedLog,
  salvageJson,
  salvageText,
} from './wal-salvage-view.ts'
import { type LogTarget, type WalTarget, walTarget } from './wal-target.ts'

/** The context of each step. */
type SalvageWork = Work & { readonly disk: Disk }

/** A log, with what is known of it from beside it, and the finding about it, or why there is none. */
type VerifiedLog = LogFacts & { readonly target: LogTarget; readonly knowledge: LogKnowledge }

type VerifiedFolder = { readonly target: WalTarget; readonly logs: readonly VerifiedLog[] }

/**
 * Runs the command and resolves with the exit status.
 * @throws KeelsonError the error that ended it; nothing is left of DIR2 then
 */
export const runWalSalvage = (
  command: WalSalvageCommand,
  environment: Environment,
): Promise<number> => {
  const from = resolve(environment.cwd, command.dir)
  const to = resolve(environment.cwd, command.to)
  return runReported(
    command,
    environment,
    (work) => salvageFolder({ ...work, disk: nodeDisk() }, from, to),
    {
      text: salvageText,
      json: salvageJson,
      status: ({ logs }) => (logs.some(isLossy) ? lossyStatus : 0),
    },
  )
}

/** The exit status if something is lost or in doubt. */
const lossyStatus = 4

const isLossy = ({ found, salvaged, uncopied }: SalvagedLog): boolean =>
  !found || salvaged.lost.length > 0 || found.doubtFrom !== undefined || uncopied.length > 0

const salvageFolder = async (
  work: SalvageWork,
  from: string,
  to: string,
): Promise<SalvagedFolder> => {
  const { disk, environment } = work
  const startedAt = environment.clock.monotonic()
  const target = walTarget(disk, from)
  const open = lockAll([target.dir, ...target.logs.map((log) => log.dir)])
  try {
    checkNewFolder(disk, from, to)
    const verified = { target, logs: [] as VerifiedLog[] }
    for (const log of target.logs) verified.logs.push(await verifyLog(work, log))
    refuseStrangers(verified)
    const logs = await fillNewFolder(disk, to, () => fill(work, verified, to))
    return { from, to, logs, elapsedMs: environment.clock.monotonic() - startedAt }
  } finally {
    open()
  }
}

const verifyLog = async (
  { disk, ...work }: SalvageWork,
  target: LogTarget,
): Promise<VerifiedLog> => {
  const { dir, known } = target
  const shows = <T>(steps: Generator<Progress, T>) =>
    showSteps(work, steps, () => `verifying ${nameOf(target)}`)
  const projection = known && (await shows(examiningProjection(disk, known.folders.lmdb, 'all')))
  const isLive = false
  const knowledge = known && projection ? knowledgeOf(known, projection, isLive) : { isLive }
  return { ...(await shows(examiningLog(disk, dir, knowledge))), target, knowledge }
}

const nameOf = ({ known }: LogTarget): string =>
  known === undefined ? 'the log' : `shard ${known.shard}`

/** Refuses logs that must not be copied: of a newer version, missing, or of another shard. */
const refuseStrangers = ({ target, logs }: VerifiedFolder): void => {
  for (const { target: log, knowledge, found, refused } of logs) {
    if (refused && !(target.isDataFolder && isKeelsonError(refused, 'NO_SEGMENTS'))) throw refused
    const { walId } = knowledge
    if (!found || walId === undefined || found.frames === 0 || found.walId === walId) continue
    throw new KeelsonError('CORRUPT', `${log.dir} holds the log of another shard or folder`, {
      details: { file: log.dir, found: found.walId, expected: walId },
    })
  }
}

/** Fills the new folder. `keelson.json` comes last: without it a folder with frames is refused. */
const fill = async (
  work: SalvageWork,
  { target, logs }: VerifiedFolder,
  to: string,
): Promise<SalvagedLog[]> => {
  const { disk, environment } = work
  const holder = describeHolder({ salvaging: target.dir, since: environment.clock.now() })
  const lock = refusing(() => disk.lock(join(to, lockFileName), holder))
  try {
    const made: SalvagedLog[] = []
    for (const log of logs) made.push(await salvageLog(work, log, to))
    refusing(() => {
      writeReport(disk, to, { from: target.dir, at: environment.clock.now(), logs: made })
      if (target.isDataFolder) writeDataFolder(disk, to, factsOf(work, target, made))
    })
    return made
  } finally {
    lock.release()
  }
}

const factsOf = (
  { environment }: SalvageWork,
  { facts }: WalTarget,
  made: readonly SalvagedLog[],
): DataFolderFacts => ({
  // A folder without its keelson.json is treated as another one from here on.
  instanceId: facts?.instanceId ?? Buffer.from(environment.clock.randomBytes(16)).toString('hex'),
  created: facts?.created ?? environment.clock.now(),
  shards: made.length,
  logs: made.map(({ salvaged }) => salvaged.walId),
  // The newest turns may be lost: what they did outside would be done again.
  waits: true,
})

const salvageLog = async (
  { disk, ...work }: SalvageWork,
  { target, knowledge, found }: VerifiedLog,
  to: string,
): Promise<SalvagedLog> => {
  const { dir: from, known } = target
  const folders = known && { from: known.folders, to: shardFolder(to, known.shard) }
  const steps = salvagingShard({
    ...{ disk, clock: work.environment.clock, shard: folders, found, knowledge },
    ...{ from, to: folders?.to.wal ?? to },
  })
  const made = await showSteps(work, steps, (what) => `${what} ${nameOf(target)}`)
  return { ...made, ...(known && { shard: known.shard }), ...(found ? { found } : {}) }
}

const writeReport = (
  disk: Disk,
  dir: string,
  { logs, ...facts }: { from: string; at: number; logs: readonly SalvagedLog[] },
): void => {
  const shards = logs.map(({ shard, salvaged, snapshots, uncopied }) => ({
    shard: shard ?? null,
    ...salvaged,
    snapshots,
    uncopied,
  }))
  const bytes = Buffer.from(`${JSON.stringify({ ...facts, logs: shards }, undefined, 2)}\n`)
  replaceFile(disk, join(dir, 'salvage.json'), bytes)
}
