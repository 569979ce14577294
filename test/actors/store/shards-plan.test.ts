/** The option `shardsPlan`: what will not share a shard later shares no unit now. */
import { expect, test } from 'vitest'
import { flow, flows } from '../../../src/flow/index.ts'
import {
  call,
  type DurableContext,
  type DurableServer,
  entity,
  reply,
  supervisor,
} from '../../../src/index.ts'
import { shardOf } from '../../../src/storage/index.ts'
import { codeOf, simulated, started } from '../../support/worlds/simulated-instance.ts'

/** Two keys that are apart in `shards`, and together in half of them. */
const apart = (shards: number): readonly [string, string] => {
  const [first = '', ...others] = Array.from({ length: 4_096 }, (_, at) => `key ${at}`)
  const isWanted = (key: string) =>
    shardOf(key, shards) !== shardOf(first, shards) &&
    shardOf(key, shards / 2) === shardOf(first, shards / 2)
  return [first, others.find(isWanted) ?? '']
}

const planned = { shards: 2, shardsPlan: 64 }

test('keys that are in one shard, and not in one of the plan, are CROSS_SHARD in a batch, a lock and a command', async () => {
  const { app, during, start } = await started(planned)
  const [one, other] = apart(64)
  const writes = (store: typeof app.store): (() => Promise<unknown>)[] => [
    () => store.batch().put(one, 1).put(other, 1).commit(),
    () =>
      store
        .batch()
        .putMany([
          [one, 1],
          [other, 1],
        ])
        .commit(),
    () => store.lock([one, other], { owner: 'me', leaseMs: 5 }),
  ]
  for (const write of writes(app.store)) {
    await expect(during(write())).rejects.toMatchObject({
      code: 'CROSS_SHARD',
      message: expect.stringContaining('shardsPlan'),
      details: { keys: [one, other], shardsPlan: 64 },
    })
  }
  const shard = app.store.shardOf(one)
  const command = { kind: 'deleteMany', keys: [one, other] } as const
  expect(await codeOf(app.batcher.write(shard, command))).toBe('CROSS_SHARD')
  expect(app.store.has(one)).toBe(false)

  await during(app.close())
  const { store } = await start({ shards: 2 })
  for (const write of writes(store)) expect(await codeOf(during(write()))).toBe('ok')
})

test('putMany, which is one unit in each shard, takes any keys', async () => {
  const { app, during } = await started(planned)
  const keys = apart(64)
  await during(app.store.putMany(keys.map((key) => [key, 1])))
  expect(app.store.getMany([...keys])).toEqual([1, 1])
})

type Messages = { calls: { write: (key: string) => null; end: () => null } }

const writer: DurableServer<Messages, number> = {
  init: () => 0,
  calls: {
    write: (state, key, context: DurableContext<Messages>) => {
      context.writes.put(key, state)
      return reply(null, state + 1)
    },
    end: (state, _, context) => {
      context.end({ keys: true })
      return reply(null, state)
    },
  },
}

test('a turn writes only keys that would stay with its actor', async () => {
  const writers = entity('writer', writer)
  const s = await simulated({ app: supervisor('app', {}, [writers]), shards: 1, shardsPlan: 64 })
  const ref = s.app.entity(writers).ref('1')
  await s.during(call(ref, 'write', '{writer/1}:count'))
  await expect(s.during(call(ref, 'write', 'another key'))).rejects.toMatchObject({
    code: 'CROSS_SHARD',
    details: { keys: ['another key'], entity: 'writer/1' },
  })
})

test('an actor that wrote other keys before there was a plan ends, and removes them', async () => {
  const writers = entity('writer', writer, { keys: true })
  const tree = supervisor('app', {}, [writers])
  const { app, during, start, pass } = await started({ app: tree })
  const keys = Array.from({ length: 8 }, (_, at) => `other ${at}`)
  for (const key of keys) await during(call(app.entity(writers).ref('1'), 'write', key))
  await during(app.close())

  const again = await start({ app: tree, shardsPlan: 64 })
  await during(call(again.entity(writers).ref('1'), 'end'))
  await pass(1_000)
  expect(again.entity(writers).state('1')).toBe(undefined)
  expect(keys.some((key) => again.store.has(key))).toBe(false)
})

test('a batch with runs and jobs takes only keys of one shard of the plan, and its actor is there', async () => {
  const app = supervisor('app', {}, [flows({})])
  const s = await simulated({ app, shards: 1, shardsPlan: 64 })
  const [one, other] = apart(64)
  const crossing = s.app.store.batch().put(one, 1).put(other, 1)
  expect(() => flow(s.app).with(crossing, { id: 'b' })).toThrow(
    expect.objectContaining({ code: 'CROSS_SHARD' }),
  )
  const batch = s.app.store.batch().put(one, 1)
  expect(await s.during(flow(s.app).with(batch, { id: 'b' }).commit())).toMatchObject({
    repeated: false,
  })
  const [actor = ''] = [...s.app.entity('$batches').list().entries].map(({ id }) => id)
  expect(shardOf(`{$batches/${actor}}`, 64)).toBe(shardOf(one, 64))
})

test('a plan that is no multiple of the shards of options or folder is CONFIG, and the folder stays as it was', async () => {
  const { app, during, start, disk } = await started({ shards: 4 })
  await during(app.close())
  const refused = { code: 'CONFIG', details: { path: 'shardsPlan', found: '6' } }
  await expect(start({ shards: 4, shardsPlan: 6 })).rejects.toMatchObject(refused)
  await expect(start({ shardsPlan: 6 })).rejects.toMatchObject(refused)
  expect(disk.entry('/data/keelson.json')).toBeDefined()
  const again = await start({ shardsPlan: 8 })
  expect(again.shards.length).toBe(4)
})
