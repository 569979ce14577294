/** A simulated disk without space, and with it again. */
import { isKeelsonError } from '../../../src/errors.ts'
import type { App } from '../../../src/supervisors/index.ts'
import type { SimulatedDisk, Simulation } from '../../../src/testing/index.ts'

/**
 * Fills the disk with values of these sizes, until the log refuses the last of them with `NO_SPACE`: by
 * default even the smallest write.
 */
export const fillDisk = async (
  s: Simulation,
  sizes: readonly number[] = [30_000, 1_000, 1],
): Promise<void> => {
  const bytes = 2 ** 40
  s.disk.capacityBytes = bytes
  s.disk.capacityBytes = bytes - s.disk.freeBytes
  for (const size of sizes) {
    let isFull = false
    while (!isFull)
      isFull = await s.during(
        s.app.store.put('full:disk', 'x'.repeat(size)).then(
          () => false,
          (error) => isKeelsonError(error, 'NO_SPACE'),
        ),
      )
  }
}

/** The disk has all the space again. */
export const freeDisk = (s: Simulation): void => {
  s.disk.capacityBytes = Number.POSITIVE_INFINITY
}

/** The disk is full from now on, and the logs of both shards soon: nothing is waited for. */
export const fillFast = (disk: SimulatedDisk, store: App['store']): void => {
  disk.capacityBytes -= disk.freeBytes
  for (const [bytes, times] of Object.entries({ 100: 10, 1000: 10, 8000: 30 }).reverse())
    for (let at = 0; at < times; at++)
      for (const key of ['{a}filling', '{b}filling'])
        store.put(key, 'x'.repeat(Number(bytes))).catch(() => undefined)
}
