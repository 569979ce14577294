/** The mode of a running `lmdb_writer`, as the event bus and `health()` show it. */
import { describe, expect, test } from 'vitest'
import { LmdbWriter, type StorageEvents } from '../../../src/actors/index.ts'
import { KeelsonError } from '../../../src/index.ts'
import { surveyProjections } from '../../../src/inspect/answers/shard-survey.ts'
import {
  createSystem,
  name,
  type SupervisorMessages,
  type System,
  telemetry,
  terminateChild,
} from '../../../src/runtime/index.ts'
import type { App } from '../../../src/supervisors/index.ts'
import { capturedLog, silentLogger } from '../../../src/testing/index.ts'
import { codeOf, machine, started } from '../../support/worlds/simulated-instance.ts'

const lmdb = '/data/shard-0/lmdb'
const projectionOf = (app: App) => app.health().shards[0]?.projection

const modesOf = (system: System): string[] => {
  const modes: string[] = []
  telemetry<StorageEvents>(system).on('lmdb.mode', ({ to }) => void modes.push(to))
  return modes
}

/** An instance, and the modes of its projection's writer since then. */
const watched = async (options = {}) => {
  const { world, app } = await started(options)
  const put = (key: string) => world.during(app.store.put(key, 1))
  return { ...world, app, modes: modesOf(app.system), put }
}

/** Lets the followers of shard 0 crash until they give up. */
const exhaust = async ({ app, clock }: Awaited<ReturnType<typeof watched>>) => {
  for (let round = 0; round < 12; round++) {
    app.system.kill(LmdbWriter.name(0))
    await clock.advance(5)
  }
}

describe('a projection’s writer', () => {
  test('follows after its start, and tails from a discard until it has caught up', async () => {
    const { app, modes, put, during } = await watched()
    expect(projectionOf(app)?.mode).toBe('following')
    await put('a')

    await during(app.control.discard(0))
    expect(projectionOf(app)?.mode).toBe('tailing')
    await during(app.control.flush(0))

    expect(modes).toEqual(['tailing', 'following'])
  })

  test('rebuilds a projection that is gone', { tags: ['L19'] }, async () => {
    const { app, put, during, projections, start, clock } = await watched()
    await put('a')
    await during(app.close())
    projections.remove(lmdb)
    const system = createSystem({ clock, logger: silentLogger })
    const modes = modesOf(system)

    const again = await start({ system })
    await during(again.control.flush(0))

    expect(modes).toEqual(['rebuilding', 'following'])
  })

  test('is suspended until the last suspension ends, also across its death', {
    tags: ['L37'],
  }, async () => {
    const { app, clock, modes, during } = await watched()
    const one = await during(app.control.suspend(0))
    const two = await during(app.control.suspend(0))
    await during(app.control.resume(0, one))
    app.system.kill(LmdbWriter.name(0))
    await clock.advance(100)
    expect(projectionOf(app)?.mode).toBe('suspended')

    await during(app.control.resume(0, two))

    expect(projectionOf(app)?.mode).toBe('following')
    expect(modes).toEqual([
      ...['suspended', 'starting', 'following', 'suspended'],
      ...['tailing', 'following'],
    ])
  })

  test('announces a suspension with its token and its owner, once it holds', async () => {
    const { app, during } = await watched()
    const told: unknown[] = []
    const events = telemetry<StorageEvents>(app.system)
    events.on('lmdb.suspended', ({ token, owner }) => told.push({ token, owner }))
    const { token } = await during(app.control.suspend(0))

    expect(told).toEqual([{ token, owner: 'app' }])
  })

  test('is degraded from a failed commit to a successful one, and counts the failures', {
    tags: ['L3', 'L43', 'M35'],
  }, async () => {
    const { app, clock, modes, put, during, projections } = await watched()
    projections.failCommits(lmdb, 3)
    await put('a')
    await clock.advance(100)
    expect(projectionOf(app)).toMatchObject({ mode: 'degraded', reason: expect.any(String) })
    expect(await during(codeOf(app.control.flush(0)))).toBe('DEGRADED')

    await clock.advance(5_000)

    expect(projectionOf(app)).toMatchObject({ mode: 'following', reason: undefined, failures: 3 })
    expect(modes).toEqual(['degraded', 'tailing', 'following'])
  })

  test('takes less at once on a disk that is nearly full, until it has caught up', async () => {
    const world = machine()
    const { projections } = world
    const open = projections.open.bind(projections)
    const commits: number[] = []
    projections.open = (...given) => {
      const store = open(...given)
      const commit = store.commit.bind(store)
      store.commit = async (changes, position) => {
        const rows = [...changes]
        if (rows.length > 300) throw new KeelsonError('NO_SPACE', 'the disk may have no room')
        commits.push(rows.length)
        return commit(rows, position)
      }
      return store
    }
    const app = await world.start()
    const token = await world.during(app.control.suspend(0))
    const puts = Array.from({ length: 1_000 }, (_, at) => app.store.put(`k${at}`, 1))
    await world.during(Promise.all(puts))
    await world.during(app.control.resume(0, token))
    await world.clock.advance(2_000)

    const { projection, projectedLsn, appliedLsn } = app.health().shards[0] ?? {}
    expect(projection).toMatchObject({ mode: 'following', reason: undefined })
    expect(projectedLsn).toBe(appliedLsn)
    expect(Math.max(...commits)).toBeGreaterThan(200)
  })

  test('that becomes degraded is in the log once, with the reason; other modes are not', async () => {
    const log = capturedLog()
    const world = machine()
    const system = createSystem({ clock: world.clock, logger: log })
    const app = await world.start({ system })
    const token = await world.during(app.control.suspend(0))
    await world.during(app.control.resume(0, token))
    expect(log.messages('warn')).toEqual([])

    world.projections.failCommits(lmdb, 3)
    await world.during(app.store.put('a', 1))
    await world.clock.advance(5_000)
    expect(log.messages('warn')).toEqual([
      expect.stringMatching(/^the projection of shard 0 is degraded: NO_SPACE/),
    ])
    await world.during(app.close())
  })

  test('tries again as soon as a suspension ends, whatever delay was left', async () => {
    const { app, clock, put, during, projections } = await watched()
    projections.failCommits(lmdb, Number.POSITIVE_INFINITY)
    await put('a')
    await clock.advance(20_000)
    const held = await during(app.control.suspend(0, { flush: false }))
    projections.failCommits(lmdb, 0)

    await during(app.control.resume(0, held))
    await during(app.control.flush(0), 50)

    expect(projectionOf(app)?.mode).toBe('following')
  })
})

describe('followers that have given up', () => {
  test('leave the projection halted: whatever needs it is DEGRADED at once, and reads and writes go on', {
    tags: ['L1', 'M9', 'M36', 'M38'],
  }, async () => {
    const world = await watched()
    const { app, modes, put, during } = world
    await exhaust(world)
    await put('a')

    expect(projectionOf(app)).toMatchObject({ mode: 'halted', reason: /spent its restarts/ })
    const refused = [
      app.control.flush(0),
      app.control.discard(0),
      app.control.suspend(0),
      app.store.put('b', 1, { ack: 'projected' }),
    ]
    expect(await during(Promise.all(refused.map(codeOf)), 20)).toEqual(Array(4).fill('DEGRADED'))
    expect(app.health().shards).toMatchObject([{ suspended: false, phase: 'open' }])
    expect([app.store.get('a'), app.store.get('b')]).toEqual([1, 1])
    expect(modes.at(-1)).toBe('halted')
    const [shown] = await during(surveyProjections(app))
    expect(shown?.trouble).toMatch(/control\.reopen\(0, 'followers'\) starts them again/)
  })

  test('end a wait for the projection with DEGRADED, long before its deadline', async () => {
    const world = await watched()
    const { app, during } = world
    await during(app.control.suspend(0))
    const wait = codeOf(app.store.put('b', 1, { ack: 'projected' }))
    await world.clock.advance(10)

    await exhaust(world)

    expect(await during(wait, 20)).toBe('DEGRADED')
  })

  test('are as DEGRADED when they were ended by hand', async () => {
    const { app, clock, during } = await watched()
    const shard = app.system.to(name<SupervisorMessages>('shard(0)'))
    await during(terminateChild(shard, 'followers(0)'))
    await clock.advance(5)

    expect(await during(codeOf(app.control.flush(0)), 20)).toBe('DEGRADED')
    expect(projectionOf(app)?.mode).toBe('halted')
  })
})
