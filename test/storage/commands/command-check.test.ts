/** The check of commands from outside: it accepts exactly the commands that the log can carry. */
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isKeelsonError } from '../../../src/errors.ts'
import type { Command, Unit } from '../../../src/storage/commands/command.ts'
import { checkCommand, checkCommands } from '../../../src/storage/commands/command-check.ts'
import { decodeFrame } from '../../../src/storage/commands/command-decoding.ts'
import { encodeFrame } from '../../../src/storage/commands/command-encoding.ts'
import { ChangedRows } from '../../../src/storage/rows/rows.ts'
import { applyUnits } from '../../../src/storage/rows/unit-application.ts'
import { decodeValue, encodeValue } from '../../../src/storage/values/value.ts'
import { thorough } from '../../support/tier.ts'
import { anyCommand, anyUnit } from '../../support/worlds/any-command.ts'
import { MapRows } from '../../support/worlds/map-rows.ts'

const value = encodeValue({ a: 1 })
const text = encodeValue('text')
const none = { kind: 'none' }
const put = { kind: 'put', key: 'a', value, expiry: none }

/** A unit for comparison: bytes as text, nothing that is undefined, no -0. */
const plain = (found: unknown): unknown => {
  if (found instanceof Uint8Array) return `bytes ${Buffer.from(found).toString('hex')}`
  if (Array.isArray(found)) return found.map(plain)
  if (typeof found !== 'object' || found === null) return found === 0 ? 0 : found
  const given = Object.entries(found).filter(([, value]) => value !== undefined)
  return Object.fromEntries(given.map(([name, value]) => [name, plain(value)]))
}

const roundTrip = (unit: unknown): unknown => plain(decodeFrame(encodeFrame(unit as Unit)).units[0])

/** Whether the log can carry the unit. */
const isCarried = (unit: unknown): boolean => {
  try {
    return isDeepStrictEqual(roundTrip(unit), plain(unit))
  } catch {
    return false
  }
}

/** The result of the check, or the code of its refusal. */
const verdict = (found: unknown): Command | string => {
  try {
    return checkCommand(found)
  } catch (error) {
    if (isKeelsonError(error)) return error.code
    throw error
  }
}

/** The paths in a value that a mutation may replace. */
const placesIn = (found: unknown, path: readonly string[] = []): (readonly string[])[] =>
  typeof found === 'object' && found !== null && !(found instanceof Uint8Array)
    ? [
        path,
        ...Object.keys(found).flatMap((name) =>
          placesIn(Reflect.get(found, name), [...path, name]),
        ),
      ]
    : [path]

const replacedAt = (found: unknown, [name, ...rest]: readonly string[], by: unknown): unknown => {
  if (name === undefined) return by
  const copy = Array.isArray(found) ? [...found] : { ...(found as object) }
  Reflect.set(copy, name, replacedAt(Reflect.get(found as object, name), rest, by))
  return copy
}

const strange = fc.oneof(
  fc.anything(),
  fc.constantFrom(
    undefined,
    null,
    '',
    'a\0b',
    '\ud800',
    '_root:x',
    -0,
    -1,
    0.5,
    2 ** 53,
    Number.NaN,
  ),
  fc.constantFrom('none', 'at', 'keep', 'batch', 'put', 'nope', [], {}, 3, 4, 255),
  fc.constant('k'.repeat(1025)),
  fc.uint8Array({ maxLength: 8 }),
)

/** The unit with values that decode, whatever its bytes were. */
const sound = (found: unknown): unknown => {
  if (found instanceof Uint8Array || typeof found !== 'object' || found === null) return found
  if (Array.isArray(found)) return found.map(sound)
  const { tag, bytes } = found as { tag?: number; bytes?: Uint8Array }
  if (bytes === undefined)
    return Object.fromEntries(Object.entries(found).map(([name, value]) => [name, sound(value)]))
  const hex = Buffer.from(bytes).toString('hex')
  return tag === 0 ? encodeValue([hex]) : encodeValue(tag === 1 ? hex : bytes)
}

/** Mostly commands; the others are to be refused. */
const anything = fc.oneof({ weight: 3, arbitrary: anyCommand }, { weight: 1, arbitrary: anyUnit })
const soundUnit = anything.map(sound)

const strangeUnit = fc.tuple(soundUnit, fc.nat(), strange).map(([unit, at, by]) => {
  const places = placesIn(unit)
  return replacedAt(unit, places[at % places.length] ?? [], by)
})

describe('a command from outside', () => {
  it('can be encoded, and decodes to an equal command, if it was accepted', () => {
    let accepted = 0
    fc.assert(
      fc.property(fc.oneof(soundUnit, strangeUnit, anything), (found) => {
        const unit = verdict(found)
        if (typeof unit === 'string') {
          expect(unit).toBe('INVALID_ARGUMENT')
          return
        }
        accepted++
        expect(roundTrip(unit)).toEqual(plain(unit))
        expect(plain(unit)).toEqual(plain(found))
      }),
      { numRuns: thorough(500, 6_000) },
    )
    expect(accepted).toBeGreaterThan(thorough(30, 1_000))
  })

  it('is refused if it cannot be encoded, or would decode to another command', () => {
    fc.assert(
      fc.property(strangeUnit, (found) => {
        if (!isCarried(found)) expect(verdict(found)).toBe('INVALID_ARGUMENT')
      }),
      { numRuns: thorough(200, 6_000) },
    )
  })

  it('never throws when it is applied, if it was accepted', { tags: ['slow'] }, () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(soundUnit, strangeUnit), { maxLength: 10 }), (found) => {
        const rows = new ChangedRows(new MapRows())
        for (const each of found) {
          const unit = verdict(each)
          if (typeof unit !== 'string') applyUnits(unit, rows, { lsn: 1, time: 1_000 }, rows)
        }
      }),
      { numRuns: 500 },
    )
  })

  it.each([
    put,
    { ...put, owner: undefined },
    { ...put, expiry: { kind: 'after', ms: 1 } },
    { kind: 'delete', key: 'a', owner: 'me' },
    { kind: 'set', key: 'a', value, expiry: { kind: 'keep' }, condition: 'absent', get: true },
    { kind: 'append', key: 'a', suffix: text },
    { kind: 'getSet', key: 'a', value },
    { kind: 'setRange', key: 'a', offset: 0, patch: text },
    { kind: 'compareAndSet', key: 'a', expected: undefined, value, expiry: none },
    { kind: 'lock', keys: ['a', 'b'], owner: 'me', leaseMs: 1 },
    { kind: 'extend', keys: ['a'], owner: 'me', leaseMs: 1 },
    { kind: 'unlock', keys: ['a'], owner: 'me' },
    { kind: 'putField', key: 'a', field: 'f', value },
    { kind: 'putFields', key: 'a', fields: [['f', value]] },
    { kind: 'deleteField', key: 'a', field: 'f' },
    { kind: 'putMany', entries: [{ key: 'a', value, expiry: none }] },
    { kind: 'deleteMany', keys: ['a'] },
    { kind: 'expire', key: 'a', expiry: { kind: 'at', ms: 1 } },
    { kind: 'persist', key: 'a' },
    { kind: 'clear', namespace: undefined },
    { kind: 'clear', namespace: '_root' },
    { kind: 'removeExpired', keys: ['a'] },
  ])('is accepted as $kind', (command) => {
    const unit = checkCommand(command)
    expect(plain(unit)).toEqual(plain(command))
    expect(roundTrip(unit)).toEqual(plain(command))
  })

  it.each([
    ['nothing', undefined, []],
    ['an empty object', {}, ['kind']],
    ['a list', [], ['kind']],
    ['an unknown kind', { kind: 'nope' }, ['kind']],
    ['a kind of the prototype', { kind: 'toString' }, ['kind']],
    ['a batch where one command belongs', { kind: 'batch', commands: [put] }, ['kind']],
    ['a key that is no text', { ...put, key: 7 }, ['key']],
    ['an empty key', { ...put, key: '' }, ['key']],
    ['a key with a NUL', { ...put, key: 'a\0b' }, ['key']],
    ['a key of 1,025 bytes', { ...put, key: 'k'.repeat(1025) }, ['key']],
    ['a key in _root:', { ...put, key: '_root:a' }, ['key']],
    ['a forged reference to a blob', { ...put, value: { ...value, tag: 3 } }, ['value', 'tag']],
    ['the tag of a lock', { ...put, value: { ...value, tag: 5 } }, ['value', 'tag']],
    ['a value that is not encoded', { ...put, value: 'text' }, ['value']],
    ['bytes in a list', { ...put, value: { tag: 2, bytes: [1] } }, ['value', 'bytes']],
    [
      'text that is not UTF-8',
      { ...put, value: { tag: 1, bytes: Uint8Array.of(255) } },
      ['value', 'bytes'],
    ],
    [
      'a structured value that does not decode',
      { ...put, value: { tag: 0, bytes: Uint8Array.of(193) } },
      ['value', 'bytes'],
    ],
    ['an expiry of 0 ms', { ...put, expiry: { kind: 'at', ms: 0 } }, ['expiry', 'ms']],
    ['no expiry with a time', { ...put, expiry: { kind: 'none', ms: 1 } }, ['expiry', 'ms']],
    ['an expiry that stays, of a put', { ...put, expiry: { kind: 'keep' } }, ['expiry', 'kind']],
    ['an empty owner', { ...put, owner: '' }, ['owner']],
    ['an owner of 257 bytes', { ...put, owner: 'o'.repeat(257) }, ['owner']],
    ['a field of another kind', { ...put, suffix: text }, ['suffix']],
    ['a structured suffix', { kind: 'append', key: 'a', suffix: value }, ['suffix', 'tag']],
    ['a negative offset', { kind: 'setRange', key: 'a', offset: -1, patch: text }, ['offset']],
    ['a lock without an owner', { kind: 'lock', keys: ['a'], leaseMs: 1 }, ['owner']],
    ['a lease of 0 ms', { kind: 'lock', keys: ['a'], owner: 'me', leaseMs: 0 }, ['leaseMs']],
    ['a lock of no key', { kind: 'lock', keys: [], owner: 'me', leaseMs: 1 }, ['keys']],
    ['a hole in the keys', { kind: 'deleteMany', keys: new Array(1) }, ['keys', 0]],
    ['a field of 513 bytes', { kind: 'deleteField', key: 'a', field: 'f'.repeat(513) }, ['field']],
    ['an owner of a removal', { kind: 'removeExpired', keys: ['a'], owner: 'me' }, ['owner']],
    ['a clear without its scope', { kind: 'clear' }, ['namespace']],
    ['a namespace with a colon', { kind: 'clear', namespace: 'a:' }, ['namespace']],
    [
      'a comparison without its expectation',
      { kind: 'compareAndSet', key: 'a', value, expiry: none },
      ['expected'],
    ],
  ])('is refused as %s, with the place of what is wrong', (_, command, path) => {
    expect(() => checkCommand(command)).toThrowError(
      expect.objectContaining({
        code: 'INVALID_ARGUMENT',
        details: expect.objectContaining({ path }),
      }),
    )
  })

  it.each([
    ['a map key __proto__', '81a95f5f70726f746f5f5f01'],
    ['a map key twice', '82a16101a16102'],
    ['a numeric map key', '810102'],
    ['text that is not UTF-8', '91a2c328'],
    ['a record of msgpackr', 'd4724091a16107'],
    ['a date of msgpack', 'd6ff00000000'],
    ['text alone', 'a161'],
    ['bytes alone', 'c40107'],
    ['a map with a longer header than it needs', 'de0001a16101'],
    ['a Map with a key twice', 'c19292920102920103' + '9191a36d6170'],
  ])('is refused with a structured value that decoding changes: %s', (_, hex) => {
    const bytes = Buffer.from(hex, 'hex')
    expect(verdict({ ...put, value: { tag: 0, bytes } })).toBe('INVALID_ARGUMENT')
    expect(verdict({ kind: 'putField', key: 'a', field: 'f', value: { tag: 0, bytes } })).toBe(
      'INVALID_ARGUMENT',
    )
    const next = { ...put, value: encodeValue({ a: 64 }) }
    expect(plain(verdict(next))).toEqual(plain(next))
    expect(decodeValue({ tag: 0, bytes: Buffer.of(64) })).toBe(64)
  })

  it('is refused as a turn, alone and in a list: only entities make turns', () => {
    const turn = { kind: 'turn', entity: 'order/42', follows: undefined, row: undefined }
    const whole = { ...turn, rows: [], writes: [] }
    const refused = (path: readonly unknown[]) =>
      expect.objectContaining({
        code: 'INVALID_ARGUMENT',
        details: expect.objectContaining({ path }),
      })
    expect(() => checkCommand(whole)).toThrowError(refused(['kind']))
    expect(() => checkCommands([put, whole])).toThrowError(refused([1, 'kind']))
  })

  it('is refused in an empty or too long list', () => {
    for (const wrong of [undefined, [], [[]], Array.from({ length: 65_536 }, () => put)])
      expect(() => checkCommands(wrong)).toThrowError(
        expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
      )
    expect(checkCommands([put, put])).toHaveLength(2)
  })

  it('is refused when reading it throws', () => {
    const thrower = new Proxy(put, {
      ownKeys: () => {
        throw new Error('a trap')
      },
    })
    expect(verdict(thrower)).toBe('INVALID_ARGUMENT')
  })

  it('is copied: later changes by the caller have no effect', () => {
    const bytes = Uint8Array.of(1)
    const entry = { key: 'a', value: { tag: 2, bytes }, expiry: none }
    const command = { kind: 'putMany', entries: [entry] }
    const checked = checkCommand(command) as Extract<Command, { kind: 'putMany' }>
    bytes[0] = 9
    entry.key = 'b'
    expect(checked.entries[0]).toMatchObject({ key: 'a', value: { bytes: Uint8Array.of(1) } })
  })
})
