/**
 * Opens a log that is used alone: its lock, a look that changes nothing, its making when there is none, and the opening
 * itself. What fails gives everything up again: thread, files and lock.
 */

import { dirname, join } from 'node:path'
import { type Clock, systemClock } from '../../clock.ts'
import { KeelsonError } from '../../errors.ts'
import { lockFileName } from '../disk/data-folder.ts'
import { attempt, refusing } from '../disk/disk-failure.ts'
import { describeHolder } from '../disk/lock-holder.ts'
import { nodeDisk } from '../disk/node-disk.ts'
import { removeLog } from '../log/log-creation.ts'
import { type Disk, DiskError, type DiskLock } from '../ports/disk.ts'
import type { Evidence, Inspection, LogHost, LogOptions, OpenReport } from '../ports/log-host.ts'
import { threadLogHost } from '../threads/thread-log-host.ts'
import type { WalSettings } from './wal-options.ts'

// Takes the folder of a log for whoever opens it: its lock, before anything is looked at, and the folder itself when it is
// missing. What fails takes back what it made; of an old folder only LOCK may stay.

/** A folder that is ours until `release`. */
export type WalClaim = {
  /** Which file its LOCK is, as `Disk.identity` has it. */
  readonly lock: string | undefined
  /** Whether it still is: whoever removes it by hand lets another one in, whose folder this is from then on. */
  readonly isOurs: () => boolean
  readonly release: () => void
  /** Gives it up, and takes back what was made: nothing of a new folder stays, and no LOCK where there was none. */
  readonly undo: () => void
}

/** What is claimed, on which disk, when. */
export type WalClaimRequest = { readonly disk: Disk; readonly clock: Clock; readonly dir: string }

/**
 * Claims a folder that may be missing.
 * @throws KeelsonError `LOCKED_DIR` with `details.holder`, `CONFIG` for what can be no folder, `CONFLICT` for the log of a
 * store, `READ_ONLY`, `NO_SPACE`.
 */
export const claimWalFolder = (request: WalClaimRequest): WalClaim =>
  refusing(() => {
    const { disk, dir } = request
    const missing = missingFolders(disk, dir)
    const removeMissing = (): void => {
      // Not what another one has put there meanwhile.
      for (const path of missing)
        if (disk.entry(path) && disk.list(path).length === 0) disk.remove(path)
    }
    try {
      makeFolders(disk, missing)
      return claim(request, removeMissing)
    } catch (error) {
      removeMissing()
      throw error
    }
  })

/** Claims a folder that must be there. @throws KeelsonError as `claimWalFolder`; `NO_SEGMENTS` when it is missing. */
export const claimWalFolderAsItIs = (request: WalClaimRequest): WalClaim =>
  refusing(() => {
    const { disk, dir } = request
    if (disk.entry(dir)?.kind === 'folder') return claim(request, () => undefined)
    throw new KeelsonError('NO_SEGMENTS', `there is no log in ${dir}`, { details: { dir } })
  })

const claim = ({ disk, clock, dir }: WalClaimRequest, removeFolders: () => void): WalClaim => {
  refuseShard(disk, dir)
  const path = join(dir, lockFileName)
  const hadLock = disk.entry(path) !== undefined
  const lock: DiskLock = disk.lock(path, describeHolder({ log: 'keelson/wal', since: clock.now() }))
  const isOurs = (): boolean => disk.identity(path) === lock.identity
  return {
    lock: lock.identity,
    isOurs,
    release: () => lock.release(),
    undo() {
      // Removed before it is given up: afterwards it may be another one's.
      try {
        if (!hadLock && isOurs()) disk.remove(path)
      } finally {
        lock.release()
      }
      removeFolders()
    },
  }
}

/** A shard's log has one owner, the instance: entries among its frames would make the shard unreadable. */
const refuseShard = (disk: Disk, dir: string): void => {
  const facts = join(dir, '..', '..', 'keelson.json')
  if (!disk.entry(facts)) return
  throw new KeelsonError('CONFLICT', `${dir} is the log of a store`, { details: { dir, facts } })
}

/** `dir`, when it is missing, and those above it that are: the lowest first. */
const missingFolders = (disk: Disk, dir: string): string[] => {
  const entry = unlessNoPlace(dir, () => disk.entry(dir))
  if (entry && entry.kind !== 'folder') throw noFolder(dir, `a ${entry.kind}`)
  return entry || dirname(dir) === dir ? [] : [dir, ...missingFolders(disk, dirname(dir))]
}

/** Where no folder can be: under a file, with a name that is too long. */
const noPlace = ['ENOENT', 'ENOTDIR', 'ENAMETOOLONG', 'ELOOP']

const makeFolders = (disk: Disk, missing: readonly string[]): void => {
  const [lowest] = missing
  if (!lowest) return
  unlessNoPlace(lowest, () => disk.makeFolder(lowest))
  for (const path of missing) disk.syncFolder(dirname(path))
}

const unlessNoPlace = <T>(path: string, action: () => T): T => {
  try {
    return action()
  } catch (error) {
    throw error instanceof DiskError && noPlace.includes(error.code)
      ? noFolder(path, error.code)
      : error
  }
}

const noFolder = (dir: string, found: string): KeelsonError =>
  new KeelsonError('CONFIG', `dir: expected a folder, or a place for one, found ${found}`, {
    details: { path: 'dir', expected: 'a folder, or a place for one', found: dir },
  })

/** What a log runs on: the real disk behind a thread, or a simulated one. */
export type WalPorts = {
  /** For the lock and the folder; everything else goes through a host. */
  readonly disk: Disk
  readonly clock: Clock
  readonly makeHost: () => LogHost
}

/** The machine's own: a thread for each life of a log. */
export const machinePorts = (): WalPorts => ({
  disk: nodeDisk(),
  clock: systemClock(),
  makeHost: threadLogHost,
})

/** What opening found and did. */
export type WalReport = OpenReport & {
  /** The log was made by this opening. */
  readonly created: boolean
}

/** An open log and what it stands on. */
export type OpenedWal = {
  readonly settings: WalSettings
  readonly ports: WalPorts
  readonly host: LogHost
  readonly claim: WalClaim
  readonly report: WalReport
}

/**
 * Opens.
 * @throws KeelsonError `LOCKED_DIR`, `CORRUPT`, `UNSUPPORTED_VERSION`, `READ_ONLY`, `NO_SPACE`, `CONFLICT`, `CONFIG` with
 * nothing changed but for LOCK; `SHARD_DOWN` when the disk failed on the way.
 */
export const openWalFiles = async (settings: WalSettings, ports: WalPorts): Promise<OpenedWal> => {
  const claim = claimWalFolder({ ...ports, dir: settings.dir })
  const host = ports.makeHost()
  const { dir } = settings
  let isMade = false
  try {
    const options = logOptionsOf(settings)
    const found = await inspect(host, settings, claim)
    if (!found.exists) await host.run('create', { dir, options })
    isMade = !found.exists
    const inspection = found.exists ? found : await inspect(host, settings, claim)
    const opened = await host.run('open', { dir, options, inspection })
    const report = { ...opened, created: !found.exists }
    return { settings, ports, host, claim, report }
  } catch (error) {
    await host.end()
    // What says why it failed is that error; what cannot be removed is taken for a log without a frame.
    attempt(() => isMade && claim.isOurs() && removeLog(ports.disk, dir))
    attempt(() => claim.undo())
    throw error
  }
}

/** What of the settings is the log's. */
export const logOptionsOf = ({ maxFileSize, sectorBytes }: WalSettings): LogOptions => ({
  maxFileSize,
  sectorBytes,
})

const inspect = (host: LogHost, settings: WalSettings, { lock }: WalClaim): Promise<Inspection> => {
  const { dir, minDurable } = settings
  const evidence: Evidence[] =
    minDurable === undefined ? [] : [{ lsn: minDurable, source: 'minDurable' }]
  return host.run('inspect', {
    dir,
    options: logOptionsOf(settings),
    evidence,
    ...(lock === undefined ? {} : { lock }),
  })
}
