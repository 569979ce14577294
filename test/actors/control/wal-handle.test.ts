/** `app.wal(shard)`: its log is read, written down by a checkpoint, and given back. */
import { describe, expect, test } from 'vitest'
import type { LoggedFrame, WalHandle } from '../../../src/actors/index.ts'
import { LmdbWriter, Snapshotter } from '../../../src/index.ts'
import { decodeValue, type LogHost } from '../../../src/storage/index.ts'
import { codeOf, failNext, started } from '../../support/worlds/simulated-instance.ts'
import {
  folders,
  options,
  overwrite,
  startedWithSnapshots,
} from '../../support/worlds/snapshot-instance.ts'

const all = async (frames: AsyncIterable<LoggedFrame>): Promise<LoggedFrame[]> => {
  const read: LoggedFrame[] = []
  for await (const frame of frames) read.push(frame)
  return read
}

const firstLsnOf = async (wal: WalHandle): Promise<number> =>
  (await wal.describe()).log?.segments[0]?.baseLsn ?? 0

describe('read', () => {
  test('gives the frames of writes in order, with their commands and times', async () => {
    const { during, clock, app } = await started()
    await during(app.store.put('a', 1))
    const { position } = await during(app.store.batch().put('b', 2).delete('a').commit())
    await during(app.journal.append({ id: 'e', type: 't', command: 1 }))
    await during(app.wal(0).sync())

    const frames = await during(all(app.wal(0).read()))

    expect(frames.map(({ commands }) => commands.map(({ kind }) => kind))).toEqual([
      ['put'],
      ['put', 'delete'],
      [],
    ])
    expect(frames[1]).toMatchObject({ lsn: position.lsn, commands: [{ key: 'b' }, { key: 'a' }] })
    const [first] = frames[0]?.commands ?? []
    expect(first?.kind === 'put' && decodeValue(first.value)).toBe(1)
    expect(frames.every(({ time }) => time > 0 && time <= clock.now())).toBe(true)
    expect(frames.every(({ bytes }) => bytes.length > 0)).toBe(true)
  })

  test('takes LSNs that are inclusive, and 0 for the first', async () => {
    const { during, app } = await started()
    const lsns: number[] = []
    for (const key of ['a', 'b', 'c', 'd']) {
      const { position } = await during(app.store.put(key, key))
      lsns.push(position.lsn)
    }
    const [first = 0, second = 0, third = 0] = lsns
    const read = async (bounds: { from?: number; to?: number }) =>
      (await during(all(app.wal(0).read(bounds)))).map(({ lsn }) => lsn)

    expect(await read({ from: second, to: third })).toEqual([second, third])
    expect(await read({ from: 0, to: first })).toEqual([first])
    expect(await read({ from: lsns.at(-1) ?? 0 })).toEqual(lsns.slice(-1))
    expect(await read({ from: 1_000 })).toEqual([])
    for (const wrong of [{ from: -1 }, { to: 1.5 }, { limit: 1 } as never])
      expect(() => app.wal(0).read(wrong)).toThrow(
        expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
      )
  })

  test('keeps the log that it has still to read, and BAD_CURSOR says what is not there', async () => {
    const { world, app } = await startedWithSnapshots()
    await overwrite(world, app, 40)
    const frames = app.wal(0).read()
    await world.during(frames.next())

    await world.during(app.wal(0).checkpoint())
    expect(await world.during(firstLsnOf(app.wal(0)))).toBe(1)
    const rest = await world.during(all(frames))
    expect(rest.length).toBe(39)

    const { removed, firstLsn } = await world.during(app.wal(0).release())
    expect([removed > 0, firstLsn > 1]).toEqual([true, true])
    expect(await codeOf(world.during(all(app.wal(0).read({ from: 1 }))))).toBe('BAD_CURSOR')
    const left = await world.during(all(app.wal(0).read()))
    expect(left[0]?.lsn).toBeGreaterThanOrEqual(firstLsn)
  })

  test('from the beginning is not refused because the log is given back as it begins', async () => {
    let isNext = false
    const aroundLog = (host: LogHost): LogHost => ({
      run: async (kind, request) => {
        if (kind !== 'pin' || !isNext) return host.run(kind, request)
        isNext = false
        await app.control.snapshot(0)
        return host.run(kind, request)
      },
      end: () => host.end(),
    })
    const { world, app } = await startedWithSnapshots({}, { aroundLog })
    await overwrite(world, app, 40)
    isNext = true

    const frames = await world.during(all(app.wal(0).read()))

    const firstLsn = await world.during(firstLsnOf(app.wal(0)))
    expect(firstLsn).toBeGreaterThan(1)
    expect(frames[0]?.lsn).toBe(firstLsn)
    await overwrite(world, app, 40)
    isNext = true
    expect(await codeOf(world.during(all(app.wal(0).read({ from: firstLsn }))))).toBe('BAD_CURSOR')
  })

  test('that is left early keeps nothing', async () => {
    const { world, app } = await startedWithSnapshots()
    await overwrite(world, app, 40)
    const leaving = async () => {
      for await (const { lsn } of app.wal(0).read()) return lsn
      return 0
    }
    expect(await world.during(leaving())).toBe(1)

    await world.during(app.wal(0).checkpoint())
    expect(await world.during(firstLsnOf(app.wal(0)))).toBeGreaterThan(1)
  })

  test('under which the thread of the log dies is SHARD_DOWN, and another one goes on from there', async () => {
    const { world, app } = await startedWithSnapshots()
    await overwrite(world, app, 40)
    const frames = app.wal(0).read()
    const first = await world.during(frames.next())
    expect(first.value?.lsn).toBe(1)
    for (const thread of world.threads('log')) thread.die()

    const read: number[] = []
    const reading = async () => {
      for await (const { lsn } of frames) read.push(lsn)
    }
    expect(await codeOf(world.during(reading()))).toBe('SHARD_DOWN')
    await world.during(app.store.put('later', 1))
    const rest = await world.during(all(app.wal(0).read({ from: 1 + (read.at(-1) ?? 1) })))

    const lsns = [1, ...read, ...rest.map(({ lsn }) => lsn)]
    const whole = await world.during(all(app.wal(0).read()))
    expect(whole).toHaveLength(41)
    expect(lsns).toEqual(whole.map(({ lsn }) => lsn))
    expect(app.shards[0]?.phase.kind).toBe('open')
  })

  test('ends with CLOSED when the instance closes', async () => {
    const { world, app } = await startedWithSnapshots()
    await overwrite(world, app, 80)
    const frames = app.wal(0).read()
    await world.during(frames.next())

    await world.during(app.close())

    expect(await codeOf(world.during(all(frames)))).toBe('CLOSED')
    expect(() => app.wal(0).read()).toThrow(expect.objectContaining({ code: 'CLOSED' }))
  })
})

describe('checkpoint', () => {
  test('is a snapshot of everything applied, and gives the log before it back', async () => {
    const { world, app } = await startedWithSnapshots()
    await overwrite(world, app, 40)
    const { lsn } = app.wal(0).position

    const made = await world.during(app.wal(0).checkpoint())

    expect(made).toMatchObject({ lsn })
    expect(app.health().shards[0]?.snapshot.last).toEqual(made)
    expect(await world.during(firstLsnOf(app.wal(0)))).toBeGreaterThan(1)
  })

  test('is DEGRADED when the followers have given up, and TIMEOUT when nothing answers', async () => {
    const { during, clock, app } = await started()
    await during(app.control.suspend(0, { flush: false }))
    await during(app.store.put('a', 1))
    expect(await codeOf(during(app.wal(0).checkpoint({ timeoutMs: 10 }), 20))).toBe('TIMEOUT')
    expect(await codeOf(app.wal(0).checkpoint({ timeoutMs: 0 }))).toBe('INVALID_ARGUMENT')
    await during(app.control.resume(0))

    for (let at = 0; at < 11; at++) {
      app.system.kill(LmdbWriter.name(0))
      await clock.advance(1)
    }
    expect(app.system.whereis(Snapshotter.name(0))).toBeUndefined()
    expect(await codeOf(during(app.wal(0).checkpoint()))).toBe('DEGRADED')
    expect(await codeOf(during(app.control.snapshot(0)))).toBe('DEGRADED')
  })
})

describe('release', () => {
  test('without a snapshot gives nothing back, whatever is projected and however it was closed', async () => {
    const more = { snapshot: { minLogBytes: 512 * 1024 * 1024 } }
    const { world, app } = await startedWithSnapshots(more)
    await overwrite(world, app, 80)
    await world.during(app.control.flush(0))
    expect(await world.during(app.wal(0).release())).toMatchObject({ removed: 0, firstLsn: 1 })
    await world.during(app.close())

    const again = await world.start({ ...options, ...more })
    expect(await world.during(again.wal(0).release())).toMatchObject({ removed: 0, firstLsn: 1 })
  })

  test('goes no further than asked, and never beyond what the journal keeps', async () => {
    const { world, app } = await startedWithSnapshots()
    await overwrite(world, app, 20)
    const entry = { id: 'e', type: 't', command: 1 }
    const { lsn } = await world.during(app.journal.append(entry))
    await overwrite(world, app, 80)
    await world.during(app.wal(0).checkpoint())
    const kept = await world.during(firstLsnOf(app.wal(0)))
    expect(kept).toBeLessThanOrEqual(lsn)

    expect(await world.during(app.wal(0).release())).toMatchObject({ removed: 0, firstLsn: kept })
    expect(await codeOf(app.wal(0).release(-1))).toBe('INVALID_ARGUMENT')
  })

  test('waits for a backup under way', async () => {
    const { world, app } = await startedWithSnapshots()
    await overwrite(world, app, 40)
    const frames = app.wal(0).read()
    await world.during(frames.next())
    await world.during(app.wal(0).checkpoint())
    await world.during(frames.return())
    const leave = await app.shards[0]?.snapshots.parts.turns.take()
    const released = app.wal(0).release()
    await world.clock.advance(10)
    expect(await world.during(firstLsnOf(app.wal(0)))).toBe(1)

    leave?.()
    expect(await world.during(released)).toMatchObject({ removed: expect.any(Number) })
    expect(await world.during(firstLsnOf(app.wal(0)))).toBeGreaterThan(1)
  })

  test('whose sync of the folder fails takes the shard down, as every failed sync does', async () => {
    const { world, app } = await startedWithSnapshots()
    await overwrite(world, app, 40)
    const frames = app.wal(0).read()
    await world.during(frames.next())
    await world.during(app.wal(0).checkpoint())
    await world.during(frames.return())
    failNext(world.disk, 'syncFolder', folders.wal)

    expect(await codeOf(world.during(app.wal(0).release()))).toBe('SHARD_DOWN')
    expect(app.health().shards[0]?.phase).toBe('down')
    expect(await codeOf(world.during(app.store.put('a', 1)))).not.toBe('ok')
  })
})
