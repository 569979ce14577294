// Opens damaged projections that an examination let through, one after another, reads every row, and writes 100 commits.
// Reports a line each on pipe 3: its index and `right`, or what went wrong. It must not die: that is what is tested, so
// the last line tells which file killed it. Arguments: the expected rows, a folder to use, the files, which it moves there.
// The built package.
import { mkdirSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs'
import { crc32 } from 'node:zlib'
import { seededRandom } from 'keelson/testing'
import {
  examineProjection,
  lmdbProjections,
  loadLmdb,
  nodeDisk,
} from '../../../dist/storage/index.js'

const [expectedPath, dir, ...files] = process.argv.slice(2)

const disk = nodeDisk()
const projections = lmdbProjections(await loadLmdb(), disk, async (path) =>
  examineProjection(disk, path),
)
const expected = JSON.parse(readFileSync(expectedPath, 'utf8'))

const sumOf = (row) => `${row.value.tag} ${row.expiresAt} ${crc32(row.value.bytes)}`

/** What differs between the store and the rows that it should have; `undefined` when nothing does. */
const difference = (store, rows) => {
  const left = new Map(rows)
  for (const [key, row] of store.range({})) {
    if (left.get(key) !== sumOf(row)) return `a wrong row at ${JSON.stringify(key)}`
    left.delete(key)
  }
  if (left.size > 0) return `${left.size} rows are missing`
  for (const [key, sum] of rows)
    if (sumOf(store.get(key) ?? { value: {} }) !== sum) return `a wrong answer for ${key}`
  return undefined
}

/** Writes 100 commits of all kinds: new rows, replaced, removed, large ones. Answers the rows that there should be. */
const write = async (store, rows, seed) => {
  const random = seededRandom(seed)
  const model = new Map(rows)
  const keys = [...model.keys()]
  let { walId, epoch, lsn } = store.position()
  for (let commit = 0; commit < 100; commit++) {
    const changes = Array.from({ length: 1 + Math.floor(random() * 12) }, () => {
      const key =
        random() < 0.3
          ? `new ${Math.floor(random() * 1e6)}`
          : keys[Math.floor(random() * keys.length)]
      if (random() < 0.4) return [key, undefined]
      const size = Math.floor(random() * (random() < 0.05 ? 20_000 : 400))
      return [key, { value: { tag: 2, bytes: Buffer.alloc(size, commit) }, expiresAt: commit }]
    })
    await store.commit(changes, { walId, epoch, lsn: ++lsn })
    for (const [key, row] of changes) row ? model.set(key, sumOf(row)) : model.delete(key)
  }
  return [...model]
}

const trial = async (file, seed) => {
  rmSync(dir, { recursive: true, force: true })
  mkdirSync(dir)
  renameSync(file, `${dir}/data.mdb`)
  const store = projections.open(dir)
  try {
    const rows = expected[store.position()?.lsn]
    if (!rows) return `the position ${store.position()?.lsn}`
    const wrong = difference(store, rows)
    if (wrong) return wrong
    const after = difference(store, await write(store, rows, seed))
    if (after) return `after 100 commits: ${after}`
  } finally {
    await store.close()
  }
  const { state, evidence } = examineProjection(disk, dir)
  return state === 'sound' ? 'right' : `after 100 commits: ${evidence}`
}

for (const [index, file] of files.entries()) {
  writeSync(3, `${index} begins\n`)
  const answer = await trial(file, index + 1).catch((error) => error.code ?? String(error))
  writeSync(3, `${index} ${answer}\n`)
}
