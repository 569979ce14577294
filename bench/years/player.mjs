/** One instance with many rows: it tells how long its start took, and shows on stderr how far its projection is rebuilt. */
import { setTimeout as sleep } from 'node:timers/promises'
import { start } from 'keelson'
import { play } from '../entities/turn.mjs'
import { greatestMemory } from '../harness/memory.mjs'

const perCall = 100
const [dir, rows, killAfterMs] = process.argv.slice(2)
const count = Number(rows)
const keyOf = (number) => `row:${1e10 + number}`
const valueAt = (number) => {
  const value = Buffer.alloc(100, 7)
  value.writeUInt32LE(number)
  return value
}

const megabytes = (bytes) => `${(bytes / 1e6).toFixed(0)} MB`

/** Where the start's rows came from, as far as it took long enough to be told. */
let source

const onProgress = ({ recovery }) => {
  if (!recovery) return
  const { bytes, bytesOfAll, bytesPerSecond, count: done } = recovery
  source = recovery.source
  const part = `${megabytes(bytes)} of ${megabytes(bytesOfAll)}`
  console.error(`    from the ${source}: ${part}, ${done} done, ${megabytes(bytesPerSecond)}/s`)
}

if (killAfterMs !== undefined)
  setTimeout(() => process.kill(process.pid, 'SIGKILL'), Number(killAfterMs))
const began = performance.now()
// None by itself: the first rebuild is to read the whole log.
const app = await start({ dir, snapshot: { minLogBytes: 2 ** 50 }, onProgress })
const started = { startMs: performance.now() - began, source, bytes: greatestMemory() }
const { store } = app

const fill = async () => {
  const from = performance.now()
  let next = 0
  const writer = async () => {
    while (next < count) {
      const entries = []
      for (const end = Math.min(count, next + perCall); next < end; next++)
        entries.push([keyOf(next), valueAt(next)])
      await store.putMany(entries)
    }
  }
  await Promise.all(Array.from({ length: 64 }, writer))
  await app.control.flush(0)
  return { ms: performance.now() - from }
}

/** Writes that go on until the process is killed; each leaves its row as it is. */
const load = async () => {
  const writer = async (_, index) => {
    for (let number = index; ; number = (number + 64) % count)
      await store.put(keyOf(number), valueAt(number))
  }
  for (let index = 0; index < 64; index++) void writer(undefined, index)
  await sleep(2_000)
}

/** Counts the rows and looks at a thousandth of their values. */
const verify = async () => {
  let found = 0
  for await (const [key] of store.entries({ prefix: 'row:', values: false })) {
    if (key !== keyOf(found)) throw new Error(`${keyOf(found)} is not there`)
    if (found % 1_000 === 0 && store.get(key).readUInt32LE(0) !== found)
      throw new Error(`${key} has another value`)
    found++
  }
  if (found !== count) throw new Error(`${found} rows, not ${count}`)
}

play({
  started: () => started,
  fill,
  load,
  verify,
  snapshot: async () => {
    const from = performance.now()
    const { bytes } = await app.control.snapshot(0, { timeoutMs: 600_000 })
    return { ms: performance.now() - from, bytes }
  },
  close: () => app.close(),
})
