/** The findings about a shard's log and its MANIFEST. Pure. */
import { join } from 'node:path'
import { factsFileName } from '../disk/data-folder.ts'
import { manifestName } from '../segments/log-folder.ts'
import { type Finding, finding, type RepairStep, repairing, restoring } from './finding.ts'
import type { PlacedFacts } from './shard-facts.ts'
import { basesOf, isOfEarlierEpoch, mendedManifest } from './shard-health.ts'

/** The findings about the log alone. */
export const logFindings = (facts: PlacedFacts): Finding[] => {
  const { folders, log, logs, shard, dir } = facts
  const { found, refused } = log
  const file = folders.wal
  if (refused?.code === 'UNSUPPORTED_VERSION')
    return [finding('folder.newer', { file, evidence: refused.message, remedy: newer })]
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
  return [...damageOf(facts), ...endOf(facts), ...remarksOf(facts)]
}

const newer = 'Use the version of Keelson that wrote it.'

const damageOf = (facts: PlacedFacts): Finding[] => {
  const { folders, floor, log, dir } = facts
  const { found } = log
  if (!found) return []
  const isShorter = found.provenBy === factsFileName && found.lost.length > 0
  if (isShorter || isOfEarlierEpoch(facts))
    return [
      finding('log.older', {
        file: folders.wal,
        evidence: `keelson.json names epoch ${floor?.epoch} and lsn ${floor?.lsn}, the log has epoch ${found.epoch} and lsn ${found.lastLsn}`,
        remedy: `Put its newest files back if they are anywhere. ${restoring(dir)}`,
      }),
    ]
  const places = found.damage.map(({ file, offset, lsn, evidence }) =>
    finding('log.damaged', {
      file: join(folders.wal, file),
      evidence: `offset ${offset}, lsn ${lsn}: ${evidence}`,
      remedy: restoring(dir),
    }),
  )
  if (found.lost.length === 0) return places
  const ranges = found.lost.map(({ from, to }) => (from === to ? `${from}` : `${from} to ${to}`))
  const evidence = `lsn ${ranges.join(', ')}; ${found.provenBy} proves that they were durable`
  return [...places, finding('log.lost', { file: folders.wal, evidence, remedy: restoring(dir) })]
}

const endOf = ({ folders, log: { found } }: PlacedFacts): Finding[] => {
  if (!found?.torn || found.verdict === 'corrupt') return []
  const { file, offset, lsn, bytes } = found.torn
  return [
    finding('log.torn', {
      file: join(folders.wal, file),
      evidence: `${bytes} bytes from offset ${offset} on, where lsn ${lsn} would be`,
      remedy: 'Nothing: the next start cuts it, and keeps the bytes in quarantine.',
    }),
  ]
}

/** MANIFEST and projection have findings of their own. */
const remarksOf = ({ dir, folders, log: { found } }: PlacedFacts): Finding[] =>
  (found?.remarks ?? [])
    .filter((remark) => !remark.startsWith(manifestName) && !remark.startsWith('the projection'))
    .map((evidence) =>
      finding('log.odd', {
        file: folders.wal,
        evidence,
        remedy: `Nothing has to be done. Make a backup: keelson backup ${dir} --to BACKUP.`,
      }),
    )

/** Writes the MANIFEST that the rest of the shard proves, if there is one. */
export const manifestStep = (facts: PlacedFacts): RepairStep[] => {
  const manifest = mendedManifest(facts)
  return manifest ? [{ kind: 'manifest', dir: facts.folders.wal, manifest }] : []
}

/** The findings about the MANIFEST of the log. */
export const manifestFindings = (facts: PlacedFacts): Finding[] => {
  const { manifest, folders, log, dir } = facts
  const file = join(folders.wal, manifestName)
  if (manifest.unsupported !== undefined || (!log.found && !manifest.exists)) return []
  if (manifest.manifest && manifest.damagedSlots === 0) return []
  const repair = manifestStep(facts)
  const mend =
    repair.length > 0
      ? `${repairing(dir)} writes it anew from the segments and the snapshots that are whole.`
      : `It cannot be written anew from this log. ${restoring(dir)}`
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
