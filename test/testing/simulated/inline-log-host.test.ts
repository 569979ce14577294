import { describe, expect, test } from 'vitest'
import { virtualClock } from '../../../src/clock.ts'
import type { CommitRequest } from '../../../src/storage/ports/log-host.ts'
import { inlineLogHost } from '../../../src/testing/simulated/inline-host.ts'
import { simulatedDisk } from '../../../src/testing/simulated/simulated-disk.ts'
import { logHostContract } from '../../contracts/log-host.contract.ts'
import { content, dir, payload, readAll, small, worldOn } from '../../support/worlds/logs.ts'

logHostContract('in line, on the simulated disk', () => {
  const clock = virtualClock()
  const disk = simulatedDisk()
  return {
    dir,
    options: small,
    makeHost: () => inlineLogHost({ disk, clock, delayMs: 0 }),
    during: async (work) => (await Promise.all([work, clock.settle()]))[0],
  }
})

const request = (number: number): CommitRequest => {
  const bytes = payload(number)
  return { bytes, lengths: [bytes.length], now: number, sync: true, projectedLsn: 0 }
}

/** A host whose log is open; answers come `delayMs` late. */
const opened = async (delayMs: number) => {
  const clock = virtualClock()
  const disk = simulatedDisk()
  const host = inlineLogHost({ disk, clock, delayMs })
  const opening = (async () => {
    await host.run('create', { dir, options: small })
    const inspection = await host.run('inspect', { dir, options: small, evidence: [] })
    await host.run('open', { dir, options: small, inspection })
  })()
  await clock.advance(3 * delayMs)
  await opening
  return { clock, disk, host, world: worldOn(disk) }
}

/** Collects what a promise comes to, as it comes to it. */
const watch = (into: string[], name: string, promise: Promise<unknown>): void => {
  promise.then(
    () => into.push(name),
    (error: unknown) => into.push(`${name}: ${(error as { code: string }).code}`),
  )
}

describe('an inline host', () => {
  test('answers after its delay, and does one thing after another', async () => {
    const { clock, disk, host } = await opened(4)
    const { syncs } = disk
    const settled: string[] = []
    for (const number of [1, 2, 3])
      watch(settled, `commit ${number}`, host.run('commit', request(number)))

    await clock.advance(3)
    expect({ settled, syncs: disk.syncs - syncs }).toEqual({ settled: [], syncs: 1 })

    await clock.advance(1)
    expect({ settled, syncs: disk.syncs - syncs }).toEqual({ settled: ['commit 1'], syncs: 2 })

    await clock.advance(8)
    expect(settled).toEqual(['commit 1', 'commit 2', 'commit 3'])
  })

  test('without a delay answers in a later turn', async () => {
    const { clock, host } = await opened(0)
    const settled: string[] = []
    watch(settled, 'commit', host.run('commit', request(1)))
    expect(settled).toEqual([])

    await clock.settle()

    expect(settled).toEqual(['commit'])
  })

  test('answers a failure as late as a success, and goes on', async () => {
    const { clock, host } = await opened(4)
    const settled: string[] = []
    watch(settled, 'early', host.run('read', { from: 0, maxBytes: 1 }))
    watch(settled, 'commit', host.run('commit', request(1)))

    await clock.advance(3)
    expect(settled).toEqual([])
    await clock.advance(5)
    expect(settled).toEqual(['early: BAD_CURSOR', 'commit'])
  })

  test('that is ended refuses what waits and what comes; what waits may take effect before it has ended', async () => {
    const { clock, disk, host, world } = await opened(4)
    const settled: string[] = []
    for (const number of [1, 2, 3])
      watch(settled, `commit ${number}`, host.run('commit', request(number)))
    await clock.advance(5)
    const { calls } = disk

    await host.end()
    await host.end()
    watch(settled, 'late', host.run('describe', null))
    await clock.advance(100)

    const expected = ['commit 1', 'commit 2: CLOSED', 'commit 3: CLOSED', 'late: CLOSED']
    expect(settled.toSorted()).toEqual(expected)
    // The third commit is written and synced; segment, MANIFEST and folder are closed.
    expect(disk.calls - calls).toBe(5)
    // Frames 2 and 3 were carried out and not answered: their outcome was unknown, and they are there.
    expect(readAll(world.open().log).map((frame) => frame.content)).toEqual([
      content(1),
      content(2),
      content(3),
    ])
  })

  test('closes behind the commits that were made before, and then refuses', async () => {
    const { clock, host, world } = await opened(4)
    const settled: string[] = []
    watch(settled, 'commit', host.run('commit', request(1)))
    watch(settled, 'close', host.run('close', { projectedLsn: 0 }))
    watch(settled, 'late', host.run('commit', request(2)))
    watch(settled, 'again', host.run('close', { projectedLsn: 0 }))

    await clock.advance(100)

    expect(settled).toEqual(['commit', 'close', 'late: CLOSED', 'again: CLOSED'])
    expect(world.inspect().tail).toBe('clean')
    expect(readAll(world.open().log)).toHaveLength(1)
  })
})
