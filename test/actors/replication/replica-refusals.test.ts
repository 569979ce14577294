/** Replicas that refuse a log, and what asks them again, on a simulated disk and a virtual clock. */
import { describe, expect, test } from 'vitest'
import { Applier, Replicator, type StorageEvents } from '../../../src/actors/index.ts'
import { KeelsonError } from '../../../src/errors.ts'
import { createSystem, stopProcess, telemetry } from '../../../src/runtime/index.ts'
import type { App } from '../../../src/supervisors/index.ts'
import { silentLogger } from '../../../src/testing/index.ts'
import { caughtUp, fill, following, ofReplica } from '../../support/worlds/followed-instance.ts'
import { MemoryReplica } from '../../support/worlds/memory-replica.ts'
import { codeOf, type Machine, machine, started } from '../../support/worlds/simulated-instance.ts'

describe('fencing', () => {
  test('stops a life of the log behind which a later one is replicated, and nothing else', async () => {
    const { world, replica, app } = await following()
    await fill(world, app, 5)
    await caughtUp(world, app)
    const before = replica.kept.progress
    replica.kept.progress = { ...before, lease: { epoch: 99, holder: 'other' } }
    await fill(world, app, 5, 5)
    await world.clock.advance(60_000)
    expect(ofReplica(app)).toMatchObject({ state: 'fenced', lsn: before.lsn })
    expect(replica.kept.progress.lsn).toBe(before.lsn)
    expect(app.store.get('k9')).toEqual({ at: 9 })
    // The row was set right by hand: it is looked at again without a restart.
    replica.kept.progress = before
    await world.clock.advance(300_000)
    await caughtUp(world, app)
    expect(replica.kept.keys.size).toBe(10)
  })

  test('refuses a log that went another way, and one that lost frames that the replica has', async () => {
    const { world, replica, app, options } = await following()
    await fill(world, app, 5)
    await caughtUp(world, app)
    await world.during(app.close())
    const right = replica.kept.progress
    const { lsn, mark = { time: 0, crc: 0 } } = right
    for (const wrong of [
      { ...right, mark: { ...mark, crc: mark.crc + 1 } },
      { ...right, mark: { ...mark, time: mark.time + 1 } },
      { ...right, lsn: lsn + 1_000 },
      // Right behind a snapshot without a frame no mark says which copy it is.
      { lease: right.lease, lsn: lsn + 1_000 },
    ]) {
      replica.kept.progress = wrong
      const next = await world.start(options)
      await world.clock.advance(1_000)
      expect(ofReplica(next).state).toBe('fenced')
      expect(replica.kept.progress).toBe(wrong)
      await world.during(next.close())
    }
  })

  test('of a shard that is down is looked at again when the shard is open', async () => {
    const { world, replica, app } = await following({}, { shards: 2 })
    await fill(world, app, 10)
    await caughtUp(world, app)
    await world.clock.advance(100)
    const [kept] = replica.logs.values()
    if (!kept) throw new Error('nothing is replicated')
    const { progress, log } = kept
    kept.progress = { ...progress, lease: { epoch: 99, holder: 'other' } }
    await fill(world, app, 40, 10)
    await world.clock.advance(1_000)
    expect(ofReplica(app, log.shard).state).toBe('fenced')
    kept.progress = progress
    await world.during(stopProcess(app.system.to(`shard(${log.shard})` as never), 'normal'))
    // Beyond the time at which it would be looked at again: nothing turns in a circle.
    await world.clock.advance(400_000)
    expect(ofReplica(app, log.shard).state).toBe('fenced')
    await world.during(app.control.reopen(log.shard))
    await world.clock.advance(1_000)
    expect(ofReplica(app, log.shard).state).toBe('following')
  })

  test('of each shard is looked at again five minutes after it', async () => {
    const { world, replica, app } = await following({}, { shards: 2 })
    await fill(world, app, 10)
    await caughtUp(world, app)
    await world.clock.advance(100_000)
    const states = () => [0, 1].map((shard) => ofReplica(app, shard).state)
    const logs = [...replica.logs.values()]
    const leases = new Map(logs.map((kept) => [kept, kept.progress.lease]))
    for (const [at, kept] of logs.entries()) {
      kept.progress = { ...kept.progress, lease: { epoch: 99, holder: 'other' } }
      await fill(world, app, 20, 20 * (at + 1))
      await world.clock.advance(100_000)
    }
    expect(states()).toEqual(['fenced', 'fenced'])
    for (const [kept, lease] of leases) kept.progress = { ...kept.progress, lease }
    const [first = 0, second = 0] = logs.map(({ log }) => log.shard)
    await world.clock.advance(110_000)
    expect([states()[first], states()[second]]).toEqual(['following', 'fenced'])
    await world.clock.advance(100_000)
    expect(states()).toEqual(['following', 'following'])
  })

  test('concerns one shard: the others go on', async () => {
    const { world, replica, app } = await following({}, { shards: 2 })
    await fill(world, app, 10)
    await caughtUp(world, app)
    await world.clock.advance(100)
    const [first] = replica.logs.values()
    if (first) first.progress = { ...first.progress, lease: { epoch: 99, holder: 'other' } }
    await fill(world, app, 40, 10)
    await world.clock.advance(10_000)
    const states = [0, 1].map((shard) => ofReplica(app, shard).state)
    expect(states.sort()).toEqual(['fenced', 'following'])
  })
})

describe('a refusal', () => {
  test.each([
    ['FENCED', 'fenced'],
    ['CORRUPT', 'halted'],
  ] as const)('with %s is logged and told once, and so is its end', async (code, state) => {
    const world = machine()
    const lines: string[] = []
    const logger = { ...silentLogger, warn: (line: string) => lines.push(line) }
    const system = createSystem({ clock: world.clock, logger })
    const replica = new MemoryReplica(world.clock)
    const app = await world.start({ system, replication: [{ client: replica }] })
    const events: unknown[] = []
    const bus = telemetry<StorageEvents>(system)
    bus.on('replication.refused', ({ shard, state }) => events.push([shard, state]))
    bus.on('replication.back', ({ shard }) => events.push([shard, 'back']))
    await caughtUp(world, app)

    replica.refusal = new KeelsonError(code, 'not this one')
    await fill(world, app, 5)
    const opened = replica.chunks.length
    // It is looked at again several times.
    await world.clock.advance(1_200_000)
    expect(ofReplica(app).state).toBe(state)
    expect(lines).toEqual([`memory is ${state} for shard 0: ${code}: not this one`])
    expect(events).toEqual([[0, state]])

    replica.refusal = undefined
    await world.clock.advance(300_000)
    await caughtUp(world, app)
    expect(replica.chunks.length).toBeGreaterThan(opened)
    expect(events).toEqual([
      [0, state],
      [0, 'back'],
    ])
    expect(lines).toHaveLength(1)
  })
})

describe('control.reopen of replication', () => {
  const reopened = (was: 'down' | 'running') => ({
    shard: 0,
    was,
    reopened: was === 'down' ? ['replication'] : [],
  })
  const reopen = (world: Machine, app: App) => world.during(app.control.reopen(0, 'replication'))

  test('asks a fenced replica again at once', async () => {
    const { world, replica, app } = await following()
    await caughtUp(world, app)
    const before = replica.kept.progress
    replica.kept.progress = { ...before, lease: { epoch: 99, holder: 'other' } }
    await fill(world, app, 5)
    await world.clock.advance(10_000)
    expect(await reopen(world, app)).toEqual(reopened('down'))
    await world.clock.advance(1_000)
    expect(ofReplica(app).state).toBe('fenced')
    replica.kept.progress = before
    await reopen(world, app)
    await caughtUp(world, app, 1_000)
    expect(await reopen(world, app)).toEqual(reopened('running'))
  })

  test('asks a replica that was away again at once, and soon again', async () => {
    const { world, replica, app } = await following()
    replica.isAway = true
    await fill(world, app, 5)
    await world.clock.advance(300_000)
    expect(app.health().replication[0]?.failures).toBeGreaterThan(10)
    // S25: without a part, too.
    expect(await world.during(app.control.reopen(0))).toEqual(reopened('down'))
    await world.clock.advance(100)
    replica.isAway = false
    await caughtUp(world, app, 1_000)
    expect(replica.kept.keys.size).toBe(5)
  })

  test('starts senders that have spent their restarts, which health() says', async () => {
    const { world, replica, app } = await following()
    for (let round = 0; round < 12; round++) {
      app.system.kill(Replicator.name('default', 0))
      await world.clock.advance(5)
    }
    await fill(world, app, 5)
    expect(ofReplica(app)).toMatchObject({ state: 'waiting' })
    expect(ofReplica(app).reason).toMatch(/spent its restarts.*control\.reopen/)
    expect(await reopen(world, app)).toEqual(reopened('down'))
    await caughtUp(world, app, 1_000)
    expect(replica.kept.keys.size).toBe(5)
  })

  test('is refused where nothing replicates', async () => {
    const { world, app } = await started()
    expect(await codeOf(reopen(world, app))).toBe('INVALID_ARGUMENT')
  })
})

test('the death of an applier at any moment of a chunk is no failure of the replica', {
  tags: ['slow'],
}, async () => {
  const { world, replica, app, log } = await following({ chunkBytes: 32 * 1024 })
  replica.answerMs = 5
  for (let ms = 0; ms < 20; ms++) {
    for (let at = 0; at < 8; at++) await world.during(app.store.put(`k${at}`, 'x'.repeat(20_000)))
    await world.clock.advance(ms)
    app.system.kill(Applier.name(0))
    // Its supervisor gives up beyond five restarts in ten seconds.
    await world.clock.advance(3_000)
    await caughtUp(world, app)
  }
  expect(log.messages('warn').filter((line) => !line.includes('restarted'))).toEqual([])
})
