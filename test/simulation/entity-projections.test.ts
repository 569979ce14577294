/**
 * Crashes at every I/O operation of a life in which entities are born, get other index fields, and
 * are deleted: the counters and a user's projection of entities say what the entities' rows say.
 */
import { expect, test } from 'vitest'
import { fieldCountsIn, kindCountIn } from '../../src/actors/entities/entity-totals.ts'
import { seededRandom } from '../../src/clock.ts'
import {
  type App,
  call,
  type DurableServer,
  entity,
  projection,
  reply,
  supervisor,
} from '../../src/index.ts'
import { encodeIndexValue } from '../../src/storage/index.ts'
import { liveSeeds } from '../support/lives/seed-lives.ts'
import { seedsOf } from '../support/tier.ts'
import { machine } from '../support/worlds/simulated-instance.ts'

type Messages = { calls: { set: (status: string) => void } }

const thing: DurableServer<Messages, string, { status: string; size: number }> = {
  init: () => '',
  calls: { set: (_, next) => reply(undefined, next) },
  index: (status) => ({ status, size: status.length }),
}
const things = entity('thing', thing)

/** Each entity's status, and how many have it. */
const byStatus = (version: number) =>
  projection('by-status', {
    version,
    entities: true,
    project: (change) => {
      if (change.kind !== 'entity') return []
      const { id, before, after } = change
      return [
        { kind: 'add', key: `of ${before?.status}`, by: before ? -1 : 0 },
        { kind: 'add', key: `of ${after?.status}`, by: after ? 1 : 0 },
        after ? { kind: 'put', key: id, value: after.status } : { kind: 'delete', key: id },
      ]
    },
  })

const ids = Array.from({ length: 12 }, (_, at) => `t${at}`)
const statuses = ['new', 'old', 'older', '']

/** The I/O operations of a life, about. */
const operations = 400

const live = async (seed: number): Promise<number> => {
  const random = seededRandom(seed)
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T
  const world = machine({ seed })
  const { disk, during, projections } = world
  let version = 1
  const start = (): Promise<App> =>
    world.start({
      app: supervisor('app', {}, [things]),
      projections: [byStatus(version)],
      lmdb: { intervalMs: 5, quietMs: 2, maxLagMs: 20 },
    })
  let app = await start()
  const turns = async (count: number): Promise<void> => {
    const pending: Promise<unknown>[] = []
    for (let turn = 0; turn < count; turn++) {
      const id = pick(ids)
      const handle = app.entity(things)
      const work: Promise<unknown> =
        random() < 0.2 ? handle.delete(id) : call(handle.ref(id), 'set', pick(statuses))
      const done = during(work).catch(() => undefined)
      pending.push(done)
      if (random() < 0.5) await done
      if (random() < 0.1) await world.clock.advance(pick([5, 30]))
      if (random() < 0.02) await during(app.control.snapshot(0)).catch(() => undefined)
    }
    await Promise.all(pending)
  }
  const check = async (): Promise<number> => {
    await during(app.projection('by-status').reached())
    const { entries } = app.entity(things).list({ limit: 1_000 })
    const counts: Record<string, number> = {}
    for (const { state = '' } of entries) counts[state] = (counts[state] ?? 0) + 1
    const shard = app.shards[0] as App['shards'][number]
    expect(kindCountIn(shard, 'thing')).toBe(entries.length)
    const expected = Object.entries(counts).map(([value, count]) => [
      encodeIndexValue(value),
      count,
    ])
    const counted = [...(fieldCountsIn(shard, 'thing', 'status') ?? [])]
    expect(counted.sort()).toEqual(expected.sort())
    const shown = Object.fromEntries(app.projection('by-status').range({ limit: 1_000 }).entries)
    const sums = Object.entries(counts).map(([value, count]) => [`of ${value}`, count])
    const states = entries.map(({ id, state }) => [id, state])
    expect(shown).toEqual(Object.fromEntries([...sums, ...states]))
    return entries.length
  }
  const crash = async (): Promise<void> => {
    disk.halt()
    await during(app.close({ deadlineMs: 0 })).catch(() => undefined)
    disk.crash()
    if (random() < 0.3) projections.remove('/data/shard-0/lmdb')
    else projections.loseCommits('/data/shard-0/lmdb', pick([0, 1, 3]))
    if (random() < 0.2) version++
    disk.clearFaults()
    await during(app.system.stop()).catch(() => undefined)
    disk.killProcess()
  }
  disk.inject({ at: 1 + ((seed * 7) % operations), fault: { kind: 'halt' } })
  await turns(60)
  await crash()
  app = await start()
  await check()
  await turns(20)
  const found = await check()
  await during(app.close())
  await during(app.system.stop())
  return found
}

const seeds = seedsOf(5, operations)

test(`counters and projections of entities are exact over ${seeds.length} crashes`, {
  tags: ['slow'],
  timeout: 3_600_000,
}, async () => {
  const found = await liveSeeds(seeds, live)
  expect(Math.max(...found)).toBeGreaterThan(1)
})
