/** A Level database over the store: what abstract-level's own suite does not ask. */
import fc from 'fast-check'
import { type App, start } from 'keelson'
import { KeelsonLevel } from 'keelson/level'
import { expect, onTestFinished, test } from 'vitest'
import { tempFolder } from '../../support/temp-folder.ts'

const begun = async (dir = tempFolder(), shards = 1): Promise<App> => {
  const app = await start({ dir, shards })
  onTestFinished(() => void app.close())
  return app
}

test('keys of any bytes keep their order and come back as they were', async () => {
  const { store } = await begun()
  let made = 0
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(fc.uint8Array({ maxLength: 6 }), {
        maxLength: 12,
        selector: (bytes) => bytes.join(),
      }),
      async (keys) => {
        made += 1
        const db = new KeelsonLevel<Buffer, string>(store, `bytes-${made}`, {
          keyEncoding: 'buffer',
        })
        const all = keys.map((key) => Buffer.from(key))
        await db.batch(
          all.map((key) => ({ type: 'put' as const, key, value: key.toString('hex') })),
        )
        const sorted = all.toSorted((a, b) => a.compare(b))
        expect(await db.keys().all()).toEqual(sorted)
        expect(await db.values({ reverse: true }).all()).toEqual(
          sorted.toReversed().map((key) => key.toString('hex')),
        )
      },
    ),
    {
      numRuns: 15,
      seed: 7,
      examples: [[[0, 1, 2, 0x7f, 0x80, 0xff].map((byte) => Uint8Array.of(byte))]],
    },
  )
})

test('text in ASCII keeps its words in the store, and values keep their kind', async () => {
  const { store } = await begun()
  const db = new KeelsonLevel(store, 'people')
  await db.put('anna', 'Berlin')
  await db.put('bytes', Buffer.of(1, 2), { valueEncoding: 'buffer' })
  await db.put('record', { city: 'Rome' }, { valueEncoding: 'json' })

  expect(store.get('{people}:anna')).toBe('Berlin')
  expect(store.get('{people}:bytes')).toEqual(Buffer.of(1, 2))
  expect(store.get('{people}:record')).toBe('{"city":"Rome"}')
})

test('a batch is atomic on several shards, and survives a new start', async () => {
  const dir = tempFolder()
  const first = await start({ dir, shards: 3 })
  const db = new KeelsonLevel(first.store, 'ledger')
  const keys = Array.from({ length: 50 }, (_, index) => `account ${index}`)
  await db.batch(keys.map((key) => ({ type: 'put' as const, key, value: '1' })))
  await expect(
    db.batch([
      { type: 'put', key: 'account 0', value: '2' },
      { type: 'put', key: 'x'.repeat(2_000), value: '2' },
    ]),
  ).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  await first.close()

  const again = new KeelsonLevel((await begun(dir, 3)).store, 'ledger')
  expect(await again.keys().all()).toHaveLength(50)
  expect(await again.get('account 0')).toBe('1')
})

test('a value of megabytes is read by get and by iterators, and not by getSync', async () => {
  const { store } = await begun()
  const db = new KeelsonLevel(store, 'files')
  const large = 'x'.repeat(3 * 1024 * 1024)
  await db.batch([
    { type: 'put', key: 'a', value: 'small' },
    { type: 'put', key: 'b', value: large },
    { type: 'put', key: 'c', value: 'small' },
  ])

  expect(await db.get('b')).toBe(large)
  expect(await db.values().all()).toEqual(['small', large, 'small'])
  expect(await db.values({ reverse: true, limit: 2 }).all()).toEqual(['small', large])
  expect(() => db.getSync('b')).toThrow(expect.objectContaining({ code: 'TOO_LARGE' }))
})

test('clear removes its range only, of its database only', async () => {
  const { store } = await begun()
  const db = new KeelsonLevel(store, 'one')
  const other = new KeelsonLevel(store, 'other')
  const pairs = Array.from({ length: 2_500 }, (_, index) => String(index).padStart(4, '0'))
  for (const each of [db, other])
    await each.batch(pairs.map((key) => ({ type: 'put' as const, key, value: key })))
  await db.clear({ gte: '0100', lt: '2400' })

  expect(await db.keys().all()).toEqual([...pairs.slice(0, 100), ...pairs.slice(2_400)])
  expect(await other.keys().all()).toEqual(pairs)
})

test('names that cannot be a hash tag, and foreign values, are refused', async () => {
  const { store } = await begun()
  for (const name of ['', 'a}b', 'x'.repeat(65), 7 as never])
    expect(() => new KeelsonLevel(store, name)).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    )
  await store.put('{mixed}:set', { structured: true })
  const db = new KeelsonLevel(store, 'mixed')
  await expect(db.get('set')).rejects.toMatchObject({ code: 'WRONG_TYPE' })
})

test('after the instance has ended its calls reject with CLOSED', async () => {
  const app = await start({ dir: tempFolder() })
  const db = new KeelsonLevel(app.store, 'late')
  await db.open()
  await app.close()
  await expect(db.put('a', '1')).rejects.toMatchObject({ code: 'CLOSED' })
  await expect(db.keys().all()).rejects.toMatchObject({ code: 'CLOSED' })
  await db.close()
})
