/** How much of the log a journal holds: who does, that health says so, and that there is an end. */
import { expect, onTestFinished, test, vi } from 'vitest'
import { Applier, WalWriter } from '../../../src/actors/index.ts'
import { call, type DurableServer, entity, reply, supervisor } from '../../../src/index.ts'
import { appendedMarkerKey, type Projections } from '../../../src/storage/index.ts'
import type { App } from '../../../src/supervisors/index.ts'
import { committing } from '../../support/worlds/commit-door.ts'
import { codeOf, type Machine, machine, started } from '../../support/worlds/simulated-instance.ts'

type Calls = { calls: { add: (id: string) => number } }

const counter: DurableServer<Calls, number> = {
  init: () => 0,
  calls: {
    add: (count, id, context) => {
      context.journal({ id, type: 'add' })
      return reply(count + 1, count + 1)
    },
  },
}

const counters = entity('counter', counter)
const KiB = 1024
const maxHeldBytes = 1024 * KiB

const options = {
  wal: { maxFileSize: 128 * KiB },
  journal: { maxHeldBytes },
  app: supervisor('app', {}, [counters]),
} as const

/** Projections as they were before a row said that an entry was appended. */
const withoutMarker = (projections: Projections): Projections =>
  committing(projections, (store) => (changes, position) => {
    const old = [...changes].filter(([key]) => key !== appendedMarkerKey)
    return store.commit(old, position)
  })

const begun = async () => {
  const warned: string[] = []
  const { world, app } = await started(options)
  vi.spyOn(app.system.logger, 'warn').mockImplementation((line) => void warned.push(line))
  return { world, app, warned }
}

const healthOf = (app: App) => app.health().shards[0]?.journal

/** Writes so many KiB, and gives back what nothing needs. Returns the segments that are left. */
const grow = async (app: App, { during, disk }: Machine, kib: number): Promise<number> => {
  for (let at = 0; at < kib / 48; at++) await during(app.store.put('k', 'v'.repeat(48 * KiB)))
  await during(app.control.snapshot(0), 60_000)
  return disk.list('/data/shard-0/wal').filter((name) => name.endsWith('.wal')).length
}

const append = (app: App, { during }: Machine, id: string): Promise<{ readonly lsn: number }> =>
  during(app.journal.append({ id, type: 'order' }))

test('entries of turns hold no log while no state was ever saved, and all do from then on', async () => {
  const { world, app } = await begun()
  await world.during(call(app.entity(counters).ref('a'), 'add', 'e1'))
  expect(await grow(app, world, 1024)).toBeLessThan(4)
  expect(healthOf(app)).toMatchObject({ floorLsn: undefined, held: { bytes: 0, state: 'fine' } })

  await world.during(app.journal.saveState(app.health().shards[0]?.appliedLsn ?? 0, 'one'))
  await world.during(app.close())
  for (const name of world.disk.list('/data/shard-0/snapshot'))
    if (name.endsWith('.state')) world.disk.remove(`/data/shard-0/snapshot/${name}`)
  const again = await world.start(options)

  expect(await grow(again, world, 1024)).toBeGreaterThan(6)
  expect(healthOf(again)).toMatchObject({ states: [], floorLsn: 0, held: { by: ['states'] } })
})

test.each([
  ['an appended entry holds it', true],
  ['entries of turns alone do not', false],
])('in a folder of a version without the marker %s', async (_, isAppended) => {
  const world = machine({ around: withoutMarker })
  const first = await world.start(options)
  await world.during(call(first.entity(counters).ref('a'), 'add', 'e1'))
  if (isAppended) await append(first, world, 'a')
  await world.during(first.close())
  const app = await world.start(options)

  const left = await grow(app, world, 1024)

  if (isAppended) expect(left).toBeGreaterThan(6)
  else expect(left).toBeLessThan(4)
  expect(healthOf(app)).toMatchObject({ floorLsn: isAppended ? 0 : undefined })
  const entries: string[] = []
  const from = isAppended ? 1 : 'oldest'
  await world.during(app.journal.replay({ from, handler: ({ id }) => void entries.push(id) }))
  expect(entries).toEqual(isAppended ? ['e1', 'a'] : [])
})

test('an appended entry holds it up to a bound: health warns from half of it, then appends are BUSY', async () => {
  const { world, app, warned } = await begun()
  await append(app, world, 'a')
  await grow(app, world, 256)
  expect(healthOf(app)?.held).toMatchObject({ state: 'fine', by: ['states'] })
  await grow(app, world, 640)
  expect(healthOf(app)?.held).toMatchObject({ state: 'high', maxBytes: maxHeldBytes })
  await append(app, world, 'b')
  await grow(app, world, 640)

  expect(healthOf(app)?.held.state).toBe('full')
  expect(healthOf(app)?.held.bytes).toBeGreaterThan(maxHeldBytes)
  expect(warned.map((line) => line.replace(/\d{6,}/g, 'N'))).toEqual([
    'the journal of shard 0 holds N bytes of the log for states: from N on appends are refused',
    'the journal of shard 0 holds N bytes of the log for states: appends are refused',
  ])
  await expect(world.during(app.journal.append({ id: 'c', type: 'order' }))).rejects.toMatchObject({
    code: 'BUSY',
    details: { shard: 0, state: 'held', by: ['states'], maxBytes: maxHeldBytes },
  })
  expect(await world.during(codeOf(call(app.entity(counters).ref('a'), 'add', 'd')))).toBe('BUSY')
  await world.during(app.store.put('k', 'others go on'))
})

test('what holds too much does so after a start, and appends are taken once it has let go', async () => {
  const { world, app: first } = await begun()
  await append(first, world, 'a')
  await grow(first, world, 1536)
  await world.during(first.close())
  const app = await world.start(options)
  await world.clock.advance(10)
  expect(await world.during(codeOf(append(app, world, 'b')))).toBe('BUSY')

  const lsn = app.health().shards[0]?.appliedLsn ?? 0
  for (const at of [lsn - 1, lsn]) await world.during(app.journal.saveState(at, { at }))
  await world.clock.advance(10)

  await append(app, world, 'b')
  expect(healthOf(app)?.held).toMatchObject({ bytes: 0, by: [], state: 'fine' })
})

test('a subscription that is behind is named, and one that is forgotten holds nothing', async () => {
  const { world, app } = await begun()
  onTestFinished(() => void world.during(app.close()))
  const subscription = app.journal.subscribe({
    name: 'mail',
    handler: () => new Promise(() => undefined),
  })
  await world.during(call(app.entity(counters).ref('a'), 'add', 'e1'))
  await world.clock.advance(10)
  await grow(app, world, 1536)
  expect(healthOf(app)).toMatchObject({
    floorLsn: expect.any(Number),
    held: { state: 'full', by: ['subscription mail'] },
  })

  await world.during(subscription.end({ forget: true }))
  await world.clock.advance(10)
  expect(await world.during(codeOf(call(app.entity(counters).ref('a'), 'add', 'e2')))).toBe('ok')

  expect(healthOf(app)?.subscriptions).toMatchObject([{ name: 'mail', state: 'ending' }])
  expect(await grow(app, world, 128)).toBeLessThan(4)
  expect(healthOf(app)).toMatchObject({ floorLsn: undefined, held: { state: 'fine' } })
})

test('a subscription that begins below the log holds none: it could never go on', async () => {
  const { world, app } = await begun()
  await world.during(call(app.entity(counters).ref('a'), 'add', 'e1'))
  await grow(app, world, 640)
  app.journal.subscribe({ name: 'late', handler: () => undefined })
  await world.clock.advance(100)
  expect(healthOf(app)?.subscriptions).toMatchObject([{ name: 'late', state: 'stopped' }])

  expect(await grow(app, world, 1024)).toBeLessThan(4)

  expect(healthOf(app)).toMatchObject({ floorLsn: undefined, held: { bytes: 0, state: 'fine' } })
  await append(app, world, 'a')
})

test.each([
  ['writer', WalWriter.name(0)],
  ['applier', Applier.name(0)],
])('a subscription that has caught up holds nothing after deaths of the %s', async (_, victim) => {
  const { world, app } = await begun()
  onTestFinished(() => void world.during(app.close()))
  app.journal.subscribe({ name: 'mail', handler: () => undefined })
  await world.during(call(app.entity(counters).ref('a'), 'add', 'e1'))
  await world.clock.advance(10)
  for (let death = 0; death < 3; death++) {
    app.system.kill(victim as never)
    await world.clock.advance(1_000)
  }

  expect(await grow(app, world, 1536)).toBeLessThan(4)
})
