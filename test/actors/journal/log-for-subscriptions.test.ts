/** How much of the log is kept for the journal and its subscriptions. */
import { describe, expect, test } from 'vitest'
import type { App } from '../../../src/supervisors/index.ts'
import { append, entry, healthOf } from '../../support/worlds/journal-entries.ts'
import { type Machine, machine } from '../../support/worlds/simulated-instance.ts'

describe('the log', () => {
  const segmentsOf = ({ disk }: Machine): number =>
    disk.list('/data/shard-0/wal').filter((name) => name.endsWith('.wal')).length

  const filled = async (app: App, world: Machine): Promise<number> => {
    for (let at = 0; at < 14; at++) await world.during(app.store.put('k', 'v'.repeat(60_000)))
    await world.during(app.control.snapshot(0), 60_000)
    return segmentsOf(world)
  }
  const wal = { maxFileSize: 128 * 1024 }

  test('is given back behind a snapshot while the journal has no entry', async () => {
    const world = machine()
    const app = await world.start({ wal })

    expect(await filled(app, world)).toBeLessThan(3)
    expect(healthOf(app)?.floorLsn).toBe(undefined)
  })

  test('is kept for entries until two states are saved behind them', async () => {
    const world = machine()
    const app = await world.start({ wal })
    await append(app, world, 'a')
    const kept = await filled(app, world)
    expect(kept).toBeGreaterThan(6)
    expect(healthOf(app)?.floorLsn).toBe(0)

    const { lsn: first } = await world.during(app.journal.append(entry('b')))
    await world.during(app.journal.saveState(first, { a: 1 }))
    const more = await filled(app, world)
    expect(more).toBeGreaterThan(kept)
    const { lsn } = await world.during(app.journal.append(entry('c')))
    for (const at of [lsn - 1, lsn]) await world.during(app.journal.saveState(at, { at }))
    expect(await filled(app, world)).toBeLessThan(more)
    expect(healthOf(app)?.floorLsn).toBe(lsn - 1)
  })

  test('is kept for a subscription that is behind, also when nobody subscribes, and not for one at the end', async () => {
    const world = machine()
    const options = { wal, journal: { retention: 'readers' } } as const
    const app = await world.start(options)
    const subscription = app.journal.subscribe({ name: 'audit', handler: () => undefined })
    await append(app, world, 'a')
    const { position } = subscription.health
    expect(await filled(app, world)).toBeLessThan(3)
    expect(position).toBeDefined()
    await world.during(subscription.end())
    await append(app, world, 'b')

    expect(await filled(app, world)).toBeGreaterThan(6)
    await world.during(app.close())
    const again = await world.start(options)
    expect(await filled(again, world)).toBeGreaterThan(12)
    const got: string[] = []
    const last = again.journal.subscribe({ name: 'audit', handler: ({ id }) => void got.push(id) })
    await world.clock.advance(100)
    expect(got).toEqual(['b'])
    await world.during(last.end({ forget: true }))
    expect(await filled(again, world)).toBeLessThan(4)
  })
})
