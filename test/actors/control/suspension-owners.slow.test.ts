/** A suspension holds only as long as its owner lives, and is refused if it could not hold. */
import { describe, expect, test } from 'vitest'
import { Control, ControlHandle } from '../../../src/actors/index.ts'
import { healthText } from '../../support/worlds/health-text.ts'
import { codeOf, started } from '../../support/worlds/simulated-instance.ts'

test('health names who holds a projection', async () => {
  const { world, app } = await started()
  const { system } = app
  const owner = await world.during(system.start({ init: () => 0 }, undefined, { label: 'clerk' }))
  await world.during(app.control.suspendAll({ owner }))
  await world.during(app.control.suspendAll({}))
  expect(app.health().shards).toMatchObject([
    { suspended: true, suspendedBy: [`clerk <${owner.pid}>`, 'the app'] },
  ])
  expect(healthText(app)).toContain(
    `projection suspended, shard 0, for 0 s: clerk <${owner.pid}>, the app holds it until control.resume`,
  )
  await world.during(app.control.resumeAll({ force: true }))
  expect(app.health().shards).toMatchObject([{ suspended: false, suspendedBy: [] }])
})

describe('a suspension that ends while it still flushes', () => {
  /** An instance with a flush of one second: the log must be synced first. */
  const stuck = async () => {
    const { world, app } = await started({ wal: { enableFsync: false } }, { syncMs: 1_000 })
    await world.during(app.store.put('a', 1))
    return { ...world, app }
  }
  const isFree = ({ app }: Awaited<ReturnType<typeof stuck>>) => {
    expect(app.health().shards).toMatchObject([{ suspended: false }])
    expect(app.shards[0]?.gate.holds).toEqual([])
    expect(app.shards[0]?.suspensions.byToken.size).toBe(0)
  }

  test.each<[string, object]>([
    ['by its lease', { leaseMs: 500 }],
    ['by its time-out', { timeoutMs: 500 }],
  ])('%s leaves no hold behind', async (_, options) => {
    const world = await stuck()
    const outcome = world.app.control.suspendAll({ writes: true, timeoutMs: 5_000, ...options })

    const { outcomes } = await world.during(outcome)
    expect(outcomes).toMatchObject([{ ok: false }])

    await world.clock.advance(5_000)
    isFree(world)
    await world.during(world.app.store.put('b', 1))
  })

  test('by the death of its owner leaves no hold', async () => {
    const world = await stuck()
    const owner = await world.during(world.app.system.start({ init: () => 0 }, undefined))
    const outcome = world.app.control.suspendAll({ writes: true, owner, timeoutMs: 5_000 })
    await world.clock.settle()

    world.app.system.kill(owner)

    expect((await world.during(outcome)).outcomes).toMatchObject([{ ok: false }])
    await world.clock.advance(5_000)
    isFree(world)
  })

  test('by the death of control leaves no hold', async () => {
    const world = await stuck()
    const outcome = codeOf(world.app.control.suspendAll({ writes: true, timeoutMs: 5_000 }))
    await world.clock.settle()

    world.app.system.kill(Control.name())

    expect(await world.during(outcome)).toBe('EXITED')
    await world.clock.advance(5_000)
    isFree(world)
  })
})

test('a second suspension of a held projection with a lag fails with BUSY at once, and holds no writers', async () => {
  const { clock, during, app } = await started()
  await during(app.control.suspendAll())
  await during(app.store.put('a', 1))

  const { outcomes } = await during(app.control.suspendAll({ writes: true }), 100)

  expect(outcomes).toMatchObject([{ ok: false, error: { code: 'BUSY' } }])
  await during(app.store.put('b', 1))
  const flushless = await during(app.control.suspendAll({ flush: false }))
  expect(flushless.outcomes).toMatchObject([{ ok: true }])
  await clock.advance(10)
})

test('a handle of an owner suspends for it, and without a token ends its suspensions alone', async () => {
  const { during, app } = await started()
  const { system, control, shards } = app
  const owner = await during(system.start({ init: () => 0 }, undefined))
  const owned = ControlHandle.ownedBy(control, owner)

  await during(control.suspend(0))
  await during(owned.suspend(0))
  await during(owned.resumeAll())
  expect([...(shards[0]?.suspensions.byToken.values() ?? [])]).toMatchObject([{ owner: undefined }])

  await during(owned.suspend(0))
  await during(control.resume(0))
  expect([...(shards[0]?.suspensions.byToken.values() ?? [])]).toMatchObject([{ owner }])

  system.kill(owner)
  await during(control.flush(0))
  expect(shards[0]?.suspensions.byToken.size).toBe(0)
})

test('the owner of a suspension must be a process', async () => {
  const { app } = await started()

  for (const owner of [5, {}, 'x'])
    expect(await codeOf(app.control.suspendAll({ owner } as never))).toBe('INVALID_ARGUMENT')
})

test('control of a closed instance rejects with CLOSED', async () => {
  const { during, app } = await started()
  await during(app.close())

  expect(await codeOf(app.control.flushAll())).toBe('CLOSED')
})
