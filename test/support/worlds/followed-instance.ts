/** An instance that a replica in memory follows, on a simulated disk and a virtual clock. */
import { createSystem } from '../../../src/runtime/index.ts'
import type { App, StartOptions } from '../../../src/supervisors/index.ts'
import { capturedLog } from '../../../src/testing/index.ts'
import { MemoryReplica } from './memory-replica.ts'
import { type Machine, machine } from './simulated-instance.ts'

type Terms = { readonly required?: boolean; readonly chunkBytes?: number }

/** The instance, with one replica. */
export const following = async (terms: Terms = {}, more: Partial<StartOptions> = {}) => {
  const world = machine()
  const replica = new MemoryReplica(world.clock)
  const options = { ...more, replication: [{ client: replica, ...terms }] }
  const log = capturedLog()
  const system = createSystem({ clock: world.clock, logger: log })
  const app = await world.start({ ...options, system })
  return { world, replica, app, options, log }
}

/** What the health of the instance says of the replica. */
export const ofReplica = (app: App, shard = 0) => {
  const health = app.health().replication[0]?.shards[shard]
  if (!health) throw new Error('there is no replica')
  return health
}

/** Lets time pass until the replica has everything. */
export const caughtUp = async (world: Machine, app: App, ms = 120_000): Promise<void> => {
  for (let passed = 0; passed < ms; passed += 10) {
    if (ofReplica(app).state === 'following') return
    await world.clock.advance(10)
  }
  throw new Error(`it is ${JSON.stringify(ofReplica(app))}`)
}

/** Puts `k0`, `k1` and so on. */
export const fill = async (world: Machine, app: App, count: number, from = 0): Promise<void> => {
  await world.during(
    Promise.all(
      Array.from({ length: count }, (_, at) => app.store.put(`k${from + at}`, { at: from + at })),
    ),
  )
}
