// Commits into a projection for as long as it lives, and reports each LSN on pipe 3 once its commit has returned.
// Arguments: the projection's folder, and `thread` when a thread is to commit. What commit n changes follows from n alone, so that whoever killed this
// process can tell what there has to be.
import { writeSync } from 'node:fs'
import { createJiti } from 'jiti'
import { projectionsHere } from './projections-here.mjs'

const [dir, writer] = process.argv.slice(2)
const jiti = createJiti(import.meta.url, { fsCache: false })
const { changesOf } = await jiti.import('../models/projection-history.ts')

const store = (await projectionsHere(writer)).open(dir)
for (let lsn = (store.position()?.lsn ?? 0) + 1; ; lsn++) {
  await store.commit(changesOf(lsn), { walId: '11'.repeat(16), epoch: 1, lsn })
  writeSync(3, `${lsn}\n`)
}
