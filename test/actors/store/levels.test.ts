import { describe, expect, test } from 'vitest'
import { codeOf, machine, started } from '../../support/worlds/simulated-instance.ts'

describe('an instance without fsync', () => {
  test('says so in every answer and in its health, and syncs nothing for a put', async () => {
    const { disk, during, app } = await started({ wal: { enableFsync: false } })
    const before = disk.syncs

    expect(await during(app.store.put('a', 1))).toEqual({
      position: { shard: 0, lsn: expect.any(Number) },
      level: 'written',
    })
    expect(disk.syncs).toBe(before)
    expect(app.health().durable).toBe(false)
  })

  test('still never projects what a power cut could take back', async () => {
    const { disk, projections, start, during, app } = await started({ wal: { enableFsync: false } })
    await during(app.store.put('a', 1))
    await during(app.control.flushAll())
    await during(app.store.put('b', 2))
    disk.crash({ unsynced: 'lost' })
    await during(app.close({ deadlineMs: 0 })).catch(() => undefined)
    disk.crash({ unsynced: 'lost' })

    const again = await start()

    expect(again.store.get('a')).toBe(1)
    expect(again.store.get('b')).toBeUndefined()
    const { position } = await during(again.store.put('c', 3))
    expect(projections.open('/data/shard-0/lmdb').position()?.lsn).toBeLessThan(position.lsn)
  })
})

describe('an instance with a sync interval', () => {
  test('answers at level `written` and syncs once in that time, raised to 10 ms', async () => {
    const { clock, disk, during, app } = await started(
      {
        wal: { syncInterval: 1 },
        lmdb: { intervalMs: 10_000, quietMs: 0, maxLagMs: 20_000 },
      },
      { syncMs: 0 },
    )
    const calls = disk.recordCalls()
    const syncs = () =>
      calls.filter(({ operation, path }) => operation === 'sync' && path.endsWith('.wal')).length
    for (let at = 0; at < 5; at++)
      expect(await during(app.store.put(`k${at}`, at))).toMatchObject({ level: 'written' })
    expect(syncs()).toBe(0)

    await clock.advance(20)
    expect(syncs()).toBe(1)
    // The marker that proves them is the last.
    await clock.advance(1_000)
    expect(syncs()).toBe(2)
  })
})

describe('a group that is given time to fill', () => {
  test('goes when the time is up, with all that came', async () => {
    const { clock, disk, during, app } = await started({ wal: { maxDelayMs: 50 } }, { syncMs: 0 })
    const before = disk.syncs
    const first = app.store.put('a', 1)
    await clock.advance(30)
    const second = app.store.put('b', 2)
    expect(disk.syncs).toBe(before)

    await clock.advance(20)
    await during(Promise.all([first, second]))
    expect(disk.syncs).toBe(before + 1)
  })
})

describe('an instance for sectors of 4,096 bytes', () => {
  test('lets every group begin on one, so that a power cut never tears what was acknowledged', {
    tags: ['slow'],
  }, async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const { disk, start, during } = machine({ seed, sectorBytes: 4096 })
      const options = { wal: { sectorBytes: 4096 } }
      const app = await start(options)
      const calls = disk.recordCalls()
      for (let at = 0; at < 20; at++) await during(app.store.put(`k${at}`, at))
      const late = codeOf(app.store.put('late', 1))
      const writes = calls.filter(
        ({ operation, path }) => operation === 'write' && path.endsWith('.wal'),
      )
      expect(writes.length).toBeGreaterThan(19)
      expect(writes.filter(({ offset = 1 }) => offset % 4096 !== 0)).toEqual([])

      disk.crash()
      await during(app.close({ deadlineMs: 0 })).catch(() => undefined)
      await during(late)
      disk.crash()
      const again = await start(options)
      for (let at = 0; at < 20; at++) expect(again.store.get(`k${at}`), `seed ${seed}`).toBe(at)
    }
  })
})

describe('a full disk', () => {
  test('that has less than it holds refuses with NO_SPACE, and goes on when it has more', async () => {
    const { disk, during, app } = await started()
    const put = (at: number) => during(codeOf(app.store.put(`k${at}`, 'x'.repeat(10_000))))
    expect(await put(0)).toBe('ok')
    disk.capacityBytes = 1
    let [code, at]: [unknown, number] = ['ok', 1]
    while (code === 'ok') code = await put(at++)
    expect([code, app.health().shards[0]?.phase]).toEqual(['NO_SPACE', 'open'])
    disk.capacityBytes = Number.POSITIVE_INFINITY
    expect(await put(at)).toBe('ok')
  })

  test('refuses with NO_SPACE what needs a new segment, goes on reading, and takes writes again when there is space', async () => {
    const { disk, start, during, app } = await started()
    disk.capacityBytes = 700 * 1024
    const value = 'x'.repeat(10_000)
    const acknowledged: string[] = []
    let refusal: unknown = 'ok'
    for (let at = 0; refusal === 'ok'; at++) {
      refusal = await during(codeOf(app.store.put(`k${at}`, value)))
      if (refusal === 'ok') acknowledged.push(`k${at}`)
    }
    expect(refusal).toBe('NO_SPACE')
    expect(acknowledged.length).toBeGreaterThan(20)
    expect(acknowledged.filter((key) => app.store.get(key) !== value)).toEqual([])
    expect(app.health().shards[0]?.phase).toBe('open')

    disk.capacityBytes = Number.POSITIVE_INFINITY
    await during(app.store.put('again', 1))
    await during(app.close())
    const again = await start()
    expect(acknowledged.filter((key) => again.store.get(key) !== value)).toEqual([])
  })

  test('takes a write of the largest size that is promised, and refuses one byte more', async () => {
    const { during, app } = await started({ blobs: { threshold: 0 } })
    const sizeMax = 256 * 1024 - 64 * 1024
    const head = 26

    await during(app.store.put('k', 'x'.repeat(sizeMax - head)))
    expect(await codeOf(app.store.put('k', 'x'.repeat(sizeMax)))).toBe('TOO_LARGE')
    expect((app.store.get('k') as string).length).toBe(sizeMax - head)
  })
})

test('a range pages through the keys of all shards in order, forwards and backwards', async () => {
  const { during, app } = await started({ shards: 3 })
  const keys = Array.from({ length: 250 }, (_, at) => `k${String(at).padStart(3, '0')}`)
  await during(Promise.all(keys.map((key) => app.store.put(key, key))))
  await during(app.control.flushAll())
  await during(
    Promise.all(keys.filter((_, at) => at % 7 === 0).map((key) => app.store.delete(key))),
  )
  const left = keys.filter((_, at) => at % 7 !== 0)

  for (const reverse of [false, true]) {
    const found: string[] = []
    let cursor: string | undefined
    do {
      const page = app.store.range({ limit: 20, reverse, ...(cursor ? { cursor } : {}) })
      found.push(...page.entries.map(([key]) => key))
      expect(page.exhausted).toBe(page.cursor === undefined)
      expect(page.positions.map(({ shard }) => shard)).toEqual([0, 1, 2])
      cursor = page.cursor
    } while (cursor)
    expect(found).toEqual(reverse ? [...left].reverse() : left)
  }

  const entries: string[] = []
  for await (const [key, value] of app.store.entries({ gte: 'k100', lt: 'k200', values: false })) {
    expect(value).toBeUndefined()
    entries.push(key)
  }
  expect(entries).toEqual(left.filter((key) => key >= 'k100' && key < 'k200'))
})
