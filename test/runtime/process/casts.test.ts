/** Casts and infos: whether they were sent, to the living, the dead and to nobody, and by the dead. */
import { describe, expect, test } from 'vitest'
import { cast, getState, name, type Ref, send } from '../../../src/runtime/index.ts'
import { testSystem } from '../../../src/testing/index.ts'
import * as Echo from '../server/echo.ts'
import * as Runner from '../task/runner.ts'

const stage = async () => {
  const { system } = testSystem()
  const echo = await system.start(Echo.server)
  const nobody = system.to(name<Echo.Messages>('nobody'))
  return { system, echo, nobody }
}

describe('a cast and an info', () => {
  test('are sent to a process that lives, and refused by one that has ended', async () => {
    const { system, echo } = await stage()
    expect([cast(echo, 'note', 1), send(echo, 'noted', 2)]).toEqual([true, true])
    expect((await getState<Echo.State>(echo)).notes).toEqual([1, 2])
    system.kill(echo)
    expect([cast(echo, 'note', 3), send(echo, 'noted', 4)]).toEqual([false, false])
  })

  test('to a name that no process has: a cast is refused, an info throws', async () => {
    const { nobody } = await stage()
    expect(cast(nobody, 'note', 1)).toBe(false)
    expect(() => send(nobody, 'noted', 1)).toThrow(
      expect.objectContaining({
        code: 'NO_PROCESS',
        details: { reason: 'noproc', message: 'noted', target: 'nobody' },
      }),
    )
  })

  test('of a process that has ended are refused, wherever they go', async () => {
    const { system, echo, nobody } = await stage()
    const runner = await system.start(Runner.server, false)
    const bound = await Runner.run(runner, (context) => [context.to(echo), context.to(nobody)])
    const [toEcho, toNobody] = bound as [Ref<Echo.Messages>, Ref<Echo.Messages>]
    expect(cast(toEcho, 'note', 'alive')).toBe(true)
    system.kill(runner)
    expect([cast(toEcho, 'note', 1), send(toEcho, 'noted', 2)]).toEqual([false, false])
    expect([cast(toNobody, 'note', 1), send(toNobody, 'noted', 2)]).toEqual([false, false])
    expect((await getState<Echo.State>(echo)).notes).toEqual(['alive'])
  })
})
