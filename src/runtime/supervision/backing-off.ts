/**
 * The wait of a child before its restart, for children with a back-off. The supervisor handles its
 * messages during the wait. A child that is ended or started for another reason waits no longer.
 */
import type { Process } from '../process/process.ts'
import { kinds } from '../words/envelope.ts'
import type { ExitReason } from '../words/exit-reason.ts'
import { MessageTimer } from '../words/message-timer.ts'
import { announce } from '../words/telemetry.ts'
import { restartWaitMs } from './restart-policy.ts'
import { type Child, closeRow } from './supervised-children.ts'

/**
 * Lets `child`, which has ended or was not started for `reason`, wait for its next start. False: it
 * has no back-off. When the wait is over, `supervisor` gets the info `waited` with the child.
 */
export const backsOff = (supervisor: Process, child: Child, reason: ExitReason): boolean => {
  const { backoff, id } = child.spec
  if (backoff === undefined) return false
  const { kernel } = supervisor
  closeRow(child, kernel.clock.monotonic())
  child.row++
  const waitMs = restartWaitMs(backoff, child.row, kernel.clock.random())
  child.isRestarting = true
  child.failure = reason
  const timer = new MessageTimer(
    kernel.timers,
    { process: supervisor },
    kinds.info,
    'waited',
    child,
  )
  timer.start(waitMs)
  child.wait = timer
  announce(kernel, 'supervisor.backed_off', () => ({
    ...supervisor.facts(),
    id,
    reason,
    waitMs,
    row: child.row,
  }))
  if (supervisor.shutdownAt === undefined)
    kernel.logger.warn(`${supervisor}: ${id} starts again in ${Math.round(waitMs)} ms`, {
      id,
      waitMs,
    })
  return true
}

/** Whether `child` waits and its time is over. A late message of an earlier wait is not. */
export const hasWaited = (child: Child): boolean =>
  child.isRestarting && child.wait?.read() === false
