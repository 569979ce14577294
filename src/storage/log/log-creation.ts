/**
 * Creates a log: an empty first segment, then the MANIFEST. After a failure everything it made is
 * removed. An interrupted creation leaves no frame, and a later creation continues from it.
 */

import { KeelsonError } from '../../errors.ts'
import { noPredecessor } from '../frames/segment-header.ts'
import { type Disk, pathIn } from '../ports/disk.ts'
import { attempt, refusing } from '../ports/disk-failure.ts'
import { makeFolder, missingFolders } from '../ports/new-folders.ts'
import { prepareSpare } from '../ports/spare-file.ts'
import { isSpareName, manifestName, parseSegmentName, spareName } from '../segments/log-folder.ts'
import { openingBytes } from '../segments/log-limits.ts'
import { type LogPlace, newSegmentHeader } from '../segments/log-place.ts'
import { replaceManifest } from '../segments/manifest.ts'
import { manifestOf } from '../segments/segment-chain.ts'
import { installSegment } from '../segments/segment-file.ts'
import { inspectLog } from './log-inspection.ts'

/**
 * Creates a log in `place.dir`, which may be missing, empty, or the remains of an interrupted
 * creation.
 * @throws KeelsonError, with no file left: `CONFLICT` if it holds frames; `CORRUPT`; `NO_SPACE`;
 * `READ_ONLY`; `SHARD_DOWN` for other disk errors
 */
export const createLog = (place: LogPlace): void => {
  const { disk, dir } = place
  const missing = refusing(() => missingFolders(disk, dir))
  const [highest] = missing
  if (!highest) refuseFrames(disk, dir)
  refusing(() => {
    try {
      for (const path of missing) makeFolder(disk, path)
      removeLog(disk, dir)
      make(place)
    } catch (error) {
      attempt(() => {
        if (disk.entry(dir)) removeLog(disk, dir)
        if (highest) disk.remove(highest)
      })
      throw error
    }
  })
}

const refuseFrames = (disk: Disk, dir: string): void => {
  const { hasFrames, lastLsn } = inspectLog(disk, dir)
  if (!hasFrames) return
  throw new KeelsonError('CONFLICT', `there is already a log in ${dir}, with ${lastLsn} frames`, {
    details: { dir, lastLsn },
  })
}

/**
 * Makes the segment before the MANIFEST: a MANIFEST must never name a segment that a crash can
 * remove.
 */
const make = (place: LogPlace): void => {
  const { disk, dir, clock } = place
  const header = newSegmentHeader(place, {
    walId: Buffer.from(clock.randomBytes(16)).toString('hex'),
    epoch: 0,
    seq: 1,
    baseLsn: 1,
    prev: noPredecessor,
    allocatedBytes: openingBytes(place.options),
  })
  prepareSpare(disk, { path: pathIn(dir, spareName), size: header.allocatedBytes })
  const spare = disk.open(pathIn(dir, spareName), 'write')
  const folder = disk.openFolder(dir)
  try {
    installSegment({ dir, folder }, spare, { header })
  } finally {
    for (const open of [spare, folder]) attempt(() => open.close())
  }
  const facts = { generation: 1, recoveredLsn: 0, checkpointLsn: 0, lastTime: 0, snapshots: [] }
  replaceManifest(disk, dir, manifestOf([{ header }], facts))
}

/**
 * Removes the files of an empty log, the MANIFEST first, and durably: after a power cut or a failure in
 * between none names a segment that is gone. Other files (LOCK) stay. @throws DiskError
 */
export const removeLog = (disk: Disk, dir: string): void => {
  if (disk.entry(pathIn(dir, manifestName))) {
    disk.remove(pathIn(dir, manifestName))
    disk.syncFolder(dir)
  }
  for (const name of disk.list(dir))
    if (parseSegmentName(name) || isSpareName(name)) disk.remove(pathIn(dir, name))
}
