/**
 * Random lives of instances whose logs are in an engine that loses, repeats and delays requests, and is away: those of a store,
 * with large values too, of durable actors, of a journal and of workflows. What they promise does not depend on where a log
 * is. The data folder is a cache that may be empty at any start, also after the log was trimmed.
 */
import { expect, test } from 'vitest'
import { BlobLife } from '../support/lives/blob-life.ts'
import { liveEntities } from '../support/lives/entity-life.ts'
import { liveFlows } from '../support/lives/flow-life.ts'
import { JournalLife } from '../support/lives/journal-life.ts'
import { liveSeeds, sumOf } from '../support/lives/seed-lives.ts'
import { liveStore, type MakeStoreMachine } from '../support/lives/store-life.ts'
import { seedsOf } from '../support/tier.ts'
import {
  engineMachine,
  forgetfulMachine,
  lossy,
  patienceMs,
} from '../support/worlds/engine-machine.ts'

const [few, all] = [2, 500]
const hours = { timeout: 3_600_000 }

const cacheMachine: MakeStoreMachine = (seed, pick) => {
  const world = engineMachine({ seed, faults: lossy })
  return {
    ...world,
    // The log is trimmed all the time, behind snapshots that the cache may lose.
    start: (more) => world.start({ ...more, snapshot: { minLogBytes: 2_048, ratio: 0 } }),
    troubles: [() => world.cutOff(pick([30, 400, patienceMs + 1_000]))],
    losses: [world.emptyCache, world.emptySnapshots, () => undefined],
    downs: /spent its restarts/,
    mayLackFsync: false,
  }
}

const stores = seedsOf(few, all)

test(
  `a store keeps every acknowledged write in ${stores.length} worlds, also without its cache`,
  hours,
  async () => {
    await liveSeeds(stores, (seed) => liveStore(seed, cacheMachine))
  },
)

const blobs = seedsOf(few, all)

test(
  `every member reads each large value in ${blobs.length} random lives, also without its cache`,
  hours,
  async () => {
    const sum = sumOf(
      await liveSeeds(blobs, (seed) => {
        const world = engineMachine({ seed, faults: lossy })
        const losses = [world.emptyCache, world.loseSegments, () => undefined]
        return new BlobLife(seed, world, losses).run(30)
      }),
    )

    for (const what of ['writes', 'crashes', 'sweeps', 'freed'])
      expect(sum[what], what).toBeGreaterThan(0)
  },
)

const entities = seedsOf(few, all)

test(`what durable actors promise holds in ${entities.length} random lives`, hours, async () => {
  const tally = sumOf(
    await liveSeeds(entities, (seed) => liveEntities(seed, forgetfulMachine({ seed }))),
  )

  for (const what of ['replies', 'messages', 'power cuts'])
    expect(tally[what], what).toBeGreaterThan(0)
})

const journals = seedsOf(few, all)

test(
  `no ack of a journal is lost, and no event comes twice, in ${journals.length} lives`,
  hours,
  async () => {
    const sum = sumOf(
      await liveSeeds(journals, (seed) => new JournalLife(seed, forgetfulMachine).run(2)),
    )

    for (const what of ['acked', 'events']) expect(sum[what], what).toBeGreaterThan(0)
    if (journals.length >= 50) expect(sum.released, 'released').toBeGreaterThan(0)
  },
)

const flows = seedsOf(few, all)

test(`workflows keep their promises in ${flows.length} random lives`, hours, async () => {
  const tally = sumOf(await liveSeeds(flows, (seed) => liveFlows(seed, forgetfulMachine({ seed }))))

  expect(tally.starts, 'starts').toBeGreaterThan(0)
})
