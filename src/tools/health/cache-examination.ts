/**
 * Examines a cache, whose logs are in an engine: its projections. The logs that they were made from
 * are not in the folder, so nothing says whether they are right. The next start compares them.
 */
import {
  type CacheOrigin,
  type Disk,
  examiningProjection,
  isLogName,
  type KnownShard,
  labelled,
  type Progress,
  type ProjectionExamination,
} from '../../storage/index.ts'
import { type Finding, finding } from './finding.ts'

/** A shard of a cache, with its projection if it has one. */
export type CachedShard = {
  readonly known: KnownShard
  readonly projection: ProjectionExamination
  /** It has the log of a folder that was moved into the engine. No member reads it. */
  readonly hasOldLog: boolean
}

/** Examines the projections, unless an instance has them open. @throws DiskError */
export function* examiningCache(
  disk: Disk,
  shards: readonly KnownShard[],
  isLive: boolean,
): Generator<Progress, readonly CachedShard[]> {
  if (isLive) return []
  const cached: CachedShard[] = []
  for (const known of shards) {
    const steps = examiningProjection(disk, known.folders.lmdb, 'all')
    const projection = yield* labelled(`the projection of shard ${known.shard}`, steps)
    const { wal } = known.folders
    const hasOldLog = disk.entry(wal)?.kind === 'folder' && disk.list(wal).some(isLogName)
    cached.push({ known, projection, hasOldLog })
  }
  return cached
}

/** The findings about a cache. Nothing in it is needed: no repair moves anything. */
export const cacheFindings = (
  dir: string,
  { cluster, engine }: CacheOrigin,
  shards: readonly CachedShard[],
): Finding[] => [
  finding('folder.cache', {
    file: dir,
    evidence: `keelson.json names the cluster ${cluster} in ${engine}`,
    remedy: shards.some(({ hasOldLog }) => hasOldLog)
      ? 'Keep the folders wal of its shards until a member runs, and remove them then: the engine has their logs.'
      : 'Nothing. The engine has its own tools to examine and back up what it keeps.',
  }),
  ...shards.flatMap(({ known, projection }) =>
    projection.state === 'damaged'
      ? [
          finding('projection.damaged', {
            shard: known.shard,
            file: known.folders.lmdb,
            evidence: projection.evidence,
            remedy: `Remove it, or all of ${dir}: the next start fills the cache again.`,
          }),
        ]
      : [],
  ),
]
