/** The ports of an instance on this machine: its disk, its threads, LMDB. */
import { type Clock, systemClock } from '../clock.ts'
import {
  lmdbProjections,
  loadLmdb,
  nodeDisk,
  threadBlobHost,
  threadLogHost,
  threadProjectionWriters,
} from '../storage/index.ts'
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
    projectionsOn: (host) =>
      lmdbProjections(openDatabase, disk, (dir) => host.run('examineProjection', { dir }), {
        clock: systemClock(),
        ...(makeWriter && { makeWriter }),
      }),
  }
}
