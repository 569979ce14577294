/** The names of entities and the keys of their rows: they fit LMDB, sort, and are read back. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isWithin } from '../../../src/storage/rows/rows.ts'
import {
  alarmRowKey,
  alarmRows,
  callIdRowKey,
  callIdRows,
  checkEntityId,
  checkKind,
  dueRowKey,
  dueRows,
  entityOf,
  entityRowKey,
  entityRows,
  type IndexBounds,
  indexRowKey,
  indexRows,
  isDueRow,
  isEntity,
  isRowBeside,
  ownRowKey,
  parseDue,
  parseIndex,
  rowTitle,
} from '../../../src/storage/values/entity-key.ts'
import { encodeIndexValue } from '../../../src/storage/values/index-value.ts'
import { compareKeys, shardOf } from '../../../src/storage/values/key.ts'
import { isRowKey } from '../../../src/storage/values/row-codec.ts'
import { rowClassOf, rowKeyBytesMax } from '../../../src/storage/values/row-key.ts'
import { codeOf } from '../../support/error-codes.ts'
import { anyEntity, anyIndexValue, anyRowBeside } from '../../support/worlds/any-command.ts'

const parts = (entity: string): readonly [kind: string, id: string] => {
  const slash = entity.indexOf('/')
  return [entity.slice(0, slash), entity.slice(slash + 1)]
}

describe('a kind', () => {
  it.each(['a', 'order', 'order-line_2', 'aB', 'k'.repeat(64)])('may be %s', (kind) => {
    expect(checkKind(kind)).toBe(kind)
    expect(isEntity(`${kind}/1`)).toBe(true)
  })

  it.each([
    ...['', 'A', '1a', '_a', '-a', 'a b', 'a/b', 'a.b', 'é', 'a\n', 'a\0', 'k'.repeat(65), '$'],
    ...[7, undefined, null, ['a']],
  ])('is refused with INVALID_ARGUMENT: %j', (kind) => {
    expect(codeOf(() => checkKind(kind))).toBe('INVALID_ARGUMENT')
  })

  it('of Keelson’s own begins with a $', () => {
    expect(checkKind('$flow-order')).toBe('$flow-order')
    expect(['$worker/1', '$/1', `$${'k'.repeat(64)}/1`].map(isEntity)).toEqual([true, false, false])
  })
})

describe('the id of an entity', () => {
  it.each(['1', 'a/b', 'a:b', 'счёт', ' ', '\x01', 'i'.repeat(256)])('may be %j', (id) => {
    expect(checkEntityId(id)).toBe(id)
  })

  it.each(['', '{', 'a}', 'a\0', 'a\ud800', 'i'.repeat(257), 'é'.repeat(129), 7, undefined])(
    'is refused with INVALID_ARGUMENT: %j',
    (id) => {
      expect(codeOf(() => checkEntityId(id))).toBe('INVALID_ARGUMENT')
    },
  )

  it('is shown by its beginning when it is too long', () => {
    expect(() => checkEntityId('i'.repeat(4_000))).toThrow(`found "${'i'.repeat(40)}…"`)
  })

  it('decides the shard with its kind, as keys with the tag of both do', () => {
    fc.assert(
      fc.property(anyEntity, fc.integer({ min: 1, max: 64 }), (entity, shards) => {
        expect(shardOf(`{${entity}}:receipt`, shards)).toBe(shardOf(entity, shards))
      }),
    )
  })
})

describe('the row keys of an entity', () => {
  const entityAndRow = anyEntity.chain((entity) =>
    fc.tuple(fc.constant(entity), anyRowBeside(entity)),
  )

  it('keep the form that stands on disk', () => {
    expect(entityRowKey('order/42')).toBe('\0eorder/42')
    expect(alarmRowKey('order/42', 'unpaid')).toBe('\0aorder/42\0unpaid')
    expect(dueRowKey(255, 'order/42', 'unpaid')).toBe('\0d000000000000fforder/42\0unpaid')
    expect(callIdRowKey('order/42', 'req-7')).toBe('\0iorder/42\0req-7')
    expect(indexRowKey('order', 'cents', encodeIndexValue(1), '42')).toBe(
      '\0xorder\0cents\x003bff0000000000000\x0042',
    )
  })

  it('name their entity, fit the projection, and belong beside that entity alone', () => {
    fc.assert(
      fc.property(entityAndRow, anyEntity, ([entity, rowKey], other) => {
        for (const key of [rowKey, entityRowKey(entity)]) {
          expect(entityOf(key)).toBe(entity)
          expect(isRowKey(Buffer.from(key))).toBe(true)
        }
        expect(isRowBeside(entity, rowKey)).toBe(true)
        expect(isRowBeside(entity, entityRowKey(entity))).toBe(false)
        expect(isRowBeside(other, rowKey)).toBe(other === entity)
      }),
      { numRuns: 500 },
    )
  })

  it('fit the projection at their longest', () => {
    const [kind, id, long] = ['k'.repeat(64), 'i'.repeat(256), 'n'.repeat(512)]
    const value = encodeIndexValue('v'.repeat(512))
    const keys = [
      alarmRowKey(`${kind}/${id}`, long),
      dueRowKey(Number.MAX_SAFE_INTEGER, `${kind}/${id}`, long),
      callIdRowKey(`${kind}/${id}`, long),
      indexRowKey(kind, long, value, id),
    ]
    for (const key of keys) {
      expect(Buffer.byteLength(key)).toBeLessThanOrEqual(rowKeyBytesMax)
      expect(isRowBeside(`${kind}/${id}`, key)).toBe(true)
    }
  })

  it.each([
    ['an alarm', (name: string) => alarmRowKey('order/42', name)],
    ['a due alarm', (name: string) => dueRowKey(1, 'order/42', name)],
    ['a call', (name: string) => callIdRowKey('order/42', name)],
    ['an index', (name: string) => indexRowKey('order', name, '0', '42')],
    ['a range of an index', (name: string) => indexRows('order', name)],
  ])('refuse a name of 0 or 513 bytes, ill-formed or with a NUL: %s', (_, make) => {
    for (const name of ['', 'n'.repeat(513), 'é'.repeat(257), 'a\0b', '\ud800'])
      expect(codeOf(() => make(name))).toBe('INVALID_ARGUMENT')
  })

  it.each([-1, 1.5, Number.NaN, 2 ** 53, Number.POSITIVE_INFINITY])(
    'refuse the due time %d',
    (ms) => {
      expect(codeOf(() => dueRowKey(ms, 'order/42', 'unpaid'))).toBe('INVALID_ARGUMENT')
    },
  )

  it.each([
    ['a user’s key', 'order/42'],
    ['a field', 'order\x0042'],
    ['a lock', '\0lorder/42'],
    ['a blob', '\0b00000000000000010000000000001000'],
    ['the marker of compounds', '\0c'],
    ['nothing', ''],
    ['a letter alone', '\0e'],
    ['an entity without an id', '\0eorder/'],
    ['an entity without a kind', '\0e/42'],
    ['an entity without a slash', '\0eorder'],
    ['a main row with a name', '\0eorder/42\0x'],
    ['an alarm without a name', '\0aorder/42'],
    ['an alarm with an empty name', '\0aorder/42\0'],
    ['an alarm with two names', '\0aorder/42\0a\0b'],
    ['a call without an id', '\0iorder/42\0'],
    ['a due time in capitals', '\0d000000000000FForder/42\0a'],
    ['a due time of too few digits', '\0d00000000fforder/42\0a'],
    ['a due time beyond 2^53', '\0d20000000000000order/42\0a'],
    ['an index without a value', '\0xorder\0f\x0042'],
    ['an index with an empty value', '\0xorder\0f\0\x0042'],
    ['an index with too much', '\0xorder\0f\x000\x0042\x001'],
    ['an index of a kind with a slash', '\0xor/der\0f\x000\x0042\x001'],
  ])('are not %s', (_, rowKey) => {
    expect(entityOf(rowKey)).toBe(undefined)
    expect(isRowBeside('order/42', rowKey)).toBe(false)
    expect(codeOf(() => parseDue(rowKey))).toBe('CORRUPT')
    expect(codeOf(() => parseIndex(rowKey))).toBe('CORRUPT')
  })
})

describe('the rows of a kind and of an entity', () => {
  it('are those of that kind, not of one that begins like it', () => {
    const kinds = ['order', 'order-line', 'orde', 'orders']
    for (const kind of kinds)
      for (const other of kinds)
        expect(isWithin(entityRowKey(`${other}/42`), entityRows(kind))).toBe(kind === other)
  })

  it('are the alarms and calls of that entity, not of one that begins like it', () => {
    fc.assert(
      fc.property(anyEntity, anyEntity, (entity, other) => {
        for (const each of [entity, `${entity}1`, other]) {
          expect(isWithin(alarmRowKey(each, 'a'), alarmRows(entity))).toBe(each === entity)
          expect(isWithin(callIdRowKey(each, 'a'), callIdRows(entity))).toBe(each === entity)
        }
        expect(isWithin(callIdRowKey(entity, 'a'), alarmRows(entity))).toBe(false)
      }),
    )
  })
})

describe('due rows', () => {
  const due = fc.oneof(fc.nat(300), fc.maxSafeNat())

  it('are read back: time, entity and name', () => {
    fc.assert(
      fc.property(due, anyEntity, (dueMs, entity) => {
        const rowKey = dueRowKey(dueMs, entity, 'a')
        expect(isDueRow(rowKey)).toBe(true)
        expect(parseDue(rowKey)).toEqual({ dueMs, entity, name: 'a' })
        expect(isDueRow(alarmRowKey(entity, 'a'))).toBe(false)
      }),
    )
  })

  it('sort by their time, whatever their entity', () => {
    fc.assert(
      fc.property(due, due, anyEntity, anyEntity, (one, other, a, b) => {
        fc.pre(one !== other)
        const order = compareKeys(dueRowKey(one, a, 'x'), dueRowKey(other, b, 'y'))
        expect(Math.sign(order)).toBe(Math.sign(one - other))
      }),
    )
  })

  it('are within a range up to their time, inclusive', () => {
    fc.assert(
      fc.property(due, due, anyEntity, (dueMs, upToMs, entity) => {
        const rowKey = dueRowKey(dueMs, entity, 'a')
        expect(isWithin(rowKey, dueRows(upToMs))).toBe(dueMs <= upToMs)
        expect(isWithin(rowKey, dueRows(dueMs))).toBe(true)
        expect(isWithin(rowKey, dueRows(dueMs - 1))).toBe(false)
        expect(isWithin(rowKey, dueRows())).toBe(true)
      }),
    )
    expect(isWithin(entityRowKey('order/42'), dueRows())).toBe(false)
  })
})

describe('the rows of an index', () => {
  const pair = fc.tuple(
    anyIndexValue,
    anyEntity.map((entity) => parts(entity)[1]),
  )

  it('are read back: encoded value and id', () => {
    fc.assert(
      fc.property(pair, ([value, id]) => {
        const encoded = encodeIndexValue(value)
        const rowKey = indexRowKey('order', 'field', encoded, id)
        expect(rowClassOf(rowKey)).toBe('index')
        expect(parseIndex(rowKey)).toEqual({ value: encoded, id })
      }),
    )
  })

  it('are within the bounds of their values, for each bound and for two together', {
    tags: ['slow'],
  }, () => {
    fc.assert(
      fc.property(pair, anyIndexValue, anyIndexValue, ([value, id], first, second) => {
        const encoded = encodeIndexValue(value)
        const rowKey = indexRowKey('order', 'field', encoded, id)
        const [low, high] = [encodeIndexValue(first), encodeIndexValue(second)]
        const above = compareKeys(encoded, low)
        const below = compareKeys(encoded, high)
        const judged = (bounds: IndexBounds) =>
          isWithin(rowKey, indexRows('order', 'field', bounds))
        expect(judged({})).toBe(true)
        expect(judged({ equals: low })).toBe(above === 0)
        expect(judged({ equals: encoded })).toBe(true)
        expect(judged({ gt: low })).toBe(above > 0)
        expect(judged({ gte: low })).toBe(above >= 0)
        expect(judged({ lt: high })).toBe(below < 0)
        expect(judged({ lte: high })).toBe(below <= 0)
        expect(judged({ gt: low, lte: high })).toBe(above > 0 && below <= 0)
        expect(judged({ gte: low, lt: high })).toBe(above >= 0 && below < 0)
      }),
      { numRuns: 1_000 },
    )
  })

  it('keep apart values of which one begins with the other', () => {
    const [a, ab] = [encodeIndexValue('a'), encodeIndexValue('a\x01')]
    const rowKey = indexRowKey('order', 'field', ab, '\x01')
    expect(isWithin(rowKey, indexRows('order', 'field', { equals: a }))).toBe(false)
    expect(isWithin(rowKey, indexRows('order', 'field', { lte: a }))).toBe(false)
    expect(isWithin(rowKey, indexRows('order', 'field', { gt: a }))).toBe(true)
  })

  it('are those of that kind and field, not of ones that begin like them', () => {
    for (const [kind, field] of [
      ['orders', 'field'],
      ['order', 'field2'],
      ['order', 'fiel'],
    ] as const)
      expect(isWithin(indexRowKey(kind, field, '0', '42'), indexRows('order', 'field'))).toBe(false)
  })
})

it('a row is shown by its actor and the key that this gave it, and a key of a user as it is', () => {
  const own = ownRowKey('customer/C1005', '78f8de120a22ba2a', 'note/1')
  expect([own, entityRowKey('order/7'), 'user:1'].map(rowTitle)).toEqual([
    ...['customer/C1005, row note/1', 'order/7', 'user:1'],
  ])
})
