/** A shard that is down for a reason that passes opens by itself. One that a person must look at stays down. */
import { describe, expect, test } from 'vitest'
import { passes } from '../../../src/actors/index.ts'
import { KeelsonError } from '../../../src/errors.ts'
import { createSystem } from '../../../src/runtime/index.ts'
import { capturedLog } from '../../../src/testing/index.ts'
import { codeOf, failNextSync, machine } from '../../support/worlds/simulated-instance.ts'

/** An instance whose log cannot be opened, because each new file of it meets `code`. */
const fallen = async (code: string) => {
  const world = machine()
  const { clock, disk, during } = world
  const log = capturedLog()
  const app = await world.start({ system: createSystem({ clock, logger: log }) })
  await during(app.store.put('k', 1))
  const fault = { kind: 'error', code } as const
  disk.inject({ at: 1, times: 1e6, operation: 'create', path: '/data/shard-0/wal/', fault })
  for (const thread of world.threads('log')) thread.die()
  await clock.advance(100)
  expect(app.shards[0]?.phase.kind).toBe('down')
  const said = (): string[] =>
    log.lines.map(({ message }) => message).filter((line) => /is down|by itself|again/.test(line))
  return { ...world, app, said, phase: () => app.shards[0]?.phase.kind }
}

describe('a shard whose log cannot be opened', () => {
  test.each(['ENOSPC', 'EMFILE', 'EACCES'])(
    'for %s opens by itself when that has passed: the log has two lines for it, and one of its end',
    async (code) => {
      const { app, clock, disk, during, said, phase } = await fallen(code)
      expect(app.health().shards[0]?.reopening).toMatchObject({ tries: 0 })
      await clock.advance(200_000)
      expect(phase()).toBe('down')
      const { tries = 0, inMs = 0 } = app.health().shards[0]?.reopening ?? {}
      expect([tries > 5, tries < 16, inMs <= 60_000]).toEqual([true, true, true])
      expect(said()).toHaveLength(2)

      disk.clearFaults()
      await clock.advance(60_100)
      expect(phase()).toBe('open')
      expect(said()).toHaveLength(3)
      expect(app.health().shards[0]?.reopening).toBeUndefined()
      expect(app.store.get('k')).toBe(1)
      expect(await codeOf(during(app.store.put('k', 2)))).toBe('ok')
    },
  )

  test('for EIO stays down until a person opens it', async () => {
    const { app, clock, disk, during, phase } = await fallen('EIO')
    disk.clearFaults()
    await clock.advance(100_000)
    expect(phase()).toBe('down')
    expect(app.health().shards[0]?.reopening).toBeUndefined()
    await during(app.control.reopen(0))
    expect(app.store.get('k')).toBe(1)
  })

  test('is opened by control.reopen in a pause, which ends the pause', async () => {
    const { app, clock, disk, during, phase } = await fallen('ENOSPC')
    await clock.advance(30_000)
    expect(await codeOf(during(app.control.reopen(0)))).toBe('SHARD_DOWN')
    disk.clearFaults()
    await during(app.control.reopen(0))
    expect([phase(), app.health().shards[0]?.reopening]).toEqual(['open', undefined])
  })

  test('does not hold up a close, which ends the pause', async () => {
    const { app, clock, during } = await fallen('ENOSPC')
    await clock.advance(30_000)
    const began = clock.monotonic()
    await during(app.close())
    expect(clock.monotonic() - began).toBeLessThan(100)
    await clock.advance(60_000)
    expect(clock.untilNext()).toBeUndefined()
  })
})

test('a shard whose sync failed stays down, whatever the code', async () => {
  const world = machine()
  const app = await world.start()
  failNextSync(world.disk)
  await world.during(codeOf(app.store.put('k', 1)))
  await world.clock.advance(100_000)
  expect(app.health().shards[0]).toMatchObject({ phase: 'down', reopening: undefined })
})

test.each([
  [true, 'NO_SPACE', { errno: 'ENOSPC', operation: 'write' }],
  [true, 'SHARD_DOWN', { reason: 'disk', errno: 'EMFILE', operation: 'open' }],
  [true, 'NO_SPACE', { freeBytes: 1, neededBytes: 2 }],
  [false, 'NO_SPACE', { lastLsn: 1 }],
  [false, 'NO_SPACE', { errno: 'ENOSPC', operation: 'sync' }],
  [false, 'SHARD_DOWN', { reason: 'poisoned', errno: 'ENOSPC', operation: 'write' }],
  [false, 'SHARD_DOWN', { reason: 'disk', errno: 'EIO', operation: 'read' }],
  [false, 'CORRUPT', { errno: 'ENOENT' }],
  [false, 'FENCED', {}],
] as const)('%s that a shard opens by itself after %s %o', (expected, code, details) => {
  const reason = new KeelsonError(code, 'no', { details })
  expect(passes(reason)).toBe(expected)
  const above = new KeelsonError('DEGRADED', 'no', { cause: reason })
  expect(passes(above)).toBe(expected)
  expect(passes(String(reason))).toBe(false)
})
