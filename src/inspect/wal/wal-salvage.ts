/**
 * `keelson wal salvage`: verifies a folder, makes a new one from everything that can be read, and
 * verifies that. The source is only read, and nothing can open it until the end. A failed or
 * interrupted salvage removes what it made. If the process is killed or the power fails, the
 * remains are refused as a folder that has lost data.
 */

import { realpathSync } from 'node:fs'
import { basename, dirname, join, resolve, sep } from 'node:path'
import { isKeelsonError, KeelsonError } from '../../errors.ts'
import {
  copyingFolder,
  type DataFolderFacts,
  type Disk,
  describeHolder,
  lockFileName,
  nodeDisk,
  nothingFound,
  refusing,
  salvageAppStates,
  salvaging,
  shardFolder,
  type UncopiedPlace,
  verifying,
  writeDataFolder,
} from '../../storage/index.ts'
import { type Environment, printLine, signalStatuses } from '../command/environment.ts'
import { Interruption } from '../command/interruption.ts'
import { runSteps, WorkDisplay, type WorkDone } from '../command/long-work.ts'
import { paintFor } from '../text/paint.ts'
import type { WalSalvageCommand } from './wal-command-line.ts'
import {
  type SalvagedFolder,
  type SalvagedLog,
  type VerifiedFolder,
  type VerifiedLog,
  walStatuses,
} from './wal-findings.ts'
import { salvagingSnapshots } from './wal-salvage-snapshots.ts'
import { salvageJson, salvageText } from './wal-salvage-view.ts'
import { heldShut, type WalTarget, walTarget } from './wal-target.ts'
import { verifyFolder } from './wal-verify.ts'

// A folder that a command makes. An existing one is refused; a failed command removes it as a
// whole.

/**
 * Checks that `to` is missing or empty, and neither inside nor around `from`, symbolic links
 * resolved.
 * @throws KeelsonError `INVALID_ARGUMENT`, or an error of the disk; nothing was made
 */
export const checkNewFolder = (disk: Disk, from: string, to: string): void => {
  const entry = refusing(() => disk.entry(to))
  if (entry && entry.kind !== 'folder') throw wrongTarget(to, 'it is not a folder')
  if (entry && refusing(() => disk.list(to)).length > 0)
    throw wrongTarget(to, 'it exists and is not empty')
  const [source, target] = [realPath(from), realPath(to)]
  if (isWithin(target, source)) throw wrongTarget(to, `it is inside ${from}, which is only read`)
  if (isWithin(source, target)) throw wrongTarget(to, `it contains ${from}`)
}

/**
 * Makes the folder, durably. Returns a function that removes all of it.
 * @throws an error of the disk
 */
export const makeNewFolder = (disk: Disk, to: string): (() => void) =>
  refusing(() => {
    const wasThere = disk.entry(to) !== undefined
    const missing: string[] = []
    for (let path = to; !disk.entry(path); path = dirname(path)) missing.unshift(path)
    const [highest] = missing
    const undo = () => {
      if (!wasThere && highest) disk.remove(highest)
      else for (const name of disk.list(to)) disk.remove(join(to, name))
    }
    try {
      for (const path of missing) {
        disk.makeFolder(path)
        disk.syncFolder(dirname(path))
      }
    } catch (error) {
      undo()
      throw error
    }
    return undo
  })

const isWithin = (path: string, folder: string): boolean =>
  path === folder || path.startsWith(folder.endsWith(sep) ? folder : folder + sep)

/** The path without symbolic links; for a missing folder, based on the nearest one above. */
const realPath = (path: string): string => {
  try {
    return realpathSync(path)
  } catch {
    const parent = dirname(path)
    return parent === path ? path : join(realPath(parent), basename(path))
  }
}

const wrongTarget = (path: string, why: string): KeelsonError =>
  new KeelsonError('INVALID_ARGUMENT', `${path} cannot be written to: ${why}`, {
    details: { path, found: why },
  })

/** The context of each step. */
type Work = {
  readonly disk: Disk
  readonly environment: Environment
  readonly signal: AbortSignal
  readonly display: WorkDisplay
}

/**
 * Runs the command and resolves with the exit status.
 * @throws KeelsonError the error that ended it; nothing is left of DIR2 then
 */
export const runWalSalvage = async (
  command: WalSalvageCommand,
  environment: Environment,
): Promise<number> => {
  const interruption = new Interruption(environment)
  const display = new WorkDisplay(environment, command.progress)
  const work = { disk: nodeDisk(), environment, signal: interruption.signal, display }
  try {
    const from = resolve(environment.cwd, command.dir)
    const to = resolve(environment.cwd, command.to)
    const made = await salvageFolder(work, from, to)
    display.clear()
    if (!made) return signalStatuses[interruption.received ?? 'SIGINT']
    const { output, variables } = environment
    const text = command.json
      ? JSON.stringify(salvageJson(made))
      : salvageText(made, paintFor(output, variables))
    printLine(output, text)
    return made.logs.some(isLossy) ? walStatuses.corrupt : walStatuses.clean
  } finally {
    display.clear()
    interruption.release()
  }
}

const isLossy = ({ found, salvaged, uncopied }: SalvagedLog): boolean =>
  !found || salvaged.lost.length > 0 || found.doubtFrom !== undefined || uncopied.length > 0

const salvageFolder = async (
  work: Work,
  from: string,
  to: string,
): Promise<SalvagedFolder | undefined> => {
  const { disk, environment, signal, display } = work
  const startedAt = environment.clock.monotonic()
  const target = walTarget(disk, from)
  const open = heldShut(target)
  try {
    checkNewFolder(disk, from, to)
    const verified = await verifyFolder(disk, target, environment, signal, display)
    if (!verified) return undefined
    refuseStrangers(verified)
    const undo = makeNewFolder(disk, to)
    try {
      const logs = await fill(work, verified, to)
      if (!logs) {
        undo()
        return undefined
      }
      return { from, to, logs, elapsedMs: environment.clock.monotonic() - startedAt }
    } catch (error) {
      undo()
      throw error
    }
  } finally {
    open()
  }
}

/** Refuses logs that must not be copied: of a newer version, missing, or of another shard. */
const refuseStrangers = ({ target, logs }: VerifiedFolder): void => {
  for (const { target: log, found, refused } of logs) {
    if (refused && !(target.isDataFolder && isKeelsonError(refused, 'NO_SEGMENTS'))) throw refused
    const { walId } = log.knowledge
    if (!found || walId === undefined || found.frames === 0 || found.walId === walId) continue
    throw new KeelsonError('CORRUPT', `${log.dir} holds the log of another shard or folder`, {
      details: { file: log.dir, found: found.walId, expected: walId },
    })
  }
}

/** Fills the new folder. `keelson.json` comes last: without it a folder with frames is refused. */
const fill = async (
  work: Work,
  { target, logs }: VerifiedFolder,
  to: string,
): Promise<SalvagedLog[] | undefined> => {
  const { disk, environment } = work
  const holder = describeHolder({ salvaging: target.dir, since: environment.clock.now() })
  const lock = refusing(() => disk.lock(join(to, lockFileName), holder))
  try {
    const made: SalvagedLog[] = []
    for (const log of logs) {
      const salvaged = await salvageLog(work, target, log, to)
      if (!salvaged) return undefined
      made.push(salvaged)
    }
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
  { environment }: Work,
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
  work: Work,
  { dir: source, isDataFolder }: WalTarget,
  { target: { shard, dir, knowledge }, found }: VerifiedLog,
  to: string,
): Promise<SalvagedLog | undefined> => {
  const { disk, environment } = work
  const name = shard === undefined ? 'the log' : `shard ${shard}`
  const folder = isDataFolder ? shardFolder(to, shard ?? 0) : undefined
  const wal = folder?.wal ?? to
  const { holdsUnits = false } = knowledge
  if (folder) makeNewFolder(disk, wal)
  const { shown } = knowledge
  const snapshots =
    folder && found
      ? await steps(
          work,
          `copying the snapshots of ${name}`,
          salvagingSnapshots(disk, {
            from: shardFolder(source, shard ?? 0),
            to: folder,
            found,
            shown,
          }),
        )
      : []
  if (!snapshots) return undefined
  const salvaged = await steps(
    work,
    `salvaging ${name}`,
    salvaging({
      disk,
      clock: environment.clock,
      from: dir,
      found: found ?? nothingFound(knowledge.walId),
      to: wal,
      snapshots,
    }),
  )
  if (!salvaged) return undefined
  if (folder) {
    const { snapshots: states } = shardFolder(source, shard ?? 0)
    refusing(() => salvageAppStates(disk, states, folder.snapshots, salvaged.lastLsn))
  }
  const uncopied = folder ? await copyRest(work, dir, folder.path) : []
  if (!uncopied) return undefined
  const checked = await steps(work, `checking ${name}`, verifying(disk, wal, { holdsUnits }))
  if (!checked) return undefined
  if (checked.verdict !== 'clean' || checked.lastLsn !== salvaged.lastLsn)
    throw new KeelsonError('CORRUPT', `the copy in ${wal} does not read back`, {
      details: { file: wal, damage: checked.damage },
    })
  return {
    salvaged,
    snapshots,
    uncopied,
    ...(shard === undefined ? {} : { shard }),
    ...(found ? { found } : {}),
  }
}

/**
 * Copies the files beside a shard's log that cannot be rebuilt from it. Returns the parts that
 * could not be read.
 */
const copyRest = async (
  work: Work,
  wal: string,
  to: string,
): Promise<UncopiedPlace[] | undefined> => {
  const uncopied: UncopiedPlace[] = []
  for (const name of ['blobs', 'archive']) {
    const copying = copyingFolder(work.disk, join(wal, '..', name), join(to, name))
    const { environment, signal } = work
    const places = await runSteps(copying, environment, signal, () => undefined)
    if (!places || signal.aborted) return undefined
    uncopied.push(...places)
  }
  return uncopied
}

const steps = <T>(work: Work, what: string, generator: Generator<WorkDone, T>) => {
  const { environment, signal, display } = work
  const startedAt = environment.clock.monotonic()
  return runSteps(generator, environment, signal, (done) => display.show(what, done, startedAt))
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
  const file = disk.open(join(dir, 'salvage.json'), 'create')
  try {
    if (file.write(bytes, 0) < bytes.length)
      throw new KeelsonError('NO_SPACE', 'the disk is full', { details: { path: file.path } })
    file.sync()
  } finally {
    file.close()
  }
  disk.syncFolder(dir)
}
