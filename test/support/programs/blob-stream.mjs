// Streams `size` bytes into a key (`write`), out of it (`read`), or both, one after the other (`both`), and reports on pipe 3: `idle RSS`, then for what was
// acknowledged or read `streamed LENGTH SHA256 PEAK_RSS`, in bytes. A writer then waits to be killed.
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeSync } from 'node:fs'
import { start } from 'keelson'

const [dir, mode, sizeText] = process.argv.slice(2)
const size = Number(sizeText)
const chunkBytes = 64 * 1024

/** Bytes that differ from chunk to chunk, and cost next to nothing. */
async function* source() {
  const chunk = Buffer.alloc(chunkBytes, 'keelson ')
  for (let at = 0; at < size; at += chunkBytes) {
    chunk.writeDoubleLE(at, 0)
    yield chunk.subarray(0, Math.min(chunkBytes, size - at))
  }
}

/** `getrusage`, where it must do, begins with the memory of the process that started this one. */
const peak = () => {
  if (!existsSync('/proc/self/status')) return process.resourceUsage().maxRSS * 1024
  const [, kilobytes] = /VmHWM:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))
  return Number(kilobytes) * 1024
}

const app = await start({ dir })
// What comes in pieces of its own, and is gone after: the caches of an idle instance are warm then.
await app.store.putStream('warm', ['warm'])
await app.store.load('warm')
writeSync(3, `idle ${process.memoryUsage.rss()}\n`)
if (mode !== 'read') {
  const { length, sha256 } = await app.store.putStream('large', source(), { size })
  writeSync(3, `streamed ${length} ${sha256} ${peak()}\n`)
}
if (mode === 'write') setInterval(() => undefined, 1_000)
else {
  const hash = createHash('sha256')
  let length = 0
  for await (const piece of app.store.getStream('large')) {
    hash.update(piece)
    length += piece.length
  }
  writeSync(3, `streamed ${length} ${hash.digest('hex')} ${peak()}\n`)
  await app.close()
}
