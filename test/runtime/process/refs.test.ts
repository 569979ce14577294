import { describe, expect, test } from 'vitest'
import { isRef, name } from '../../../src/runtime/index.ts'
import { testSystem } from '../../../src/testing/index.ts'
import * as Echo from '../server/echo.ts'

describe('isRef', () => {
  test('is true for the ref of a process, living or dead, of a name, and with a sender bound', async () => {
    const { system, clock } = testSystem()
    const echo = await system.start(Echo.server)
    const bound: unknown[] = []
    system.spawn((context) => void bound.push(context.self, context.to(echo)))
    await clock.settle()
    system.kill(echo)

    expect([echo, system.to(name('nobody')), ...bound].map(isRef)).toEqual([true, true, true, true])
  })

  test('is false for anything else, also for what looks like one', async () => {
    const { system } = testSystem()
    const { pid } = await system.start(Echo.server)
    const bare: unknown = Object.create(null)

    const others = [
      undefined,
      null,
      12,
      '<12>',
      bare,
      { pid, name: undefined, toString: () => '<1>' },
    ]
    expect(others.map(isRef)).toEqual(others.map(() => false))
  })
})
