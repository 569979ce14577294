/** A process that dies during commits leaves a sound projection that shows exactly its position. */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { seededRandom } from '../../../src/clock.ts'
import { nodeDisk } from '../../../src/storage/disk/node-disk.ts'
import { loadLmdb } from '../../../src/storage/lmdb/lmdb-environment.ts'
import { examineProjection } from '../../../src/storage/lmdb/lmdb-examination.ts'
import { lmdbProjections } from '../../../src/storage/lmdb/lmdb-projection-store.ts'
import { childProgram } from '../../support/commands/child-program.ts'
import { rowsAt } from '../../support/models/projection-history.ts'
import { tempFolder } from '../../support/temp-folder.ts'
import { plain } from '../../support/worlds/projection-rows.ts'

test.each(['store', 'thread'])(
  'what the %s had committed when the process was killed is there, and nothing half',
  async (writer) => {
    const seed = Number(process.env.KEELSON_SEED ?? 1)
    const random = seededRandom(seed)
    const disk = nodeDisk()
    const dir = join(tempFolder(), 'lmdb')
    const projections = lmdbProjections(await loadLmdb(), disk, (path) =>
      Promise.resolve(examineProjection(disk, path)),
    )
    let reported = 0
    for (let round = 0; round < 6; round++) {
      const killAt = reported + 1 + Math.floor(random() * 80)
      const child = childProgram('projection-commits.mjs', [dir, writer], (line) => {
        reported = Number(line)
        if (reported >= killAt) child.process.kill('SIGKILL')
      })
      expect((await child.ended).signal, child.stderr()).toBe('SIGKILL')

      const about = `seed ${seed}, round ${round}`
      const examination = await projections.examine(dir)
      expect(examination, about).toMatchObject({ state: 'sound' })
      const store = projections.open(dir)
      const lsn = store.position()?.lsn ?? 0
      expect(lsn, about).toBeGreaterThanOrEqual(reported)
      const found = new Map([...store.range({})].map(([key, row]) => [key, plain(row)]))
      expect(found, about).toEqual(new Map([...rowsAt(lsn)].map(([key, row]) => [key, plain(row)])))
      await store.close()
      reported = lsn
    }
  },
)
