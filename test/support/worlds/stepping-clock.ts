/** A clock for both ends of a lane in one thread: each reading takes 10 µs, turns are taken by hand. */
import type { Clock } from '../../../src/clock.ts'

export const steppingClock = () => {
  const turns: (() => void)[] = []
  let now = 0
  const clock = {
    monotonic: () => {
      now += 0.01
      return now
    },
    soon: (action: () => void) => void turns.push(action),
  } as Partial<Clock> as Clock
  /** Lets `ms` pass, then takes the turns that wait. */
  const pause = (ms: number) => {
    now += ms
    for (const turn of turns.splice(0)) turn()
  }
  return { clock, turns, pause }
}
