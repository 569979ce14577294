/**
 * Makes a log: a first segment, empty, and the MANIFEST behind it. All or nothing: when it fails, whatever it made is
 * removed; when it is interrupted, what is left holds no frame and is understood as the beginning of a log.
 */

import { dirname } from 'node:path'
import { KeelsonError } from '../../errors.ts'
import { attempt, refusing } from '../disk/disk-failure.ts'
import { noPredecessor, type SegmentHeader } from '../frames/segment-header.ts'
import { type Disk, pathIn } from '../ports/disk.ts'
import { inspectLog } from '../recovery/log-inspection.ts'
import { isSpareName, manifestName, parseSegmentName, spareName } from '../segments/log-folder.ts'
import { openingBytes } from '../segments/log-limits.ts'
import { type LogPlace, newSegmentHeader } from '../segments/log-place.ts'
import { adoptManifest, type Manifest, prepareManifest } from '../segments/manifest.ts'
import { installSegment, prepareSpare } from '../segments/segment-file.ts'

/**
 * Makes a log in `place.dir`, which may be missing, empty, or hold what an interrupted creation left.
 * @throws KeelsonError `CONFLICT` when it holds frames; `CORRUPT`; `NO_SPACE`, `READ_ONLY` or, for other failures of the
 * disk, `SHARD_DOWN`; then nothing is left behind.
 */
export const createLog = (place: LogPlace): void => {
  const { disk, dir } = place
  const missing = refusing(() => missingFolders(disk, dir))
  const [highest] = missing
  if (!highest) refuseFrames(disk, dir)
  refusing(() => {
    try {
      makeFolders(disk, missing)
      removeLog(disk, dir)
      make(place)
    } catch (error) {
      attempt(() => (highest ? disk.remove(highest) : removeLog(disk, dir)))
      throw error
    }
  })
}

const refuseFrames = (disk: Disk, dir: string): void => {
  const { hasFrames, lastLsn } = inspectLog(disk, dir)
  if (!hasFrames) return
  throw new KeelsonError('CONFLICT', `There is a log in ${dir}, with ${lastLsn} frames`, {
    details: { dir, lastLsn },
  })
}

/** `dir` and the folders above it that are not there, the highest first. */
const missingFolders = (disk: Disk, dir: string): string[] => {
  const missing: string[] = []
  for (let path = dir; !disk.entry(path); path = dirname(path)) missing.unshift(path)
  return missing
}

const makeFolders = (disk: Disk, paths: readonly string[]): void => {
  for (const path of paths) {
    disk.makeFolder(path)
    disk.syncFolder(dirname(path))
  }
}

/** The segment before the MANIFEST: a MANIFEST never promises a segment that a crash could take away. */
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
  installSegment(disk, dir, { spare: spareName, header }).file.close()
  prepareManifest(disk, dir, firstManifest(header))
  adoptManifest(disk, dir)
}

const firstManifest = ({ walId, seq, baseLsn, salt }: SegmentHeader): Manifest => ({
  generation: 1,
  walId,
  epoch: 0,
  newest: { seq, baseLsn, salt },
  recoveredLsn: 0,
  checkpointLsn: 0,
  checkpointSegment: seq,
  lastTime: 0,
})

/** Removes the files of a log that holds nothing, the MANIFEST first; others (LOCK) stay. @throws DiskError. */
export const removeLog = (disk: Disk, dir: string): void => {
  disk.remove(pathIn(dir, manifestName))
  for (const name of disk.list(dir))
    if (parseSegmentName(name) || isSpareName(name)) disk.remove(pathIn(dir, name))
}
