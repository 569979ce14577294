/**
 * The death of a storage actor is not the death of the actors above: nobody of the user's ends, no
 * supervisor above counts, and what was acknowledged is there.
 */

import { describe, expect, test } from 'vitest'
import { seededRandom } from '../../../src/clock.ts'
import * as keelson from '../../../src/index.ts'
import { StateMachine } from '../../../src/runtime/state-machine/state-machine.ts'
import { countOf, seedsOf } from '../../support/tier.ts'
import { simulated } from '../../support/worlds/simulated-instance.ts'
import { entities, machines, storingActors } from '../../support/worlds/storing-actors.ts'

const storage = [
  ...['blob_store(0)', 'wal_writer(0)', 'applier(0)', 'batcher(0)', 'followers(0)', 'shard(0)'],
  ...['journal(0)', 'lmdb_writer(0)', 'expirer(0)', 'alarms(0)', 'snapshotter(0)'],
]
const kills = countOf('KEELSON_KILLS', 3, 50)

const world = async (seed: number, intensity?: number) => {
  const actors = storingActors({ ...keelson, StateMachine })
  const simulation = await simulated({ seed, syncMs: 2, app: actors.tree(intensity) })
  const { app } = simulation
  await simulation.during(app.store.put('greeting', 'hello'))
  await simulation.during(actors.begin(app))
  const restarted: unknown[] = []
  app.system.events.on('process.restarted', ({ id }) => {
    if (typeof id === 'string' && !storage.includes(id)) restarted.push(id)
  })
  return { simulation, app, actors, restarted }
}

describe.each(seedsOf(1, 3))('seed %i', (seed) => {
  test(`${kills} kills of every storage actor end none of the user's, and nobody above counts one`, async () => {
    const { simulation, app, actors, restarted } = await world(seed)
    const random = seededRandom(seed)
    let at = 0
    for (let round = 0; round < kills; round++)
      for (const victim of storage) {
        const calls = Array.from({ length: 20 }, () => actors.use(app, at++))
        await simulation.advance(Math.floor(random() * 6))
        app.system.kill(keelson.name(victim))
        await simulation.during(Promise.all(calls))
        // A shard's supervisor allows five restarts in 10 s.
        await simulation.advance(2_500)
      }
    expect(actors.missing(app)).toEqual([])
    expect(restarted).toEqual([])
    expect(actors.counted.size).toBe(machines)
    expect(actors.added.size).toBe(entities)
    // An entity that had ended would have woken again.
    expect([...actors.woken].filter(([, times]) => times !== 1)).toEqual([])
    expect(actors.wrong(app)).toEqual([])
  })

  test('while a shard is down the actors above stand still, and go on when it is reopened', async () => {
    const { simulation, app, actors, restarted } = await world(seed)
    for (let at = 0; at < 6; at++) {
      app.system.kill(keelson.name('applier(0)'))
      await simulation.advance(100)
    }
    expect(app.health().shards).toMatchObject([
      { phase: 'down', reason: 'its supervisor has spent its restarts' },
    ])
    await simulation.advance(60_000)
    await simulation.during(app.control.reopen(0))
    const calls = Array.from({ length: machines }, (_, at) => actors.use(app, at))
    await simulation.during(Promise.all(calls))
    expect(actors.missing(app)).toEqual([])
    expect(restarted).toEqual([])
    expect(actors.wrong(app)).toEqual([])
  })

  test('a tree that waits for its shards does not keep them from coming back', async () => {
    const { simulation, app } = await world(seed)
    for (const victim of ['wal_writer(0)', 'services', 'shards']) {
      app.system.kill(keelson.name(victim))
      await simulation.settle()
    }
    await simulation.advance(1_000)
    const reader = app.system.to(keelson.name<{ calls: { read: () => unknown } }>('reader'))
    expect(await simulation.during(keelson.call(reader, 'read'))).toBe('hello')
  })

  test('a worker that reads the store in its init meets no recovering shard, whenever it is killed', async () => {
    // Two kills in 5 s are one more than the supervisor allows.
    const { simulation, app, actors } = await world(seed, 1)
    const random = seededRandom(seed)
    for (const victim of [...storage, ...storage, ...storage]) {
      app.system.kill(keelson.name(victim))
      await simulation.advance(Math.floor(random() * 3))
      app.system.kill(keelson.name('reader'))
      await simulation.advance(5_001)
      const reader = app.system.to(keelson.name<{ calls: { read: () => unknown } }>('reader'))
      expect(await simulation.during(keelson.call(reader, 'read'))).toBe('hello')
    }
    expect(actors.missing(app)).toEqual([])
  })
})
