/** The bound over all shards holds each of them back in its turn. */
import { describe, expect, test } from 'vitest'
import { Allowance } from '../../../src/actors/admission/allowance.ts'
import { testWorld } from '../../support/worlds/test-gate.ts'

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

  test('lets those behind a place that leaves the line go, all for whom there is room', () => {
    const total = new Allowance(100, 10)
    const write = { bytes: 60, commands: 1 }
    const small = { bytes: 20, commands: 1 }
    const admitted: string[] = []
    const place = (name: string) => {
      const own = (): void => {
        if (!total.admits(own, small)) return
        total.take(small)
        admitted.push(name)
        total.unqueue(own)
      }
      total.queue(own)
      return own
    }
    const large = (): void => undefined
    total.take(write)
    total.queue(large)
    for (const name of 'abc') place(name)
    expect(admitted).toEqual([])
    total.unqueue(large)
    expect([admitted, total.load]).toEqual([['a', 'b'], { bytes: 100, commands: 3 }])
    total.give(write)
    expect(admitted).toEqual(['a', 'b', 'c'])
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
