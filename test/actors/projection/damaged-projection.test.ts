/** Damage to the projection of a shard: it affects no other shard, and does not pass unnoticed. */
import { describe, expect, test } from 'vitest'
import { createSystem } from '../../../src/runtime/index.ts'
import { capturedLog } from '../../../src/testing/kit/captured-log.ts'
import { machine } from '../../support/worlds/simulated-instance.ts'

describe('a damaged row', () => {
  test('in one shard restarts only that shard’s applier, also when a range reads it', async () => {
    const { clock, projections, start, during } = machine()
    const app = await start({ shards: 3 })
    const { position } = await during(app.store.put('a', 1))
    await during(app.control.flushAll())
    await clock.advance(10)
    projections.damageRow(`/data/shard-${position.shard}/lmdb`, 'a')
    const started: (string | undefined)[] = []
    app.system.events.on('process.started', ({ name }) => started.push(name))

    expect(() => app.store.range()).toThrow(expect.objectContaining({ code: 'CORRUPT' }))
    await clock.advance(1_000)

    expect(started.filter((name) => name?.startsWith('applier'))).toEqual([
      `applier(${position.shard})`,
    ])
    expect(app.store.get('a')).toBe(1)
  })

  test('that nobody reads but the removal of what has ended ends no follower for good', async () => {
    const { clock, projections, start, during } = machine()
    const app = await start()
    await during(app.store.put('a', 1, { expiresAt: clock.now() + 600_000 }))
    await during(app.control.flushAll())
    projections.damageRow('/data/shard-0/lmdb', 'a')

    await clock.advance(1_200_000)

    expect(app.health().shards[0]).toMatchObject({
      phase: 'open',
      projection: { mode: 'following' },
    })
    expect(app.store.get('a')).toBe(undefined)
  })

  test('is not seen while the overlay has a newer one', async () => {
    const { projections, start, during } = machine()
    const app = await start({ lmdb: { intervalMs: 60_000 } })
    await during(app.store.put('a', 1))
    await during(app.control.flushAll())
    projections.damageRow('/data/shard-0/lmdb', 'a')

    await during(app.store.put('a', 2))

    expect(app.store.get('a')).toBe(2)
    await during(app.control.flushAll())
    expect(app.store.get('a', { freshness: 'projected' })).toBe(2)
  })
})

test('a projection that is found damaged at a start is built anew, and the log says so once', {
  tags: ['M48'],
}, async () => {
  const { clock, projections, start, during } = machine()
  const app = await start({ shards: 2 })
  const { position } = await during(app.store.put('a', 1))
  await during(app.close())
  projections.damage(`/data/shard-${position.shard}/lmdb`, 'page 7 has no rows')
  const log = capturedLog()

  const next = await start({ system: createSystem({ clock, logger: log }) })

  expect(next.store.get('a')).toBe(1)
  expect(log.messages('warn')).toEqual([
    `the projection of shard ${position.shard} is damaged, and is rebuilt: page 7 has no rows`,
  ])
  await during(next.close())
  await start({ system: createSystem({ clock, logger: log }) })
  expect(log.messages('warn')).toHaveLength(1)
})
