/** What the bus tells of a projection's writer: its commits, its lag, its holds and its troubles. */
import { expect, test } from 'vitest'
import { LmdbWriter } from '../../../src/actors/index.ts'
import { started } from '../../support/worlds/simulated-instance.ts'
import { heard } from '../../support/worlds/snapshot-instance.ts'

const lmdb = '/data/shard-0/lmdb'

test('a commit is told with its frames and rows, how far it is, and how it ended', async () => {
  const { app, during, projections } = await started()
  const events = heard(app, 'lmdb.flushed')
  await during(app.store.putMany([...'abc'].map((key) => [key, 1] as const)))
  await during(app.control.flush(0))
  const lsn = app.shards[0]?.appliedLsn
  // The fourth row is the position of the counts of entities.
  const facts = { shard: 0, frames: 1, rows: 4, operations: 0, projectedLsn: lsn, result: 'ok' }
  expect(events).toMatchObject([facts])
  // The lag is as of before it.
  expect(events[0]?.lag).toBeGreaterThan(0)

  projections.failCommits(lmdb, 1)
  await during(app.store.put('d', 1))
  await during(app.control.flush(0).catch(() => undefined))
  expect(events[1]).toMatchObject({
    ...{ frames: 1, rows: 1, projectedLsn: lsn, result: 'NO_SPACE' },
  })
})

test('its lag is told with what waits, and what a caller waits for', async () => {
  const { app, during } = await started({ lmdb: { intervalMs: 10_000, maxLagMs: 60_000 } })
  const events = heard(app, 'lmdb.lag')
  const { position } = await during(app.store.put('a', 'x'.repeat(1_000)))
  const facts = { shard: 0, operations: 0, tailing: false, outbox: 1 }
  expect(events.at(-1)).toMatchObject({ ...facts, lag: 1, requestedLsn: 0, ageMs: 0 })
  expect(events.at(-1)?.projectedLsn).toBe(position.lsn - 1)
  expect(events.at(-1)?.outboxBytes).toBeGreaterThan(1_000)

  await during(app.control.flush(0))
  expect(events.at(-1)).toMatchObject({
    ...{ ...facts, outbox: 0, outboxBytes: 0, lag: 0 },
    ...{ projectedLsn: position.lsn, requestedLsn: position.lsn },
  })
})

test('holds are told with how many are left, and a discard with what it dropped', async () => {
  const { app, during } = await started({ lmdb: { intervalMs: 10_000, maxLagMs: 60_000 } })
  const events = heard(app, 'lmdb.resumed', 'lmdb.discarded')
  const tokens = [await during(app.control.suspend(0)), await during(app.control.suspend(0))]
  for (const token of tokens) await during(app.control.resume(0, token))
  for (const key of 'abc') await during(app.store.put(key, 1))
  await during(app.control.discard(0))
  await during(app.control.discard(0))

  expect(events).toMatchObject([
    { name: 'lmdb.resumed', shard: 0, held: 1 },
    { name: 'lmdb.resumed', held: 0 },
    { name: 'lmdb.discarded', references: 3 },
    { name: 'lmdb.discarded', references: 0 },
  ])
})

test('trouble is told at each failed commit with their number, and its end once', async () => {
  const { app, during, projections, clock } = await started()
  const events = heard(app, 'lmdb.degraded', 'lmdb.healed')
  projections.failCommits(lmdb, 2)
  await during(app.store.put('a', 1))
  await clock.advance(5_000)
  const reason = expect.stringContaining('NO_SPACE')
  expect(events).toMatchObject([
    { name: 'lmdb.degraded', shard: 0, reason, failures: 1 },
    { name: 'lmdb.degraded', reason, failures: 2 },
    { name: 'lmdb.healed', shard: 0 },
  ])

  app.lmdbWriter(0).markMirrorDegraded('odd')
  await clock.advance(1_000)
  expect(events.slice(3)).toMatchObject([
    { name: 'lmdb.degraded', reason: 'odd', failures: 0 },
    { name: 'lmdb.healed' },
  ])
})

test('a writer describes itself, also before it knows where it is', async () => {
  const { app, during, clock } = await started()
  await during(app.store.put('a', 1))
  await during(app.control.flush(0))
  await during(app.store.put('b', 'x'.repeat(1_000)))
  const described = () => during(LmdbWriter.describe(app.system.to(LmdbWriter.name(0))))
  const facts = { mode: 'following', suspensions: [], degraded: undefined }
  expect(await described()).toMatchObject({ ...facts, lag: 1, outbox: 1, rows: 2 })
  await during(app.control.flush(0))
  const after = await described()
  expect(after).toMatchObject({ ...facts, lag: 0, outbox: 0, outboxBytes: 0, rows: 3 })
  expect(after.projectedLsn).toBe(app.shards[0]?.appliedLsn)
  expect(after.bytes).toBeGreaterThan(1_000)

  const token = await during(app.control.suspend(0))
  app.system.kill(LmdbWriter.name(0))
  await clock.advance(100)
  expect(await described()).toMatchObject({ mode: 'suspended', suspensions: [{ writes: false }] })
  await during(app.control.resume(0, token))
})
