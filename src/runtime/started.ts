/** A start that has to succeed: its ref, or an error that says why there is none. */
import { KeelsonError } from '../errors.ts'
import type { Ref } from './address.ts'
import { causeOf, describeReason } from './exit-reason.ts'
import type { StartResult } from './start-options.ts'

/** The ref of what was started. Throws `EXITED` with the reason when it was not. */
export const refOf = (result: StartResult<never>): Ref<never> => {
  if (result.ok) return result.ref
  const reason = result.ignore ? 'ignore' : result.reason
  throw new KeelsonError('EXITED', `the process did not start: ${describeReason(reason)}`, {
    details: { reason },
    ...causeOf(reason),
  })
}
