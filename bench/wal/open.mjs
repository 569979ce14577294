/** Opens a log, closes it, and tells the greatest memory that this process had, in bytes. */
import { readFileSync } from 'node:fs'
import { Wal } from 'keelson/wal'

/**
 * The kernel's own count where it tells it: what getrusage(2) says of a process begins with the memory of the one that
 * started it.
 */
const greatestMemory = () => {
  try {
    const [, kilobytes] = /VmHWM:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))
    return Number(kilobytes) * 1024
  } catch {
    return process.resourceUsage().maxRSS * 1024
  }
}

const began = performance.now()
const wal = await Wal.open({ dir: process.argv[2] })
const seconds = (performance.now() - began) / 1_000
await wal.close()
process.send({ bytes: greatestMemory(), seconds })
