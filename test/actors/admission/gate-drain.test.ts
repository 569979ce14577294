/** A drain ends when what was under way has left, and only while its hold lasts. */
import { describe, expect, test } from 'vitest'
import type { KeelsonError } from '../../../src/errors.ts'
import { testGate } from '../../support/worlds/test-gate.ts'

/** What became of a promise so far. */
const watched = (work: Promise<void>): { now: string } => {
  const state = { now: 'pending' }
  work.then(
    () => {
      state.now = 'done'
    },
    (error: KeelsonError) => {
      state.now = error.code
    },
  )
  return state
}

describe('a drain', () => {
  test('ends when what was under way has left, while its hold keeps newcomers out', async () => {
    const { clock, gate, enter, leave, log } = testGate()
    enter('a', 1)
    gate.hold('pause')
    const drain = watched(gate.drained('pause', 500))
    enter('late', 1)
    await clock.settle()
    expect(drain.now).toBe('pending')

    leave('a')
    await clock.settle()

    expect(drain.now).toBe('done')
    expect(log).toEqual(['a'])
    expect(clock.untilNext()).toBe(1_000)
  })

  test('runs out of time with TIMEOUT', async () => {
    const { clock, gate, enter } = testGate()
    enter('a', 1)
    gate.hold('pause')
    const drain = watched(gate.drained('pause', 500))

    await clock.advance(500)

    expect(drain.now).toBe('TIMEOUT')
  })

  test('is not ended by the end of another hold', async () => {
    const { clock, gate, enter, leave } = testGate()
    enter('a', 1)
    gate.hold('pause')
    gate.hold('backup')
    const drain = watched(gate.drained('pause', 500))

    gate.release('backup')
    await clock.settle()
    expect(drain.now).toBe('pending')

    leave('a')
    await clock.settle()
    expect(drain.now).toBe('done')
  })

  test('of a hold that has ended, or ends meanwhile, is no success', { tags: ['S3'] }, async () => {
    const { clock, gate, enter, leave } = testGate()
    enter('a', 1)
    const never = watched(gate.drained('nobody', 500))
    gate.hold('pause')
    const meanwhile = watched(gate.drained('pause', 500))

    gate.release('pause')
    leave('a')
    await clock.settle()

    expect([never.now, meanwhile.now]).toEqual(['DISCARDED', 'DISCARDED'])
  })
})
