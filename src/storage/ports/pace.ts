/** Long work that leaves the processors to other work most of the time. */
import type { Clock } from '../../clock.ts'
import { refusing } from './disk-failure.ts'

/** The longest rest, in ms. Work that waited for a processor seems longer than it was. */
const restMax = 100

/**
 * Takes all steps. After every `workMs` of them it rests `factor` times as long as it worked.
 * @throws KeelsonError for a failure of the disk
 */
export const atLeisure = async <T>(
  clock: Clock,
  steps: Generator<unknown, T>,
  { workMs, factor }: { readonly workMs: number; readonly factor: number },
): Promise<T> => {
  let began = clock.monotonic()
  for (;;) {
    const step = refusing(() => steps.next())
    if (step.done) return step.value
    const worked = clock.monotonic() - began
    if (worked < workMs) continue
    await new Promise<void>((resolve) => clock.after(Math.min(factor * worked, restMax), resolve))
    began = clock.monotonic()
  }
}
