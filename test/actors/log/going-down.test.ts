import { describe, expect, test } from 'vitest'
import { LmdbWriter, type StorageEvents, WalWriter } from '../../../src/actors/index.ts'
import { telemetry } from '../../../src/runtime/index.ts'
import { shardOf } from '../../../src/storage/index.ts'
import {
  codeOf,
  failNextSync,
  type Machine,
  started,
} from '../../support/worlds/simulated-instance.ts'

/** A key of each of two shards. */
const here = 'a'
const there = [...'bcdefgh'].find((key) => shardOf(key, 2) !== shardOf(here, 2)) as string

describe('a shard whose sync failed', () => {
  const poisoned = async () => {
    const { world, app } = await started({ shards: 2 }, { syncMs: 5 })
    await world.during(app.store.put(here, 'kept'))
    await world.during(app.store.put(there, 'kept'))
    const shard = (await world.during(app.store.put(here, 'kept'))).position.shard
    failNextSync(world.disk, shard)
    const down: unknown[] = []
    telemetry<StorageEvents>(app.system).on('shard.down', (event) => down.push(event))
    const submitted = codeOf(app.store.put(here, 'lost?'))
    await world.clock.settle()
    const queued = codeOf(app.store.put(here, 'never'))
    const outcomes = await world.during(Promise.all([submitted, queued]))
    await world.clock.advance(10)
    return { ...world, app, shard, outcomes, down }
  }

  test('acknowledges nothing, reports unknown outcomes, and goes down with its reason', {
    tags: ['D15', 'E23'],
  }, async () => {
    const { app, shard, outcomes, down } = await poisoned()

    expect(outcomes).toEqual(['UNKNOWN_OUTCOME', 'NOT_SUBMITTED'])
    expect(app.health().shards[shard]).toMatchObject({ phase: 'down' })
    expect(down).toMatchObject([{ shard }])
    expect(() => app.store.get(here)).toThrow(
      expect.objectContaining({
        code: 'SHARD_DOWN',
        details: expect.objectContaining({ state: 'down' }),
      }),
    )
    expect(await codeOf(app.store.put(here, 1))).toBe('SHARD_DOWN')
  })

  test('is restarted by no supervisor, and never syncs its file again', {
    tags: ['D15', 'E24'],
  }, async () => {
    const { app, shard, clock, disk } = await poisoned()
    const calls = disk.recordCalls()

    await clock.advance(60_000)

    expect(app.system.whereis(WalWriter.name(shard))).toBeUndefined()
    expect(calls.filter(({ path }) => path.includes(`shard-${shard}`))).toEqual([])
  })

  test('leaves the other shards running', async () => {
    const { app, during } = await poisoned()

    await during(app.store.put(there, 'goes on'))
    expect(app.store.get(there)).toBe('goes on')
    expect(() => app.store.range()).toThrow(expect.objectContaining({ code: 'SHARD_DOWN' }))
  })

  test('comes back by control.reopen with everything acknowledged', { tags: ['E25'] }, async () => {
    const { app, shard, during } = await poisoned()

    expect(await during(app.control.reopen(shard))).toEqual({
      shard,
      was: 'down',
      reopened: ['shard'],
    })

    expect(['kept', 'lost?']).toContain(app.store.get(here))
    await during(app.store.put(here, 'again'))
    expect(app.store.get(here)).toBe('again')
    expect(await during(app.control.reopen(shard))).toEqual({
      shard,
      was: 'running',
      reopened: [],
    })
  })

  test('comes back without what was written and not synced, if the disk has lost it', async () => {
    const { disk, during, app } = await started(
      { wal: { idleMarkerMs: 0, syncInterval: 60_000 } },
      { syncMs: 5 },
    )
    const segment = async () => {
      const { log } = await during(WalWriter.describe(app.system.to(WalWriter.name(0))))
      const { file = '', usedBytes = 0 } = log?.segments.at(-1) ?? {}
      return { path: `/data/shard-0/wal/${file}`, usedBytes }
    }
    await during(app.store.put(here, 'synced'))
    await during(app.wal(0).sync())
    const synced = await segment()
    await during(app.store.put(here, 'written'))
    const written = await segment()
    failNextSync(disk)
    const [sync, commitment] = [app.wal(0).sync(), app.wal(0).commitment()].map(codeOf)
    expect(await during(Promise.all([sync, commitment]))).toEqual(['SHARD_DOWN', 'SHARD_DOWN'])
    expect(await codeOf(app.wal(0).sync())).toBe('SHARD_DOWN')
    expect(app.shards[0]?.phase.kind).toBe('down')
    // A kernel marks the pages of a failed sync as clean, and may drop them.
    disk.poke(written.path, synced.usedBytes, new Uint8Array(written.usedBytes - synced.usedBytes))

    await during(app.control.reopen(0))

    expect(app.store.get(here)).toBe('synced')
    await during(app.store.put(here, 'again'))
    expect(await during(app.wal(0).sync())).toBe(app.shards[0]?.appends.writtenLsn)
  })

  test('comes back in a new process with everything acknowledged', async () => {
    const { app, disk, start, during } = await poisoned()
    await during(app.close())
    disk.crash()

    const again = await start()
    expect(['kept', 'lost?']).toContain(again.store.get(here))
    expect(again.store.get(there)).toBe('kept')
  })
})

describe('a shard whose writer crashes again and again', () => {
  test('is down when its supervisor has spent its restarts, and its sibling is not', async () => {
    const { clock, during, app } = await started({ shards: 2 })
    const { position } = await during(app.store.put(here, 1))

    for (let round = 0; round < 7; round++) {
      app.system.kill(WalWriter.name(position.shard))
      await clock.advance(20)
    }

    expect(app.health().shards[position.shard]).toMatchObject({
      phase: 'down',
      reason: 'its supervisor has spent its restarts',
    })
    expect(app.health().shards[1 - position.shard]).toMatchObject({ phase: 'open' })
    expect(await codeOf(app.store.put(here, 2))).toBe('SHARD_DOWN')

    await during(app.control.reopen(position.shard))
    expect(app.store.get(here)).toBe(1)
  })

  test('does not block forever: a put that waits through all restarts is answered', async () => {
    const { clock, during, app } = await started({}, { syncMs: 10 })
    const put = codeOf(app.store.put(here, 1))

    for (let round = 0; round < 8; round++) {
      app.system.kill(WalWriter.name(0))
      await clock.advance(1)
    }

    const outcome = await during(put)
    await clock.advance(200)
    if (app.health().shards[0]?.phase === 'down') await during(app.control.reopen(0))
    // A write without an acknowledgement may be absent; an acknowledged one is there.
    expect(['SHARD_DOWN', 'NOT_SUBMITTED', 'UNKNOWN_OUTCOME', 'ok']).toContain(outcome)
    if (outcome === 'ok') expect(app.store.get(here)).toBe(1)
    if (outcome === 'SHARD_DOWN' || outcome === 'NOT_SUBMITTED')
      expect(app.store.get(here)).toBeUndefined()
    await during(app.store.put(here, 2))
    expect(app.store.get(here)).toBe(2)
  })
})

describe('followers that crash again and again', () => {
  test.each(['followers', undefined] as const)(
    'give up without the log: writes and reads go on, and control.reopen of %s brings them back',
    async (part) => {
      const { clock, during, app } = await started()
      for (let round = 0; round < 12; round++) {
        app.system.kill(LmdbWriter.name(0))
        await clock.advance(5)
      }
      expect(app.system.whereis(LmdbWriter.name(0))).toBeUndefined()

      await during(app.store.put(here, 1))
      expect(app.store.get(here)).toBe(1)
      expect((await during(app.control.flushAll())).outcomes).toMatchObject([{ ok: false }])

      const found = await during(app.control.reopen(0, part))
      expect(found).toEqual({ shard: 0, was: 'down', reopened: ['followers'] })
      expect((await during(app.control.flushAll())).outcomes).toEqual([{ shard: 0, ok: true }])
    },
  )
})

describe('start', () => {
  test('rejects with CORRUPT and changes nothing when one of its shards is damaged', async () => {
    const { disk, start, during, app } = await started({ shards: 2 })
    await during(app.store.put(here, 1))
    await during(app.store.put(there, 1))
    await during(app.close())
    damageNewest(disk, '/data/shard-0/wal')
    const before = disk.clone()

    expect(await codeOf(during(start()))).toBe('CORRUPT')

    expect(contentsOf(disk)).toEqual(contentsOf(before))
  })

  test('with allowDown starts the healthy shards and leaves the damaged one down', async () => {
    const { disk, start, during, app } = await started({ shards: 2 })
    await during(app.store.put(here, 1))
    await during(app.store.put(there, 1))
    await during(app.close())
    damageNewest(disk, '/data/shard-0/wal')

    const again = await during(start({ allowDown: true }))

    expect(again.health().shards.map(({ phase }) => phase)).toEqual(['down', 'open'])
  })

  test('refuses with CORRUPT when less is recovered than the caller knows to be durable', async () => {
    const { start, during, app } = await started()
    const { position } = await during(app.store.put(here, 1))
    await during(app.close())

    const minDurable = [{ shard: 0, lsn: position.lsn + 1_000 }]
    expect(await codeOf(during(start({ wal: { minDurable } })))).toBe('CORRUPT')
    await during(start({ wal: { minDurable: [position] } }))
  })
})

type Disk = Machine['disk']

/** Zeroes a sealed frame in the newest segment that has one: damage that later frames prove. */
const damageNewest = (disk: Disk, dir: string): void => {
  const newest = disk
    .list(dir)
    .filter((name) => name.endsWith('.wal'))
    .sort()
    .at(-1)
  disk.poke(`${dir}/${newest}`, 4_096 + 8, new Uint8Array(16))
}

/** Every file below /data but locks, by path. */
const contentsOf = (disk: Disk, dir = '/data'): Record<string, string> =>
  Object.assign(
    {},
    ...disk.list(dir).map((name) => {
      const path = `${dir}/${name}`
      if (disk.entry(path)?.kind === 'folder') return contentsOf(disk, path)
      return name === 'LOCK' ? {} : { [path]: Buffer.from(disk.contents(path)).toString('base64') }
    }),
  )
