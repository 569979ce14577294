/** Projections that ask for entities: what they are told, when, and how they are rebuilt; and the counters of the package. */
import { describe, expect, test } from 'vitest'
import { kindCountIn } from '../../../src/actors/entities/entity-totals.ts'
import {
  type App,
  call,
  type DurableServer,
  type EntityChange,
  entity,
  name,
  type Projection,
  type ProjectionChange,
  projection,
  reply,
  supervisor,
  worker,
} from '../../../src/index.ts'
import { entityRowKey, positionEntity, projectionMarkKey } from '../../../src/storage/index.ts'
import { projectionMarkRow } from '../../../src/storage/projections/projection-mark.ts'
import { rowsOf } from '../../../src/storage/values/row-key.ts'
import { type Machine, machine } from '../../support/worlds/simulated-instance.ts'

type Thing = { readonly status: string; readonly size?: number; readonly note?: number }
type Messages = { calls: { set: (thing: Thing) => void; both: (thing: Thing) => void } }

const thing: DurableServer<Messages, Thing, { status: string; size: number | undefined }> = {
  init: () => ({ status: 'none' }),
  calls: {
    set: (_, next) => reply(undefined, next),
    both: (_, next, { id, writes }) => {
      writes.put(`{thing/${id}}:status`, next.status)
      return reply(undefined, next)
    },
  },
  index: ({ status, size }) => ({ status, size }),
}
const things = entity('thing', thing)
const app = supervisor('app', {}, [
  things,
  worker('single', thing as never, { durable: true, arg: undefined }),
])

const set = (on: App, id: string, to: Thing): Promise<void> =>
  call(on.entity(things).ref(id), 'set', to)

/** Notes every change in `seen`, and keeps the present status of each thing, and of each key. */
const watching = (seen: unknown[], version = 1): Projection =>
  projection('watching', {
    version,
    entities: true,
    project: (change) => {
      seen.push(toldBy(change))
      const key = change.kind === 'entity' ? `${change.entityKind}/${change.id}` : change.key
      return change.exists ? [{ kind: 'put', key, value: change.after }] : [{ kind: 'delete', key }]
    },
  })

const toldBy = (change: ProjectionChange | EntityChange): unknown =>
  change.kind === 'entity'
    ? [change.entityKind, change.id, change.before, change.after]
    : [change.kind, change.key, change.before, change.after]

const shown = (on: App) => on.projection('watching').range({ limit: 1_000 }).entries

const begun = async (projections: readonly Projection[] = [], shards = 1) => {
  const world = machine()
  return { world, app: await world.start({ app, projections, shards }) }
}

describe('a projection with `entities`', () => {
  test('is told of an entity that is new, has other fields, or is deleted, and of no other turn', async () => {
    const seen: unknown[] = []
    const { world, app } = await begun([watching(seen)])
    await world.during(set(app, 'a', { status: 'new', size: 1 }))
    await world.during(set(app, 'a', { status: 'new', size: 1, note: 1 }))
    await world.during(set(app, 'a', { status: 'old' }))
    await world.during(app.entity(things).delete('a'))
    await world.during(set(app, 'a', { status: 'back' }))
    await world.during(app.projection('watching').reached())

    expect(seen).toEqual([
      ['thing', 'a', undefined, { status: 'new', size: 1 }],
      ['thing', 'a', { status: 'new', size: 1 }, { status: 'old' }],
      ['thing', 'a', { status: 'old' }, undefined],
      ['thing', 'a', undefined, { status: 'back' }],
    ])
    expect(shown(app)).toEqual([['thing/a', { status: 'back' }]])
  })

  test('is told of keys too, in the transaction of the turn that wrote them', async () => {
    const seen: unknown[] = []
    const { world, app } = await begun([watching(seen)])
    await world.during(call(app.entity(things).ref('a'), 'both', { status: 'new' }))
    await world.during(app.projection('watching').reached())

    expect(seen).toEqual([
      ['value', '{thing/a}:status', undefined, 'new'],
      ['thing', 'a', undefined, { status: 'new' }],
    ])
  })

  test('is built from the entities that are there, piece by piece, while turns go on', async () => {
    const seen: unknown[] = []
    const { world, app: first } = await begun([])
    const ids = Array.from({ length: 1_200 }, (_, n) => `t${n}`)
    await world.during(Promise.all(ids.map((id) => set(first, id, { status: 'old' }))))
    await world.during(first.store.put('k', 1))
    await world.during(first.close())

    const second = await world.start({ app, projections: [watching(seen)] })
    const turns = ids.filter((_, n) => n % 40 === 0).map((id) => set(second, id, { status: 'new' }))
    await world.during(Promise.all(turns))
    await world.during(second.projection('watching').reached())
    const rows = shown(second)
    expect(rows).toHaveLength(1_000)
    const all = new Map(second.projection('watching').range({ limit: 2_000 }).entries)
    expect(all.size).toBe(1_201)
    expect([...all.values()].filter((each) => (each as Thing).status === 'new')).toHaveLength(30)
  })

  test('has the same rows when its file was lost, and when it is rebuilt', async () => {
    const { world, app: first } = await begun([watching([])])
    for (const id of ['a', 'b', 'c']) await world.during(set(first, id, { status: id }))
    await world.during(first.entity(things).delete('b'))
    await world.during(first.projection('watching').reached())
    const before = shown(first)
    await world.during(first.close())
    world.projections.remove('/data/shard-0/lmdb')

    const second = await world.start({ app, projections: [watching([])] })
    await world.during(second.projection('watching').reached())
    expect(shown(second)).toEqual(before)
    await world.during(second.projection('watching').rebuild())
    await world.during(second.projection('watching').reached())
    expect(shown(second)).toEqual(before)
    expect(before.map(([key]) => key)).toEqual(['thing/a', 'thing/c'])
  })

  test('is told nothing of durable workers, and of saved states of the journal', async () => {
    const seen: unknown[] = []
    const { world, app } = await begun([watching(seen)])
    const single = app.system.to(name<Messages>('single'))
    await world.during(call(single, 'set', { status: 'new' }))
    await world.during(app.projection('watching').reached())
    expect(seen).toEqual([])
  })

  test('is told nothing of the positions of subscriptions, at first and in a rebuild', async () => {
    const seen: unknown[] = []
    const { world, app } = await begun([watching(seen)])
    app.journal.subscribe({ name: 'mail', handler: () => undefined })
    for (let n = 0; n < 6; n++) {
      await world.during(app.journal.append({ id: `e${n}`, type: 'order' }))
      await world.clock.advance(100)
    }
    const position = app.shards[0]?.view().row(entityRowKey(positionEntity('mail')))
    expect(position).toBeDefined()

    const watched = app.projection('watching')
    await world.during(watched.reached())
    await world.during(watched.rebuild())
    await world.during(watched.reached())

    expect(watched.status()).toMatchObject([{ state: 'live' }])
    expect(seen).toEqual([])
  })
})

test('a projection that does not ask for entities is not called with them', async () => {
  const kinds = new Set<string>()
  const silent = projection('silent', {
    version: 1,
    project: ({ kind }) => {
      kinds.add(kind)
      return []
    },
  })
  const { world, app } = await begun([silent, watching([])])
  await world.during(call(app.entity(things).ref('a'), 'both', { status: 'new' }))
  await world.during(app.projection('silent').rebuild())
  await world.during(app.projection('silent').reached())
  expect([...kinds]).toEqual(['value'])
})

describe('counts', () => {
  const countsOf = async (world: Machine, on: App) => {
    const handle = on.entity(things)
    const [all, counts] = await world.during(Promise.all([handle.count(), handle.counts('status')]))
    return [all, Object.fromEntries(counts)]
  }
  /** The counters of every shard are used, and not a walk over the rows. */
  const isCounted = (on: App): boolean =>
    on.shards.every((shard) => kindCountIn(shard, 'thing') !== undefined)

  test('say what every acknowledged turn made, before LMDB has it and after', async () => {
    const { world, app } = await begun([], 3)
    for (let n = 0; n < 9; n++) {
      await world.during(set(app, `t${n % 5}`, { status: `s${n % 2}` }))
      const states = app
        .entity(things)
        .list()
        .entries.map(({ state }) => state as Thing)
      const expected: Record<string, number> = {}
      for (const { status } of states) expected[status] = (expected[status] ?? 0) + 1
      expect(await countsOf(world, app)).toEqual([states.length, expected])
      expect(isCounted(app)).toBe(true)
      if (n === 5) await world.during(app.control.flushAll())
    }
    await world.during(app.entity(things).delete('t0'))
    expect(await countsOf(world, app)).toEqual([4, { s0: 3, s1: 1 }])
    expect(isCounted(app)).toBe(true)
  })

  test('are exact while a suspension holds the projection back', async () => {
    const { world, app } = await begun()
    await world.during(set(app, 'a', { status: 'old' }))
    await world.during(app.control.suspend(0))
    await world.during(set(app, 'a', { status: 'new' }))
    await world.during(set(app, 'b', { status: 'new' }))
    expect(await countsOf(world, app)).toEqual([2, { new: 2 }])
    expect(isCounted(app)).toBe(true)
  })

  const halted = { state: 'halted', version: 1, generation: 1, lsn: 1, error: 'damaged' } as const
  test.each([
    ['that has no counters', undefined],
    ['whose counters are halted', projectionMarkRow(halted)],
  ])('are built in pieces in a folder %s, and right until they are', async (_, mark) => {
    const world = machine()
    const first = await world.start({ app })
    const ids = Array.from({ length: 1_100 }, (_, n) => `t${n}`)
    await world.during(Promise.all(ids.map((id) => set(first, id, { status: 'old' }))))
    await world.during(first.close())
    const folder = world.projections.open('/data/shard-0/lmdb')
    const position = folder.position()
    if (!position) throw new Error('it has a position')
    const counters = [...folder.range(rowsOf('projected'))].map(
      ([key]) => [key, undefined] as const,
    )
    await folder.commit([[projectionMarkKey('$entities'), mark], ...counters], position)
    await folder.close()

    const second = await world.start({ app })
    expect(isCounted(second)).toBe(false)
    expect(await countsOf(world, second)).toEqual([1_100, { old: 1_100 }])
    await world.during(set(second, 't7', { status: 'new' }))
    await world.clock.advance(1_000)
    expect(isCounted(second)).toBe(true)
    expect(await countsOf(world, second)).toEqual([1_100, { new: 1, old: 1_099 }])
  })

  test('are the same from a snapshot and the log behind it', async () => {
    const { world, app: first } = await begun()
    for (let n = 0; n < 40; n++)
      await world.during(set(first, `t${n % 6}`, { status: `${n % 4}${'x'.repeat(400)}` }))
    await world.during(first.control.snapshot(0))
    await world.during(first.entity(things).delete('t3'))
    await world.during(set(first, 't1', { status: 'last' }))
    const before = await countsOf(world, first)
    await world.during(first.close())
    world.projections.remove('/data/shard-0/lmdb')

    const second = await world.start({ app })
    await world.clock.advance(1_000)
    expect(isCounted(second)).toBe(true)
    expect(await countsOf(world, second)).toEqual(before)
  })
})
