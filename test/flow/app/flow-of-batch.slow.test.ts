/** `flow(app).with(batch)`: runs, signals and jobs that come about with a batch of the store. */
import { expect, test } from 'vitest'
import { type FlowOfBatch, flow, flows, workflow } from '../../../src/flow/index.ts'
import { type App, supervisor } from '../../../src/index.ts'
import { shardOf } from '../../../src/storage/index.ts'
import { sampled } from '../../support/tier.ts'
import { codeOf, machine, simulated } from '../../support/worlds/simulated-instance.ts'
import { type WordsAndMails, wordsAndMails } from '../../support/worlds/words-and-mails.ts'

const parts = () => {
  const own = wordsAndMails()
  const { listens, mails } = own
  const app = supervisor('app', {}, [flows({ workflows: [listens], queues: [mails] })])
  return { ...own, app }
}

const world = async (shards = 1) => {
  const own = parts()
  const s = await simulated({ app: own.app, shards })
  const { store } = s.app
  return { ...own, s, store, flow: flow(s.app) }
}

/** An order as a shop writes it: two keys, a run with two signals, and two jobs. */
const orderOf = (app: App, { listens, mails }: WordsAndMails, total = 12): FlowOfBatch => {
  const batch = app.store.batch().put('{o1}:total', total).append('{o1}:log', 'new;')
  const order = flow(app).with(batch, { id: 'order-1' })
  order.start(listens, 2, { id: 'o1' })
  for (const word of ['hot', 'water']) order.signal(listens, 'o1', 'word', word)
  for (const job of ['thanks', 'bill']) order.add(mails, job)
  return order
}

/** The actor of that batch: where its keys would be in 64 shards. */
const actorOfOrder = (): string => {
  for (let at = 0; ; at++) {
    const actor = `$batches/order-1/${at}`
    if (shardOf(`{${actor}}`, 64) === shardOf('{o1}:total', 64)) return actor
  }
}

test('the keys, a start, signals and jobs of one batch come about, in the order of their calls', async () => {
  const w = await world()
  const { repeated, position } = await w.s.during(orderOf(w.s.app, w).commit())
  expect(repeated).toBe(false)
  expect(position.shard).toBe(0)
  expect(w.store.get('{o1}:total')).toBe(12)
  await w.s.advance(1_000)
  expect(await w.s.during(w.flow.handle(w.listens, 'o1').result())).toEqual(['hot', 'water'])
  expect(w.sent.map(([job]) => job)).toEqual(['thanks', 'bill'])
})

test('before its commit nothing of a batch happens', async () => {
  const w = await world()
  orderOf(w.s.app, w)
  await w.s.advance(60_000)
  expect(w.store.get('{o1}:total')).toBe(undefined)
  expect(w.flow.get(w.listens, 'o1')).toBe(undefined)
  expect(w.sent).toEqual([])
})

test('a batch that a lock refuses leaves nothing behind, and can be committed again', async () => {
  const w = await world()
  await w.s.during(w.store.lock(['{o1}:log'], { owner: 'me', leaseMs: 100_000 }))
  const order = orderOf(w.s.app, w)
  expect(await w.s.during(codeOf(order.commit()))).toBe('LOCKED')
  await w.s.advance(60_000)
  expect(w.store.get('{o1}:total')).toBe(undefined)
  expect(w.flow.get(w.listens, 'o1')).toBe(undefined)
  expect(w.sent).toEqual([])
  await w.s.during(w.store.unlock(['{o1}:log'], { owner: 'me' }))
  expect((await w.s.during(order.commit())).repeated).toBe(false)
  await w.s.advance(1_000)
  expect(w.heard).toEqual(['hot water'])
  expect(w.sent).toHaveLength(2)
})

test('the same batch again changes nothing, over a restart too; another one under its id is CONFLICT', async () => {
  const w = await world()
  const order = orderOf(w.s.app, w)
  await w.s.during(order.commit())
  await w.s.advance(1_000)
  await w.s.during(w.store.put('{o1}:total', 13))
  expect((await w.s.during(order.commit())).repeated).toBe(true)
  await w.s.powerCut()
  await w.s.start()
  expect((await w.s.during(orderOf(w.s.app, w).commit())).repeated).toBe(true)
  expect(await w.s.during(codeOf(orderOf(w.s.app, w, 99).commit()))).toBe('CONFLICT')
  await w.s.advance(60_000)
  expect(w.s.app.store.get('{o1}:total')).toBe(13)
  expect(w.s.app.store.get('{o1}:log')).toBe('new;')
  expect(w.heard).toEqual(['hot water'])
  expect(w.sent).toHaveLength(2)
})

test('a batch is known for 24 hours after its last call, and leaves no row after them', async () => {
  const w = await world()
  await w.s.during(orderOf(w.s.app, w).commit())
  const batches = () => w.s.app.entity('$batches').list().entries.length
  await w.s.advance(23.9 * 3_600_000)
  expect(batches()).toBe(1)
  await w.s.advance(0.2 * 3_600_000)
  expect(batches()).toBe(0)
  expect(w.store.get('{o1}:total')).toBe(12)
  // A signal and a job have the same names as the first time.
  expect((await w.s.during(orderOf(w.s.app, w).commit())).repeated).toBe(false)
  await w.s.advance(60_000)
  expect(w.heard).toEqual(['hot water'])
  expect(w.sent).toHaveLength(2)
})

test('the keys are in one shard, and runs and queues in any', async () => {
  const w = await world(4)
  const keys = Array.from({ length: 64 }, (_, at) => `k${at}`)
  for (const shard of [0, 1, 2, 3]) {
    const [first = '', second = ''] = keys.filter((key) => w.store.shardOf(key) === shard)
    const unit = flow(w.s.app).with(w.store.batch().put(first, 1).put(second, 2), { id: 'same' })
    unit.start(w.listens, 0, { id: `run-${shard}` })
    unit.add(w.mails, `mail ${shard}`)
    const { repeated, position } = await w.s.during(unit.commit())
    expect([repeated, position.shard]).toEqual([false, shard])
    expect(w.store.getMany([first, second])).toEqual([1, 2])
  }
  await w.s.advance(1_000)
  expect(w.heard).toHaveLength(4)
  expect(w.sent).toHaveLength(4)
  const [one = '', other = ''] = [0, 1].map((at) => keys.find((key) => w.store.shardOf(key) === at))
  const across = w.store.batch().put(one, 1).put(other, 1)
  const refused = expect.objectContaining({ code: 'CROSS_SHARD' })
  expect(() => w.flow.with(across, { id: 'a' })).toThrow(refused)
})

test('a value for the blobs is written with the rest', async () => {
  const w = await world()
  const film = Buffer.alloc(600_000, 7)
  const unit = w.flow.with(w.store.batch().put('film', film), { id: 'film' })
  unit.add(w.mails, 'come and see')
  await w.s.during(unit.commit())
  await w.s.advance(1_000)
  expect(w.store.get('film')).toEqual(film)
  expect(w.sent).toHaveLength(1)
})

test('what its run refuses is tried again, and holds up no other batch', async () => {
  const w = await world()
  await w.s.during(w.flow.start(w.listens, 1, { id: 'o1' }))
  await w.s.during(orderOf(w.s.app, w).commit())
  const next = w.flow.with(w.store.batch().put('{o1}:next', 1), { id: 'order-2' })
  next.signal(w.listens, 'o1', 'word', 'cold')
  await w.s.during(next.commit())
  await w.s.advance(10_000)
  expect(w.heard).toEqual(['cold'])
  expect(w.sent).toHaveLength(2)
  const { failing } = w.s.app.health().actors as unknown as {
    failing: { first: readonly { readonly entity: string; readonly reason: string }[] }
  }
  expect(JSON.stringify(failing)).toContain('another input')
  expect(JSON.stringify(failing)).toContain(actorOfOrder())
})

test('what is given is refused at once', async () => {
  const w = await world()
  const other = workflow('other', async () => undefined)
  const wrong = expect.objectContaining({ code: 'INVALID_ARGUMENT' })
  const full = () => w.store.batch().put('a', 1)
  for (const id of ['', 'x'.repeat(201), 'a{b', 'a\0', 7])
    expect(() => w.flow.with(full(), { id: id as string })).toThrow(wrong)
  expect(() => w.flow.with(full(), {} as never)).toThrow(wrong)
  expect(() => w.flow.with(full(), { id: '1', ttlMs: 1 } as never)).toThrow(wrong)
  expect(() => w.flow.with({} as never, { id: '1' })).toThrow(wrong)
  expect(() => w.flow.with(w.store.batch() as never, { id: '1' })).toThrow(wrong)
  const batch = full()
  const unit = w.flow.with(batch, { id: '1' })
  // The batch is handed over.
  expect(() => batch.put('b', 1)).toThrow(wrong)
  expect(() => w.flow.with(batch, { id: '2' })).toThrow(wrong)
  expect(await codeOf(batch.commit())).toBe('INVALID_ARGUMENT')
  expect(() => unit.start(other, undefined, { id: '1' })).toThrow(wrong)
  expect(() => unit.start(w.listens, 1, { id: '' })).toThrow(wrong)
  expect(() => unit.add(w.mails, (() => 1) as never)).toThrow(wrong)
  await w.s.during(unit.commit())
  expect(() => unit.add(w.mails, 'late')).toThrow(wrong)
  await w.s.advance(1_000)
  expect(w.sent).toEqual([])
  expect(w.store.get('a')).toBe(1)
})

test('a commit whose actor is killed is UNKNOWN_OUTCOME, and the same commit again decides it', async () => {
  const w = await world()
  const order = orderOf(w.s.app, w)
  const committed = codeOf(order.commit())
  w.s.system.kill(w.s.app.entities.holder(actorOfOrder())?.address as never)
  expect(await w.s.during(committed)).toBe('UNKNOWN_OUTCOME')
  await w.s.during(order.commit())
  await w.s.advance(1_000)
  expect(w.store.get('{o1}:log')).toBe('new;')
  expect(w.heard).toEqual(['hot water'])
})

/** One order, with a halt of the disk at this operation; then it is committed again, under its id. */
const live = async (crashAt?: number, unsynced?: 'lost' | 'kept') => {
  const on = machine()
  const { disk, during, pass } = on
  const own = parts()
  const commit = async (app: App) => {
    const answer = await orderOf(app, own).commit()
    await pass(100_000)
    return answer
  }
  let instance = await on.start({ app: own.app })
  const first = disk.calls
  if (crashAt === undefined) {
    await during(commit(instance))
    const calls = disk.calls - first
    await during(instance.close())
    return { own, calls, before: undefined, again: undefined, log: undefined }
  }
  disk.inject({ at: crashAt + 1, fault: { kind: 'halt' } })
  await during(commit(instance), 200_000).catch(() => undefined)
  disk.halt()
  await during(instance.close({ deadlineMs: 0 })).catch(() => undefined)
  await during(instance.system.stop()).catch(() => undefined)
  disk.crash(unsynced ? { unsynced } : {})
  disk.clearFaults()
  disk.killProcess()
  instance = await on.start({ app: own.app })
  await pass(100_000)
  const run = flow(instance).get(own.listens, 'o1')
  const jobs = new Set(own.sent.map(([, key]) => key)).size
  const before = { total: instance.store.get('{o1}:total'), run: run?.status, jobs }
  const again = await during(commit(instance), 200_000)
  const log = instance.store.get('{o1}:log')
  await during(instance.close())
  return { own, calls: 0, before, again, log }
}

test('whatever crashes, they come about with the keys, once, and not without them', async () => {
  const { own, calls } = await live()
  expect(own.sent.map(([job]) => job)).toEqual(['thanks', 'bill'])
  expect(own.heard).toEqual(['hot water'])
  const seen = new Set<unknown>()
  for (const at of sampled(
    Array.from({ length: calls }, (_, at) => at),
    12,
  ))
    for (const unsynced of ['lost', 'kept'] as const) {
      const { own, before, again, log } = await live(at, unsynced)
      const all = { total: 12, run: 'completed', jobs: 2 }
      const none = { total: undefined, run: undefined, jobs: 0 }
      expect([all, none], `crash at ${at}, ${unsynced}`).toContainEqual(before)
      expect(again?.repeated, `crash at ${at}`).toBe(before?.total === 12)
      expect(log).toBe('new;')
      expect(new Set(own.sent.map(([, key]) => key)).size, `crash at ${at}`).toBe(2)
      expect(new Set(own.sent.map(([job]) => job))).toEqual(new Set(['thanks', 'bill']))
      expect(new Set(own.heard)).toEqual(new Set(['hot water']))
      seen.add(again?.repeated)
    }
  expect(seen).toEqual(new Set([false, true]))
}, 300_000)

test('a batch is the same with the names of its values in another order', async () => {
  const w = await world()
  const orderWith = (value: object, expected: object, job: object) => {
    const batch = w.store
      .batch()
      .put('{o1}:total', value)
      .compareAndSet('{o1}:log', expected, value)
    const order = flow(w.s.app).with(batch, { id: 'order-1' })
    order.add(w.mails, job as never)
    return order
  }
  await w.s.during(orderWith({ b: 1, a: 2 }, { b: 3, a: 4 }, { d: 5, c: 6 }).commit())
  const again = orderWith({ a: 2, b: 1 }, { a: 4, b: 3 }, { c: 6, d: 5 })
  expect((await w.s.during(again.commit())).repeated).toBe(true)
  const other = orderWith({ a: 2, b: 1 }, { a: 4, b: 5 }, { c: 6, d: 5 })
  expect(await w.s.during(codeOf(other.commit()))).toBe('CONFLICT')
})
