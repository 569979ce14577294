/** What is known of a replica, and how a snapshot goes on that was sent in part. */
import { describe, expect, test, vi } from 'vitest'
import type { ShardCore } from '../../../src/actors/core/shard-core.ts'
import { Follower } from '../../../src/actors/replication/follower.ts'
import { readableEntity } from '../../../src/actors/replication/readable-key.ts'
import { ReplicaMarks } from '../../../src/actors/replication/replica-marks.ts'
import type { ReplicatedShard } from '../../../src/actors/replication/replicated-shard.ts'
import { mainRow, nothing } from '../../../src/actors/turns/memory.ts'
import { entityRow } from '../../../src/storage/values/entity-row.ts'
import { caughtUp, fill, following, ofReplica } from '../../support/worlds/followed-instance.ts'
import { MemoryReplica } from '../../support/worlds/memory-replica.ts'
import { machine } from '../../support/worlds/simulated-instance.ts'
import {
  folders,
  namesIn,
  overwrite,
  options as snapshotOptions,
} from '../../support/worlds/snapshot-instance.ts'

/** A follower of two shards, whose facts the test sets. */
const followed = () => {
  const shardOf = (index: number) => ({
    ...{ index, appliedLsn: 10, time: 1_000, phase: { kind: 'open' } },
    replication: new ReplicaMarks(),
    now() {
      return this.time
    },
  })
  const shards = [shardOf(0), shardOf(1)] as const
  const terms = { replica: { description: 'memory' }, required: true, chunkBytes: 1 } as never
  const identity = { instanceId: 'i', holder: 'h' }
  const follower = new Follower(0, terms, shards as never as ReplicatedShard[], identity)
  follower.wake = vi.fn()
  const [one, other] = follower.shards as [(typeof follower.shards)[0], (typeof follower.shards)[0]]
  return { follower, shard: shards[0], second: shards[1], one, other }
}

describe('how far a replica is behind', () => {
  test('is all of the log since the start until it was asked', () => {
    const { shard, one, follower } = followed()
    shard.time = 1_700
    shard.replication.grew(500)
    expect(one.health).toMatchObject({ lsn: 0, lag: { records: 10, bytes: 500, ms: 700 } })
    expect(follower.wake).not.toHaveBeenCalled()
  })

  test('is what it lacks of the log, since the oldest of it came', () => {
    const { shard, one, follower } = followed()
    one.begun(7, 300)
    expect(follower.wake).toHaveBeenCalledTimes(1)
    shard.time = 1_100
    shard.appliedLsn = 12
    shard.replication.grew(80)
    expect(one.health).toMatchObject({ lsn: 7, lag: { records: 5, bytes: 380, ms: 100 } })
    expect([one.lsn, shard.replication.lsn]).toEqual([7, 7])

    one.sent(9, 100, 1_050)
    expect(one.health).toMatchObject({ lsn: 9, lag: { records: 3, bytes: 280, ms: 50 } })
    one.passed(11)
    expect(one.health).toMatchObject({ lsn: 9, lag: { records: 1, bytes: 280, ms: 50 } })
    expect([one.lsn, one.through, shard.replication.lsn]).toEqual([9, 11, 9])
    one.sent(12, 250, 1_060)
    expect(one.health).toMatchObject({ lsn: 12, lag: { records: 0, bytes: 0, ms: 0 } })

    shard.time = 1_200
    shard.appliedLsn = 13
    shard.replication.grew(40)
    expect(follower.wake).toHaveBeenCalledTimes(3)
    shard.time = 1_250
    expect(one.health.lag).toEqual({ records: 1, bytes: 40, ms: 50 })
  })

  test('is nothing for one that has all, and never less than nothing', () => {
    const { shard, one, follower } = followed()
    one.begun(10, 0)
    shard.time = 2_000
    shard.replication.grew(0)
    expect(one.health.lag).toEqual({ records: 0, bytes: 0, ms: 0 })
    expect(follower.wake).not.toHaveBeenCalled()
    one.begun(9, 10)
    shard.time = 1_500
    one.sent(9, 20, 1_900)
    expect(one.health.lag).toEqual({ records: 1, bytes: 0, ms: 0 })
    one.begun(11, 0)
    expect(one.health.lag.records).toBe(0)
  })

  test('frames that no replica gets end the wait for what is behind them', () => {
    const { shard, one, follower } = followed()
    one.begun(8, 60)
    one.passed(10)
    expect(one.health).toMatchObject({ lsn: 8, lag: { records: 0, bytes: 0, ms: 0 } })
    shard.replication.grew(0)
    expect(follower.wake).toHaveBeenCalledTimes(1)
  })
})

test('a replica is refused, away, unasked, loading, behind or up to date, in this order', () => {
  const { follower, shard, one } = followed()
  const stateOf = () => [one.health.state, one.health.reason]
  expect(stateOf()).toEqual(['starting', undefined])
  one.begun(10, 0)
  expect(stateOf()).toEqual(['starting', undefined])
  one.claim = {} as never
  expect(stateOf()).toEqual(['following', undefined])
  shard.appliedLsn = 11
  expect(stateOf()).toEqual(['catching up', undefined])
  one.load = 'due'
  expect(stateOf()).toEqual(['loading', undefined])
  shard.phase = { kind: 'down' }
  expect(stateOf()).toEqual(['starting', undefined])
  follower.trouble = new Error('no route')
  expect(stateOf()).toEqual(['waiting', 'Error: no route'])
  one.refusal = { kind: 'halted', error: new Error('torn'), since: 5, until: 9 }
  expect(stateOf()).toEqual(['halted', 'Error: torn'])
})

test('a follower is tried at once if an attempt was due later, or a refusal of that shard', () => {
  const { follower, shard, second, one, other } = followed()
  expect(follower.tryNow(shard as never)).toBe(false)
  one.refusal = { kind: 'fenced', error: 'x', since: 5, until: 900 }
  expect(follower.tryNow(second as never)).toBe(false)
  expect(follower.wake).not.toHaveBeenCalled()
  other.refusal = { kind: 'fenced', error: 'y', since: 5, until: 800 }

  expect(follower.tryNow(second as never)).toBe(true)
  expect([one.refusal?.until, other.refusal]).toEqual([
    900,
    { kind: 'fenced', error: 'y', since: 5, until: 0 },
  ])
  expect(follower.wake).toHaveBeenCalledTimes(1)

  one.refusal = other.refusal = undefined
  Object.assign(follower, { retryAt: 700, failures: 3 })
  expect(follower.health(650)).toMatchObject({ failures: 3, retryInMs: 50, required: true })
  expect(follower.health(800).retryInMs).toBe(0)
  expect(follower.tryNow(shard as never)).toBe(true)
  expect(follower.health(650)).toMatchObject({ failures: 0, retryInMs: undefined })
  expect(follower.wake).toHaveBeenCalledTimes(2)
})

test('a replica that is away is behind by what it lacks, since the oldest of it', async () => {
  const { world, replica, app, log } = await following()
  await caughtUp(world, app)
  await world.clock.advance(7_000)
  replica.isAway = true
  await fill(world, app, 3)
  const begun = ofReplica(app).lag
  await world.clock.advance(20_000)
  const { lag, state } = ofReplica(app)
  expect([state, lag.records]).toEqual(['waiting', 3])
  expect(lag.ms - begun.ms).toBe(20_000)
  expect(lag.ms).toBeLessThan(21_000)
  // However often it was tried.
  const told = log.messages('warn').filter((line) => line.includes('does not take'))
  expect(told).toHaveLength(1)
})

test('a snapshot that was sent in part goes on behind that part', { tags: ['slow'] }, async () => {
  const world = machine()
  const first = await world.start(snapshotOptions)
  for (let at = 0; at < 40; at++) await world.during(first.store.put(`k${at}`, 'x'.repeat(60_000)))
  await overwrite(world, first, 100)
  await world.during(first.control.snapshot(0))
  await overwrite(world, first, 10)
  await world.during(first.close())

  const replica = new MemoryReplica(world.clock)
  replica.answerMs = 50
  // The answer to the first piece is lost.
  replica.failing = 'behind'
  const app = await world.start({ ...snapshotOptions, replication: [{ client: replica }] })
  const states = new Set<string>()
  for (let at = 0; at < 500; at++) {
    states.add(ofReplica(app).state)
    await world.clock.advance(10)
  }
  await caughtUp(world, app)
  const rows = replica.pieces.map((piece) => piece.rows)
  expect(rows.length).toBeGreaterThan(1)
  expect(rows).toEqual([...new Set(rows)].sort((one, other) => one - other))
  expect(states).toContain('loading')
  expect(replica.kept.keys.size).toBe(40)
})

test('a snapshot that a replica needs and that is damaged is made again, and the replica gets that', async () => {
  const world = machine()
  const first = await world.start(snapshotOptions)
  await overwrite(world, first, 100)
  await world.during(first.control.snapshot(0))
  await world.during(first.close())
  const [name = ''] = namesIn(world, folders.snapshots, '.snap')
  world.disk.poke(`${folders.snapshots}/${name}`, 1_000, Uint8Array.of(1, 2, 3))

  const replica = new MemoryReplica(world.clock)
  const app = await world.start({ ...snapshotOptions, replication: [{ client: replica }] })
  await world.clock.advance(5_000)
  expect(ofReplica(app)).toMatchObject({ state: 'halted' })
  // It is asked again then.
  await world.clock.advance(300_000)
  expect(ofReplica(app)).toMatchObject({ state: 'following' })
  expect(replica.kept.keys.size).toBe(4)
})

test('a durable actor is shown with its state up to 64 KiB', () => {
  const mark = { incarnation: '0123456789abcdef', seq: 1 }
  const shown = (length: number) => {
    const memory = { ...nothing, state: 'x'.repeat(length), fields: { open: true } }
    const row = entityRow(mainRow(memory, mark, 3, ''))
    const view = { row: () => row }
    const change = readableEntity(
      { appliedLsn: 9, view: () => view } as unknown as ShardCore,
      'order/7',
    )
    if (change.kind !== 'entity') throw new Error(change.kind)
    expect(change).toMatchObject({ asOf: 9, row: { entity: 'order/7', version: 3 } })
    expect(change.row.fields).toBe('{"open":true}')
    return change.row
  }
  const around = shown(65_000).size - 65_000
  const most = shown(65_536 - around)
  expect([most.size, most.state]).toEqual([65_536, JSON.stringify('x'.repeat(65_536 - around))])
  expect(shown(65_537 - around)).not.toHaveProperty('state')
  const view = { row: () => undefined }
  expect(
    readableEntity({ appliedLsn: 9, view: () => view } as unknown as ShardCore, 'a/b'),
  ).toEqual({
    ...{ kind: 'ended', entity: 'a/b' },
  })
})
