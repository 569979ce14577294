import { describe, expect, test } from 'vitest'
import { Overlay } from '../../../src/actors/overlay/overlay.ts'
import { ShardRows } from '../../../src/actors/overlay/shard-rows.ts'
import {
  applyUnits,
  type Command,
  encodeValue,
  keepExpiry,
  noExpiry,
} from '../../../src/storage/index.ts'
import { memoryProjections } from '../../../src/testing/index.ts'
import { missingBlob } from '../../support/worlds/map-rows.ts'
import { roomy } from '../../support/worlds/overlay-limits.ts'

const put: Command = { kind: 'put', key: 'k', value: encodeValue(1), expiry: noExpiry }
const locking = (kind: 'lock' | 'extend', owner: string, ...keys: string[]): Command => ({
  kind,
  keys,
  owner,
  leaseMs: 1_000,
})
const unlock = (owner: string, ...keys: string[]): Command => ({ kind: 'unlock', keys, owner })

/** Rows that say how often the projection was asked while a unit was applied. */
const watchedRows = (time = 0) => {
  const store = memoryProjections({ turnsMax: 0 }).open('/rows')
  const rows = new ShardRows(new Overlay(roomy), store, missingBlob)
  let lsn = 0
  const looks = (...commands: Command[]): number => {
    let count = 0
    const get = store.get.bind(store)
    store.get = (key) => {
      count++
      return get(key)
    }
    const unit =
      commands.length === 1 ? (commands[0] as Command) : { kind: 'batch' as const, commands }
    rows.begin(++lsn)
    applyUnits([unit], rows, { lsn, time }, rows)
    store.get = get
    return count
  }
  return { store, rows, looks }
}

describe('the rows of a shard', () => {
  test('are asked for locks by a put only while there is one', () => {
    const { looks } = watchedRows()
    expect(looks(put)).toBe(0)
    looks(locking('lock', 'me', 'a', 'b'))
    expect(looks(put)).toBe(1)
    looks(unlock('me', 'a'))
    expect(looks(put)).toBe(1)
    // Twice makes no difference: there is one lock less only once.
    looks(unlock('me', 'a'))
    expect(looks(put)).toBe(1)
    looks(locking('extend', 'me', 'b'))
    looks(unlock('me', 'b'))
    expect(looks(put)).toBe(0)
  })

  test('are not asked by what overwrites, until a compound may be in its way', () => {
    const { looks } = watchedRows()
    const value = encodeValue('v')
    const overwriting: Command[] = [
      put,
      { kind: 'set', key: 'n', value, expiry: noExpiry, condition: 'always', get: false },
      {
        kind: 'putMany',
        entries: ['n', 'm', 'n'].map((key) => ({ key, value, expiry: noExpiry })),
      },
    ]
    expect(overwriting.map((command) => looks(command))).toEqual([0, 0, 0])
    const asking = { kind: 'set', key: 'o', value, expiry: noExpiry, condition: 'always' } as const
    expect(looks({ ...asking, get: true })).toBe(1)
    expect(looks({ ...asking, get: false, expiry: keepExpiry, key: 'p' })).toBe(1)
    looks({ kind: 'putField', key: 'c', field: 'f', value })
    expect(looks({ ...asking, get: false, key: 'q' })).toBe(1)
  })

  test('are not asked for a lock that a refused unit did not take, nor for one that came and went in a batch', () => {
    const { looks } = watchedRows()
    looks(locking('lock', 'me', 'a'), { kind: 'append', key: 'n', suffix: encodeValue(1) })
    expect(looks(put)).toBe(0)
    looks(locking('lock', 'me', 'a'), unlock('me', 'a'))
    expect(looks(put)).toBe(0)
  })

  test('count the locks that the projection has', () => {
    const { store, rows, looks } = watchedRows()
    looks(locking('lock', 'me', 'a'))
    const lock = rows.get('\0la')
    if (!lock) throw new Error('no lock')
    void store.commit(
      [
        ['\0la', lock],
        ['\0lb', lock],
      ],
      { walId: 'ab'.repeat(16), epoch: 1, lsn: 1 },
    )
    const later = new ShardRows(new Overlay(roomy), store, missingBlob)
    expect(later.hints.locks).toBe(true)
    later.begin(2)
    later.set('\0la', undefined)
    expect(later.hints.locks).toBe(true)
    later.begin(3)
    later.set('\0lb', undefined)
    expect(later.hints.locks).toBe(false)
  })
})
