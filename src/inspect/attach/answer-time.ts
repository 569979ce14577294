/** The bound of the wait for an answer of an instance. It is apart from its callers, a page and tools. */
import type { Clock } from '../../clock.ts'
import { KeelsonError } from '../../errors.ts'

/** The answer. Rejects with `TIMEOUT` after `ms`. */
export const inTime = <T>(clock: Clock, ms: number, answer: Promise<T>): Promise<T> =>
  new Promise((resolve, reject) => {
    const late = new KeelsonError('TIMEOUT', `the instance has not answered in ${ms} ms`)
    const cancel = clock.after(ms, () => reject(late))
    answer.then(resolve, reject).finally(cancel)
  })
