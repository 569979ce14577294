// Opens damaged data folders, one after another, and reads every row. Reports a line each on pipe 3: its number and how it
// came out: `right`, `rebuilt` (a new file of the projection), `CORRUPT` (refused, nothing changed), or what went wrong. The
// process must not die: that is what is tested, so the last line tells which folder killed it. Arguments: the folders, each
// with its expected rows in FOLDER.json. The built package.
import { createHash } from 'node:crypto'
import { existsSync, linkSync, readdirSync, readFileSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { start } from '../../../dist/index.js'
import { examineProjection, nodeDisk } from '../../../dist/storage/index.js'

const hangMs = 20_000

const sumOf = (value) => createHash('sha1').update(value).digest('base64')

const isRefusal = ({ code }) => code === 'CORRUPT' || code === 'SHARD_DOWN'

/** Answers what a read answers, `undefined` if it was refused. */
const unlessRefused = (read) => {
  try {
    return read()
  } catch (error) {
    if (isRefusal(error)) return undefined
    throw error
  }
}

const checkRow = (expected, key, value) => {
  if (value === undefined) throw new Error(`${key} is missing`)
  if (expected.get(key) !== sumOf(value)) throw new Error(`${key} is wrong`)
}

/** Reads every row twice, by its key and in pages. Answers whether some read was refused. */
const readAll = ({ store }, expected) => {
  let isRefused = false
  const read = (act) => {
    const answer = unlessRefused(act)
    isRefused ||= answer === undefined
    return answer
  }
  for (const key of expected.keys()) read(() => checkRow(expected, key, store.get(key)) ?? true)
  let found = 0
  for (let cursor, isOver = false; !isOver; ) {
    const page = read(() => store.range({ limit: 300, ...(cursor && { cursor }) }))
    if (!page) return true
    for (const [key, value] of page.entries) checkRow(expected, key, value)
    found += page.entries.length
    cursor = page.cursor
    isOver = page.exhausted
  }
  if (found !== expected.size && !isRefused) throw new Error(`${found} of ${expected.size} rows`)
  return isRefused
}

/** Sums of the files that a refusal leaves as they are. */
const filesIn = (dir) =>
  ['wal', 'snapshot'].flatMap((name) => {
    const folder = join(dir, 'shard-0', name)
    return (existsSync(folder) ? readdirSync(folder) : [])
      .map((file) => join(folder, file))
      .filter((path) => !path.endsWith('LOCK') && statSync(path).isFile())
      .map((path) => `${path} ${sumOf(readFileSync(path))}`)
  })

const refusedStart = (dir, before, { code, message }) => {
  if (code !== 'CORRUPT') return `refused as ${code}: ${message}`
  return filesIn(dir).join() === before.join() ? 'CORRUPT' : 'refused, and files have changed'
}

const opened = async (dir, expected) => {
  const data = join(dir, 'shard-0', 'lmdb', 'data.mdb')
  const isThere = existsSync(data)
  // So that its inode is not used again.
  if (isThere) linkSync(data, `${dir}.mdb`)
  const before = filesIn(dir)
  let app
  try {
    app = await start({ dir })
  } catch (error) {
    return refusedStart(dir, before, error)
  }
  try {
    // The shard is rebuilt then, or goes down. A write meets the end of its applier.
    if (readAll(app, expected)) {
      await app.store.put('none', 'written').catch(() => undefined)
      await app.store.settled().catch(() => undefined)
      if (app.health().shards[0].phase === 'down') return 'CORRUPT'
      await app.store.delete('none')
      if (readAll(app, expected)) return 'reads are still refused'
    }
  } finally {
    await app.close()
  }
  const found = examineProjection(nodeDisk(), join(dir, 'shard-0', 'lmdb'))
  if (found.state !== 'sound') return `it leaves a projection that is ${found.state}`
  const isSame = isThere && statSync(data).ino === statSync(`${dir}.mdb`).ino
  return isSame ? 'right' : 'rebuilt'
}

for (const dir of process.argv.slice(2)) {
  const expected = new Map(JSON.parse(readFileSync(`${dir}.json`, 'utf8')))
  writeSync(3, `${dir} begins\n`)
  const hang = setTimeout(() => {
    writeSync(3, `${dir} hangs\n`)
    process.exit(1)
  }, hangMs)
  const outcome = await opened(dir, expected).catch((error) => String(error.stack ?? error))
  clearTimeout(hang)
  writeSync(3, `${dir} ${outcome.split('\n')[0]}\n`)
}
