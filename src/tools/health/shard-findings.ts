/** The findings about a shard: what its facts mean, and what to do. Pure. */

import { join } from 'node:path'
import { blobSizesPath, type LogVerification, manifestName, rowTitle } from '../../storage/index.ts'
import { type Finding, finding, type RepairStep, repairing, restoring } from './finding.ts'
import { findingsOfLog, newerLog } from './log-findings.ts'
import { type PlacedFacts, quarantineOf } from './shard-facts.ts'
import {
  basesOf,
  firstLsnOf,
  isLogWhole,
  isProjectionUsable,
  isRebuildable,
  mayUnname,
  mendedManifest,
} from './shard-health.ts'

/** The findings, the log first. */
export const shardFindings = (facts: PlacedFacts): Finding[] => {
  const log = logFindings(facts)
  // Other oddities follow from that: these files do not belong together.
  const isStranger = log.some(({ code }) => code === 'log.stranger')
  const found = isStranger ? log : [...log, ...otherFindings(facts)]
  return found.map((each) => ({ ...each, shard: facts.shard }))
}

const otherFindings = (facts: PlacedFacts): Finding[] => [
  ...floorFindings(facts),
  ...manifestFindings(facts),
  ...snapshotFindings(facts),
  ...stateFindings(facts),
  ...projectionFindings(facts),
  ...blobFindings(facts),
  ...segmentFindings(facts),
  ...leftoverFindings(facts),
]

const floorFindings = (facts: PlacedFacts): Finding[] => {
  const { folders, floorFault: evidence, dir, isLive } = facts
  if (evidence === undefined) return []
  const file = folders.floor
  const repair: RepairStep[] = isLogWhole(facts) && !isLive ? [{ kind: 'remove', path: file }] : []
  const remedy =
    repair.length > 0
      ? `${repairing(dir)} removes it: the log is whole. The next start writes it again.`
      : restoring(dir)
  return [finding('log.floor', { file, evidence, remedy, repair })]
}

const snapshotFindings = (facts: PlacedFacts): Finding[] => {
  if (!facts.manifest.manifest) return []
  return facts.snapshots.flatMap(({ file, snapshot, fault }) => {
    if (!fault) return []
    const aside = fault.isMissing ? [] : [asideStep(facts, file)]
    const repair = mayUnname(facts) && !facts.isLive ? [...manifestStep(facts), ...aside] : []
    const evidence = `lsn ${snapshot.lsn}: ${fault.evidence}`
    return finding(fault.isMissing ? 'snapshot.missing' : 'snapshot.damaged', {
      file,
      evidence,
      remedy: snapshotRemedy(facts, repair.length > 0),
      repair,
    })
  })
}

const snapshotRemedy = (facts: PlacedFacts, isRepaired: boolean): string => {
  const { dir, shard, folders, isLive } = facts
  if (isLive) return `Make another one: control.snapshot(${shard}) at the prompt of the instance.`
  if (isRepaired)
    return `${repairing(dir)} takes its name out of the MANIFEST: the log has what it had. The next one is made when it is due.`
  if (isProjectionUsable(facts))
    return `Make another one of the projection: keelson start --dir ${dir}, then control.snapshot(${shard}). Keep ${folders.lmdb} until then: nothing else has its rows.`
  return restoring(dir)
}

const stateFindings = (facts: PlacedFacts): Finding[] => {
  const { states, hadState, folders, dir } = facts
  const damaged = states.flatMap(({ file, fault }) => {
    if (fault === undefined) return []
    const remedy =
      'Save another one: journal.saveState. Until then the other one is loaded, if any.'
    return [finding('state.damaged', { file, evidence: fault, remedy })]
  })
  const firstLsn = firstLsnOf(facts)
  // With the whole log, a replay from its first entry on gives what a state had.
  const isLost = hadState && firstLsn > 1 && !states.some(({ fault }) => fault === undefined)
  if (!isLost) return damaged
  const evidence = `the log begins with lsn ${firstLsn}`
  const remedy = `Restore a backup: keelson restore BACKUP --to DIR2. Without one, replay what is left: journal.replay({ from: 'oldest' }). Keep ${dir} as it is.`
  return [...damaged, finding('state.lost', { file: folders.snapshots, evidence, remedy })]
}

const asideStep = ({ folders }: PlacedFacts, path: string): RepairStep => ({
  kind: 'set aside',
  path,
  to: quarantineOf(folders),
})

const projectionFindings = (facts: PlacedFacts): Finding[] => {
  if (facts.isLive || !facts.log.found) return []
  const fault = projectionFault(facts)
  const lost = rowsLost(facts)
  return fault ? [fault, ...lost] : [...lost, ...compared(facts)]
}

const projectionFault = (facts: PlacedFacts): Finding | undefined => {
  const { folders, projection, log } = facts
  const file = folders.lmdb
  if (projection.state === 'damaged')
    return ofProjection(facts, 'projection.damaged', projection.evidence)
  if (projection.state === 'loading') return undefined
  if (projection.state === 'absent' || projection.position === undefined)
    return log.found?.dataFrames === 0 && firstLsnOf(facts) === 1
      ? undefined
      : finding('projection.missing', {
          file,
          evidence: 'it has no file, or no position',
          remedy: isRebuildable(facts)
            ? 'Nothing: the next start builds it from a snapshot and the log. That takes some time.'
            : restoring(facts.dir),
        })
  const { walId, lsn } = projection.position
  if (log.found?.showsOther)
    return ofProjection(facts, 'projection.stranger', `it shows lsn ${lsn} of the log ${walId}`)
  const firstLsn = firstLsnOf(facts)
  if (lsn < firstLsn - 1)
    return ofProjection(
      facts,
      'projection.behind',
      `it ends with lsn ${lsn}, and the log begins with ${firstLsn}`,
    )
  return undefined
}

const ofProjection = (
  facts: PlacedFacts,
  code: 'projection.damaged' | 'projection.stranger' | 'projection.behind' | 'projection.different',
  evidence: string,
): Finding => {
  const { dir, folders } = facts
  const remedy = isRebuildable(facts)
    ? `${repairing(dir)} sets it aside, and the next start rebuilds it from a snapshot and the log.`
    : `Keep it: it cannot be rebuilt from the files in this folder. ${restoring(dir)}`
  const repair = isRebuildable(facts) ? [asideStep(facts, folders.lmdb)] : []
  return finding(code, { file: folders.lmdb, evidence, remedy, repair })
}

const rowsLost = (facts: PlacedFacts): Finding[] => {
  const firstLsn = firstLsnOf(facts)
  const isThere = firstLsn === 1 || basesOf(facts).length > 0 || isProjectionUsable(facts)
  if (isThere || !isLogWhole(facts)) return []
  return [
    finding('rows.lost', {
      file: facts.folders.wal,
      evidence: `the log begins with lsn ${firstLsn}`,
      remedy: `Restore a backup: keelson restore BACKUP --to DIR2. Keep ${facts.dir} as it is.`,
    }),
  ]
}

const compared = (facts: PlacedFacts): Finding[] => {
  const { comparison, folders, dir } = facts
  if (!comparison) return []
  if ('failure' in comparison)
    return [
      finding('projection.uncompared', {
        file: folders.lmdb,
        evidence: comparison.failure,
        remedy: `Mend what it says, then compare again: keelson doctor ${dir} --deep`,
      }),
    ]
  const { rows, different, keys } = comparison
  if (different === 0) return []
  const evidence = `${different} of ${rows} rows, among them ${keys.map(rowTitle).join(', ')}`
  return [ofProjection(facts, 'projection.different', evidence)]
}

/** The place of a value: an LSN, a key, or the row of an actor. */
const titleOf = (of: string | number): string => (typeof of === 'string' ? rowTitle(of) : `${of}`)

/** The most keys that a finding names. */
const keysShown = 10

const blobFindings = ({ blobs, dir, folders }: PlacedFacts): Finding[] => {
  const files = new Set(blobs.map(({ file, of }) => `${typeof of}:${file}`))
  return [...files].map((name) => {
    const of = blobs.filter((each) => `${typeof each.of}:${each.file}` === name)
    const [first] = of
    const { file = '', isMissing = false, evidence = '' } = first ?? {}
    const names = of.slice(0, keysShown).map((each) => `${titleOf(each.of)} at ${each.offset}`)
    const more = of.length > keysShown ? `, and ${of.length - keysShown} more` : ''
    const seen = `${names.join(', ')}${more}: ${evidence}`
    if (typeof first?.of === 'number')
      return finding('blob.doubtful', {
        file,
        evidence: `lsn ${seen}`,
        remedy: `Start the folder, then look at the keys: keelson wal dump ${dir} names them.`,
      })
    return finding(isMissing ? 'blob.missing' : 'blob.damaged', {
      file,
      evidence: seen,
      remedy: `Take the values from a backup: keelson restore BACKUP --to DIR2. To start without a lost file, remove ${blobSizesPath(folders.blobs)}. Then put the values again, or delete the keys: until then no backup of this folder can be made.`,
    })
  })
}

/** Segments that are lost, as far as no value has named them already. */
const segmentFindings = ({ blobs, lostSegments, folders }: PlacedFacts): Finding[] =>
  lostSegments
    .filter(({ file }) => !blobs.some((blob) => blob.file === file && typeof blob.of === 'string'))
    .map(({ file, evidence, isMissing }) =>
      finding(isMissing ? 'blob.missing' : 'blob.damaged', {
        file,
        evidence: `${evidence}, and no value that was found refers to what is lost`,
        remedy: `Put the file back, or take it from a backup. To start without it, remove ${blobSizesPath(folders.blobs)}.`,
      }),
    )

const leftoverFindings = (facts: PlacedFacts): Finding[] => [
  ...facts.leftovers.temporary.map((file) => {
    // A snapshot without a name may be all that is left of rows, if those with one are damaged.
    const isOver = !file.endsWith('.snap') || isRebuildable(facts)
    return finding('leftover.temporary', {
      file,
      evidence: 'the work that made it did not end',
      remedy: isOver
        ? `${repairing(facts.dir)} removes it. So does the next start, or the next work of its kind.`
        : `Keep a copy of it until the other findings are fixed.`,
      repair: isOver ? [{ kind: 'remove', path: file }] : [],
    })
  }),
  ...facts.leftovers.quarantines.map((file) =>
    finding('leftover.quarantine', {
      file,
      evidence: 'a repair or a start put them there',
      remedy: 'Remove it when nobody wants to look at it.',
    }),
  ),
]

/** The findings about the log alone. */
const logFindings = (facts: PlacedFacts): Finding[] => {
  const { folders, floor, log, logs, shard, dir } = facts
  const { found, refused } = log
  const file = folders.wal
  if (refused?.code === 'UNSUPPORTED_VERSION') return [newerLog(file, refused.message)]
  if (!found || (log.segments.length === 0 && found.frames === 0 && !facts.manifest.exists))
    return logs
      ? [finding('log.missing', { file, evidence: 'no segment is there', remedy: restoring(dir) })]
      : []
  const owner = logs?.indexOf(found.walId) ?? shard
  if (owner !== shard)
    return [
      finding('log.stranger', {
        file,
        evidence: `it is the log ${found.walId}, expected ${logs?.[shard]}`,
        remedy:
          owner < 0
            ? `Put the folder of shard ${shard} back that belongs here, or restore a backup: keelson restore BACKUP --to DIR2.`
            : `It belongs into shard ${owner}: put the folders of the shards back in their places.`,
      }),
    ]
  return findingsOfLog({
    dir: file,
    found: withoutOwnFindings(found),
    floor,
    restore: restoring(dir),
    secure: `Nothing has to be done. Make a backup: keelson backup ${dir} --to BACKUP.`,
  })
}

/** MANIFEST and projection have findings of their own. */
const withoutOwnFindings = (found: LogVerification): LogVerification => ({
  ...found,
  remarks: found.remarks.filter(
    (remark) => !remark.startsWith(manifestName) && !remark.startsWith('the projection'),
  ),
})

/** Writes the MANIFEST that the rest of the shard proves, if there is one. */
const manifestStep = (facts: PlacedFacts): RepairStep[] => {
  const manifest = mendedManifest(facts)
  return manifest ? [{ kind: 'manifest', dir: facts.folders.wal, manifest }] : []
}

/** The findings about the MANIFEST of the log. */
const manifestFindings = (facts: PlacedFacts): Finding[] => {
  const { manifest, folders, log, dir } = facts
  const file = join(folders.wal, manifestName)
  if (manifest.unsupported !== undefined || (!log.found && !manifest.exists)) return []
  if (manifest.manifest && manifest.damagedSlots === 0) return []
  const repair = manifestStep(facts)
  const mend =
    repair.length > 0
      ? `${repairing(dir)} writes it again, from the segments and the whole snapshots.`
      : `It cannot be written again from this log. ${restoring(dir)}`
  const names = basesOf(facts).map(({ snapshot }) => snapshot.lsn)
  const known = names.length > 0 ? `whole snapshots: of lsn ${names.join(', ')}` : 'no snapshot'
  if (!manifest.exists)
    return [finding('manifest.missing', { file, evidence: known, remedy: mend, repair })]
  if (!manifest.manifest)
    return [
      finding('manifest.damaged', {
        file,
        evidence: `no slot is whole; ${known}`,
        remedy: mend,
        repair,
      }),
    ]
  return [
    finding('manifest.slot', {
      file,
      evidence: 'its checksum does not hold',
      remedy: mend,
      repair,
    }),
  ]
}
