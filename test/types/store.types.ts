/** Compiled, never run: what the types of the store let through, and what they refuse. */
import type { Readable } from 'node:stream'
import type {
  Batch,
  BatchAnswer,
  ByteSource,
  Store,
  Written,
  WrittenMany,
} from '../../src/index.ts'

declare const store: Store
declare const isNew: boolean

/** Whether two types are one. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false

/** Compiles for `true` only. */
const isTrue = <T extends true>(..._types: T[]): void => undefined

export const uses = async (): Promise<void> => {
  const untyped = store.get('k')
  const put: Written = await store.put('k', { a: 1 }, { ttlMs: 5, ack: 'projected' })
  const level: 'written' | undefined = put.level
  await store.put('k', 'text', { expiresAt: put.position.lsn, owner: 'me', whenFull: 'refuse' })
  const { written } = await store.set('k', 1, { nx: true, ttlMs: 5 })
  const { previous } = await store.set('k', 1, { xx: isNew, keepTtl: true, get: true })
  isTrue<Same<typeof written, boolean>>()
  isTrue<Same<typeof previous, unknown>>()
  const before: unknown = (await store.getSet('k', 2)).previous
  const { length }: { length: number } = await store.append('k', Buffer.of(1), { owner: 'me' })
  await store.setRange('k', length, 'patch')
  const compared = await store.compareAndSet('k', undefined, 1, { ttlMs: 5 })
  if (compared.swapped) isTrue<Same<typeof compared.current, undefined>>()
  else isTrue<Same<typeof compared.current, unknown>>()
  const { value } = await store.update<number>('k', (n = 0) => n + 1, { ttlMs: 5 })
  isTrue<Same<typeof value, number>>()
  const read = store.get<{ a: number }>('k')
  isTrue<Same<typeof read, { a: number } | undefined>>()
  isTrue<Same<typeof untyped, unknown>>()
  const { existed }: { existed: boolean } = await store.delete('k', { deadlineMs: 5 })
  const many: WrittenMany = await store.putMany(new Map([['k', before]]), { ttlMs: 1 })
  await store.putMany(Object.entries({ k: many.positions }))
  const { deleted }: { deleted: number } = await store.deleteMany(new Set(['k']))
  const { until }: { until: number } = await store.lock(['k'], { owner: 'me', leaseMs: 5 })
  await store.extend(['k'], { owner: 'me', leaseMs: until })
  await store.lockedPut('k', 1, { owner: 'me', ttlMs: 5 })
  const { released }: { released: number } = await store.unlock(['k'], { owner: 'me' })
  const { created }: { created: boolean } = await store.putField('h', 'f', 1)
  const fields: readonly boolean[] = (await store.putFields('h', [['f', created]])).created
  await store.deleteField('h', 'f')
  await store.expire('k', 5)
  await store.persist('k')
  const { removed }: { removed: number } = await store.clear({ namespace: 'user' })
  void [level, existed, deleted, released, fields, removed]
}

export const batches = async (): Promise<void> => {
  const { position, answers } = await store
    .batch()
    .put('k', 1, { ttlMs: 5 })
    .set('k', 2, { xx: true })
    .set('k', 3, { get: true })
    .delete('k')
    .append('k', 'x')
    .lock(['k'], { owner: 'me', leaseMs: 5 })
    .putFields('h', [['f', 1]])
    .commit({ ack: 'projected' })
  const [put, set, got, deletion, appended, lock, fields] = answers
  isTrue<Same<typeof answers.length, 7>>()
  isTrue<Same<typeof set.written, boolean>>()
  isTrue<Same<typeof got.previous, unknown>>()
  isTrue<Same<typeof deletion.existed, boolean>>()
  isTrue<Same<typeof appended.length, number>>()
  isTrue<Same<typeof lock.until, number>>()
  isTrue<Same<typeof fields.created, readonly boolean[]>>()
  void [position, put]

  let loop: Batch<readonly BatchAnswer[]> = store.batch()
  for (const key of ['a', 'b']) loop = loop.put(key, 1)
  const each: readonly BatchAnswer[] = (await loop.commit()).answers
  void each
}

export const reads = async (): Promise<void> => {
  const value: unknown = store.get('k')
  const left: number | undefined = store.ttl('k')
  const values: unknown[] = store.getMany(new Set(['k']))
  const fields: Map<string, unknown> = store.fields('h')
  const field: unknown = store.getField('h', 'f')
  const bytes: Buffer = store.getRange('k', 0, 10)
  const whole: unknown = await store.load('k')
  const stream: Readable | undefined = store.getStream('k', { from: 1 })
  const source: ByteSource = ['text', Buffer.of(1)]
  const { length, sha256 }: { length: number; sha256: string } = await store.putStream('k', source)
  await store.putStream('k', stream ?? [], { size: length, ttlMs: 5 })
  const { entries, cursor } = store.range({ prefix: 'a:', reverse: true })
  const next = cursor === undefined ? store.range() : store.range({ prefix: 'a:', cursor })
  for await (const [key, one] of store.entries({ gte: 'a', lt: 'b' })) void [key, one]
  void [whole, sha256, value, left, values, fields, field, bytes, entries, next]
}

export const misuses = async (): Promise<void> => {
  // @ts-expect-error a time to live and a moment at once
  await store.put('k', 1, { ttlMs: 1, expiresAt: 1 })
  // @ts-expect-error an option of set
  await store.put('k', 1, { nx: true })
  // @ts-expect-error a key is text
  await store.put(1, 1)
  // @ts-expect-error no such level
  await store.put('k', 1, { ack: 'durable' })
  // @ts-expect-error only when absent and only when present
  await store.set('k', 1, { nx: true, xx: true })
  // @ts-expect-error the expiry that is there and another one
  await store.set('k', 1, { keepTtl: true, ttlMs: 5 })
  // @ts-expect-error what was there is answered only when asked for
  void (await store.set('k', 1)).previous
  // @ts-expect-error structured values have no end to append to
  await store.append('k', { a: 1 })
  // @ts-expect-error an offset is a number
  await store.setRange('k', 'patch', 0)
  // @ts-expect-error a lock has a lease
  await store.lock(['k'], { owner: 'me' })
  // @ts-expect-error a lock has an owner
  await store.lock(['k'], { leaseMs: 5 })
  // @ts-expect-error nobody's lock cannot be given up
  await store.unlock(['k'])
  // @ts-expect-error a locked put names the owner
  await store.lockedPut('k', 1, { ttlMs: 5 })
  // @ts-expect-error pairs, not a record
  await store.putMany({ k: 1 })
  // @ts-expect-error a field has a value
  await store.putField('h', 'f')
  // @ts-expect-error there is nothing to say of a put
  void (await store.put('k', 1)).existed
  // @ts-expect-error several positions, one for each entry
  void (await store.putMany([['k', 1]])).position
  // @ts-expect-error a batch is acknowledged as a whole
  store.batch().put('k', 1, { ack: 'projected' })
  // @ts-expect-error only two commands answer
  void (await store.batch().put('k', 1).delete('k').commit()).answers[2]
  // @ts-expect-error the first command is a put
  void (await store.batch().put('k', 1).delete('k').commit()).answers[0].existed
  // @ts-expect-error a namespace has a name
  await store.clear('user')
  // @ts-expect-error an end without a unit
  await store.expire('k', { ttlMs: 5 })
  // @ts-expect-error a range has two ends
  store.getRange('k')
  // @ts-expect-error chunks are bytes or text
  await store.putStream('k', [1])
  // @ts-expect-error a size is a number
  await store.putStream('k', [], { size: 10n })
  // @ts-expect-error a limit is a number
  store.range({ limit: '10' })
}
