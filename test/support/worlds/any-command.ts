/** Any command and any unit that the codec can encode. Their content need not make sense. */
import fc from 'fast-check'
import {
  type Command,
  type EntryUnit,
  type Expiry,
  type KeepExpiry,
  keepExpiry,
  noExpiry,
  type Turn,
  type Unit,
} from '../../../src/storage/commands/command.ts'
import { entryUnit } from '../../../src/storage/commands/entry-unit.ts'
import type { StreamPart } from '../../../src/storage/commands/stream-unit.ts'
import type { StoredValue, ValueTag } from '../../../src/storage/ports/projection-store.ts'
import {
  alarmRowKey,
  callIdRowKey,
  dueRowKey,
  indexRowKey,
  removalRowKey,
} from '../../../src/storage/values/entity-key.ts'
import { mainRowOf, type TurnMark } from '../../../src/storage/values/entity-row.ts'
import { encodeIndexValue, type IndexValue } from '../../../src/storage/values/index-value.ts'
import { anyText } from '../any-text.ts'
import { acting, appending } from './stream-parts.ts'

const texts = (bytesMax: number) =>
  fc
    .oneof(anyText({ minLength: 1, maxLength: 20 }), fc.constant('k'.repeat(bytesMax)))
    .filter((text) => !text.includes('\0'))

const key = texts(1024)
const field = texts(512)
const owner = texts(256)
const ms = fc.oneof(
  fc.integer({ min: 1 }),
  fc.constantFrom(1, 2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER),
)

const timed = fc.record({ kind: fc.constantFrom('at' as const, 'after' as const), ms })
const expiry: fc.Arbitrary<Expiry> = fc.oneof(fc.constant(noExpiry), timed)
const expiryOrKeep: fc.Arbitrary<Expiry | KeepExpiry> = fc.oneof(expiry, fc.constant(keepExpiry))

const storedAs = (...tags: ValueTag[]): fc.Arbitrary<StoredValue> =>
  fc.record({ tag: fc.constantFrom(...tags), bytes: fc.uint8Array({ maxLength: 300 }) })
const value = storedAs(0, 1, 2, 3)
const byteLike = storedAs(1, 2, 3)

const many = <T>(item: fc.Arbitrary<T>) => fc.array(item, { minLength: 1, maxLength: 5 })

const of = <K extends Command['kind']>(kind: K, fields: Record<string, fc.Arbitrary<unknown>>) =>
  fc.record({ kind: fc.constant(kind), ...fields }) as unknown as fc.Arbitrary<Command>

const owned = (kind: Command['kind'], fields: Record<string, fc.Arbitrary<unknown>>) =>
  fc.oneof(of(kind, fields), of(kind, { ...fields, owner }))

/** One command of any kind. */
export const anyCommand: fc.Arbitrary<Command> = fc.oneof(
  owned('put', { key, value, expiry }),
  owned('delete', { key }),
  owned('set', {
    key,
    value,
    expiry: expiryOrKeep,
    condition: fc.constantFrom('always', 'absent', 'present'),
    get: fc.boolean(),
  }),
  owned('append', { key, suffix: byteLike }),
  owned('getSet', { key, value }),
  owned('setRange', { key, offset: fc.maxSafeNat(), patch: byteLike }),
  owned('compareAndSet', {
    key,
    expected: fc.option(value, { nil: undefined }),
    value,
    expiry: expiryOrKeep,
  }),
  of('lock', { keys: many(key), owner, leaseMs: ms }),
  of('extend', { keys: many(key), owner, leaseMs: ms }),
  of('unlock', { keys: many(key), owner }),
  owned('putField', { key, field, value }),
  owned('putFields', { key, fields: many(fc.tuple(field, value)) }),
  owned('deleteField', { key, field }),
  owned('putMany', { entries: many(fc.record({ key, value, expiry })) }),
  owned('deleteMany', { keys: many(key) }),
  owned('expire', { key, expiry: timed }),
  owned('persist', { key }),
  owned('clear', { namespace: fc.oneof(fc.constantFrom(undefined, '', '_root'), key) }),
  of('removeExpired', { keys: many(key) }),
)

const kind = fc.oneof(fc.stringMatching(/^\$?[a-z][\w-]{0,8}$/), fc.constant('k'.repeat(64)))
const id = texts(256).filter((text) => !/[{}]/.test(text))

/** The name of an entity: `kind/id`. */
export const anyEntity: fc.Arbitrary<string> = fc
  .tuple(kind, id)
  .map(([its, name]) => `${its}/${name}`)

/** A value that can be indexed. */
export const anyIndexValue: fc.Arbitrary<IndexValue> = fc.oneof(
  fc.constantFrom(null, true, false, 0, -0, 1, -1, 0.5, Number.MAX_VALUE, Number.MIN_VALUE),
  fc.integer(),
  fc.double({ noNaN: true }),
  anyText({ maxLength: 8 }).filter(
    (text) => !text.includes('\0') && Buffer.byteLength(text) <= 512,
  ),
  fc.constant('t'.repeat(512)),
)

const dueMs = fc.oneof(fc.nat(), fc.maxSafeNat())

/** A row that stands beside the main row of `entity`. */
export const anyRowBeside = (entity: string): fc.Arbitrary<string> => {
  const slash = entity.indexOf('/')
  const [its, name] = [entity.slice(0, slash), entity.slice(slash + 1)]
  return fc.oneof(
    field.map((alarm) => alarmRowKey(entity, alarm)),
    fc.tuple(dueMs, field).map(([due, alarm]) => dueRowKey(due, entity, alarm)),
    field.map((callId) => callIdRowKey(entity, callId)),
    birth.map((ended) => removalRowKey(entity, ended)),
    fc
      .tuple(field, anyIndexValue)
      .map(([indexed, one]) => indexRowKey(its, indexed, encodeIndexValue(one), name)),
  )
}

const birth = fc.stringMatching(/^[0-9a-f]{16}$/)

/** The name of a state of an entity. */
export const anyMark: fc.Arbitrary<TurnMark> = fc.record({
  incarnation: birth,
  seq: fc.maxSafeNat(),
})

const content = fc.uint8Array({ maxLength: 60 })

const payload = fc
  .tuple(fc.integer({ min: 1, max: 255 }), fc.uint8Array({ minLength: 1, maxLength: 40 }))
  .map(([version, bytes]) => Uint8Array.of(version, ...bytes))
const typed = fc.array(fc.record({ type: field, payload }), { maxLength: 3 })

/** One entry of the journal. */
export const anyEntry: fc.Arbitrary<EntryUnit> = fc
  .record({
    id: field,
    type: field,
    command: payload,
    response: payload,
    events: typed,
    effects: typed,
  })
  .map((given) => {
    const { digest, body, ...unit } = entryUnit(given)
    return { ...unit, digest: new Uint8Array(digest), body: new Uint8Array(body) }
  })

/** One turn. */
export const anyTurn: fc.Arbitrary<Turn> = fc
  .tuple(
    anyEntity.chain((entity) => turnOf(entity)),
    fc.array(anyEntry, { maxLength: 2 }),
    fc.option(
      fc.record({ birth, changes: many(fc.tuple(key, fc.option(value, { nil: undefined }))) }),
      {
        nil: undefined,
      },
    ),
    fc.option(fc.uint8Array({ minLength: 1, maxLength: 121 }), { nil: undefined }),
  )
  .map(([turn, entries, own, cause]) => ({
    ...turn,
    ...(entries.length > 0 && { entries }),
    ...(own && { own }),
    ...(cause && { cause }),
  }))

const turnOf = (entity: string): fc.Arbitrary<Turn> =>
  fc.record({
    kind: fc.constant('turn' as const),
    entity: fc.constant(entity),
    follows: fc.option(anyMark, { nil: undefined }),
    row: fc.option(
      fc.tuple(anyMark, content).map(([mark, body]) => mainRowOf(mark, body)),
      { nil: undefined },
    ),
    rows: fc.array(fc.tuple(anyRowBeside(entity), fc.option(content, { nil: undefined })), {
      maxLength: 4,
    }),
    writes: fc.array(anyCommand, { maxLength: 3 }),
  })

const anyPart: fc.Arbitrary<StreamPart> = fc.oneof(
  fc
    .record({
      messages: fc.array(fc.json(), { maxLength: 4 }),
      closes: fc.boolean(),
      producer: fc.option(
        fc.record({
          id: key,
          epoch: fc.nat(),
          seq: fc.nat(),
          counts: fc.constantFrom('messages' as const, 'requests' as const),
        }),
        { nil: undefined },
      ),
    })
    .map(({ messages, closes, producer }) =>
      appending('any', messages, {
        closes: closes || messages.length === 0,
        ...(producer && { producer: { ...producer, id: producer.id.slice(0, 60) } }),
      }),
    ),
  fc
    .constantFrom('begin' as const, 'forget' as const)
    .map((act) => acting('any', { act, id: 'p' })),
  fc
    .constantFrom('reopen' as const, 'delete' as const, 'forgetAll' as const)
    .map((act) => acting('any', { act })),
  fc.record({ birth, number: fc.nat() }).map((before) => acting('any', { act: 'trim', before })),
  fc
    .record({ ageMs: fc.nat(), bytesMax: fc.nat(), messagesMax: fc.nat() })
    .map((keeps) => acting('any', { act: 'keep', keeps })),
)

/** One unit. */
export const anyUnit: fc.Arbitrary<Unit> = fc.oneof(
  anyCommand,
  anyEntry,
  anyTurn,
  fc.record({
    kind: fc.constant('removal' as const),
    entity: anyEntity,
    birth,
    keys: fc.array(key, { maxLength: 5 }),
    isLast: fc.boolean(),
  }),
  fc.record({
    kind: fc.constant('streams' as const),
    parts: fc.array(anyPart, { minLength: 1, maxLength: 5 }),
  }),
  fc.record({
    kind: fc.constant('batch' as const),
    commands: fc.array(anyCommand, { minLength: 1, maxLength: 8 }),
  }),
)
