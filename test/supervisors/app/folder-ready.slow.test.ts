/** The beginning of a watch: its positions are fixed by the owners before it says that it has begun. */
import { beforeEach, expect, test } from 'vitest'
import type { Answerer } from '../../../src/actors/core/shard-client.ts'
import { flow, flows, workflow } from '../../../src/flow/index.ts'
import { call, type DurableServer, entity, reply, supervisor } from '../../../src/index.ts'
import type { RemoteShards } from '../../../src/members/routing/remote-shards.ts'
import { shardOf } from '../../../src/storage/values/key.ts'
import type { App } from '../../../src/supervisors/index.ts'
import { FolderMembers } from '../../support/worlds/folder-members.ts'

type Messages = { calls: { add: (cents: number) => number } }

const order: DurableServer<Messages, number> = {
  init: () => 0,
  calls: { add: (sum, cents) => reply(sum + cents, sum + cents) },
}

const task = workflow('task', async (ctx) => {
  await ctx.sleep('pause', '1s')
})

let world: FolderMembers
let a: App
let b: App
/** A key of a shard of b. */
let key: string

beforeEach(async () => {
  world = new FolderMembers(['a', 'b'])
  const parts = () => [entity('order', order), flows({ workflows: [task] })]
  const app = () => ({ app: supervisor('app', {}, parts()) })
  const started = await world.start(['a', 'b'], app)
  ;[a, b] = started as [App, App]
  key = keyOf(b.shards.find(({ phase }) => phase.kind === 'open')?.index ?? -1)
})

const during = <T>(work: Promise<T>): Promise<T> => world.during(work)

const keyOf = (shard: number): string => {
  for (let at = 0; ; at++) if (shardOf(`k${at}`, 4) === shard) return `k${at}`
}

/** b answers no watch that begins until the function is called. All else it answers. */
const holdBeginnings = (): (() => void) => {
  const way = b.shards[0]?.way as RemoteShards
  const begins = way.answererOf('watch.begin') as Answerer
  let goOn = (): void => undefined
  const held = new Promise<void>((resolve) => {
    goOn = resolve
  })
  way.answer('watch.begin', async (asked) => {
    await held
    return begins(asked)
  })
  return goOn
}

/** Takes what comes, until its end. */
const taken = <T>(from: AsyncIterable<T>) => {
  const seen: T[] = []
  const ended = (async () => {
    for await (const each of from) seen.push(each)
    return 'done'
  })().catch((error: { code: string }) => error.code)
  return { seen, ended }
}

/** Whether it has settled by now. */
const stateOf = async (work: Promise<unknown>): Promise<string> => {
  let state = 'pending'
  const settled = (as: string) => (): void => {
    state = as
  }
  work.then(settled('resolved'), settled('rejected'))
  await world.clock.advance(200)
  return state
}

test('a watch is ready when every owner has fixed its position, and gives what comes from there on', async () => {
  await during(a.store.put(key, 'old'))
  const goOn = holdBeginnings()
  const watch = a.store.watch()
  const { seen } = taken(watch)

  expect(await stateOf(watch.ready)).toBe('pending')
  const { position } = await during(b.store.put(key, 'before'))
  goOn()
  const positions = await during(watch.ready)

  const next = { shard: position.shard, lsn: position.lsn + 1 }
  expect(positions.map(({ shard }) => shard)).toEqual([0, 1, 2, 3])
  expect(positions[position.shard]).toEqual(next)
  expect(await during(a.store.load(key))).toBe('before')
  await during(b.store.put(key, 'after'))
  await world.clock.advance(200)
  expect(seen).toMatchObject([{ key, value: 'after', position: next }])
})

test.each([
  ['load', () => a.store.load(key)],
  ['page', async () => (await a.store.page()).entries[0]?.[1]],
  ['loadStale', async () => (await a.store.loadStale(key)).value],
  ['read', () => a.store.read('get', key)],
])(
  'a %s that is called after a watch has every change before its beginning, ready or not',
  async (_, read) => {
    await during(a.store.put(key, 'old'))
    const goOn = holdBeginnings()
    const { seen } = taken(a.store.watch())
    const found = read()

    await world.clock.advance(200)
    await during(b.store.put(key, 'new'))
    goOn()

    expect(await during(found)).toBe('new')
    await world.clock.advance(200)
    expect(seen).toEqual([])
  },
)

test('the positions of a watch that is ready begin another one at the same place, after its owner has ended', async () => {
  const watch = a.store.watch()
  const from = await during(watch.ready)
  for (const value of [1, 2, 3]) await during(b.store.put(key, value))
  await world.kill('b')
  await world.clock.advance(5_000)

  const { seen } = taken(a.store.watch({ from }))
  await world.clock.advance(1_000)
  expect(seen).toMatchObject([{ key, value: 3, catchingUp: true }])
})

test('a watch that nobody reads until its owner has ended leaves nothing out', async () => {
  const watch = a.store.watch()
  await during(watch.ready)
  await during(b.store.put(key, 1))
  await world.kill('b')
  await world.clock.advance(5_000)

  const { seen } = taken(watch)
  await world.clock.advance(1_000)
  await during(a.store.put(key, 2))
  await world.clock.advance(1_000)
  expect(seen.map((change) => Object(change).value)).toEqual([1, 2])
})

test('a watch from a position that its shard has not come to is not ready: BAD_CURSOR', async () => {
  const shard = b.store.shardOf(key)
  const watch = a.store.watch({ from: { shard, lsn: 1_000 } })
  await expect(during(watch.ready)).rejects.toMatchObject({ code: 'BAD_CURSOR' })
  expect(await during(taken(watch).ended)).toBe('BAD_CURSOR')
})

test('a watch that ends before it is ready is CLOSED, and done for who awaits a change', async () => {
  holdBeginnings()
  const watch = a.store.watch()
  const { ended } = taken(watch)
  const ready = watch.ready
  await watch.return()
  await expect(during(ready)).rejects.toMatchObject({ code: 'CLOSED' })
  expect(await during(ended)).toBe('done')
})

test('a watch that ends leaves nothing at the owners, even while they are asked for its next changes', async () => {
  const watched = () => b.shards.filter(({ changes }) => changes.isWatched).length
  expect(watched()).toBe(0)
  const watch = a.store.watch()
  const { ended } = taken(watch)
  await during(watch.ready)
  await world.clock.advance(200)
  expect(watched()).toBeGreaterThan(0)

  await watch.return()
  expect(await during(ended)).toBe('done')
  await world.clock.advance(60_000)
  expect(watched()).toBe(0)
})

test('a watch of entities is ready like one of keys, and their reads wait for it', async () => {
  const orders = a.entity<Messages, number>('order')
  const shard = b.store.shardOf(key)
  const ids = Array.from({ length: 40 }, (_, at) => `${at}`)
  const id = ids.find((each) => a.store.shardOf(`{order/${each}}`) === shard) as string
  const add = () => during(call(b.entity<Messages>('order').ref(id), 'add', 5))
  await add()
  const goOn = holdBeginnings()
  const watch = orders.watch()
  const { seen } = taken(watch)
  const found = [orders.load(id), orders.page().then(({ entries }) => entries[0]?.state)]

  expect(await stateOf(watch.ready)).toBe('pending')
  await add()
  goOn()

  expect(await during(watch.ready)).toHaveLength(4)
  expect(await during(Promise.all(found))).toEqual([10, 10])
  await add()
  await world.clock.advance(200)
  expect(seen).toMatchObject([{ id, state: 15 }])
})

test('a watch of runs is ready like one of keys', async () => {
  const goOn = holdBeginnings()
  const watch = flow(a).watch({ type: task })
  const { seen } = taken(watch)
  expect(await stateOf(watch.ready)).toBe('pending')
  goOn()
  expect((await during(watch.ready)).map(({ shard }) => shard)).toEqual([0, 1, 2, 3])

  for (const id of ['1', '2', '3', '4'])
    await during(
      flow(b)
        .start(task, undefined, { id })
        .then((handle) => handle.result()),
    )
  await world.clock.advance(200)
  const ended = seen.flatMap(({ id, row }) => (row?.status === 'completed' ? [id] : []))
  expect(ended.sort()).toEqual(['1', '2', '3', '4'])
})
