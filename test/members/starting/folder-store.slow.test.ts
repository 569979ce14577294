/** The store of a member of a folder: calls for shards of other members go there. */
import { describe, expect, test } from 'vitest'
import type { LargeValue } from '../../../src/actors/index.ts'
import { isKeelsonError, type KeelsonError } from '../../../src/errors.ts'
import { shardOf } from '../../../src/storage/values/key.ts'
import type { App } from '../../../src/supervisors/index.ts'
import { FolderMembers } from '../../support/worlds/folder-members.ts'
import { started } from '../../support/worlds/simulated-instance.ts'

const shards = 4

/** A key of this shard. */
const keyOf = (shard: number, number = 0): string => {
  for (let at = 0; ; at++)
    if (shardOf(`k${number}-${at}`, shards) === shard) return `k${number}-${at}`
}

/** A shard of this member. */
const shardAt = (app: App): number =>
  app.shards.find(({ phase }) => phase.kind === 'open')?.index ?? -1

/** Two members, and a key that the second one has. */
const pair = async () => {
  const world = new FolderMembers(['a', 'b'])
  const [a, b] = (await world.start()) as [App, App]
  const shard = shardAt(b)
  return { world, a, b, shard, key: keyOf(shard), during: world.during.bind(world) }
}

/** How a call ended, without the position of a write. */
const outcomeOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    (answer) => {
      const { position: _, ...rest } = Object(answer)
      return typeof answer === 'object' && answer !== null ? rest : answer
    },
    (error: KeelsonError) => error.code,
  )

type Store = App['store']

/** Calls of each kind, in their order. Each is made when the one before it has ended. */
const calls: readonly ((store: Store, key: string, field: string) => Promise<unknown>)[] = [
  (store, key) => store.put(key, { cents: 5n, at: new Date(7) }),
  (store, key) => store.set(key, 'old', { nx: true }),
  (store, key) => store.set(key, 'text', { get: true }),
  (store, key) => store.append(key, ' and more'),
  (store, key) => store.setRange(key, 2, 'XY'),
  (store, key) => store.getSet(key, { list: [1, null, 'x'] }),
  (store, key) => store.append(key, 'x'),
  (store, key) => store.compareAndSet(key, { list: [1] }, 1),
  (store, key) => store.compareAndSet(key, { list: [1, null, 'x'] }, 7),
  (store, key) => store.update<number>(key, (value = 0) => value + 1),
  (store, key) => store.expire(key, 60_000),
  (store, key) => store.persist(key),
  (store, key) => store.load(key),
  (store, key) => store.lock([key], { owner: 'me', leaseMs: 60_000 }),
  (store, key) => store.put(key, 1),
  (store, key) => store.lockedPut(key, 2, { owner: 'me' }),
  (store, key) => store.extend([key], { owner: 'you', leaseMs: 1 }),
  (store, key) => store.unlock([key], { owner: 'me' }),
  (store, _, field) => store.putField(field, 'one', 1),
  (store, _, field) =>
    store.putFields(field, [
      ['one', 2],
      ['two', new Map([[1, 2]])],
    ]),
  (store, _, field) => store.load(field),
  (store, _, field) => store.deleteField(field, 'one'),
  (store, key) => store.putField(key, 'one', 1),
  (store, key, field) =>
    store.batch().put(key, 3).set(key, 4, { get: true }).deleteField(field, 'two').commit(),
  (store, key, field) =>
    store.batch().put(key, 5).append(field, 'x').putField(key, 'x', 1).commit(),
  (store, key, field) => store.deleteMany([key, field, `${key}-missing`]),
  (store, key) => store.load(key),
]

/** The answers to all calls; the time of a lock is left out. */
const answersOf = async (store: Store, [key, field]: [string, string], during: Settle) => {
  const answers: unknown[] = []
  for (const make of calls) answers.push(await during(outcomeOf(make(store, key, field))))
  return answers.map((each) => (Object(each).until === undefined ? each : 'locked'))
}

type Settle = <T>(work: Promise<T>) => Promise<T>

describe('the store of a member', () => {
  test('answers each call for a shard of another one as a store alone does', async () => {
    const { a, key, shard, during } = await pair()
    const alone = await started({ shards })
    const keys: [string, string] = [key, keyOf(shard, 1)]

    expect(await answersOf(a.store, keys, during)).toEqual(
      await answersOf(alone.store, keys, alone.during),
    )
  })

  test('writes there, and says where', async () => {
    const { a, b, key, shard, during } = await pair()
    const { position } = await during(a.store.put(key, { name: 'Ada', tags: new Set(['x']) }))

    expect(position).toEqual({ shard, lsn: expect.any(Number) })
    expect(b.store.get(key)).toEqual({ name: 'Ada', tags: new Set(['x']) })
  })

  test('refuses reads that cannot wait, and says what goes there', async () => {
    const { a, key } = await pair()
    const reads: (() => unknown)[] = [
      () => a.store.get(key),
      () => a.store.has(key),
      () => a.store.ttl(key),
      () => a.store.getMany([key]),
      () => a.store.getRange(key, 0, 1),
      () => a.store.getStream(key),
      () => a.store.fields(key),
      () => a.store.getField(key, 'x'),
      () => a.store.range(),
    ]
    for (const read of reads)
      expect(read, read.toString()).toThrow(
        expect.objectContaining({
          code: 'ELSEWHERE',
          message: expect.stringMatching(/from here use `(load|page)`/),
        }),
      )
  })

  test('makes each read of one key there, as a promise', async () => {
    const { a, b, key, shard, during } = await pair()
    const compound = keyOf(shard, 1)
    await during(a.store.put(key, 'abcdef', { ttlMs: 60_000 }))
    await during(a.store.putField(compound, 'one', new Date(7)))
    const missing = keyOf(shard, 2)
    const { store } = a

    expect(await during(store.read('get', key))).toBe('abcdef')
    expect(await during(store.read('get', missing))).toBeUndefined()
    expect(await during(store.read('has', key))).toBe(true)
    expect(await during(store.read('has', missing))).toBe(false)
    expect(await during(store.read('ttl', key))).toBeGreaterThan(50_000)
    expect(await during(store.read('ttl', compound))).toBe(Number.POSITIVE_INFINITY)
    expect(await during(store.read('getRange', key, 1, 3))).toEqual(Buffer.from('bc'))
    expect(await during(store.read('fields', compound))).toEqual(new Map([['one', new Date(7)]]))
    expect(await during(store.read('getField', compound, 'one'))).toEqual(new Date(7))
    // As at its owner.
    expect(await during(b.store.read('getField', compound, 'one'))).toEqual(new Date(7))
    await expect(during(store.read('fields', key))).rejects.toMatchObject({ code: 'WRONG_TYPE' })
    await expect(during(store.read('range' as 'get', key))).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    })
  })

  test('keeps the order of the calls for a key', async () => {
    const { a, b, key, during } = await pair()
    const puts = Array.from({ length: 1_000 }, (_, at) => a.store.put(key, at))
    const written = await during(Promise.all(puts))

    expect(b.store.get(key)).toBe(999)
    const lsns = written.map(({ position }) => position.lsn)
    expect(lsns).toEqual([...lsns].sort((one, other) => one - other))
  })

  test('puts to all shards in one call, and clears them', async () => {
    const { a, b, during } = await pair()
    const entries = Array.from({ length: 40 }, (_, at) => [`n:${at}`, at] as const)
    const { positions } = await during(a.store.putMany(entries))
    expect(positions).toHaveLength(40)
    for (const [key, value] of entries) expect(await during(b.store.load(key))).toBe(value)

    expect(await during(b.store.clear({ namespace: 'n' }))).toMatchObject({ removed: 40 })
    expect((await during(a.store.page())).entries).toEqual([])
  })

  test('lists the keys of all shards without their values', async () => {
    const { a, during } = await pair()
    const keys = Array.from({ length: 40 }, (_, at) => `n:${at}`)
    await during(a.store.putMany(keys.map((key) => [key, 1] as const)))
    const { entries } = await during(a.store.page({ values: false }))
    expect(entries).toEqual(keys.sort().map((key) => [key, undefined]))
  })

  test('clears thousands of keys of another one in pieces', async () => {
    const { a, during } = await pair()
    const entries = Array.from({ length: 6_000 }, (_, at) => [`n:${at}`, at] as const)
    await during(a.store.putMany(entries))
    expect(await during(a.store.clear())).toMatchObject({ removed: 6_000 })
  })

  test('updates of one key from two members lose nothing', async () => {
    const { a, b, key, during } = await pair()
    const add = (store: Store) => store.update<number>(key, (value = 0) => value + 1)
    await during(Promise.all(Array.from({ length: 20 }, () => [add(a.store), add(b.store)]).flat()))
    expect(b.store.get(key)).toBe(40)
  })

  test('takes large values to and from another one, up to what a link takes', async () => {
    const { a, key, during } = await pair()
    const large = Buffer.alloc(3 * 1024 * 1024, 'x')
    await during(a.store.put(key, large))
    expect(await during(a.store.load(key))).toEqual(large)
    expect(await during(outcomeOf(a.store.getSet(key, 'y')))).toEqual({ previous: large })
    expect(await during(outcomeOf(a.store.put(key, Buffer.alloc(9 * 1024 * 1024))))).toBe(
      'TOO_LARGE',
    )
    expect(await during(a.store.load(key))).toBe('y')
  })

  test('gives no value that no link takes', async () => {
    const { a, b, key, during } = await pair()
    await during(b.store.put(key, Buffer.alloc(7 * 1024 * 1024)))
    expect(await during(outcomeOf(a.store.load(key)))).toBe('TOO_LARGE')
  })
})

describe('a page', () => {
  const filled = async () => {
    const all = await pair()
    const entries = Array.from({ length: 50 }, (_, at) => [`n:${100 + at}`, at] as const)
    await all.during(all.a.store.putMany(entries))
    return { ...all, entries }
  }

  test('has the keys of all members in their order, and goes on at its cursor', async () => {
    const { a, entries, during } = await filled()
    const found: unknown[] = []
    let cursor: string | undefined
    for (let pages = 0; pages === 0 || cursor; pages++) {
      const page = await during(a.store.page({ limit: 7, ...(cursor && { cursor }) }))
      expect(page.positions.map(({ shard }) => shard)).toEqual([0, 1, 2, 3])
      found.push(...page.entries)
      cursor = page.cursor
    }
    expect(found).toEqual(entries)
    const back = await during(a.store.page({ gte: 'n:110', lt: 'n:115', reverse: true }))
    expect(back).toMatchObject({ entries: entries.slice(10, 15).reverse(), exhausted: true })
  })

  test('is what entries walks through', async () => {
    const { b, entries, during } = await filled()
    const walk = async () => {
      const found: unknown[] = []
      for await (const entry of b.store.entries({ prefix: 'n:', limit: 9 })) found.push(entry)
      return found
    }
    expect(await during(walk())).toEqual(entries)
  })

  test('shows compounds and large values of other members as its own', async () => {
    const { a, b, key, shard, during } = await pair()
    await during(
      b.store.putFields(key, [
        ['x', 1],
        ['y', 2],
      ]),
    )
    const large = 'x'.repeat(2 * 1024 * 1024)
    await during(b.store.put(keyOf(shard, 1), large))
    const [compound, value] = (await during(a.store.page())).entries
    expect(compound?.[1]).toMatchObject({ size: 2 })
    expect(value?.[1]).toMatchObject({ length: large.length })
    const [, found] = value ?? []
    expect(await during((found as LargeValue).load())).toBe(large)
  })

  test('ends early rather than to take more than a message', async () => {
    const { a, b, shard, during } = await pair()
    for (let at = 0; at < 6; at++)
      await during(b.store.put(keyOf(shard, at), Buffer.alloc(1024 * 1024 - 100, at)))
    const first = await during(a.store.page())
    expect(first.exhausted).toBe(false)
    expect(first.entries.length).toBeLessThan(6)
    const rest = await during(a.store.page(first.cursor ? { cursor: first.cursor } : {}))
    expect(
      [...first.entries, ...rest.entries].map(([, value]) => (value as Buffer)[0]).sort(),
    ).toEqual([0, 1, 2, 3, 4, 5])
  })

  test('waits until it has what a write at another member was', async () => {
    const { a, b, key, during } = await pair()
    const { position } = await during(b.store.put(key, 1))
    const later = { ...position, lsn: position.lsn + 1 }
    const page = a.store.page({ freshness: { atLeast: later } })
    await during(b.store.put(key, 2))
    expect((await during(page)).entries).toEqual([[key, 2]])
  })
})

describe('when the owner ends', () => {
  test('a write that was sent is UNKNOWN_OUTCOME, and settled says when a read shows what became of it', async () => {
    const { world, a, b, key, during } = await pair()
    b.shards[shardAt(b)]?.gate.hold('test')
    const put = outcomeOf(a.store.put(key, 1))
    await world.clock.advance(50)
    await world.kill('b')
    expect(await during(put)).toBe('UNKNOWN_OUTCOME')
    await during(a.store.settled())
    expect(await during(a.store.load(key))).toBeUndefined()
  })

  test('a write that was called after that waits for the next owner, and so does a read', async () => {
    const { world, a, b, key, during } = await pair()
    await during(b.store.put(key, 'kept'))
    await world.kill('b')
    const load = a.store.load(key)
    const put = a.store.put(key, 'new')
    const again = a.store.compareAndSet(key, 'new', 'newer')
    expect(['kept', 'new']).toContain(await during(load))
    await during(put)
    expect(await during(outcomeOf(again))).toEqual({ swapped: true })
    expect(a.store.get(key)).toBe('newer')
  })

  test('in order, a write that it has not answered is UNKNOWN_OUTCOME, and no other one fails', async () => {
    const { world, a, b, key, during } = await pair()
    const writes: Promise<unknown>[] = []
    const write = (): void => void writes.push(outcomeOf(a.store.append(key, 'x')))
    for (let at = 0; at < 20; at++) write()
    const closing = b.close()
    for (let at = 0; at < 40; at++) {
      write()
      await world.clock.advance(10)
    }
    await during(closing)
    write()
    const outcomes = await during(Promise.all(writes))
    const unknown = outcomes.filter((outcome) => outcome === 'UNKNOWN_OUTCOME').length
    const done = outcomes.filter((outcome) => typeof outcome === 'object').length
    expect(done + unknown).toBe(61)
    const text = await during(a.store.load<string>(key))
    expect(text?.length).toBeGreaterThanOrEqual(done)
    expect(text?.length).toBeLessThanOrEqual(61)
  })

  test('and nobody takes its shards, a write is SHARD_DOWN at its deadline, and a read is too', async () => {
    const world = new FolderMembers(['a', 'b', 'c'])
    const [a] = (await world.start()) as [App, App, App]
    const { shards: all } = a
    const away = all.find(({ phase }) => phase.kind === 'elsewhere')?.index ?? -1
    for (const other of ['b', 'c']) world.links.part('a', other)
    await world.clock.advance(10)
    const put = a.store.put(keyOf(away), 1, { deadlineMs: 300 })
    expect(await world.during(outcomeOf(put))).toBe('SHARD_DOWN')
    expect(await world.during(outcomeOf(a.store.load(keyOf(away))))).toBe('SHARD_DOWN')
  })

  test('the caller, its calls are CLOSED', async () => {
    const { a, world, key, during } = await pair()
    await world.kill('b')
    const put = outcomeOf(a.store.put(key, 1))
    await during(a.close())
    expect(await during(put)).toMatch(/CLOSED|ok|SHARD_DOWN/)
    expect(await outcomeOf(a.store.put(key, 1))).toBe('CLOSED')
  })

  test('the caller, a write that was sent is UNKNOWN_OUTCOME: it may take effect', async () => {
    const { a, b, world, key, during } = await pair()
    world.machine.syncMs = 5_000
    const put = outcomeOf(a.store.put(key, 1))
    await world.clock.advance(5)
    await during(a.close({ deadlineMs: 100 }))
    expect(await during(put)).toBe('UNKNOWN_OUTCOME')
    expect(await during(b.store.load(key))).toBe(1)
  })
})

describe('calls for another member are bounded', () => {
  test('a write that waits has its turn, and one that does not is BUSY', async () => {
    const { a, b, key, shard, during } = await pair()
    b.shards[shard]?.gate.hold('test')
    const puts = Array.from({ length: 300 }, (_, at) => a.store.put(key, at))
    const refused = outcomeOf(a.store.put(key, 'no', { whenFull: 'refuse' }))
    expect(await during(refused)).toBe('BUSY')
    b.shards[shard]?.gate.release('test')
    await during(Promise.all(puts))
    expect(b.store.get(key)).toBe(299)
  })

  test('a member that does not answer delays the calls for no other one', async () => {
    const world = new FolderMembers(['a', 'b', 'c'])
    const [a, b, c] = (await world.start()) as [App, App, App]
    b.shards[shardAt(b)]?.gate.hold('test')
    const stuck = Array.from({ length: 2_000 }, (_, at) =>
      a.store.put(keyOf(shardAt(b)), at).catch((error: unknown) => isKeelsonError(error)),
    )
    await world.during(a.store.put(keyOf(shardAt(c)), 'there'), 1_000)
    expect(c.store.get(keyOf(shardAt(c)))).toBe('there')
    b.shards[shardAt(b)]?.gate.release('test')
    await world.during(Promise.all(stuck))
  })
})
