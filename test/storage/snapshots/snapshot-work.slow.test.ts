/** The work on snapshots in this thread: with LMDB, and with the memory double on a simulated disk. */
import { systemClock } from '../../../src/clock.ts'
import { nodeDisk } from '../../../src/storage/disk/node-disk.ts'
import { loadLmdb } from '../../../src/storage/lmdb/lmdb-environment.ts'
import { examineProjection } from '../../../src/storage/lmdb/lmdb-examination.ts'
import { lmdbProjections } from '../../../src/storage/lmdb/lmdb-projection-store.ts'
import { lmdbSnapshotSource } from '../../../src/storage/lmdb/lmdb-snapshot-source.ts'
import { lmdbSnapshotTarget } from '../../../src/storage/lmdb/lmdb-snapshot-target.ts'
import { SnapshotWork } from '../../../src/storage/snapshots/snapshot-work.ts'
import { SimulatedMachine } from '../../../src/testing/simulated/simulated-machine.ts'
import { snapshotHostContract } from '../../contracts/snapshot-host.contract.ts'
import { tempFolder } from '../../support/temp-folder.ts'

const openDatabase = await loadLmdb()

snapshotHostContract('LMDB and its files', async () => {
  const disk = nodeDisk()
  const within = (transaction: () => void) => transaction()
  return {
    disk,
    dir: tempFolder(),
    projections: lmdbProjections(openDatabase, disk, (dir) =>
      Promise.resolve(examineProjection(disk, dir)),
    ),
    makeHost: () =>
      new SnapshotWork({
        disk,
        clock: systemClock(),
        projections: {
          source: (dir) => lmdbSnapshotSource(disk, dir),
          target: (dir, isOurs) => lmdbSnapshotTarget({ openDatabase, disk, within }, dir, isOurs),
        },
      }),
    during: (work) => work,
    release: () => Promise.resolve(),
  }
})

snapshotHostContract('the memory double and the simulated disk', async () => {
  const machine = new SimulatedMachine()
  const { disk, clock, projections } = machine
  disk.makeFolder('/data')
  return {
    disk,
    dir: '/data',
    projections,
    makeHost: () => new SnapshotWork({ disk, clock, projections }),
    during: (work) => machine.during(work),
    release: () => Promise.resolve(),
  }
})
