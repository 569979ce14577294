/** How fresh the state is that a read shows: everything applied, what LMDB has, or at least a position. */
import { expect, test } from 'vitest'
import { codeOf, failNextSync, started } from '../../support/worlds/simulated-instance.ts'

const all = async <T>(walk: AsyncIterable<T>): Promise<T[]> => {
  const found: T[] = []
  for await (const each of walk) found.push(each)
  return found
}

/** A store whose projection is held. */
const held = async () => {
  const world = await started()
  await world.during(world.store.put('a', 1))
  await world.during(world.app.control.flush(0))
  await world.during(world.app.control.suspend(0))
  const { position } = await world.during(world.store.put('a', 2))
  await world.during(world.store.put('b', 1))
  return { ...world, position }
}

test('projected shows what LMDB has, and says how far that is behind', async () => {
  const { store, position } = await held()
  const fresh = store.range()
  const projected = store.range({ freshness: 'projected' })

  expect(fresh.entries).toEqual([
    ['a', 2],
    ['b', 1],
  ])
  expect(fresh.positions).toEqual([
    { shard: 0, lsn: position.lsn + 1, tip: position.lsn + 1, lag: 0 },
  ])
  expect(projected.entries).toEqual([['a', 1]])
  expect(projected.positions[0]?.lsn).toBeLessThan(position.lsn)
  expect(projected.positions[0]).toMatchObject({
    tip: position.lsn + 1,
    lag: position.lsn + 1 - (projected.positions[0]?.lsn ?? 0),
  })
  expect(store.get('a')).toBe(2)
  expect(store.get('a', { freshness: 'projected' })).toBe(1)
  expect(store.get('b', { freshness: 'projected' })).toBe(undefined)
})

test('at least a position: shown once it is applied, BUSY before, and entries waits', async () => {
  const { store, during, position } = await held()
  expect(store.get('a', { freshness: { atLeast: position } })).toBe(2)
  const ahead = { shard: 0, lsn: position.lsn + 3 }
  const freshness = { atLeast: [ahead] }
  for (const read of [() => store.get('a', { freshness }), () => store.range({ freshness })])
    expect(read).toThrow(
      expect.objectContaining({
        code: 'BUSY',
        details: expect.objectContaining({ lsn: ahead.lsn }),
      }),
    )

  const entries = all(store.entries({ freshness }))
  await during(store.put('c', 1))
  await during(store.put('d', 1))
  expect((await during(entries)).map(([key]) => key)).toEqual(['a', 'b', 'c', 'd'])
})

test('a position that never comes ends in TIMEOUT', async () => {
  const { store, during } = await started({ deadlineMs: 50 })
  const freshness = { atLeast: { shard: 0, lsn: 1_000 } }
  const waits = all(store.entries({ freshness })).catch((error) => error)
  expect(await during(waits)).toMatchObject({ code: 'TIMEOUT', details: { lsn: 1_000 } })
})

test('a wait for a position ends with the shard: SHARD_DOWN when it goes down', async () => {
  const { store, during, disk, clock } = await started()
  const freshness = { atLeast: { shard: 0, lsn: 1_000 } }
  const waits = all(store.entries({ freshness })).catch((error) => error)
  await clock.settle()
  failNextSync(disk)
  expect(await during(codeOf(store.put('a', 1)))).toBe('UNKNOWN_OUTCOME')

  expect(await during(waits, 10)).toMatchObject({ code: 'SHARD_DOWN' })
  const late = all(store.entries({ freshness })).catch((error) => error)
  expect(await during(late, 10)).toMatchObject({ code: 'SHARD_DOWN' })
})

test('any other freshness is refused', async () => {
  const { store } = await started()
  for (const freshness of ['fresh', { atLeast: 7 }, {}, null, { atLeast: [{ shard: 0 }] }])
    for (const read of [
      () => store.get('a', { freshness } as never),
      () => store.range({ freshness } as never),
    ])
      expect(read).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
})
