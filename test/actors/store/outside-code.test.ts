/** Code and options that come from outside disturb neither the start nor an actor. */
import { describe, expect, test } from 'vitest'
import type { StorageEvents } from '../../../src/actors/index.ts'
import { telemetry } from '../../../src/runtime/index.ts'
import { codeOf, machine, started } from '../../support/worlds/simulated-instance.ts'

describe('start', () => {
  test.each([
    ['throws', () => false],
    ['returns a promise that rejects', () => true],
  ])('is not disturbed by an onProgress that %s, and leaves the folder free', async (_, later) => {
    const { start, during } = machine()
    const steps: string[] = []
    const mine = (): never => {
      throw new Error('mine')
    }
    const app = await start({
      onProgress: ({ step }) => {
        steps.push(step)
        return later() ? (async () => mine())() : mine()
      },
    })
    expect(steps).toContain('open')
    await during(app.store.put('a', 1))
    await during(app.close())
    const next = await start()
    expect(next.store.get('a')).toBe(1)
    await during(next.close())
  })

  test('refuses minDurable of a shard that is not there, and takes the greatest of several', async () => {
    const { start, during, app } = await started()
    await during(app.store.put('a', 1))
    await during(app.close())

    const minDurable = (...lsns: number[]) => ({
      wal: { minDurable: lsns.map((lsn) => ({ shard: 0, lsn })) },
    })
    expect(await codeOf(start({ wal: { minDurable: [{ shard: 7, lsn: 1 }] } }))).toBe('CONFIG')
    expect(await codeOf(start(minDurable(9_999, 1)))).toBe('CORRUPT')
    await during((await start(minDurable(1))).close())
  })
})

test('a listener that throws disturbs no actor', async () => {
  const { during, app } = await started()
  const events = telemetry<StorageEvents>(app.system)
  for (const event of ['wal.commit', 'wal.recovered', 'lmdb.flushed', 'lmdb.suspended'] as const)
    events.on(event, () => {
      throw new Error('mine')
    })

  await during(app.store.put('a', 1))
  const { outcomes } = await during(app.control.suspendAll())
  await during(app.control.resumeAll())

  expect(outcomes).toEqual([{ shard: 0, ok: true }])
  expect(app.system.processes().every(({ restarts }) => restarts === 0)).toBe(true)
})
