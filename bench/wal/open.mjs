/** Opens a log, closes it, and tells the greatest memory that this process had, in bytes. */
import { Wal } from 'keelson/wal'
import { greatestMemory } from '../harness/memory.mjs'

const began = performance.now()
const wal = await Wal.open({ dir: process.argv[2] })
const seconds = (performance.now() - began) / 1_000
await wal.close()
process.send({ bytes: greatestMemory(), seconds })
