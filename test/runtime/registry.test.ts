import { describe, expect, test } from 'vitest'
import {
  type Context,
  call,
  cast,
  type GenServer,
  noReply,
  type Ref,
  Registry,
  reply,
  send,
  startSupervisor,
  stopProcess,
  supervisor,
  via,
  whichChildren,
  worker,
} from '../../src/runtime/index.ts'
import { testSystem } from '../../src/testing/index.ts'

type Messages = {
  calls: { run: (work: (context: Context<Messages>) => unknown) => unknown; heard: () => unknown[] }
  casts: { crash: () => void }
  infos: { note: (text: unknown) => void }
}
type Member = Ref<Messages>

/** A process that does what it is told, and remembers what it heard. */
const member: GenServer<Messages, unknown[]> = {
  init: () => [],
  calls: {
    run: (heard, work, context) => reply(work(context), heard),
    heard: (heard) => reply(heard, heard),
  },
  casts: {
    crash: () => {
      throw new Error('boom')
    },
  },
  infos: { note: (heard, text) => noReply([...heard, text]) },
  exit: (heard, { reason }) => noReply([...heard, ['exit', reason]]),
  down: (heard, { reason }) => noReply([...heard, ['down', reason]]),
}

const run = <T>(who: Member, work: (context: Context<Messages>) => T): Promise<T> =>
  call(who, 'run', work) as Promise<T>

const rooms = Registry.name<unknown, unknown, Messages>('rooms')

const withRegistry = async (keys: 'unique' | 'duplicate') => {
  const { system, clock } = testSystem()
  const registry = await Registry.start(system, { keys, name: rooms })
  const start = () => system.start(member)
  const register = (who: Member, key: unknown, value: unknown) =>
    run(who, (context) => Registry.register(context, rooms, key, value))
  return { system, clock, registry, start, register }
}

/** How a process ends. */
const endOf = (system: Awaited<ReturnType<typeof withRegistry>>['system'], who: Ref) => {
  const ends: unknown[] = []
  system.monitor(who, (reason) => ends.push(reason))
  return ends
}

describe('a unique registry', () => {
  test('gives a key to one holder, and tells everybody else who that is', async () => {
    const { registry, start, register } = await withRegistry('unique')
    const [a, b] = [await start(), await start()]

    expect(await register(a, 'lobby', 1)).toEqual({ ok: true })
    expect(await register(b, 'lobby', 2)).toEqual({ ok: false, reason: ['already_registered', a] })
    expect(await register(a, 'lobby', 3)).toEqual({ ok: false, reason: ['already_registered', a] })
    expect(Registry.lookup(registry, 'lobby')).toEqual([{ key: 'lobby', ref: a, value: 1 }])
    expect(Registry.count(registry)).toBe(1)
    expect(Registry.lookup(registry, 'cellar')).toEqual([])
  })

  test('changes a value for its holder only, and not at all when the change throws', async () => {
    const { registry, start, register } = await withRegistry('unique')
    const [a, b] = [await start(), await start()]
    await register(a, 'k', 1)
    const update = (context: Context<Messages>, change: (value: unknown) => unknown) =>
      Registry.updateValue(context, rooms, 'k', change)

    expect(await run(a, (context) => update(context, (value) => Number(value) + 5))).toEqual([6, 1])
    expect(await run(b, (context) => update(context, () => 0))).toBeUndefined()
    await run(a, (context) => {
      const fail = () => {
        throw new Error('no')
      }
      expect(() => update(context, fail)).toThrow('no')
    })
    expect(Registry.values(registry, 'k', a)).toEqual([6])
    expect(Registry.values(registry, 'k', b)).toEqual([])
  })

  test.each<[string, unknown, unknown, boolean]>([
    ['arrays of the same', ['user', 1], ['user', 1], true],
    ['objects of the same, in another order', { a: 1, b: [2] }, { b: [2], a: 1 }, true],
    ['an object without prototype', { a: 1 }, Object.assign(Object.create(null), { a: 1 }), true],
    ['NaN', Number.NaN, Number.NaN, true],
    ['bigints', [1n], [1n], true],
    ['shared symbols inside of a key', [Symbol.for('s')], [Symbol.for('s')], true],
    ['a number and its text', 1, '1', false],
    ['a bigint and a number', [1n], [1], false],
    ['a text and an array of it', 'a', ['a'], false],
    ['one array and two', [['a'], 'b'], ['a', 'b'], false],
    ['a text with a comma and two texts', ['a","b'], ['a', 'b'], false],
    ['null and undefined', [null], [undefined], false],
    ['symbols of one text', [Symbol('s')], [Symbol('s')], false],
    ['a text that looks like the mark of an array', '\u0000:["a"]', ['a'], false],
    ['a text and one with a mark before it', '\u0000a', '\u0000\u0000a', false],
    ['two dates', new Date(0), new Date(0), false],
    ['two functions inside of a key', [() => 1], [() => 1], false],
  ])('knows when two keys are one: %s', async (_, left, right, areOne) => {
    const { registry, start, register } = await withRegistry('unique')
    const who = await start()
    await register(who, left, 1)

    expect((await register(who, right, 2)).ok).toBe(!areOne)
    expect(Registry.lookup(registry, right)).toHaveLength(1)
    expect(Registry.lookup(registry, left)).toHaveLength(1)
  })

  test('takes a ref as a key for the process that it stands for', async () => {
    const { system, registry, start, register } = await withRegistry('unique')
    const [a, b] = [await start(), await start()]
    await register(a, ['of', b], 1)

    const bound = await run(a, (context) => context.to(b))
    expect(Registry.lookup(registry, ['of', bound])).toHaveLength(1)
    expect(Registry.lookup(registry, ['of', a])).toHaveLength(0)
    await system.stop()
  })

  test('reads a key once: what becomes of it later is nothing to its entry', async () => {
    const { registry, start, register } = await withRegistry('unique')
    const who = await start()
    const key = ['user', 1]
    await register(who, key, 1)
    key.push('more')

    expect(Registry.lookup(registry, ['user', 1])).toHaveLength(1)
    await run(who, (context) => Registry.unregister(context, rooms, ['user', 1]))
    expect(Registry.count(registry)).toBe(0)
  })

  test('refuses a key that contains itself', async () => {
    const { registry } = await withRegistry('unique')
    const key: unknown[] = []
    key.push(key)

    expect(() => Registry.lookup(registry, key)).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    )
  })
})

describe('a duplicate registry', () => {
  test('lists and dispatches to a process as often as it has registered a key', async () => {
    const { registry, start, register, clock } = await withRegistry('duplicate')
    const [a, b] = [await start(), await start()]
    await register(a, 'k', 1)
    await register(b, 'k', 2)
    await register(a, 'k', 3)

    expect(Registry.lookup(registry, 'k').map(({ value }) => value)).toEqual([1, 2, 3])
    expect(Registry.keys(registry, a)).toEqual(['k', 'k'])
    expect(Registry.values(registry, 'k', a)).toEqual([1, 3])
    expect(Registry.countMatch(registry, 'k', (value) => Number(value) > 1)).toBe(2)
    Registry.dispatch(registry, 'k', (ref, value) => void send(ref, 'note', value))
    await clock.settle()
    expect([await call(a, 'heard'), await call(b, 'heard')]).toEqual([[1, 3], [2]])
  })

  test('takes back all entries that a process has of a key, and no others', async () => {
    const { registry, start, register } = await withRegistry('duplicate')
    const [a, b] = [await start(), await start()]
    await register(a, 'k', 1)
    await register(a, 'k', 2)
    await register(a, 'j', 3)
    await register(b, 'k', 4)

    await run(a, (context) => Registry.unregister(context, rooms, 'k'))

    expect(Registry.select(registry)).toEqual([
      { key: 'k', ref: b, value: 4 },
      { key: 'j', ref: a, value: 3 },
    ])
    expect(Registry.select(registry, ({ value }) => value === 4)).toHaveLength(1)
  })

  test('leaves out of a dispatch what goes while it is under way', async () => {
    const { system, registry, start, register } = await withRegistry('duplicate')
    const members = [await start(), await start(), await start()]
    for (const [at, each] of members.entries()) await register(each, 'k', at)
    const reached: unknown[] = []

    Registry.dispatch(registry, 'k', (_ref, value) => {
      reached.push(value)
      if (members[1] !== undefined) system.kill(members[1])
    })

    expect(reached).toEqual([0, 2])
    expect(Registry.count(registry)).toBe(2)
  })

  test('has no update, and gives no names', async () => {
    const { system, start, register } = await withRegistry('duplicate')
    const who = await start()
    await register(who, 'k', 1)
    const refused = { code: 'INVALID_ARGUMENT' }

    await run(who, (context) => {
      expect(() => Registry.updateValue(context, rooms, 'k', () => 2)).toThrow(
        expect.objectContaining(refused),
      )
    })
    await expect(system.start(member, undefined, { name: via(rooms, 'k') })).rejects.toMatchObject(
      refused,
    )
    await expect(call(system.to(via(rooms, 'k')), 'heard')).rejects.toMatchObject(refused)
  })
})

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
  ])('end together when it is %s, and nobody else does', async (_, reason, end) => {
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

  test('is free after an init that fails', async () => {
    const { system, registry } = await withRegistry('unique')
    const failing: GenServer<Messages, unknown[]> = {
      ...member,
      init: () => {
        throw new Error('no')
      },
    }

    expect((await system.startResult(failing, undefined, { name: desk })).ok).toBe(false)
    expect(Registry.count(registry)).toBe(0)
    expect((await system.startResult(member, undefined, { name: desk })).ok).toBe(true)
  })

  test('finds whoever has it at the time of use, also when a supervisor has started it again', async () => {
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

  test('that nobody has is nobody: calls and sends fail, a cast is false', async () => {
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

test('a registry without a kind of keys is refused where it is written', () => {
  expect(() => Registry.childSpec('r', {} as { keys: 'unique' })).toThrow(
    expect.objectContaining({
      code: 'CONFIG',
      details: expect.objectContaining({ path: 'r.keys' }),
    }),
  )
})
