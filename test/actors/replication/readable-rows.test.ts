/** Rows as people read them with SQL: what is shown of a value, of fields, and of a durable actor. */
import { describe, expect, test } from 'vitest'
import type { ShardCore } from '../../../src/actors/core/shard-core.ts'
import { jsonText, readableChange } from '../../../src/actors/replication/readable-key.ts'
import { isShown } from '../../../src/actors/replication/replica-chunk.ts'
import { replication as checkReplication } from '../../../src/actors/replication/replication-options.ts'
import { config } from '../../../src/check.ts'
import type { Row } from '../../../src/storage/index.ts'
import { compoundHead } from '../../../src/storage/rows/field-commands.ts'
import { blobRope, storedRope } from '../../../src/storage/values/rope.ts'
import { encodeValue } from '../../../src/storage/values/value.ts'

const KiB = 1024

/** What is shown of a key with this row, whose fields have these values. */
const shownOf = (row: Row | undefined, fields: readonly (readonly [string, unknown])[] = []) => {
  const view = {
    get: (key: string, now: number) => (key === 'k' && now === 5 ? row : undefined),
    fields: (key: string, now: number) =>
      key === 'k' && now === 5
        ? fields.map(([name, value]) => [name, { value: encodeValue(value), expiresAt: 0 }])
        : [],
  }
  const shard = { appliedLsn: 9, now: () => 5, view: () => view } as unknown as ShardCore
  const change = readableChange(shard, 'k')
  return change.kind === 'key' ? { ...change.row, asOf: change.asOf } : change
}

const valued = (value: unknown, expiresAt = 0): Row => ({ value: encodeValue(value), expiresAt })

describe('a key', () => {
  test('is shown with its value as JSON, its size and its expiry', () => {
    const size = encodeValue({ a: 1 }).bytes.length
    expect(shownOf(valued({ a: 1 }, 70))).toEqual({
      ...{ key: 'k', type: 'structured', size, json: '{"a":1}', expiresAt: 70, asOf: 9 },
    })
    expect(shownOf(valued('text'))).toMatchObject({ type: 'text', size: 4, json: '"text"' })
    expect(shownOf(undefined)).toEqual({ kind: 'gone', key: 'k' })
  })

  test('is shown as bytes when JSON cannot say its value', () => {
    const bytes = Buffer.of(1, 2)
    expect(shownOf(valued(bytes))).toMatchObject({ type: 'bytes', size: 2, bytes })
    expect(shownOf(valued('a\0b'))).toMatchObject({ type: 'text', bytes: Buffer.from('a\0b') })
    expect(shownOf(valued('a\0b'))).not.toHaveProperty('json')
  })

  test('with more than 64 KiB is shown with its size only', () => {
    const json = JSON.stringify('x'.repeat(64 * KiB))
    expect(shownOf(valued('x'.repeat(64 * KiB)))).toMatchObject({ size: 64 * KiB, json })
    const large = shownOf(valued('x'.repeat(64 * KiB + 1)))
    expect(large).toEqual({ ...{ key: 'k', expiresAt: 0, asOf: 9 }, type: 'text', size: 65_537 })
    const ref = { size: 3, segment: 1, offset: 1, sha256: new Uint8Array(32) }
    const blob = { value: storedRope(blobRope(1, ref)), expiresAt: 0 }
    expect(shownOf(blob)).toEqual({ ...{ key: 'k', expiresAt: 0, asOf: 9 }, type: 'text', size: 3 })
  })

  test('with fields is shown as an object of them, up to 1,000 and 64 KiB', () => {
    const fields = [
      ['a', 1],
      ['b', Uint8Array.of(1)],
      ['c\0', 2],
    ] as const
    const head = compoundHead(3, 0)
    expect(shownOf(head, fields)).toMatchObject({
      ...{ type: 'fields', size: 3, json: '{"a":1,"b":null}' },
    })
    const only = (size: number) => ({ key: 'k', expiresAt: 0, asOf: 9, type: 'fields', size })
    expect(shownOf(compoundHead(1_000, 0), fields)).toHaveProperty('json')
    expect(shownOf(compoundHead(1_001, 0), fields)).toEqual(only(1_001))
    const half = 'x'.repeat(32 * KiB - 1)
    expect(
      shownOf(head, [
        ['a', half],
        ['b', half],
      ]),
    ).toHaveProperty('json')
    expect(
      shownOf(head, [
        ['a', half],
        ['b', `${half}x`],
      ]),
    ).toEqual(only(3))
  })
})

describe('JSON', () => {
  test('says what is within lists, sets, maps and objects', () => {
    const inside = [1n, Uint8Array.of(1, 2), new Date(0)]
    const shown = '["1","AQI=","1970-01-01T00:00:00.000Z"]'
    expect(jsonText(inside)).toBe(shown)
    expect(jsonText({ a: inside })).toBe(`{"a":${shown}}`)
    expect(jsonText(new Set([inside]))).toBe(`[${shown}]`)
    expect(jsonText(new Map([['a', inside]]))).toBe(`{"a":${shown}}`)
    expect(
      jsonText(
        new Map<unknown, unknown>([
          ['a', 1],
          [inside, 2n],
        ]),
      ),
    ).toBe(`[["a",1],[${shown},"2"]]`)
    expect(jsonText([null, true, { a: null }, 'x'])).toBe('[null,true,{"a":null},"x"]')
    expect(jsonText(Buffer.from('xABx').subarray(1, 3))).toBe(
      `"${Buffer.from('AB').toString('base64')}"`,
    )
  })

  test('says values up to a depth of 64', () => {
    const nested = (levels: number, end: unknown, around: (inside: unknown) => unknown) => {
      let value = end
      for (let level = 0; level < levels; level++) value = around(value)
      return value
    }
    // A value that is copied first counts as a level itself.
    for (const around of [(inside: unknown) => [inside], (inside: unknown) => ({ inside })])
      for (const [end, levels] of [
        [1, 65],
        [1n, 64],
      ] as const) {
        expect(jsonText(nested(levels, end, around))).toBeDefined()
        expect(jsonText(nested(levels + 1, end, around))).toBeUndefined()
      }
  })
})

test('actors of users and workers are shown, and positions in the journal are not', () => {
  expect(['order/1', '$worker/1', '$subscription/1'].map(isShown)).toEqual([true, true, false])
})

describe('the option replication', () => {
  const client = { open: () => undefined, read: () => undefined, description: 'none' } as never
  const codeOf = (replication: unknown): unknown => {
    try {
      return checkReplication(replication, config('replication'))
    } catch (error) {
      return (error as { code: string }).code
    }
  }

  test('has its defaults', () => {
    expect(checkReplication([], config())).toEqual([])
    expect(checkReplication([{ client }], config())).toEqual([
      { replica: client, required: false, chunkBytes: KiB * KiB },
    ])
    const chunkBytes = 64 * KiB * KiB
    expect(checkReplication([{ client, required: true, chunkBytes }], config())).toEqual([
      { replica: client, required: true, chunkBytes },
    ])
    expect(checkReplication([{ client, chunkBytes: 1 }], config())[0]?.chunkBytes).toBe(1)
  })

  test.each([
    ['is no list', { client }],
    ['has no object', [7]],
    ['has null', [null]],
    ['has no client', [{}]],
    ['has a client that cannot be opened', [{ client: {} }]],
    ['has another option', [{ client, require: true }]],
    ['has another word for required', [{ client, required: 'yes' }]],
    ['has chunks of no byte', [{ client, chunkBytes: 0 }]],
    ['has chunks of half a byte', [{ client, chunkBytes: 1.5 }]],
    ['has chunks that are too large', [{ client, chunkBytes: 64 * KiB * KiB + 1 }]],
  ])('that %s is refused as configuration', (_, replication) => {
    expect(codeOf(replication)).toBe('CONFIG')
  })
})
