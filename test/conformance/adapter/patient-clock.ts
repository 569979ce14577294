/**
 * A virtual clock whose patience ends: what goes on and on within one step is stopped, deterministically, by not running
 * its next turn, so that whoever waits for things to settle can say that they never do.
 */
import { type VirtualClock, virtualClock } from '../../../src/clock.ts'

/** Turns of the event loop that one step may take; each is worth tens of thousands of messages, and hardly any takes one. */
const turnsMax = 20
/** Timers that may be armed within one step. Recordings were made in real time, so that a step has some dozens. */
const timersMax = 10_000

/** A clock that gives up on what never ends. */
export type PatientClock = VirtualClock & {
  /** Something was stopped since `renew`. */
  isSpent(): boolean
  /** The next step begins, with all the patience there is. */
  renew(): void
}

/** A virtual clock with the patience for one step after another. */
export const patientClock = (): PatientClock => {
  const clock = virtualClock()
  let turns = 0
  let timers = 0
  return {
    ...clock,
    soon(action) {
      if (++turns <= turnsMax) clock.soon(action)
    },
    after(ms, action, options) {
      return ++timers <= timersMax ? clock.after(ms, action, options) : () => undefined
    },
    isSpent: () => turns > turnsMax || timers > timersMax,
    renew() {
      turns = 0
      timers = 0
    },
  }
}
