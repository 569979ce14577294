/**
 * The plan of an opening, derived from the findings of the inspection: segments to keep, frames to
 * copy, bytes to cut. It reads once more if one LSN is missing, and changes nothing.
 */

import type { ChainStretch, History } from '../commitments/history.ts'
import { segmentStart } from '../frames/frame-cursor.ts'
import type { Predecessor } from '../frames/segment-header.ts'
import { type Disk, pathIn } from '../ports/disk.ts'
import type { Inspection } from '../ports/log-host.ts'
import type { Manifest, ManifestReading } from '../segments/manifest.ts'
import type { LogSegment, SegmentEntry } from '../segments/segment-chain.ts'
import type { SegmentList } from '../segments/segment-list.ts'
import type { FrameCopy } from './frame-copy.ts'
import { findFrameEnd, type LogScan } from './log-scan.ts'
import { examineTail } from './segment-tail.ts'

/** The plan of an opening. Plain data; valid while the folder does not change. */
export type LogPlan = {
  readonly walId: string
  /** The epoch that the opening begins. */
  readonly epoch: number
  /**
   * The generation of the MANIFEST to write first. `manifestIsWhole`: it can be written in place.
   */
  readonly generation: number
  readonly manifestIsWhole: boolean
  /**
   * The facts about checkpoint and snapshots in the old MANIFEST. They are repeated until the
   * frames found since are durable.
   */
  readonly promised: Pick<
    Manifest,
    'checkpointLsn' | 'checkpointSegment' | 'lastTime' | 'snapshots'
  >
  /** The segments to keep. Each ends where its successor will say. */
  readonly chain: readonly LogSegment[]
  /** The segment to make. */
  readonly fresh: { readonly seq: number; readonly baseLsn: number; readonly prev: Predecessor }
  readonly lastLsn: number
  /** Frames that nothing proves to be durable, to copy into the fresh segment. */
  readonly copy?: FrameCopy
  readonly setAside: readonly string[]
  /** Segments to cut to `size`, and their bytes to save to quarantine before. */
  readonly trims: readonly Trim[]
  readonly lastTime: number
  readonly checkpointLsn: number
  readonly tail: Inspection['tail']
  readonly cutBytes: number
  /** The chain of commitments; absent if the log has none. */
  readonly history?: History
}

/** A segment to cut and the bytes to save; none if `keepTo` equals `keepFrom`. */
export type Trim = {
  readonly name: string
  readonly size: number
  readonly keepFrom: number
  readonly keepTo: number
}

/** The findings of an inspection, before they are judged. */
export type Findings = {
  readonly dir: string
  readonly list: SegmentList
  readonly manifest: ManifestReading
  readonly newest: SegmentEntry
  readonly scan: LogScan
}

/** The LSN up to which the log is durable outside, from MANIFEST and CHECKPOINT frames. */
export const checkpointOf = ({ manifest, scan }: Findings): number =>
  Math.max(manifest.manifest?.checkpointLsn ?? 0, scan.checkpointLsn)

/**
 * The plan for a log with these findings. `tail` is its end; frames up to `provenLsn` are proven.
 */
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
  // A segment without frames is taken back: the fresh one gets its number, name and predecessor.
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

/**
 * The stretches of frames that the plan keeps. Those to copy belong to the life that begins, which
 * may commit to its groups.
 */
export const stretchesOf = ({ chain, copy }: LogPlan, commits: boolean): ChainStretch[] => {
  const kept = chain.map(({ name, header, lastLsn: lsn, endOffset: offset }) => ({
    name,
    header,
    from: segmentStart(header),
    to: { offset, lsn },
    commits: header.chain?.commits ?? false,
  }))
  if (!copy) return kept
  const { segment, from, to } = copy
  return [...kept, { name: segment.name, header: segment.header, from, to, commits }]
}

const promisedBy = ({ manifest, list, newest }: Findings): LogPlan['promised'] => {
  const { checkpointLsn, checkpointSegment, lastTime, snapshots } = manifest.manifest ?? {
    checkpointLsn: 0,
    checkpointSegment: (list.segments[0] ?? newest).header.seq,
    lastTime: 0,
    snapshots: [],
  }
  return { checkpointLsn, checkpointSegment, lastTime, snapshots }
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
