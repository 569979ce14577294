/**
 * A name in a registry finds its holder at the time of use, and fails like a name of the System.
 */
import { describe, expect, test } from 'vitest'
import {
  call,
  cast,
  type GenServer,
  Registry,
  send,
  startSupervisor,
  supervisor,
  via,
  whichChildren,
  worker,
} from '../../../src/runtime/index.ts'
import { testSystem } from '../../../src/testing/index.ts'
import { type Member, type Messages, member, rooms, run, withRegistry } from './rooms.ts'

describe('a name through a registry', () => {
  const desk = via(rooms, ['desk', 1])

  test('is held from before init, with its value, and is what an occupied one says', async () => {
    const { system, registry } = await withRegistry('unique')
    const seen: unknown[] = []
    const clerk: GenServer<Messages, unknown[]> = {
      ...member,
      init: (_, context) => {
        seen.push(Registry.keys(registry, context.self))
        return []
      },
    }
    const named = { name: via(rooms, ['desk', 1], 'open') }
    const first = await system.start(clerk, undefined, named)

    expect(await system.startResult(clerk, undefined, named)).toEqual({
      ok: false,
      reason: ['already_started', first],
    })
    expect(() => system.spawn(() => undefined, { name: desk })).toThrow(
      expect.objectContaining({ code: 'CONFLICT' }),
    )
    expect(seen).toEqual([[['desk', 1]]])
    expect(Registry.lookup(registry, ['desk', 1])).toMatchObject([{ ref: first, value: 'open' }])
    expect(system.whereis(desk)).toBe(first)
    expect(system.processes()).toHaveLength(3)
  })

  test('finds its holder at the time of use, also after a restart by a supervisor', async () => {
    const { system, registry, clock, start } = await withRegistry('unique')
    await startSupervisor(
      system,
      supervisor('desks', { strategy: 'one_for_one', name: via(rooms, 'desks') }, [
        worker('clerk', member, undefined, { name: desk }),
      ]),
    )
    const [visitor, clerk] = [await start(), system.whereis(desk) as Member]
    const ref = await run(visitor, (context) => context.to(desk))
    send(ref, 'note', 'first')
    await run(visitor, (context) => context.sendAfter(100, 'note', 'later', desk))
    expect(await call(clerk, 'heard')).toEqual(['first'])

    cast(ref, 'crash')
    await clock.advance(100)

    const successor = system.whereis(desk)
    expect(successor?.pid).not.toBe(clerk.pid)
    expect(await call(ref, 'heard')).toEqual(['later'])
    expect(await whichChildren(system.to(via(rooms, 'desks')) as never)).toHaveLength(1)
    expect(Registry.keys(registry, successor as Member)).toEqual([['desk', 1]])
    expect(system.info(desk)?.label).toBe('rooms(["desk",1])')
  })

  test('without a holder: calls and sends fail, a cast is false', async () => {
    const { system, start } = await withRegistry('unique')
    const nobody = system.to(desk)

    await expect(call(nobody, 'heard')).rejects.toMatchObject({
      code: 'NO_PROCESS',
      details: { reason: 'noproc' },
    })
    expect(cast(nobody, 'crash')).toBe(false)
    expect(() => send(nobody, 'note', 1)).toThrow(expect.objectContaining({ code: 'NO_PROCESS' }))
    const downs = await run(await start(), (context) => {
      context.trapExit(true)
      expect(() => context.link(desk)).toThrow(expect.objectContaining({ code: 'NO_PROCESS' }))
      context.monitor(desk)
      return context.self
    })
    expect(await call(downs, 'heard')).toEqual([['down', 'noproc']])
  })

  test('in a registry that is not there fails with the name of that', async () => {
    const { system } = testSystem()
    const missing = { code: 'NO_PROCESS', details: { registry: 'rooms' } }

    await expect(system.start(member, undefined, { name: desk })).rejects.toMatchObject(missing)
    await expect(call(system.to(desk), 'heard')).rejects.toMatchObject(missing)
    expect(cast(system.to(desk), 'crash')).toBe(false)
    expect(() => send(system.to(desk), 'note', 1)).toThrow(expect.objectContaining(missing))
    expect(() => Registry.lookup(system.to(rooms), 'k')).toThrow(expect.objectContaining(missing))
    expect(system.whereis(desk)).toBeUndefined()
    expect(system.processes()).toEqual([])
  })
})
