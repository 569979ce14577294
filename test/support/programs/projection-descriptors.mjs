// Opens projections in new folders below that of the first argument while the process has 0, 1, 2 … descriptors left, up to
// the second argument. Reports on pipe 3 the code of each opening, and what a commit found after the descriptors were back.
import { closeSync, openSync, writeSync } from 'node:fs'
import { projectionsHere } from './projections-here.mjs'

const [root, most] = process.argv.slice(2)
const projections = await projectionsHere()
const at = (lsn) => ({ walId: '00'.repeat(16), epoch: 1, lsn })
// What Node and LMDB load is loaded before descriptors are taken.
await projections.open(`${root}/first`).close()

const found = []
for (let left = 0; left <= Number(most); left++) {
  const taken = []
  try {
    for (;;) taken.push(openSync('/dev/null'))
  } catch {
    for (const descriptor of taken.splice(0, left)) closeSync(descriptor)
  }
  let store
  let code = 'ok'
  try {
    store = projections.open(`${root}/${left}`)
  } catch (error) {
    code = error.code
  }
  for (const descriptor of taken) closeSync(descriptor)
  store ??= projections.open(`${root}/${left}`)
  await store.commit([], at(1))
  found.push([left, code, store.position().lsn])
  await store.close()
}
writeSync(3, JSON.stringify(found))
