/** What projections by users hold: after every frame, at any point of a rebuild, and after a throw, what a model says. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Row } from '../../../src/storage/ports/projection-store.ts'
import { ProjectedRows, projectedPrefix } from '../../../src/storage/projections/projected-rows.ts'
import type { Projection } from '../../../src/storage/projections/projection.ts'
import {
  countsByNamespace,
  history,
  projection,
} from '../../../src/storage/projections/projection-kinds.ts'
import {
  projectionMarkKey,
  projectionMarkOf,
} from '../../../src/storage/projections/projection-mark.ts'
import { ChangedRows } from '../../../src/storage/rows/rows.ts'
import { decodeValue, encodeValue } from '../../../src/storage/values/value.ts'
import { MapRows } from '../../support/worlds/map-rows.ts'

/** Each value with its keys: `value/key`. Version 2 puts the key first. */
const byValue = (version = 1): Projection =>
  projection('by-value', {
    version,
    project: ({ key, before, after }) => {
      const at = (value: unknown) => (version === 1 ? `${value}/${key}` : `${key}/${value}`)
      return [
        ...(before === undefined ? [] : [{ kind: 'delete' as const, key: at(before) }]),
        ...(after === undefined ? [] : [{ kind: 'put' as const, key: at(after), value: true }]),
      ]
    },
  })

/** The sum of all values. */
const sumOfValues = projection('sum', {
  version: 1,
  project: ({ before, after }) => [
    { kind: 'add', key: 'all', by: Number(after ?? 0) - Number(before ?? 0) },
  ],
})

/** The rows of a shard, with the frames and walks that a test makes. */
const shard = () => {
  const rows = new MapRows()
  const givenUp = new Set<string>()
  let lsn = 0
  const transaction = (
    projections: readonly Projection[],
    work: (derived: ProjectedRows, changed: ChangedRows) => void,
  ) => {
    const changed = new ChangedRows(rows)
    const derived = new ProjectedRows({ projections, givenUp, now: () => 7 }, changed, lsn)
    work(derived, changed)
    for (const { name } of derived.halted) givenUp.add(name)
    rows.take(changed.changes)
    return derived
  }
  return {
    rows,
    restart: () => givenUp.clear(),
    /** One transaction of frames, each a list of puts (`undefined` deletes). */
    frames: (projections: readonly Projection[], ...frames: (readonly [string, unknown])[][]) =>
      transaction(projections, (derived, changed) => {
        for (const frame of frames) {
          for (const [key, value] of frame) {
            const row =
              value === undefined ? undefined : { value: encodeValue(value), expiresAt: 0 }
            derived.note(key, row)
            changed.set(key, row)
          }
          lsn += 1
          derived.frame(lsn, lsn * 10)
        }
      }),
    /** Walks once; whether there was something to walk. */
    walk: (projections: readonly Projection[]): boolean => {
      let walked = false
      transaction(projections, (derived) => {
        walked = derived.walk()
      })
      return walked
    },
    rebuild: (projections: readonly Projection[], name: string) =>
      transaction(projections, (derived) => derived.rebuild(name)),
    mark: (name: string) => {
      const row = rows.get(projectionMarkKey(name))
      return row && projectionMarkOf('', row)
    },
    /** The shown rows of a projection. */
    shown(name: string): Record<string, unknown> {
      const prefix = projectedPrefix(name, this.mark(name)?.generation ?? 0)
      return Object.fromEntries(
        [...rows.rows]
          .filter(([key]) => key.startsWith(prefix))
          .map(([key, { value }]) => [key.slice(prefix.length), decodeValue(value)]),
      )
    },
    projectedRows: () => [...rows.rows.keys()].filter((key) => key.startsWith('\0v')),
  }
}

const indexOf = (values: ReadonlyMap<string, unknown>, version: number) =>
  Object.fromEntries(
    [...values].map(([key, value]) => [
      version === 1 ? `${value}/${key}` : `${key}/${value}`,
      true,
    ]),
  )

test('follows every frame, from the first on', () => {
  const { frames, shown, mark } = shard()
  const own = { frames, shown, mark }
  own.frames(
    [byValue()],
    [
      ['a', 1],
      ['b', 1],
    ],
    [['a', 2]],
    [
      ['b', undefined],
      ['c', 3],
    ],
  )
  expect(own.shown('by-value')).toEqual({ '2/a': true, '3/c': true })
  expect(own.mark('by-value')).toMatchObject({ state: 'live', version: 1 })
})

test('a rebuild at any point, among frames, ends with what following would have given', () => {
  const key = fc.constantFrom(...'abcdefgh')
  const frame = fc.array(fc.tuple(key, fc.option(fc.nat(3), { nil: undefined })), {
    minLength: 1,
    maxLength: 3,
  })
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.record({ do: fc.constant('frame' as const), frame }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('walk' as const) }) },
    {
      weight: 1,
      arbitrary: fc.record({ do: fc.constant('version' as const), version: fc.constantFrom(1, 2) }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('rebuild' as const) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('without' as const), frame }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('restart' as const) }) },
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const world = shard()
      const values = new Map<string, unknown>()
      const write = (changes: readonly (readonly [string, unknown])[]) => {
        for (const [k, v] of changes)
          if (v === undefined) values.delete(k)
          else values.set(k, v)
      }
      let version = 1
      for (const each of steps) {
        const projections = [byValue(version)]
        if (each.do === 'frame') {
          world.frames(projections, each.frame)
          write(each.frame)
        } else if (each.do === 'without') {
          world.frames([], each.frame)
          write(each.frame)
        } else if (each.do === 'walk') world.walk(projections)
        else if (each.do === 'rebuild') world.rebuild(projections, 'by-value')
        else if (each.do === 'restart') world.restart()
        else version = each.version
        if (
          world.mark('by-value')?.state === 'live' &&
          world.mark('by-value')?.version === version &&
          each.do !== 'without'
        )
          expect(world.shown('by-value')).toEqual(indexOf(values, version))
      }
      while (world.walk([byValue(version)])) expect(world.projectedRows().length).toBeLessThan(500)
      world.frames([byValue(version)], [['z', 0]])
      values.set('z', 0)
      expect(world.shown('by-value')).toEqual(indexOf(values, version))
      expect(world.projectedRows()).toHaveLength(values.size)
    }),
    { numRuns: 300 },
  )
})

test('the rows of the old version are shown, as of their position, until the new ones are whole', () => {
  const world = shard()
  const numbered = (n: number) => `k${String(n).padStart(4, '0')}`
  const values = new Map(Array.from({ length: 1_200 }, (_, n) => [numbered(n), n]))
  world.frames([byValue(1)], [...values])
  const old = world.shown('by-value')
  for (const rows of [500, 1_000]) {
    expect(world.walk([byValue(2)])).toBe(true)
    // Before and behind the cursor.
    for (const at of [1, 600, 1_100]) {
      world.frames([byValue(2)], [[numbered(at), -rows]])
      values.set(numbered(at), -rows)
    }
    expect(world.mark('by-value')).toMatchObject({
      ...{ state: 'stopped', version: 1, lsn: 1 },
      building: { version: 2, rows },
    })
    expect(world.shown('by-value')).toEqual(old)
  }
  world.walk([byValue(2)])
  expect(world.mark('by-value')).toMatchObject({ state: 'live', version: 2 })
  expect(world.shown('by-value')).toEqual(indexOf(values, 2))
})

test('a rebuild among writes counts every row once', () => {
  // An `add` cannot be repeated, unlike a put: what was walked and fed, or neither, is in the sum.
  const sums = [countsByNamespace(), sumOfValues]
  const initial = Array.from({ length: 1_050 }, (_, n) => [`n:${n}`, n] as const)
  // Often the row that the first walk ends with, and the one behind it.
  const edges = initial
    .map(([name]) => name)
    .sort()
    .slice(499, 501)
  const key = fc.oneof(
    fc.nat(1_099).map((n) => `n:${n}`),
    fc.constantFrom(...edges),
  )
  const frame = fc.array(fc.tuple(key, fc.option(fc.nat(9), { nil: undefined })), {
    ...{ minLength: 1, maxLength: 5 },
  })
  fc.assert(
    fc.property(fc.array(frame, { minLength: 4, maxLength: 8 }), (frames) => {
      const world = shard()
      world.frames([], [...initial])
      const values = new Map<string, unknown>(initial)
      for (const changes of frames) {
        world.walk(sums)
        world.frames(sums, changes)
        for (const [name, value] of changes)
          if (value === undefined) values.delete(name)
          else values.set(name, value)
      }
      while (world.walk(sums));
      const sum = [...values.values()].reduce<number>((all, value) => all + Number(value), 0)
      expect(world.shown('counts')).toEqual({ n: values.size })
      expect(world.shown('sum')).toEqual({ all: sum })
    }),
    { numRuns: 20 },
  )
})

describe('a projection that throws', () => {
  const broken = projection('broken', {
    version: 1,
    project: ({ key, after }) => {
      if (after === 'bad') throw new Error(`no ${key}`)
      return [{ kind: 'put', key, value: after ?? null }]
    },
  })

  test('is halted before the frame, whole, and named; the others go on', () => {
    const world = shard()
    const both = [broken, byValue()]
    world.frames(both, [['a', 1]])
    const derived = world.frames(
      both,
      [
        ['b', 2],
        ['c', 'bad'],
      ],
      [['d', 3]],
    )
    expect(derived.halted).toMatchObject([{ name: 'broken' }])
    expect(world.mark('broken')).toMatchObject({
      ...{ state: 'halted', lsn: 1, error: 'Error: no c', haltedAt: 7 },
    })
    expect(world.shown('broken')).toEqual({ a: 1 })
    expect(world.shown('by-value')).toEqual({
      '1/a': true,
      '2/b': true,
      'bad/c': true,
      '3/d': true,
    })
  })

  test('is not tried again in the same life, and built anew in the next one', () => {
    const world = shard()
    world.frames([broken], [['a', 'bad']])
    world.frames([broken], [['a', 1]])
    expect(world.walk([broken])).toBe(false)
    world.restart()
    while (world.walk([broken]));
    expect(world.mark('broken')).toMatchObject({ state: 'live' })
    expect(world.shown('broken')).toEqual({ a: 1 })
  })

  test('or returns what is no operation, is halted too', () => {
    for (const wrong of [
      { kind: 'put', key: '', value: 1 },
      { kind: 'add', key: 'n', by: Number.NaN },
      { kind: 'put', key: 'k', value: () => 1 },
      null,
      {},
    ]) {
      const world = shard()
      const odd = projection('odd', { version: 1, project: () => [wrong as never] })
      world.frames([odd], [['a', 1]])
      expect(world.mark('odd')).toMatchObject({ state: 'halted', lsn: 0 })
    }
  })
})

test('a projection that keeps its rows says what it missed, and is not built anew', () => {
  const world = shard()
  const kept = [history({ max: 2 })]
  world.frames(kept, [['a', 1]], [['a', 2]], [['a', 3]])
  world.frames([], [['a', 4]])
  world.frames(kept, [['a', 5]], [['b', 1]], [['b', undefined]])
  expect(world.shown('history')).toEqual({
    a: [
      { lsn: 3, time: 30, value: 3 },
      { lsn: 5, time: 50, value: 5 },
    ],
    b: [
      { lsn: 6, time: 60, value: 1 },
      { lsn: 7, time: 70 },
    ],
  })
  expect(world.mark('history')).toMatchObject({ state: 'live', missed: [4, 4] })
})

test('counts by namespace are those of the keys', () => {
  const world = shard()
  const counts = [countsByNamespace()]
  world.frames(
    counts,
    [
      ['a:1', 1],
      ['a:2', 1],
      ['b:1', 1],
      ['plain', 1],
    ],
    [
      ['a:1', 2],
      ['b:1', undefined],
    ],
  )
  expect(world.shown('counts')).toEqual({ a: 2, _root: 1 })
})

test('a projection sees its rows in order, with those of the changes before in its transaction', () => {
  const seen: string[][] = []
  const asked = projection('asked', {
    version: 1,
    project: ({ key, exists }, own) => {
      seen.push([...own.range('k')].map(([row]) => row))
      return [{ kind: exists ? 'put' : 'delete', key, value: true }]
    },
  })
  const { frames } = shard()
  frames([asked], [['k5', 1]])
  frames([asked], [['k7', 1]], [['k3', 1]], [['k5', undefined]], [['k4', 1]])
  expect(seen).toEqual([[], ['k5'], ['k5', 'k7'], ['k3', 'k5', 'k7'], ['k3', 'k7']])
})

test('rows that begin with the greatest character are seen by their projection, and removed with it', () => {
  const seen: string[][] = []
  const last = (version: number) =>
    projection('last', {
      version,
      project: ({ key }, own) => {
        seen.push([...own.range('')].map(([row]) => row))
        return [{ kind: 'put', key: `\u{10ffff}${key}`, value: true }]
      },
    })
  const world = shard()
  world.frames([last(1)], [['a', 1]], [['b', 1]])
  expect(seen).toEqual([[], ['\u{10ffff}a']])

  while (world.walk([last(2)]));
  expect(world.mark('last')).toMatchObject({ state: 'live', version: 2 })
  expect(world.projectedRows()).toHaveLength(2)
})

test('names, versions and functions that are wrong are refused as configuration', () => {
  const project = () => []
  for (const wrong of [
    () => projection('a b', { version: 1, project }),
    () => projection('a', { version: 0, project }),
    () => projection('a', { version: 1, project: 7 as never }),
    () => projection('a', { version: 1, project, keep: true } as never),
    () => projection('a', null as never),
    () => history({ max: 0 }),
    () => history({ maxAgeMs: -1 }),
  ])
    expect(wrong).toThrow(expect.objectContaining({ code: 'CONFIG' }))
})

test('a projection that changes a value it was given changes that of no other, and reads it again', () => {
  const seen: unknown[] = []
  const spoiling = (name: string) =>
    projection(name, {
      version: 1,
      project: (change) => {
        const list = change.after as string[]
        list.push(name)
        seen.push(change.after)
        return [{ kind: 'put', key: change.key, value: list }]
      },
    })
  const world = shard()
  world.frames([spoiling('one'), spoiling('two')], [['a', ['x']]])
  expect(seen).toEqual([
    ['x', 'one'],
    ['x', 'two'],
  ])
  expect(world.shown('two')).toEqual({ a: ['x', 'two'] })
  expect(decodeValue((world.rows.get('a') as Row).value)).toEqual(['x'])
})

test('a projection that throws in a frame leaves nothing of that frame', () => {
  const world = shard()
  const failing = projection('failing', {
    version: 1,
    project: ({ key }) => {
      if (key === 'c') throw new Error('no')
      return [{ kind: 'put', key, value: 1 }]
    },
  })
  world.frames([failing], [['a', 1]])
  const before = world.projectedRows()
  world.frames(
    [failing],
    [
      ['b', 1],
      ['c', 1],
    ],
  )
  expect(world.mark('failing')).toMatchObject({ state: 'halted' })
  expect(world.projectedRows()).toEqual(before)
})

test('a rebuild that is asked for is of that projection, and walks its rows', () => {
  const world = shard()
  const both = [sumOfValues, byValue(2)]
  world.frames(both, [['a', 1]])
  world.rebuild(both, 'by-value')
  expect(world.mark('by-value')).toMatchObject({ state: 'stopped', building: { version: 2 } })
  expect(world.mark('sum')).toEqual({ state: 'live', version: 1, generation: 1, lsn: 0 })
  world.walk(both)
  expect(world.mark('by-value')).toMatchObject({ state: 'live', generation: 2, garbage: [1] })
})

test('rows that a new version replaced are removed in parts, as one walk takes', () => {
  const world = shard()
  const values = Array.from({ length: 1_001 }, (_, n) => [`k${n}`, n] as const)
  world.frames([byValue(1)], [...values])
  for (let walk = 0; walk < 3; walk++) world.walk([byValue(2)])
  expect(world.mark('by-value')).toMatchObject({ state: 'live', version: 2, garbage: [1] })
  const left = [1, 2, 3].map(() => {
    expect(world.walk([byValue(2)])).toBe(true)
    return world.projectedRows().length - values.length
  })
  expect(left).toEqual([501, 1, 0])
  expect(world.walk([byValue(2)])).toBe(false)
  expect(world.mark('by-value')).not.toHaveProperty('garbage')
})

test('a projection may give its operations one by one', () => {
  const world = shard()
  const generated = projection('generated', {
    version: 1,
    *project({ key }) {
      yield { kind: 'put', key, value: 1 }
      yield { kind: 'add', key: 'all', by: 1 }
    },
  })
  world.frames([generated], [['a', 1]], [['b', 1]])
  expect(world.shown('generated')).toEqual({ a: 1, b: 1, all: 2 })
})

test('a rebuild of a projection that is not configured, or has no mark, begins nothing', () => {
  const own = shard()
  own.frames([byValue()], [['a', 1]])
  const before = new Map(own.rows.rows)
  own.rebuild([byValue()], 'elsewhere')
  own.rebuild([], 'by-value')
  expect(own.mark('by-value')).toMatchObject({ version: 1, generation: 1 })
  expect(own.mark('by-value')?.building).toBeUndefined()
  expect(own.mark('elsewhere')).toBeUndefined()
  expect([...own.rows.rows.keys()]).toEqual([...before.keys()])
})

test('a projection may write a key of the greatest length, and halts with a longer one', () => {
  const keyed = (length: number) =>
    projection('long', {
      version: length,
      project: () => [{ kind: 'put', key: 'k'.repeat(length), value: 1 }],
    })
  for (const [length, state] of [
    [1_280, 'live'],
    [1_281, 'halted'],
  ] as const) {
    const own = shard()
    own.frames([keyed(length)], [['a', 1]])
    expect(own.mark('long')).toMatchObject({ state })
  }
})
