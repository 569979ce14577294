/**
 * The payload of DATA frames: units decode to equal units, the bytes are fixed, and other bytes are
 * refused.
 */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isKeelsonError } from '../../../src/errors.ts'
import {
  type Command,
  type Expiry,
  frameUnitsMax,
  noExpiry,
  stampBytes,
  type Turn,
  type Unit,
} from '../../../src/storage/commands/command.ts'
import { decodeFrame } from '../../../src/storage/commands/command-decoding.ts'
import { encodeFrame } from '../../../src/storage/commands/command-encoding.ts'
import { alarmRowKey, dueRowKey } from '../../../src/storage/values/entity-key.ts'
import { mainRowOf, type TurnMark } from '../../../src/storage/values/entity-row.ts'
import { codeOf } from '../../support/error-codes.ts'
import { sampled, thorough } from '../../support/tier.ts'
import { anyTurn, anyUnit } from '../../support/worlds/any-command.ts'

const units = fc.array(anyUnit, { minLength: 1, maxLength: 6 })

const put = (text: string, bytes = Buffer.from('v'), when: Expiry = noExpiry): Unit => ({
  kind: 'put',
  key: text,
  value: { tag: 1, bytes },
  expiry: when,
})

const command = (only: Command): Unit => only
const field = (name: string): Unit => command({ kind: 'deleteField', key: 'k', field: name })
const lock = (leaseMs: number): Unit => command({ kind: 'lock', keys: ['k'], owner: 'o', leaseMs })
const patch = (offset: number): Unit =>
  command({ kind: 'setRange', key: 'k', offset, patch: { tag: 1, bytes: Buffer.from('p') } })

const mark: TurnMark = { incarnation: '0123456789abcdef', seq: 7 }
const turn = (given: Partial<Turn>): Turn => ({
  kind: 'turn',
  entity: 'order/42',
  follows: undefined,
  row: undefined,
  rows: [],
  writes: [],
  ...given,
})

describe('a frame', () => {
  test('decodes to the units that were encoded', () => {
    fc.assert(
      fc.property(units, (list) => {
        expect(decodeFrame(encodeFrame(list))).toEqual({ time: 0, units: list })
      }),
      { numRuns: thorough(60, 2_000) },
    )
  })

  test('begins with eight zero bytes for the time stamp, and decodes the stamp that is written there', () => {
    const bytes = encodeFrame([put('a')])
    expect([...bytes.subarray(0, stampBytes)]).toEqual([0, 0, 0, 0, 0, 0, 0, 0])
    const view = new DataView(bytes.buffer)
    view.setBigUint64(0, 1_767_225_600_123n, true)
    expect(decodeFrame(bytes).time).toBe(1_767_225_600_123)
    view.setBigUint64(0, 2n ** 53n, true)
    expect(codeOf(() => decodeFrame(bytes))).toBe('CORRUPT')
  })

  test('shares its memory with nothing, so it can be transferred to another thread', () => {
    fc.assert(
      fc.property(units, (list) => {
        const bytes = encodeFrame(list)
        expect(bytes.byteOffset).toBe(0)
        expect(bytes.buffer.byteLength).toBe(bytes.length)
      }),
    )
  })

  test('holds up to 65,535 units', () => {
    const many = new Array<Unit>(frameUnitsMax).fill(put('a'))
    expect(decodeFrame(encodeFrame(many)).units).toHaveLength(frameUnitsMax)
    expect(codeOf(() => encodeFrame([...many, put('a')]))).toBe('INVALID_ARGUMENT')
  })

  test('holds a batch of more commands than a frame may have units', { tags: ['slow'] }, () => {
    const commands = Array.from({ length: 70_000 }, (_, index) => ({
      kind: 'delete' as const,
      key: `k${index}`,
    }))
    const [only] = decodeFrame(encodeFrame([{ kind: 'batch', commands }])).units
    expect(only).toEqual({ kind: 'batch', commands })
  })

  // These bytes are in existing logs: a change here is a change of the format.
  test.each<[string, readonly Unit[], string]>([
    [
      'a put',
      [put('ключ', Buffer.from('v1'))],
      '0000000000000000 0100 10000000 00 01 0800 d0bad0bbd18ed187 00 01 7631',
    ],
    [
      'a put that ends at a moment',
      [put('k', Buffer.from('v'), { kind: 'at', ms: 2 ** 32 + 5 })],
      '0000000000000000 0100 10000000 00 01 0100 6b 01 0500000001000000 01 76',
    ],
    [
      'a put that ends after a time',
      [put('k', Buffer.from('v'), { kind: 'after', ms: 1000 })],
      '0000000000000000 0100 10000000 00 01 0100 6b 02 e803000000000000 01 76',
    ],
    [
      'a delete and a batch',
      [
        { kind: 'delete', key: 'a' },
        {
          kind: 'batch',
          commands: [
            { kind: 'delete', key: 'b' },
            { kind: 'put', key: 'c', value: { tag: 2, bytes: Buffer.of(9) }, expiry: noExpiry },
          ],
        },
      ],
      '0000000000000000 0200 05000000 00 02 0100 61 18000000 01 02000000 04000000 02 0100 62 07000000 01 0100 63 00 02 09',
    ],
  ])('is these bytes: %s', (_, list, hex) => {
    expect(Buffer.from(encodeFrame(list)).toString('hex')).toBe(hex.replaceAll(' ', ''))
  })

  test.each<[string, readonly Unit[]]>([
    ['without a unit', []],
    ['with an empty batch', [{ kind: 'batch', commands: [] }]],
    ['with an empty key', [put('')]],
    ['with a key that is too long', [put('k'.repeat(1025))]],
    ['with an ill-formed key', [put('a\ud800')]],
    ['with a NUL in its key', [put('a\0b')]],
    ['with an expiry of 0', [put('a', Buffer.of(), { kind: 'at', ms: 0 })]],
    ['with an expiry below 0', [put('a', Buffer.of(), { kind: 'after', ms: -1 })]],
    ['with a fraction of a millisecond', [put('a', Buffer.of(), { kind: 'after', ms: 1.5 })]],
    ['with an expiry that is no number', [put('a', Buffer.of(), { kind: 'at', ms: Number.NaN })]],
    ['with a bad one among good ones', [put('a'), put(''), put('b')]],
    ['with an empty list of keys', [command({ kind: 'deleteMany', keys: [] })]],
    ['with an empty list of entries', [command({ kind: 'putMany', entries: [] })]],
    ['with an empty list of fields', [command({ kind: 'putFields', key: 'k', fields: [] })]],
    ['with a bad key among good ones', [command({ kind: 'removeExpired', keys: ['a', ''] })]],
    ['with a field that is too long', [field('f'.repeat(513))]],
    ['with an empty field', [field('')]],
    ['with a NUL in its field', [field('a\0b')]],
    ['with an empty owner', [command({ kind: 'delete', key: 'k', owner: '' })]],
    [
      'with an owner that is too long',
      [command({ kind: 'delete', key: 'k', owner: 'o'.repeat(257) })],
    ],
    ['with a lease of 0', [lock(0)]],
    ['with a lease that is no number', [lock(Number.NaN)]],
    ['with a fraction of a lease', [lock(1.5)]],
    ['with an offset below 0', [patch(-1)]],
    ['with an offset beyond 2^53', [patch(2 ** 53)]],
    [
      'with a structured suffix',
      [command({ kind: 'append', key: 'k', suffix: { tag: 0, bytes: Buffer.of(1) } })],
    ],
    [
      'with an expire that never comes',
      [command({ kind: 'expire', key: 'k', expiry: { kind: 'after', ms: 0 } })],
    ],
    [
      'with a namespace that is too long',
      [command({ kind: 'clear', namespace: 'n'.repeat(1025) })],
    ],
    ['with a turn of an entity without an id', [turn({ entity: 'order/' })]],
    ['with a turn of an entity without a kind', [turn({ entity: 'Order/42' })]],
    ['with a turn of an id with a brace', [turn({ entity: 'order/{42}' })]],
    ['with a turn of an entity that is too long', [turn({ entity: `o/${'i'.repeat(257)}` })]],
    [
      'with an incarnation of 15 digits',
      [turn({ follows: { ...mark, incarnation: '0'.repeat(15) } })],
    ],
    [
      'with an incarnation in capitals',
      [turn({ follows: { ...mark, incarnation: 'A'.repeat(16) } })],
    ],
    ['with a seq below 0', [turn({ follows: { ...mark, seq: -1 } })]],
    ['with a seq beyond 2^53', [turn({ row: mainRowOf({ ...mark, seq: 2 ** 53 }, Buffer.of()) })]],
    ['with a main row shorter than its mark', [turn({ row: Buffer.alloc(15) })]],
    ['with a row of a user in a turn', [turn({ rows: [['k', Buffer.of()]] })]],
    ['with a lock in a turn', [turn({ rows: [['\0lk', undefined]] })]],
    ['with the marker of compounds in a turn', [turn({ rows: [['\0c', undefined]] })]],
    ['with a main row among the rows of a turn', [turn({ rows: [['\0eorder/42', undefined]] })]],
    [
      'with a row of another entity in a turn',
      [turn({ rows: [[alarmRowKey('order/43', 'a'), undefined]] })],
    ],
    ['with an ill-formed row in a turn', [turn({ rows: [['\0aorder/42\0\ud800', undefined]] })]],
    ['with a cause of no bytes', [turn({ cause: new Uint8Array(0) })]],
    ['with a cause that is too long', [turn({ cause: Buffer.alloc(122, 0x61) })]],
    ['with a bad write in a turn', [turn({ writes: [{ kind: 'delete', key: '' }] })]],
    ['with a NUL in its namespace', [command({ kind: 'clear', namespace: 'a\0' })]],
  ])('is refused with INVALID_ARGUMENT %s', (_, list) => {
    expect(codeOf(() => encodeFrame(list))).toBe('INVALID_ARGUMENT')
  })
})

/** A frame with a turn of `order/42`, up to what it follows; 14 bytes are left. */
const turnHead = '0000000000000000 0100 1a000000 03 00 0800 6f726465722f3432'

/** A frame of one entry: its body, which the lists of events and effects follow, and bytes too many. */
const entryHex = (body: string, extra = 0): string => {
  const bytes = body.replaceAll(' ', '')
  const lists = bytes.endsWith('ffffffff') ? '' : '0000000000000000'
  const length = 17 + (bytes.length + lists.length) / 2 + extra
  const text = Buffer.of(length, 0, 0, 0).toString('hex')
  return `0000000000000000 0100 ${text} 02 ${'00'.repeat(16)} ${bytes}${lists}${'00'.repeat(extra)}`
}

const hexFrame = (hex: string) => Buffer.from(hex.replaceAll(' ', ''), 'hex')

describe('bytes of another kind', () => {
  test.each([
    ['an unknown command', '0000000000000000 0100 05000000 00 15 0100 61', 'command', 0x15],
    ['an unknown expiry', '0000000000000000 0100 07000000 00 01 0100 61 03 01', 'expiry', 3],
    ['an unknown kind of value', '0000000000000000 0100 07000000 00 01 0100 61 00 04', 'value', 4],
    [
      'the code that is taken and not written',
      '0000000000000000 0100 05000000 00 08 0100 61',
      'command',
      8,
    ],
    [
      'an owner where none belongs',
      '0000000000000000 0100 0f000000 00 94 0100 6f 01000000 0100 61 000000',
      'command',
      0x94,
    ],
    [
      'an unknown flag of a set',
      '0000000000000000 0100 08000000 00 03 0100 61 08 00 01',
      'flags of a set',
      8,
    ],
    [
      'an unknown scope of a clear',
      '0000000000000000 0100 03000000 00 13 02',
      'scope of a clear',
      2,
    ],
    [
      'an unknown expectation',
      '0000000000000000 0100 08000000 00 07 0100 61 00 02 01',
      'expectation',
      2,
    ],
    [
      'an expiry that stays where there is none before',
      '0000000000000000 0100 07000000 00 01 0100 61 03 01',
      'expiry',
      3,
    ],
    ['an unknown kind of unit', '0000000000000000 0100 02000000 08 00', 'unit', 8],
    [
      'an unknown act on a stream',
      '0000000000000000 0100 12000000 05 01000000 0900 2473747265616d2f61 0e 00',
      'act on a stream',
      14,
    ],
    [
      'an unknown mark of a turn',
      `${turnHead} 02 00 00000000 00000000 00000000`,
      'mark of a turn',
      2,
    ],
    [
      'an unknown main row of a turn',
      `${turnHead} 00 02 00000000 00000000 00000000`,
      'main row of a turn',
      2,
    ],
    [
      'an unknown command in a batch',
      '0000000000000000 0100 0d000000 01 01000000 04000000 63 0100 61',
      'command',
      0x63,
    ],
  ])('are UNSUPPORTED_VERSION, with what is unknown: %s', (_, hex, what, code) => {
    const decode = () => decodeFrame(hexFrame(hex))
    expect(decode).toThrow(
      expect.objectContaining({ code: 'UNSUPPORTED_VERSION', details: { what, code } }),
    )
  })

  test.each([
    ['nothing', ''],
    ['less than a stamp', '00000000'],
    ['no unit', '0000000000000000 0000'],
    ['fewer units than announced', '0000000000000000 0200 05000000 00 02 0100 61'],
    ['bytes after the last unit', '0000000000000000 0100 05000000 00 02 0100 61 00'],
    ['a unit of no bytes', '0000000000000000 0100 00000000'],
    ['a unit of four billion bytes', '0000000000000000 0100 ffffffff 00 02 0100 61'],
    ['a batch of four billion', '0000000000000000 0100 09000000 01 ffffffff 04000000'],
    ['an empty batch', '0000000000000000 0100 05000000 01 00000000'],
    ['a command that ends before its unit', '0000000000000000 0100 06000000 00 02 0100 61 00'],
    ['a key that goes beyond its unit', '0000000000000000 0100 05000000 00 02 0200 61 00'],
    ['an empty key', '0000000000000000 0100 04000000 00 02 0000'],
    ['a key of 65,535 bytes', `0000000000000000 0100 03000100 00 02 ffff ${'61'.repeat(65535)}`],
    ['a key with a NUL', '0000000000000000 0100 06000000 00 02 0200 6100'],
    ['a key that is not UTF-8', '0000000000000000 0100 06000000 00 02 0200 c328'],
    ['an expiry of 0', '0000000000000000 0100 0f000000 00 01 0100 61 01 0000000000000000 01'],
    [
      'an expiry beyond 2^53',
      '0000000000000000 0100 0f000000 00 01 0100 61 01 0000000000002000 01',
    ],
    [
      'a lock without an owner',
      '0000000000000000 0100 11000000 00 09 0100000000000000 01000000 0100 61',
    ],
    [
      'a lease of 0',
      '0000000000000000 0100 14000000 00 89 0100 6f 0000000000000000 01000000 0100 61',
    ],
    ['a list of no keys', '0000000000000000 0100 06000000 00 10 00000000'],
    ['a list of four billion keys', '0000000000000000 0100 09000000 00 10 ffffffff 0100 61'],
    ['an owner of no bytes', '0000000000000000 0100 07000000 00 82 0100 61 0000'],
    ['two conditions of a set', '0000000000000000 0100 08000000 00 03 0100 61 03 00 01'],
    ['a structured suffix', '0000000000000000 0100 07000000 00 04 0100 61 00 90'],
    ['an expire without a time', '0000000000000000 0100 06000000 00 11 0100 61 00'],
    ['a field that goes beyond its unit', '0000000000000000 0100 08000000 00 0e 0100 61 0500 66'],
    [
      'a value in the middle that goes beyond its unit',
      '0000000000000000 0100 12000000 00 0d 0100 61 01000000 0100 66 01 09000000 76',
    ],
    ['an entry without the whole of its digest', '0000000000000000 0100 02000000 02 00'],
    ['an entry that ends before its unit', entryHex('0100 61 0100 62 02000000 01c0', 1)],
    ['an entry without an id', entryHex('0000 0100 62 02000000 01c0 02000000 01c0')],
    ['an entry with a payload of no value', entryHex('0100 61 0100 62 01000000 01 02000000 01c0')],
    [
      'an entry with a payload of version 0',
      entryHex('0100 61 0100 62 02000000 00c0 02000000 01c0'),
    ],
    [
      'an entry of four billion events',
      entryHex('0100 61 0100 62 02000000 01c0 02000000 01c0 ffffffff'),
    ],
    ['a turn with an entry of no bytes', `${turnHead} 00 00 00000000 00000000 01000000`],
    [
      'a turn of 8 bytes less',
      '0000000000000000 0100 12000000 03 00 0800 6f726465722f3432 00 00 00000000',
    ],
    [
      'a turn of an entity without a slash',
      '0000000000000000 0100 17000000 03 00 0500 6f72646572 00 00 00000000 00000000 00000000',
    ],
    [
      'a turn of an entity in capitals',
      '0000000000000000 0100 1a000000 03 00 0800 4f726465722f3432 00 00 00000000 00000000 00000000',
    ],
    ['a turn of four billion rows', `${turnHead} 00 00 ffffffff 00000000 00000000`],
    ['a turn of four billion writes', `${turnHead} 00 00 00000000 ffffffff 00000000`],
    [
      'a turn with a row of a user',
      '0000000000000000 0100 1e000000 03 00 0800 6f726465722f3432 00 00 01000000 0100 6b 00 00000000 00000000',
    ],
    [
      'a turn with a lock',
      '0000000000000000 0100 20000000 03 00 0800 6f726465722f3432 00 00 01000000 0300 006c6b 00 00000000 00000000',
    ],
    [
      'a turn with a row key of no bytes',
      '0000000000000000 0100 1d000000 03 00 0800 6f726465722f3432 00 00 01000000 0000 00 00000000 00000000',
    ],
    ['a put without a value', '0000000000000000 0100 06000000 00 01 0100 61 00'],
  ])('are CORRUPT: %s', (_, hex) => {
    expect(codeOf(() => decodeFrame(hexFrame(hex)))).toBe('CORRUPT')
  })

  /** One frame with all that a turn may have. */
  const whole = encodeFrame(
    turn({
      follows: mark,
      row: mainRowOf({ ...mark, seq: 8 }, Buffer.from('state')),
      rows: [
        [alarmRowKey('order/42', 'a'), Buffer.from('bytes')],
        [dueRowKey(5, 'order/42', 'a'), undefined],
      ],
      writes: [put('k') as Command],
    }),
  )

  test('stand for themselves or are refused: a turn with any bit flipped', () => {
    const flips = Array.from({ length: whole.length * 8 }, (_, at) => at)
    for (const at of sampled(flips, 100)) {
      const bytes = whole.slice()
      bytes[at >> 3] = (bytes[at >> 3] ?? 0) ^ (1 << (at & 7))
      check(bytes)
    }
  })

  test('stand for themselves or are refused: any unit with a byte replaced', () => {
    fc.assert(
      fc.property(fc.oneof(anyTurn, anyUnit), fc.nat(), fc.nat(255), (unit, place, byte) => {
        const bytes = encodeFrame(unit)
        bytes[place % bytes.length] = byte
        check(bytes)
      }),
      { numRuns: thorough(100, 6_000) },
    )
  })

  test('are CORRUPT where a turn is cut, wherever that is', () => {
    for (let length = 0; length < whole.length; length++)
      expect(codeOf(() => decodeFrame(whole.subarray(0, length)))).toBe('CORRUPT')
  })

  /** Bytes that are decoded are the bytes of the units that they stand for, behind the stamp. */
  const check = (bytes: Uint8Array): void => {
    let units: readonly Unit[]
    try {
      units = decodeFrame(bytes).units
    } catch (error) {
      if (isKeelsonError(error, 'CORRUPT') || isKeelsonError(error, 'UNSUPPORTED_VERSION')) return
      throw error
    }
    const again = Buffer.from(encodeFrame(units)).toString('hex', stampBytes)
    expect(again).toBe(Buffer.from(bytes).toString('hex', stampBytes))
  }

  test('never throw another error', () => {
    const check = (bytes: Uint8Array) => {
      expect(['CORRUPT', 'UNSUPPORTED_VERSION', 'no error']).toContain(
        codeOf(() => decodeFrame(bytes)),
      )
    }
    fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), check), {
      numRuns: thorough(100, 4_000),
    })
    fc.assert(
      fc.property(units, fc.nat(), fc.nat(7), (list, place, bit) => {
        const bytes = encodeFrame(list)
        const at = place % bytes.length
        bytes[at] = (bytes[at] ?? 0) ^ (1 << bit)
        check(bytes)
      }),
      { numRuns: thorough(100, 4_000) },
    )
    fc.assert(
      fc.property(units, fc.nat(), (list, place) => {
        const bytes = encodeFrame(list)
        expect(codeOf(() => decodeFrame(bytes.subarray(0, place % bytes.length)))).toBe('CORRUPT')
      }),
      { numRuns: thorough(60, 2_000) },
    )
  })
})

test('a turn with its record is a unit of another kind, and one without is as before', () => {
  const hex = (unit: Turn): string => Buffer.from(encodeFrame([unit])).toString('hex')
  const plain = hex(turn({}))
  const recorded = hex(turn({ recorded: Buffer.of(0xab, 0xcd) }))
  const [head, length] = [20, 8]
  const bytes = Buffer.from(plain.slice(head, head + length), 'hex').readUInt32LE()
  const longer = Buffer.alloc(4)
  longer.writeUInt32LE(bytes + 7)

  expect(plain.slice(head + length, head + length + 2)).toBe('03')
  expect(recorded).toBe(
    `${plain.slice(0, head)}${longer.toString('hex')}0702000000abcd${plain.slice(head + length)}`,
  )
  expect(decodeFrame(Buffer.from(recorded, 'hex')).units).toEqual([
    { ...decodeFrame(Buffer.from(plain, 'hex')).units[0], recorded: Buffer.of(0xab, 0xcd) },
  ])
  expect(() => encodeFrame([turn({ recorded: Buffer.of() })])).toThrow('a record without bytes')
})
