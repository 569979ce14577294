/** What is known of a replica, and how a snapshot goes on that was sent in part. */
import { expect, test } from 'vitest'
import type { ShardCore } from '../../../src/actors/core/shard-core.ts'
import { readableEntity } from '../../../src/actors/replication/readable-key.ts'
import { mainRow, nothing } from '../../../src/actors/turns/memory.ts'
import { entityRow } from '../../../src/storage/values/entity-row.ts'
import { caughtUp, fill, following, ofReplica } from '../../support/worlds/followed-instance.ts'
import { MemoryReplica } from '../../support/worlds/memory-replica.ts'
import { machine } from '../../support/worlds/simulated-instance.ts'
import { overwrite, options as snapshotOptions } from '../../support/worlds/snapshot-instance.ts'

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

test('a snapshot that was sent in part goes on behind that part', async () => {
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
