/** What this process has used up since its beginning, all threads included. */
import { readdirSync, readFileSync } from 'node:fs'

const numberIn = (path, pattern) => Number(pattern.exec(readFileSync(path, 'utf8'))?.[1])

/** CPU in µs, how often a thread went to sleep (Linux), and bytes that it caused to be written to disks. */
export const usage = () => {
  const { user, system } = process.cpuUsage()
  let wakes = 0
  for (const thread of readdirSync('/proc/self/task'))
    wakes += numberIn(`/proc/self/task/${thread}/status`, /^voluntary_ctxt_switches:\s+(\d+)/m)
  return { cpu: user + system, wakes, bytes: numberIn('/proc/self/io', /^write_bytes: (\d+)/m) }
}
