/** Long work in steps: generators that yield their progress and return a result. */
import type { Progress } from './progress.ts'

/** Takes all steps at once, and returns the result. */
export const finish = <T>(steps: Generator<unknown, T>): T => {
  let step = steps.next()
  while (!step.done) step = steps.next()
  return step.value
}

/**
 * Ends steps that may not be through, as `break` in a loop does: their `finally` runs, and closes their
 * files. Nobody takes the result.
 */
export const cease = (steps: { return(result: unknown): unknown }): unknown =>
  steps.return(undefined)

/** The same steps, each as `view` shows it. */
export function* stepsAs<A, B, T>(steps: Generator<A, T>, view: (step: A) => B): Generator<B, T> {
  try {
    for (;;) {
      const step = steps.next()
      if (step.done) return step.value
      yield view(step.value)
    }
  } finally {
    cease(steps)
  }
}

/** The same steps, each as progress of `what`. */
export const labelled = <T>(what: string, steps: Generator<Progress, T>): Generator<Progress, T> =>
  stepsAs(steps, (step) => ({ ...step, what }))

/** Steps that yield what they add; `view` shows the sum so far, which begins with `from`. */
export const summed = <B, T>(
  steps: Generator<number, T>,
  view: (sum: number) => B,
  from = 0,
): Generator<B, T> => {
  let sum = from
  return stepsAs(steps, (step) => {
    sum += step
    return view(sum)
  })
}
