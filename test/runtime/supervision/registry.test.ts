/** A registry of unique keys, and one of duplicate keys: holders, changes, and equality of keys. */
import { describe, expect, test } from 'vitest'
import { type Context, call, name, Registry, via } from '../../../src/runtime/index.ts'
import { type Messages, member, rooms, run, withRegistry } from '../names/rooms.ts'

describe('a unique registry', () => {
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

describe('the entries of a registry', () => {
  const filled = async () => {
    const world = await withRegistry('duplicate')
    const [a, b] = [await world.start(), await world.start()]
    for (const [who, key, value] of [
      [a, 'k', 1],
      [b, 'k', 2],
      [a, 'j', 3],
      [a, 'k', 4],
    ] as const)
      await world.register(who, key, value)
    return { ...world, a, b }
  }

  test('have key, ref and value, oldest first', async () => {
    const { registry, a, b } = await filled()
    const entries = [
      { key: 'k', ref: a, value: 1 },
      { key: 'k', ref: b, value: 2 },
      { key: 'k', ref: a, value: 4 },
    ]
    expect(Registry.lookup(registry, 'k')).toEqual(entries)
    expect(Registry.select(registry)).toEqual([...entries, { key: 'j', ref: a, value: 3 }])
    expect(Registry.select(registry, ({ value }) => Number(value) > 2)).toEqual([
      entries[2],
      { key: 'j', ref: a, value: 3 },
    ])
  })

  test('are counted, and found by their holder', async () => {
    const { system, registry, a, b } = await filled()
    expect([Registry.keys(registry, a), Registry.keys(registry, b)]).toEqual([
      ['k', 'j', 'k'],
      ['k'],
    ])
    expect(Registry.values(registry, 'k', a)).toEqual([1, 4])
    expect(Registry.countMatch(registry, 'k', (value) => Number(value) > 1)).toBe(2)
    expect([Registry.count(registry), Registry.values(registry, 'none', a)]).toEqual([4, []])
    const nobody = system.to(name('nobody'))
    expect([Registry.keys(registry, nobody), Registry.values(registry, 'k', nobody)]).toEqual([
      [],
      [],
    ])
  })

  test('reach their refs in a dispatch, and a throw ends it', async () => {
    const { registry, a, b } = await filled()
    const reached: unknown[] = []
    Registry.dispatch(registry, 'k', (ref, value) => reached.push([ref, value]))
    expect(reached).toEqual([
      [a, 1],
      [b, 2],
      [a, 4],
    ])
    let calls = 0
    const throwing = () => {
      calls++
      throw new Error('enough')
    }
    expect(() => Registry.dispatch(registry, 'k', throwing)).toThrow('enough')
    expect(calls).toBe(1)
  })
})

test('a process that starts under a key has the value of its name, or null', async () => {
  const { system, registry } = await withRegistry('unique')
  await system.start(member, undefined, { name: via(rooms, 'with', 7) })
  const without = await system.start(member, undefined, { name: via(rooms, 'without') })
  expect(Registry.select(registry).map(({ value }) => value)).toEqual([7, null])
  const taken = await system.startResult(member, undefined, { name: via(rooms, 'without') })
  expect(taken).toEqual({ ok: false, reason: ['already_started', without] })
})

test('a key that is taken is said to be so with its holder, who holds it on', async () => {
  const { registry, start, register } = await withRegistry('unique')
  const [a, b] = [await start(), await start()]
  expect(await register(a, 'k', 1)).toEqual({ ok: true })
  const taken = { ok: false, reason: ['already_registered', a] }
  expect([await register(b, 'k', 2), await register(a, 'k', 3)]).toEqual([taken, taken])
  expect(Registry.values(registry, 'k', a)).toEqual([1])
})

test('a registry has no name through a registry', () => {
  expect(() => via(via(rooms, 'inner') as never, 'k' as never)).toThrow(
    expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
  )
})

test('a registry without a kind of keys is refused where it is written', () => {
  expect(() => Registry.childSpec('r', {} as { keys: 'unique' })).toThrow(
    expect.objectContaining({
      code: 'CONFIG',
      details: expect.objectContaining({ path: 'r.keys' }),
    }),
  )
})
