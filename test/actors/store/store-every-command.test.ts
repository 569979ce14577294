/** What holds for every command alike: recovery, levels of acknowledgement, and deadlines. */
import { describe, expect, test } from 'vitest'
import { codeOf, machine, started } from '../../support/worlds/simulated-instance.ts'

describe('every command', () => {
  test('survives a restart with its projection lost, equal to what it was', async () => {
    const { store, app, start, during, projections } = await started()
    await during(
      Promise.all([
        store.put('text', 'a'),
        store.append('text', 'b'),
        store.setRange('bytes', 2, Buffer.of(1)),
        store.putFields('h', [
          ['f', new Map([[1, 2]])],
          ['g', null],
        ]),
        store.deleteField('h', 'g'),
        store.putMany([
          ['x', 1],
          ['y', 2],
        ]),
        store.deleteMany(['y', 'none']),
        store.getSet('x', { a: 1 }),
      ]),
    )
    const before = store.range().entries
    await during(app.close())
    projections.loseCommits('/data/shard-0/lmdb', 1_000)

    const again = await start()
    expect(again.store.range().entries).toEqual(before)
    expect(again.store.get('text')).toBe('ab')
    expect([...again.store.fields('h')]).toEqual([['f', new Map([[1, 2]])]])
  })

  test('says that it is written only, where the instance is not durable', async () => {
    const { store, during } = await started({ wal: { enableFsync: false } })

    for (const write of [
      store.set('k', 1),
      store.append('t', 'x'),
      store.putMany([['a', 1]]),
      store.clear({ namespace: 'n' }),
      store.batch().put('k', 1).commit(),
    ])
      expect(await during<object>(write)).toMatchObject({ level: 'written' })
  })

  test('waits for the projection when asked, also a batch and a putMany', async () => {
    const { app, store, during } = await started({ shards: 2 })

    const { position } = await during(store.append('k', 'x', { ack: 'projected' }))
    expect(app.shards[position.shard]?.projectedLsn).toBeGreaterThanOrEqual(position.lsn)
    const entries = ['a', 'b', 'c', 'd'].map((key) => [key, 1] as const)
    const { positions } = await during(store.putMany(entries, { ack: 'projected' }))
    for (const { shard, lsn } of positions)
      expect(app.shards[shard]?.projectedLsn).toBeGreaterThanOrEqual(lsn)
  })

  test('is withdrawn at its deadline as long as it is queued', async () => {
    const world = machine({ syncMs: 100 })
    const { store } = await world.start()
    const slow = store.put('slow', 1)
    await world.clock.settle()

    const late = [
      store.append('k', 'x', { deadlineMs: 20 }),
      store.batch().put('k', 1).commit({ deadlineMs: 20 }),
      store.putMany([['k', 1]], { deadlineMs: 20 }),
      store.lock(['k'], { owner: 'me', leaseMs: 5, deadlineMs: 20 }),
    ].map(codeOf)
    expect(await world.during(Promise.all(late))).toEqual(late.map(() => 'NOT_SUBMITTED'))
    await world.during(slow)
    expect(store.has('k')).toBe(false)
  })
})
