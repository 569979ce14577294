/** The times of this thread as Linux counts them: how long it ran, and how long it waited for a processor. */
import { openSync, readSync } from 'node:fs'

/** Answers a function for `{ ranMs, waitedMs }` up to now. Elsewhere no wait is counted, and a run is the time that the event loop was busy. */
export const threadTimes = () => {
  try {
    const file = openSync('/proc/thread-self/schedstat')
    const bytes = Buffer.alloc(80)
    return () => {
      const size = readSync(file, bytes, 0, bytes.length, 0)
      const [ran, waited] = bytes.latin1Slice(0, size).split(' ')
      return { ranMs: Number(ran) / 1e6, waitedMs: Number(waited) / 1e6 }
    }
  } catch {
    return () => ({ ranMs: performance.eventLoopUtilization().active, waitedMs: 0 })
  }
}
