/** Writes frames into a log until there are enough bytes, says so, and waits to be killed. */
import { Wal } from 'keelson/wal'

const [dir, bytes, frameBytes] = process.argv.slice(2)
const frame = Buffer.alloc(Number(frameBytes), 7)
const wal = await Wal.open({ dir })
for (let left = Number(bytes); left > 0; ) {
  const count = Math.min(4_000, Math.ceil(left / frame.length))
  await Promise.all(Array.from({ length: count }, () => wal.writeEntry(frame)))
  left -= count * frame.length
}
process.send({ ready: true })
// The channel to the parent keeps this process, and so the log, open.
process.on('message', () => undefined)
