/**
 * The first phase of opening a log: it reads everything, changes nothing, and plans the second
 * phase. Damage other than a torn tail is thrown here, while the folder is unchanged.
 */

import { isKeelsonError } from '../../errors.ts'
import { findHistory } from '../commitments/history.ts'
import { refusing } from '../disk/disk-failure.ts'
import { type Disk, pathIn } from '../ports/disk.ts'
import type { Evidence, Inspection, LogNeeds, RowBase } from '../ports/log-host.ts'
import { corruption, unsupported } from '../segments/log-errors.ts'
import { manifestName } from '../segments/log-folder.ts'
import { type Manifest, type ManifestReading, readManifest } from '../segments/manifest.ts'
import { findBreach, type SegmentEntry } from '../segments/segment-chain.ts'
import { foundAs, listSegments } from '../segments/segment-list.ts'
import { otherThanShown } from './frame-mark.ts'
import { checkpointOf, type Findings, type LogPlan, planOf, stretchesOf } from './log-plan.ts'
import { type EndVerdict, judgeEnd, strayRemark } from './log-recovery.ts'
import { checkLinks, scanLog } from './log-scan.ts'

/**
 * Inspects the log in `dir`. `evidence` is what others prove about it. `commits`: the next life
 * commits to its groups.
 * @throws KeelsonError `CORRUPT`, `UNSUPPORTED_VERSION`; `SHARD_DOWN` if the disk cannot be read
 */
export const inspectLog = (
  disk: Disk,
  dir: string,
  evidence: readonly Evidence[] = [],
  needs?: LogNeeds,
  commits = false,
): Inspection =>
  refusing(() => withHistory(disk, dir, inspect(disk, dir, evidence, needs), commits))

/**
 * Adds the chain of commitments to the plan. With commitments off, a damaged chain is no reason to
 * refuse the log: it ends.
 */
const withHistory = (
  disk: Disk,
  dir: string,
  inspection: Inspection,
  commits: boolean,
): Inspection => {
  const plan = inspection.plan as LogPlan | null
  if (!plan) return inspection
  try {
    const history = findHistory(disk, dir, stretchesOf(plan, commits), commits)
    return history ? { ...inspection, plan: { ...plan, history } } : inspection
  } catch (error) {
    if (commits || !isKeelsonError(error, 'CORRUPT')) throw error
    return { ...inspection, remarks: [...inspection.remarks, error.message] }
  }
}

const inspect = (
  disk: Disk,
  dir: string,
  evidence: readonly Evidence[],
  needs: LogNeeds | undefined,
): Inspection => {
  refuseOtherManifest(disk, dir)
  const manifest = readManifest(disk, dir)
  if (manifest.unsupported !== undefined)
    throw unsupported(manifestName, { formatVersion: manifest.unsupported })
  const list = listSegments(disk, dir, manifest)
  const newest = list.segments.at(-1)
  const { shown } = needs ?? {}
  const claims = shown ? [...evidence, { ...shown, source: 'projection' }] : evidence
  if (!newest) return inspectEmpty(manifest.manifest, claims)
  const breach = findBreach(list.segments, manifest.manifest)
  if (breach)
    throw corruption({ file: breach.name, offset: 0, lsn: breach.lsn, evidence: breach.evidence })
  const other = shown && otherThanShown(disk, dir, list.segments, shown)
  const found = needs?.base && baseOf(list.segments, manifest.manifest, needs, other)
  const readFrom = found ? found.readFrom : readFromBy(needs, other)
  const first = firstToScan(list.segments, manifest.manifest, readFrom)
  checkLinks(disk, dir, list.segments.slice(0, first + 1))
  const unitsFrom = needs?.holdsUnits ? readFrom : undefined
  const scan = scanLog(disk, dir, list.segments.slice(first), unitsFrom)
  const findings: Findings = { dir, list, manifest, newest, scan }
  if (!found) refuseMissingStart(findings, needs)
  const verdict = judge(findings, other ? evidence : claims)
  const answer = { ...report(disk, findings, verdict), ...(found && { base: found.base }) }
  return other ? { ...answer, showsOther: true, remarks: [...answer.remarks, other] } : answer
}

/** What the rows are built from, and the first LSN that has to be read. @throws `CORRUPT` */
const baseOf = (
  segments: readonly SegmentEntry[],
  manifest: Manifest | undefined,
  { shown, base }: LogNeeds,
  other: string | undefined,
): { readonly base: RowBase; readonly readFrom: number } => {
  const [first] = segments
  const firstLsn = first?.header.baseLsn ?? 1
  if (shown && !other && shown.lsn >= firstLsn - 1)
    return { base: { kind: 'projection' }, readFrom: shown.lsn + 1 }
  const snapshot = manifest?.snapshots.findLast(
    ({ lsn }) => lsn >= firstLsn - 1 && !base?.damaged.includes(lsn),
  )
  if (snapshot) return { base: { kind: 'snapshot', snapshot }, readFrom: firstLsn }
  if (firstLsn === 1) return { base: { kind: 'log' }, readFrom: 1 }
  throw corruption({
    file: first?.name ?? manifestName,
    offset: 0,
    lsn: 1,
    evidence: `the log begins with lsn ${firstLsn}, and neither the projection nor a snapshot has what was before`,
  })
}

/** The LSN from which every frame must be valid; `undefined` if recovery decides. */
const readFromBy = (needs: LogNeeds | undefined, other: string | undefined): number | undefined => {
  if (!needs?.shown || other) return needs?.readFrom
  return Math.max(needs.readFrom, needs.shown.lsn + 1)
}

/**
 * A dangling link counts as missing and is replaced. A MANIFEST that cannot be read or replaced is
 * refused, so that a person looks at it.
 */
const refuseOtherManifest = (disk: Disk, dir: string): void => {
  const kind = disk.entry(pathIn(dir, manifestName))?.kind
  if (kind === undefined || kind === 'file') return
  const evidence = `expected a file, found ${foundAs(kind)}`
  throw corruption({ file: manifestName, offset: 0, lsn: 1, evidence })
}

/** A folder without segments: it is new, its creation was interrupted, or its segments are lost. */
const inspectEmpty = (
  manifest: Manifest | undefined,
  evidence: readonly Evidence[],
): Inspection => {
  const proof = evidence.find(({ lsn, walId }) => lsn > 0 && (!walId || walId === manifest?.walId))
  // Creation writes generation 1. From the first opening on it is higher.
  const wasOpened = manifest !== undefined && manifest.generation > 1
  if (proof || wasOpened) {
    const source = proof ? proof.source : manifestName
    const lsn = proof?.lsn ?? manifest?.newest.baseLsn ?? 1
    throw corruption({
      file: manifestName,
      offset: 0,
      lsn,
      evidence: `${source} names segments, but there are none`,
    })
  }
  return {
    exists: false,
    epoch: 0,
    firstLsn: 1,
    lastLsn: 0,
    provenLsn: 0,
    hasFrames: false,
    tail: 'clean',
    cutBytes: 0,
    snapshots: [],
    remarks: [],
    plan: null,
  }
}

/**
 * The scan begins at the checkpoint, or earlier if a reader starts there. Before that, headers and
 * the links between segments are checked, and readers verify the frames that they read.
 */
const firstToScan = (
  segments: readonly SegmentEntry[],
  manifest: Manifest | undefined,
  readFrom: number | undefined,
): number => {
  const checkpoint = segments.findIndex(({ header }) => header.seq === manifest?.checkpointSegment)
  const behind = segments.findIndex(({ header }) => header.baseLsn > (readFrom ?? Infinity))
  const reader = readFrom === undefined || behind < 0 ? segments.length - 1 : behind - 1
  return Math.max(0, Math.min(checkpoint, reader))
}

const refuseMissingStart = (findings: Findings, needs: LogNeeds | undefined): void => {
  const [first] = findings.list.segments
  const heldFrom = needs?.heldFrom ?? checkpointOf(findings) + 1
  if (!first || first.header.baseLsn <= heldFrom) return
  throw corruption({
    file: first.name,
    offset: 0,
    lsn: 1,
    evidence: 'segments before it are missing, and nothing else holds their frames',
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
 * CLEAN_CLOSE alone is not enough: its sync may have failed although the page cache shows it. The
 * MANIFEST has `cleanClose` only after that sync succeeded.
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
    firstLsn: (list.segments[0] ?? newest).header.baseLsn,
    lastLsn: scan.end.lsn,
    provenLsn,
    hasFrames: scan.end.lsn > 0,
    tail: kind,
    cutBytes: plan.cutBytes,
    snapshots: manifest.manifest?.snapshots ?? [],
    remarks: [
      ...list.remarks,
      ...manifestRemarks(manifest),
      ...strayRemarks(findings, kind),
      ...diskRemarks(disk, findings.dir),
    ],
    plan,
  }
}

const strayRemarks = ({ newest, scan }: Findings, tail: Inspection['tail']): string[] => {
  const bytes = scan.tail.usedEnd - scan.end.offset
  return tail === 'clean' && bytes > 0 ? [strayRemark(newest.name, bytes)] : []
}

const diskRemarks = (disk: Disk, dir: string): string[] =>
  disk.isVolatile(dir)
    ? ['the folder is in memory (tmpfs): nothing in it survives a power cut, whatever is synced']
    : []

const manifestRemarks = ({ exists, manifest, damagedSlots }: ManifestReading): string[] => {
  if (!exists) return ['MANIFEST is missing and is made anew']
  if (!manifest) return ['MANIFEST has no readable slot and is made anew']
  return damagedSlots > 0 ? ['MANIFEST has one damaged slot'] : []
}
