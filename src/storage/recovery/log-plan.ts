/**
 * What opening a log has to do, derived from what the inspection found: which segments stay, which frames are written
 * anew, what is cut. It reads once more where one number is missing; it changes nothing.
 */

import type { Predecessor } from '../frames/segment-header.ts'
import { type Disk, pathIn } from '../ports/disk.ts'
import type { Inspection } from '../ports/log-host.ts'
import type { Manifest, ManifestReading } from '../segments/manifest.ts'
import type { LogSegment, SegmentEntry } from '../segments/segment-chain.ts'
import type { SegmentList } from '../segments/segment-list.ts'
import type { FrameCopy } from './frame-copy.ts'
import { findFrameEnd, type LogScan } from './log-scan.ts'
import { examineTail } from './segment-tail.ts'

/** What opening has to do. Plain data; valid as long as nobody changes the folder. */
export type LogPlan = {
  readonly walId: string
  /** The epoch that opening begins. */
  readonly epoch: number
  /** Generation of the MANIFEST to write first; `manifestIsWhole`: there is a file to write it into. */
  readonly generation: number
  readonly manifestIsWhole: boolean
  /** What it said of the checkpoint; it is repeated until the frames found since are durable. */
  readonly promised: Pick<Manifest, 'checkpointLsn' | 'checkpointSegment' | 'lastTime'>
  /** The segments that stay, each up to where its successor will say it ends. */
  readonly chain: readonly LogSegment[]
  /** The segment to make. */
  readonly fresh: { readonly seq: number; readonly baseLsn: number; readonly prev: Predecessor }
  readonly lastLsn: number
  /** Frames that nothing proves to be durable, to be written anew into the fresh segment. */
  readonly copy?: FrameCopy
  readonly setAside: readonly string[]
  /** Segments to cut to `size`, and the bytes of theirs to keep in quarantine before. */
  readonly trims: readonly Trim[]
  readonly lastTime: number
  readonly checkpointLsn: number
  readonly tail: Inspection['tail']
  readonly cutBytes: number
}

/** A segment to cut, and what to keep of the rest; nothing when `keepTo` is `keepFrom`. */
export type Trim = {
  readonly name: string
  readonly size: number
  readonly keepFrom: number
  readonly keepTo: number
}

/** What was found, before it was judged. */
export type Findings = {
  readonly dir: string
  readonly list: SegmentList
  readonly manifest: ManifestReading
  readonly newest: SegmentEntry
  readonly scan: LogScan
}

/** How far the log is durable outside: what MANIFEST and CHECKPOINT frames say. */
export const checkpointOf = ({ manifest, scan }: Findings): number =>
  Math.max(manifest.manifest?.checkpointLsn ?? 0, scan.checkpointLsn)

/** What opening has to do about a log that was found as `findings` say, and whose end is `tail`, proven up to `provenLsn`. */
export const planOf = (
  disk: Disk,
  findings: Findings,
  tail: Inspection['tail'],
  provenLsn: number,
  epoch: number,
): LogPlan => {
  const { dir, list, manifest, newest, scan } = findings
  const { end } = scan
  const { header } = newest
  const bytesBehind = scan.tail.usedEnd - end.offset
  // A segment without a frame is taken back: the fresh one gets its number, its name and its predecessor.
  const isEmpty = end.lsn < header.baseLsn && bytesBehind === 0
  const proven = provenLsn === end.lsn ? end : findFrameEnd(disk, dir, newest, provenLsn)
  const prev = isEmpty
    ? header.prev
    : { seq: header.seq, lastLsn: proven.lsn, endOffset: proven.offset, lastCrc: proven.crc }
  const chain = chainOf(isEmpty ? list.segments.slice(0, -1) : list.segments, prev)
  return {
    walId: header.walId,
    epoch,
    generation: (manifest.manifest?.generation ?? 1) + 1,
    manifestIsWhole: manifest.whole,
    promised: promisedBy(findings),
    chain,
    fresh: {
      seq: isEmpty ? header.seq : header.seq + 1,
      baseLsn: prev.lastLsn + 1,
      prev,
    },
    lastLsn: end.lsn,
    ...(proven.lsn < end.lsn ? { copy: { segment: newest, from: proven, to: end } } : {}),
    setAside: list.setAside,
    trims: trimsOf(disk, findings, chain),
    lastTime: Math.max(manifest.manifest?.lastTime ?? 0, scan.lastTime),
    checkpointLsn: checkpointOf(findings),
    tail,
    cutBytes: tail === 'torn' ? bytesBehind : 0,
  }
}

const promisedBy = ({ manifest, list, newest }: Findings): LogPlan['promised'] => {
  const { checkpointLsn, checkpointSegment, lastTime } = manifest.manifest ?? {
    checkpointLsn: 0,
    checkpointSegment: (list.segments[0] ?? newest).header.seq,
    lastTime: 0,
  }
  return { checkpointLsn, checkpointSegment, lastTime }
}

const chainOf = (segments: readonly SegmentEntry[], last: Predecessor): LogSegment[] =>
  segments.map(({ name, header }, index) => {
    const { lastLsn, endOffset, lastCrc } = segments[index + 1]?.header.prev ?? last
    return { name, header, lastLsn, endOffset, lastCrc }
  })

const trimsOf = (disk: Disk, findings: Findings, chain: readonly LogSegment[]): Trim[] => {
  const { dir, list, newest, scan } = findings
  return chain.flatMap((segment, index) => {
    const entry = list.segments[index]
    if (!entry || entry.size <= segment.endOffset) return []
    const { name, endOffset: size } = segment
    if (entry === newest)
      return [{ name, size, keepFrom: scan.end.offset, keepTo: scan.tail.usedEnd }]
    return [{ name, size, keepFrom: size, keepTo: usedEndOf(disk, dir, entry, segment) }]
  })
}

const usedEndOf = (disk: Disk, dir: string, entry: SegmentEntry, segment: LogSegment): number => {
  const file = disk.open(pathIn(dir, entry.name), 'read')
  try {
    const end = { offset: segment.endOffset, lsn: segment.lastLsn, crc: segment.lastCrc }
    return examineTail(file, entry.header, end, entry.size).usedEnd
  } finally {
    file.close()
  }
}
