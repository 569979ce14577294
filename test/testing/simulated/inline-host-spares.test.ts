/** The host of simulations, while it makes a spare: it does what a thread would, a call to the disk at a time. */
import { describe, expect, test } from 'vitest'
import { virtualClock } from '../../../src/clock.ts'
import { inlineLogHost } from '../../../src/testing/simulated/inline-host.ts'
import { simulatedDisk } from '../../../src/testing/simulated/simulated-disk.ts'
import { dir, payload, readAll, small, worldOn } from '../../support/worlds/logs.ts'

const request = (number: number, bytes = 500) => ({
  bytes: payload(number, bytes),
  lengths: [bytes],
  now: 0,
  sync: true,
  projectedLsn: 0,
})

describe('an inline host with spares', () => {
  const opened = async () => {
    const clock = virtualClock()
    const disk = simulatedDisk()
    const host = inlineLogHost({ disk, clock, delayMs: 4, spareStepMs: 10 })
    const opening = (async () => {
      await host.run('create', { dir, options: small })
      const inspection = await host.run('inspect', { dir, options: small, evidence: [] })
      await host.run('open', { dir, options: small, inspection })
      await host.run('commit', request(1))
    })()
    await clock.advance(16)
    await opening
    return { clock, disk, host, world: worldOn(disk) }
  }

  test('carries out what fits while the spare is made, and what needs it afterwards, in order', async () => {
    const { clock, host } = await opened()
    const settled: string[] = []
    const run = (name: string, number: number, bytes: number) =>
      void host.run('commit', request(number, bytes)).then(() => settled.push(name))
    run('fits', 2, 40)
    run('rolls', 3, 2400)
    run('behind it', 4, 40)

    await clock.advance(10)
    expect(settled).toEqual(['fits'])
    await clock.advance(200)
    expect(settled).toEqual(['fits', 'rolls', 'behind it'])
  })

  test('that is ended in the middle leaves nothing that goes on', async () => {
    const { clock, disk, host, world } = await opened()
    const waiting = host.run('commit', request(2, 2400)).then(
      () => 'ok',
      (error: { code: string }) => error.code,
    )
    await clock.advance(15)

    await host.end()

    expect(await waiting).toBe('CLOSED')
    const { calls } = disk
    expect(clock.untilNext()).toBeUndefined()
    await clock.advance(1000)
    expect(disk.calls).toBe(calls)
    expect(readAll(world.open().log)).toHaveLength(1)
  })

  test('closes once the spare is made, and leaves none', async () => {
    const { clock, host, world } = await opened()
    const closing = host.run('close', { projectedLsn: 0 })

    await clock.advance(500)
    await closing

    expect(world.disk.list(dir).filter((name) => name.endsWith('.tmp'))).toEqual([])
    expect(world.inspect().tail).toBe('clean')
  })
})
