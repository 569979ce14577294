/**
 * A start gate: what the children of a subtree must wait for before they start. Waiting is not a
 * restart and spends no intensity.
 */
import type { Process, StartGate } from '../process/process.ts'
import type { FullChildSpec } from './child-spec.ts'

/** The promise that a child awaits now; `undefined`: it may start. */
export const closedGate = (
  { startGate }: Pick<FullChildSpec, 'startGate'>,
  supervisor: Process,
): ReturnType<StartGate> => (startGate ?? supervisor.startGate)?.()

/**
 * Resolves with true when a child may start, which must wait for `closed` first; with false when
 * `supervisor` has to end. Rejects as the gate does.
 */
export const gatePassed = async (
  spec: FullChildSpec,
  supervisor: Process,
  closed: Promise<unknown>,
): Promise<boolean> => {
  const shutdown = new Promise<false>((resolve) => {
    supervisor.onceShutdown(() => resolve(false))
  })
  for (
    let next: typeof closed | undefined = closed;
    next !== undefined;
    next = closedGate(spec, supervisor)
  )
    if ((await Promise.race([next.then(() => true), shutdown])) === false) return false
  return true
}
