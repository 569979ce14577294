import { describe, expect, test } from 'vitest'
import {
  blobValueRef,
  withBlobs as prepare,
  sideChannelCandidate,
} from '../../../src/actors/blobs/blob-command.ts'
import {
  alarmRowKey,
  type BlobRef,
  type Command,
  decodeRope,
  mainRowOf,
  noExpiry,
  refsOfUnit,
  type StoredValue,
  type Unit,
  valueTags,
} from '../../../src/storage/index.ts'

const terms = { threshold: 100, replicated: false }
const large = (seed: number, size = 100): StoredValue => ({
  tag: valueTags.bytes,
  bytes: new Uint8Array(size).fill(seed),
})
const small: StoredValue = { tag: valueTags.text, bytes: new TextEncoder().encode('small') }
const unit = (command: Command): Unit => command

/** A store that records its puts. */
const store = () => {
  const puts: Uint8Array[][] = []
  const put = (payloads: readonly Uint8Array[]): Promise<readonly BlobRef[]> => {
    const before = puts.flat().length
    puts.push([...payloads])
    return Promise.resolve(
      payloads.map(({ length }, at) => ({
        size: length,
        segment: 7,
        offset: 4096 * (before + at) + 48,
        sha256: new Uint8Array(32).fill(payloads[at]?.[0] ?? 0),
      })),
    )
  }
  return { puts, put }
}

/** Every command with one large value, and how to find the value. */
const shapes: readonly [string, (value: StoredValue) => Command, (command: Command) => unknown][] =
  [
    [
      'put',
      (value) => ({ kind: 'put', key: 'k', value, expiry: noExpiry }),
      (c) => 'value' in c && c.value,
    ],
    [
      'put with an owner',
      (value) => ({ kind: 'put', key: 'k', value, expiry: noExpiry, owner: 'me' }),
      (c) => 'value' in c && c.value,
    ],
    [
      'set',
      (value) => ({
        kind: 'set',
        key: 'k',
        value,
        expiry: { kind: 'keep' },
        condition: 'absent',
        get: true,
      }),
      (c) => 'value' in c && c.value,
    ],
    ['getSet', (value) => ({ kind: 'getSet', key: 'k', value }), (c) => 'value' in c && c.value],
    [
      'append',
      (suffix) => ({ kind: 'append', key: 'k', suffix }),
      (c) => 'suffix' in c && c.suffix,
    ],
    [
      'setRange',
      (patch) => ({ kind: 'setRange', key: 'k', offset: 9, patch }),
      (c) => 'patch' in c && c.patch,
    ],
    [
      'compareAndSet',
      (value) => ({ kind: 'compareAndSet', key: 'k', expected: large(9), value, expiry: noExpiry }),
      (c) => 'value' in c && c.value,
    ],
    [
      'putField',
      (value) => ({ kind: 'putField', key: 'k', field: 'f', value }),
      (c) => 'value' in c && c.value,
    ],
    [
      'putFields',
      (value) => ({
        kind: 'putFields',
        key: 'k',
        fields: [
          ['a', small],
          ['f', value],
        ],
      }),
      (c) => 'fields' in c && c.fields[1]?.[1],
    ],
    [
      'putMany',
      (value) => ({
        kind: 'putMany',
        entries: [
          { key: 'a', value: small, expiry: noExpiry },
          { key: 'k', value, expiry: noExpiry },
        ],
      }),
      (c) => 'entries' in c && c.entries[1]?.value,
    ],
  ]

describe('prepare', () => {
  test.each(shapes)(
    'takes the value out of %s, and leaves all else as it was',
    async (_, make, valueIn) => {
      const { puts, put } = store()
      const command = make(large(3))
      const [prepared] = await prepare([unit(command)], terms, put)
      expect(puts).toEqual([[large(3).bytes]])
      const value = valueIn(prepared as Command) as StoredValue
      expect(value.tag).toBe(valueTags.blob)
      const rope = decodeRope(value.bytes)
      expect(rope.content).toBe(valueTags.bytes)
      expect(rope.parts).toMatchObject([
        { kind: 'blob', from: 0, to: 100, ref: { segment: 7, offset: 48 } },
      ])
      // With the value put back, the command equals the original: keys, conditions, owners,
      // expected values.
      expect(
        JSON.stringify(prepared).replace(JSON.stringify(value), JSON.stringify(large(3))),
      ).toBe(JSON.stringify(command))
    },
  )

  test('leaves values below the threshold, and reports that beforehand', async () => {
    const { puts, put } = store()
    for (const [, make] of shapes) {
      const units = [unit(make(large(1, 99)))]
      expect(sideChannelCandidate(units, terms)).toBe(false)
      expect(await prepare(units, terms, put)).toBe(units)
      expect(sideChannelCandidate([unit(make(large(1, 100)))], terms)).toBe(true)
    }
    expect(puts).toEqual([])
  })

  test('finds no value in commands without values', async () => {
    const { puts, put } = store()
    const commands: Command[] = [
      { kind: 'delete', key: 'k' },
      { kind: 'deleteMany', keys: ['k'] },
      { kind: 'lock', keys: ['k'], owner: 'x'.repeat(200), leaseMs: 1 },
      { kind: 'unlock', keys: ['k'], owner: 'me' },
      { kind: 'deleteField', key: 'k', field: 'x'.repeat(200) },
      { kind: 'persist', key: 'k' },
      { kind: 'clear', namespace: undefined },
      { kind: 'removeExpired', keys: ['k'] },
    ]
    const units = commands.map(unit)
    expect(await prepare(units, terms, put)).toBe(units)
    expect(puts).toEqual([])
  })

  test('takes large values out of the writes of a turn, and leaves its state and rows', async () => {
    const { puts, put } = store()
    const turn = {
      kind: 'turn' as const,
      entity: 'order/42',
      follows: undefined,
      row: mainRowOf({ incarnation: '0123456789abcdef', seq: 1 }, large(1).bytes),
      rows: [[alarmRowKey('order/42', 'a'), large(2).bytes]],
      writes: [
        { kind: 'delete', key: 'a' },
        { kind: 'put', key: 'b', value: large(3), expiry: noExpiry },
      ],
    } satisfies Unit
    const [prepared] = await prepare(turn, terms, put)
    expect(puts).toEqual([[large(3).bytes]])
    expect(prepared).toMatchObject({ ...turn, writes: [turn.writes[0], { value: { tag: 3 } }] })
    if (prepared?.kind !== 'turn') throw new Error('another unit')
    expect(refsOfUnit(prepared)).toHaveLength(1)

    const plain = { ...turn, writes: turn.writes.slice(0, 1) }
    expect(sideChannelCandidate(plain, terms)).toBe(false)
  })

  test('makes one put of all values of all units, batches and putMany in batches too, in their order', {
    tags: ['C1'],
  }, async () => {
    const { puts, put } = store()
    const units: Unit[] = [
      unit({ kind: 'put', key: 'a', value: large(1), expiry: noExpiry }),
      {
        kind: 'batch',
        commands: [
          { kind: 'append', key: 'b', suffix: large(2) },
          { kind: 'put', key: 'small', value: small, expiry: noExpiry },
          {
            kind: 'putMany',
            entries: [3, 4].map((at) => ({ key: `m${at}`, value: large(at), expiry: noExpiry })),
          },
          { kind: 'delete', key: 'c' },
        ],
      },
    ]
    const prepared = await prepare(units, terms, put)
    expect(puts.map((payloads) => payloads.map((bytes) => bytes[0]))).toEqual([[1, 2, 3, 4]])
    const text = JSON.stringify(prepared)
    expect(text.length).toBeLessThan(JSON.stringify(units).length * 2)
    expect(prepared[1]).toMatchObject({
      kind: 'batch',
      commands: [
        { suffix: { tag: 3 } },
        { value: small },
        { entries: [{ value: { tag: 3 } }, { value: { tag: 3 } }] },
        { kind: 'delete' },
      ],
    })
    const last = prepared[1]
    if (last?.kind !== 'batch' || last.commands[2]?.kind !== 'putMany')
      throw new Error('another order')
    const offsets = last.commands[2].entries.map(({ value }) => decodeRope(value.bytes).parts[0])
    expect(offsets).toMatchObject([
      { ref: { offset: 2 * 4096 + 48 } },
      { ref: { offset: 3 * 4096 + 48 } },
    ])
  })

  test('keeps commands whole when other members replicate the log, and when the threshold is 0', {
    tags: ['C5'],
  }, async () => {
    const { puts, put } = store()
    const units = shapes.map(([, make]) => unit(make(large(1, 100_000))))
    for (const other of [
      { threshold: 100, replicated: true },
      { threshold: 0, replicated: false },
    ]) {
      expect(sideChannelCandidate(units, other)).toBe(false)
      expect(await prepare(units, other, put)).toBe(units)
    }
    expect(puts).toEqual([])
  })

  test('leaves bytes that look like a reference or a rope as bytes', { tags: ['C2'] }, async () => {
    const { put } = store()
    const forged: StoredValue = {
      tag: valueTags.bytes,
      bytes: blobValueRef(valueTags.bytes, (await put([large(1).bytes]))[0] as BlobRef).bytes,
    }
    const [prepared] = await prepare(
      [unit({ kind: 'put', key: 'k', value: forged, expiry: noExpiry })],
      { ...terms, threshold: 64 },
      put,
    )
    if (prepared?.kind !== 'put') throw new Error('another unit')
    expect(prepared.value.bytes).not.toEqual(forged.bytes)
    expect(decodeRope(prepared.value.bytes).parts).toMatchObject([
      { ref: { size: forged.bytes.length } },
    ])
  })

  test('never replaces a reference', async () => {
    const { puts, put } = store()
    const value = blobValueRef(valueTags.text, (await put([large(1).bytes]))[0] as BlobRef)
    const units = [unit({ kind: 'put', key: 'k', value, expiry: noExpiry })]
    expect(await prepare(units, { ...terms, threshold: 1 }, put)).toBe(units)
    expect(puts).toHaveLength(1)
  })

  test('with a failed put makes no reference', async () => {
    const units = [unit({ kind: 'put', key: 'k', value: large(1), expiry: noExpiry })]
    const refused = prepare(units, terms, () => Promise.reject(new Error('no space')))
    await expect(refused).rejects.toThrow('no space')
    const short = prepare(units, terms, () => Promise.resolve([]))
    await expect(short).rejects.toThrow()
  })
})
