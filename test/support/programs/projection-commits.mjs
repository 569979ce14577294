// Commits into a projection for as long as it lives, and reports each LSN on pipe 3 once its commit has returned.
// Argument: the projection's folder. What commit n changes follows from n alone, so that whoever killed this
// process can tell what there has to be.
import { writeSync } from 'node:fs'
import { createJiti } from 'jiti'

const [dir] = process.argv.slice(2)
const jiti = createJiti(import.meta.url, { fsCache: false })
const { lmdbProjections } = await jiti.import('../../../src/storage/lmdb-projection-store.ts')
const { nodeDisk } = await jiti.import('../../../src/storage/node-disk.ts')
const { changesOf } = await jiti.import('../projection-history.ts')

const store = lmdbProjections(nodeDisk(), () => Promise.reject(new Error('not used'))).open(dir)
for (let lsn = (store.position()?.lsn ?? 0) + 1; ; lsn++) {
  store.commit(changesOf(lsn), { walId: '11'.repeat(16), epoch: 1, lsn })
  writeSync(3, `${lsn}\n`)
}
