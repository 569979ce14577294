/** The findings about a data folder as a whole, and which of them a repair mends. Pure. */
import { join } from 'node:path'
import {
  confirmedFacts,
  type DataFolderReading,
  factsFileName,
  type LockHolder,
} from '../../storage/index.ts'
import { type CachedShard, cacheFindings } from './cache-examination.ts'
import { type Finding, finding } from './finding.ts'
import type { ShardFacts } from './shard-facts.ts'
import { shardFindings } from './shard-findings.ts'

/** A file that this user cannot use, or that is another user's. */
export type AccessFault = {
  readonly file: string
  readonly evidence: string
  /** It cannot be read or written, so its content is not evidence. */
  readonly isBarred: boolean
}

/** A folder that other users of the machine may use. */
export type Exposure = {
  /** Its permissions. */
  readonly mode: number
  /** The files and folders in it that have permissions for others too. */
  readonly count: number
}

/** The disk under a folder, in bytes. */
export type DiskFacts = {
  readonly isVolatile: boolean
  readonly isNetwork: boolean
  readonly freeBytes: number
}

/** The facts about a data folder. */
export type FolderFacts = {
  readonly dir: string
  readonly reading: DataFolderReading
  /** A newer version wrote `keelson.json`, in its own words. */
  readonly newer?: string
  /** The shards that have a folder. */
  readonly present: readonly number[]
  /** The shards that were examined. */
  readonly shards: readonly ShardFacts[]
  /** The process that has the folder open, in one line. */
  readonly heldBy?: string
  /** Instead, the shards of a cache. */
  readonly cached?: readonly CachedShard[]
  /** What LOCK says of its last holder. */
  readonly lastHolder: LockHolder
  /** Leftovers beside the shards. */
  readonly temporary: readonly string[]
  readonly access: readonly AccessFault[]
  readonly exposure?: Exposure
  readonly disk: DiskFacts
}

/** All findings: those of the folder, then those of each shard. */
export const folderFindings = (facts: FolderFacts): Finding[] => {
  const { dir, reading, shards, cached = [] } = facts
  const cache = reading.state === 'sound' && reading.facts.cache
  const logs = reading.state === 'sound' ? reading.facts.logs : undefined
  const findings = [
    ...describedFindings(facts),
    ...placeFindings(facts),
    ...(cache ? cacheFindings(dir, cache, cached) : []),
    ...shards.flatMap((shard) => shardFindings({ ...shard, dir, logs })),
  ]
  return findings.map((each) => (mayRepair(facts, each) ? each : { ...each, repair: [] }))
}

/** Nothing is repaired by guess: what cannot be read, or may belong elsewhere, is left as it is. */
const mayRepair = ({ access, reading }: FolderFacts, { code }: Finding): boolean =>
  !access.some(({ isBarred }) => isBarred) && (reading.state === 'sound' || code === 'folder.facts')

const describedFindings = (facts: FolderFacts): Finding[] => {
  const { dir, reading, newer, heldBy } = facts
  const file = join(dir, factsFileName)
  const held = heldBy
    ? [
        finding('folder.held', {
          file: dir,
          evidence: heldBy,
          remedy: 'End the instance and examine the folder again, or its backup.',
        }),
      ]
    : []
  if (newer !== undefined) {
    const remedy = 'Use the version of Keelson that wrote it.'
    return [...held, finding('folder.newer', { file, evidence: newer, remedy })]
  }
  if (reading.state === 'absent') return [...held, undescribed(facts, file)]
  if (reading.state === 'damaged') return [...held, misdescribed(facts, file, reading)]
  const { shards, swap } = reading.facts
  return [
    ...held,
    ...(swap === undefined
      ? []
      : [
          finding('folder.swap', {
            file,
            evidence: `it says that ${swap} gets another folder`,
            remedy: `Complete it: keelson reshard ${swap}`,
          }),
        ]),
    ...strayShards(facts, shards),
  ]
}

/** The text in LOCK of a process that copies into the folder, until it has ended. */
const copies = ['restoring', 'salvaging', 'backupOf'] as const

const undescribed = (facts: FolderFacts, file: string): Finding => {
  const { dir, shards, lastHolder } = facts
  const work = copies.find((name) => lastHolder[name] !== undefined)
  if (work)
    return finding('folder.unfinished', {
      file: dir,
      evidence: `LOCK says: ${work} ${String(lastHolder[work])}`,
      remedy: `Remove ${dir}, and do that again.`,
    })
  if (shards.every(isEmpty))
    return finding('folder.unmade', {
      file: dir,
      evidence: 'there is no keelson.json, and no frame in any log',
      remedy: `Nothing: start makes it. Or remove ${dir}.`,
    })
  return finding('folder.undescribed', { file, evidence: 'it is missing', remedy: describing(dir) })
}

const describing = (dir: string): string =>
  `Put the file back from a copy of the folder, or restore a backup: keelson restore BACKUP --to DIR2. Without one: keelson wal salvage ${dir} --to DIR2, if all shards are there.`

const isEmpty = ({ log, snapshots, projection }: ShardFacts): boolean =>
  (log.found?.frames ?? 0) === 0 &&
  snapshots.length === 0 &&
  (projection.state === 'absent' || (projection.state === 'sound' && projection.rows === 0))

const misdescribed = (
  facts: FolderFacts,
  file: string,
  { evidence, claims }: Extract<DataFolderReading, { state: 'damaged' }>,
): Finding => {
  const { dir, present, shards, heldBy } = facts
  const logs = shards.map(({ log }) => log.found?.walId ?? '')
  const isSafe = heldBy === undefined && shards.length === present.length
  const confirmed = isSafe && claims ? confirmedFacts(claims, logs) : undefined
  return finding('folder.facts', {
    file,
    evidence,
    remedy: confirmed
      ? `keelson doctor ${dir} --repair writes it again: the shards and their logs confirm it.`
      : describing(dir),
    repair: confirmed ? [{ kind: 'facts', dir, facts: confirmed }] : [],
  })
}

const strayShards = ({ dir, present }: FolderFacts, count: number): Finding[] =>
  present
    .filter((shard) => shard >= count)
    .map((shard) =>
      finding('folder.shards', {
        file: join(dir, `shard-${shard}`),
        evidence: `keelson.json names ${count} shards`,
        remedy: 'Find out where it comes from, then move it away.',
      }),
    )

/** Less than this is free: a snapshot, or a few segments, may not fit. */
const freeBytesMin = 256 * 1024 * 1024

const placeFindings = (facts: FolderFacts): Finding[] => {
  const { dir, reading, disk, access, exposure, temporary } = facts
  const findings: Finding[] = access.map(({ file, evidence }) =>
    finding('folder.access', {
      file,
      evidence,
      remedy: `Give the folder to the user that runs Keelson: chown -R USER ${dir} && chmod -R u+rwX ${dir}`,
    }),
  )
  if (exposure)
    findings.push(
      finding('folder.open', {
        file: dir,
        evidence: `its mode is 0${exposure.mode.toString(8)}, and ${exposure.count} files and folders in it are open to others too`,
        remedy: `Leave it to its user: chmod -R go= ${dir}`,
      }),
    )
  for (const file of temporary)
    findings.push(
      finding('leftover.temporary', {
        file,
        evidence: 'the work that made it did not end',
        remedy: `keelson doctor ${dir} --repair removes it. So does the next start.`,
        repair: [{ kind: 'remove', path: file }],
      }),
    )
  const isCache = reading.state === 'sound' && reading.facts.cache !== undefined
  // A cache may be lost.
  if (disk.isVolatile && !isCache)
    findings.push(
      finding('disk.memory', {
        file: dir,
        evidence: 'its file system is tmpfs',
        remedy: 'Move it to a disk, unless it may be lost.',
      }),
    )
  if (disk.isNetwork)
    findings.push(
      finding('disk.network', {
        file: dir,
        evidence: 'its file system is one of a network',
        remedy: 'Move it to a disk of this machine.',
      }),
    )
  if (disk.freeBytes < freeBytesMin)
    findings.push(
      finding('disk.space', {
        file: dir,
        evidence: `${disk.freeBytes} bytes are free, and a start and a snapshot may need ${freeBytesMin}`,
        remedy: 'Free space on the disk.',
      }),
    )
  return findings
}
