/** The place of a data folder as the system sees it: permissions, owners, the file system, its room. */
import { accessSync, constants, lstatSync, readdirSync, type Stats, statfsSync } from 'node:fs'
import { join } from 'node:path'
import type { AccessFault, DiskFacts } from '../../storage/index.ts'

/** tmpfs and ramfs of Linux. */
const volatileTypes: readonly number[] = [0x01021994, 0x858458f6]

/** NFS, SMB (three), AFS, Ceph, 9P. */
const networkTypes: readonly number[] = [
  0x6969, 0x517b, 0xff534d42, 0xfe534d42, 0x5346414f, 0x00c36400, 0x01021997,
]

/** The disk under `dir`. The types of file systems are those of Linux. */
export const diskUnder = (dir: string): DiskFacts => {
  const { type, bavail, bsize } = statfsSync(dir)
  return {
    isVolatile: volatileTypes.includes(type),
    isNetwork: networkTypes.includes(type),
    freeBytes: bavail * bsize,
  }
}

/** The most files that are named. */
const faultsMax = 20

/** The files in `dir` that this process cannot use, or that belong to another user than `dir`. */
export const accessFaults = (dir: string): readonly AccessFault[] => {
  const { uid } = lstatSync(dir)
  const faults: AccessFault[] = []
  const visit = (path: string): void => {
    const stats = lstatSync(path, { throwIfNoEntry: false })
    // A file of a running instance may be gone by now.
    if (!stats || faults.length === faultsMax) return
    const fault = faultOf(path, stats, uid)
    if (fault) faults.push(fault)
    if (stats.isDirectory() && !fault?.isBarred)
      for (const name of readdirSync(path).sort()) visit(join(path, name))
  }
  visit(dir)
  return faults
}

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
