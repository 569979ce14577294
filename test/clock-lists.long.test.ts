import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import { systemClock } from '../src/clock.ts'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

const heap = (): number => {
  collect()
  collect()
  return process.memoryUsage().heapUsed
}

const hour = 3_600_000
const count = 20_000

test.each([true, false])(
  'cancelled delays of many lengths leave nothing in Node (holdsProcess: %s)',
  (holdsProcess) => {
    const clock = systemClock()
    const cancelled = (from: number) => {
      for (let ms = from; ms < from + count; ms++)
        clock.after(ms, () => undefined, { holdsProcess })()
    }
    cancelled(hour)
    const before = heap()

    cancelled(2 * hour)

    // The empty list of each length had 140 bytes.
    expect((heap() - before) / count).toBeLessThan(50)
  },
)
