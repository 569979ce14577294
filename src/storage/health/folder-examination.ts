/** Examines a data folder that nothing writes: `keelson.json`, then each shard. Changes nothing. */
import { join } from 'node:path'
import { isKeelsonError } from '../../errors.ts'
import {
  type DataFolderReading,
  knownShards,
  readDataFolder,
  shardsPresent,
} from '../disk/data-folder.ts'
import { type LockHolder, readHolder } from '../disk/lock-holder.ts'
import { type Disk, readWhole } from '../ports/disk.ts'
import { factsFileName, lockFileName } from '../ports/folder-layout.ts'
import type { Progress } from '../ports/progress.ts'
import { examiningCache } from './cache-examination.ts'
import type { FolderFacts } from './folder-findings.ts'
import { comparingRows } from './row-comparison.ts'
import { examiningShard, type ShardFacts } from './shard-facts.ts'

/** The folder to examine, and what is known of it from outside. */
export type FolderExamination = Pick<
  FolderFacts,
  'dir' | 'heldBy' | 'access' | 'exposure' | 'disk' | 'lastHolder'
> & {
  /**
   * A folder to make and remove: there the rows are replayed and compared, and blobs are read
   * whole. Without it neither is done.
   */
  readonly temporary?: string
}

/** What LOCK says of its present or last holder. @throws DiskError */
export const lastHolderOf = (disk: Disk, dir: string): LockHolder => {
  const path = join(dir, lockFileName)
  if (disk.entry(path)?.kind !== 'file') return {}
  return readHolder(new TextDecoder().decode(readWhole(disk, path)))
}

/**
 * Examines it, and yields its progress.
 * @throws DiskError that is not of one file
 */
export async function* examiningFolder(
  disk: Disk,
  { temporary, ...outside }: FolderExamination,
): AsyncGenerator<Progress, FolderFacts> {
  const { dir, heldBy } = outside
  const described = readingOf(disk, dir)
  const { reading } = described
  const present = shardsPresent(disk, dir)
  const isLive = heldBy !== undefined
  const isDeep = temporary !== undefined
  if (reading.state === 'sound' && reading.facts.cache) {
    const cached = yield* examiningCache(disk, knownShards(dir, reading, present), isLive)
    return { ...outside, ...described, present, shards: [], cached, temporary: [] }
  }
  const shards: ShardFacts[] = []
  for (const known of knownShards(dir, reading, present)) {
    const facts = yield* examiningShard(disk, { ...known, isLive, isDeep })
    if (!isDeep || isLive) shards.push(facts)
    else shards.push(yield* compared(disk, facts, temporary))
  }
  const spare = join(dir, `${factsFileName}.tmp`)
  const leftovers = heldBy === undefined && disk.entry(spare) ? [spare] : []
  return { ...outside, ...described, present, shards, temporary: leftovers }
}

const readingOf = (
  disk: Disk,
  dir: string,
): { readonly reading: DataFolderReading; readonly newer?: string } => {
  try {
    return { reading: readDataFolder(disk, dir) }
  } catch (error) {
    if (!isKeelsonError(error, 'UNSUPPORTED_VERSION')) throw error
    return { reading: { state: 'absent' }, newer: error.message }
  }
}

async function* compared(
  disk: Disk,
  facts: ShardFacts,
  temporary: string,
): AsyncGenerator<Progress, ShardFacts> {
  try {
    const comparison = yield* comparingRows(disk, facts, temporary)
    return { ...facts, ...(comparison && { comparison }) }
  } finally {
    disk.remove(temporary)
  }
}
