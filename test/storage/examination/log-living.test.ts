/**
 * A log whose owner releases segments during a verification: released segments are not part of it.
 */
import { describe, expect, test } from 'vitest'
import type { LogVerification } from '../../../src/storage/examination/log-judgement.ts'
import { verifying } from '../../../src/storage/examination/log-verification.ts'
import { plainDisk } from '../../support/harm/odd-files.ts'
import {
  commit,
  dir,
  type LogWorld,
  openedLog,
  payload,
  segmentsOn,
} from '../../support/worlds/logs.ts'

/** At least two frames of 900 bytes per segment, without projection or checkpoint. */
const logOf = (frames: number): LogWorld => {
  const { world, log } = openedLog()
  for (let number = 0; number < frames; number++) commit(log, [payload(number, 900)])
  return world
}

/** Verifies an open log. `before` is called with the number of each step. */
const verifyWhile = (
  world: LogWorld,
  before: (step: number) => void,
  isLive = true,
): LogVerification => {
  const steps = verifying(world.disk, dir, { isLive })
  for (let number = 0; ; number++) {
    before(number)
    const step = steps.next()
    if (step.done) return step.value
  }
}

const release = (world: LogWorld, count: number): void => {
  for (const path of segmentsOn(world.disk).slice(0, count)) world.disk.remove(path)
}

const firstLsnOf = (path = ''): number => Number.parseInt(path.slice(dir.length + 1), 16)

describe('verifying an open log', () => {
  test('skips segments that are released at any step, and finds the rest clean', {
    tags: ['slow'],
  }, () => {
    const whole = logOf(24)
    const count = segmentsOn(whole.disk).length
    let steps = 0
    verifyWhile(whole, () => steps++)
    expect(count).toBeGreaterThan(3)
    for (let at = 1; at < steps; at++)
      for (let released = 1; released < count; released++) {
        const world = whole.on(whole.disk.clone())
        const kept = firstLsnOf(segmentsOn(world.disk)[released])

        const found = verifyWhile(world, (step) => {
          if (step === at) release(world, released)
        })

        const facts = { verdict: found.verdict, damage: found.damage, lost: found.lost }
        expect(facts, `step ${at}, ${released} released`).toEqual({
          verdict: 'clean',
          damage: [],
          lost: [],
        })
        expect(found.firstLsn, `step ${at}, ${released} released`).toBeLessThanOrEqual(kept)
      }
  })

  test('repeats the survey when a listed segment is gone', () => {
    const world = logOf(24)
    const log = plainDisk(world.disk)
    const kept = firstLsnOf(segmentsOn(world.disk)[2])
    let listed = 0
    const disk = {
      ...log,
      list: (path: string) => {
        const names = log.list(path)
        listed += 1
        if (listed === 1) release(world, 2)
        return names
      },
    }
    // The checkpoint covers the released segments, so none of their frames is missing.
    const steps = verifying(disk, dir, { isLive: true, heldFrom: kept })
    let step = steps.next()
    while (!step.done) step = steps.next()

    expect(step.value).toMatchObject({ verdict: 'clean', firstLsn: kept })
    expect(listed).toBeGreaterThan(1)
  })

  test('does not take a segment missing in the middle for a released one', () => {
    const world = logOf(24)
    world.disk.remove(segmentsOn(world.disk)[1] ?? '')

    expect(verifyWhile(world, () => undefined).verdict).toBe('corrupt')
  })
})
