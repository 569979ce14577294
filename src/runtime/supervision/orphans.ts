/**
 * The wait for a name that an orphan holds. Children of a killed supervisor that trap exits end
 * later, and hold their names until then. If they were restarted at once, as in OTP, they would fail
 * until all restarts are spent.
 */
import type { Process } from '../process/process.ts'
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
 * With false at once if no orphan did, and when `supervisor`, which starts it, has to end itself.
 */
export const orphanGone = (result: StartResult, supervisor?: Process): Promise<boolean> =>
  new Promise((resolve) => {
    const ref = holderIn(result)
    const holder = ref && addressOf<Process>(ref).resolve()
    if (holder === undefined || !isOrphan(holder)) resolve(false)
    else {
      supervisor?.onceShutdown(() => resolve(false))
      holder.watchBy(new Monitor<Process>(undefined, holder.address, () => resolve(true)))
    }
  })

/**
 * Whether a process must end because the starter of it, or of one above, has ended. A process that
 * lives on after its starter is no orphan: it may hold the name for ever.
 */
const isOrphan = (process: Process): boolean => {
  const { parent, shutdownAt } = process
  if (parent === process) return false
  return parent.alive ? isOrphan(parent) : shutdownAt !== undefined
}
