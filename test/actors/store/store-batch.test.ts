import { describe, expect, test } from 'vitest'
import { type Batch, type BatchAnswer, CommandWrites } from '../../../src/actors/index.ts'
import { decodeFrame } from '../../../src/storage/index.ts'
import type { Shard } from '../../../src/supervisors/index.ts'
import { codeOf, machine, started } from '../../support/worlds/simulated-instance.ts'

describe('a batch', () => {
  test('takes effect as one unit of one frame, each command seeing those before it, and answers each', async () => {
    const { during, app } = await started()
    await during(app.store.put('old', 1))

    const { position, answers } = await during(
      app.store
        .batch()
        .put('k', 'a')
        .append('k', 'b')
        .set('k', 'c', { nx: true })
        .set('n', 1, { get: true })
        .getSet('n', 2)
        .compareAndSet('n', 2, 3)
        .setRange('k', 1, 'x')
        .delete('old')
        .putField('h', 'f', 1)
        .putFields('h', [['f', 2]])
        .deleteField('h', 'f')
        .expire('k', 60_000)
        .persist('none')
        .putMany([['m', 1]])
        .deleteMany(['m', 'none'])
        .lock(['l'], { owner: 'me', leaseMs: 1_000 })
        .extend(['l'], { owner: 'me', leaseMs: 1_000 })
        .unlock(['l'], { owner: 'me' })
        .commit(),
    )

    expect(answers).toEqual([
      {},
      { length: 2 },
      { written: false },
      { written: true, previous: undefined },
      { previous: 1 },
      { swapped: true },
      { length: 2 },
      { existed: true },
      { created: true },
      { created: [false] },
      { existed: true },
      { existed: true },
      { existed: false },
      {},
      { deleted: 1 },
      { until: expect.any(Number) },
      { until: expect.any(Number) },
      { released: 1 },
    ])
    expect(app.store.range().entries).toEqual([
      ['k', 'ax'],
      ['n', 3],
    ])
    const shard = app.shards[0]
    const read = await during(
      shard?.files.log().run('read', { from: position.lsn, maxBytes: 65_536 }) ?? Promise.reject(),
    )
    const [frame] = read.frames
    const bytes = read.bytes.slice(frame?.offset, (frame?.offset ?? 0) + (frame?.length ?? 0))
    expect(decodeFrame(bytes).units.map(({ kind }) => kind)).toEqual(['batch'])
  })

  test.each([
    ['WRONG_TYPE', 1, (batch: Batch) => batch.put('k', 2).append('n', 'x')],
    ['LOCKED', 0, (batch: Batch) => batch.put('locked', 2).put('k', 2)],
    [
      'CONFLICT',
      1,
      (batch: Batch) => batch.put('k', 2).extend(['free'], { owner: 'me', leaseMs: 5 }),
    ],
  ])(
    'that is refused with %s changes nothing, and says at which command',
    async (code, at, fill) => {
      const { start, during } = machine()
      const { store } = await start()
      await during(Promise.all([store.put('k', 1), store.put('n', { a: 1 })]))
      await during(store.lock(['locked'], { owner: 'you', leaseMs: 60_000 }))

      const error = await during(
        fill(store.batch())
          .commit()
          .catch((failure) => failure),
      )
      expect(error).toMatchObject({ code, details: { command: at } })
      expect(store.range().entries).toEqual([
        ['k', 1],
        ['n', { a: 1 }],
      ])
    },
  )

  test('whose condition does not hold takes effect but for that', async () => {
    const { start, during } = machine()
    const { store } = await start()

    const { answers } = await during(
      store.batch().set('k', 1, { xx: true }).compareAndSet('k', 7, 8).put('n', 1).commit(),
    )
    expect(answers).toEqual([{ written: false }, { swapped: false, current: undefined }, {}])
    expect(store.getMany(['k', 'n'])).toEqual([undefined, 1])
  })

  test('has its keys in one shard, and a tag sees to that', async () => {
    const { disk, start, during } = machine()
    const { store } = await start({ shards: 4 })
    const before = disk.writes

    const error = await during(
      store
        .batch()
        .put('a', 1)
        .put('b', 1)
        .put('c', 1)
        .commit()
        .catch((failure) => failure),
    )
    expect(error).toMatchObject({
      code: 'CROSS_SHARD',
      details: { keys: ['a', expect.any(String)] },
    })
    expect(disk.writes).toBe(before)
    expect(await codeOf(store.lock(['a', 'b', 'c'], { owner: 'me', leaseMs: 5 }))).toBe(
      'CROSS_SHARD',
    )

    await during(store.batch().put('{o}a', 1).put('{o}b', 1).put('{o}c', 1).commit())
    expect(store.getMany(['{o}a', '{o}b', '{o}c'])).toEqual([1, 1, 1])
  })

  test('may be built in a loop', async () => {
    const { start, during } = machine()
    const { store } = await start()

    let batch: Batch<readonly BatchAnswer[]> = store.batch()
    for (let at = 0; at < 1_000; at++) batch = batch.put(`k${at}`, at)
    expect(batch.size).toBe(1_000)
    expect((await during(batch.commit())).answers).toHaveLength(1_000)
    expect(store.get('k999')).toBe(999)
  })

  test('refuses a wrong argument where it is given, and goes on without it', async () => {
    const { start, during } = machine()
    const { store } = await start()
    const batch = store.batch().put('k', 1)

    for (const [wrong, path] of [
      [() => batch.put('', 1), 'key'],
      [() => batch.put('k', undefined), []],
      [() => batch.put('k', 1, { ack: 'applied' } as never), 'ack'],
      [() => batch.putMany([]), 'entries'],
      [() => batch.deleteMany([]), 'keys'],
    ] as const)
      expect(wrong).toThrow(
        expect.objectContaining({
          code: 'INVALID_ARGUMENT',
          details: expect.objectContaining({ path }),
        }),
      )
    expect((await during(batch.commit())).answers).toHaveLength(1)
  })

  test('is committed once, and has at least one command', async () => {
    const { start, during } = machine()
    const { store } = await start()

    expect(await codeOf(store.batch().commit())).toBe('INVALID_ARGUMENT')
    const batch = store.batch().put('k', 1)
    await during(batch.commit())
    expect(await codeOf(batch.commit())).toBe('INVALID_ARGUMENT')
    expect(() => batch.put('k', 2)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    expect(store.get('k')).toBe(1)
  })

  test('whose options are refused is not committed, and can be committed with others', async () => {
    const { store, during } = await started()
    const batch = store.batch().put('k', 1)

    for (const wrong of [null, { deadlineMs: 0 }, { deadline: 5 }])
      expect(await codeOf(batch.commit(wrong as never))).toBe('INVALID_ARGUMENT')
    const later = batch.put('l', 2)

    expect((await during(later.commit())).answers).toHaveLength(2)
  })

  test('of more than 10,000 keys is TOO_LARGE, as is every write, and nothing of it is written', async () => {
    const { app, store, during } = await started()
    const keysOf = (count: number) => Array.from({ length: count }, (_, at) => `k${at}`)
    const entriesOf = (count: number) => keysOf(count).map((key) => [key, 1] as const)
    const batchOf = (count: number) => {
      const batch: Batch<readonly BatchAnswer[]> = store.batch()
      for (const [key, value] of entriesOf(count - 5)) batch.put(key, value)
      return batch.deleteMany(keysOf(5))
    }
    const [shard] = app.shards
    const units = keysOf(10_001).map((key) => ({ kind: 'delete', key }) as const)
    const refused = [
      store.putMany(entriesOf(10_001)),
      store.deleteMany(keysOf(10_001)),
      store.putFields('h', entriesOf(10_001)),
      store.lock(keysOf(10_001), { owner: 'me', leaseMs: 1_000 }),
      batchOf(10_001).commit(),
      CommandWrites.writeBatch(app.system, shard as Shard, units),
    ]
    expect(await during(Promise.all(refused.map(codeOf)))).toEqual(refused.map(() => 'TOO_LARGE'))
    expect(store.range({ limit: 1 }).entries).toEqual([])

    expect((await during(batchOf(10_000).commit())).answers).toHaveLength(9_996)
    expect(await during(store.deleteMany(keysOf(10_000)))).toMatchObject({ deleted: 9_990 })
  })

  test('that no segment can hold is TOO_LARGE, and nothing of it is written', async () => {
    const { start, during } = machine()
    const { store } = await start()

    const batch = store.batch().put('a', 'x'.repeat(100_000)).put('b', 'x'.repeat(100_000))
    expect(await during(codeOf(batch.commit()))).toBe('TOO_LARGE')
    expect(store.range().entries).toEqual([])
  })
})
