// Commits into a projection until there is no room, and on, and reports on pipe 3 what it saw, as one line of JSON.
// Arguments: the projection's folder, a file whose removal makes room again, or `-`, and `thread` when a thread is to commit.
import { rmSync, writeSync } from 'node:fs'
import { projectionsHere } from './projections-here.mjs'

const [dir, filler, writer] = process.argv.slice(2)
const projections = await projectionsHere(writer)
const store = projections.open(dir)
const at = (lsn) => ({ walId: '00'.repeat(16), epoch: 1, lsn })
const rowOf = (byte) => ({ value: { tag: 2, bytes: Buffer.alloc(700, byte) }, expiresAt: 0 })
const keysOf = (lsn) => Array.from({ length: 50 }, (_, index) => `key ${lsn * 50 + index}`)

/** Whether the store shows the commits up to `lsn` and nothing of the one after. */
const shows = (lsn) =>
  store.position().lsn === lsn &&
  store.describe().rows === lsn * 50 &&
  [...store.range({})].length === lsn * 50 &&
  keysOf(lsn).every((key) => store.get(key).value.bytes.every((byte) => byte === lsn % 256)) &&
  keysOf(lsn + 1).every((key) => store.get(key) === undefined)

/** Commits until one fails; answers the last that did not, and the failure's code. */
const fill = async (from) => {
  for (let lsn = from; lsn < 20_000; lsn++) {
    try {
      await store.commit(
        keysOf(lsn).map((key) => [key, rowOf(lsn)]),
        at(lsn),
      )
    } catch (error) {
      return { lsn: lsn - 1, code: error.code }
    }
  }
  return { lsn: 0, code: 'there was always room' }
}

const full = await fill(1)
const seen = { full: full.code, unchanged: shows(full.lsn), again: [] }
for (let attempt = 0; attempt < 20; attempt++) seen.again.push((await fill(full.lsn + 1)).code)
seen.stillUnchanged = shows(full.lsn)
// A turn of the event loop, in which a rejection that nobody handles would end the process.
await new Promise((resolve) => setImmediate(resolve))
if (filler === '-') {
  // What earlier commits freed is room enough for a small one.
  await store.commit([[keysOf(1)[0], undefined]], at(full.lsn + 1))
  seen.after = store.position().lsn === full.lsn + 1 && store.describe().rows === full.lsn * 50 - 1
} else {
  rmSync(filler)
  await store.commit(
    keysOf(full.lsn + 1).map((key) => [key, rowOf(full.lsn + 1)]),
    at(full.lsn + 1),
  )
  seen.after = shows(full.lsn + 1)
}
// The free list has to have survived the failures: everything written again, in small pieces, three times.
for (let round = 0; round < 150; round++) {
  const { lsn } = store.position()
  const key = keysOf(1 + (round % full.lsn))[round % 50]
  await store.commit([[key, round % 3 === 0 ? undefined : rowOf(round)]], at(lsn + 1))
}
await store.close()
seen.state = (await projections.examine(dir)).state
writeSync(3, `${JSON.stringify(seen)}\n`)
