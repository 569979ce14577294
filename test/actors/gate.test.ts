import { describe, expect, test } from 'vitest'
import type { Admission } from '../../src/actors/admission.ts'
import { Allowance } from '../../src/actors/allowance.ts'
import { Gate } from '../../src/actors/gate.ts'
import { virtualClock } from '../../src/clock.ts'
import { KeelsonError } from '../../src/errors.ts'
import { createSystem, type GenServer } from '../../src/runtime/index.ts'

const idler: GenServer<object, number> = { init: () => 0 }

const testWorld = ({ totalBytes = 10_000, totalCommands = 10_000 } = {}) => {
  const clock = virtualClock()
  const system = createSystem({ clock })
  const total = new Allowance(totalBytes, totalCommands)
  const testGate = (bytesMax = 100, commandsMax = 1_000) => {
    const watch = system.monitor.bind(system)
    const gate = new Gate(clock, { bytesMax, commandsMax, total, watch })
    const log: string[] = []
    const tokens = new Map<string, Admission>()
    const enter = (
      name: string,
      bytes: number,
      whenFull: 'wait' | 'refuse' = 'wait',
      commands = 1,
    ) =>
      gate.enter(
        { bytes, commands, whenFull, deadlineMs: 1_000 },
        (admission) => {
          tokens.set(name, admission)
          log.push(name)
        },
        (error) => log.push(`${name} ${error.code}`),
      )
    const leave = (name: string) => tokens.get(name)?.leave()
    const token = (name: string) => tokens.get(name) as Admission
    return { clock, gate, log, enter, leave, token }
  }
  return { clock, system, total, testGate }
}

const testGate = (bytesMax = 100, commandsMax = 1_000) =>
  testWorld().testGate(bytesMax, commandsMax)

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

  test('refuses waiters and newcomers while shut, and nobody slips through', () => {
    const { gate, enter, log } = testGate()
    enter('a', 100)
    enter('b', 100)
    enter('c', 1)

    gate.shut(new KeelsonError('CLOSED', 'closed'))
    enter('d', 1)

    expect(log).toEqual(['a', 'b CLOSED', 'c CLOSED', 'd CLOSED'])
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

describe('a token of the gate', () => {
  test('is given back once, however often it is left', () => {
    const { gate, enter, token } = testGate()
    enter('a', 60)
    enter('b', 40)

    expect([token('a').leave(), token('a').leave()]).toEqual([true, false])
    expect(gate.load).toMatchObject({ entered: 1, bytes: 40 })
  })

  test('of a process is given back by its death, and only that one (2.4: the death of a holder leaked the count)', async () => {
    const { clock, system, testGate } = testWorld()
    const { gate, enter, token } = testGate()
    const starting = system.start(idler, undefined)
    await clock.settle()
    const owner = await starting
    enter('owned', 60)
    enter('other', 40)
    token('owned').transfer(owner)

    system.kill(owner)
    await clock.settle()

    expect(gate.load).toMatchObject({ entered: 1, bytes: 40 })
    expect(token('owned').hasLeft).toBe(true)
  })

  test('that was handed on survives its first owner, and falls with its second', async () => {
    const { clock, system, testGate } = testWorld()
    const { gate, enter, token } = testGate()
    const starting = Promise.all([system.start(idler, undefined), system.start(idler, undefined)])
    await clock.settle()
    const [first, second] = await starting
    enter('a', 60)
    token('a').transfer(first)
    token('a').transfer(second)

    system.kill(first)
    await clock.settle()
    expect(gate.load.entered).toBe(1)

    system.kill(second)
    await clock.settle()
    expect(gate.load.entered).toBe(0)
  })

  test('handed to a process that is dead already is given back at once', async () => {
    const { clock, system, testGate } = testWorld()
    const { gate, enter, token } = testGate()
    const starting = system.start(idler, undefined)
    await clock.settle()
    const owner = await starting
    system.kill(owner)
    await clock.settle()
    enter('a', 60)

    token('a').transfer(owner)

    expect(gate.load.entered).toBe(0)
  })
})

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

  test('of a hold that has ended, or ends meanwhile, is no success (2.4: a dead gate counted as drained)', async () => {
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

describe('the bound over all shards', () => {
  test('holds a shard back that has room itself, and lets it go when another leaves', () => {
    const { testGate } = testWorld({ totalBytes: 100 })
    const [one, two] = [testGate(), testGate()]
    one.enter('a', 60)

    two.enter('b', 60)
    expect(two.log).toEqual([])

    one.leave('a')
    expect(two.log).toEqual(['b'])
  })

  test('is first come, first served across shards: a large write is not passed for ever', () => {
    const { testGate } = testWorld({ totalBytes: 100 })
    const [one, two] = [testGate(), testGate()]
    one.enter('a', 60)
    one.enter('b', 30)
    two.enter('large', 80)

    one.leave('a')
    one.enter('small', 10)
    expect([...one.log, ...two.log]).toEqual(['a', 'b'])

    one.leave('b')
    expect(two.log).toEqual(['large'])
    expect(one.log).toEqual(['a', 'b', 'small'])
  })

  test('admits what is larger than itself when nothing else is under way', () => {
    const { testGate } = testWorld({ totalBytes: 100 })
    const [one, two] = [testGate(1_000), testGate(1_000)]
    one.enter('a', 60)
    two.enter('huge', 500)
    expect(two.log).toEqual([])

    one.leave('a')
    expect(two.log).toEqual(['huge'])
  })

  test('is not kept from others by a shard that is held meanwhile', () => {
    const { testGate } = testWorld({ totalBytes: 100 })
    const [one, two] = [testGate(), testGate()]
    one.enter('a', 60)
    two.enter('waits', 60)
    two.gate.hold('pause')

    one.enter('small', 10)
    one.enter('behind', 60)
    expect(one.log).toEqual(['a', 'small'])

    one.leave('a')
    expect([one.log, two.log]).toEqual([['a', 'small', 'behind'], []])

    two.gate.release('pause')
    one.leave('behind')
    expect(two.log).toEqual(['waits'])
  })

  test('refuses with BUSY, and counts nothing twice over any number of writes', () => {
    const { testGate, total } = testWorld({ totalBytes: 100, totalCommands: 3 })
    const [one, two] = [testGate(), testGate()]
    for (const name of 'abc') one.enter(name, 10)
    two.enter('d', 10, 'refuse')
    two.enter('e', 10)
    expect(two.log).toEqual(['d BUSY'])

    for (const name of 'abc') one.leave(name)
    two.leave('e')
    expect(total.load).toEqual({ bytes: 0, commands: 0 })
    expect(two.log).toEqual(['d BUSY', 'e'])
  })
})
