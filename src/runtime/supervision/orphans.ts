/**
 * The wait for a name that an orphan holds. Children of a killed supervisor that trap exits end
 * later, and hold their names until then. If they were restarted at once, as in OTP, they would fail
 * until all restarts are spent.
 */
import type { Process } from '../process/process.ts'
import { type Shutdown, shutdownMsDefault } from '../process/shutdown.ts'
import type { StartResult } from '../server/start-options.ts'
import { addressOf, isRef, type Ref } from '../words/address.ts'
import { Monitor } from '../words/monitor.ts'

/** The process that has the name of one that was not started, if that is why. */
export const holderIn = ({ reason }: StartResult): Ref | undefined => {
  const [why, holder] = Array.isArray(reason) ? reason : []
  return why === 'already_started' && isRef(holder) ? holder : undefined
}

/**
 * Resolves with true when the orphan has ended whose name prevented a start: it may be tried again.
 * With false at once if no orphan did. It has the `shutdown` time that its supervisor would have given
 * it: the orphan may wait for the very process that waits here. Then, and when `supervisor`, which
 * starts, has to end itself, it is false too.
 */
export const orphanGone = async (
  result: StartResult,
  shutdown: Shutdown = shutdownMsDefault,
  supervisor?: Process,
): Promise<boolean> => {
  const ref = holderIn(result)
  const holder = ref && addressOf<Process>(ref).resolve()
  if (holder === undefined || !isOrphan(holder)) return false
  let cancel = (): void => undefined
  const isGone = await new Promise<boolean>((resolve) => {
    const end = new Monitor<Process>(undefined, holder.address, () => resolve(true))
    const noLonger = (): void => {
      holder.unwatch(end)
      resolve(false)
    }
    holder.watchBy(end)
    supervisor?.onceShutdown(noLonger)
    const ms = shutdown === 'brutal_kill' ? shutdownMsDefault : shutdown
    if (ms !== 'infinity') cancel = holder.kernel.clock.after(ms, noLonger)
  })
  supervisor?.onceShutdown(undefined)
  cancel()
  return isGone
}

/**
 * Whether a process must end because the starter of it, or of one above, has ended. A process that
 * lives on after its starter is no orphan: it may hold the name for ever.
 */
const isOrphan = (process: Process): boolean => {
  const { parent, shutdownAt } = process
  if (parent === process) return false
  return parent.alive ? isOrphan(parent) : shutdownAt !== undefined
}
