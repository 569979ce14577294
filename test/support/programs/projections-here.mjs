// Projections on real files: with `thread` those of the built package, whose commits a thread makes; otherwise those of the
// sources, which commit where they are read.
import { createJiti } from 'jiti'

export const projectionsHere = async (writer) => {
  const { loadLmdb, lmdbProjections, nodeDisk, examineProjection, makeWriter } =
    writer === 'thread' ? await built() : await sources()
  const disk = nodeDisk()
  const examine = async (dir) => examineProjection(disk, dir)
  return lmdbProjections(await loadLmdb(), disk, examine, makeWriter && { makeWriter })
}

const built = async () => {
  const storage = await import('../../../dist/storage/index.js')
  return { ...storage, makeWriter: storage.threadProjectionWriters() }
}

const sources = async () => {
  const jiti = createJiti(import.meta.url, { fsCache: false })
  return {
    ...(await jiti.import('../../../src/storage/lmdb/lmdb-environment.ts')),
    ...(await jiti.import('../../../src/storage/lmdb/lmdb-projection-store.ts')),
    ...(await jiti.import('../../../src/storage/lmdb/lmdb-examination.ts')),
    ...(await jiti.import('../../../src/storage/disk/node-disk.ts')),
  }
}
