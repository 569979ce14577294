import { describe, expect, test } from 'vitest'
import { Applier } from '../../../src/actors/index.ts'
import { cast, name, send } from '../../../src/runtime/index.ts'
import type { App, StartOptions } from '../../../src/supervisors/index.ts'
import { codeOf, machine } from '../../support/worlds/simulated-instance.ts'

const started = async (overlay: StartOptions['overlay']) => {
  const world = machine()
  const app = await world.start({ overlay: overlay ?? {} })
  return { world, app }
}

const keysInMemory = async (app: App) =>
  (await Applier.describe(app.system.to(Applier.name('default', 0)))).overlayKeys

describe('a row that the projection shows', () => {
  test('leaves memory at once', async () => {
    const { world, app } = await started({})
    await world.during(app.store.put('a', 1, { ack: 'projected' }))
    expect(await world.during(keysInMemory(app))).toBe(0)
  })

  test('stays for `overlay.hotTtlMs`, counted anew when it is written again', async () => {
    const { world, app } = await started({ hotTtlMs: 1_000 })
    await world.during(app.store.put('a', 1, { ack: 'projected' }))
    await world.clock.advance(600)
    await world.during(app.store.put('a', 2, { ack: 'projected' }))
    await world.clock.advance(600)
    expect(await world.during(keysInMemory(app))).toBe(1)
    expect(app.store.get('a')).toBe(2)
    await world.clock.advance(600)
    expect(await world.during(keysInMemory(app))).toBe(0)
    expect(app.store.get('a')).toBe(2)
  })

  test('makes room for what is not projected: no write waits for it', async () => {
    const { world, app } = await started({ hotTtlMs: 3_600_000, keys: 3 })
    for (const key of ['a', 'b']) await world.during(app.store.put(key, 1, { ack: 'projected' }))
    expect(await world.during(keysInMemory(app))).toBe(2)
    await world.during(app.control.suspend(0))
    await world.during(app.store.put('c', 1))
    expect(await world.during(keysInMemory(app))).toBe(1)
    expect(await world.during(codeOf(app.store.put('d', 1, { whenFull: 'refuse' })))).toBe('ok')
    await world.during(app.store.put('e', 1))
    expect(await world.during(codeOf(app.store.put('f', 1, { whenFull: 'refuse' })))).toBe('BUSY')
  })

  test('leaves memory before its time if others wait for room', async () => {
    const { world, app } = await started({ hotTtlMs: 3_600_000, keys: 3 })
    const token = await world.during(app.control.suspend(0))
    for (const key of ['a', 'b', 'c']) await world.during(app.store.put(key, 1))
    expect(await world.during(codeOf(app.store.put('d', 1, { whenFull: 'refuse' })))).toBe('BUSY')
    const waiting = codeOf(app.store.put('d', 1))
    await world.during(app.control.resume(0, token))
    expect(await world.during(waiting)).toBe('ok')
    expect(await world.during(keysInMemory(app))).toBeLessThan(3)
  })
})

describe('a row that the projection does not show', () => {
  /** Casts and messages as anybody can send them. */
  type Anything = {
    calls: Record<never, never>
    casts: { projected: (lsn: number) => void }
    infos: { cooled: (lsn: number) => void }
  }

  test.each([0, 1_000])(
    'stays, whatever LSN a message names (hotTtlMs %i)',
    { tags: ['L33'] },
    async (hotTtlMs) => {
      const { world, app } = await started({ hotTtlMs })
      const applier = app.system.to(name<Anything>('applier(0)'))
      await world.during(app.control.suspend(0))
      await world.during(app.store.put('a', 1))
      cast(applier, 'projected', 1_000_000)
      send(applier, 'cooled', 1_000_000)
      await world.clock.advance(2_000)
      expect(await world.during(keysInMemory(app))).toBe(1)
      expect(app.store.get('a')).toBe(1)
    },
  )
})
