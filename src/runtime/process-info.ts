/** What people see of a process: its facts at one moment, as plain data. */
import { describeMessage } from './envelope.ts'
import type { ProcessInfo } from './gen-server.ts'
import type { Process } from './process.ts'

/** The facts about `process` now. */
export const processInfo = (process: Process): ProcessInfo => ({
  pid: process.pid,
  ref: process.address,
  name: process.name,
  kind: process.kind,
  label: process.label,
  status: statusOf(process),
  mailbox: process.depth,
  mailboxMax: process.mailboxMax,
  links: [...process.links].map(pidOf),
  monitors: [...process.watching].flatMap((monitor) => monitor.target?.pid ?? []),
  monitoredBy: [...process.watchers].flatMap((monitor) => monitor.owner?.pid ?? []),
  parent: process.starter?.pid,
  trapExit: process.trapping,
  restarts: process.restarts,
  handled: process.handled,
  handling:
    process.busy && process.current !== undefined
      ? { message: describeMessage(process.current), since: process.busySince }
      : undefined,
})

const statusOf = (process: Process): ProcessInfo['status'] => {
  const status = process.behaviour.status()
  if (status !== 'waiting') return status
  if (process.busy) return 'busy'
  return process.mailbox.length > 0 ? 'runnable' : 'waiting'
}

const pidOf = (process: Process): number => process.pid
