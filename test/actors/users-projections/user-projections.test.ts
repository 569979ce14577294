/** Projections of the configuration: rows that follow the log, through restarts, versions, throws and lost files. */
import { describe, expect, test } from 'vitest'
import { countsByNamespace, history, type Projection, projection } from '../../../src/index.ts'
import { name } from '../../../src/runtime/index.ts'
import type { App } from '../../../src/supervisors/index.ts'
import { CommitDoor } from '../../support/worlds/commit-door.ts'
import { codeOf, machine, started } from '../../support/worlds/simulated-instance.ts'

type Person = { readonly name: string; readonly city: string }

/** People by their city: `city/key`, with the name. */
const byCity = (version = 1): Projection =>
  projection('by-city', {
    version,
    project: (change) => {
      const { kind, key } = change
      if (kind !== 'value' || !key.startsWith('p:')) return []
      const was = change.before as Person | undefined
      const is = change.after as Person | undefined
      return [
        ...(was ? [{ kind: 'delete' as const, key: `${was.city}/${key}` }] : []),
        ...(is
          ? [
              {
                kind: 'put' as const,
                key: `${is.city}/${key}`,
                value: version === 1 ? is.name : is,
              },
            ]
          : []),
      ]
    },
  })

const begun = async (projections: readonly Projection[], options = {}) => {
  const { world, app } = await started({ projections, ...options })
  return { ...world, app }
}

const rowsOf = (app: App, of: string) => app.projection(of).range({ limit: 1_000 }).entries

test('a projection shows every write that it has reached, and each page says how far that is', async () => {
  const { app, during } = await begun([byCity()])
  await during(app.store.put('p:1', { name: 'Ada', city: 'London' }))
  await during(app.store.put('p:2', { name: 'Carl', city: 'Berlin' }))
  await during(app.store.put('p:1', { name: 'Ada', city: 'Paris' }))
  const { position } = await during(app.store.delete('p:2'))
  await during(app.projection('by-city').reached(position))

  const page = app.projection<string>('by-city').range({ prefix: 'Paris/' })
  expect(page.entries).toEqual([['Paris/p:1', 'Ada']])
  expect(page).toMatchObject({
    exhausted: true,
    positions: [{ shard: 0, lsn: position.lsn, tip: position.lsn, lag: 0 }],
  })
  expect(rowsOf(app, 'by-city')).toHaveLength(1)
  expect(app.projection('by-city').get('Paris/p:1')).toBe('Ada')
})

test('pages and bounds have keys that are longer than those of the store, and of any prefix', async () => {
  const { app, during } = await begun([byCity()])
  const city = `_root:${'x'.repeat(1_100)}`
  await during(app.store.putMany([1, 2, 3].map((at) => [`p:${at}`, { name: `n${at}`, city }])))
  const view = app.projection<string>('by-city')
  await during(view.reached())
  const options = { prefix: `${city}/`, gt: `${city}/p:1`, limit: 1 }
  const first = view.range(options)
  expect(first.entries).toEqual([[`${city}/p:2`, 'n2']])
  const cursor = first.cursor as string
  expect(view.range({ ...options, cursor }).entries).toEqual([[`${city}/p:3`, 'n3']])
  const page = await during(view.page({ ...options, cursor }))
  expect(page.entries).toEqual([[`${city}/p:3`, 'n3']])
  expect(() => view.range({ gt: 'x'.repeat(1_281) })).toThrow('at most 1280 bytes')
})

test('pages have the keys that begin with the greatest character', async () => {
  const { app, during } = await begun([byCity()])
  const city = '\u{10ffff}'
  await during(app.store.put('p:1', { name: 'Ada', city }))
  const view = app.projection<string>('by-city')
  await during(view.reached())
  const entries = [[`${city}/p:1`, 'Ada']]
  for (const options of [{}, { reverse: true }, { prefix: city }, { gte: 'a' }])
    expect(view.range(options).entries).toEqual(entries)
})

test('cursors walk all pages, in both directions, and belong to their query', async () => {
  const { app, during } = await begun([byCity()], { shards: 3 })
  const people = Array.from(
    { length: 25 },
    (_, n) => [`p:${n}`, { name: `n${n}`, city: `c${n % 3}` }] as const,
  )
  await during(app.store.putMany(people))
  const view = app.projection<string>('by-city')
  await during(view.reached())
  const walk = (reverse: boolean): string[] => {
    const keys: string[] = []
    for (let cursor: string | undefined; ; ) {
      const page = view.range({ limit: 4, reverse, ...(cursor === undefined ? {} : { cursor }) })
      keys.push(...page.entries.map(([key]) => key))
      if (page.exhausted) return keys
      cursor = page.cursor
    }
  }
  const expected = people.map(([key, { city }]) => `${city}/${key}`).sort()
  expect(walk(false)).toEqual(expected)
  expect(walk(true)).toEqual(expected.toReversed())
  const { cursor = '' } = view.range({ limit: 4 })
  expect(() => view.range({ limit: 4, prefix: 'c1', cursor })).toThrow(
    expect.objectContaining({ code: 'BAD_CURSOR' }),
  )
})

test('a projection that comes later is built from the rows, while writes go on', async () => {
  const world = machine()
  const first = await world.start()
  const people = Array.from(
    { length: 2_000 },
    (_, n) => [`p:${n}`, { name: `n${n}`, city: `c${n}` }] as const,
  )
  await world.during(first.store.putMany(people))
  await world.during(first.close())

  const app = await world.start({ projections: [byCity()] })
  const writes = Array.from({ length: 50 }, (_, n) =>
    app.store.put(`p:${n * 40}`, { name: 'moved', city: 'elsewhere' }),
  )
  await world.during(Promise.all(writes))
  await world.during(app.projection('by-city').reached())
  const rows = rowsOf(app, 'by-city')
  expect(
    app.projection('by-city').range({ prefix: 'elsewhere/', limit: 100 }).entries,
  ).toHaveLength(50)
  expect(rows).toHaveLength(1_000)
  expect(app.projection('by-city').status()).toMatchObject([{ state: 'live', version: 1, lag: 0 }])
})

test('a new version takes the place of the old one', async () => {
  const world = machine()
  const first = await world.start({ projections: [byCity(1)] })
  await world.during(first.store.put('p:1', { name: 'Ada', city: 'London' }))
  await world.during(first.projection('by-city').reached())
  await world.during(first.close())

  const app = await world.start({ projections: [byCity(2)] })
  await world.during(app.projection('by-city').reached())
  expect(app.projection('by-city').get('London/p:1')).toEqual({ name: 'Ada', city: 'London' })
  expect(app.projection('by-city').status()).toMatchObject([{ state: 'live', version: 2 }])
})

describe('while the first commit after a crash is on its way, and the log has no frame for it', () => {
  const ada = { name: 'Ada', city: 'London' }
  const begun = () => {
    const door = new CommitDoor()
    const world = machine({ around: (projections) => door.around(projections) })
    let app: App | undefined
    return {
      during: world.during,
      /** Ends the last instance without a frame at its end. */
      next: async (projections: readonly Projection[]): Promise<App> => {
        world.disk.crash()
        app?.system.stop().catch(() => undefined)
        app = await world.start({ wal: { idleMarkerMs: 0 }, projections })
        return app
      },
      /** What `reached` says after the commit; it says nothing before. */
      held: async (start: Promise<App>, name: string): Promise<unknown> => {
        door.hold('before')
        const reached = (await start).projection(name).reached()
        const ends: string[] = []
        const end = () => ends.push('reached')
        reached.then(end, end)
        await world.clock.advance(50)
        expect(door.waiting).toBe(1)
        expect(ends).toEqual([])
        door.release()
        return codeOf(world.during(reached))
      },
    }
  }

  test('reached waits for the rows of a new version', async () => {
    const { during, next, held } = begun()
    const first = await next([byCity(1)])
    await during(first.store.put('p:1', ada))
    await during(first.projection('by-city').reached())

    const start = next([byCity(2)])
    expect(await held(start, 'by-city')).toBe('ok')
    expect((await start).projection('by-city').get('London/p:1')).toEqual(ada)
  })

  test('reached waits for the rows of a projection that was left out', async () => {
    const { during, next, held } = begun()
    const first = await next([byCity()])
    await during(first.store.put('p:1', ada))
    await during(first.projection('by-city').reached())
    const without = await next([])
    await during(without.store.put('p:2', ada))
    await during(without.control.flush(0))

    const start = next([byCity()])
    expect(await held(start, 'by-city')).toBe('ok')
    expect(rowsOf(await start, 'by-city')).toHaveLength(2)
  })

  test('reached waits for the rows of one that was halted, unless it throws again', async () => {
    const fragile = (isBad: boolean) =>
      projection('fragile', {
        version: 1,
        project: ({ key }) => {
          if (isBad) throw new Error('odd')
          return [{ kind: 'put', key, value: 1 }]
        },
      })
    const { during, next, held } = begun()
    const first = await next([fragile(true)])
    await during(first.store.put('a', 1))
    await during(first.control.flush(0))
    const bad = await next([fragile(true)])
    expect(await codeOf(during(bad.projection('fragile').reached()))).toBe('DEGRADED')

    const start = next([fragile(false)])
    expect(await held(start, 'fragile')).toBe('ok')
    expect((await start).projection('fragile').get('a')).toBe(1)
  })
})

test('a rebuild passes over a shard that has no frame yet', async () => {
  const { app, during } = await begun([byCity()], { shards: 2 })
  await during(app.store.put('p:1', { name: 'Ada', city: 'London' }))
  await during(app.projection('by-city').rebuild())
  await during(app.projection('by-city').reached())
  expect(rowsOf(app, 'by-city')).toEqual([['London/p:1', 'Ada']])
})

describe('a projection whose function throws', () => {
  const fragile = () =>
    projection('fragile', {
      version: 1,
      project: ({ key, after }) => {
        if (after === 'bad') throw new Error(`cannot take ${key}`)
        return [{ kind: 'put', key, value: after ?? null }]
      },
    })

  test('is halted and named; writes and the others go on; rebuild brings it back', async () => {
    const { app, during } = await begun([fragile(), byCity()])
    const heard: unknown[] = []
    app.system.events.on('projection.halted' as never, (event: unknown) => heard.push(event))
    await during(app.store.put('a', 1))
    await during(app.store.put('b', 'bad'))
    await during(app.store.put('p:1', { name: 'Ada', city: 'London' }))
    await during(app.projection('by-city').reached())

    expect(app.projection('by-city').get('London/p:1')).toBe('Ada')
    await expect(during(app.projection('fragile').reached())).rejects.toMatchObject({
      code: 'DEGRADED',
      details: { projection: 'fragile', state: 'halted', reason: 'Error: cannot take b' },
    })
    expect(heard).toMatchObject([{ shard: 0, name: 'fragile', reason: 'Error: cannot take b' }])
    expect(rowsOf(app, 'fragile')).toEqual([['a', 1]])
    expect(app.projection('fragile').status()).toMatchObject([
      { record: { message: 'cannot take b', stack: expect.stringMatching(/^ {4}at .*project/) } },
    ])

    await during(app.store.put('b', 2))
    await during(app.projection('fragile').rebuild())
    await during(app.projection('fragile').reached())
    expect(app.projection('fragile').get('b')).toBe(2)
  })

  test('leaves the projection of the store without lag after a restart', async () => {
    const { app, during, start, clock } = await begun([fragile()])
    await during(app.store.put('b', 'bad'))
    await during(app.close())
    const again = await start({ projections: [fragile()] })
    await clock.advance(20_000)

    expect(again.projection('fragile').status()).toMatchObject([{ state: 'halted' }])
    const [shard] = again.health().shards
    expect(shard?.projectedLsn).toBe(shard?.appliedLsn)
    expect(shard?.projection.behindMs).toBe(0)
  })

  test('is given the frame that halts it once: it is not built anew with that frame', async () => {
    const tries: unknown[] = []
    const fragile = projection('fragile', {
      version: 1,
      project: ({ key, after }) => {
        if (after !== 'bad') return []
        tries.push(key)
        throw new Error('odd')
      },
    })
    const { app, during } = await begun([fragile])
    await during(app.store.put('a', 1))
    await during(app.projection('fragile').reached())
    await during(app.store.put('b', 'bad'))
    await during(app.control.flush(0))
    await during(app.store.put('c', 1))
    await during(app.control.flush(0))
    expect(tries).toEqual(['b'])
  })

  test('in a rebuild leaves the rows of the version before, over rebuilds and starts', async () => {
    const total = (version: number, isBad = false) =>
      projection('total', {
        version,
        project: ({ key, before, after }) => {
          if (isBad && key === 'k7') throw new Error('odd')
          return [{ kind: 'add', key: 'all', by: Number(after ?? 0) - Number(before ?? 0) }]
        },
      })
    const world = machine()
    const first = await world.start({ projections: [total(1)] })
    for (let at = 0; at < 10; at++) await world.during(first.store.put(`k${at}`, 100))
    await world.during(first.projection('total').reached())
    await world.during(first.close())
    const shown = (app: App) => {
      const { state, version, error } = app.projection('total').status()[0] ?? {}
      return [app.projection('total').get('all'), state, version, error]
    }

    for (let life = 0; life < 3; life++) {
      const app = await world.start({ projections: [total(2, true)] })
      // Markers of an idle log have LSNs, too.
      await world.clock.advance(500)
      expect(shown(app)).toEqual([1_000, 'halted', 1, 'Error: odd'])
      await expect(world.during(app.projection('total').rebuild())).rejects.toMatchObject({
        code: 'DEGRADED',
        details: { projection: 'total', state: 'halted', reason: 'Error: odd' },
      })
      expect(shown(app)).toEqual([1_000, 'halted', 1, 'Error: odd'])
      await world.during(app.close())
    }

    const mended = await world.start({ projections: [total(3)] })
    await world.during(mended.projection('total').reached())
    expect(shown(mended)).toEqual([1_000, 'live', 3, undefined])
  })
})

test('the built-in projections count namespaces and keep the last values of keys', async () => {
  const { app, during, clock } = await begun([
    countsByNamespace(),
    history({ prefix: 'a:', max: 3 }),
  ])
  for (let n = 1; n <= 5; n++) {
    await during(app.store.put('a:1', n))
    await clock.advance(10)
  }
  await during(app.store.putField('b:map', 'x', 1))
  await during(app.store.putField('b:map', 'y', 1))
  await during(app.store.delete('a:1'))
  for (const key of [':1', 'c']) await during(app.store.put(key, 1))
  await during(app.projection('counts').reached())

  expect(rowsOf(app, 'counts')).toEqual([
    ['_root', 2],
    ['b', 1],
  ])
  const entries = app.projection<{ value?: number }[]>('history').get('a:1')
  expect(entries?.map(({ value }) => value)).toEqual([4, 5, undefined])
})

test('a projection is given values that are in blobs, before and after', async () => {
  const { app, during } = await begun([history()], { blobs: { threshold: 100 } })
  const texts = ['x', 'y'].map((letter) => letter.repeat(5_000))
  for (const text of texts) await during(app.store.put('large', text))
  await during(app.projection('history').reached())

  expect(app.projection('history').status()).toMatchObject([{ state: 'live' }])
  const entries = app.projection<{ value?: string }[]>('history').get('large')
  expect(entries?.map(({ value }) => value)).toEqual(texts)
})

test('counts are added over all shards', async () => {
  const { app, during } = await begun([countsByNamespace()], { shards: 4 })
  await during(app.store.putMany(Array.from({ length: 40 }, (_, n) => [`n:${n}`, n] as const)))
  await during(app.projection('counts').reached())
  expect(app.projection('counts').get('n')).toBe(40)
  expect(rowsOf(app, 'counts')).toEqual([['n', 40]])
})

test('killed writers, and a projection file that is lost, change nothing of what is shown', async () => {
  const world = machine()
  const options = { projections: [byCity(), history({ max: 5 })] }
  const first = await world.start(options)
  for (let n = 0; n < 30; n++) {
    await world.during(first.store.put(`p:${n % 7}`, { name: `n${n}`, city: `c${n % 3}` }))
    if (n % 10 === 5) first.system.kill(name('lmdb_writer(0)'))
  }
  await world.during(first.projection('by-city').reached())
  const shown = [rowsOf(first, 'by-city'), rowsOf(first, 'history')]
  await world.during(first.close())
  world.projections.remove('/data/shard-0/lmdb')

  const app = await world.start(options)
  await world.during(app.projection('history').reached())
  expect([rowsOf(app, 'by-city'), rowsOf(app, 'history')]).toEqual(shown)
})

test('a projection that is loaded from a snapshot has the rows of before, histories included', async () => {
  const world = machine()
  const options = { projections: [byCity(), history({ max: 3 })], wal: { maxFileSize: 128 * 1024 } }
  const first = await world.start(options)
  const write = async (from: number, to: number): Promise<void> => {
    for (let n = from; n < to; n++)
      await world.during(first.store.put(`p:${n % 5}`, { name: `n${n}`, city: 'x'.repeat(9_000) }))
  }
  await write(0, 40)
  await world.during(first.control.snapshot(0))
  await write(40, 50)
  await world.during(first.projection('history').reached())
  const shown = [rowsOf(first, 'by-city'), rowsOf(first, 'history')]
  expect((await world.during(first.wal(0).describe())).log?.segments[0]?.baseLsn).toBeGreaterThan(1)
  await world.during(first.close())
  world.projections.remove('/data/shard-0/lmdb')

  const app = await world.start(options)
  await world.during(app.projection('history').reached())
  expect([rowsOf(app, 'by-city'), rowsOf(app, 'history')]).toEqual(shown)
  expect(app.projection('history').status()).toMatchObject([{ state: 'live', missed: undefined }])
})

test('several projections are built on a folder that is idle, and on shards that are empty', async () => {
  const world = machine()
  const first = await world.start({ shards: 2 })
  await world.during(first.store.put('p:1', { name: 'Ada', city: 'London' }))
  await world.during(first.close())

  const projections = [byCity(), countsByNamespace(), history(), countsByNamespace('again')]
  const app = await world.start({ projections })
  for (const { name: each } of projections) await world.during(app.projection(each).reached())
  expect(app.projection('again').get('p')).toBe(1)
  expect(app.projection('by-city').get('London/p:1')).toBe('Ada')
})

test('a large value halts only projections that read it', async () => {
  const greedy = projection('greedy', { version: 1, project: ({ after }) => (after ? [] : []) })
  const { app, during } = await begun([byCity(), greedy])
  await during(app.store.put('p:1', { name: 'Ada', city: 'London' }))
  const { position } = await during(app.store.put('avatar:1', 'x'.repeat(2_000_000)))
  await during(app.projection('by-city').reached(position))

  expect(rowsOf(app, 'by-city')).toEqual([['London/p:1', 'Ada']])
  const [status] = app.projection('greedy').status()
  expect(status?.error).toContain('a change has values of at most')
})

test('large values halt neither counts nor histories', async () => {
  const { app, during } = await begun([countsByNamespace(), history()])
  await during(app.store.put('p:1', 'x'.repeat(300_000)))
  await during(app.store.put('p:2', 'x'.repeat(2_000_000)))
  await during(app.projection('history').reached())
  await during(app.projection('counts').reached())
  expect(app.projection('counts').get('p')).toBe(2)
  expect(app.projection('history').get('p:1')).toMatchObject([{ value: 'x'.repeat(300_000) }])
  expect(app.projection('history').get('p:2')).toMatchObject([{ isLarge: true }])
})

test('a plain value in the place of a compound ends the one and begins the other', async () => {
  const seen: unknown[] = []
  const watching = projection('watching', {
    version: 1,
    project: ({ kind, field, before, after }) => {
      seen.push([kind, field, before, after])
      return []
    },
  })
  const { app, during } = await begun([watching])
  await during(app.store.putField('c', 'x', 1))
  await during(app.store.put('c', 'plain'))
  await during(app.projection('watching').reached())
  expect(seen).toEqual([
    ['field', 'x', undefined, 1],
    ['compound', undefined, undefined, 1],
    ['field', 'x', 1, undefined],
    ['compound', undefined, 1, undefined],
    ['value', undefined, undefined, 'plain'],
  ])
})

test('a function that returns no list, or adds to a text, is halted with a reason that says so', async () => {
  const silent = projection('silent', { version: 1, project: () => undefined as never })
  const adding = projection('adding', {
    version: 1,
    project: () => [
      { kind: 'put', key: 'n', value: 'text' },
      { kind: 'add', key: 'n', by: 1 },
    ],
  })
  const { app, during } = await begun([silent, adding])
  await during(app.store.put('a', 1))
  await during(app.control.flush(0))
  expect(app.projection('silent').status()[0]?.error).toContain('a list of operations')
  expect(app.projection('adding').status()[0]?.error).toContain('a row with a number')
})

test('reached and rebuild are DEGRADED when the followers have given up', async () => {
  const { app, clock, during } = await begun([byCity()])
  for (let at = 0; at < 11; at++) {
    app.system.kill(name('lmdb_writer(0)'))
    await clock.advance(1)
  }
  expect(await codeOf(during(app.projection('by-city').reached()))).toBe('DEGRADED')
  expect(await codeOf(during(app.projection('by-city').rebuild()))).toBe('DEGRADED')
})

test('names that are not configured, and wrong configurations, are refused', async () => {
  const { app } = await begun([byCity()])
  expect(() => app.projection('other')).toThrow(
    expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
  )
  for (const projections of [
    [byCity(), byCity()],
    [{}],
    'x',
    [null],
    [{ ...byCity(), version: 0 }],
    [{ ...byCity(), name: 5 }],
    [{ ...byCity(), name: 'by city' }],
  ])
    await expect(machine().start({ projections: projections as never })).rejects.toMatchObject({
      code: 'CONFIG',
    })
})
