/** The layout of a data folder: the names of its files, and the paths of its shards. Pure. */
import { join } from 'node:path'

/** The lock of the data folder. Each wal folder has a lock of the same name. */
export const lockFileName = 'LOCK'

/** Whether a file is the lock, or something beside it that belongs to it. */
export const isLockName = (name: string): boolean =>
  name === lockFileName || name.startsWith(`${lockFileName}.`)

/** The file that describes a data folder. */
export const factsFileName = 'keelson.json'

/** The file that says how far the log of a shard reaches at least. */
export const floorFileName = 'floor.json'

/** The folders of one shard. */
export type ShardFolders = {
  readonly path: string
  readonly wal: string
  readonly lmdb: string
  readonly blobs: string
  readonly snapshots: string
  /** How far its log reaches at least. */
  readonly floor: string
  /** Of a cache: the note of the end of the log in the engine. */
  readonly end: string
}

/** The folders of a shard in the data folder `dir`. */
export const shardFolder = (dir: string, shard: number): ShardFolders => {
  const path = join(dir, `shard-${shard}`)
  return {
    path,
    wal: join(path, 'wal'),
    lmdb: join(path, 'lmdb'),
    blobs: join(path, 'blobs'),
    snapshots: join(path, 'snapshot'),
    floor: join(path, floorFileName),
    end: join(path, 'end.json'),
  }
}
