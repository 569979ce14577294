/** Writes of users, drawn by fast-check: how each is called, and the command that the log should carry for it. */
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import type { BatchAnswer, Store, Written, WrittenMany } from '../../../src/actors/index.ts'
import {
  type Command,
  decodeRope,
  encodeValue,
  type StoredValue,
  type Unit,
  valueTags,
} from '../../../src/storage/index.ts'
import { keysOf, type Transaction, type Write } from './store-model.ts'

/** Few keys, so that writes meet: plain ones, some of a namespace, and two that share a shard whatever their number. */
export const keys = ['a', 'é', 'n:a', 'n:b', '{t}x', '{t}y'] as const

const key = fc.constantFrom(...keys)
const together = fc.oneof(
  key.map((one) => [one]),
  fc.constant(['{t}x', '{t}y']),
  // Now and then keys that may be in two shards.
  fc.uniqueArray(key, { minLength: 1, maxLength: 3 }),
)
const text = fc.oneof(
  { weight: 12, arbitrary: fc.constantFrom('', 'x', 'hello', 'žluťoučký 🐎', 'y'.repeat(300)) },
  // A few fill a segment, and several of them no unit can carry.
  { weight: 1, arbitrary: fc.constant('z'.repeat(24_000)) },
)
const bytes = fc.constantFrom(Buffer.alloc(0), Buffer.of(0xff, 0, 1), Buffer.alloc(200, 7))
const content = fc.oneof(text, bytes)
const value: fc.Arbitrary<unknown> = fc.oneof(
  content,
  fc.constantFrom(null, true, 7, Number.NaN, 12n),
  fc.constantFrom({ a: 1, b: [2] }, { b: [2], a: 1 }, new Map([['k', new Set([1])]]), [1, 'x'], {}),
  // Distinct values, so that a wrong one is detected.
  fc.nat().map((n) => ({ n })),
)
const ends = fc.oneof(
  { weight: 4, arbitrary: fc.constant({}) },
  { weight: 2, arbitrary: fc.constantFrom(1, 5, 40, 2_000).map((ttlMs) => ({ ttlMs })) },
  { weight: 1, arbitrary: fc.constantFrom(0, 1, 10 ** 14).map((expiresAt) => ({ expiresAt })) },
)
const owned = fc.oneof(
  { weight: 3, arbitrary: fc.constant({}) },
  { weight: 1, arbitrary: fc.constantFrom('me', 'you').map((owner) => ({ owner })) },
)
const owner = fc.constantFrom('me', 'you')
const field = fc.constantFrom('f', 'g', 'ü')
const pairs = <T>(name: fc.Arbitrary<T>) =>
  fc.array(fc.tuple(name, value), { minLength: 1, maxLength: 4 })

const with_ = <T extends object>(
  own: fc.Arbitrary<T>,
  ...others: readonly fc.Arbitrary<object>[]
): fc.Arbitrary<T> => fc.tuple(own, ...others).map((parts) => Object.assign({}, ...parts) as T)

const plain = fc.oneof(
  with_(fc.record({ kind: fc.constant('put' as const), key, value }), ends, owned),
  with_(
    fc.record({ kind: fc.constant('set' as const), key, value }),
    fc.constantFrom({}, { nx: true }, { xx: true }),
    fc.oneof(ends, fc.constant({ keepTtl: true })),
    fc.constantFrom({}, { get: true }),
    owned,
  ),
  with_(fc.record({ kind: fc.constant('getSet' as const), key, value }), owned),
  with_(fc.record({ kind: fc.constant('append' as const), key, suffix: content }), owned),
  with_(
    fc.record({
      kind: fc.constant('setRange' as const),
      key,
      offset: fc.constantFrom(0, 1, 3, 9, 400),
      patch: content,
    }),
    owned,
  ),
  with_(
    fc.record({
      kind: fc.constant('compareAndSet' as const),
      key,
      expected: fc.oneof(fc.constant(undefined), value),
      value,
    }),
    ends,
    owned,
  ),
  with_(fc.record({ kind: fc.constantFrom('delete' as const, 'persist' as const), key }), owned),
  with_(
    fc.record({ kind: fc.constant('expire' as const), key, ttlMs: fc.constantFrom(1, 30, 900) }),
    owned,
  ),
)
const fields = fc.oneof(
  with_(fc.record({ kind: fc.constant('putField' as const), key, field, value }), owned),
  with_(fc.record({ kind: fc.constant('putFields' as const), key, fields: pairs(field) }), owned),
  with_(fc.record({ kind: fc.constant('deleteField' as const), key, field }), owned),
)
const locks = fc.oneof(
  fc.record({
    kind: fc.constantFrom('lock' as const, 'extend' as const),
    keys: together,
    owner,
    leaseMs: fc.constantFrom(1, 20, 500),
  }),
  fc.record({ kind: fc.constant('unlock' as const), keys: together, owner }),
)
const many = fc.oneof(
  with_(fc.record({ kind: fc.constant('putMany' as const), entries: pairs(key) }), ends, owned),
  with_(
    fc.record({ kind: fc.constant('deleteMany' as const), keys: fc.array(key, { maxLength: 4 }) }),
    owned,
  ),
)
const clear = with_(
  fc.record({ kind: fc.constant('clear' as const) }),
  fc.constantFrom({}, { namespace: 'n' }, { namespace: '_root' }),
  owned,
)

/** A write, or a batch of some. Its keys may be in two shards. */
export const transaction: fc.Arbitrary<Transaction> = fc.oneof(
  { weight: 12, arbitrary: plain },
  { weight: 5, arbitrary: fields },
  { weight: 3, arbitrary: locks },
  { weight: 3, arbitrary: many },
  { weight: 1, arbitrary: clear },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('batch' as const),
      writes: fc.array(
        fc.oneof(
          plain,
          fields,
          locks,
          many.filter((one) => one.kind === 'putMany' || one.keys.length > 0),
        ),
        { minLength: 1, maxLength: 4 },
      ),
    }),
  },
) as fc.Arbitrary<Transaction>

/** What a call of the store answers, whichever it is. */
export type Answered = Written | WrittenMany | (Written & { answers: readonly BatchAnswer[] })

/** The options of a write: the write without its key and content. */
const optionsOf = (write: Write): never => {
  const { kind: _, ...rest } = write
  for (const name of named[write.kind] ?? []) delete (rest as Record<string, unknown>)[name]
  return rest as never
}

const named: { readonly [kind in Write['kind']]?: readonly string[] } = {
  put: ['key', 'value'],
  set: ['key', 'value'],
  getSet: ['key', 'value'],
  append: ['key', 'suffix'],
  setRange: ['key', 'offset', 'patch'],
  compareAndSet: ['key', 'expected', 'value'],
  delete: ['key'],
  persist: ['key'],
  deleteMany: ['keys'],
  putMany: ['entries'],
  lock: ['keys'],
  extend: ['keys'],
  unlock: ['keys'],
  putField: ['key', 'field', 'value'],
  putFields: ['key', 'fields'],
  deleteField: ['key', 'field'],
  expire: ['key', 'ttlMs'],
}

/** What a write is called with, in the order of the call's arguments. */
const argumentsOf = (write: Write, more: object): unknown[] => {
  const all: Readonly<Record<string, unknown>> = write
  return [
    ...(named[write.kind] ?? []).map((name) => all[name]),
    Object.assign(optionsOf(write) as object, more),
  ]
}

/** Calls the store as a user would. `options` are those of every write. */
export const callOf = (store: Store, done: Transaction, options: object): Promise<Answered> => {
  const call = (on: object, write: Write, more: object): unknown =>
    (on as Record<string, (...given: unknown[]) => unknown>)[write.kind]?.(
      ...argumentsOf(write, more),
    )
  if (done.kind !== 'batch') return call(store, done, options) as Promise<Answered>
  const batch = store.batch()
  for (const write of done.writes) call(batch, write, {})
  return batch.commit(options)
}

/** The units that the log should carry for it, by the shard of each. */
export const unitsOf = (
  done: Transaction,
  shards: number,
  shardOf: (key: string) => number,
): readonly (readonly [shard: number, unit: Unit, part: Transaction])[] => {
  if (done.kind === 'batch') {
    const unit: Unit = { kind: 'batch', commands: done.writes.map(commandOf) }
    return [[shardOf(firstKey(done.writes[0])), unit, done]]
  }
  const one = (shard: number, part: Write) => [shard, commandOf(part), part] as const
  const all = Array.from({ length: shards }, (_, shard) => shard)
  if (done.kind === 'clear') return all.map((shard) => one(shard, done))
  if (done.kind !== 'putMany' && done.kind !== 'deleteMany')
    return [one(shardOf(firstKey(done)), done)]
  return all.flatMap((shard) => {
    const isHere = (key: string) => shardOf(key) === shard
    const part: Write =
      done.kind === 'putMany'
        ? { ...done, entries: done.entries.filter(([each]) => isHere(each)) }
        : { ...done, keys: done.keys.filter(isHere) }
    const size = part.kind === 'putMany' ? part.entries.length : part.keys.length
    return size > 0 ? [one(shard, part)] : []
  })
}

const firstKey = (write: Write | undefined): string => (write && keysOf(write)[0]) ?? ''

const expiryOf = ({ ttlMs, expiresAt }: { ttlMs?: number; expiresAt?: number }) =>
  ttlMs !== undefined
    ? ({ kind: 'after', ms: ttlMs } as const)
    : expiresAt
      ? ({ kind: 'at', ms: expiresAt } as const)
      : ({ kind: 'none' } as const)

const commandOf = (write: Write): Command => {
  const owned = 'owner' in write && write.owner !== undefined ? { owner: write.owner } : {}
  switch (write.kind) {
    case 'put':
    case 'getSet':
      return {
        ...(write.kind === 'put' ? { kind: 'put', expiry: expiryOf(write) } : { kind: 'getSet' }),
        key: write.key,
        value: encodeValue(write.value),
        ...owned,
      } as Command
    case 'set':
      return {
        kind: 'set',
        key: write.key,
        value: encodeValue(write.value),
        expiry: write.keepTtl ? { kind: 'keep' } : expiryOf(write),
        condition: write.nx ? 'absent' : write.xx ? 'present' : 'always',
        get: write.get === true,
        ...owned,
      }
    case 'append':
      return { kind: 'append', key: write.key, suffix: encodeValue(write.suffix), ...owned }
    case 'setRange':
      return {
        kind: 'setRange',
        key: write.key,
        offset: write.offset,
        patch: encodeValue(write.patch),
        ...owned,
      }
    case 'compareAndSet':
      return {
        kind: 'compareAndSet',
        key: write.key,
        expected: write.expected === undefined ? undefined : encodeValue(write.expected),
        value: encodeValue(write.value),
        expiry:
          write.ttlMs === undefined && write.expiresAt === undefined
            ? { kind: 'keep' }
            : expiryOf(write),
        ...owned,
      }
    case 'putMany':
      return {
        kind: 'putMany',
        entries: write.entries.map(([each, one]) => ({
          key: each,
          value: encodeValue(one),
          expiry: expiryOf(write),
        })),
        ...owned,
      }
    case 'putField':
      return { ...write, value: encodeValue(write.value) }
    case 'putFields':
      return {
        ...write,
        fields: write.fields.map(([name, one]) => [name, encodeValue(one)] as const),
      }
    case 'expire':
      return {
        kind: 'expire',
        key: write.key,
        expiry: { kind: 'after', ms: write.ttlMs },
        ...owned,
      }
    case 'clear':
      return { kind: 'clear', namespace: write.namespace, ...owned }
    default:
      return write as Command
  }
}

/** A unit as text: equal for units that do the same, whatever memory their values are in. */
export const unitText = (unit: Unit): string =>
  JSON.stringify(unit, (_, part: unknown) => (isStored(part) ? textOf(part) : ordered(part)))

const ordered = (part: unknown): unknown =>
  typeof part === 'object' && part !== null && !Array.isArray(part)
    ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
    : part

const isStored = (part: unknown): part is StoredValue =>
  typeof part === 'object' && part !== null && 'tag' in part && 'bytes' in part

/** Content in a blob is compared by its checksum, like other content. */
const textOf = ({ tag, bytes: stored }: StoredValue): string => {
  if (tag !== valueTags.blob) return `${tag}:${createHash('sha256').update(stored).digest('hex')}`
  const { content, parts } = decodeRope(stored)
  const [part] = parts
  if (part?.kind !== 'blob' || parts.length > 1) throw new Error('a frame carries whole blobs')
  return `${content}:${Buffer.from(part.ref.sha256).toString('hex')}`
}

/**
 * The same with bytes for every patch. Where values are in blobs, a patch of text is not known to leave characters whole,
 * so that the kind of what it makes depends on where the blobs are, which the model does not know.
 */
export const withPatchesOfBytes = (done: Transaction): Transaction => {
  if (done.kind === 'batch')
    return { ...done, writes: done.writes.map((write) => withPatchesOfBytes(write) as Write) }
  return done.kind === 'setRange' ? { ...done, patch: Buffer.from(done.patch) } : done
}
