/** The effect of turns: all of it or nothing, and only on the state that they follow. */
import { describe, expect, test } from 'vitest'
import { isKeelsonError } from '../../../src/errors.ts'
import {
  type Command,
  type EntityRowChange,
  noExpiry,
  type Turn,
} from '../../../src/storage/commands/command.ts'
import { refusalError } from '../../../src/storage/commands/command-answer.ts'
import type { Row, StoredValue } from '../../../src/storage/ports/projection-store.ts'
import { loggedBlobRow } from '../../../src/storage/rows/blob-rows.ts'
import { unitRowsMax } from '../../../src/storage/rows/key-commands.ts'
import { applyUnits } from '../../../src/storage/rows/unit-application.ts'
import {
  alarmRowKey,
  callIdRowKey,
  dueRowKey,
  entityRowKey,
} from '../../../src/storage/values/entity-key.ts'
import { mainRowOf, readEntityRow, type TurnMark } from '../../../src/storage/values/entity-row.ts'
import { blobRope, encodeRope } from '../../../src/storage/values/rope.ts'
import { appliedUnit } from '../../support/worlds/applied-unit.ts'
import { MapRows } from '../../support/worlds/map-rows.ts'

const now = 1_000
const entity = 'order/42'
const main = entityRowKey(entity)

const mark = (seq: number, incarnation = '09afc0de1b2d3e4f'): TurnMark => ({ incarnation, seq })
const text = (content: string): StoredValue => ({ tag: 1, bytes: Buffer.from(content) })
const put = (key: string, content: string): Command => ({
  kind: 'put',
  key,
  value: text(content),
  expiry: noExpiry,
})

type Given = {
  readonly follows?: TurnMark
  readonly to?: TurnMark
  readonly body?: string
  readonly rows?: readonly EntityRowChange[]
  readonly writes?: readonly Command[]
}

/** A turn to the state `to`; without it, one that removes the entity. */
const turn = ({ follows, to, body = 'state', rows = [], writes = [] }: Given): Turn => ({
  kind: 'turn',
  entity,
  follows,
  row: to && mainRowOf(to, Buffer.from(body)),
  rows,
  writes,
})

/** The rows after these turns, each of which takes effect. */
const rowsAfter = (...turns: readonly Turn[]): MapRows => {
  const rows = new MapRows()
  for (const each of turns) {
    const { changes, answer } = appliedUnit(each, rows, now)
    expect(answer.kind).toBe('turn')
    rows.take(changes)
  }
  return rows
}

const stateOf = (rows: MapRows) => {
  const row = rows.get(main)
  if (!row) return undefined
  const read = readEntityRow(row)
  return { ...read, body: Buffer.from(read.body).toString() }
}

const born = turn({ to: mark(1) })

describe('a turn', () => {
  test('of an unborn entity makes its main row: mark and body', () => {
    expect(stateOf(rowsAfter(turn({ to: mark(1), body: 'first' })))).toEqual({
      mark: mark(1),
      body: 'first',
    })
  })

  test('replaces the main row that it follows', () => {
    const next = turn({ follows: mark(1), to: mark(2), body: 'second' })
    expect(stateOf(rowsAfter(born, next))).toEqual({ mark: mark(2), body: 'second' })
  })

  test('may go on in another incarnation, at any number', () => {
    const other = mark(2 ** 53 - 1, 'ffffffffffffffff')
    expect(stateOf(rowsAfter(born, turn({ follows: mark(1), to: other })))?.mark).toEqual(other)
  })

  test('without a new row removes the entity, which may be born again', () => {
    expect(stateOf(rowsAfter(born, turn({ follows: mark(1) })))).toBe(undefined)
    const again = turn({ to: mark(1, '00000000000000bb') })
    expect(stateOf(rowsAfter(born, turn({ follows: mark(1) }), again))?.mark).toEqual(
      mark(1, '00000000000000bb'),
    )
  })

  test('sets and removes rows beside the main row, and leaves out what it does not name', () => {
    const [alarm, due] = [alarmRowKey(entity, 'a'), dueRowKey(5, entity, 'a')]
    const call = callIdRowKey(entity, 'req')
    const [one, two] = [Buffer.from('1'), Buffer.from('2')]
    const rows = rowsAfter(
      turn({ to: mark(1), rows: [...[alarm, due, call].map((key) => [key, one] as const)] }),
      turn({
        follows: mark(1),
        to: mark(2),
        rows: [
          [due, undefined],
          [call, two],
        ],
      }),
    )
    expect([...rows.rows.keys()].sort()).toEqual([alarm, main, call].sort())
    expect(rows.get(alarm)).toEqual({ value: { tag: 7, bytes: one }, expiresAt: 0 })
    expect(rows.get(call)).toEqual({ value: { tag: 7, bytes: two }, expiresAt: 0 })
  })

  test('applies its writes in order, each on the state after those before it, and answers them', () => {
    const writes: Command[] = [
      put('k', '1'),
      { kind: 'append', key: 'k', suffix: text('2') },
      { kind: 'delete', key: 'gone' },
    ]
    const { changes, answer } = appliedUnit(turn({ to: mark(1), writes }), new MapRows(), now)
    expect(answer).toEqual({
      kind: 'turn',
      answers: [{ kind: 'put' }, { kind: 'append', length: 2 }, { kind: 'delete', existed: false }],
    })
    expect(Buffer.from(new Map(changes).get('k')?.value.bytes ?? []).toString()).toBe('12')
  })

  test('takes effect although a condition of a write is not met: that is an answer', () => {
    const writes: Command[] = [
      {
        kind: 'set',
        key: 'k',
        value: text('v'),
        expiry: noExpiry,
        condition: 'present',
        get: false,
      },
      { kind: 'compareAndSet', key: 'k', expected: text('x'), value: text('y'), expiry: noExpiry },
    ]
    const rows = rowsAfter(turn({ to: mark(1), writes }))
    expect(stateOf(rows)?.mark).toEqual(mark(1))
    expect(rows.get('k')).toBe(undefined)
  })

  test('notes the blobs of its writes', () => {
    const ref = { size: 300_000, segment: 2, offset: 4096, sha256: new Uint8Array(32).fill(9) }
    const value: StoredValue = { tag: 3, bytes: encodeRope(blobRope(1, ref)) }
    const writes: Command[] = [{ kind: 'put', key: 'k', value, expiry: noExpiry }]
    const rows = rowsAfter(turn({ to: mark(1), writes }))
    const [key, row] = loggedBlobRow(ref, 1)
    expect(rows.get(key)).toEqual(row)
  })

  test('sees the units before it in its frame, and those behind it see it', () => {
    const rows = new MapRows()
    const sink = { set: (key: string, row: Row | undefined) => rows.take([[key, row]]) }
    const units = [
      put('k', '1'),
      turn({ to: mark(1), writes: [{ kind: 'append', key: 'k', suffix: text('2') }] }),
      turn({ follows: mark(1), to: mark(2) }),
      turn({ follows: mark(1), to: mark(3) }),
      { kind: 'append', key: 'k', suffix: text('3') } as const,
    ]
    expect(applyUnits(units, rows, { lsn: 1, time: now }, sink)).toMatchObject([
      { kind: 'put' },
      { kind: 'turn', answers: [{ length: 2 }] },
      { kind: 'turn' },
      { kind: 'refused', reason: { code: 'CONFLICT' } },
      { kind: 'append', length: 3 },
    ])
    expect(stateOf(rows)?.mark).toEqual(mark(2))
  })
})

describe('a turn is refused with CONFLICT and changes nothing', () => {
  const gone = turn({ follows: mark(1) })
  test.each<[string, readonly Turn[], TurnMark | undefined]>([
    ['where it follows nothing and there is a row', [born], undefined],
    ['where it follows a row and there is none', [], mark(1)],
    ['of a killed incarnation', [born], mark(1, '00000000000000bb')],
    ['that follows an older turn', [born, turn({ follows: mark(1), to: mark(2) })], mark(1)],
    ['that follows a turn to come', [born], mark(2)],
    ['that comes late, when its entity is deleted', [born, gone], mark(1)],
    [
      'that comes late, when its entity is born again',
      [born, gone, turn({ to: mark(1, '00000000000000bb') })],
      mark(1),
    ],
  ])('%s', (_, before, follows) => {
    const rows = rowsAfter(...before)
    const late = turn({
      ...(follows ? { follows } : {}),
      to: mark(9),
      rows: [[alarmRowKey(entity, 'a'), Buffer.from('1')]],
      writes: [put('k', 'v')],
    })
    const { changes, answer } = appliedUnit(late, rows, now)
    expect(changes).toEqual([])
    if (answer.kind !== 'refused') throw new Error('it took effect')
    const error = refusalError(answer)
    expect(error.code).toBe('CONFLICT')
    expect(error.details).toStrictEqual({
      key: entity,
      command: 0,
      present: stateOf(rows)?.mark,
    })
  })
})

describe('a turn whose writes are refused changes nothing', () => {
  const lock: Command = { kind: 'lock', keys: ['k'], owner: 'ann', leaseMs: 50 }
  const setUp = (): MapRows => {
    const rows = rowsAfter(born)
    for (const command of [
      lock,
      { kind: 'putField', key: 'c', field: 'f', value: text('v') },
    ] as const)
      rows.take(appliedUnit(command, rows, now).changes)
    return rows
  }

  test.each<[string, Command, object]>([
    ['LOCKED', put('k', 'v'), { code: 'LOCKED', owner: 'ann', until: now + 50 }],
    ['WRONG_TYPE', { kind: 'append', key: 'c', suffix: text('x') }, { code: 'WRONG_TYPE' }],
    [
      'CONFLICT of a lease',
      { kind: 'extend', keys: ['free'], owner: 'ann', leaseMs: 1 },
      { code: 'CONFLICT' },
    ],
  ])('with %s, and names the key and the place of the write', (_, refusedWrite, reason) => {
    const rows = setUp()
    const next = turn({
      follows: mark(1),
      to: mark(2),
      rows: [[alarmRowKey(entity, 'a'), Buffer.from('1')]],
      writes: [put('before', 'v'), refusedWrite, put('behind', 'v')],
    })
    const { changes, answer } = appliedUnit(next, rows, now)
    expect(changes).toEqual([])
    const key =
      'keys' in refusedWrite ? refusedWrite.keys[0] : 'key' in refusedWrite && refusedWrite.key
    expect(answer).toStrictEqual({ kind: 'refused', reason, key, command: 1 })
  })

  test('with TOO_LARGE, when it changes more rows than a unit may', { tags: ['slow'] }, () => {
    const alarm: EntityRowChange = [alarmRowKey(entity, 'a'), undefined]
    const many = (count: number, writes = [put('a', 'v'), put('b', 'v')]): Turn =>
      turn({
        follows: mark(1),
        to: mark(2),
        rows: new Array<EntityRowChange>(count).fill(alarm),
        writes,
      })
    const { changes, answer } = appliedUnit(many(unitRowsMax - 1), setUp(), now)
    expect(changes).toEqual([])
    expect(answer).toMatchObject({ kind: 'refused', reason: { code: 'TOO_LARGE' } })
    expect(appliedUnit(many(unitRowsMax + 1, []), setUp(), now).answer.kind).toBe('refused')
    expect(appliedUnit(many(unitRowsMax, []), setUp(), now).answer.kind).toBe('turn')
  })

  test('and takes effect once the lease has ended', () => {
    const next = turn({ follows: mark(1), to: mark(2), writes: [put('k', 'v')] })
    expect(appliedUnit(next, setUp(), now + 49).answer.kind).toBe('refused')
    expect(appliedUnit(next, setUp(), now + 50).answer.kind).toBe('turn')
  })
})

test('no command of users reaches the rows of entities', () => {
  const rows = rowsAfter(
    turn({ to: mark(1), rows: [[dueRowKey(5, entity, 'a'), Buffer.from('1')]] }),
  )
  rows.take(appliedUnit(put('order:1', 'v'), rows, now).changes)
  for (const namespace of [undefined, '_root', '', 'order'])
    rows.take(appliedUnit({ kind: 'clear', namespace }, rows, now).changes)
  expect([...rows.rows.keys()].sort()).toEqual([dueRowKey(5, entity, 'a'), main].sort())
})

test('a row that is no main row is CORRUPT', () => {
  const read = (value: Row['value']) => {
    try {
      return readEntityRow({ value, expiresAt: 0 })
    } catch (error) {
      return isKeelsonError(error) ? error.code : error
    }
  }
  expect(read({ tag: 7, bytes: new Uint8Array(15) })).toBe('CORRUPT')
  expect(read({ tag: 2, bytes: new Uint8Array(16) })).toBe('CORRUPT')
  expect(read({ tag: 7, bytes: new Uint8Array(16) })).toEqual({
    mark: { incarnation: '0000000000000000', seq: 0 },
    body: new Uint8Array(0),
  })
})
