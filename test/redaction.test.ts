/** Fields with the name of a secret show type and length, and everything else is shown as it is. */
import { inspect } from 'node:util'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isSecretName, keyedByNames, redacted, redactedPart } from '../src/redaction.ts'

const large = new ArrayBuffer(1_001)
const canary = 'canary-7'
const hidden = '[hidden string of 8]'

describe('the names', () => {
  test.each([
    'password',
    'passphrase',
    'clientSecret',
    'access_token',
    'Authorization',
    'setCookie',
  ])('%s is hidden', (name) => expect(isSecretName(name)).toBe(true))
  test.each(['cardNumber', 'IBAN', 'apiKey', 'private-key'])('%s is hidden', (name) =>
    expect(isSecretName(name)).toBe(true),
  )
  test.each(['tryKey', 'idempotencyKey', 'Idempotency-Key'])('%s, of a try, is shown', (name) =>
    expect(isSecretName(name)).toBe(false),
  )
  test.each(['key', 'keys', 'name', 'state', 'keyboard', 12, undefined])('%s is shown', (name) =>
    expect(isSecretName(name)).toBe(false),
  )
})

describe('a secret', () => {
  test.each<[string, unknown]>([
    ['an object', { password: canary }],
    ['a list of objects', [{ deep: { token: canary } }]],
    ['a Map', new Map([['password', canary]])],
    ['a key of a Map', new Map([[{ password: canary }, 1]])],
    ['a Set', new Set([{ password: canary }])],
    ['an object without a prototype', Object.assign(Object.create(null), { password: canary })],
    [
      'an instance of a class',
      new (class Account {
        password = canary
      })(),
    ],
    ['a field with a symbol', { [Symbol('token')]: canary }],
    ['an Error', Object.assign(new Error('no'), { password: canary })],
    ['a cause', new Error('no', { cause: { password: canary } })],
    ['a circle', circle()],
    ['a secret that is an object', { auth: { user: canary } }],
    ['a field of a list', Object.assign([1], { password: canary })],
    ['a field of a Map', Object.assign(new Map([[1, 2]]), { deep: { password: canary } })],
    ['a field of a Set', Object.assign(new Set([1]), { password: canary })],
    ['a field of bytes', Object.assign(new Uint8Array(2), { password: canary })],
    ['a field of many bytes', Object.assign(Buffer.alloc(1_001), { password: canary })],
    ['a field of a large view', Object.assign(new DataView(large), { password: canary })],
    [
      'a symbol of many numbers',
      Object.assign(new Float64Array(200), { [Symbol('token')]: canary }),
    ],
    ['a field of a Date', Object.assign(new Date(0), { password: canary })],
    ['a field of a function', Object.assign(() => 1, { password: canary })],
    ['a getter', Object.defineProperty({}, 'token', { get: () => canary, enumerable: true })],
  ])('in %s is hidden', (_, value) => {
    const text = inspect(redacted(value), { depth: 9, getters: true })
    expect(text).not.toContain(canary)
    expect(text).toContain('[hidden ')
    expect(inspect(value, { depth: 9, getters: true })).toContain(canary)
  })

  test.each<[string, unknown, string]>([
    ['a promise', Promise.resolve({ password: canary }), 'Promise'],
    ['the entries of a Map', new Map([['password', canary]]).entries(), 'Map Iterator'],
    ['the values of a Set', new Set([{ password: canary }]).values(), 'Set Iterator'],
  ])('in %s is not looked at', (_, value, kind) => {
    expect(inspect(value)).toContain(canary)
    expect(redacted([value])).toEqual([`[object ${kind}]`])
  })

  test('shows type and length, and what is no secret stays', () => {
    expect(
      redacted({ user: 'ada', password: canary, pins: [1], cards: [1, 2], isAuthorized: true }),
    ).toEqual({
      user: 'ada',
      password: hidden,
      pins: [1],
      cards: '[hidden array of 2]',
      isAuthorized: true,
    })
  })

  test('is hidden after the first 1,000 members too, where nothing is shown', () => {
    const large = Array.from({ length: 2_000 }, () => 1 as unknown)
    expect(redacted([...large, { password: canary }])).toHaveLength(1_001)
    expect(redacted([large, { password: canary }]).at(-1)).toBe('… 1 more')
  })
})

test('below the depth of a printer nothing is copied; what is deep in one place and not in another is', () => {
  const shared = { a: { password: canary } }
  const value = { first: { deep: shared }, second: shared }
  const shown = redacted(value, undefined, 2)

  expect(shown.second).toEqual({ a: { password: hidden } })
  expect(shown.first).toBe(value.first)
  expect(inspect(shown, { depth: 2 })).not.toContain(canary)
})

test('a value without secrets is shown itself, parts without secrets too', () => {
  const plain = { list: [1], at: new Date(0) }
  expect(redacted(plain)).toBe(plain)
  expect(redacted({ plain, password: canary }).plain).toBe(plain)
})

test('an error that is copied is one of its class still, with its stack', () => {
  class Refused extends Error {}
  const error = Object.assign(new Refused('no'), { token: canary })
  const shown = redacted(error)
  expect(shown).toBeInstanceOf(Refused)
  expect(shown).toMatchObject({ message: 'no', stack: error.stack, token: hidden })
  expect(error.token).toBe(canary)
})

test('a value that cannot be read harms nothing', () => {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  expect(redacted([proxy])).toEqual(['[unreadable]'])
})

test('an object that was decided is shown so, at any depth', () => {
  const state = { number: '4111' }
  const decided = new WeakMap<object, unknown>([[state, { number: '…' }]])
  expect(redacted({ list: [state] }, decided)).toEqual({ list: [{ number: '…' }] })
})

function circle(): unknown {
  const self: Record<string, unknown> = { password: canary }
  self.self = self
  return self
}

test('a large field hides no smaller one beside it, wherever it stands', () => {
  const entries = Array.from({ length: 2_000 }, (_, at) => ({ at }))
  const shown = redacted({ entries, cursor: 'next', count: 2_000, token: 'seven' })
  expect(shown).toMatchObject({ cursor: 'next', count: 2_000, token: '[hidden string of 5]' })
  expect(shown.entries.length).toBeLessThan(1_000)
  expect(Object.keys(shown)).toEqual(['entries', 'cursor', 'count', 'token'])
})

test('a part has so many members, and says whether it was cut', () => {
  const value = Array.from({ length: 10 }, (_, at) => at)
  expect(redactedPart(value, 10)).toEqual({ shown: value, isCut: false })
  expect(redactedPart(value, 3)).toEqual({ shown: [0, 1, 2, '… 7 more'], isCut: true })
  expect(redactedPart({ token: 'seven' }, 3)).toEqual({
    shown: { token: '[hidden string of 5]' },
    isCut: false,
  })
})

test('the names of parts hide nothing: their counts are no secrets, and secrets within are hidden', () => {
  const parts = keyedByNames({ 'queue/tokens': { dead: 2, token: canary }, password: { dead: 1 } })
  expect(redacted({ parts })).toEqual({
    parts: { 'queue/tokens': { dead: 2, token: hidden }, password: { dead: 1 } },
  })
  expect(redacted({ parts: { ...parts } }).parts.password).toBe('[hidden object of 1]')
})

describe('the look that copies nothing', () => {
  /** The same by the way that copies: what is decided for some objects is not for these. */
  const byCopy = (value: unknown): unknown => redacted(value, new WeakMap())
  const text = (value: unknown): string => inspect(value, { depth: 12, showHidden: false })

  const name = fc.oneof(
    fc.constantFrom('password', 'token', 'apiKey', 'auth', 'tryKey', '…', '__proto__', 'length'),
    fc.string({ maxLength: 3 }),
  )
  const leaf = fc.oneof(
    fc.anything({ maxDepth: 1, withBigInt: true, withDate: true, withMap: true, withSet: true }),
    fc.constantFrom<unknown>(canary, null, undefined, true, '… 3 more', () => canary),
    fc.constantFrom<unknown>(new Error('no'), new Error('x'.repeat(20_000)), Symbol('token')),
    fc.constant(0).map(() => new Error('no', { cause: { password: canary } })),
    fc.constant(0).map(() => Object.assign(new Error('no'), { token: canary })),
    fc.constant(0).map(() => Object.assign(Buffer.from('ab'), { password: canary })),
    fc.constant(0).map(() => Object.assign([1, 2], { [Symbol('token')]: canary })),
    fc
      .constant(0)
      .map(() => Object.defineProperty({}, 'token', { get: () => canary, enumerable: true })),
  )
  const { tree } = fc.letrec<{ tree: unknown }>((tie) => ({
    tree: fc.oneof(
      { depthSize: 'small' },
      leaf,
      fc.array(tie('tree'), { maxLength: 4 }),
      fc.dictionary(name, tie('tree'), { maxKeys: 4 }),
    ),
  }))

  test('shows what the copy shows, of any value', () => {
    fc.assert(
      fc.property(tree, (value) => {
        const [shown, copied] = [redacted(value), byCopy(value)]
        expect(text(shown)).toBe(text(copied))
        expect(shown === value).toBe(copied === value)
      }),
      { numRuns: 2_000 },
    )
  })

  test('runs no getter, and does not end in a circle, in a deep or in a wide value', () => {
    let reads = 0
    const counted = Object.defineProperty({ a: 1 }, 'b', { get: () => ++reads, enumerable: true })
    const round: Record<string, unknown> = { a: 1 }
    round.self = round
    let deep: unknown = { password: canary }
    for (let level = 0; level < 50; level++) deep = { deep }
    const wide = [...Array.from({ length: 500 }, (_, at) => ({ at })), { password: canary }]

    redacted(counted)

    expect(reads).toBe(0)
    expect(inspect(redacted(round))).toBe(inspect(round))
    for (const value of [deep, wide])
      expect(inspect(redacted(value), { depth: 60, maxArrayLength: null })).not.toContain(canary)
  })
})
