/**
 * The bytes of every command, as in existing logs. A change of `test/golden/commands` is a change
 * of the format. The commands of the first version of the store (put and delete) are included.
 */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import {
  type Command,
  type EntryUnit,
  keepExpiry,
  noExpiry,
  type Removal,
  type Turn,
  type Unit,
} from '../../../src/storage/commands/command.ts'
import { decodeFrame } from '../../../src/storage/commands/command-decoding.ts'
import { encodeFrame } from '../../../src/storage/commands/command-encoding.ts'
import { commandTable } from '../../../src/storage/commands/command-table.ts'
import { entryUnit } from '../../../src/storage/commands/entry-unit.ts'
import type { StreamPart } from '../../../src/storage/commands/stream-unit.ts'
import type { StoredValue } from '../../../src/storage/ports/projection-store.ts'
import {
  alarmRowKey,
  callIdRowKey,
  dueRowKey,
  indexRowKey,
  removalRowKey,
} from '../../../src/storage/values/entity-key.ts'
import { mainRowOf } from '../../../src/storage/values/entity-row.ts'
import { eventPayload } from '../../../src/storage/values/event-payload.ts'
import { encodeIndexValue } from '../../../src/storage/values/index-value.ts'
import { blobRope, encodeRope } from '../../../src/storage/values/rope.ts'
import { acting, appending } from '../../support/worlds/stream-parts.ts'

const text = (content: string): StoredValue => ({
  tag: 1,
  bytes: new Uint8Array(Buffer.from(content)),
})
const bytes = (...list: number[]): StoredValue => ({ tag: 2, bytes: Uint8Array.from(list) })
const blob: StoredValue = {
  tag: 3,
  bytes: encodeRope(
    blobRope(1, { size: 300_000, segment: 2, offset: 4096, sha256: new Uint8Array(32).fill(9) }),
  ),
}
const after = { kind: 'after', ms: 1000 } as const
const at = { kind: 'at', ms: 2 ** 32 + 5 } as const

const commands: Readonly<Record<string, Command>> = {
  put: { kind: 'put', key: 'ключ', value: text('v1'), expiry: noExpiry },
  'put that ends at a moment': { kind: 'put', key: 'k', value: text('v'), expiry: at },
  'put that ends after a time': { kind: 'put', key: 'k', value: text('v'), expiry: after },
  'put of a blob': { kind: 'put', key: 'k', value: blob, expiry: noExpiry },
  'put by an owner': { kind: 'put', key: 'k', value: text('v'), expiry: noExpiry, owner: 'ann' },
  delete: { kind: 'delete', key: 'a' },
  'delete by an owner': { kind: 'delete', key: 'a', owner: 'ann' },
  set: { kind: 'set', key: 'k', value: text('v'), expiry: after, condition: 'always', get: false },
  'set where nothing is': {
    kind: 'set',
    key: 'k',
    value: text('v'),
    expiry: noExpiry,
    condition: 'absent',
    get: true,
  },
  'set where something is': {
    kind: 'set',
    key: 'k',
    value: bytes(1),
    expiry: keepExpiry,
    condition: 'present',
    get: false,
    owner: 'ann',
  },
  append: { kind: 'append', key: 'k', suffix: text('tail') },
  'append of a blob': { kind: 'append', key: 'k', suffix: blob },
  getSet: { kind: 'getSet', key: 'k', value: bytes() },
  setRange: { kind: 'setRange', key: 'k', offset: 2 ** 33 + 1, patch: bytes(1, 2, 3) },
  compareAndSet: {
    kind: 'compareAndSet',
    key: 'k',
    expected: text('old'),
    value: text('new'),
    expiry: keepExpiry,
  },
  'compareAndSet where nothing is': {
    kind: 'compareAndSet',
    key: 'k',
    expected: undefined,
    value: text('new'),
    expiry: after,
  },
  lock: { kind: 'lock', keys: ['a', 'b'], owner: 'ann', leaseMs: 30_000 },
  extend: { kind: 'extend', keys: ['a'], owner: 'ann', leaseMs: 1 },
  unlock: { kind: 'unlock', keys: ['a', 'b'], owner: 'bob' },
  putField: { kind: 'putField', key: 'k', field: 'f', value: text('v') },
  putFields: {
    kind: 'putFields',
    key: 'k',
    fields: [
      ['f', text('v')],
      ['g', bytes(7)],
    ],
    owner: 'ann',
  },
  deleteField: { kind: 'deleteField', key: 'k', field: 'f' },
  putMany: {
    kind: 'putMany',
    entries: [
      { key: 'a', value: text('1'), expiry: noExpiry },
      { key: 'b', value: bytes(2), expiry: after },
    ],
  },
  deleteMany: { kind: 'deleteMany', keys: ['a', 'b'] },
  expire: { kind: 'expire', key: 'k', expiry: after },
  persist: { kind: 'persist', key: 'k', owner: 'ann' },
  clear: { kind: 'clear', namespace: undefined },
  'clear of a namespace': { kind: 'clear', namespace: 'users', owner: 'ann' },
  'clear of the namespace without a name': { kind: 'clear', namespace: '' },
  removeExpired: { kind: 'removeExpired', keys: ['a', 'b'] },
}

/** As it is decoded: views of plain memory. */
const plain = ({ digest, body, ...rest }: EntryUnit): EntryUnit => ({
  ...rest,
  digest: new Uint8Array(digest),
  body: new Uint8Array(body),
})

const entries: Readonly<Record<string, EntryUnit>> = {
  'an entry of the journal': plain(
    entryUnit({
      id: 'order-7',
      type: 'limit',
      command: eventPayload({ side: 'buy', cents: 1999 }),
      response: eventPayload('filled', 2),
      events: [
        { type: 'fill', payload: eventPayload({ cents: 1999, size: 3 }) },
        { type: 'сделка', payload: eventPayload(new Map([[-0, new Date(5)]]), 255) },
      ],
      effects: [{ type: 'withdraw', payload: eventPayload(5n) }],
    }),
  ),
  'the least entry': plain(
    entryUnit({
      id: 'a',
      type: 'b',
      command: eventPayload(null),
      response: eventPayload(Uint8Array.of(1)),
      events: [],
      effects: [],
    }),
  ),
}

const entity = 'order/42'
const before = { incarnation: '0123456789abcdef', seq: 7 }
const next = { incarnation: '0123456789abcdef', seq: 8 }

const turns: Readonly<Record<string, Turn>> = {
  'a turn with its cause': {
    kind: 'turn',
    entity,
    follows: before,
    row: undefined,
    rows: [],
    writes: [],
    cause: new Uint8Array(Buffer.from('call place\0clerk <20>')),
  },
  'the first turn of an entity': {
    kind: 'turn',
    entity,
    follows: undefined,
    row: mainRowOf({ incarnation: 'ffeeddccbbaa9988', seq: 1 }, Uint8Array.of(1, 2, 3)),
    rows: [],
    writes: [],
  },
  'a turn with rows of every class, and writes': {
    kind: 'turn',
    entity,
    follows: before,
    row: mainRowOf(next, Uint8Array.of()),
    rows: [
      [alarmRowKey(entity, 'unpaid'), Uint8Array.of(9)],
      [dueRowKey(1_800_000_000_000, entity, 'unpaid'), Uint8Array.of()],
      [dueRowKey(5, entity, 'unpaid'), undefined],
      [callIdRowKey(entity, 'req-7'), Uint8Array.of(1)],
      [indexRowKey('order', 'status', encodeIndexValue('paid'), '42'), Uint8Array.of()],
      [indexRowKey('order', 'cents', encodeIndexValue(-1.5), '42'), undefined],
    ],
    writes: [
      { kind: 'put', key: '{order/42}:receipt', value: text('v'), expiry: noExpiry },
      { kind: 'delete', key: '{order/42}:cart' },
    ],
  },
  'a turn with rows that its entity keeps itself': {
    kind: 'turn',
    entity,
    follows: before,
    row: mainRowOf(next, Uint8Array.of()),
    rows: [[removalRowKey(entity, 'ffeeddccbbaa9988'), Uint8Array.of()]],
    writes: [],
    own: {
      birth: '0123456789abcdef',
      changes: [
        ['ключ', text('v')],
        ['large', blob],
        ['gone', undefined],
      ],
    },
  },
  'a turn that removes its entity': {
    kind: 'turn',
    entity: '$worker/счёт',
    follows: before,
    row: undefined,
    rows: [],
    writes: [],
  },
}

const removal: Removal = {
  kind: 'removal',
  entity,
  birth: '0123456789abcdef',
  keys: ['ключ', 'large'],
  isLast: false,
}

const creating = {
  act: 'create',
  contentType: 'application/json',
  ttlMs: undefined,
  expiresAt: undefined,
  source: undefined,
  count: 1,
  packed: Uint8Array.from([1, 0, 0, 0, 0x31]),
  closes: false,
} as const

const placed = { birth: '000000000000002a', number: 3 }

const streams: Readonly<Record<string, readonly StreamPart[]>> = {
  'an append to a stream': [appending('a/б', ['{"token":"да"}', '1'])],
  'an append that closes, of a producer that counts messages': [
    appending('a', ['1'], {
      closes: true,
      producer: { id: 'step-1', epoch: 2, seq: 7, counts: 'messages' },
    }),
  ],
  'every act on streams': [
    appending('a', [], { closes: true }),
    appending('b', ['null'], { producer: { id: 'p', epoch: 0, seq: 0, counts: 'requests' } }),
    acting('a', { act: 'begin', id: 'p' }),
    acting('a', { act: 'reopen' }),
    acting('a', { act: 'trim', before: placed }),
    acting('a', { act: 'keep', keeps: { ageMs: 86_400_000, bytesMax: 0, messagesMax: 100 } }),
    acting('c', { act: 'delete' }),
  ],
  'a producer is forgotten': [acting('a', { act: 'forget', id: 'p' })],
  'every producer is forgotten': [acting('a', { act: 'forgetAll' })],
  'an append to one birth, of bytes, with an order': [
    {
      ...appending('a', ['x']),
      to: { birth: placed.birth, order: '09', isBytes: true },
    } as StreamPart,
    {
      ...appending('a', ['1']),
      to: { birth: placed.birth, order: undefined, isBytes: false },
    } as StreamPart,
  ],
  'streams with terms': [
    acting('a', { ...creating, contentType: 'text/plain', ttlMs: 60_000, closes: true }),
    acting('b', {
      ...creating,
      expiresAt: 1_900_000_000_000,
      source: { owner: '$stream/a', birth: placed.birth, from: 1, number: 3, more: 2 },
    }),
    acting('a', { act: 'fork', birth: placed.birth, fork: '$stream/b' }),
    acting('a', { act: 'unfork', fork: '$stream/b' }),
    acting('a', { act: 'touch' }),
    acting('a', { act: 'expire' }),
  ],
}

/** The same parts for a stream of the entity of a turn. */
const streamTurn: Turn = {
  ...(turns['the first turn of an entity'] as Turn),
  streams: [appending('a', ['1'], { closes: true }), acting('a', { act: 'begin', id: 'p' })].map(
    (part) => ({
      ...part,
      owner: `${turns['the first turn of an entity']?.entity}\0events`,
    }),
  ),
}

const frames: Readonly<Record<string, readonly Unit[]>> = {
  ...Object.fromEntries(Object.entries(entries).map(([name, entry]) => [name, [entry]])),
  'a turn that journals, between two entries': [
    entries['the least entry'] as EntryUnit,
    { ...(turns['the first turn of an entity'] as Turn), entries: Object.values(entries) },
    entries['an entry of the journal'] as EntryUnit,
  ],
  ...Object.fromEntries(Object.entries(turns).map(([name, turn]) => [name, [turn]])),
  'a removal of rows that an entity kept': [removal],
  'a turn that writes a stream of its entity': [streamTurn],
  'a part for a stream of an entity': [{ kind: 'streams', parts: streamTurn.streams ?? [] }],
  'a removal of rows of a stream of an entity': [
    { ...removal, entity: `${removal.entity}\0events` },
  ],
  'the last removal': [{ ...removal, keys: [], isLast: true }],
  ...Object.fromEntries(
    Object.entries(streams).map(([name, parts]) => [name, [{ kind: 'streams', parts }]]),
  ),
  'a put between two turns': [
    turns['the first turn of an entity'] as Turn,
    commands.put as Command,
    turns['a turn that removes its entity'] as Turn,
  ],
  ...Object.fromEntries(Object.entries(commands).map(([name, command]) => [name, [command]])),
  'a batch of each': [{ kind: 'batch', commands: Object.values(commands) }],
  'a delete and a batch': [
    { kind: 'delete', key: 'a' },
    {
      kind: 'batch',
      commands: [
        { kind: 'delete', key: 'b' },
        { kind: 'put', key: 'c', value: bytes(9), expiry: noExpiry },
      ],
    },
  ],
}

const golden = new Map(
  readFileSync(new URL('../../golden/commands/frames.txt', import.meta.url), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => line.split(' = ') as [string, string]),
)

describe('the bytes of a frame', () => {
  test.each(Object.entries(frames))(
    'are those of the golden file, both ways: %s',
    (name, units) => {
      const hex = golden.get(name) ?? 'missing'
      expect(Buffer.from(encodeFrame(units)).toString('hex')).toBe(hex)
      expect(decodeFrame(new Uint8Array(Buffer.from(hex, 'hex')))).toEqual({ time: 0, units })
    },
  )

  test('are golden for every command that there is', () => {
    expect(new Set(Object.values(commands).map(({ kind }) => kind))).toEqual(
      new Set(Object.keys(commandTable)),
    )
    expect([...golden.keys()].sort()).toEqual(Object.keys(frames).sort())
  })
})
