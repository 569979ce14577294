/** The CPU time of a server that a player works with: what a peer costs is not only what its client costs. */
import { readFileSync } from 'node:fs'

/** The length of the kernel's clock tick, in which it counts CPU time. */
const tickMicros = 10_000

/** User and system time of a process and of its children that ended, in microseconds. */
const cpuOf = (pid) => {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ')
  return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) * tickMicros
}

const childrenOf = (pid) =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean)

/** CPU microseconds that a server and its children have used; 0 where the kernel has no `/proc`. */
export const serverCpu = (pid) => {
  if (process.platform !== 'linux') return 0
  return [pid, ...childrenOf(pid)].reduce((sum, each) => sum + cpuOf(each), 0)
}
