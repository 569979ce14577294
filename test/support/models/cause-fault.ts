/** Whether the cause of a past turn of a ledger is the message that the turn handled. Pure. */
import type { PastTurn } from '../../../src/actors/index.ts'
import { emptyLedger, type Ledger } from '../lives/ledger-entity.ts'

/** Whether a recorded step or alarm is the cause. */
const isWork = (kind: string): boolean => kind === 'step' || kind === 'alarm'

/** The cause of a turn, if its ledger shows that it handled another message. */
export const causeFault = (
  { state, cause }: PastTurn<Ledger>,
  before: PastTurn<Ledger> | undefined,
): string | undefined => {
  const old = cause.kind === 'birth' ? emptyLedger : before?.state
  if (!old || !state) return undefined
  const grew = (list: 'operations' | 'consumed' | 'rung'): boolean =>
    state[list].length > old[list].length
  const fits = grew('operations')
    ? ['call run', 'cast run', 'apply'].includes(cause.message ?? '') && !isWork(cause.kind)
    : grew('consumed')
      ? cause.message === 'continue work' && cause.kind === 'step'
      : !grew('rung') || (cause.message === 'alarm ring' && cause.kind === 'alarm')
  return fits ? undefined : `${cause.kind}, ${cause.message}`
}
