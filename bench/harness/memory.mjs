/** The memory of this process. */
import { readFileSync } from 'node:fs'

/**
 * The greatest memory that this process had, in bytes: the kernel's own count where it tells it. What getrusage(2) says of a
 * process begins with the memory of the one that started it.
 */
export const greatestMemory = () => {
  try {
    const [, kilobytes] = /VmHWM:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))
    return Number(kilobytes) * 1024
  } catch {
    return process.resourceUsage().maxRSS * 1024
  }
}
