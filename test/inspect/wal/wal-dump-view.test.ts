/** Commands in `keelson wal dump`: one line each, with its content. */
import { describe, expect, test } from 'vitest'
import { dumpJson, dumpLine, withoutValues } from '../../../src/inspect/wal/wal-dump-view.ts'
import { commandKinds } from '../../../src/storage/commands/command-table.ts'
import {
  alarmRowKey,
  blobRope,
  type Command,
  dueRowKey,
  encodeCause,
  encodeList,
  encodeRope,
  encodeValue,
  entryUnit,
  eventPayload,
  keepExpiry,
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

const shown = (unit: Unit, width = 60): string =>
  dumpLine(recordOf(unit), width).split('0 ms  ')[1] ?? ''

const value = encodeValue('v')

/** The body of a durable actor's row in this state. */
const bodyOf = (state: unknown): Buffer => encodeList([1, 1, '', [], {}, state])

const blob = {
  tag: 3 as const,
  bytes: encodeRope(blobRope(1, { size: 300, segment: 1, offset: 48, sha256: new Uint8Array(32) })),
}

describe('a command', () => {
  test.each<[Command, string]>([
    [{ kind: 'put', key: 'k', value, expiry: noExpiry }, `put "k" = 'v'`],
    [
      { kind: 'put', key: 'k', value: blob, expiry: noExpiry },
      'put "k" = <text of 300 B, in blobs>',
    ],
    [
      { kind: 'append', key: 'k', suffix: value, owner: 'ann' },
      `append "k" suffix 'v' owner 'ann'`,
    ],
    [{ kind: 'deleteMany', keys: ['a', 'b'] }, 'deleteMany keys "a", "b"'],
    [
      {
        kind: 'putFields',
        key: 'k',
        fields: [
          ['f', value],
          ['g', value],
        ],
      },
      `putFields "k" fields "f" = 'v', "g" = 'v'`,
    ],
    [
      {
        kind: 'putMany',
        entries: [
          { key: 'a', value, expiry: noExpiry },
          { key: 'b', value, expiry: { kind: 'after', ms: 5 } },
        ],
      },
      `putMany entries "a" = 'v', "b" = 'v' ends after 5 ms`,
    ],
    [
      { kind: 'compareAndSet', key: 'k', expected: undefined, value, expiry: keepExpiry },
      `compareAndSet "k" = 'v' ends as before`,
    ],
    [
      { kind: 'compareAndSet', key: 'k', expected: value, value, expiry: noExpiry },
      `compareAndSet "k" expected 'v' = 'v'`,
    ],
    [{ kind: 'clear', namespace: undefined }, 'clear'],
    [{ kind: 'clear', namespace: 'users' }, `clear namespace 'users'`],
  ])('says what it does: %#', (command, line) => {
    expect(shown(command)).toBe(line)
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

  test('is one line: id, type and its values; bytes that are no value as they are', () => {
    expect(shown(entry)).toBe(
      `entry "order-7" limit command { cents: 5 } response v2 'ok'` +
        ' events [fill [ 1 ]] effects [hold <01c1>]',
    )
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
    expect(shown(turn)).toContain('journal [entry "order-7" limit')
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

  const shownRow = (body: Uint8Array, entity = 'order/42'): string | undefined => {
    const row = mainRowOf({ incarnation, seq: 8 }, body)
    return shown({ ...turn, entity, row, rows: [], writes: [] }).split(`${incarnation}:7 `)[1]
  }

  test('is one line: entity, marks, state, rows and writes', () => {
    expect(shown(turn)).toBe(
      'turn "order/42" 0123456789abcdef:8 follows 0123456789abcdef:7 state { cents: 5 }' +
        ` rows ["\\u0000aorder/42\\u0000a" = [ '0/7', 9, 0, 9 ],` +
        ' "\\u0000aorder/42\\u0000b" removed, "\\u0000d00000000000009order/42\\u0000a"]' +
        ` writes [put "k" = 'v']`,
    )
    expect(shown({ ...turn, follows: undefined, rows: [], writes: [] })).toBe(
      'turn "order/42" 0123456789abcdef:8 follows nothing state { cents: 5 }',
    )
    expect(shown({ ...turn, row: undefined, rows: [], writes: [] })).toBe(
      'turn "order/42" nothing follows 0123456789abcdef:7',
    )
  })

  test('says what it handled, also where values are hidden', () => {
    const caused = (cause: Uint8Array): Turn => ({ ...turn, cause, rows: [], writes: [] })
    expect(shown(caused(encodeCause('call pay "now"', 'clerk')))).toBe(
      'turn "order/42" 0123456789abcdef:8 follows 0123456789abcdef:7' +
        ' cause "call pay \\"now\\"" by "clerk" state { cents: 5 }',
    )
    expect(shown(caused(encodeCause('cast bump')))).toContain(':7 cause "cast bump" state')
    const json = withoutValues(dumpJson(recordOf(caused(encodeCause('cast bump'))), undefined))
    expect(json).toMatchObject({ units: [{ turn: { cause: { what: 'cast bump' } } }] })
  })

  test('shows the version, the pending steps and the index behind a state', () => {
    const steps = [
      ['0/7/0', 'mail', 0, 0, 9, { to: 'ann' }],
      ['0/7/1', 'ship', 0, 0, 9],
    ]
    const body = encodeList([1, 3, '', steps, { open: true }, 'paid'])
    expect(shownRow(body)).toBe(
      `state 'paid' version 3 steps [mail { to: 'ann' }, ship] index { open: true }`,
    )
    expect(shownRow(encodeList([1, 1, '', [], {}]))).toBe('state none')
    for (const actor of ['$worker/counter', '$flow-order/7'])
      expect(shownRow(bodyOf({ cents: 5 }), actor)).toBe('state { cents: 5 }')
  })

  test('shows bytes that are no state as they are, and the position of a subscription', () => {
    expect(shownRow(Buffer.of(1, 2))).toBe('<0102>')
    expect(shownRow(encodeList([2, 'of a newer version']))).toMatch(/^<92/)
    expect(shownRow(encodeList([1, 0]), '$journal/mail')).toBe('[ 1, 0 ]')
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
    const text = dumpLine(record, 0) + encoded(withoutValues(dumpJson(record, 0)))
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
    const text = dumpLine(record, 0) + encoded(withoutValues(dumpJson(record, 0)))
    expect(text).not.toMatch(new RegExp(`CANARY7|${hex}`))
  })

  test('are type and length, beside keys and names', () => {
    const put = { kind: 'put', key, value: large, expiry } as const
    expect(shown(put, 0)).toBe('put "k" = <object of 2>')
    expect(shown({ kind: 'append', key, suffix: bytes } as never, 0)).toBe(
      'append "k" suffix <bytes of 7>',
    )
    expect(withoutValues(dumpJson(recordOf(put), undefined))).toMatchObject({
      units: [{ command: 'put', key, value: { tag: 'structured', value: '[hidden object of 2]' } }],
    })
  })
})
