/** What `health()` and the log tell of a full disk, and of durable actors that cannot go on. */

import { expect, test } from 'vitest'
import {
  call,
  cast,
  type DurableServer,
  entity,
  name,
  noReply,
  reply,
  type StorageEvents,
  supervisor,
  telemetry,
  worker,
} from '../../../src/index.ts'
import { type SimulatedOptions, startSimulated } from '../../../src/testing/index.ts'
import { fillDisk, freeDisk } from '../../support/harm/full-disk.ts'
import { codeOf, simulated } from '../../support/worlds/simulated-instance.ts'

type Messages = {
  calls: { pay: () => void; set: (inMs: number) => void; grow: (bytes: number) => void }
  casts: { add: () => void }
  continues: { charge: () => void }
  alarms: { ring: () => void }
}

let isBankAway = false
const order: DurableServer<Messages, { readonly more: string }> = {
  init: () => ({ more: '' }),
  calls: {
    pay: (state) => reply(undefined, { ...state }, { continue: ['charge'] }),
    set: (state, inMs, context) => {
      context.setAlarm('ring', { inMs })
      return reply(undefined, { ...state })
    },
    grow: (_, bytes) => reply(undefined, { more: 'x'.repeat(bytes) }),
  },
  casts: { add: (state) => noReply({ ...state }) },
  continues: {
    charge: (state) => {
      if (isBankAway) throw new Error('the bank is away')
      return noReply({ ...state })
    },
  },
  alarms: { ring: (state) => noReply({ ...state }) },
}
const orders = entity('order', order)

const started = async (options: SimulatedOptions = {}) => {
  isBankAway = false
  const s = await simulated({ app: supervisor('app', {}, [orders]), ...options })
  const ref = (id: string) => s.app.entity(orders).ref(id)
  const lines = (said: string) => s.log.lines.filter(({ message }) => message.includes(said))
  return { s, ref, lines, actors: () => s.app.health().actors }
}

test('a full disk is seen in the shard until the log has room for a segment, and logged once', async () => {
  const { s, lines } = await started()
  const space = () => s.app.health().shards[0]?.space
  expect(space()).toEqual({
    freeBytes: Number.POSITIVE_INFINITY,
    neededBytes: 2 * 256 * 1024,
    refusing: undefined,
  })
  await fillDisk(s)
  for (let at = 0; at < 5; at++) await s.during(codeOf(s.app.store.put('k', 'v')))
  expect(space()).toMatchObject({ refusing: { reason: expect.stringContaining('NO_SPACE') } })
  expect(space()?.freeBytes).toBeLessThan(256 * 1024)
  expect(space()?.refusing?.groups).toBeGreaterThanOrEqual(5)
  expect(lines('shard 0 refuses writes')).toMatchObject([
    { level: 'error', facts: { neededBytes: 2 * 256 * 1024 } },
  ])
  freeDisk(s)
  await s.during(s.app.store.put('k', 'v'))
  expect(space()?.refusing).toBeUndefined()
  expect(lines('shard 0 takes writes again')).toHaveLength(1)
})

test.each([1, 2])(
  'a start of %i shards without the space says how much it needs',
  async (shards) => {
    const maxFileSize = 256 * 1024
    const options = { shards, wal: { maxFileSize } }
    const short = startSimulated({ ...options, capacityBytes: maxFileSize / 2 })
    await expect(short).rejects.toMatchObject({
      code: 'NO_SPACE',
      details: { neededBytes: 2 * shards * maxFileSize, freeBytes: expect.any(Number) },
    })
    // The documented need, with 64 KiB for all the small files.
    const capacityBytes = 2 * shards * maxFileSize + 64 * 1024
    const { s } = await started({ ...options, capacityBytes })
    const puts = Array.from({ length: 32 }, (_, at) => s.app.store.put(`k${at}`, 'v'))
    await s.during(Promise.all(puts))
  },
)

test('an actor whose turn waits for space is named, until the turn is durable', async () => {
  const { s, ref, actors } = await started()
  await s.during(call(ref('1'), 'set', 60_000_000))
  await fillDisk(s)
  cast(ref('1'), 'add')
  await s.advance(100)
  expect(actors().waiting).toMatchObject({
    count: 1,
    first: [{ entity: 'order/1', what: 'cast add' }],
  })
  expect(await s.during(codeOf(call(ref('2'), 'pay')))).toBe('NO_SPACE')
  expect(actors().refused).toMatchObject({ NO_SPACE: 1 })
  freeDisk(s)
  await s.advance(2_000)
  expect(actors().waiting).toEqual({ count: 0, first: [] })
})

test('an actor that waits for space is told of once, however often its turn is written', async () => {
  const { s, ref, actors } = await started()
  await s.during(call(ref('1'), 'set', 60_000_000))
  const told: unknown[] = []
  telemetry<StorageEvents>(s.system).on('entity.waits', ({ entity: of }) => told.push(of))
  await fillDisk(s)
  for (let at = 0; at < 3; at++) cast(ref('1'), 'add')
  await s.advance(100)
  const [first] = actors().waiting.first
  await s.advance(10_000)

  expect(told).toEqual(['order/1'])
  expect(actors().waiting).toEqual({ count: 1, first: [first] })
  freeDisk(s)
})

test('a step that fails is named with its try, until it has run or its actor is deleted', async () => {
  const { s, ref, actors } = await started()
  isBankAway = true
  for (const id of ['1', '2']) await s.during(call(ref(id), 'pay'))
  await s.advance(2_000)
  expect(actors().failing).toMatchObject({
    count: 2,
    first: [{ entity: 'order/1', what: 'continue charge', tries: 2 }, { entity: 'order/2' }],
  })
  await s.during(s.app.entity(orders).delete('2'))
  expect(actors().failing.count).toBe(1)
  // Its process may end meanwhile.
  await s.during(s.app.entity(orders).stop('1'))
  isBankAway = false
  await s.advance(10_000)
  expect(actors().failing.count).toBe(0)
})

test('repeated failures of one step are one line with its stack, then counts', {
  tags: ['slow'],
}, async () => {
  const { s, ref, lines } = await started()
  isBankAway = true
  for (let id = 0; id < 40; id++) await s.during(call(ref(`${id}`), 'pay'))
  await s.advance(10_000)
  expect(
    lines('continue charge')
      .filter(({ message }) => !message.includes('is stuck'))
      .map(({ message, facts }) => {
        const { reason, count } = facts as { reason?: Error; count?: number }
        return [message, reason?.message, count]
      }),
  ).toEqual([
    [
      expect.stringMatching(/^order\/0: continue charge failed at try 1, .*the bank is away$/),
      'the bank is away',
      undefined,
    ],
    [
      expect.stringMatching(/^order: continue charge has failed 10 times; order\/9 at try 1/),
      undefined,
      10,
    ],
    [expect.stringMatching(/^order: continue charge has failed 100 times; /), undefined, 100],
  ])
  const stuck = lines('is stuck: it has failed 3 times within').map(({ message }) => message)
  expect(stuck).toHaveLength(10)
  expect(stuck[9]).toMatch(/ \(further ones of order are left out for \d+ s\)$/)
})

test('an actor that is blocked is named with the reason, and an alarm that cannot run with its time', async () => {
  const { s, ref, actors } = await started()
  await s.during(call(ref('1'), 'set', 60_000))
  await s.close()
  await s.start({ app: supervisor('app', {}, [entity('order', { ...order, version: 2 })]) })
  const now = s.clock.now()
  await s.advance(120_000)
  const { blocked, overdue } = s.app.health().actors
  expect(blocked).toMatchObject({
    count: 1,
    first: [{ entity: 'order/1', reason: expect.stringContaining('no migrate') }],
  })
  expect(overdue).toMatchObject({ count: 1, first: [{ entity: 'order/1', what: 'alarm ring' }] })
  expect(overdue.first[0]?.at).toBeLessThanOrEqual(now + 60_000)
  expect(actors().failing.count).toBe(0)
})

test('a durable worker that is blocked is named too', async () => {
  const teller = (server: typeof order) =>
    supervisor('app', {}, [worker('teller', server as never, { durable: true })])
  const { s, actors } = await started({ app: teller(order) })
  await s.during(call(s.system.to(name<Messages>('teller')), 'set', 60_000))
  await s.close()

  await s.start({ app: teller({ ...order, version: 2 }) })
  await s.advance(1_000)

  expect(actors().blocked).toMatchObject({
    count: 1,
    first: [{ entity: '$worker/teller', reason: expect.stringContaining('no migrate') }],
  })
})

test('of the alarms that cannot run, 1,000 of a shard are counted, and ten are shown', {
  tags: ['slow'],
}, async () => {
  const { s, ref, actors } = await started()
  const set = (id: number) => call(ref(`${id}`), 'set', 60_000)
  await s.during(Promise.all(Array.from({ length: 2 }, (_, at) => set(at))))
  await s.close()
  const without = { app: supervisor('app', {}, []) }
  await s.start(without)
  await s.advance(120_000)
  expect(actors().overdue).toMatchObject({
    count: 2,
    first: [{ entity: 'order/0', what: 'alarm ring' }, { entity: 'order/1' }],
  })
  await s.close()
  await s.start({ app: supervisor('app', {}, [orders]) })
  await s.during(Promise.all(Array.from({ length: 1_005 }, (_, at) => set(at))))
  await s.close()
  await s.start(without)
  await s.advance(120_000)

  const { count, first } = actors().overdue
  expect([count, first.length]).toEqual([1_000, 10])
})

test('a turn that was refused is counted by its code', async () => {
  const { s, ref, actors } = await started()
  expect(await s.during(codeOf(call(ref('1'), 'grow', 2_000_000)))).toBe('TOO_LARGE')
  expect(actors().refused).toEqual({ TOO_LARGE: 1 })
})
