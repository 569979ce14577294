/**
 * Locks of members: several processes of one machine on one data folder. They share one lock, so
 * that no other process opens the folder, and each has locks for itself. All are the kernel's: free
 * as soon as their holder has ended, and never while it is stopped. A lock by a file cannot be shared.
 * They are apart from `folder-lock.ts`, whose locks may also be a file's.
 */
import { basename } from 'node:path'
import { configError } from '../../errors.ts'
import type { DiskLock } from '../ports/disk.ts'
import {
  fateOf,
  type HolderFate,
  kernelLock,
  type LockFiles,
  lastFacts,
  lockByKernel,
  type OpenLockFile,
  type ProcessFacts,
  refuseOtherHolder,
  takeKernelLock,
  thisProcess,
} from './folder-lock.ts'
import { describeHolder, type LockHolder, lockedDir, readHolder, sharedBy } from './lock-holder.ts'

/** A holder as its lock file names it. */
export type NamedHolder = {
  /** Its facts; empty if the lock was released. */
  readonly facts: LockHolder
  /** Whether its process lives. Only a lock that is taken proves that it does not. */
  readonly fate: HolderFate
}

/** The locks of members. They are taken at once or not at all. */
export interface MemberLocks {
  /**
   * Shares the lock file at `path`, which is made if it is missing. The last one who releases it
   * blanks its lines. `holder` becomes its first line, the same for all.
   * @throws KeelsonError `LOCKED_DIR` if a process holds it alone; `CONFIG` where the kernel's locks
   * do not reach all members: without flock(1), on a file system of other machines, or if members
   * of another machine or another pid namespace share it; DiskError
   */
  share(path: string, holder: string): DiskLock
  /** As `Disk.lock`, by the kernel alone. @throws also as `share` */
  lock(path: string, holder: string): DiskLock
  /** The last holder of the lock file at `path`; `undefined` without that file. @throws DiskError */
  holder(path: string): NamedHolder | undefined
}

/** The files as these locks need them. */
export interface MemberLockFiles extends LockFiles {
  /** Whether the file system of `path` is that of another machine. */
  isRemote(path: string): boolean
}

/** The locks of members on these files. */
export const memberLocksOn = (files: MemberLockFiles): MemberLocks => {
  // Reading them takes longer than the rest of a look at a holder.
  let facts: ProcessFacts | undefined
  const self = (): ProcessFacts => {
    facts ??= thisProcess(files)
    return facts
  }
  return {
    share: (path, holder) => {
      const file = files.open(path)
      try {
        refuseRemote(files, path)
        return share(files, path, file, holder, self())
      } catch (error) {
        file.close()
        throw error
      }
    },
    lock: (path, holder) => lockByKernel(files, path, holder, self()) ?? refuseWithoutTool(),
    holder: (path) => {
      const content = files.content(path)
      if (content === undefined) return undefined
      return { facts: readHolder(content), fate: fateOf(files, path, content, self()) }
    },
  }
}

const refuseRemote = (files: MemberLockFiles, path: string): void => {
  if (files.isRemote(path))
    throw configError('dir', 'a folder on a disk of this machine: members share it', path)
}

const refuseWithoutTool = (): never => {
  throw configError('cluster.engine', 'a machine with flock(1): members share a folder', 'none')
}

const share = (
  files: MemberLockFiles,
  path: string,
  file: OpenLockFile,
  holder: string,
  self: ProcessFacts,
): DiskLock => {
  const taken = takeKernelLock(path, file.descriptor, '-s')
  if (taken === 'no tool') return refuseWithoutTool()
  const content = files.content(path) ?? ''
  if (taken === 'held') throw lockedDir(path, content)
  refuseOtherHolder(files, path, file, content, self)
  const { host, bootId, pidSpace } = self
  const place = { host, bootId, pidSpace }
  const own = `${holder}\n${describeHolder({ ...place, by: sharedBy })}\n`
  if (content !== own) {
    if (isElsewhere(lastFacts(content), place)) refuseLiving(path, file, content)
    file.fill(own)
  }
  // If nobody else shares it then, the lines would name members that are gone.
  const isAlone = () => takeKernelLock(path, file.descriptor, '-x') === 'taken'
  return kernelLock(files, path, file, isAlone)
}

/** Whether members at another place have written these facts. */
const isElsewhere = (facts: LockHolder, place: LockHolder): boolean =>
  facts.by === sharedBy && (facts.bootId !== place.bootId || facts.pidSpace !== place.pidSpace)

/** @throws KeelsonError `CONFIG` if those who wrote `content` share the lock, too */
const refuseLiving = (path: string, file: OpenLockFile, content: string): void => {
  const isAlone = takeKernelLock(path, file.descriptor, '-x') === 'taken'
  if (isAlone && takeKernelLock(path, file.descriptor, '-s') === 'taken') return
  const { host, pidSpace } = lastFacts(content)
  throw configError(
    'cluster.engine',
    'members of one machine and one pid namespace',
    `others on ${host} in ${pidSpace}, which share ${basename(path)}`,
  )
}
