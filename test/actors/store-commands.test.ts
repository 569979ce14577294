import { describe, expect, test } from 'vitest'
import type { App, StartOptions } from '../../src/supervisors/index.ts'
import { codeOf, type Machine, machine } from '../support/simulated-instance.ts'

/** A running instance, and how to wait for its writes. */
const started = async (
  options?: Partial<StartOptions>,
): Promise<Machine & { app: App; store: App['store'] }> => {
  const world = machine()
  const app = await world.start(options)
  return { ...world, app, store: app.store }
}

describe('set', () => {
  test('writes under its condition only, and says whether it did', async () => {
    const { store, during } = await started()

    expect(await during(store.set('k', 1, { xx: true }))).toMatchObject({ written: false })
    expect(await during(store.set('k', 2, { nx: true }))).toMatchObject({ written: true })
    expect(await during(store.set('k', 3, { nx: true }))).toMatchObject({ written: false })
    expect(await during(store.set('k', 4, { xx: true }))).toMatchObject({ written: true })
    expect(store.get('k')).toBe(4)
  })

  test('answers what was there when asked, written or not, and nothing of it otherwise', async () => {
    const { store, during } = await started()

    const first = await during(store.set('k', 'one', { get: true }))
    expect(first).toEqual({ position: first.position, written: true, previous: undefined })
    expect(await during(store.set('k', 'two', { nx: true, get: true }))).toMatchObject({
      written: false,
      previous: 'one',
    })
    expect(await during(store.set('k', 'three'))).not.toHaveProperty('previous')
  })

  test('takes the expiry away, keeps it, or gives another', async () => {
    const { store, during } = await started()
    await during(store.put('k', 1, { ttlMs: 60_000 }))

    await during(store.set('k', 2, { keepTtl: true }))
    expect(store.ttl('k')).toBeLessThanOrEqual(60_000)
    await during(store.set('k', 3))
    expect(store.ttl('k')).toBe(Number.POSITIVE_INFINITY)
    await during(store.set('k', 4, { ttlMs: 10 }))
    expect(store.ttl('k')).toBeLessThanOrEqual(10)
  })
})

describe('getSet', () => {
  test('answers what was there, and clears the expiry', async () => {
    const { store, during } = await started()
    await during(store.put('k', { a: 1 }, { ttlMs: 60_000 }))

    expect(await during(store.getSet('k', 2))).toMatchObject({ previous: { a: 1 } })
    expect(store.ttl('k')).toBe(Number.POSITIVE_INFINITY)
    expect((await during(store.getSet('other', 2))).previous).toBeUndefined()
  })
})

describe('append and setRange', () => {
  test('work on bytes, count in bytes, and keep the expiry', async () => {
    const { store, during } = await started()
    await during(store.put('k', 'né', { ttlMs: 60_000 }))

    expect(await during(store.append('k', 'e'))).toMatchObject({ length: 4 })
    expect(store.get('k')).toBe('née')
    expect(store.ttl('k')).toBeLessThanOrEqual(60_000)
    expect(await during(store.setRange('k', 3, 'l!'))).toMatchObject({ length: 5 })
    expect(store.get('k')).toBe('nél!')
  })

  test('make bytes of text where either side is bytes, or a character is cut', async () => {
    const { store, during } = await started()

    await during(store.put('k', 'é'))
    await during(store.append('k', Buffer.of(0x21)))
    expect(store.get('k')).toEqual(Buffer.from('é!'))
    await during(store.put('k', 'é'))
    await during(store.setRange('k', 1, 'x'))
    expect(store.get('k')).toEqual(Buffer.of(0xc3, 0x78))
  })

  test('begin empty where nothing is, and fill a gap with zero bytes', async () => {
    const { store, during } = await started()

    expect(await during(store.append('a', 'x'))).toMatchObject({ length: 1 })
    expect(await during(store.setRange('b', 3, Buffer.of(7)))).toMatchObject({ length: 4 })
    expect(store.get('b')).toEqual(Buffer.of(0, 0, 0, 7))
  })

  test.each([
    ['a structured value', { a: 1 }],
    ['a number', 7],
  ])('refuse %s with WRONG_TYPE, and leave it', async (_, value) => {
    const { store, during } = await started()
    await during(store.put('k', value))

    expect(await during(codeOf(store.append('k', 'x')))).toBe('WRONG_TYPE')
    expect(await during(codeOf(store.setRange('k', 0, 'x')))).toBe('WRONG_TYPE')
    expect(store.get('k')).toEqual(value)
  })
})

describe('getRange', () => {
  test('is half open, clamped, and in bytes', async () => {
    const { store, during } = await started()
    await during(store.put('k', 'né!'))

    expect(store.getRange('k', 1, 3)).toEqual(Buffer.from('é'))
    expect(store.getRange('k', 3, Number.POSITIVE_INFINITY)).toEqual(Buffer.from('!'))
    expect(store.getRange('k', 4, 9)).toHaveLength(0)
    expect(store.getRange('k', 3, 1)).toHaveLength(0)
    expect(store.getRange('none', 0, 9)).toHaveLength(0)
  })

  test('shares no memory with what is stored', async () => {
    const { store, during } = await started()
    await during(store.put('k', 'abc'))

    store.getRange('k', 0, 3).fill(0)

    expect(store.get('k')).toBe('abc')
  })

  test('refuses a structured value, a compound key, and what is no range', async () => {
    const { store, during } = await started()
    await during(store.put('k', [1]))
    await during(store.putField('h', 'f', 1))

    for (const [key, to] of [
      ['k', 1],
      ['h', 1],
      ['h', 0],
    ] as const)
      expect(() => store.getRange(key, 0, to)).toThrow(
        expect.objectContaining({
          code: 'WRONG_TYPE',
          details: expect.objectContaining({ key }),
        }),
      )
    expect(() => store.getRange('k', -1, 1)).toThrow(
      expect.objectContaining({
        code: 'INVALID_ARGUMENT',
        details: expect.objectContaining({ path: 'from' }),
      }),
    )
  })
})

describe('compareAndSet', () => {
  test('swaps what is deeply equal, whatever the order of names, and answers what is there otherwise', async () => {
    const { store, during } = await started()
    await during(store.put('k', { a: [1], b: new Map([['x', 1]]) }, { ttlMs: 60_000 }))

    const expected = { b: new Map([['x', 1]]), a: [1] }
    expect(await during(store.compareAndSet('k', expected, 'next'))).toMatchObject({
      swapped: true,
    })
    expect(store.ttl('k')).toBeLessThanOrEqual(60_000)
    expect(await during(store.compareAndSet('k', expected, 'other'))).toMatchObject({
      swapped: false,
      current: 'next',
    })
  })

  test('tells kinds apart: bytes are no text', async () => {
    const { store, during } = await started()
    await during(store.put('k', 'x'))

    expect(await during(store.compareAndSet('k', Buffer.from('x'), 1))).toMatchObject({
      swapped: false,
    })
  })

  test('with undefined expects nothing there', async () => {
    const { store, during } = await started()

    expect(await during(store.compareAndSet('k', undefined, 1, { ttlMs: 10 }))).toMatchObject({
      swapped: true,
    })
    const second = await during(store.compareAndSet('k', undefined, 2))
    expect(second).toEqual({ position: second.position, swapped: false, current: 1 })
    expect(store.ttl('k')).toBeLessThanOrEqual(10)
  })

  test('lets one of many win', async () => {
    const { store, during } = await started()
    await during(store.put('k', 0))

    const all = Array.from({ length: 50 }, (_, at) => store.compareAndSet('k', 0, at + 1))
    const winners = (await during(Promise.all(all))).filter(({ swapped }) => swapped)

    expect(winners).toHaveLength(1)
  })
})

describe('a compound key', () => {
  test('has fields, says which are new, and goes with its last one', async () => {
    const { store, during } = await started()

    expect(await during(store.putField('h', 'b', 1))).toMatchObject({ created: true })
    expect(
      await during(
        store.putFields('h', [
          ['b', 2],
          ['a', 'x'],
        ]),
      ),
    ).toMatchObject({ created: [false, true] })
    expect([...store.fields('h')]).toEqual([
      ['a', 'x'],
      ['b', 2],
    ])
    expect(store.getField('h', 'a')).toBe('x')
    expect(store.getField('h', 'c')).toBeUndefined()

    expect(await during(store.deleteField('h', 'a'))).toMatchObject({ existed: true })
    expect(await during(store.deleteField('h', 'a'))).toMatchObject({ existed: false })
    expect(store.has('h')).toBe(true)
    await during(store.deleteField('h', 'b'))
    expect(store.has('h')).toBe(false)
    expect(store.fields('h').size).toBe(0)
  })

  test('has no value: plain commands and reads refuse it, but put, set and delete do their work', async () => {
    const { store, during } = await started()
    const compound = () => during(store.putField('h', 'f', 1))
    await compound()

    const refused = [
      store.append('h', 'x'),
      store.setRange('h', 0, 'x'),
      store.getSet('h', 1),
      store.compareAndSet('h', undefined, 1),
    ].map(codeOf)
    expect(await during(Promise.all(refused))).toEqual(refused.map(() => 'WRONG_TYPE'))
    const wrongAtH = expect.objectContaining({
      code: 'WRONG_TYPE',
      details: expect.objectContaining({ key: 'h' }),
    })
    expect(() => store.get('h')).toThrow(wrongAtH)
    expect(() => store.getMany(['a', 'h'])).toThrow(wrongAtH)
    expect(store.fields('h').size).toBe(1)

    await during(store.put('h', 1))
    expect(store.get('h')).toBe(1)
    expect(() => store.fields('h')).toThrow(expect.objectContaining({ code: 'WRONG_TYPE' }))
    expect(await during(codeOf(store.putField('h', 'f', 1)))).toBe('WRONG_TYPE')
    await during(store.delete('h'))
    await compound()
    expect(await during(store.set('h', 2, { nx: true }))).toMatchObject({ written: false })
    expect(await during(store.delete('h'))).toMatchObject({ existed: true })
    await compound()
    expect([...store.fields('h').keys()]).toEqual(['f'])
  })

  test('is one entry of a range, with its size, and cursors pass it by', async () => {
    const { store, during } = await started()
    const many = Array.from({ length: 300 }, (_, at) => [`f${at}`, at] as const)
    await during(Promise.all([store.put('a', 1), store.putFields('h', many), store.put('z', 2)]))

    const first = store.range({ limit: 1 })
    const second = store.range({ limit: 1, cursor: first.cursor ?? '' })
    const third = store.range({ limit: 1, cursor: second.cursor ?? '' })
    expect([...first.entries, ...third.entries]).toEqual([
      ['a', 1],
      ['z', 2],
    ])
    expect(second.entries).toEqual([['h', { size: 300 }]])
    expect(third.exhausted).toBe(true)
    const back = store.range({ reverse: true, values: false }).entries
    expect(back.map(([key]) => key)).toEqual(['z', 'h', 'a'])
    const all: string[] = []
    await during(
      (async () => {
        for await (const [key] of store.entries({ limit: 1, reverse: true })) all.push(key)
      })(),
    )
    expect(all).toEqual(['z', 'h', 'a'])
  })

  test('ends as a whole, and the next one under its key begins empty', async () => {
    const { clock, store, during } = await started()
    await during(store.putFields('h', [['a', 1]]))
    expect(await during(store.expire('h', 100))).toMatchObject({ existed: true })
    await during(store.putField('h', 'b', 2))

    await clock.advance(200)
    expect(store.fields('h').size).toBe(0)
    expect(store.getField('h', 'a')).toBeUndefined()
    expect(await during(store.deleteField('h', 'a'))).toMatchObject({ existed: false })
    await during(store.putField('h', 'c', 3))
    expect([...store.fields('h')]).toEqual([['c', 3]])
    expect(store.ttl('h')).toBe(Number.POSITIVE_INFINITY)
  })
})

describe('expire and persist', () => {
  test('give a value an end and take it away, and say whether there was one', async () => {
    const { clock, store, during } = await started()
    await during(store.put('k', 1))

    expect(await during(store.expire('k', 100))).toMatchObject({ existed: true })
    expect(await during(store.persist('k'))).toMatchObject({ existed: true })
    await clock.advance(200)
    expect(store.get('k')).toBe(1)

    await during(store.expire('k', 100))
    await clock.advance(200)
    expect(await during(store.persist('k'))).toMatchObject({ existed: false })
    expect(await during(store.expire('k', 100))).toMatchObject({ existed: false })
  })
})

describe('a lock', () => {
  test('keeps everybody but its owner from writing, and nobody from reading', async () => {
    const { clock, store, during } = await started()
    await during(store.put('k', 1))
    const { until } = await during(store.lock(['k', 'free'], { owner: 'me', leaseMs: 500 }))
    expect(until).toBeGreaterThan(clock.now())

    const refused = await during(store.put('k', 2).catch((error) => error))
    expect(refused).toMatchObject({
      code: 'LOCKED',
      details: { key: 'k', owner: 'me', until },
    })
    expect(await during(codeOf(store.delete('free')))).toBe('LOCKED')
    expect(await during(codeOf(store.put('k', 2, { owner: 'you' })))).toBe('LOCKED')
    expect(store.get('k')).toBe(1)

    await during(store.lockedPut('k', 3, { owner: 'me' }))
    await during(store.append('free', 'x', { owner: 'me' }))
    expect(store.getMany(['k', 'free'])).toEqual([3, 'x'])
  })

  test('is of all keys or of none', async () => {
    const { store, during } = await started()
    await during(store.lock(['b'], { owner: 'you', leaseMs: 500 }))

    expect(await during(codeOf(store.lock(['a', 'b'], { owner: 'me', leaseMs: 500 })))).toBe(
      'LOCKED',
    )
    await during(store.put('a', 1))
    expect(store.get('a')).toBe(1)
  })

  test('that has run out is free; extend renews only what is held', async () => {
    const { clock, store, during } = await started()
    const mine = { owner: 'me', leaseMs: 100 }
    await during(store.lock(['k'], mine))
    await clock.advance(60)
    await during(store.extend(['k'], mine))
    await clock.advance(60)
    expect(await during(codeOf(store.put('k', 1)))).toBe('LOCKED')

    await clock.advance(100)
    expect(await during(codeOf(store.extend(['k'], mine)))).toBe('CONFLICT')
    await during(store.put('k', 1))
  })

  test('is given up by its owner, and outlives a restart and its key', async () => {
    const { store, app, start, during } = await started()
    await during(store.put('k', 1))
    await during(store.lock(['k'], { owner: 'me', leaseMs: 60_000 }))
    await during(store.delete('k', { owner: 'me' }))
    await during(app.close())

    const again = await start()
    expect(await during(codeOf(again.store.put('k', 1)))).toBe('LOCKED')
    expect(await during(codeOf(again.store.unlock(['k'], { owner: 'you' })))).toBe('LOCKED')
    expect(await during(again.store.unlock(['k', 'x'], { owner: 'me' }))).toMatchObject({
      released: 1,
    })
    await during(again.store.put('k', 1))
  })
})

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
