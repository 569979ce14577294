/** A write's turn among the others to its keys: its mark is made at once, its work done when nothing stands before it. */
import type { Cancel, Clock } from '../../clock.ts'
import { KeelsonError } from '../../errors.ts'
import type { Mark, MarkTerms, OrderMarks } from './order-marks.ts'

/** Whose turn it is to be, and until when it is waited for: by the monotonic clock, and as its caller said it. */
export type TurnTerms = Pick<MarkTerms, 'keys' | 'slot' | 'hurry'> & {
  readonly marks: OrderMarks
  readonly clock: Clock
  readonly endsAt: number
  readonly deadlineMs: number
}

/** Does the work; what stands behind it waits until it calls `queued`, or has settled. */
export type TurnWork<T> = (queued: () => void) => Promise<T>

/**
 * Does `work` when nothing stands before the keys any more, before it returns when that is so already.
 * @throws KeelsonError `NOT_SUBMITTED` when its turn has not come in time; what `work` rejects with
 */
export const inTurn = <T>(terms: TurnTerms, work: TurnWork<T>): Promise<T> => {
  const { marks, clock, endsAt, keys, slot, hurry } = terms
  return new Promise((resolve, reject) => {
    let waits = true
    let cancelDeadline: Cancel = () => undefined
    const turn = (mark: Mark) => {
      if (!waits) return
      waits = false
      cancelDeadline()
      const pass = () => marks.pass(mark)
      work(pass).finally(pass).then(resolve, reject)
    }
    const mark = marks.enter({ keys, slot, turn, hurry })
    if (!waits) return
    cancelDeadline = clock.after(Math.max(1, endsAt - clock.monotonic()), () => {
      waits = false
      marks.pass(mark)
      reject(tooLate(terms.deadlineMs))
    })
  })
}

/** Its turn has not come in time. */
export const tooLate = (deadlineMs: number): KeelsonError =>
  new KeelsonError(
    'NOT_SUBMITTED',
    'The write waited past its deadline behind others to its keys.',
    { details: { deadlineMs } },
  )
