/**
 * The first phase of opening a log: look at everything, change nothing, and say what the second phase is to do. Damage
 * that is not a torn tail is thrown here, while the folder is still as it was found.
 */
import type { Disk } from './disk.ts'
import type { FrameEnd } from './frame-cursor.ts'
import { corruption, refusing, unsupported } from './log-errors.ts'
import { manifestName, pathIn } from './log-folder.ts'
import type { Evidence, Inspection } from './log-host.ts'
import { type EndVerdict, judgeEnd } from './log-recovery.ts'
import { findFrameEnd, type LogScan, scanLog } from './log-scan.ts'
import { type Manifest, type ManifestReading, readManifest } from './manifest.ts'
import { findBreach, type LogSegment, type SegmentEntry } from './segment-chain.ts'
import type { Predecessor } from './segment-header.ts'
import { listSegments, type SegmentList } from './segment-list.ts'
import { examineTail } from './segment-tail.ts'

/** What opening has to do. Plain data; valid as long as nobody changes the folder. */
export type LogPlan = {
  readonly walId: string
  /** The epoch that opening begins. */
  readonly epoch: number
  /** Generation of the MANIFEST to write first; `manifestIsWhole`: there is a file to write it into. */
  readonly generation: number
  readonly manifestIsWhole: boolean
  /** The segments that stay, each up to where its successor will say it ends. */
  readonly chain: readonly LogSegment[]
  /** The segment to make. */
  readonly fresh: { readonly seq: number; readonly baseLsn: number; readonly prev: Predecessor }
  readonly lastLsn: number
  /** Frames that nothing proves to be durable, to be written anew into the fresh segment. */
  readonly copy?: { readonly segment: SegmentEntry; readonly from: FrameEnd; readonly to: FrameEnd }
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
type Findings = {
  readonly dir: string
  readonly list: SegmentList
  readonly manifest: ManifestReading
  readonly newest: SegmentEntry
  readonly scan: LogScan
}

/**
 * Inspects the log in `dir`. `evidence` is what others know of it.
 * @throws KeelsonError `CORRUPT`, `UNSUPPORTED_VERSION`; `SHARD_DOWN` when the disk cannot be read.
 */
export const inspectLog = (
  disk: Disk,
  dir: string,
  evidence: readonly Evidence[] = [],
): Inspection => refusing(() => inspect(disk, dir, evidence))

const inspect = (disk: Disk, dir: string, evidence: readonly Evidence[]): Inspection => {
  const manifest = readManifest(disk, dir)
  if (manifest.unsupported !== undefined)
    throw unsupported(manifestName, { formatVersion: manifest.unsupported })
  const list = listSegments(disk, dir, manifest)
  const newest = list.segments.at(-1)
  if (!newest) return inspectEmpty(manifest.manifest, evidence)
  const breach = findBreach(list.segments, manifest.manifest)
  if (breach)
    throw corruption({ file: breach.name, offset: 0, lsn: breach.lsn, evidence: breach.evidence })
  const scan = scanLog(disk, dir, segmentsToScan(list.segments, manifest.manifest))
  const findings: Findings = { dir, list, manifest, newest, scan }
  refuseMissingStart(findings)
  const verdict = judge(findings, evidence)
  return report(disk, findings, verdict)
}

/** A folder without a segment: new, or its creation was interrupted. Or its segments are gone. */
const inspectEmpty = (
  manifest: Manifest | undefined,
  evidence: readonly Evidence[],
): Inspection => {
  const proof = evidence.find(({ lsn, walId }) => lsn > 0 && (!walId || walId === manifest?.walId))
  // Generation 1 is written when a log is made; from the first opening on it is more.
  const wasOpened = manifest !== undefined && manifest.generation > 1
  if (proof || wasOpened) {
    const source = proof ? proof.source : manifestName
    const lsn = proof?.lsn ?? manifest?.newest.baseLsn ?? 1
    throw corruption({
      file: manifestName,
      offset: 0,
      lsn,
      evidence: `${source} knows of segments, and there is none`,
    })
  }
  return {
    exists: false,
    epoch: 0,
    lastLsn: 0,
    provenLsn: 0,
    hasFrames: false,
    tail: 'clean',
    cutBytes: 0,
    remarks: [],
    plan: null,
  }
}

/** From the checkpoint on; before it, headers and what successors say are enough, and readers verify what they read. */
const segmentsToScan = (
  segments: readonly SegmentEntry[],
  manifest: Manifest | undefined,
): readonly SegmentEntry[] => {
  const from = segments.findIndex(({ header }) => header.seq === manifest?.checkpointSegment)
  return from > 0 ? segments.slice(from) : segments
}

const checkpointOf = ({ manifest, scan }: Findings): number =>
  Math.max(manifest.manifest?.checkpointLsn ?? 0, scan.checkpointLsn)

const refuseMissingStart = (findings: Findings): void => {
  const [first] = findings.list.segments
  if (!first || first.header.baseLsn - 1 <= checkpointOf(findings)) return
  throw corruption({
    file: first.name,
    offset: 0,
    lsn: 1,
    evidence: 'no checkpoint covers the frames before it, and their segments are missing',
  })
}

const judge = (
  findings: Findings,
  evidence: readonly Evidence[],
): Exclude<EndVerdict, { kind: 'corrupt' }> => {
  const { newest, scan } = findings
  const { end, tail } = scan
  const verdict = judgeEnd({
    lastLsn: end.lsn,
    proofs: proofsOf(findings, evidence),
    isShort: newest.size < newest.header.allocatedBytes && !scan.endsMarked,
    isClosed: isClosed(findings),
    hasBytesBehind: tail.usedEnd > end.offset,
  })
  if (verdict.kind !== 'corrupt') return verdict
  throw corruption({
    file: newest.name,
    offset: end.offset,
    lsn: end.lsn + 1,
    evidence: verdict.evidence,
  })
}

/**
 * CLEAN_CLOSE alone is not enough: its sync may have failed, and the page cache shows it all the same. The MANIFEST says
 * `cleanClose` only once that sync had succeeded.
 */
const isClosed = ({ manifest, newest, scan }: Findings): boolean => {
  const named = manifest.manifest?.cleanClose
  return (
    scan.endsClosed &&
    manifest.manifest?.newest.seq === newest.header.seq &&
    named?.lastLsn === scan.end.lsn &&
    named.endOffset === scan.end.offset
  )
}

const proofsOf = (findings: Findings, evidence: readonly Evidence[]): Evidence[] => {
  const { newest, scan, manifest } = findings
  const promised = manifest.manifest
  const fromManifest = promised && [
    promised.recoveredLsn,
    promised.checkpointLsn,
    promised.newest.baseLsn - 1,
    promised.cleanClose?.lastLsn ?? 0,
  ]
  return [
    { lsn: newest.header.prev.lastLsn, source: 'the header of the newest segment' },
    { lsn: scan.provenLsn, source: 'a later frame' },
    { lsn: scan.checkpointLsn, source: 'a checkpoint' },
    ...(fromManifest ?? []).map((lsn) => ({ lsn, source: manifestName })),
    ...evidence.filter(({ walId }) => walId === undefined || walId === newest.header.walId),
  ]
}

const report = (
  disk: Disk,
  findings: Findings,
  { kind, provenLsn }: Exclude<EndVerdict, { kind: 'corrupt' }>,
): Inspection => {
  const { newest, scan, manifest, list } = findings
  const epoch = Math.max(
    manifest.manifest?.epoch ?? 0,
    ...[list.segments[0], newest].map((segment) => segment?.header.epoch ?? 0),
  )
  const plan = planOf(disk, findings, kind, provenLsn, epoch + 1)
  return {
    exists: true,
    walId: newest.header.walId,
    epoch,
    lastLsn: scan.end.lsn,
    provenLsn,
    hasFrames: scan.end.lsn > 0,
    tail: kind,
    cutBytes: plan.cutBytes,
    remarks: [...list.remarks, ...manifestRemarks(manifest)],
    plan,
  }
}

const manifestRemarks = ({ exists, manifest, damagedSlots }: ManifestReading): string[] => {
  if (!exists) return ['MANIFEST is missing and is made anew']
  if (!manifest) return ['MANIFEST has no readable slot and is made anew']
  return damagedSlots > 0 ? ['MANIFEST has one damaged slot'] : []
}

const planOf = (
  disk: Disk,
  findings: Findings,
  tail: Inspection['tail'],
  provenLsn: number,
  epoch: number,
): LogPlan => {
  const { dir, list, manifest, newest, scan } = findings
  const { end } = scan
  const { header } = newest
  const cutBytes = scan.tail.usedEnd - end.offset
  // A segment without a frame is taken back: the fresh one gets its number, its name and its predecessor.
  const isEmpty = end.lsn < header.baseLsn && cutBytes === 0
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
    cutBytes,
  }
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
