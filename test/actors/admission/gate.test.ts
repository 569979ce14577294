/** The gate of a shard: first come, first served, within its bounds. */
import { describe, expect, test } from 'vitest'
import { KeelsonError } from '../../../src/errors.ts'
import { testGate } from '../../support/worlds/test-gate.ts'

describe('the gate', () => {
  test('admits at once, before enter returns, while there is room', () => {
    const { enter, log } = testGate()

    enter('a', 60)
    enter('b', 40)

    expect(log).toEqual(['a', 'b'])
  })

  test('lets nobody overtake: a small write waits behind a large one', () => {
    const { enter, leave, log } = testGate()
    enter('a', 60)

    enter('large', 60)
    enter('small', 10)
    expect(log).toEqual(['a'])

    leave('a')
    expect(log).toEqual(['a', 'large', 'small'])
  })

  test('admits a write larger than the bound alone', () => {
    const { enter, leave, log } = testGate()

    enter('huge', 1_000)
    enter('next', 1)
    expect(log).toEqual(['huge'])

    leave('huge')
    expect(log).toEqual(['huge', 'next'])
  })

  test('bounds commands as it bounds bytes', () => {
    const { enter, leave, log } = testGate(1_000, 10)

    enter('a', 1, 'wait', 6)
    enter('b', 1, 'wait', 5)
    enter('c', 1, 'wait', 5)
    expect(log).toEqual(['a'])

    leave('a')
    expect(log).toEqual(['a', 'b', 'c'])
  })

  test('refuses with BUSY whom it told to refuse, and keeps nothing of it', () => {
    const { gate, enter, log } = testGate()
    enter('a', 100)

    enter('b', 1, 'refuse')

    expect(log).toEqual(['a', 'b BUSY'])
    expect(gate.load).toEqual({ entered: 1, commands: 1, bytes: 100, waiting: 0 })
  })

  test('gives up a wait at its deadline, and those behind move up', async () => {
    const { clock, gate, enter, log } = testGate()
    enter('a', 60)
    enter('large', 60)
    await clock.advance(500)
    enter('small', 10)
    expect(log).toEqual(['a'])

    await clock.advance(500)
    expect(log).toEqual(['a', 'large NOT_SUBMITTED', 'small'])
    expect(gate.load).toEqual({ entered: 2, commands: 2, bytes: 70, waiting: 0 })
  })

  test('moves when the last of two holds has ended', () => {
    const { gate, enter, log } = testGate()
    gate.hold('one')
    gate.hold('two')
    enter('a', 1)

    gate.release('one')
    expect(log).toEqual([])

    gate.release('two')
    expect(log).toEqual(['a'])
  })

  test('counts its refusals by their codes, of waiters too', async () => {
    const { gate, clock, enter } = testGate()
    enter('a', 100)
    enter('b', 1, 'refuse')
    enter('late', 1)
    await clock.advance(1_000)
    enter('waits', 1)
    gate.shut(new KeelsonError('SHARD_DOWN', 'down'))
    enter('c', 1)

    expect([...gate.refused]).toEqual([
      ['BUSY', 1],
      ['NOT_SUBMITTED', 1],
      ['SHARD_DOWN', 2],
    ])
  })

  test('refuses waiters and newcomers while shut, and nobody slips through', () => {
    const { gate, enter, log } = testGate()
    enter('a', 100)
    enter('b', 100)
    enter('c', 1)

    gate.shut(new KeelsonError('CLOSED', 'closed'))
    enter('d', 1)

    expect(log).toEqual(['a', 'b CLOSED', 'c CLOSED', 'd CLOSED'])
  })

  test('admits none that waits when it is shut, also where the first one had held it back', () => {
    const { gate, enter, log } = testGate()
    enter('a', 50)
    enter('large', 100)
    enter('small', 1)

    gate.shut(new KeelsonError('CLOSED', 'closed'))

    expect(log).toEqual(['a', 'large CLOSED', 'small CLOSED'])
  })

  test('is idle when every write that entered has left', async () => {
    const { clock, gate, enter, leave } = testGate()
    enter('a', 1)
    enter('b', 1)
    let idle = false
    const waiting = gate.idle().then(() => {
      idle = true
    })

    leave('a')
    await clock.settle()
    expect(idle).toBe(false)

    leave('b')
    await waiting
    expect(idle).toBe(true)
  })

  test('leaves no timer behind', () => {
    const { clock, enter, leave } = testGate()
    enter('a', 100)
    enter('b', 100)
    leave('a')
    leave('b')

    expect(clock.untilNext()).toBeUndefined()
  })
})
