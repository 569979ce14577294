/**
 * `keelson doctor`: examines a data folder, or one log, says what is wrong and what to do, and with
 * `--repair` does what cannot lose acknowledged data. Nothing can open the folder until it has ended.
 * One that is open is examined as far as that is safe, and not repaired.
 */

import {
  accessSync,
  constants,
  lstatSync,
  readdirSync,
  type Stats,
  statfsSync,
  statSync,
} from 'node:fs'
import { join, resolve } from 'node:path'
import { isKeelsonError } from '../../errors.ts'
import {
  type Disk,
  describeHolder,
  factsFileName,
  filesBelow,
  folderUse,
  isLogName,
  nodeDisk,
  readBackup,
  refusing,
  shardFolder,
  shardsPresent,
} from '../../storage/index.ts'
import {
  type AccessFault,
  type DiskFacts,
  type Exposure,
  examiningFolder,
  examiningLog,
  expectFolder,
  type FolderFacts,
  folderFindings,
  type HeldFolders,
  lastHolderOf,
  lockAll,
  loneLogFindings,
  repair,
  shareAll,
  stepsOf,
  wrongFolder,
} from '../../tools/index.ts'
import type { Environment } from '../command/environment.ts'
import { runReported, runSteps, showSteps, type Work } from '../command/long-work.ts'
import type { DoctorCommand } from './doctor-command-line.ts'
import { doctorJson, doctorText, type Examined, statusOf } from './doctor-view.ts'

/** The examination of a folder. */
type FolderWork = Work & {
  readonly disk: Disk
  readonly dir: string
  readonly command: DoctorCommand
}

/**
 * Runs the command and resolves with the exit status.
 * @throws KeelsonError `INVALID_ARGUMENT` for a folder without a log; `NO_SEGMENTS` for one whose log
 * is gone; `LOCKED_DIR` with `--repair`; an error of the disk
 */
export const runDoctor = (command: DoctorCommand, environment: Environment): Promise<number> => {
  const disk = nodeDisk()
  const dir = resolve(environment.cwd, command.dir)
  const examine = (work: Work): Promise<Examined> => {
    const log = refusing(() => logFolderIn(disk, dir))
    const folder = { ...work, disk, dir, command }
    return log === undefined ? examinedFolder(folder) : examinedLog(folder, log)
  }
  return runReported(command, environment, examine, {
    text: doctorText,
    json: doctorJson,
    status: statusOf,
  })
}

/**
 * The folder of the log, if `dir` is that of a log or of a shard; `undefined` for a data folder.
 * @throws KeelsonError `INVALID_ARGUMENT` for every other folder
 */
const logFolderIn = (disk: Disk, dir: string): string | undefined => {
  expectFolder(disk, dir)
  if (isDescribed(disk, dir)) return undefined
  if (readBackup(disk, dir)) throw wrongFolder(dir, 'is a backup, which keelson restore verifies')
  if (shardsPresent(disk, dir).length > 0) return undefined
  const log = [dir, join(dir, 'wal')].find(
    (each) => disk.entry(each)?.kind === 'folder' && disk.list(each).some(isLogName),
  )
  if (log === undefined) throw wrongFolder(dir, 'is no data folder, and has no log')
  return log
}

const isDescribed = (disk: Disk, dir: string): boolean =>
  disk.entry(join(dir, factsFileName)) !== undefined

const examinedLog = async (work: FolderWork, dir: string): Promise<Examined> => {
  const { disk, command } = work
  if (command.deep || command.repair)
    throw wrongFolder(dir, 'is the folder of a log: --deep and --repair are of data folders')
  const { heldBy, release } = refusing(() => shareAll([dir]))
  try {
    const steps = examiningLog(disk, dir, { isLive: heldBy !== undefined })
    const log = await showSteps(work, steps, () => 'examining the log')
    if (isKeelsonError(log.refused, 'NO_SEGMENTS')) throw log.refused
    const findings = loneLogFindings(dir, log)
    return { dir, findings, logs: [{ dir, ...log }], ...(heldBy && { heldBy }) }
  } finally {
    release()
  }
}

const examinedFolder = async (work: FolderWork): Promise<Examined> => {
  const { disk, dir, command } = work
  const lastHolder = refusing(() => lastHolderOf(disk, dir))
  // Without keelson.json nothing is repaired, and LOCK may say what made the folder.
  const isRepairing = command.repair && isDescribed(disk, dir)
  const lock = refusing(() => (isRepairing ? locked(work) : shareAll(lockedFolders(work))))
  try {
    const facts = await examination(work, lastHolder, lock.heldBy)
    const findings = folderFindings(facts)
    const { heldBy } = lock
    const logs = logsOf(facts)
    const { freeBytes } = facts.disk
    const use = { dir, freeBytes, ...folderUse([...filesBelow(disk, dir)]) }
    const examined = {
      dir,
      isDeep: command.deep,
      findings,
      logs,
      disk: use,
      ...(heldBy && { heldBy }),
    }
    if (!command.repair) return examined
    const steps = isRepairing ? stepsOf(findings) : []
    const repaired = steps.map((step) => refusing(() => repair(disk, step)))
    if (repaired.length === 0) return { ...examined, repaired }
    const after = await examination(work, {}, undefined)
    return { ...examined, logs: logsOf(after), repaired, left: folderFindings(after) }
  } finally {
    lock.release()
  }
}

const logsOf = ({ shards }: FolderFacts): Examined['logs'] =>
  shards.map(({ shard, folders, log }) => ({ shard, dir: folders.wal, ...log }))

const lockedFolders = ({ disk, dir }: FolderWork): readonly string[] => [
  dir,
  ...shardsPresent(disk, dir)
    .map((shard) => shardFolder(dir, shard).wal)
    .filter((wal) => disk.entry(wal)?.kind === 'folder'),
]

/** Takes the locks as an instance does. @throws KeelsonError `LOCKED_DIR` */
const locked = (work: FolderWork): HeldFolders => {
  const { disk, dir, environment } = work
  const holder = describeHolder({ repairing: dir, since: environment.clock.now() })
  return { release: lockAll(lockedFolders(work), (path) => disk.lock(path, holder)) }
}

const examination = async (
  work: FolderWork,
  lastHolder: FolderFacts['lastHolder'],
  heldBy: string | undefined,
): Promise<FolderFacts> => {
  const { disk, dir, command } = work
  const { clock } = work.environment
  const steps = examiningFolder(disk, {
    dir,
    lastHolder,
    ...placeFacts(dir),
    disk: diskUnder(dir),
    ...(heldBy && { heldBy }),
    // Beside the folder, as that of `keelson open`: in the folder itself nothing is changed.
    ...(command.deep && {
      temporary: `${dir}.doctor-${Buffer.from(clock.randomBytes(6)).toString('hex')}`,
    }),
  })
  if (command.json) return await runSteps(steps, work)
  return await showSteps(work, steps, (what) => `examining ${what}`)
}

/** tmpfs and ramfs of Linux. */
const volatileTypes: readonly number[] = [0x01021994, 0x858458f6]

/** NFS, SMB (three), AFS, Ceph, 9P. */
const networkTypes: readonly number[] = [
  0x6969, 0x517b, 0xff534d42, 0xfe534d42, 0x5346414f, 0x00c36400, 0x01021997,
]

/** The disk under `dir`. The types of file systems are those of Linux. */
const diskUnder = (dir: string): DiskFacts => {
  const { type, bavail, bsize } = statfsSync(dir)
  return {
    isVolatile: volatileTypes.includes(type),
    isNetwork: networkTypes.includes(type),
    freeBytes: bavail * bsize,
  }
}

/** The most files that are named. */
const faultsMax = 20

/**
 * The files in `dir` that this process cannot use, or that belong to another user than `dir`; and
 * whether other users may use it.
 */
const placeFacts = (dir: string): { access: readonly AccessFault[]; exposure?: Exposure } => {
  const { uid, mode } = statSync(dir)
  const access: AccessFault[] = []
  let count = 0
  const visit = (path: string, stats: Stats): void => {
    const fault = faultOf(path, stats, uid)
    if (fault && access.length < faultsMax) access.push(fault)
    if (!stats.isDirectory() || fault?.isBarred) return
    for (const name of readdirSync(path).sort()) {
      const inner = lstatSync(join(path, name), { throwIfNoEntry: false })
      // A file of a running instance may be gone by now.
      if (!inner) continue
      if (isOpen(inner)) count++
      visit(join(path, name), inner)
    }
  }
  visit(dir, statSync(dir))
  return { access, ...(mode & others && { exposure: { mode: mode & 0o7777, count } }) }
}

/** The permissions of a group and of all. */
const others = 0o077

/** The permissions of a link say nothing: they are those of what it leads to. */
const isOpen = (stats: Stats): boolean => !stats.isSymbolicLink() && (stats.mode & others) !== 0

const faultOf = (file: string, stats: Stats, uid: number): AccessFault | undefined => {
  if (!isUsable(file, stats))
    return { file, evidence: 'this user may not read and write it', isBarred: true }
  const evidence = `it belongs to user ${stats.uid}, and the folder to user ${uid}`
  return stats.uid === uid ? undefined : { file, evidence, isBarred: false }
}

const isUsable = (path: string, stats: Stats): boolean => {
  const { R_OK, W_OK, X_OK } = constants
  try {
    if (!stats.isSymbolicLink()) accessSync(path, R_OK | W_OK | (stats.isDirectory() ? X_OK : 0))
    return true
  } catch {
    return false
  }
}
