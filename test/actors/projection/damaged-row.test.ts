/** A damaged row affects only its own shard. */
import { describe, expect, test } from 'vitest'
import { machine } from '../../support/simulated-instance.ts'

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
})
