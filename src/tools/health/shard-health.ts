/**
 * What a shard's rows can be built from, and the MANIFEST that it can have: the conclusions that
 * findings and repairs are made of. Pure.
 */
import { type Manifest, manifestOf, snapshotsMax } from '../../storage/index.ts'
import { hasNames, type ShardFacts, type SnapshotState } from './shard-facts.ts'

/** The first LSN that the log has, or will have. */
export const firstLsnOf = ({ log }: ShardFacts): number => log.segments[0]?.header.baseLsn ?? 1

/** Whether the log is whole, as far as anything proves. Only then a repair may rely on it. */
export const isLogWhole = ({ log: { found, segments } }: ShardFacts): boolean =>
  found !== undefined && found.verdict !== 'corrupt' && segments.length > 0

/** Whether a snapshot is whole, of this log, and the log goes on from it. */
const isBase = (facts: ShardFacts, { snapshot: { lsn }, position }: SnapshotState): boolean => {
  const { segments, found } = facts.log
  return (
    position !== undefined &&
    position.walId === segments[0]?.header.walId &&
    lsn >= firstLsnOf(facts) - 1 &&
    lsn <= (found?.lastLsn ?? 0)
  )
}

/** The snapshots that rows can be built from, oldest first. */
export const basesOf = (facts: ShardFacts): readonly SnapshotState[] =>
  facts.snapshots.filter((state) => isBase(facts, state))

/** Whether all rows can be built without the projection. */
export const isRebuildable = (facts: ShardFacts): boolean =>
  isLogWhole(facts) && (firstLsnOf(facts) === 1 || basesOf(facts).length > 0)

/** Whether the projection is sound, of this log, and reaches its beginning. */
export const isProjectionUsable = (facts: ShardFacts): boolean => {
  const { projection, log } = facts
  if (projection.state !== 'sound' || projection.position === undefined) return false
  return !log.found?.showsOther && projection.position.lsn >= firstLsnOf(facts) - 1
}

/** Whether the log needs nothing of a snapshot that is not there or damaged. */
export const mayUnname = (facts: ShardFacts): boolean =>
  hasNames(facts.manifest) && isRebuildable(facts)

/**
 * The MANIFEST that the segments and the snapshots prove, or the present one without the names of
 * damaged snapshots; `undefined` if there is nothing to mend, or no safe way to.
 */
export const mendedManifest = (facts: ShardFacts): Manifest | undefined => {
  const { manifest: reading, isLive } = facts
  const { manifest } = reading
  if (isLive || !isLogWhole(facts) || reading.unsupported !== undefined) return undefined
  if (!manifest) return provenManifest(facts)
  const isUnnamed = mayUnname(facts) && facts.snapshots.some(({ fault }) => fault)
  if (!isUnnamed && reading.damagedSlots === 0) return undefined
  const damaged = new Set(
    facts.snapshots.flatMap(({ fault, snapshot }) => (fault ? snapshot.lsn : [])),
  )
  const snapshots = isUnnamed
    ? manifest.snapshots.filter(({ lsn }) => !damaged.has(lsn))
    : manifest.snapshots
  return { ...manifest, generation: manifest.generation + 1, snapshots }
}

/** It states no clean close, so that the next opening copies what nothing else proves. */
const provenManifest = (facts: ShardFacts): Manifest | undefined => {
  const { segments, found } = facts.log
  if (segments.length === 0 || !found) return undefined
  const snapshots = basesOf(facts)
    .map(({ snapshot }) => snapshot)
    .slice(-snapshotsMax)
  return manifestOf(segments, {
    // Creation writes generation 1, and a log with generation 1 may have lost its segments unnoticed.
    generation: 2,
    recoveredLsn: Math.min(found.provenLsn, found.lastLsn),
    checkpointLsn: snapshots.at(-1)?.lsn ?? 0,
    lastTime: found.lastTime,
    snapshots,
  })
}
