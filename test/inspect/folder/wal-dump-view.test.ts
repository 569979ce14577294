/** Frames in `keelson wal dump`: one line each, without values, and whole as JSON. */
import { describe, expect, test } from 'vitest'
import { dumpJson, dumpLine, withoutValues } from '../../../src/inspect/folder/wal-dump-view.ts'
import { commandKinds } from '../../../src/storage/commands/command-table.ts'
import {
  alarmRowKey,
  type Command,
  dueRowKey,
  encodeCause,
  encodeList,
  encodeValue,
  entryUnit,
  eventPayload,
  mainRowOf,
  noExpiry,
  type Turn,
  type Unit,
} from '../../../src/storage/index.ts'

const recordOf = (unit: Unit) =>
  ({
    kind: 'frame',
    segment: { name: 'segment', header: { epoch: 1 } },
    lsn: 1,
    type: 1,
    offset: 0,
    payloadBytes: 0,
    content: { kind: 'units', time: 0, units: [unit] },
  }) as unknown as Parameters<typeof dumpLine>[0]

const shown = (unit: Unit): string => dumpLine(recordOf(unit)).split('0 ms  ')[1] ?? ''

const value = encodeValue('v')

/** The body of a durable actor's row in this state. */
const bodyOf = (state: unknown): Buffer => encodeList([1, 1, '', [], {}, state])

describe('a command', () => {
  test.each<[Command, string]>([
    [{ kind: 'put', key: 'k', value, expiry: noExpiry }, 'put "k"'],
    [{ kind: 'append', key: 'k\n', suffix: value, owner: 'ann' }, 'append "k\\n"'],
    [{ kind: 'deleteMany', keys: ['a', 'b'] }, 'deleteMany "a", "b"'],
    [{ kind: 'putFields', key: 'k', fields: [['f', value]] }, 'putFields "k"'],
    [{ kind: 'putMany', entries: [{ key: 'a', value, expiry: noExpiry }] }, 'putMany "a"'],
    [{ kind: 'clear', namespace: undefined }, 'clear'],
    [{ kind: 'clear', namespace: 'users' }, 'clear "users"'],
    [
      { kind: 'unlock', keys: [...'abcdefghij'], owner: 'ann' },
      'unlock "a", "b", "c", "d", "e", "f", "g", "h", and 2 more',
    ],
  ])('is its kind and its keys: %#', (command, line) => {
    expect(shown(command)).toBe(line)
  })

  test('of a batch is one of a list', () => {
    const commands: Command[] = [
      { kind: 'put', key: 'k', value, expiry: noExpiry },
      { kind: 'delete', key: 'l' },
    ]
    expect(shown({ kind: 'batch', commands })).toBe('batch [put "k", delete "l"]')
  })
})

describe('as JSON, a command of many values', () => {
  const json = { tag: 'text', value: 'v' }
  test.each<[string, Command, object]>([
    [
      'putMany',
      { kind: 'putMany', entries: [{ key: 'a', value, expiry: { kind: 'after', ms: 5 } }] },
      { entries: [{ key: 'a', value: json, expiry: { kind: 'after', ms: 5 } }] },
    ],
    [
      'putFields',
      { kind: 'putFields', key: 'k', fields: [['f', value]] },
      { key: 'k', fields: [['f', json]] },
    ],
  ])('has each of them: %s', (command, unit, fields) => {
    const dumped = dumpJson(recordOf(unit), undefined)
    expect(dumped).toMatchObject({ units: [{ command, ...fields }] })
    expect(JSON.stringify(withoutValues(dumped))).not.toContain('"v"')
  })
})

describe('an entry of the journal', () => {
  const entry = entryUnit({
    id: 'order-7',
    type: 'limit',
    command: eventPayload({ cents: 5 }),
    response: eventPayload('ok', 2),
    events: [{ type: 'fill', payload: eventPayload([1]) }],
    effects: [{ type: 'hold', payload: Uint8Array.of(1, 0xc1) }],
  })

  test('is one line: id and type', () => {
    expect(shown(entry)).toBe('entry "order-7" limit')
  })

  test('is complete as JSON, alone and in a turn', () => {
    const json = {
      id: 'order-7',
      type: 'limit',
      digest: Buffer.from(entry.digest).toString('hex'),
      command: { version: 1, tag: 'structured', value: { cents: 5 } },
      response: { version: 2, tag: 'structured', value: 'ok' },
      events: [{ type: 'fill', version: 1, tag: 'structured', value: [1] }],
      effects: [{ type: 'hold', version: 1, tag: 'structured', base64: 'wQ==' }],
    }
    const turn: Turn = {
      kind: 'turn',
      ...{ entity: 'order/42', follows: undefined, row: undefined, rows: [], writes: [] },
      entries: [entry],
    }
    expect(dumpJson(recordOf(entry), undefined)).toMatchObject({ units: [{ entry: json }] })
    expect(dumpJson(recordOf(turn), undefined)).toMatchObject({
      units: [{ turn: { entries: [json] } }],
    })
  })
})

describe('a turn', () => {
  const incarnation = '0123456789abcdef'
  const turn: Turn = {
    kind: 'turn',
    entity: 'order/42',
    follows: { incarnation, seq: 7 },
    row: mainRowOf({ incarnation, seq: 8 }, bodyOf({ cents: 5 })),
    rows: [
      [alarmRowKey('order/42', 'a'), encodeList(['0/7', 9, 0, 9])],
      [alarmRowKey('order/42', 'b'), undefined],
      [dueRowKey(9, 'order/42', 'a'), Buffer.of()],
    ],
    writes: [{ kind: 'put', key: 'k', value, expiry: noExpiry }],
  }

  const jsonOf = (of: Turn): unknown =>
    JSON.parse(JSON.stringify(dumpJson(recordOf({ ...of, rows: [], writes: [] }), undefined)))

  const rowJson = (body: Uint8Array, entity = 'order/42'): unknown =>
    jsonOf({ ...turn, entity, row: mainRowOf({ incarnation, seq: 8 }, body) })

  test('is one line: entity, mark and writes', () => {
    expect(shown(turn)).toBe('turn "order/42" 0123456789abcdef:8 writes [put "k"]')
    expect(shown({ ...turn, row: undefined, rows: [], writes: [] })).toBe(
      'turn "order/42" removes it',
    )
  })

  test('says what it handled, also where values are hidden', () => {
    const json = withoutValues(jsonOf({ ...turn, cause: encodeCause('call pay "now"', 'clerk') }))
    expect(json).toMatchObject({
      units: [{ turn: { cause: { what: 'call pay "now"', by: 'clerk' } } }],
    })
  })

  test('has the version, the pending steps and the index behind a state', () => {
    const steps = [
      ['0/7/0', 'mail', 0, 0, 9, { to: 'ann' }],
      ['0/7/1', 'ship', 0, 0, 9],
    ]
    const body = encodeList([1, 3, '', steps, { open: true }, 'paid'])
    expect(rowJson(body)).toMatchObject({
      units: [
        {
          turn: {
            row: {
              ...{ version: 3, fields: { open: true }, state: 'paid' },
              steps: [{ name: 'mail', payload: { to: 'ann' } }, { name: 'ship' }],
            },
          },
        },
      ],
    })
    for (const actor of ['$worker/counter', '$flow-order/7'])
      expect(rowJson(bodyOf({ cents: 5 }), actor)).toMatchObject({
        units: [{ turn: { row: { state: { cents: 5 } } } }],
      })
  })

  test('has bytes that are no state as they are, and the position of a subscription', () => {
    for (const body of [Buffer.of(1, 2), encodeList([2, 'of a newer version'])])
      expect(rowJson(body)).toMatchObject({
        units: [{ turn: { row: { base64: Buffer.from(body).toString('base64') } } }],
      })
    expect(rowJson(encodeList([1, 0]), '$journal/mail')).toMatchObject({
      units: [{ turn: { row: { tag: 'structured', value: [1, 0] } } }],
    })
  })

  test('has what JSON cannot hold as base64', () => {
    const json = (state: unknown): unknown => {
      const row = mainRowOf({ incarnation, seq: 8 }, bodyOf(state))
      return dumpJson(recordOf({ ...turn, row, rows: [], writes: [] }), undefined)
    }
    const body = bodyOf(new Map([['a', 1]])).toString('base64')
    expect(json(new Map([['a', 1]]))).toMatchObject({
      units: [{ turn: { row: { base64: body } } }],
    })
    expect(json([1])).not.toMatchObject({
      units: [{ turn: { row: { base64: expect.anything() } } }],
    })
  })

  test('is complete as JSON: state, steps and rows', () => {
    expect(JSON.parse(JSON.stringify(dumpJson(recordOf(turn), undefined)))).toMatchObject({
      units: [
        {
          turn: {
            entity: 'order/42',
            follows: { incarnation, seq: 7 },
            row: { incarnation, seq: 8, version: 1, steps: [], fields: {}, state: { cents: 5 } },
            rows: [
              { key: '\0aorder/42\0a', tag: 'structured', value: ['0/7', 9, 0, 9] },
              { key: '\0aorder/42\0b', base64: null },
              { key: '\0d00000000000009order/42\0a', base64: '' },
            ],
            writes: [{ command: 'put', key: 'k', value: { tag: 'text', value: 'v' } }],
          },
        },
      ],
    })
  })
})

describe('values that are not revealed', () => {
  const secret = encodeValue('CANARY7')
  const large = encodeValue({ number: 'CANARY7', list: [{ pin: 'CANARY7' }] })
  const bytes = encodeValue(Buffer.from('CANARY7'))
  const key = 'k'
  const [expiry, keys, owner, leaseMs] = [noExpiry, ['k'], 'ann', 5]
  /** One of each kind: a new kind of command fails to compile here. */
  const commands: { readonly [K in Command['kind']]: Omit<Command & { kind: K }, 'kind'> } = {
    put: { key, value: large, expiry },
    delete: { key },
    set: { key, value: secret, expiry, condition: 'absent', get: true },
    append: { key, suffix: secret },
    getSet: { key, value: bytes },
    setRange: { key, offset: 0, patch: bytes },
    compareAndSet: { key, expected: secret, value: secret, expiry },
    lock: { keys, owner, leaseMs },
    extend: { keys, owner, leaseMs },
    unlock: { keys, owner },
    putField: { key, field: 'f', value: secret },
    putFields: { key, fields: [['f', secret]] },
    deleteField: { key, field: 'f' },
    putMany: { entries: [{ key, value: bytes, expiry }] },
    deleteMany: { keys },
    expire: { key, expiry: { kind: 'after', ms: 5 } },
    persist: { key },
    clear: { namespace: 'users' },
    removeExpired: { keys: [] },
  } as never
  const incarnation = '0123456789abcdef'
  const mark = { incarnation, seq: 8 }
  const steps = [['0/7/0', 'mail', 0, 0, 9, { to: 'CANARY7' }]]
  const turn: Turn = {
    ...{ kind: 'turn', entity: 'order/42', follows: mark },
    row: mainRowOf(mark, encodeList([1, 1, '', steps, { index: 'CANARY7' }, { a: 'CANARY7' }])),
    rows: [[alarmRowKey('order/42', 'a'), encodeList(['CANARY7'])]],
    writes: [{ kind: 'put', key, value: secret, expiry }],
    own: { birth: incarnation, changes: [['row', secret]] },
  }
  const entry = entryUnit({
    id: 'order-7',
    type: 'limit',
    command: eventPayload({ cents: 'CANARY7' }),
    response: eventPayload('CANARY7', 2),
    events: [{ type: 'fill', payload: eventPayload(['CANARY7']) }],
    effects: [{ type: 'hold', payload: Buffer.from('CANARY7') }],
  })
  const all = commandKinds.map((kind) => ({ kind, ...commands[kind] }) as Command)
  const units: [string, Unit][] = [
    ...all.map((command): [string, Unit] => [command.kind, command]),
    ['a batch', { kind: 'batch', commands: all } as never],
    ['a turn', turn],
    ['a turn of an own entity', { ...turn, entity: '$journal/mail' }],
    ['a row that is no state', { ...turn, row: mainRowOf(mark, Buffer.from('CANARY7')) }],
    ['an entry', entry],
    ['a turn with an entry', { ...turn, entries: [entry] }],
  ]
  const hex = Buffer.from('CANARY7').toString('hex')
  const encoded = (record: unknown): string =>
    JSON.stringify(record).replace(
      /"([\w+/]+=*)"/g,
      (_, text) => text + Buffer.from(text, 'base64'),
    )

  test.each(units)('%s shows none, as text and as JSON', (_, unit) => {
    const record = recordOf(unit)
    const text = dumpLine(record) + encoded(withoutValues(dumpJson(record, 0)))
    expect(text).not.toMatch(new RegExp(`CANARY7|${hex}|${[...Buffer.from('CANARY7')]}`))
  })

  test.each<[string, object]>([
    ['an entry of an application', { kind: 'entry', type: 9, bytes: Buffer.from('CANARY7') }],
    [
      'a checkpoint',
      { kind: 'checkpoint', checkpoint: { lsn: 1, opaque: Buffer.from('CANARY7') } },
    ],
    ['bytes', { kind: 'bytes', bytes: Buffer.from('CANARY7'), time: 0 }],
  ])('%s shows none', (_, content) => {
    const record = { ...recordOf(turn), content: { time: 0, ...content } } as never
    const text = dumpLine(record) + encoded(withoutValues(dumpJson(record, 0)))
    expect(text).not.toMatch(new RegExp(`CANARY7|${hex}`))
  })

  test('are type and length, beside keys and names', () => {
    const put = { kind: 'put', key, value: large, expiry } as const
    expect(withoutValues(dumpJson(recordOf(put), undefined))).toMatchObject({
      units: [{ command: 'put', key, value: { tag: 'structured', value: '[hidden object of 2]' } }],
    })
  })
})
