import { describe, expect, test } from 'vitest'
import { shardOf } from '../../../src/storage/index.ts'
import { codeOf, failNextSync, machine, started } from '../../support/worlds/simulated-instance.ts'

const letters = Array.from('abcdefghij')

describe('putMany', () => {
  test('is one unit a shard: one frame each, and each entry knows where it stands', async () => {
    const { disk, start, during } = machine()
    const { store } = await start({ shards: 2 })
    const before = disk.syncs

    const entries = letters.map((key, at) => [key, at] as const)
    const { positions } = await during(store.putMany(entries))

    expect(positions).toEqual(letters.map((key) => ({ shard: shardOf(key, 2), lsn: 1 })))
    expect(disk.syncs).toBe(before + 2)
    expect(store.getMany(letters)).toEqual(letters.map((_, at) => at))
  })

  test('takes any list of pairs; of a key that comes twice the last value stands', async () => {
    const { start, during } = machine()
    const { store } = await start()

    await during(store.putMany(new Map([['m', 1]])))
    await during(store.putMany(Object.entries({ o: 1 })))
    await during(
      store.putMany([
        ['k', 1],
        ['k', 2],
      ]),
    )
    expect(store.getMany(['m', 'o', 'k'])).toEqual([1, 1, 2])
    expect(await store.putMany([])).toEqual({ positions: [] })
    expect(await store.deleteMany([])).toEqual({ positions: [], deleted: 0 })
  })

  test('gives every entry the expiry', async () => {
    const { clock, start, during } = machine()
    const { store } = await start({ shards: 2 })

    await during(
      store.putMany(
        letters.map((key) => [key, 1]),
        { ttlMs: 100 },
      ),
    )
    await clock.advance(200)
    expect(store.range().entries).toEqual([])
  })

  test('that is refused at one shard changes that one not at all, the others whole, and says so: PARTIAL', async () => {
    const { start, during } = machine()
    const { store } = await start({ shards: 2 })
    await during(store.lock(['a'], { owner: 'you', leaseMs: 60_000 }))
    const locked = shardOf('a', 2)

    const error = await during(
      store.putMany(letters.map((key) => [key, 1])).catch((failure) => failure),
    )

    expect(error).toMatchObject({ code: 'PARTIAL' })
    expect(error.details.outcomes).toEqual([
      { shard: locked, ok: false, error: expect.objectContaining({ code: 'LOCKED' }) },
      { shard: 1 - locked, ok: true, position: { shard: 1 - locked, lsn: 1 } },
    ])
    expect(store.range().entries.map(([key]) => key)).toEqual(
      letters.filter((key) => shardOf(key, 2) !== locked),
    )
  })

  test('that concerns one shard fails with its own code', async () => {
    const { start, during } = machine()
    const { store } = await start({ shards: 2 })
    await during(store.lock(['{t}a'], { owner: 'you', leaseMs: 60_000 }))

    const entries = [
      ['{t}b', 1],
      ['{t}a', 1],
    ] as const
    expect(await during(codeOf(store.putMany(entries)))).toBe('LOCKED')
    expect(await during(codeOf(store.deleteMany(['{t}b', '{t}a'])))).toBe('LOCKED')
    expect(store.has('{t}b')).toBe(false)
  })

  test('at a shard that goes down tells which part is in doubt, and which stands', async () => {
    const { disk, during, app } = await started({ shards: 2 }, { syncMs: 2 })
    failNextSync(disk, 0)

    const error = await during(
      app.store.putMany(letters.map((key) => [key, 1])).catch((failure) => failure),
    )

    expect(error).toMatchObject({ code: 'PARTIAL' })
    const [first, second] = [...error.details.outcomes].sort((a, b) => a.shard - b.shard)
    expect(first).toMatchObject({ shard: 0, ok: false, error: { code: 'UNKNOWN_OUTCOME' } })
    expect(second).toMatchObject({ shard: 1, ok: true })
    expect(await during(codeOf(app.store.clear()))).toBe('PARTIAL')
  })
})

describe('deleteMany', () => {
  test('says how many of the keys had a value, over all shards', async () => {
    const { start, during } = machine()
    const { store } = await start({ shards: 2 })
    await during(store.putMany(letters.map((key) => [key, 1])))

    const { deleted, positions } = await during(store.deleteMany(['a', 'b', 'c', 'none', 'a']))

    expect(deleted).toBe(3)
    expect(new Set(positions.map(({ shard }) => shard)).size).toBe(positions.length)
    expect(store.range().entries).toHaveLength(letters.length - 3)
  })
})

describe('clear', () => {
  test('removes a namespace, the keys without one, or every key, of every shard', async () => {
    const { start, during } = machine()
    const { store } = await start({ shards: 2 })
    const names = letters.flatMap((key) => [key, `n:${key}`, `nn:${key}`])
    await during(store.putMany(names.map((key) => [key, 1])))
    await during(store.putField('n:compound', 'f', 1))

    expect(await during(store.clear({ namespace: 'n' }))).toMatchObject({
      removed: letters.length + 1,
    })
    expect(store.range({ prefix: 'n:' }).entries).toEqual([])
    expect(store.fields('n:compound').size).toBe(0)
    expect(await during(store.clear({ namespace: '_root' }))).toMatchObject({
      removed: letters.length,
    })
    expect(store.range().entries.map(([key]) => key)).toEqual(letters.map((key) => `nn:${key}`))
    const { positions } = await during(store.clear())
    expect(positions.map(({ shard }) => shard)).toEqual([0, 1])
    expect(store.range().entries).toEqual([])
  })

  test('keeps its place among the writes around it', async () => {
    const { start, during } = machine({ syncMs: 5 })
    const { store } = await start()

    await during(Promise.all([store.put('a', 1), store.clear(), store.put('b', 2)]))

    expect(store.range().entries).toEqual([['b', 2]])
  })

  test('is refused by the lock of somebody else, and leaves locks alone', async () => {
    const { start, during } = machine()
    const { store } = await start()
    await during(store.put('k', 1))
    await during(store.lock(['k'], { owner: 'me', leaseMs: 60_000 }))

    expect(await during(codeOf(store.clear()))).toBe('LOCKED')
    await during(store.clear({ owner: 'me' }))
    expect(store.has('k')).toBe(false)
    expect(await during(codeOf(store.put('k', 1)))).toBe('LOCKED')
  })
})

describe('a log that failed', () => {
  test('is told to a caller who wrote over several shards, with the outcome of each', async () => {
    const { disk, during, app } = await started({ shards: 2 }, { syncMs: 5 })
    failNextSync(disk, 1)

    const many = app.store.putMany(letters.map((key) => [key, 1])).catch((failure) => failure)

    const error = await during(many)
    expect(error).toMatchObject({ code: 'PARTIAL' })
    expect(error.details.outcomes.map(({ ok }: { ok: boolean }) => ok).sort()).toEqual([
      false,
      true,
    ])
  })
})
