/**
 * The second phase of opening a log: it executes the plan of an inspection. Each step leaves a
 * folder that a new inspection understands. So after a crash at any point another opening gives the
 * same log:
 *
 *   a  bring the files of the commitments up to date,       a full disk is detected while nothing
 *      allocate and sync the space of the fresh segment,    has changed
 *      and sync the folder's names
 *   b  MANIFEST: the new epoch, without a clean close       commit point of the epoch
 *   c  write copied frames and header, sync, rename         the old file is neither changed nor
 *                                                           synced: a sync after a failed one
 *                                                           proves nothing
 *   d  MANIFEST: the segment and all recovered frames       commit point of the opening
 *   e  move cut bytes to quarantine, cut old segments       only tidying; the next opening does
 *                                                           the rest
 */

import { isKeelsonError } from '../../errors.ts'
import { CommitmentChain } from '../commitments/commitment-chain.ts'
import { type FrameEnd, segmentStart } from '../frames/frame-cursor.ts'
import { walkFrames } from '../frames/frame-walk.ts'
import { GroupedFrames, groupBytes } from '../frames/grouped-frames.ts'
import { corruption, poison } from '../frames/log-errors.ts'
import type { ChainAnchor, SegmentHeader } from '../frames/segment-header.ts'
import { closing, type Disk, type DiskFile, type DiskFolder, pathIn } from '../ports/disk.ts'
import { attempt, refusing, writeAll } from '../ports/disk-failure.ts'
import { makeFolder } from '../ports/new-folders.ts'
import { prepareSpare } from '../ports/spare-file.ts'
import {
  isSpareName,
  manifestSpareName,
  quarantineName,
  spareName,
} from '../segments/log-folder.ts'
import { framePayloadMax, openingBytes } from '../segments/log-limits.ts'
import { type LogPlace, newSegmentHeader } from '../segments/log-place.ts'
import {
  adoptManifest,
  type Manifest,
  openManifest,
  prepareManifest,
  writeManifest,
} from '../segments/manifest.ts'
import type { OpenSegment } from '../segments/segment-appender.ts'
import { type LogSegment, manifestOf } from '../segments/segment-chain.ts'
import { installSegment } from '../segments/segment-file.ts'
import type { FrameCopy, LogPlan, Trim } from './log-plan.ts'

/** A log that is ready for frames. */
export type OpenedLog = {
  /** The segments before the newest. Each ends where its successor says. */
  readonly chain: readonly LogSegment[]
  readonly newest: OpenSegment
  readonly manifest: Manifest
  /** The MANIFEST and the folder, open as long as the log is. */
  readonly manifestFile: DiskFile
  readonly folder: DiskFolder
  readonly copiedFrames: number
  /** Present if the log has commitments, or is about to. */
  readonly commitments?: CommitmentChain
}

/**
 * Executes `plan`.
 * @throws KeelsonError `NO_SPACE` or `READ_ONLY` with nothing changed; `SHARD_DOWN` with the reason
 * `poisoned` if the disk failed later; `CORRUPT` if the folder changed since the inspection
 */
export const openLog = (place: LogPlace, plan: LogPlan): OpenedLog => {
  const { disk, dir } = place
  const { commitments: found } = plan
  const options = place.options.commitments
  const commitments = found && new CommitmentChain(place, options, found)
  // Frames that are about to be copied are not durable yet: their headers stay pending.
  if (!plan.copy) commitments?.settle()
  const header = freshHeader(place, plan, commitments?.anchor)
  const manifest = openingManifest(plan, header)
  refusing(() => takeSpace(place, plan, header, manifest.before))
  const files: { close(): void }[] = []
  const kept = <T extends { close(): void }>(file: T): T => {
    files.push(file)
    return file
  }
  try {
    if (!plan.manifestIsWhole) adoptManifest(disk, dir)
    const folder = kept(disk.openFolder(dir))
    const manifestFile = kept(openManifest(disk, dir))
    if (plan.manifestIsWhole) writeManifest(manifestFile, manifest.before)
    setAside(disk, dir, plan.setAside)
    const file = kept(disk.open(pathIn(dir, spareName), 'write'))
    let end = segmentStart(header)
    const fill = (fresh: DiskFile): void => {
      if (plan.copy) end = copyFrames(place, plan.copy, header, fresh)
    }
    const name = installSegment({ dir, folder }, file, { header, fill })
    writeManifest(manifestFile, manifest.after)
    for (const trim of plan.trims) attempt(() => carryOutTrim(disk, dir, trim))
    const newest = { name, header, file, end }
    const copiedFrames = plan.copy ? plan.copy.to.lsn - plan.copy.from.lsn : 0
    const { chain } = plan
    const opened = { chain, newest, manifest: manifest.after, manifestFile, folder, copiedFrames }
    return commitments ? { ...opened, commitments } : opened
  } catch (error) {
    for (const file of files) attempt(() => file.close())
    throw poisonOf(error)
  }
}

/** Damage found during the opening keeps its code. Every other failure from step b on is final. */
const poisonOf = (error: unknown): unknown =>
  isKeelsonError(error, 'CORRUPT') ? error : poison(error)

const freshHeader = (
  place: LogPlace,
  plan: LogPlan,
  anchor: ChainAnchor | undefined,
): SegmentHeader => {
  const { options } = place
  const { walId, epoch, fresh, copy, chain } = plan
  const before = [...chain, ...(copy ? [copy.segment] : [])]
  const features = before.reduce((all, { header }) => all | header.features, 0)
  const allocatedBytes = openingBytes(options)
  const facts = { walId, epoch, ...fresh, allocatedBytes, features, chain: anchor }
  if (!copy) return newSegmentHeader(place, facts)
  return newSegmentHeader(place, {
    ...facts,
    payloadMax: Math.max(framePayloadMax(options), copy.segment.header.payloadMax),
    allocatedBytes: openingBytes(options, copyBytesMax(copy, options.sectorBytes)),
  })
}

/** The MANIFEST before the fresh segment exists (step b), and after (step d). */
const openingManifest = (
  plan: LogPlan,
  header: SegmentHeader,
): { readonly before: Manifest; readonly after: Manifest } => {
  const { walId, epoch, generation, chain, checkpointLsn, lastTime } = plan
  const { seq = 0, baseLsn = 1, salt = { low: 0, high: 0 } } = chain.at(-1)?.header ?? {}
  return {
    before: {
      walId,
      epoch,
      generation,
      newest: { seq, baseLsn, salt },
      recoveredLsn: header.prev.lastLsn,
      ...plan.promised,
    },
    after: manifestOf([...chain, { header }], {
      generation: generation + 1,
      recoveredLsn: plan.lastLsn,
      checkpointLsn,
      lastTime,
      snapshots: plan.promised.snapshots,
    }),
  }
}

/**
 * Step a. Leftovers of an interrupted opening or roll are removed first: they use the needed space.
 */
const takeSpace = (
  { disk, dir }: LogPlace,
  plan: LogPlan,
  header: SegmentHeader,
  manifest: Manifest,
): void => {
  for (const name of disk.list(dir)) if (isSpareName(name)) disk.remove(pathIn(dir, name))
  prepareSpare(disk, { path: pathIn(dir, spareName), size: header.allocatedBytes })
  try {
    if (!plan.manifestIsWhole) prepareManifest(disk, dir, manifest)
    // An earlier epoch may have renamed a segment and ended before the rename was durable. The
    // MANIFEST is about to rely on every name that the inspection saw.
    disk.syncFolder(dir)
  } catch (error) {
    for (const name of [spareName, manifestSpareName]) attempt(() => disk.remove(pathIn(dir, name)))
    throw error
  }
}

const setAside = (disk: Disk, dir: string, names: readonly string[]): void => {
  if (names.length === 0) return
  const quarantine = pathIn(dir, quarantineName)
  disk.makeFolder(quarantine)
  for (const name of names) disk.rename(pathIn(dir, name), pathIn(quarantine, name))
  // The number of the file is used again, so its old name must be gone durably before.
  disk.syncFolder(quarantine)
  disk.syncFolder(dir)
}

const keptChunkBytes = 1024 * 1024

/** Step e. Bytes that cannot be saved to quarantine are not cut. */
const carryOutTrim = (disk: Disk, dir: string, trim: Trim): void => {
  closing(disk.open(pathIn(dir, trim.name), 'write'), (file) => {
    if (trim.keepTo > trim.keepFrom) keep(disk, dir, file, trim)
    file.truncate(trim.size)
  })
}

const keep = (disk: Disk, dir: string, file: DiskFile, trim: Trim): void => {
  const quarantine = pathIn(dir, quarantineName)
  makeFolder(disk, quarantine)
  const path = pathIn(quarantine, `${trim.name}-${trim.keepFrom}.cut`)
  disk.remove(path)
  closing(disk.open(path, 'create'), (kept) => {
    for (let at = trim.keepFrom; at < trim.keepTo; at += keptChunkBytes) {
      const chunk = new Uint8Array(Math.min(keptChunkBytes, trim.keepTo - at))
      file.read(chunk, at)
      writeAll(kept, chunk, at - trim.keepFrom, 'ENOSPC')
    }
    kept.sync()
  })
  disk.syncFolder(quarantine)
}

/**
 * The greatest size of a copy in bytes. Two consecutive groups together exceed one group's size, so
 * there are few padding gaps.
 */
const copyBytesMax = ({ from, to }: FrameCopy, sectorBytes: number): number => {
  const bytes = to.offset - from.offset
  return bytes + 2 * Math.floor(bytes / groupBytes) * sectorBytes
}

/**
 * Copies frames that nothing proves to be durable into `file`, after the header of the segment that
 * `header` describes, and returns their end. LSN, type and payload stay; salt, CRCs, predecessors
 * and the durable LSN are new. It writes in groups of bounded size.
 * @throws KeelsonError `CORRUPT` if the frames differ from those of the inspection; DiskError
 */
const copyFrames = (
  { disk, dir }: { readonly disk: Disk; readonly dir: string },
  { segment, from, to }: FrameCopy,
  header: SegmentHeader,
  file: DiskFile,
): FrameEnd => {
  const groups = new GroupedFrames(header, (bytes, at) => writeAll(file, bytes, at))
  const { name, header: facts } = segment
  const end = walkFrames(disk, dir, { name, header: facts, from, to }, (frame, cursor) =>
    groups.add(frame.type, cursor.payloadBytes(frame)),
  )
  if (end.lsn !== to.lsn || end.crc !== to.crc) {
    const evidence = 'the inspection saw a whole frame here'
    throw corruption({ file: name, offset: end.offset, lsn: end.lsn + 1, evidence })
  }
  return groups.finish()
}
