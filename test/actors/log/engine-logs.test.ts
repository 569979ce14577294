/** A shard whose log is in an engine: engines that are away, other owners, and engines that lost what they acknowledged. */
import { describe, expect, test } from 'vitest'
import { reasonText } from '../../../src/errors.ts'
import { ownedLogHost } from '../../../src/members/engine-log/owned-log-host.ts'
import { engineMachine, noUploads, patienceMs } from '../../support/worlds/engine-machine.ts'
import { small } from '../../support/worlds/logs.ts'
import { codeOf } from '../../support/worlds/simulated-instance.ts'

const calm = { lostRequest: 0, lostAnswer: 0, late: 0, lateMs: 0, repeated: 0 }

const started = async () => {
  const world = engineMachine({ faults: calm })
  const app = await world.start()
  await world.during(app.store.put('k', 'before'))
  return { ...world, app, store: app.store }
}

const phaseOf = ({ app }: Awaited<ReturnType<typeof started>>) => app.shards[0]?.phase

describe('while the engine is away', () => {
  test('a write waits, ends with its deadline, and reads go on', async () => {
    const { app, store, clock, cutOff, during } = await started()
    cutOff(1_000)
    const outcomes = Promise.all([
      codeOf(store.put('k', 'sent', { deadlineMs: 100 })),
      // It waits for the group that is on its way.
      clock.advance(1).then(() => codeOf(store.put('k', 'queued', { deadlineMs: 100 }))),
      codeOf(store.put('other', 'later')),
    ])

    await clock.advance(500)
    expect(store.get('k')).toBe('before')
    expect(await during(outcomes)).toEqual(['UNKNOWN_OUTCOME', 'NOT_SUBMITTED', 'ok'])
    expect([store.get('k'), store.get('other')]).toEqual(['sent', 'later'])
    await during(app.close())
  })

  test('for longer than the patience of a host, the shard recovers, and the next writer answers', async () => {
    const world = await started()
    const { app, store, clock, cutOff, during } = world
    cutOff(3 * patienceMs)
    const write = codeOf(store.put('k', 'after', { deadlineMs: 60_000 }))

    await clock.advance(patienceMs + 100)
    expect(phaseOf(world)?.kind).toBe('recovering')
    await clock.advance(2 * patienceMs)

    expect(await during(write)).toBe('ok')
    expect([phaseOf(world)?.kind, store.get('k')]).toEqual(['open', 'after'])
    await during(app.close())
  })

  test('an instance can be closed', async () => {
    for (const afterMs of [0, patienceMs + 100]) {
      const { app, clock, cutOff, during } = await started()
      cutOff(100_000)
      await clock.advance(afterMs)
      await during(app.close({ deadlineMs: 100 }))
      await clock.advance(100_000)
      expect(clock.untilNext()).toBeUndefined()
    }
  })
})

test('a shard whose log another owner has claimed acknowledges nothing, and is down until it is reopened', async () => {
  const world = await started()
  const { app, store, clock, engine, during } = world
  const log = engine.connect('c').log('0')
  const host = ownedLogHost({ log, clock, patienceMs, uploads: noUploads })
  const at = { dir: '', options: small }
  const inspection = await during(host.run('inspect', { ...at, evidence: [] }))
  await during(host.run('open', { ...at, inspection }))

  const write = codeOf(store.put('k', 'late'))

  expect(await during(write)).toBe('UNKNOWN_OUTCOME')
  expect(phaseOf(world)).toMatchObject({ kind: 'down', reason: { code: 'FENCED' } })
  expect(await during(codeOf(store.put('k', 'later')))).toBe('SHARD_DOWN')
  await host.end()
  await during(app.control.reopen(0))
  expect(store.get('k')).toBe('before')
  expect(await during(codeOf(store.put('k', 'again')))).toBe('ok')
  await during(app.close())
})

describe('an engine that lost what it acknowledged', () => {
  test('takes its shard down, and is refused at the next start', async () => {
    const world = await started()
    const { app, store, engine, during, start } = world
    await during(app.control.flushAll())
    const { end } = engine.kept('c', '0').head
    engine.loseTail('c', '0', end.lsn - 1)

    expect(await during(codeOf(store.put('k', 'on top')))).toBe('UNKNOWN_OUTCOME')

    const phase = phaseOf(world)
    expect(phase?.kind === 'down' && reasonText(phase.reason)).toMatch(/^CORRUPT.*lost/)
    await during(app.close())
    await expect(start()).rejects.toMatchObject({ code: 'CORRUPT' })
  })
})

test('a start with an empty cache has every write from the engine, and takes the log on', async () => {
  const { app, store, during, start, emptyCache, engine } = await started()
  for (let number = 0; number < 50; number++) await during(store.put(`k${number}`, number))
  await during(app.close())
  const { logId } = engine.kept('c', '0').head
  emptyCache()

  const next = await start()

  expect(next.store.get('k')).toBe('before')
  expect(next.store.range({ limit: 100, gte: 'k' }).entries).toHaveLength(51)
  await during(next.store.put('k', 'on'))
  await during(next.close())
  expect(engine.kept('c', '0').head.logId).toBe(logId)
})

test('a start with an empty cache and a trimmed log begins with a snapshot of the engine', async () => {
  const world = await started()
  const { app, store, during, start, emptyCache, engine } = world
  for (let number = 0; number < 50; number++) await during(store.put(`k${number}`, number))
  await during(app.control.snapshot(0))
  await during(store.put('k', 'after'))
  await during(app.control.snapshot(0))
  await during(store.put('last', 'one'))
  expect(engine.kept('c', '0').head.trimmed.lsn).toBeGreaterThan(0)
  await during(app.close())
  emptyCache()

  const next = await start()

  expect([next.store.get('k'), next.store.get('last')]).toEqual(['after', 'one'])
  // The older snapshot is not in the cache, which is no damage.
  expect(next.shards[0]?.snapshots.health.failure).toBeUndefined()
  expect(next.store.range({ limit: 100 }).entries).toHaveLength(52)
  await during(next.close())
})

test('a snapshot is named by the log only after the engine has given it back', async () => {
  const world = await started()
  const { app, store, during, engine } = world
  await during(store.put('k', 'one'))
  engine.damagesFiles = true

  expect(await during(codeOf(app.control.snapshot(0)))).toBe('CORRUPT')

  expect(engine.kept('c', '0').head.snapshots).toEqual([])
  await during(app.close())
})

test('the engine keeps the files of the named snapshots only', async () => {
  const world = await started()
  const { app, store, during, engine } = world
  for (let round = 0; round < 4; round++) {
    await during(store.put('k', round))
    await during(app.control.snapshot(0))
  }

  const { snapshots } = engine.kept('c', '0').head
  const files = await during(engine.connect('c').files.list('shard-0/'))
  expect(files).toEqual(snapshots.map(({ file }) => `shard-0/${file}`))
  await during(app.close())
})

test('a snapshot that is damaged in the cache is fetched again', async () => {
  const world = await started()
  const { app, store, during, disk, start, projections } = world
  await during(store.put('k', 'kept'))
  await during(app.control.snapshot(0))
  await during(app.close())
  const dir = '/data/shard-0/snapshot'
  for (const name of disk.list(dir)) {
    const file = disk.open(`${dir}/${name}`, 'write')
    file.write(Uint8Array.of(1, 2, 3), 100)
    file.sync()
    file.close()
  }
  projections.remove('/data/shard-0/lmdb')

  const next = await start()

  expect(next.store.get('k')).toBe('kept')
  await during(next.close())
})

test('a snapshot that the engine lost as well is damage, and an older one is taken', async () => {
  const world = await started()
  const { app, store, during, engine, start, emptyCache } = world
  for (const value of ['first', 'second']) {
    await during(store.put('k', value))
    await during(app.control.snapshot(0))
  }
  await during(app.close())
  const { files } = engine.connect('c')
  const newest = engine.kept('c', '0').head.snapshots.at(-1)?.file ?? ''
  await during(files.remove(`shard-0/${newest}`))
  emptyCache()

  const next = await start()

  expect(next.store.get('k')).toBe('second')
  await during(next.close())
})
