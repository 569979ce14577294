/** The ports of an instance on this machine: its disk, its threads, LMDB. */
import { type Clock, systemClock } from '../../clock.ts'
import {
  lmdbProjections,
  loadLmdb,
  nodeDisk,
  threadBlobHost,
  threadExaminer,
  threadLogHost,
  threadProjectionWriters,
  threadShardCopier,
  threadSnapshotHosts,
} from '../../storage/index.ts'
import type { Ports } from './instance.ts'

/** The ports of this machine. Loads LMDB. */
export const machinePorts = async (clock: Clock): Promise<Ports> => {
  const disk = nodeDisk()
  const openDatabase = await loadLmdb()
  const makeWriter = threadProjectionWriters()
  return {
    disk,
    clock,
    makeHost: threadLogHost,
    makeBlobHost: threadBlobHost,
    makeSnapshotHost: threadSnapshotHosts(),
    copyShard: threadShardCopier,
    projections: lmdbProjections(openDatabase, disk, threadExaminer, {
      clock: systemClock(),
      ...(makeWriter && { makeWriter }),
    }),
  }
}
