/** Entries end with their holder, and holders with the table that they are linked to. */
import { describe, expect, test } from 'vitest'
import {
  type Context,
  call,
  cast,
  type GenServer,
  type Ref,
  Registry,
  stopProcess,
  whichChildren,
} from '../../../src/runtime/index.ts'
import { endOf, type Messages, member, rooms, run, withRegistry } from '../names/rooms.ts'

describe('the entries of a process', () => {
  test.each(['kill', 'crash', 'stop'] as const)(
    'are gone before anybody hears of its end: %s',
    async (how) => {
      const { system, registry, start, register, clock } = await withRegistry('duplicate')
      const [a, b] = [await start(), await start()]
      await register(a, 'k', 1)
      await register(a, 'j', 1)
      await register(b, 'k', 1)
      const seen: unknown[] = []
      const look = (who: string) => seen.push([who, Registry.count(registry)])
      const signal = await run(a, (context) => context.signal)
      signal.addEventListener('abort', () => look('signal'))
      system.monitor(a, () => look('monitor'))
      system.events.on('process.exited', ({ pid }) => pid === a.pid && look('event'))

      if (how === 'kill') system.kill(a)
      else if (how === 'crash') cast(a, 'crash')
      else await stopProcess(a)
      await clock.settle()

      expect(seen).toEqual([
        ['signal', 1],
        ['event', 1],
        ['monitor', 1],
      ])
      expect(Registry.keys(registry, a)).toEqual([])
    },
  )

  test('are still there in its terminate', async () => {
    const { system, registry } = await withRegistry('unique')
    let held: number | undefined
    const last: GenServer<Messages, unknown[]> = {
      ...member,
      init: (_, context) => {
        Registry.register(context, rooms, 'k', 1)
        return []
      },
      terminate: () => {
        held = Registry.count(registry)
      },
    }

    await stopProcess(await system.start(last))

    expect([held, Registry.count(registry)]).toEqual([1, 0])
  })

  test('cannot be made by code of a process that has ended', async () => {
    const { system, registry, start, clock } = await withRegistry('unique')
    const who = await start()
    let late: Context<Messages> | undefined
    await run(who, (context) => {
      late = context
    })
    system.kill(who)
    await clock.settle()

    const context = late as Context<Messages>
    for (const attempt of [
      () => Registry.register(context, rooms, 'k', 1),
      () => Registry.unregister(context, rooms, 'k'),
      () => Registry.updateValue(context, rooms, 'k', () => 1),
    ])
      expect(attempt).toThrow(expect.objectContaining({ code: 'EXITED' }))
    expect(Registry.count(registry)).toBe(0)
  })
})

describe('a holder and its registry', () => {
  const held = async () => {
    const world = await withRegistry('unique')
    const [holder, other, refused, former] = [
      await world.start(),
      await world.start(),
      await world.start(),
      await world.start(),
    ]
    await world.register(holder, 'k', 1)
    await world.register(refused, 'k', 2)
    await world.register(former, 'l', 1)
    await world.register(former, 'm', 1)
    await run(former, (context) => {
      Registry.unregister(context, rooms, 'l')
      Registry.unregister(context, rooms, 'm')
    })
    const ends = endOf(world.system, holder)
    const spared = [other, refused, former].map((each) => endOf(world.system, each))
    return { ...world, ends, spared }
  }

  test.each<[string, string, (world: Awaited<ReturnType<typeof held>>) => unknown]>([
    ['stopped with normal', 'shutdown', ({ registry }) => stopProcess(registry, 'normal')],
    ['stopped with a reason', 'shutdown', ({ registry }) => stopProcess(registry, 'bad')],
    ['killed', 'killed', ({ system, registry }) => system.kill(registry)],
  ])('end together when it is %s, and no other process does', async (_, reason, end) => {
    const world = await held()

    await end(world)
    await world.clock.settle()

    expect(world.ends).toEqual([reason])
    expect(world.spared).toEqual([[], [], []])
    expect(() => Registry.count(world.registry)).toThrow(
      expect.objectContaining({ code: 'NO_PROCESS' }),
    )
  })

  test('end together when its table is killed; it comes back empty, for its restarted holders', async () => {
    const { system, registry, ends, clock, start, register } = await held()
    const [table] = await whichChildren(registry)

    system.kill(table?.ref as Ref)
    await clock.settle()

    expect(ends).toEqual(['killed'])
    expect(Registry.select(registry)).toEqual([])
    expect(await register(await start(), 'k', 1)).toEqual({ ok: true })
  })

  test('part when the holder traps exits, and its entries are gone', async () => {
    const { system, clock, start, register } = await withRegistry('unique')
    const who = await start()
    await run(who, (context) => context.trapExit(true))
    await register(who, 'k', 1)

    system.kill(rooms)
    await clock.settle()
    expect(await call(who, 'heard')).toEqual([['exit', 'killed']])
    const again = await Registry.start(system, { keys: 'unique', name: rooms })

    expect(Registry.keys(again, who)).toEqual([])
    expect(await register(who, 'k', 2)).toEqual({ ok: true })
    expect(Registry.values(again, 'k', who)).toEqual([2])
  })
})
