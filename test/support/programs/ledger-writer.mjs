// Writes `count` keys with `writers` puts in flight and reports each acknowledged one on pipe 3, after its ack.
// Uses the public API only, as built: the parent holds the ledger, and kills this process whenever it likes.
import { writeSync } from 'node:fs'
import { start } from 'keelson'

const [dir, round, count, writers] = process.argv
  .slice(2)
  .map((arg, at) => (at ? Number(arg) : arg))
const app = await start({ dir })
writeSync(3, 'ready\n')

let next = 0
const writer = async () => {
  for (let at = next++; at < count; at = next++) {
    const { position } = await app.store.put(`round-${round}:${at}`, {
      round,
      at,
      text: 'x'.repeat(at % 300),
    })
    writeSync(3, `${at} ${position.lsn}\n`)
  }
}
await Promise.all(Array.from({ length: writers }, writer))
writeSync(3, 'done\n')
await app.close()
