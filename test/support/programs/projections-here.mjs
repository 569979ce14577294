// Projections of the built package on real files: with `thread` a thread commits, otherwise they commit where they are read.
import {
  examineProjection,
  lmdbProjections,
  loadLmdb,
  nodeDisk,
  threadProjectionWriters,
} from '../../../dist/storage/index.js'

export const projectionsHere = async (writer) => {
  const disk = nodeDisk()
  const examine = async (dir) => examineProjection(disk, dir)
  const makeWriter = writer === 'thread' ? threadProjectionWriters() : undefined
  return lmdbProjections(await loadLmdb(), disk, examine, makeWriter && { makeWriter })
}
