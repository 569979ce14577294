/** Subscriptions to the journal: every durable entry, in order, once while the process lives. */
import { describe, expect, test } from 'vitest'
import {
  Applier,
  JournalActor,
  type StorageEvents,
  type Subscription,
  WalWriter,
} from '../../../src/actors/index.ts'
import { call, type DurableServer, entity, reply, supervisor } from '../../../src/index.ts'
import { telemetry } from '../../../src/runtime/index.ts'
import { readEventPayload } from '../../../src/storage/values/event-payload.ts'
import type { App } from '../../../src/supervisors/index.ts'
import { append, entry, healthOf } from '../../support/worlds/journal-entries.ts'
import { codeOf, failNextSync, machine } from '../../support/worlds/simulated-instance.ts'

describe('a subscription', () => {
  test('gets the events of durable entries, in order and without side effects', async () => {
    const world = machine({ syncMs: 20 })
    const app = await world.start()
    const got: unknown[] = []
    app.journal.subscribe({
      name: 'audit',
      handler: ({ id, events, ...rest }) => {
        got.push([id, events.map(({ payload }) => readEventPayload(payload).value)])
        expect(rest).not.toHaveProperty('effects')
      },
    })
    await world.clock.advance(500)
    const acks = ['a', 'b'].map((id) => app.journal.append(entry(id)))

    await world.clock.advance(19)
    expect(got).toEqual([])

    await world.during(Promise.all(acks))
    await world.clock.advance(50)
    expect(got).toEqual([
      ['a', [{ id: 'a' }]],
      ['b', [{ id: 'b' }]],
    ])
  })

  test('gets none twice, though the actor, the applier and the shard die', async () => {
    const world = machine()
    const app = await world.start()
    const got: string[] = []
    app.journal.subscribe({ name: 'audit', handler: ({ id }) => void got.push(id) })
    const ids: string[] = []
    const more = async (): Promise<void> => {
      const next = [`${ids.length}`, `${ids.length + 1}`]
      ids.push(...next)
      await append(app, world, ...next)
    }
    await more()
    app.system.kill(JournalActor.name(0))
    await more()
    app.system.kill(app.system.to(JournalActor.name(0)))
    await world.clock.advance(10)
    await more()
    failNextSync(world.disk)
    await world.during(codeOf(app.store.put('k', 1)))
    await world.during(app.control.reopen(0))
    await more()
    await world.clock.advance(50)

    expect(got).toEqual(ids)
  })

  const actors = { applier: Applier.name(0), wal_writer: WalWriter.name(0) }
  test.each(
    Object.entries(actors).flatMap(([actor, victim]) =>
      ['dead before', 'killed with', 'killed after'].map((when) => ({ actor, victim, when })),
    ),
  )('begins when the shard is open, with its $actor $when the call', async ({ victim, when }) => {
    const world = machine()
    const app = await world.start()
    await append(app, world, 'a')
    const got: string[] = []
    if (when === 'dead before') app.system.kill(victim as never)
    app.journal.subscribe({ name: 'audit', handler: ({ id }) => void got.push(id) })
    if (when === 'killed after') await world.clock.advance(0)
    if (when !== 'dead before') app.system.kill(victim as never)
    await append(app, world, 'b', 'c')
    await world.clock.advance(100)

    expect(got).toEqual(['a', 'b', 'c'])
  })

  test('waits for a slow handler, whose entry is handled once though the actor dies meanwhile', async () => {
    const world = machine()
    const app = await world.start()
    const got: string[] = []
    app.journal.subscribe({
      name: 'audit',
      handler: async ({ id }) => {
        await new Promise<void>((resolve) => world.clock.after(100, resolve))
        got.push(id)
      },
    })
    await append(app, world, 'a', 'b')
    await world.clock.advance(50)
    app.system.kill(JournalActor.name(0))
    await world.clock.advance(300)

    expect(got).toEqual(['a', 'b'])
  })

  test('goes on behind its saved position after a restart, and after a power cut', async () => {
    const world = machine()
    const got: string[] = []
    const started = async (): Promise<App> => {
      const app = await world.start()
      app.journal.subscribe({ name: 'audit', handler: ({ id }) => void got.push(id) })
      await world.clock.advance(50)
      return app
    }
    const app = await started()
    await append(app, world, 'a', 'b')
    await world.clock.advance(50)
    await world.during(app.close())

    const second = await started()
    await append(second, world, 'c')
    await world.clock.advance(50)
    expect(got).toEqual(['a', 'b', 'c'])
    world.disk.crash()
    second.system.stop().catch(() => undefined)

    await started()
    expect(got).toEqual(['a', 'b', 'c'])
  })

  test('whose handler throws stops, is named in health, and the others go on', async () => {
    const world = machine()
    const app = await world.start()
    const got: string[] = []
    let isBroken = true
    const subscribe = () =>
      app.journal.subscribe({
        name: 'weak',
        handler: ({ id }) => {
          if (isBroken && id === 'b') throw new Error('no room')
          got.push(`weak ${id}`)
        },
      })
    subscribe()
    app.journal.subscribe({ name: 'good', handler: ({ id }) => void got.push(`good ${id}`) })
    expect(() => subscribe()).toThrow(expect.objectContaining({ code: 'CONFLICT' }))
    await append(app, world, 'a', 'b', 'c')
    await world.clock.advance(50)

    expect(got.filter((each) => each.startsWith('weak'))).toEqual(['weak a'])
    expect(got.filter((each) => each.startsWith('good'))).toEqual(['good a', 'good b', 'good c'])
    expect(healthOf(app)?.subscriptions).toMatchObject([
      { name: 'weak', state: 'stopped', failure: expect.stringContaining('no room') },
      { name: 'good', state: 'running', failure: undefined },
    ])
    const record = {
      name: 'Error',
      stack: expect.stringMatching(/^ {4}at .*handler .*subscription/),
    }
    expect(healthOf(app)?.subscriptions[0]?.record).toMatchObject(record)

    // A snapshot saves the positions. What was not handled stays unhandled.
    await world.during(app.control.snapshot(0), 60_000)
    isBroken = false
    subscribe()
    await world.clock.advance(50)
    expect(got.filter((each) => each.startsWith('weak'))).toEqual(['weak a', 'weak b', 'weak c'])
  })

  test('from behind the end of the log, or from what it gave back, stops and skips no entry', async () => {
    const world = machine()
    const app = await world.start({
      wal: { maxFileSize: 128 * 1024 },
      journal: { retention: 'readers' },
    })
    await append(app, world, 'a')
    for (let at = 0; at < 12; at++) await world.during(app.store.put('k', 'v'.repeat(60_000)))
    await world.during(app.control.snapshot(0), 60_000)
    const stopped: unknown[] = []
    telemetry<StorageEvents>(app.system).on('journal.stopped', (facts) => stopped.push(facts))
    const got: string[] = []
    const subscribe = (from?: number) => {
      const handler = ({ id }: { readonly id: string }) => void got.push(id)
      return app.journal.subscribe({ name: 'far', handler, ...(from && { from }) })
    }

    for (const [from, says] of [
      [1_000, 'has not come to lsn 1000'],
      [1, 'begins with lsn'],
    ] as const) {
      subscribe(from)
      await append(app, world, `after ${from}`)
      await world.clock.advance(50)
      expect(healthOf(app)?.subscriptions).toMatchObject([
        {
          name: 'far',
          state: 'stopped',
          position: undefined,
          failure: expect.stringMatching(says),
        },
      ])
    }
    const reason = (says: string) => expect.stringContaining(says)
    expect(stopped).toMatchObject([
      { shard: 0, name: 'far', reason: reason('has not come to lsn 1000') },
      { shard: 0, name: 'far', reason: reason('begins with lsn') },
    ])
    expect(got).toEqual([])

    const { appliedLsn } = app.shards[0] as { readonly appliedLsn: number }
    subscribe(appliedLsn + 1)
    await append(app, world, 'b')
    await world.clock.advance(50)
    expect(got).toEqual(['b'])
  })

  test('that stops at the last entry that there is keeps it for one of a later life, also behind a snapshot', async () => {
    const world = machine()
    const app = await world.start()
    const got: string[] = []
    const broken = () => {
      throw new Error('no room')
    }
    app.journal.subscribe({ name: 'weak', handler: broken })
    await append(app, world, 'a')
    await world.clock.advance(50)
    await world.during(app.control.snapshot(0), 60_000)
    await world.during(app.close())

    const again = await world.start()
    again.journal.subscribe({ name: 'weak', handler: ({ id }) => void got.push(id) })
    await world.clock.advance(50)
    expect(got).toEqual(['a'])
  })

  test('that stops while its position is saved hands it over: the next one gets nothing twice', async () => {
    const world = machine({ syncMs: 20 })
    const app = await world.start()
    const got: string[] = []
    const subscribe = (isBroken: boolean) =>
      app.journal.subscribe({
        name: 'audit',
        handler: ({ id }) => {
          if (isBroken && id === 'b') throw new Error('no room')
          got.push(id)
        },
      })
    telemetry<StorageEvents>(app.system).on('journal.stopped', () => subscribe(false))
    await append(app, world, 'a', 'b', 'c')

    subscribe(true)
    await world.clock.advance(500)

    expect(got).toEqual(['a', 'b', 'c'])
    expect(healthOf(app)?.subscriptions).toMatchObject([{ name: 'audit', state: 'running' }])
  })

  test('goes on in the middle of a frame, whatever entries it has handled of it', async () => {
    type Ordering = { calls: { order: (ids: readonly string[]) => void } }
    const ordering: DurableServer<Ordering, number> = {
      init: () => 0,
      calls: {
        order: (count, ids, context) => {
          for (const id of ids) context.journal({ id, type: 'order' })
          return reply(undefined, count + 1)
        },
      },
    }
    const kind = entity('ordering', ordering)
    const world = machine()
    const app = await world.start({ app: supervisor('app', {}, [kind]) })
    const got: string[] = []
    /** Takes so many entries, and ends. */
    const take = async (count: number): Promise<void> => {
      let left = count
      const subscription: Subscription = app.journal.subscribe({
        name: 'audit',
        handler: async ({ id }) => {
          got.push(id)
          if (--left === 0) await subscription.end()
        },
      })
      await world.clock.advance(100)
    }
    for (const ids of [['a', 'b', 'c'], ['d'], ['e', 'f']])
      await world.during(call(app.entity(kind).ref('1'), 'order', ids))

    for (const count of [1, 1, 2, 1, 1]) await take(count)

    expect(got).toEqual(['a', 'b', 'c', 'd', 'e', 'f'])
  })

  test('whose handler throws nothing stops with a reason all the same', async () => {
    const world = machine()
    const app = await world.start()
    const handler = () => Promise.reject(undefined)
    app.journal.subscribe({ name: 'weak', handler })
    await append(app, world, 'a')
    await world.clock.advance(50)

    expect(healthOf(app)?.subscriptions).toMatchObject([
      { name: 'weak', state: 'stopped', failure: expect.stringContaining('threw nothing') },
    ])
  })

  test('that forgets a position that was never saved writes nothing', async () => {
    const world = machine()
    const app = await world.start()
    const before = app.shards[0]?.appliedLsn
    const subscription = app.journal.subscribe({ name: 'audit', handler: () => undefined })
    await world.during(subscription.end({ forget: true }))
    await world.clock.advance(50)
    expect([app.shards[0]?.appliedLsn, healthOf(app)?.subscriptions]).toEqual([before, []])
  })

  test('saves its position when there is room, and waits for that', async () => {
    const world = machine()
    const app = await world.start()
    const got: string[] = []
    const subscribe = (on: App) =>
      on.journal.subscribe({ name: 'audit', handler: ({ id }) => void got.push(id) })
    await append(app, world, 'a')
    const { token } = await world.during(app.control.suspend(0, { writes: true }))
    subscribe(app)
    await world.clock.advance(1_000)
    await world.during(app.control.resume(0, { token }))
    await world.clock.advance(100)
    world.disk.crash()
    app.system.stop().catch(() => undefined)

    subscribe(await world.start())
    await world.clock.advance(100)
    expect(got).toEqual(['a'])
  })

  test('is not ended by options that mean nothing', async () => {
    const world = machine()
    const app = await world.start()
    const got: string[] = []
    const handler = ({ id }: { readonly id: string }) => void got.push(id)
    const subscription = app.journal.subscribe({ name: 'audit', handler })

    for (const options of [5, null, { x: 1 }, { forget: 1 }])
      expect(await codeOf(subscription.end(options as never))).toBe('INVALID_ARGUMENT')

    await append(app, world, 'a')
    await world.clock.advance(50)
    expect(got).toEqual(['a'])
  })

  test('that ends keeps its position, or forgets it', async () => {
    const world = machine()
    const app = await world.start()
    const got: string[] = []
    const subscribe = () =>
      app.journal.subscribe({ name: 'audit', handler: ({ id }) => void got.push(id) })
    const first = subscribe()
    await append(app, world, 'a')
    await world.clock.advance(50)
    await world.during(first.end())
    await append(app, world, 'b')
    await world.clock.advance(50)
    expect(got).toEqual(['a'])

    const second = subscribe()
    await world.clock.advance(50)
    expect(got).toEqual(['a', 'b'])
    await world.during(second.end({ forget: true }))

    subscribe()
    await world.clock.advance(50)
    expect(got).toEqual(['a', 'b', 'a', 'b'])
  })
})

describe('a subscription that is ended by its own handler', () => {
  test.each([
    { forget: false, second: ['second b'] },
    { forget: true, second: ['second a', 'second b'] },
  ])(
    'hands over to the next of its name when the handler has ended (forget: $forget)',
    async ({ forget, second }) => {
      const world = machine()
      const pause = (ms: number) => new Promise<void>((resolve) => world.clock.after(ms, resolve))
      const app = await world.start()
      const got: string[] = []
      const first = app.journal.subscribe({
        name: 'audit',
        handler: async ({ id }) => {
          await pause(1)
          await first.end({ forget })
          const handler = (entry: { id: string }) => void got.push(`second ${entry.id}`)
          app.journal.subscribe({ name: 'audit', handler })
          await pause(20)
          got.push(`first ${id}`)
        },
      })
      await append(app, world, 'a', 'b')
      await world.clock.advance(100)

      expect(got).toEqual(['first a', ...second])
    },
  )

  test.each([
    { forget: false, left: [] },
    { forget: true, left: ['a'] },
  ])(
    'saves or forgets that entry too, and leaves health (forget: $forget)',
    async ({ forget, left }) => {
      const world = machine()
      const app = await world.start()
      const subscription = app.journal.subscribe({
        name: 'audit',
        handler: async () => {
          await subscription.end({ forget })
          await new Promise<void>((resolve) => world.clock.after(20, resolve))
        },
      })
      await append(app, world, 'a')
      await world.clock.advance(50)
      expect(healthOf(app)?.subscriptions).toEqual([])

      await world.during(app.close())
      const again = await world.start()
      const got: string[] = []
      again.journal.subscribe({ name: 'audit', handler: ({ id }) => void got.push(id) })
      await world.clock.advance(50)
      expect(got).toEqual(left)
    },
  )
})
