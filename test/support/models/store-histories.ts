/** Random histories of all commands, for the model and for the state machine alike. */
import fc from 'fast-check'
import { sha256 } from '../../../src/storage/bytes/sha256.ts'
import type {
  Command,
  Expiry,
  FieldEntry,
  PutEntry,
  SetCondition,
} from '../../../src/storage/commands/command.ts'
import type { RowValue, StoredValue } from '../../../src/storage/ports/projection-store.ts'
import type { BlobRef } from '../../../src/storage/values/blob-reference.ts'
import { blobRope, encodeRope, isStoredValue, ropeOf } from '../../../src/storage/values/rope.ts'
import { decodeValue, encodeValue } from '../../../src/storage/values/value.ts'
import { type DrawnTurn, drawnTurn } from './entity-model.ts'
import type { Content, Ends, Op } from './store-model.ts'

/** Content to be put, and whether it goes through a blob. `run` numbers the blob. */
export type Given = { readonly value: unknown; readonly blob: boolean }

/** A unit as it was drawn: the moment, and one op, the ops of a batch, or the writes of a turn. */
export type Step = {
  readonly after: number
  readonly shape: 'alone' | 'batch' | DrawnTurn
  readonly ops: readonly Op[]
}

const keys = ['a', 'b', 'n:1', 'n:2', 'm:1', 'ab', 'a\x01', 'é']
const key = fc.constantFrom(...keys)
const field = fc.constantFrom('f', 'g', 'f:1', '\u{10000}')
const owner = fc.constantFrom('ann', 'bob')

const structured = fc.oneof(
  fc.constantFrom<unknown>(null, true, 1, 1n, -0, 0, Number.NaN, [], {}, [1, 'two']),
  fc.constantFrom<unknown>({ a: 1, b: 2 }, { b: 2, a: 1 }),
  fc.shuffledSubarray(['x', 'y', 'z']).map((members) => new Set(members)),
  fc
    .shuffledSubarray<[unknown, number]>([
      ['x', 1],
      [{ k: 1 }, 2],
      [3, 3],
    ])
    .map((entries) => new Map(entries)),
  fc.date({ noInvalidDate: true, min: new Date(0), max: new Date(2) }),
)
const text = fc.constantFrom('', 'x', 'hello', 'né', '\u{1f600}', 'é', 'twenty characters!!!')
const bytes = fc.uint8Array({ maxLength: 6 }).map((list) => Buffer.from(list))
const given = (value: fc.Arbitrary<unknown>): fc.Arbitrary<Given> =>
  fc.record({ value, blob: fc.integer({ min: 0, max: 3 }).map((n) => n === 0) })
const any = given(fc.oneof(structured, text, bytes))
const byteLike = given(fc.oneof(text, bytes))

const ends: fc.Arbitrary<Ends> = fc.oneof(
  { weight: 3, arbitrary: fc.constant<Ends>({ kind: 'none' }) },
  fc.record({ kind: fc.constant('after' as const), ms: fc.integer({ min: 1, max: 30 }) }),
  fc.record({ kind: fc.constant('at' as const), ms: fc.integer({ min: 1, max: 200 }) }),
)
const endsOrKeep = fc.oneof(ends, fc.constant<Ends>({ kind: 'keep' }))
const timed = fc.oneof(
  fc.record({ kind: fc.constant('after' as const), ms: fc.integer({ min: 1, max: 30 }) }),
  fc.record({ kind: fc.constant('at' as const), ms: fc.integer({ min: 1, max: 200 }) }),
)

const of = (kind: string, fields: Record<string, fc.Arbitrary<unknown>>): fc.Arbitrary<Op> =>
  fc.record({ kind: fc.constant(kind), ...fields }) as unknown as fc.Arbitrary<Op>

const owned = (kind: string, fields: Record<string, fc.Arbitrary<unknown>>): fc.Arbitrary<Op> =>
  fc.oneof(
    { weight: 3, arbitrary: of(kind, fields) },
    { weight: 1, arbitrary: of(kind, { ...fields, owner }) },
  )

const someKeys = fc.array(key, { minLength: 1, maxLength: 3 })
const namespace = fc.constantFrom(undefined, '_root', 'n', 'm', '')

/** One command. */
export const op: fc.Arbitrary<Op> = fc.oneof(
  owned('put', { key, given: any, ends }),
  owned('delete', { key }),
  owned('set', {
    key,
    given: any,
    ends: endsOrKeep,
    condition: fc.constantFrom('always', 'absent', 'present'),
    get: fc.boolean(),
  }),
  owned('append', { key, given: byteLike }),
  owned('getSet', { key, given: any }),
  owned('setRange', { key, offset: fc.nat(12), given: byteLike }),
  owned('compareAndSet', {
    key,
    expectedGiven: fc.option(any, { nil: undefined }),
    given: any,
    ends: endsOrKeep,
  }),
  of('lock', { keys: someKeys, owner, leaseMs: fc.integer({ min: 1, max: 40 }) }),
  of('extend', { keys: someKeys, owner, leaseMs: fc.integer({ min: 1, max: 40 }) }),
  of('unlock', { keys: someKeys, owner }),
  owned('putField', { key, field, given: any }),
  owned('putFields', {
    key,
    entries: fc.array(fc.tuple(field, any), { minLength: 1, maxLength: 4 }),
  }),
  owned('deleteField', { key, field }),
  owned('putMany', {
    many: fc.array(fc.record({ key, given: any, ends }), { minLength: 1, maxLength: 4 }),
  }),
  owned('deleteMany', { keys: someKeys }),
  owned('expire', { key, ends: timed }),
  owned('persist', { key }),
  owned('clear', { namespace }),
  of('removeExpired', { keys: someKeys }),
)

/** A history: units with time between them. */
export const history: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.oneof(
    {
      weight: 3,
      arbitrary: fc.record({
        after: fc.nat(12),
        shape: fc.constant('alone' as const),
        ops: op.map((only) => [only]),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        after: fc.nat(12),
        shape: fc.constant('batch' as const),
        ops: fc.array(op, { minLength: 1, maxLength: 5 }),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        after: fc.nat(12),
        shape: drawnTurn,
        ops: fc.array(op, { maxLength: 3 }),
      }),
    },
  ),
  { minLength: 1, maxLength: 16 },
)

/** Blobs in a list, written and read by reference. */
export class BlobTable {
  readonly #blobs: Uint8Array[] = []

  put(content: Uint8Array): BlobRef {
    this.#blobs.push(content)
    return { size: content.length, segment: 1, offset: this.#blobs.length, sha256: sha256(content) }
  }

  read = ({ offset }: BlobRef, from: number, to: number): Uint8Array =>
    (this.#blobs[offset - 1] as Uint8Array).subarray(from, to)

  /** The value of a row, read wherever it lies. */
  valueOf(value: RowValue | undefined): unknown {
    if (!value) return undefined
    if (!isStoredValue(value)) throw new Error('this is no value')
    const { content, parts } = ropeOf(value)
    const pieces = parts.map((part) =>
      part.kind === 'inline' ? part.bytes : this.read(part.ref, part.from, part.to),
    )
    return decodeValue({ tag: content, bytes: Buffer.concat(pieces) })
  }
}

let runs = 0

/** The same content for both sides: as the model has it, and stored. */
const both = (
  { value, blob }: Given,
  table: BlobTable,
): { content: Content; stored: StoredValue } => {
  const inline = encodeValue(value)
  const run = blob ? ++runs : 0
  const content: Content =
    inline.tag === 0
      ? { kind: 'structured', value }
      : {
          kind: inline.tag === 1 ? 'text' : 'bytes',
          bytes: Buffer.from(inline.bytes),
          runs: new Array<number>(inline.bytes.length).fill(run),
        }
  if (!blob || inline.bytes.length === 0) return { content, stored: inline }
  const rope = blobRope(inline.tag as 0 | 1 | 2, table.put(inline.bytes))
  return { content, stored: { tag: 3, bytes: encodeRope(rope) } }
}

const nothing: Given = { value: null, blob: false }

/** What an op may have; which of it is there, its kind says. */
type Drawn = {
  readonly kind: Op['kind']
  readonly owner: string | undefined
  readonly given: Given
  readonly key: string
  readonly field: string
  readonly ends: Exclude<Expiry, { kind: 'none' }>
  readonly condition: SetCondition
  readonly get: boolean
  readonly offset: number
  readonly expectedGiven: Given | undefined
  readonly entries: readonly (readonly [string, Given])[]
  readonly many: readonly { readonly key: string; readonly given: Given; readonly ends: Expiry }[]
}

/** An op for the model, and the command that means the same. */
export const translated = (drawn: Op, table: BlobTable): { op: Op; command: Command } => {
  const { kind, owner: by, given: value, ...fields } = drawn as unknown as Drawn
  const who = by === undefined ? {} : { owner: by }
  const main = both(value ?? nothing, table)
  const op = { ...drawn, content: main.content, added: main.content }
  switch (kind) {
    case 'put':
      return {
        op,
        command: {
          kind,
          key: fields.key,
          value: main.stored,
          expiry: fields.ends,
          ...who,
        },
      }
    case 'set':
      return {
        op,
        command: {
          kind,
          key: fields.key,
          value: main.stored,
          expiry: fields.ends,
          condition: fields.condition,
          get: fields.get,
          ...who,
        },
      }
    case 'append':
      return { op, command: { kind, key: fields.key, suffix: main.stored, ...who } }
    case 'getSet':
      return { op, command: { kind, key: fields.key, value: main.stored, ...who } }
    case 'setRange':
      return {
        op,
        command: { kind, key: fields.key, offset: fields.offset, patch: main.stored, ...who },
      }
    case 'compareAndSet': {
      const expected = fields.expectedGiven && both(fields.expectedGiven, table)
      return {
        op: { ...op, expected: expected?.content },
        command: {
          kind,
          key: fields.key,
          expected: expected?.stored,
          value: main.stored,
          expiry: fields.ends,
          ...who,
        },
      }
    }
    case 'putField':
      return {
        op,
        command: { kind, key: fields.key, field: fields.field, value: main.stored, ...who },
      }
    case 'putFields': {
      const list = fields.entries.map(([name, each]) => ({ name, ...both(each, table) }))
      return {
        op: { ...op, fields: list.map(({ name, content }) => [name, content]) },
        command: {
          kind,
          key: fields.key,
          fields: list.map(({ name, stored }): FieldEntry => [name, stored]),
          ...who,
        },
      }
    }
    case 'putMany': {
      const list = fields.many.map((entry) => ({ ...entry, ...both(entry.given, table) }))
      const entries = list.map(
        ({ key, stored, ends }): PutEntry => ({ key, value: stored, expiry: ends }),
      )
      return { op: { ...op, entries: list }, command: { kind, entries, ...who } }
    }
    case 'expire':
      return { op, command: { kind, key: fields.key, expiry: fields.ends, ...who } }
    default:
      return { op, command: { kind, ...fields, ...who } as Command }
  }
}

/** Every key that a history may have used. */
export const historyKeys: readonly string[] = keys
