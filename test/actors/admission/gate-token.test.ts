/** A token of the gate is given back once, by its holder or by the death of its holder. */
import { describe, expect, test } from 'vitest'
import type { GenServer } from '../../../src/runtime/index.ts'
import { testGate, testWorld } from '../../support/worlds/test-gate.ts'

const idler: GenServer<object, number> = { init: () => 0 }

describe('a token of the gate', () => {
  test('is given back once, however often it is left', () => {
    const { gate, enter, token } = testGate()
    enter('a', 60)
    enter('b', 40)

    expect([token('a').leave(), token('a').leave()]).toEqual([true, false])
    expect(gate.load).toMatchObject({ entered: 1, bytes: 40 })
  })

  test('of a process is given back by its death, and only that one', { tags: ['S4'] }, async () => {
    const { clock, system, testGate } = testWorld()
    const { gate, enter, token } = testGate()
    const starting = system.start(idler, undefined)
    await clock.settle()
    const owner = await starting
    enter('owned', 60)
    enter('other', 40)
    expect(token('owned').owner).toBeUndefined()
    token('owned').transfer(owner)
    expect(token('owned').owner).toBe(owner)

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
