/** A partitioned supervisor: which child a key leads to, and what the children are. */
import { describe, expect, test } from 'vitest'
import {
  call,
  type GenServer,
  partitionSupervisor,
  partitions,
  reply,
  startDynamicChild,
  startSupervisor,
  whichChildren,
  worker,
} from '../../../src/runtime/index.ts'
import { testSystem } from '../../../src/testing/index.ts'

type Messages = { calls: { at: () => number; crash: () => void } }

const numbered: GenServer<Messages, number, number> = {
  init: (at) => at,
  calls: {
    at: (at) => reply(at, at),
    crash: () => {
      throw new Error('boom')
    },
  },
}

describe('a key', () => {
  test('leads to the same partition each time, by its content', () => {
    const parts = partitions('rooms', 8)
    expect(parts.names).toEqual(Array.from({ length: 8 }, (_, at) => `rooms(${at})`))
    expect(parts.of(['user', 1])).toBe(partitions('rooms', 8).of(['user', 1]))
    expect(parts.of({ a: 1, b: 2 })).toBe(parts.of({ b: 2, a: 1 }))
    for (const key of ['a', 1.5, 3n, null, undefined, Number.NaN, true, [[]]])
      expect(parts.names).toContain(parts.of(key))
  })

  test('that is a whole number leads to its remainder, as in Elixir', () => {
    const { of } = partitions('p', 4)
    expect([of(0), of(5), of(-7), of(2 ** 40)]).toEqual(['p(0)', 'p(1)', 'p(3)', 'p(0)'])
  })

  test.each([
    ['', 0x811c9dc5],
    ['a', 0xe40c292c],
    ['foobar', 0xbf9cf968],
  ])('that is a text leads to its FNV-1a hash, mixed: %j', (text, hash) => {
    const count = 1_009
    const mixed = (hash ^ (hash >>> 15)) >>> 0
    expect(partitions('p', count).of(text)).toBe(`p(${mixed % count})`)
  })

  test('of any form spreads: no partition has twice its share', () => {
    for (const make of [(at: number) => `user:${at}`, (at: number) => ['order', at]]) {
      const parts = partitions('p', 8)
      const counts = new Map<string, number>()
      for (let at = 0; at < 8_000; at++) {
        const name = parts.of(make(at))
        counts.set(name, (counts.get(name) ?? 0) + 1)
      }
      expect(counts.size).toBe(8)
      expect(Math.max(...counts.values())).toBeLessThan(1_300)
      expect(Math.min(...counts.values())).toBeGreaterThan(700)
    }
  })

  test('leads to the only partition if there is one', () => {
    expect(partitions('p', 1).of('a')).toBe('p(0)')
  })

  test.each([
    [() => partitions('', 2)],
    [() => partitions(7 as never, 2)],
    [() => partitions('p', 0)],
    [() => partitions('p', 1.5)],
  ])('needs partitions: %s', (make) => {
    expect(make).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
  })
})

describe('a partitioned supervisor', () => {
  test('has a dynamic supervisor for each partition, which starts the children of its keys', async () => {
    const { system } = testSystem()
    const rooms = partitions('rooms', 3)
    await startSupervisor(system, partitionSupervisor('rooms', rooms))
    for (let at = 0; at < 6; at++) {
      const spec = worker(`room ${at}`, numbered, at)
      expect(await startDynamicChild(system.to(rooms.of(at)), spec)).toMatchObject({ ok: true })
    }
    const ids = await Promise.all(
      rooms.names.map(async (name) => (await whichChildren(system.to(name))).map(({ id }) => id)),
    )
    expect(ids).toEqual([
      ['room 0', 'room 3'],
      ['room 1', 'room 4'],
      ['room 2', 'room 5'],
    ])
  })

  test('starts a key in one partition while the start in another is pending', async () => {
    const { system, clock } = testSystem()
    const rooms = partitions('rooms', 2)
    await startSupervisor(system, partitionSupervisor('rooms', rooms))
    const never: GenServer<Record<never, never>, null> = { init: () => new Promise(() => {}) }
    startDynamicChild(system.to(rooms.of(0)), worker('never', never)).catch(() => undefined)
    await clock.settle()
    const other = await startDynamicChild(system.to(rooms.of(1)), worker('quick', numbered, 1))
    expect(other.ok).toBe(true)
  })

  test('runs one server in every partition, each with its argument, and restarts one alone', async () => {
    const { system, clock } = testSystem()
    const counters = partitions<Messages>('counter', 4)
    const spec = partitionSupervisor('counters', counters, {
      server: numbered,
      arg: (at) => at * 10,
    })
    await startSupervisor(system, spec)
    const at = () => Promise.all(counters.names.map((name) => call(system.to(name), 'at')))
    expect(await at()).toEqual([0, 10, 20, 30])
    const before = counters.names.map((name) => system.whereis(name))
    await call(system.to(counters.of(2)), 'crash').catch(() => undefined)
    await clock.settle()
    expect(await at()).toEqual([0, 10, 20, 30])
    expect(counters.names.map((name, index) => system.whereis(name) === before[index])).toEqual([
      ...[true, true, false, true],
    ])
  })

  test.each([[{ arg: 1 }], [{ arg: () => 1 }], [{ strategy: 'one_for_all' }], [{ intensity: -1 }]])(
    'with wrong options is refused: %j',
    (options) => {
      const make = () => partitionSupervisor('p', partitions('p', 2), options as never)
      expect(make).toThrow(expect.objectContaining({ code: 'CONFIG' }))
    },
  )
  test.each([undefined, {}, { names: [] }, 'p'])('without partitions is refused: %j', (parts) => {
    const make = () => partitionSupervisor('p', parts as never)
    expect(make).toThrow(
      expect.objectContaining({
        code: 'CONFIG',
        details: expect.objectContaining({ path: 'p.partitions' }),
      }),
    )
  })
})
