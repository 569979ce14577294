/**
 * Storage actors die at random moments under a load of puts, calls of durable actors and entries of
 * the journal: no outcome stays open, nothing is lost, nothing is doubled, each answer is the true
 * one. `KEELSON_KILLS=100` kills each of them a hundred times.
 */
import { describe, expect, onTestFinished, test } from 'vitest'
import { seededRandom } from '../../src/clock.ts'
import * as keelson from '../../src/index.ts'
import { startSimulated } from '../../src/testing/index.ts'
import { killLoad, puts } from '../support/harm/kill-load.ts'
import { countOf, seedsOf } from '../support/tier.ts'

const victims = ['wal_writer(0)', 'applier(0)', 'blob_store(0)', 'batcher(0)']
const kills = countOf('KEELSON_KILLS', 2, 20)

describe.each(seedsOf(1, 3))('seed %i', (seed) => {
  test(`${kills} kills of each storage actor under ${puts} puts leave no outcome open`, async () => {
    const random = seededRandom(seed)
    const load = killLoad(keelson)
    const world = await startSimulated({ seed, syncMs: 2, app: load.tree })
    onTestFinished(() => world.close())
    const { app } = world
    await world.during(load.wave(app))
    for (let round = 0; round < kills; round++)
      for (const victim of victims) {
        const wave = load.wave(app)
        await world.advance(Math.floor(random() * 8))
        app.system.kill(keelson.name(victim))
        await world.during(wave)
        // A shard's supervisor allows five restarts in 10 s.
        await world.advance(2_500)
        await world.during(load.checkLarge(app))
      }
    await world.during(load.check(app))
    expect(load.wrong).toEqual([])
  })
})
