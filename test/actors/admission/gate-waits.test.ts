/** Waits at the gate, and what its refusals say. */
import { expect, test } from 'vitest'
import { KeelsonError } from '../../../src/errors.ts'
import { testGate, testWorld } from '../../support/worlds/test-gate.ts'

/** The waits that have ended, by name. */
const ended = () => {
  const names: string[] = []
  const wait = (name: string, work: Promise<unknown>) =>
    void work.then(
      () => names.push(name),
      (error: KeelsonError) => names.push(`${name} ${error.code}`),
    )
  return { names, wait }
}

test('a wait until writers have passed ends when each of them was admitted or refused', async () => {
  const { clock, gate, enter, leave } = testGate()
  const { names, wait } = ended()
  wait('nobody', gate.passed())
  enter('a', 100)
  wait('none waits', gate.passed())
  enter('b', 100)
  wait('b', gate.passed())
  enter('c', 50)
  wait('b and c', gate.passed())
  await clock.settle()
  expect(names).toEqual(['nobody', 'none waits'])
  leave('a')
  await clock.settle()
  expect(names).toEqual(['nobody', 'none waits', 'b'])
  await clock.advance(1_000)
  expect(names).toEqual(['nobody', 'none waits', 'b', 'b and c'])
})

test('a wait for the end of all holds ends with the last of them', async () => {
  const { clock, gate } = testGate()
  const { names, wait } = ended()
  wait('none', gate.moving())
  gate.hold('one')
  gate.hold('one')
  gate.hold('two')
  wait('both', gate.moving())
  expect([gate.holds, gate.isHeld]).toEqual([['one', 'two'], true])
  expect([gate.release('one'), gate.release('one')]).toEqual([true, false])
  await clock.settle()
  expect(names).toEqual(['none'])
  gate.release('two')
  await clock.settle()
  expect(names).toEqual(['none', 'both'])
  expect([gate.holds, gate.isHeld]).toEqual([[], false])
})

test('a gate without a write under way is idle and drained', async () => {
  const { clock, gate } = testGate()
  const { names, wait } = ended()
  gate.hold('pause')
  wait('idle', gate.idle())
  wait('drained', gate.drained('pause', 500))
  await clock.settle()
  expect(names).toEqual(['idle', 'drained'])
  expect(clock.untilNext()).toBeUndefined()
})

test('a drain that was given up is told to nobody when its write leaves later', async () => {
  const { clock, gate, enter, leave } = testGate()
  const { names, wait } = ended()
  enter('a', 1)
  gate.hold('pause')
  wait('short', gate.drained('pause', 10))
  wait('long', gate.drained('pause', 500))
  await clock.advance(10)
  leave('a')
  await clock.settle()
  expect(names).toEqual(['short TIMEOUT', 'long'])
  expect(clock.untilNext()).toBeUndefined()
})

test('a gate that was shut admits again when it is reopened', () => {
  const { gate, enter, log } = testGate()
  gate.shut(new KeelsonError('CLOSED', 'closed'))
  expect(gate.isHeld).toBe(true)
  enter('a', 1)
  gate.reopen()
  enter('b', 1)
  expect([log, gate.isHeld]).toEqual([['a CLOSED', 'b'], false])
})

test('a gate knows its own tokens', () => {
  const world = testWorld()
  const [one, other] = [world.testGate(), world.testGate()]
  one.enter('a', 1)
  expect([one.gate.hasMade(one.token('a')), other.gate.hasMade(one.token('a'))]).toEqual([
    true,
    false,
  ])
})

test('refusals say what is under way, what bounds it, and who holds the gate', async () => {
  const { clock, gate } = testGate(100, 9)
  const errors: KeelsonError[] = []
  const enter = (bytes: number, whenFull: 'wait' | 'refuse') =>
    gate.enter(
      { bytes, commands: 2, whenFull, deadlineMs: 70 },
      () => undefined,
      (error) => errors.push(error),
    )
  enter(60, 'wait')
  enter(60, 'wait')
  gate.hold('pause')
  enter(60, 'refuse')
  gate.drained('pause', 50).catch((error) => errors.push(error))
  gate.drained('nobody', 50).catch((error) => errors.push(error))
  await clock.advance(100)

  const load = { entered: 1, commands: 2, bytes: 60 }
  const total = { bytes: 60, commands: 2 }
  expect(errors.map(({ code, details }) => [code, details])).toEqual([
    ['BUSY', { ...load, waiting: 1, bytesMax: 100, commandsMax: 9, holds: ['pause'], total }],
    ['DISCARDED', { holder: 'nobody' }],
    ['TIMEOUT', { ...load, waiting: 1, deadlineMs: 50 }],
    ['NOT_SUBMITTED', { ...load, waiting: 1, deadlineMs: 70, holds: ['pause'] }],
  ])
})
