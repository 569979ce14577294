/**
 * Opens a log as a library: locks the folder, inspects it, creates the log if there is none, and
 * opens it. A failure releases everything: thread, files and lock. The lock is taken before
 * anything is read. A failed opening removes the folders that it made; in an existing folder only
 * LOCK may stay.
 */

import { basename, dirname, join } from 'node:path'
import { type Clock, systemClock } from '../../clock.ts'
import { KeelsonError } from '../../errors.ts'
import { describeHolder } from '../disk/lock-holder.ts'
import { nodeDisk } from '../disk/node-disk.ts'
import { removeLog } from '../log/log-creation.ts'
import { type Disk, DiskError, type DiskLock } from '../ports/disk.ts'
import { attempt, refusing } from '../ports/disk-failure.ts'
import { lockFileName } from '../ports/folder-layout.ts'
import type { Evidence, Inspection, LogHost, LogOptions, OpenReport } from '../ports/log-host.ts'
import { makeFolder, missingFolders } from '../ports/new-folders.ts'
import { threadLogHosts } from '../threads/thread-log-host.ts'
import type { WalSettings } from './wal-options.ts'

/** A locked folder, until `release`. */
export type WalClaim = {
  /** The identity of its LOCK, as `Disk.identity` returns it. */
  readonly lock: string | undefined
  /**
   * Whether LOCK is unchanged. If a user removes it by hand, another process can take the folder.
   */
  readonly isOurs: () => boolean
  readonly release: () => void
  /**
   * Releases the folder and removes everything that was made: a new folder completely, and a new
   * LOCK.
   */
  readonly undo: () => void
}

/** The folder to lock, with its disk and clock. */
export type WalClaimRequest = { readonly disk: Disk; readonly clock: Clock; readonly dir: string }

/**
 * Locks a folder that may be missing.
 * @throws KeelsonError `LOCKED_DIR` with `details.holder`, `CONFIG` for an impossible folder,
 * `CONFLICT` for the log of a store, `READ_ONLY`, `NO_SPACE`
 */
export const claimWalFolder = (request: WalClaimRequest): WalClaim =>
  refusing(() => {
    const { disk, dir } = request
    const missing = unlessNoPlace(dir, () => missingFolders(disk, dir))
    const present = missing[0] ? dirname(missing[0]) : dir
    const { kind = 'disappearing file' } = unlessNoPlace(dir, () => disk.entry(present)) ?? {}
    if (kind !== 'folder') throw noFolder(present, `a ${kind}`)
    const removeMissing = (): void => {
      // Not the files that another process has made since.
      for (const path of [...missing].reverse())
        if (disk.entry(path) && disk.list(path).length === 0) disk.remove(path)
    }
    try {
      unlessNoPlace(dir, () => {
        for (const path of missing) makeFolder(disk, path)
      })
      return claim(request, removeMissing)
    } catch (error) {
      removeMissing()
      throw error
    }
  })

/**
 * Locks an existing folder. @throws KeelsonError as `claimWalFolder`; `NO_SEGMENTS` if it is
 * missing
 */
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
      // LOCK is removed before it is released: afterwards it may belong to another process.
      try {
        if (!hadLock && isOurs()) disk.remove(path)
      } finally {
        lock.release()
      }
      removeFolders()
    },
  }
}

/**
 * Refuses the log of a shard. Its only owner is the instance: library entries among its frames
 * would make the shard unreadable.
 */
const refuseShard = (disk: Disk, dir: string): void => {
  const facts = join(dir, '..', '..', 'keelson.json')
  // Where names have no case, `Shard-0/WAL` is the same folder.
  const isShards = basename(dir) === 'wal' || /\bshard-\d+.wal$/i.test(dir)
  if (!isShards || !disk.entry(facts)) return
  throw new KeelsonError('CONFLICT', `${dir} is the log of a store`, { details: { dir, facts } })
}

/** Codes of places where no folder can be: below a file, or with a name that is too long. */
const noPlace = ['ENOENT', 'ENOTDIR', 'ENAMETOOLONG', 'ELOOP']

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

/** The ports of a log: the real disk and threads, or simulated ones. */
export type WalPorts = {
  /** For the lock and the folder. Everything else uses a host. */
  readonly disk: Disk
  readonly clock: Clock
  readonly makeHost: () => LogHost
}

/** The real ports: one thread for each epoch of a log. */
export const machinePorts = (): WalPorts => ({
  disk: nodeDisk(),
  clock: systemClock(),
  makeHost: threadLogHosts(),
})

/** The report of an opening. */
export type WalReport = OpenReport & {
  /** Whether this opening created the log. */
  readonly created: boolean
}

/** An open log with its host and folder. */
export type OpenedWal = {
  readonly settings: WalSettings
  readonly ports: WalPorts
  readonly host: LogHost
  readonly claim: WalClaim
  readonly report: WalReport
}

/**
 * Opens a log.
 * @throws KeelsonError with nothing changed except LOCK: `LOCKED_DIR`, `CORRUPT`,
 * `UNSUPPORTED_VERSION`, `READ_ONLY`, `NO_SPACE`, `CONFLICT`, `CONFIG`; `SHARD_DOWN` if the disk
 * failed during the opening
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
    // The first error is thrown, not an error of the removal. A file that cannot be removed counts
    // as a log without frames.
    attempt(() => isMade && claim.isOurs() && removeLog(ports.disk, dir))
    attempt(() => claim.undo())
    throw error
  }
}

/** The settings of the log itself. */
export const logOptionsOf = ({ maxFileSize, sectorBytes }: WalSettings): LogOptions => ({
  maxFileSize,
  sectorBytes,
})

const inspect = (host: LogHost, settings: WalSettings, { lock }: WalClaim): Promise<Inspection> => {
  const { dir, minDurable } = settings
  const evidence: Evidence[] =
    minDurable === undefined ? [] : [{ lsn: minDurable, source: 'minDurable' }]
  return host.run('inspect', { dir, options: logOptionsOf(settings), evidence, lock })
}
