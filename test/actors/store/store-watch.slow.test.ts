/** `store.watch`: every durable change from a position on, in the order of the log, whoever is slow or dies. */
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { ShardWatch } from '../../../src/actors/store/shard-watch.ts'
import type { StoreChange, StoreWatch } from '../../../src/index.ts'
import { name } from '../../../src/runtime/index.ts'
import { dir as blobDir, options as blobOptions } from '../../support/worlds/blob-instance.ts'
import { Members } from '../../support/worlds/members.ts'
import { machine, started } from '../../support/worlds/simulated-instance.ts'
import { heard, options as snapshotOptions } from '../../support/worlds/snapshot-instance.ts'

/** What a change says, in short. */
const brief = (change: StoreChange): string =>
  change.kind === 'clear'
    ? `clear ${change.namespace}`
    : change.kind === 'put'
      ? `${change.key}=${String(change.value)}`
      : `${change.key} gone`

const take = async (watch: StoreWatch, count: number): Promise<StoreChange[]> => {
  const changes: StoreChange[] = []
  while (changes.length < count) {
    const { value } = await watch.next()
    if (value) changes.push(value)
  }
  return changes
}

describe('a watch from now on', () => {
  test('gives every change in order, each with the value of its write', async () => {
    const { store, during } = await started()
    const watch = store.watch({ prefix: 'n' })
    await during(store.put('other', 0))
    await during(
      Promise.all([
        store.put('n', 1),
        store.put('n', 2),
        store.append('nn', 'a'),
        store.delete('n'),
      ]),
    )
    const changes = await during(take(watch, 4))

    expect(changes.map(brief)).toEqual(['n=1', 'n=2', 'nn=a', 'n gone'])
    expect(changes.every(({ catchingUp }) => !catchingUp)).toBe(true)
    expect(changes.map(({ position }) => position.lsn)).toEqual(
      changes.map(({ position }) => position.lsn).toSorted((a, b) => a - b),
    )
  })

  test('shows nothing of what was refused or had no effect', async () => {
    const { store, during } = await started()
    await during(store.put('k', { a: 1 }))
    await during(store.put('text', 'abc'))
    await during(store.lock(['held'], { owner: 'me', leaseMs: 60_000 }))
    const watch = store.watch()
    await during(
      Promise.allSettled([
        store.append('k', 'x'),
        store.put('held', 1),
        store.set('k', 2, { nx: true }),
        store.compareAndSet('k', 7, 8),
        store.setRange('absent', 0, ''),
        store.setRange('text', 1, Buffer.alloc(0)),
        store.put('last', 1),
      ]),
    )
    expect((await during(take(watch, 1))).map(brief)).toEqual(['last=1'])
  })

  test('shows what expired when it is removed, and a namespace that is cleared', async () => {
    const { store, during, clock } = await started()
    const watch = store.watch({ prefix: 'a:' })
    await during(store.put('a:x', 1, { ttlMs: 1_000 }))
    await during(store.put('a:y', 2))
    const two = await during(take(watch, 2))
    const third = take(watch, 1)
    await clock.advance(5_000)
    expect(two.map(brief)).toEqual(['a:x=1', 'a:y=2'])
    expect((await during(third)).map(brief)).toEqual(['a:x gone'])

    await during(store.clear({ namespace: 'b' }))
    await during(store.put('b:x', 1))
    await during(store.clear({ namespace: 'b' }))
    await during(store.clear({ namespace: 'a' }))
    expect((await during(take(watch, 1))).map(brief)).toEqual(['clear a'])
  })

  test('of several shards names the shard of a clear, and the store says which keys are in it', async () => {
    const { store, during } = await started({ shards: 3 })
    const keys = Array.from({ length: 12 }, (_, at) => `n:${at}`)
    const { positions } = await during(store.putMany(keys.map((key) => [key, 1] as const)))
    expect(positions.map(({ shard }) => shard)).toEqual(keys.map((key) => store.shardOf(key)))
    const watch = store.watch({ prefix: 'n:' })
    await during(store.clear({ namespace: 'n' }))

    const left = new Set(keys)
    for (const { kind, position } of await during(take(watch, 3))) {
      expect(kind).toBe('clear')
      for (const key of left) if (store.shardOf(key) === position.shard) left.delete(key)
    }
    expect([...left]).toEqual([])
    expect(() => store.shardOf('')).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
  })

  test('gives a batch as one step: its keys have one position, the last one goes on behind it', async () => {
    const { store, during } = await started()
    const watch = store.watch()
    await during(store.batch().put('a', 1).put('b', 1).put('a', 2).commit())
    const [b, a] = await during(take(watch, 2))

    expect([b, a].map((change) => change && brief(change))).toEqual(['b=1', 'a=2'])
    expect(b?.position).toEqual(a?.position)
    expect(b?.next).toEqual([b?.position])
    expect(a?.next).toEqual([{ shard: 0, lsn: (a?.position.lsn ?? 0) + 1 }])
  })
})

describe('a watch from a position', () => {
  test('gives each key that changed since with its present value, then goes on one by one', async () => {
    const { store, during } = await started()
    await during(store.put('before', 0))
    const { position } = await during(store.put('a', 1))
    await during(store.put('b', 1))
    await during(store.put('a', 2))
    const watch = store.watch({ from: position })
    const past = await during(take(watch, 2))
    await during(store.put('a', 3))
    const [live] = await during(take(watch, 1))

    expect(past.map(brief)).toEqual(['b=1', 'a=2'])
    expect(past.every(({ catchingUp }) => catchingUp)).toBe(true)
    expect(live).toMatchObject({ kind: 'put', key: 'a', value: 3, catchingUp: false })
  })

  test('goes on where an earlier one stopped, in the next life of the process too', async () => {
    const world = machine()
    const first = await world.start()
    const watch = first.store.watch({ from: 'oldest' })
    for (let n = 0; n < 20; n++) await world.during(first.store.put(`k${n}`, n))
    const seen = await world.during(take(watch, 7))
    await watch.return()
    await world.during(first.close())

    const { store } = await world.start()
    const rest = store.watch({ from: seen.at(-1)?.next ?? [] })
    const after = await world.during(take(rest, 13))
    expect([...seen, ...after].map(brief)).toEqual(
      Array.from({ length: 20 }, (_, n) => `k${n}=${n}`),
    )
  })

  test('is refused for a position that the log does not have', async () => {
    const { app, store, during } = await started()
    const { position } = await during(store.put('a', 1))
    const ahead = { ...position, lsn: position.lsn + 1_000 }
    expect(() => store.watch({ from: ahead })).toThrow(
      expect.objectContaining({ code: 'BAD_CURSOR' }),
    )
    for (const from of [{ shard: 4, lsn: 1 }, { shard: 0, lsn: -1 }, 'end', [null]])
      expect(() => store.watch({ from: from as never })).toThrow(
        expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
      )
    void app
  })
})

test('a slow reader holds up no writer, and misses no key', async () => {
  const { store, during } = await started()
  const watch = store.watch()
  for (let round = 0; round < 30; round++)
    await during(store.putMany(Array.from({ length: 1_000 }, (_, n) => [`k${n}`, round] as const)))
  const last = new Map<string, unknown>()
  let caughtUp = false
  await during(
    (async () => {
      while (last.size < 1_000 || [...last.values()].some((value) => value !== 29)) {
        const { value } = await watch.next()
        if (value?.kind === 'put') last.set(value.key, value.value)
        caughtUp ||= value?.catchingUp === true
      }
    })(),
    60_000,
  )
  expect(caughtUp).toBe(true)
})

test('a killed applier, writer or shard costs the watch nothing', async () => {
  const { app, store, during } = await started()
  const watch = store.watch({ from: 'oldest' })
  const seen = new Map<string, unknown>()
  for (const [round, victim] of ['applier(0)', 'wal_writer(0)', 'lmdb_writer(0)'].entries()) {
    await during(store.put(`before ${round}`, round))
    app.system.kill(name(victim))
    await during(store.put(`after ${round}`, round))
  }
  await during(
    (async () => {
      while (seen.size < 6) {
        const { value } = await watch.next()
        if (value?.kind === 'put') seen.set(value.key, value.value)
      }
    })(),
  )
  expect([...seen.keys()].sort()).toEqual(
    [0, 1, 2].flatMap((round) => [`after ${round}`, `before ${round}`]).sort(),
  )
})

test('a watch that reads the log goes on after an absence of the engine that ends the epoch of the log', async () => {
  const members = new Members()
  const { store } = await members.start('a')
  await members.during(store.put('a', 1))
  const watch = store.watch({ from: 'oldest' })

  members.engine.restart(10_000)
  const written = store.put('b', 2)
  const seen = take(watch, 2).then(
    (changes) => changes.map(brief),
    ({ code }) => code,
  )
  await members.clock.advance(20_000)

  expect(await seen).toEqual(['a=1', 'b=2'])
  expect(await written).toMatchObject({ position: { shard: 0 } })
})

test('several shards are one watch, each with its own positions', async () => {
  const { store, during } = await started({ shards: 3 })
  const watch = store.watch()
  const keys = Array.from({ length: 30 }, (_, n) => `k${n}`)
  await during(store.putMany(keys.map((key) => [key, 1] as const)))
  const changes = await during(take(watch, 30))

  expect(changes.map((change) => (change.kind === 'put' ? change.key : '')).sort()).toEqual(
    [...keys].sort(),
  )
  expect(new Set(changes.map(({ position }) => position.shard)).size).toBe(3)
})

test('over several shards, next goes on behind each change and skips nothing of the others', async () => {
  const { store, during } = await started({ shards: 3 })
  const keys = Array.from({ length: 24 }, (_, n) => `k${n}`)
  const seen = new Set<string>()
  let from: StoreChange['next'] | 'oldest' = 'oldest'
  await during(Promise.all(keys.slice(0, 12).map((key) => store.put(key, 1))))
  for (let round = 0; seen.size < keys.length; round++) {
    if (round === 5) await during(Promise.all(keys.slice(12).map((key) => store.put(key, 1))))
    const watch = store.watch({ from })
    const [change] = await during(take(watch, 1))
    await watch.return()
    if (change?.kind === 'put') seen.add(change.key)
    from = change?.next ?? []
  }
  expect([...seen].sort()).toEqual([...keys].sort())
})

test('over several shards, next of the first change from the oldest on is a position that each log has', async () => {
  const { app, store, during } = await started({ ...snapshotOptions, shards: 2 })
  const keys = Array.from({ length: 8 }, (_, n) => `k${n}`)
  for (let round = 0; round < 40; round++)
    await during(store.putMany(keys.map((key) => [key, `${round}`.padEnd(8_000, 'x')] as const)))
  for (const { index } of app.shards) {
    await during(app.control.snapshot(index))
    const { firstLsn } = await during(app.wal(index).release())
    expect(firstLsn).toBeGreaterThan(1)
  }
  const watch = store.watch({ from: 'oldest' })
  const [first] = await during(take(watch, 1))
  await watch.return()

  const seen = new Set([first?.kind === 'put' && first.key])
  const rest = store.watch({ from: first?.next ?? [] })
  while (seen.size < keys.length) {
    const [change] = await during(take(rest, 1))
    if (change?.kind === 'put') seen.add(change.key)
  }
  expect([...seen].sort()).toEqual(keys)
})

test('a key that has expired and is deleted before it was removed is reported', async () => {
  const { store, during } = await started()
  const watch = store.watch()
  await during(store.put('k', 1, { ttlMs: 1 }))
  await during(store.delete('k'))
  expect((await during(take(watch, 2))).map(brief)).toEqual(['k=1', 'k gone'])
})

test('leaving the loop ends the watch; close rejects a waiting next, and return answers it', async () => {
  const { app, store, during } = await started()
  const left = store.watch()
  const loop = (async () => {
    for await (const change of left) return brief(change)
    return 'nothing'
  })()
  await during(store.put('a', 1))
  expect(await during(loop)).toBe('a=1')
  expect(await left.next()).toEqual({ done: true, value: undefined })

  const returned = store.watch()
  const waits = returned.next()
  await returned.return()
  expect(await during(waits)).toEqual({ done: true, value: undefined })

  const closed = store.watch()
  const ends = closed.next().catch((error) => error)
  await during(app.close())
  expect(await ends).toMatchObject({ code: 'CLOSED' })
  expect(() => store.watch()).toThrow(expect.objectContaining({ code: 'CLOSED' }))
})

test('a signal ends the watch as return does, and one that has aborted is refused', async () => {
  const app = await machine().start({ shards: 2 })
  const ending = new AbortController()
  const watch = app.store.watch({ signal: ending.signal })
  const waiting = watch.next()

  ending.abort(new Error('gone'))

  expect([await waiting, await watch.next()]).toEqual([
    { done: true, value: undefined },
    { done: true, value: undefined },
  ])
  expect(() => app.store.watch({ signal: ending.signal })).toThrow('gone')
  expect(() => app.store.watch({ signal: 5 as never })).toThrow('signal: expected an AbortSignal')
})

describe('a large value', () => {
  const large = 'a'.repeat(9_000)
  /** An instance with one large value, whose watch has not been read. */
  const watched = async () => {
    const all = { ...snapshotOptions, ...blobOptions }
    const { app, ...world } = await started({ ...all, snapshot: { minLogBytes: 2 ** 40 } })
    const watch = app.store.watch({ prefix: 'large' })
    await world.during(app.store.put('large', large))
    return { app, watch, ...world }
  }

  test('that was freed before its change is read comes as the present value', async () => {
    const { app, watch, ...world } = await watched()
    await world.during(app.store.put('large', 'small'))
    // The log gives the frame back, and the sweep frees the blob.
    for (let at = 0; at < 160; at++)
      await world.during(app.store.put('filler', `${at}`.padEnd(900, 'x')))
    await world.during(app.control.snapshot(0))
    await world.clock.advance(61_000)
    expect(await world.during(app.control.sweep(0))).toMatchObject({ cleared: 1 })
    const damage = heard(app, 'blobs.corrupt')

    const changes = await world.during(take(watch, 2))
    expect(changes.map(brief)).toEqual(['large=small', 'large=small'])
    expect(damage).toEqual([])
  })

  test('that is damaged ends the watch, which leaves nothing at any shard', async () => {
    const { app, watch, ...world } = await watched()
    const { disk, during } = world
    const [name = ''] = disk.list(blobDir).filter((each) => each.endsWith('.bloblog'))
    disk.poke(`${blobDir}/${name}`, 5_000, Uint8Array.of(1, 2, 3))
    const damage = heard(app, 'blobs.corrupt')

    await expect(during(watch.next())).rejects.toMatchObject({ code: 'CORRUPT' })
    expect(damage).toHaveLength(1)
    expect(app.shards[0]?.changes.isWatched).toBe(false)
    expect(await during(watch.next())).toEqual({ done: true, value: undefined })
  })
})

test('a change leaves nothing at the shards that are quiet', async () => {
  let reactions = 0
  const counted = <T>(promise: Promise<T>): Promise<T> => {
    const then = promise.then.bind(promise) as (...given: unknown[]) => Promise<T>
    const counting = (...given: unknown[]): Promise<T> => {
      reactions++
      return counted(then(...given))
    }
    return Object.defineProperty(promise, 'then', { value: counting })
  }
  const { next } = ShardWatch.prototype
  const asked = vi.spyOn(ShardWatch.prototype, 'next')
  onTestFinished(() => asked.mockRestore())
  asked.mockImplementation(function (this: ShardWatch<{ lsn: number }>) {
    return counted(next.call(this)) as never
  })
  const { store, during } = await started({ shards: 3 })
  const watch = store.watch()
  for (let change = 0; change < 50; change++) {
    await during(store.put('a', change))
    await during(watch.next())
  }
  // Each quiet shard would add one for each change.
  expect(reactions).toBeLessThan(3 * 50)
})
