/** `clear` of many keys works in pieces: the order of calls holds, locks refuse it whole, and it can be repeated. */
import { expect, test } from 'vitest'
import { started } from '../../support/worlds/simulated-instance.ts'

/** A store with keys of several namespaces, as many as `count` of each, in LMDB. */
const filled = async (count: number) => {
  const world = await started()
  const { store, during, app } = world
  for (const namespace of ['a:', 'b:', ''])
    for (let from = 0; from < count; from += 1_000)
      await during(
        store.putMany(
          Array.from({ length: Math.min(1_000, count - from) }, (_, n) => [
            `${namespace}k${String(from + n).padStart(5, '0')}`,
            n,
          ]),
        ),
      )
  await during(app.control.flush(0))
  const left = () => store.range({ limit: 100_000, values: false }).entries.map(([key]) => key)
  return { ...world, left }
}

test('a namespace of thousands goes, the others stay, and the answer counts each key once', async () => {
  const { store, during, left } = await filled(3_500)
  expect(await during(store.clear({ namespace: 'a' }))).toMatchObject({ removed: 3_500 })
  expect(left()).toHaveLength(7_000)
  expect(await during(store.clear({ namespace: '_root' }))).toMatchObject({ removed: 3_500 })
  expect(left().every((key) => key.startsWith('b:'))).toBe(true)
  expect(await during(store.clear())).toMatchObject({ removed: 3_500 })
  expect(left()).toEqual([])
})

test('writes before it are removed, and writes behind it stay, whatever they are', async () => {
  const { store, during, left } = await filled(2_500)
  const before = store.put('a:before', 1)
  const cleared = store.clear({ namespace: 'a' })
  const behind = [
    store.put('a:k00001', 'again'),
    store.append('a:k02400', 'x'),
    store.batch().put('a:batch', 1).put('b:batch', 1).commit(),
    store.put('c', 1),
    store.delete('b:k00000'),
  ]
  await during(Promise.all([before, cleared, ...behind]))

  expect(left().filter((key) => key.startsWith('a:'))).toEqual(['a:batch', 'a:k00001', 'a:k02400'])
  expect(store.get('a:k02400')).toBe('x')
  expect(store.has('a:before')).toBe(false)
  expect(store.has('b:k00000')).toBe(false)
})

test('two at once are one after the other, and settled waits for both', async () => {
  const { store, during, left } = await filled(2_500)
  const both = [store.clear({ namespace: 'a' }), store.clear()]
  await during(store.settled())
  expect((await during(Promise.all(both))).map(({ removed }) => removed)).toEqual([2_500, 5_000])
  expect(left()).toEqual([])
})

test('a lock in the namespace refuses it, and nothing is gone', async () => {
  const { store, during, left } = await filled(2_500)
  await during(store.lock(['a:k02499'], { owner: 'me', leaseMs: 60_000 }))
  await expect(during(store.clear({ namespace: 'a' }))).rejects.toMatchObject({ code: 'LOCKED' })
  expect(left()).toHaveLength(7_500)
  expect(await during(store.clear({ namespace: 'a', owner: 'me' }))).toMatchObject({
    removed: 2_500,
  })
})

test('a lock that was called for before refuses it, although it is not applied yet', async () => {
  const { store, during, left } = await filled(2_500)
  const locked = store.lock(['z'], { owner: 'me', leaseMs: 60_000 })
  const error = await during(store.clear().catch((refusal) => refusal))
  await during(locked)
  expect(error).toMatchObject({ code: 'LOCKED' })
  expect(error.details).not.toHaveProperty('removed')
  expect(left()).toHaveLength(7_500)
})

test('long keys go, too, where one unit has no room for 500 of them', async () => {
  const { store, during } = await started({ wal: { maxFileSize: 128 * 1024 } })
  for (let from = 0; from < 600; from += 50)
    await during(
      store.putMany(Array.from({ length: 50 }, (_, n) => [`a:${from + n}:`.padEnd(1_000, 'k'), n])),
    )
  expect(await during(store.clear({ namespace: 'a' }))).toMatchObject({ removed: 600 })
  expect(store.range().entries).toEqual([])
})

test('keys with many fields go in smaller pieces', async () => {
  const { app, store, during } = await started()
  const fields = Array.from({ length: 1_000 }, (_, n): [string, number] => [`f${n}`, n])
  for (let n = 0; n < 25; n++) await during(store.putFields(`a:${n}`, fields))
  await during(store.putMany(Array.from({ length: 500 }, (_, n) => [`a:k${n}`, n])))
  const { lsn } = app.wal(0).position

  expect(await during(store.clear({ namespace: 'a' }))).toMatchObject({ removed: 525 })

  const read = async () => {
    const pieces: number[] = []
    for await (const { commands } of app.wal(0).read({ from: lsn + 1 }))
      for (const each of commands) pieces.push('keys' in each ? each.keys.length : 0)
    return pieces
  }
  expect(await during(read())).toEqual([10, 10, 500, 0])
  expect(store.range().entries).toEqual([])
})

test('a deadline in the middle says how many are gone, and the writes behind it go on', async () => {
  const { store, during, left } = await filled(5_000)
  const cleared = store.clear({ namespace: 'a', deadlineMs: 2 }).catch((error) => error)
  const behind = store.put('a:behind', 1)
  const error = await during(cleared)
  await during(behind)

  const { removed } = error.details
  expect(removed).toBeGreaterThan(0)
  // A piece of unknown outcome may be gone too.
  const rest = left().filter((key) => key.startsWith('a:')).length
  expect(5_001 - rest).toBeGreaterThanOrEqual(removed)
  expect(rest % 500).toBe(1)
  expect(await during(store.clear({ namespace: 'a' }))).toMatchObject({ removed: rest })
})

test('a shard that goes down in the middle rejects it, and a new start has whole pieces of it', async () => {
  const world = await filled(5_000)
  const { store, during, disk } = world
  const cleared = store.clear({ namespace: 'a' }).catch((error) => error)
  disk.inject({ at: 3, operation: 'sync', path: '/data/shard-0/wal/0', fault: { kind: 'error' } })
  expect(await during(cleared)).toMatchObject({ details: { removed: expect.any(Number) } })
  await during(world.app.close().catch(() => undefined))

  const again = await world.start()
  const rest = again.store.range({ prefix: 'a:', limit: 10_000, values: false }).entries
  expect(rest.length % 500).toBe(0)
  expect(rest.length).toBeLessThan(5_000)
  expect(again.store.range({ prefix: 'b:', limit: 10_000, values: false }).entries).toHaveLength(
    5_000,
  )
})
