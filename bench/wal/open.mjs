/** Opens a log, closes it, and tells the greatest memory that this process had, in bytes. */
import { Wal } from 'keelson/wal'

const began = performance.now()
const wal = await Wal.open({ dir: process.argv[2] })
const seconds = (performance.now() - began) / 1_000
await wal.close()
process.send({ bytes: process.resourceUsage().maxRSS * 1024, seconds })
