/** The lag of what follows the log. Frames that change nothing, as openings and markers, are no lag. */
import { expect, test } from 'vitest'
import { projection } from '../../../src/index.ts'
import type { App } from '../../../src/supervisors/index.ts'
import { MemoryReplica } from '../../support/worlds/memory-replica.ts'
import { machine, started } from '../../support/worlds/simulated-instance.ts'

const values = projection('values', {
  version: 1,
  project: ({ kind, key, after }) =>
    kind === 'value' && after !== undefined ? [{ kind: 'put', key, value: after }] : [],
})

/** How many frames each follower of shard 0 says that it is behind. */
const lagsOf = (app: App) => {
  const { shards, replication } = app.health()
  const [shard] = shards
  const [subscription] = shard?.journal.subscriptions ?? []
  return {
    status: app.projection('values').status()[0]?.lag,
    page: app.projection('values').range().positions[0]?.lag,
    projected: app.store.range({ freshness: 'projected' }).positions[0]?.lag,
    subscription: (shard?.appliedLsn ?? 0) + 1 - (subscription?.position?.lsn ?? 0),
    replica: replication[0]?.shards[0]?.lag.records,
  }
}

test('an idle instance that has caught up has none, after each of its starts', async () => {
  const world = machine()
  const options = {
    projections: [values],
    replication: [{ client: new MemoryReplica(world.clock) }],
  }
  const none = { status: 0, page: 0, projected: 0, subscription: 0, replica: 0 }
  for (const run of [1, 2, 3]) {
    const app = await world.start(options)
    app.journal.subscribe({ name: 'mail', handler: () => undefined })
    if (run === 1) {
      await world.during(app.journal.append({ id: 'a', type: 't' }))
      await world.during(app.store.put('a', 1))
    }
    await world.clock.advance(10_000)
    expect(lagsOf(app)).toEqual(none)
    await world.during(app.close())
  }
})

test('a projection that is held has the frames that it does not show', async () => {
  const { world, app } = await started({ projections: [values] })
  await world.during(app.store.put('a', 1))
  await world.during(app.control.flushAll())
  await world.during(app.control.suspendAll())
  await world.during(app.store.put('a', 2))
  await world.during(app.store.put('a', 3))

  expect(lagsOf(app)).toMatchObject({ status: 2, page: 2, projected: 2 })
  expect(app.store.range({ freshness: 'projected' }).entries).toEqual([['a', 1]])
  await world.during(app.control.resumeAll({ force: true }))
  await world.during(app.close())
})
