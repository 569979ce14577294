/** The recovery of an application: the state that it saved, and a replay of the entries behind it. */
import { describe, expect, test } from 'vitest'
import type { StorageEvents, StoredEntry } from '../../../src/actors/index.ts'
import { telemetry } from '../../../src/runtime/index.ts'
import { eventPayload, readEventPayload } from '../../../src/storage/values/event-payload.ts'
import type { App } from '../../../src/supervisors/index.ts'
import {
  codeOf,
  failNextSync,
  type Machine,
  machine,
  started,
} from '../../support/worlds/simulated-instance.ts'

const entry = (id: string, says: unknown = id) => ({
  id,
  type: 'order',
  command: says,
  effects: [{ type: 'hold', payload: says }],
})

const append = (app: App, { during }: Machine, ...ids: readonly string[]): Promise<unknown> =>
  during(Promise.all(ids.map((id) => app.journal.append(entry(id)))))

const required = { journal: { replay: 'required' } } as const

describe('a replay', () => {
  test('gives every entry with its side effects, and then appends are taken', async () => {
    const { world, app } = await started()
    await append(app, world, 'a', 'b')
    await world.during(app.close())
    const again = await world.start(required)

    await expect(again.journal.append(entry('c'))).rejects.toMatchObject({
      code: 'BUSY',
      details: { shard: 0, state: 'replaying' },
    })
    expect(again.health().shards[0]?.journal.replay).toBe('awaited')

    const got: unknown[] = []
    const replayed = await world.during(
      again.journal.replay({
        handler: ({ id, effects: [hold] }) =>
          void got.push([id, hold && readEventPayload(hold.payload).value]),
      }),
    )
    expect(got).toEqual([
      ['a', 'a'],
      ['b', 'b'],
    ])
    expect(replayed.entries).toBe(2)
    await append(again, world, 'c')
    expect(again.health().shards[0]?.journal.replay).toBe('done')
  })

  test('ends while other writes go on, and then appends are taken', async () => {
    const { world, app } = await started({}, { syncMs: 5 })
    await append(app, world, 'a')
    await world.during(app.close())
    const again = await world.start(required)
    let isOver = false
    const writing = async (key: string) => {
      for (let n = 0; !isOver; n++) await again.store.put(key, n)
    }
    // Two writers, so that a group is always in flight.
    const writers = [writing('x')]
    await world.clock.advance(2)
    writers.push(writing('y'))
    const got: string[] = []
    const replaying = codeOf(again.journal.replay({ handler: ({ id }) => void got.push(id) }))
    await world.clock.advance(1_000)

    expect(await Promise.race([replaying, 'pending'])).toBe('ok')
    expect(got).toEqual(['a'])
    await append(again, world, 'b')
    isOver = true
    await world.during(Promise.all(writers))
  })

  test('whose handler throws has not ended: appends are refused until one has', async () => {
    const { world, app } = await started()
    await append(app, world, 'a')
    await world.during(app.close())
    const again = await world.start(required)
    const fails = () => {
      throw new Error('cannot apply')
    }

    await expect(world.during(again.journal.replay({ handler: fails }))).rejects.toThrow('cannot')
    expect(await codeOf(again.journal.append(entry('b')))).toBe('BUSY')
    await world.during(again.journal.replay({ handler: () => undefined }))
    await append(again, world, 'b')
  })

  test('is refused without functions to call, also if there is no entry', async () => {
    const { world, app } = await started(required)
    const handler = () => undefined

    for (const options of [{}, { handler: 1 }, { handler, shouldDefer: 1 }])
      expect(await world.during(codeOf(app.journal.replay(options as never)))).toBe(
        'INVALID_ARGUMENT',
      )
    expect(app.health().shards[0]?.journal.replay).toBe('awaited')
  })

  test.each([
    { kind: 'slow', ms: 100 },
    { kind: 'hung', ms: Number.POSITIVE_INFINITY },
  ])(
    'is CLOSED when the instance closes, and its $kind handler gets no further entry',
    async ({ ms }) => {
      const { world, app } = await started(required)
      await world.during(app.journal.replay({ handler: () => undefined }))
      await append(app, world, 'a', 'b', 'c')
      const got: string[] = []
      const handler = async ({ id }: StoredEntry) => {
        got.push(id)
        await new Promise<void>((resolve) => world.clock.after(ms, resolve))
      }
      const replaying = codeOf(app.journal.replay({ handler }))
      await world.clock.advance(50)

      await world.during(app.close())

      expect(await world.during(replaying)).toBe('CLOSED')
      await world.clock.advance(500)
      expect(got).toEqual(['a'])
    },
  )

  test('defers an entry that comes before the one it follows, and never drops it', async () => {
    const { world, app } = await started()
    const numbers = [3, 1, 4, 2, 6]
    for (const number of numbers)
      await world.during(app.journal.append(entry(`e${number}`, number)))
    const applied: number[] = []
    const numberOf = ({ command }: StoredEntry): number => readEventPayload(command).value as number
    const options = {
      handler: (each: StoredEntry) => void applied.push(numberOf(each)),
      shouldDefer: (each: StoredEntry) => numberOf(each) !== applied.length + 1,
    }

    await expect(world.during(app.journal.replay(options))).rejects.toMatchObject({
      code: 'CONFLICT',
      details: { deferred: ['e6'], count: 1 },
    })
    expect(applied).toEqual([1, 2, 3, 4])
    const later = { handler: options.handler, shouldDefer: async () => false }
    expect(await world.during(codeOf(app.journal.replay(later as never)))).toBe('INVALID_ARGUMENT')

    await world.during(app.journal.append(entry('e5', 5)))
    applied.length = 0
    await world.during(app.journal.replay(options))
    expect(applied).toEqual([1, 2, 3, 4, 5, 6])
  })
})

describe('entries that wait for another one', () => {
  /** Replays numbers, each of which waits for the one below it. Returns what was handled. */
  const replayed = async (numbers: readonly number[]) => {
    const { world, app } = await started()
    for (const number of numbers)
      await world.during(app.journal.append(entry(`e${number}`, number)))
    const applied: number[] = []
    const asked: number[] = []
    const numberOf = ({ command }: StoredEntry) => readEventPayload(command).value as number
    const replaying = app.journal.replay({
      handler: (each) => void applied.push(numberOf(each)),
      shouldDefer: (each) => {
        asked.push(numberOf(each))
        return numberOf(each) !== applied.length + 1
      },
    })
    const outcome = await world.during(replaying.catch((error: unknown) => error))
    return { applied, asked, outcome }
  }

  test('go on one after another, in whatever order they came', async () => {
    const { applied, outcome } = await replayed([5, 4, 3, 2, 1])
    expect(applied).toEqual([1, 2, 3, 4, 5])
    expect(outcome).toMatchObject({ entries: 5 })
  })

  test('are asked again only after an entry that was handled', async () => {
    const { asked } = await replayed([3, 2, 5, 1])
    expect(asked).toEqual([3, 2, 5, 1, 3, 2, 5, 3, 5, 5])
  })

  test('are counted if it does not come, and ten of them named', async () => {
    const { applied, outcome } = await replayed(Array.from({ length: 12 }, (_, at) => at + 2))
    expect(applied).toEqual([])
    const deferred = Array.from({ length: 10 }, (_, at) => `e${at + 2}`)
    expect(outcome).toMatchObject({ code: 'CONFLICT', details: { deferred, count: 12 } })
  })
})

test('a replay that nobody requires leaves the journal as it is, and is told with its entries and its time', async () => {
  const { world, app } = await started()
  const told: object[] = []
  telemetry<StorageEvents>(app.system).on('journal.replayed', (event) => told.push(event))
  await append(app, world, 'a', 'b')
  const handler = () => new Promise<void>((resolve) => world.clock.after(50, resolve))
  const { lsn } = await world.during(app.journal.replay({ handler }))

  expect(app.health().shards[0]?.journal.replay).toBe('optional')
  expect(told).toMatchObject([{ shard: 0, entries: 2 }])
  const { tookMs } = told[0] as { tookMs: number }
  expect(tookMs).toBeGreaterThanOrEqual(100)
  expect(tookMs).toBeLessThan(200)
  expect(await world.during(app.journal.replay({ from: lsn + 1, handler }))).toEqual({
    ...{ entries: 0, lsn },
  })
})

describe('a saved state', () => {
  const dir = '/data/shard-0/snapshot'
  const statesOn = ({ disk }: Machine): string[] =>
    disk.list(dir).filter((name) => name.includes('.state'))

  const saved = async (app: App, world: Machine, id: string): Promise<number> => {
    const { lsn } = await world.during(app.journal.append(entry(id)))
    await world.during(app.journal.saveState(lsn, new Map([['last', id]])))
    return lsn
  }

  test('is loaded by a later life with its LSN, and replay goes on behind it', async () => {
    const { world, app } = await started()
    expect(await world.during(app.journal.loadState())).toBe(undefined)
    const lsn = await saved(app, world, 'a')
    await append(app, world, 'b')
    await world.during(app.close())

    const again = await world.start()
    const state = await world.during(again.journal.loadState())
    expect(state).toMatchObject({ lsn, value: new Map([['last', 'a']]) })
    const got: string[] = []
    const from = lsn + 1
    await world.during(again.journal.replay({ from, handler: ({ id }) => void got.push(id) }))
    expect(got).toEqual(['b'])
  })

  test.each([
    { level: 'an interval between its syncs', wal: { syncInterval: 600_000 } },
    { level: 'no syncs of its own', wal: { enableFsync: false } },
  ])('has no entry that a power cut takes from a log with $level', async ({ wal }) => {
    const options = { wal: { ...wal, idleMarkerMs: 0 } }
    const { world, app } = await started(options)
    const lsn = await saved(app, world, 'a')
    world.disk.crash({ unsynced: 'lost' })
    app.system.stop().catch(() => undefined)

    const again = await world.start(options)
    expect(await world.during(again.journal.loadState())).toMatchObject({ lsn })
    await append(again, world, 'b')
    const replayedFrom = async (from: number): Promise<readonly string[]> => {
      const got: string[] = []
      await world.during(again.journal.replay({ from, handler: ({ id }) => void got.push(id) }))
      return got
    }
    expect(await replayedFrom(lsn + 1)).toEqual(['b'])
    expect(await replayedFrom(1)).toEqual(['a', 'b'])
  })

  test('is one of the last two; the one before is loaded if the newest is damaged', async () => {
    const { world, app } = await started()
    for (const id of ['a', 'b', 'c']) await saved(app, world, id)
    expect(statesOn(world)).toHaveLength(2)
    expect(app.health().shards[0]?.journal.states).toHaveLength(2)

    const [older = '', newest = ''] = statesOn(world).sort()
    for (let at = 0; at < world.disk.contents(`${dir}/${newest}`).length; at += 7) {
      const before = world.disk.contents(`${dir}/${newest}`).slice(at, at + 1)
      world.disk.poke(`${dir}/${newest}`, at, Uint8Array.of((before[0] as number) ^ 1))
      const state = await world.during(app.journal.loadState()).catch(({ code }) => code)
      expect([state?.value?.get('last') ?? state, at]).toEqual([at === 8 ? state : 'b', at])
      world.disk.poke(`${dir}/${newest}`, at, before)
    }
    expect((await world.during(app.journal.loadState<Map<string, string>>()))?.value).toEqual(
      new Map([['last', 'c']]),
    )

    world.disk.poke(`${dir}/${newest}`, 50, Uint8Array.of(0, 0, 0))
    world.disk.poke(`${dir}/${older}`, 50, Uint8Array.of(0, 0, 0))
    await expect(world.during(app.journal.loadState())).rejects.toMatchObject({
      code: 'CORRUPT',
      details: { file: `${dir}/${newest}` },
    })
  })

  test('is saved by one call at a time: each is answered, and an older one behind a newer is refused', async () => {
    let running = 0
    let most = 0
    const world: Machine = machine({
      aroundSnapshots: (host) => ({
        run: async (kind, ...rest) => {
          if (kind !== 'saveState') return host.run(kind, ...rest)
          most = Math.max(most, ++running)
          await new Promise<void>((resolve) => world.clock.after(5, resolve))
          return host.run(kind, ...rest).finally(() => running--)
        },
        end: () => host.end(),
      }),
    })
    const app = await world.start()
    const { lsn } = await world.during(app.journal.append(entry('a')))
    world.disk.inject({ at: 1, path: '.state', fault: { kind: 'error', code: 'EIO' } })
    const saves = [lsn, lsn, lsn - 1, lsn].map((each, at) =>
      codeOf(app.journal.saveState(each, `value ${at}`)),
    )

    expect(await world.during(Promise.all(saves))).toEqual([
      'SHARD_DOWN',
      'ok',
      'INVALID_ARGUMENT',
      'ok',
    ])
    expect(most).toBe(1)
    expect(await world.during(app.journal.loadState())).toMatchObject({ lsn, value: 'value 3' })
  })

  test('is there as a whole or not at all after a crash at any step of saving it', async () => {
    for (let step = 1; ; step++) {
      const { world, app } = await started()
      const lsn = await saved(app, world, 'a')
      await append(app, world, 'b')
      await world.during(app.control.flushAll())
      world.disk.inject({ at: step, path: '.state', fault: { kind: 'halt' } })
      const outcome = await world.during(codeOf(app.journal.saveState(lsn + 1, 'second')))
      app.system.stop().catch(() => undefined)
      if (outcome === 'ok') break
      world.disk.crash()

      const again = await world.start()
      const state = await world.during(again.journal.loadState())
      expect([lsn, lsn + 1]).toContain(state?.lsn)
      expect(step).toBeLessThan(20)
    }
  })

  test('is in a backup that has its LSN, verified, and goes with the ones that the backup replaces', async () => {
    const { world, app } = await started()
    await saved(app, world, 'a')
    await saved(app, world, 'b')
    await world.during(app.backup('/backup'), 60_000)
    const backedUp = () =>
      world.disk.list('/backup/shard-0/snapshot').filter((name) => name.includes('.state'))
    expect(backedUp().sort()).toEqual(statesOn(world).sort())

    await saved(app, world, 'c')
    await world.during(app.backup('/backup'), 60_000)
    expect(backedUp().sort()).toEqual(statesOn(world).sort())

    const [, newest = ''] = statesOn(world).sort()
    world.disk.poke(`${dir}/${newest}`, 50, Uint8Array.of(0, 0, 0))
    await expect(world.during(app.backup('/other'), 60_000)).rejects.toMatchObject({
      code: 'CORRUPT',
      details: { file: `${dir}/${newest}` },
    })
  })

  test('takes the shard down at once when its entries cannot be synced', async () => {
    const { world, app } = await started({ wal: { enableFsync: false } })
    const lsn = await saved(app, world, 'a')
    await append(app, world, 'b')
    failNextSync(world.disk)

    expect(await world.during(codeOf(app.journal.saveState(lsn + 1, 'b')))).toBe('SHARD_DOWN')
    expect(app.health().shards[0]?.phase).toBe('down')
  })

  test('is told with its LSN and its bytes', async () => {
    const { world, app } = await started()
    const told: object[] = []
    telemetry<StorageEvents>(app.system).on('journal.saved', (event) => told.push(event))
    const lsn = await saved(app, world, 'a')
    const { length: bytes } = eventPayload(new Map([['last', 'a']]))
    expect(told).toMatchObject([{ shard: 0, lsn, bytes }])
  })

  test('is found by a later life before it is asked for', async () => {
    const { world, app } = await started()
    const lsns = [await saved(app, world, 'a'), await saved(app, world, 'b')]
    await world.during(app.close())
    const again = await world.start()
    await world.clock.advance(1)
    expect(again.health().shards[0]?.journal.states).toEqual(lsns)
  })

  test('is refused for an LSN that has not come, or is behind the last one', async () => {
    const { world, app } = await started()
    const lsn = await saved(app, world, 'a')

    const codes = [lsn - 1, lsn + 100, 0.5].map((each) =>
      world.during(codeOf(app.journal.saveState(each, null))),
    )
    expect(await Promise.all(codes)).toEqual([
      'INVALID_ARGUMENT',
      'INVALID_ARGUMENT',
      'INVALID_ARGUMENT',
    ])
    expect(await codeOf(app.journal.saveState(lsn, () => 1))).toBe('INVALID_ARGUMENT')
  })
})
