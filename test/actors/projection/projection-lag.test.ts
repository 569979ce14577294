/** How far a projection may be behind in bytes of log, and what a start does with one that is further. */
import { describe, expect, test } from 'vitest'
import { LmdbWriter, type StorageEvents } from '../../../src/actors/index.ts'
import { createSystem, telemetry } from '../../../src/runtime/index.ts'
import type { LogHost } from '../../../src/storage/index.ts'
import type { App, StartOptions, StartProgress } from '../../../src/supervisors/index.ts'
import { silentLogger } from '../../../src/testing/index.ts'
import { codeOf, type Machine, machine, started } from '../../support/worlds/simulated-instance.ts'

const KiB = 1024
const text = 'x'.repeat(200 * KiB)
const folder = '/data/shard-0/lmdb'
const options: Partial<StartOptions> = {
  deadlineMs: 5_000,
  wal: { maxFileSize: 1024 * KiB },
  lmdb: { lagBytesMax: 1024 * KiB },
}

/** A closed instance with 4 MiB of log, in which three keys were overwritten. */
const overwritten = async (log?: (host: LogHost) => LogHost) => {
  const { world, app } = await started(options, log ? { aroundLog: log } : {})
  for (let at = 0; at < 20; at++) await world.during(app.store.put(`k${at % 3}`, `${at}${text}`))
  await world.during(app.close())
  return world
}

/** A log whose reads take `ms`. `read` hears of the last LSN of each. */
const slowly = (
  host: LogHost,
  world: () => Machine,
  ms: number,
  read: (lsn: number) => void = () => undefined,
): LogHost => ({
  ...host,
  run: async (kind, request) => {
    const answer = await host.run(kind, request)
    if (kind !== 'read') return answer
    await new Promise<void>((go) => world().clock.after(ms, go))
    read((answer as { readonly next: number }).next - 1)
    return answer
  },
})

const lastOnes = ['k0', 'k1', 'k2']
const valuesOf = (app: App): unknown[] =>
  lastOnes.map((key) => String(app.store.get(key)).slice(0, 2))

describe('a projection that falls behind', () => {
  test('holds writers at `lmdb.lagBytesMax`, also when one key is overwritten', async () => {
    const { world, app } = await started({ ...options, lmdb: { lagBytesMax: 512 * KiB } })
    await world.during(app.control.suspendAll())
    for (let at = 0; at < 3; at++) await world.during(app.store.put('k', `${at}${text}`))
    expect(app.health().shards[0]?.lagBytes).toBeGreaterThan(512 * KiB)

    expect(await world.during(codeOf(app.store.put('k', 1, { whenFull: 'refuse' })))).toBe('BUSY')
    const waiting = app.store.put('k', 'late')
    await world.during(app.control.resumeAll({ force: true }))
    expect(await world.during(codeOf(waiting))).toBe('ok')
    await world.during(app.control.flushAll())
    expect(app.health().shards[0]?.lagBytes).toBe(0)
    await world.during(app.close())
  })

  test('is hurried at the bound, whatever its schedule', { tags: ['slow'] }, async () => {
    const world = machine()
    const hour = 3_600_000
    const slow = { intervalMs: hour, quietMs: hour, maxLagMs: hour }
    const app = await world.start({ ...options, lmdb: { ...slow, lagBytesMax: 512 * KiB } })
    const began = world.clock.monotonic()
    for (let at = 0; at < 20; at++) await world.during(app.store.put('k', `${at}${text}`))
    expect(world.clock.monotonic() - began).toBeLessThan(1_000)
    await world.during(app.close())
  })

  test('keeps a close within its deadline, and the next start goes on', async () => {
    const { world, app } = await started(options)
    await world.during(app.control.suspendAll())
    for (let at = 0; at < 4; at++) await world.during(app.store.put(`k${at % 3}`, `${at}${text}`))
    await world.during(app.control.resumeAll({ force: true }))
    world.projections.failCommits(folder, Number.POSITIVE_INFINITY)
    await world.clock.advance(50)

    const began = world.clock.monotonic()
    const { cutOff } = await world.during(app.close({ deadlineMs: 300 }))
    expect(world.clock.monotonic() - began).toBeLessThanOrEqual(400)
    expect(cutOff).toMatchObject([{ part: 'projection', shard: 0 }])

    world.projections.failCommits(folder, 0)
    const again = await world.start(options)
    expect(again.store.get('k0')).toBe(`3${text}`)
    await world.during(again.close())
  })
})

test('a start with less log than the bound behind its projection tells how far it has read', async () => {
  const read: number[] = []
  const world: Machine = machine({
    aroundLog: (host) =>
      slowly(
        host,
        () => world,
        1_000,
        (lsn) => void read.push(lsn),
      ),
  })
  const large = { ...options, lmdb: { lagBytesMax: 8 * 1024 * KiB } }
  const app = await world.start(large)
  for (let at = 0; at < 4; at++) await world.during(app.store.put('k', at))
  await world.during(app.control.flushAll())
  const shown = app.health().shards[0]?.projectedLsn ?? 0
  world.projections.failCommits(folder, Number.POSITIVE_INFINITY)
  for (let at = 0; at < 15; at++) await world.during(app.store.put('k', `${at}${text}`))
  await world.during(app.close({ deadlineMs: 10 }))
  world.projections.failCommits(folder, 0)
  const told: StartProgress[] = []
  read.length = 0

  const again = await world.start({ ...large, onProgress: (each) => told.push(each) })

  const counts = told.flatMap(({ recovery }) => recovery?.count ?? [])
  expect(counts.length).toBeGreaterThan(2)
  expect(counts).toEqual(read.slice(0, counts.length).map((lsn) => lsn - shown))
  expect(again.store.get('k')).toBe(`14${text}`)
  await world.during(again.close())
})

describe('a start with more log than the bound behind its projection', () => {
  test('rebuilds it before it opens, and tells bytes and a rate while it does', {
    tags: ['slow'],
  }, async () => {
    const world = await overwritten((host) => slowly(host, () => world, 600))
    world.projections.remove(folder)
    const told: StartProgress[] = []
    const emitted: object[] = []
    const system = createSystem({ clock: world.clock })
    telemetry<StorageEvents>(system).on('shard.recovering', (event) => emitted.push(event))

    const app = await world.start({ ...options, system, onProgress: (each) => told.push(each) })

    const progress = told.flatMap(({ recovery }) => recovery ?? [])
    expect(emitted).toMatchObject(progress.map((each) => ({ shard: 0, ...each })))
    expect(progress.length).toBeGreaterThan(1)
    expect(progress[0]).toMatchObject({ source: 'log', bytesOfAll: expect.any(Number) })
    const bytes = progress.map((each) => each.bytes)
    expect(bytes).toEqual([...bytes].sort((a, b) => a - b))
    expect(progress.at(-1)?.bytes).toBeGreaterThan(1024 * KiB)
    expect(progress.at(-1)?.bytes).toBeLessThanOrEqual(progress[0]?.bytesOfAll ?? 0)
    expect(progress.every(({ bytesPerSecond }) => bytesPerSecond > 0)).toBe(true)
    expect(app.health().shards[0]).toMatchObject({ phase: 'open', recovery: undefined })
    expect(valuesOf(app)).toEqual(['18', '19', '17'])
    await world.during(app.close())
  })

  test('tells how much of what lacked is there, not of the whole log', {
    tags: ['slow'],
  }, async () => {
    const world: Machine = machine({ aroundLog: (host) => slowly(host, () => world, 1_000) })
    const app = await world.start(options)
    for (let at = 0; at < 40; at++) await world.during(app.store.put('k', at))
    await world.during(app.control.flushAll())
    const from = app.health().shards[0]?.projectedLsn ?? 0
    world.projections.failCommits(folder, Number.POSITIVE_INFINITY)
    const puts = Array.from({ length: 12 }, (_, at) => app.store.put('k', `${at}${text}`))
    await world.during(Promise.allSettled(puts))
    await world.during(app.close({ deadlineMs: 10 }))
    world.projections.failCommits(folder, 0)
    const told: StartProgress[] = []

    const again = await world.start({ ...options, onProgress: (each) => told.push(each) })

    const all = told.flatMap(({ recovery }) => recovery ?? [])
    // What is read last, for the overlay, is told anew.
    const progress = all.filter(({ bytesOfAll }) => bytesOfAll === all[0]?.bytesOfAll)
    const lacked = (again.health().shards[0]?.appliedLsn ?? 0) - from
    expect(progress.length).toBeGreaterThan(1)
    expect(progress[0]?.count).toBeLessThan(lacked)
    for (const { count, bytes, bytesOfAll } of progress)
      expect(bytes).toBe(Math.round((count / lacked) * bytesOfAll))
    await world.during(again.close())
  })

  test('is refused with DEGRADED after `deadlineMs` without room, and the next one goes on there', async () => {
    const reads: number[] = []
    const world = await overwritten((host) => ({
      ...host,
      run: (kind, request) => {
        if (kind === 'read') reads.push((request as { from: number }).from)
        // After two batches there is no room.
        if (reads.length === 3) world.projections.failCommits(folder, Number.POSITIVE_INFINITY)
        return host.run(kind, request)
      },
    }))
    world.projections.remove(folder)
    const began = world.clock.monotonic()

    expect(await codeOf(world.start(options))).toBe('DEGRADED')
    expect(world.clock.monotonic() - began).toBeLessThan(7_000)

    world.projections.failCommits(folder, 0)
    const [first = 0, second = 0, third = 0] = reads
    expect(first).toBe(1)
    reads.length = 10
    const app = await world.start(options)
    expect(reads[10]).toBeGreaterThan(second)
    expect(reads[10]).toBeLessThanOrEqual(third)
    expect(valuesOf(app)).toEqual(['18', '19', '17'])
    await world.during(app.close())
  })

  test('gains no time from a writer that begins again where the last one stood', {
    tags: ['slow'],
  }, async () => {
    const world = await overwritten()
    world.projections.remove(folder)
    world.projections.failCommits(folder, Number.POSITIVE_INFINITY)
    const system = createSystem({ clock: world.clock, logger: silentLogger })
    world.clock.after(3_000, () => system.kill(LmdbWriter.name(0)))
    const began = world.clock.monotonic()

    expect(await codeOf(world.start({ ...options, system }))).toBe('DEGRADED')
    expect(world.clock.monotonic() - began).toBeLessThan(7_000)
  })

  test('opens its other shards with `allowDown`, and `reopen` takes the rest up', async () => {
    const world = await overwritten()
    world.projections.remove(folder)
    world.projections.failCommits(folder, Number.POSITIVE_INFINITY)

    const app = await world.start({ ...options, allowDown: true })
    expect(app.health().shards).toMatchObject([{ phase: 'down' }])
    expect(app.health().shards[0]?.reason).toMatch(/DEGRADED.*no room/)
    expect(() => app.store.get('k0')).toThrow(expect.objectContaining({ code: 'SHARD_DOWN' }))

    world.projections.failCommits(folder, 0)
    await world.during(app.control.reopen(0))
    expect(valuesOf(app)).toEqual(['18', '19', '17'])
    await world.during(app.close())
  })

  test('waits on while commits fail now and then, but go on', async () => {
    const world = await overwritten()
    world.projections.remove(folder)
    world.projections.failCommits(folder, 5)
    const app = await world.start(options)
    expect(valuesOf(app)).toEqual(['18', '19', '17'])
    await world.during(app.close())
  })
})
