/** Words for tests of what a power cut or a failing call leaves: the same work, stopped at every call in turn. */
import { expect } from 'vitest'
import { isKeelsonError } from '../../../src/errors.ts'
import { changingOperations, type Fault } from '../../../src/testing/simulated/simulated-faults.ts'
import { thorough } from '../tier.ts'
import type { LogWorld } from '../worlds/logs.ts'

/** Power cuts at one call, each with other luck. */
export const seeds = thorough(2, 6)

/** How many calls that change something `action` makes on a copy of the world. */
export const callsOf = (world: LogWorld, action: (world: LogWorld) => void): number => {
  const copy = world.on(world.disk.clone())
  const calls = copy.disk.recordCalls()
  action(copy)
  return calls.filter(({ operation }) => changingOperations.includes(operation)).length
}

/** Runs `action` on copies of the world; on each the power goes at another call, with other luck. */
export const crashEverywhere = (
  world: LogWorld,
  action: (world: LogWorld) => void,
  check: (world: LogWorld, where: string) => void,
): void => {
  const calls = callsOf(world, action)
  expect(calls).toBeGreaterThan(3)
  for (let at = 1; at <= calls + 1; at++)
    for (let seed = 1; seed <= seeds; seed++) {
      const copy = world.on(world.disk.clone({ seed: seed * 1000 + at }))
      copy.disk.inject({ at, operation: changingOperations, fault: { kind: 'halt' } })
      attempt(() => action(copy))
      copy.disk.crash()
      check(copy, `power lost at call ${at} of ${calls}, seed ${seed}`)
    }
}

/** Runs `action` on copies of the world; on each another call fails, and the process goes on and ends later. */
export const failEverywhere = (
  world: LogWorld,
  fault: Fault,
  action: (world: LogWorld) => void,
  check: (world: LogWorld, error: unknown, where: string) => void,
): void => {
  const calls = callsOf(world, action)
  for (let at = 1; at <= calls; at++) {
    const copy = world.on(world.disk.clone({ seed: at }))
    copy.disk.inject({ at, operation: changingOperations, fault })
    const error = attempt(() => action(copy))
    copy.disk.clearFaults()
    copy.disk.killProcess()
    check(copy, error, `call ${at} of ${calls} failed`)
  }
}

/** Runs `action` and answers what it was refused with. */
export const attempt = (action: () => void): unknown => {
  try {
    action()
    return undefined
  } catch (error) {
    if (!isKeelsonError(error)) throw error
    return error
  }
}
