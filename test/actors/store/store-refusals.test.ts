import { describe, expect, test } from 'vitest'
import type { Store } from '../../../src/actors/index.ts'
import { holed, readOnce } from '../../support/read-once.ts'
import { machine, started } from '../../support/worlds/simulated-instance.ts'

/** A store whose types are not looked at: what JavaScript may call it with. */
type Untyped = Record<keyof Store, (...given: unknown[]) => unknown>

const cycle: Record<string, unknown> = {}
cycle.self = cycle

/** A call that is wrong, and where. */
type Wrong = readonly [path: unknown, call: (store: Untyped) => unknown]

const long = 'x'.repeat(1_025)
const mine = { owner: 'me', leaseMs: 5 }

const keys: readonly Wrong[] = [
  ['options', (store) => (store.entries(null) as AsyncIterator<unknown>).next()],
  ['options', (store) => (store.entries(5) as AsyncIterator<unknown>).next()],
  ['key', (store) => store.put('', 1)],
  ['key', (store) => store.set(7, 1)],
  ['key', (store) => store.getSet('a\0b', 1)],
  ['key', (store) => store.append(long, 'x')],
  ['key', (store) => store.setRange('\ud800', 0, 'x')],
  ['key', (store) => store.compareAndSet('_root:a', 1, 2)],
  ['key', (store) => store.delete(null)],
  ['key', (store) => store.lockedPut('', 1, { owner: 'me' })],
  ['key', (store) => store.putField(undefined, 'f', 1)],
  ['key', (store) => store.putFields('', [['f', 1]])],
  ['key', (store) => store.deleteField('', 'f')],
  ['key', (store) => store.expire('', 5)],
  ['key', (store) => store.persist('')],
  ['keys', (store) => store.deleteMany('abc')],
  [['keys', 1], (store) => store.deleteMany(['a', ''])],
  [['keys', 1], (store) => store.deleteMany(holed('a', 'b'))],
  [['keys', 1], (store) => store.unlock(holed('a', 'b'), { owner: 'me' })],
  ['keys', (store) => store.lock('k', mine)],
  ['keys', (store) => store.lock([], mine)],
  [['keys', 0], (store) => store.extend([7], mine)],
  ['keys', (store) => store.unlock({}, { owner: 'me' })],
  ['entries', (store) => store.putMany({ a: 1 })],
  [['entries', 1], (store) => store.putMany([['a', 1], ['b']])],
  [['entries', 0, 'key'], (store) => store.putMany([['', 1]])],
  [['entries', 1], (store) => store.putMany(holed(['a', 1], ['b', 2]))],
  ['field', (store) => store.putField('h', 'f'.repeat(513), 1)],
  ['field', (store) => store.deleteField('h', 'a\0b')],
  ['fields', (store) => store.putFields('h', [])],
  ['fields', (store) => store.putFields('h', 'text')],
  [['fields', 1], (store) => store.putFields('h', holed(['a', 1], ['b', 2]))],
  [['fields', 1, 'field'], (store) => store.putFields('h', new Map([['f', 1] as const, ['', 2]]))],
  ['namespace', (store) => store.clear({ namespace: 'a:b' })],
  ['namespace', (store) => store.clear({ namespace: '' })],
  ['namespace', (store) => store.clear({ namespace: 7 })],
]

const values: readonly Wrong[] = [
  [[], (store) => store.put('k', undefined)],
  [['self'], (store) => store.put('k', cycle)],
  [[0, 'f'], (store) => store.set('k', [{ f: () => 1 }])],
  [[], (store) => store.getSet('k', Symbol('s'))],
  [['__proto__'], (store) => store.put('k', JSON.parse('{"__proto__":1}'))],
  ['suffix', (store) => store.append('k', 7)],
  ['suffix', (store) => store.append('k', [1])],
  [['suffix'], (store) => store.append('k', '\udc00')],
  ['offset', (store) => store.setRange('k', -1, 'x')],
  ['offset', (store) => store.setRange('k', 1.5, 'x')],
  ['patch', (store) => store.setRange('k', 0, null)],
  [['expected', 0], (store) => store.compareAndSet('k', [undefined], 1)],
  [[], (store) => store.compareAndSet('k', 1, undefined)],
  [['entries', 0, 'value', 'a'], (store) => store.putMany([['k', { a: new Error('no value') }]])],
  [[], (store) => store.putField('h', 'f', undefined)],
  [['fields', 0, 'value'], (store) => store.putFields('h', [['f', undefined]])],
  ['ttlMs', (store) => store.expire('k', 0)],
  ['ttlMs', (store) => store.expire('k')],
]

const options: readonly Wrong[] = [
  ['options', (store) => store.put('k', 1, null)],
  ['options', (store) => store.clear('user')],
  ['nx', (store) => store.put('k', 1, { nx: true })],
  ['ttl', (store) => store.append('k', 'x', { ttl: 5 })],
  ['ttlMs', (store) => store.append('k', 'x', { ttlMs: 5 })],
  ['ttlMs', (store) => store.set('k', 1, { ttlMs: -1 })],
  ['ttlMs', (store) => store.put('k', 1, { ttlMs: 1, expiresAt: 1 })],
  ['expiresAt', (store) => store.compareAndSet('k', 1, 2, { expiresAt: 0.5 })],
  ['nx', (store) => store.set('k', 1, { nx: true, xx: true })],
  ['nx', (store) => store.set('k', 1, { nx: 1 })],
  ['keepTtl', (store) => store.set('k', 1, { keepTtl: true, ttlMs: 5 })],
  ['get', (store) => store.set('k', 1, { get: 'yes' })],
  ['owner', (store) => store.put('k', 1, { owner: '' })],
  ['owner', (store) => store.delete('k', { owner: 'x'.repeat(257) })],
  ['owner', (store) => store.lock(['k'], { leaseMs: 5 })],
  ['owner', (store) => store.unlock(['k'], {})],
  ['owner', (store) => store.lockedPut('k', 1, { ttlMs: 5 })],
  ['owner', (store) => store.lockedPut('k', 1)],
  ['leaseMs', (store) => store.lock(['k'], { owner: 'me' })],
  ['leaseMs', (store) => store.extend(['k'], { owner: 'me', leaseMs: 0 })],
  ['leaseMs', (store) => store.unlock(['k'], mine)],
  ['ack', (store) => store.putMany([['k', 1]], { ack: 'replicated' })],
  ['ack', (store) => store.clear({ ack: 'durable' })],
  ['deadlineMs', (store) => store.deleteMany(['k'], { deadlineMs: 0 })],
  ['whenFull', (store) => store.persist('k', { whenFull: 'drop' })],
]

const reads: readonly Wrong[] = [
  ['key', (store) => store.get('')],
  ['key', (store) => store.has(1)],
  ['key', (store) => store.ttl('a\0b')],
  ['keys', (store) => store.getMany('abc')],
  [['keys', 1], (store) => store.getMany(['a', undefined])],
  ['key', (store) => store.fields('')],
  ['field', (store) => store.getField('h', '')],
  ['from', (store) => store.getRange('k', -1, 2)],
  ['to', (store) => store.getRange('k', 0)],
  ['limit', (store) => store.range({ limit: 0 })],
]

const said = (wrong: readonly Wrong[]) =>
  wrong.map(
    ([path, call]) =>
      [
        String(call)
          .replace(/^\(store\) => |\s+/g, ' ')
          .trim(),
        path,
        call,
      ] as const,
  )

/** Each write that has options, with all that can go together. */
const settings: readonly ((store: Store) => unknown)[] = [
  (store) => store.put('k', 1, readOnce({ ttlMs: 5, owner: 'me', deadlineMs: 50 })),
  (store) => store.set('k', 1, readOnce({ nx: true, ttlMs: 5, get: true, owner: 'me' })),
  (store) => store.getSet('k', 1, readOnce({ owner: 'me', whenFull: 'wait' } as const)),
  (store) => store.compareAndSet('k', undefined, 1, readOnce({ ttlMs: 5, owner: 'me' })),
  (store) => store.lockedPut('k', 1, readOnce({ ttlMs: 5, owner: 'me' })),
  (store) => store.lock(['k'], readOnce({ owner: 'me', leaseMs: 5, windowMs: 0 })),
  (store) => store.putMany([['k', 1]], readOnce({ expiresAt: 0, owner: 'me' })),
  (store) => store.putStream('k', [Buffer.of(1)], readOnce({ size: 1, ttlMs: 5, owner: 'me' })),
  (store) => store.clear(readOnce({ namespace: 'n', owner: 'me', ack: 'applied' } as const)),
  (store) =>
    store
      .batch()
      .put('k', 1, readOnce({ ttlMs: 5, owner: 'me' }))
      .commit(),
  (store) => store.page(readOnce({ prefix: 'k', limit: 1, freshness: 'applied' } as const)),
]

test.each(settings.map((call) => [String(call).replace(/\s+/g, ' '), call] as const))(
  '%s reads its options once',
  async (_, call) => {
    const { store, during } = await started()

    await during(Promise.resolve(call(store)))
  },
)

describe('a write', () => {
  test.each(said([...keys, ...values, ...options]))(
    '%s is refused at the caller, at %j, and leaves nothing behind',
    async (_, path, call) => {
      const { disk, start, during } = machine()
      const { store, shards } = await start()
      const [before, load] = [disk.writes, shards[0]?.gate.load]

      const error = await (call(store as unknown as Untyped) as Promise<unknown>).then(
        () => 'resolved',
        (failure) => failure,
      )

      expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', details: { path } })
      expect([disk.writes, shards[0]?.gate.load]).toEqual([before, load])
      await during(store.put('after', 1))
      expect(store.range().entries).toEqual([['after', 1]])
    },
  )
})

describe('a read', () => {
  test.each(said(reads))('%s throws, at %j', async (_, path, call) => {
    const { start } = machine()
    const { store } = await start()

    expect(() => call(store as unknown as Untyped)).toThrow(
      expect.objectContaining({
        code: 'INVALID_ARGUMENT',
        details: expect.objectContaining({ path }),
      }),
    )
  })
})
