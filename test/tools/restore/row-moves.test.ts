/** Where rows go when a shard is split. */
import { expect, test } from 'vitest'
import {
  alarmRowKey,
  callIdRowKey,
  dueRowKey,
  entityRowKey,
  indexRowKey,
  ownRowKey,
  positionEntity,
  removalRowKey,
  savedStateEntity,
  writtenKeyRowKey,
} from '../../../src/storage/values/entity-key.ts'
import { shardOf } from '../../../src/storage/values/key.ts'
import {
  appendedMarkerKey,
  compoundMarkerKey,
  entryIdRowKey,
  fieldRowKey,
  lockRowKey,
  prefixOf,
  type RowClassName,
  rowClasses,
  rowClassOf,
  unlistedBlobsKey,
} from '../../../src/storage/values/row-key.ts'
import {
  streamChunkKey,
  streamHeadKey,
  streamProducerKey,
} from '../../../src/storage/values/stream-key.ts'
import { rowMoved, rowMoves } from '../../../src/tools/restore/row-moves.ts'
import { RowSums } from '../../../src/tools/restore/row-sums.ts'

const birth = '00000000000000ff'

/** A row of each class about one key, or one actor. */
const rowsOf = (key: string, actor: string): Readonly<Record<RowClassName, string>> => {
  const [kind = '', id = ''] = actor.split('/')
  return {
    value: key,
    field: fieldRowKey(key, 'f'),
    lock: lockRowKey(key),
    loggedBlob: `${prefixOf('loggedBlob')}${'0'.repeat(32)}`,
    unlistedBlobs: unlistedBlobsKey,
    compoundMarker: compoundMarkerKey,
    entity: entityRowKey(actor),
    alarm: alarmRowKey(actor, 'ring'),
    due: dueRowKey(5, actor, 'ring'),
    callId: callIdRowKey(actor, 'request'),
    writtenKey: writtenKeyRowKey(actor, key),
    index: indexRowKey(kind, 'field', '4text', id),
    own: ownRowKey(actor, birth, 'own'),
    removal: removalRowKey(actor, birth),
    streamHead: streamHeadKey(actor),
    streamChunk: streamChunkKey(actor, birth, 7),
    streamProducer: streamProducerKey(actor, birth, 'p'),
    entryId: entryIdRowKey('entry'),
    appendedMarker: appendedMarkerKey,
    derived: `${prefixOf('derived')}producer\0${key}`,
    projected: `${prefixOf('projected')}name\x00000001${key}`,
    projectionMark: `${prefixOf('projectionMark')}name`,
  }
}

/** The line of each class, as it is meant. */
const lines: Readonly<Record<string, readonly RowClassName[]>> = {
  key: ['value', 'field', 'lock'],
  actor: [
    ...['entity', 'alarm', 'due', 'callId', 'writtenKey', 'index', 'own', 'removal'],
    ...['streamHead', 'streamChunk', 'streamProducer'],
  ] as const,
  stay: ['entryId', 'appendedMarker'],
  all: ['compoundMarker'],
  derive: ['loggedBlob', 'unlistedBlobs', 'derived', 'projected', 'projectionMark'],
}

test('every class of rows has a line, and goes with its key, with its actor, with its log, to all, or to none', {
  tags: ['SH1'],
}, () => {
  const meant = Object.entries(lines).flatMap(([move, names]) => names.map((name) => [name, move]))
  expect(rowMoves).toEqual(Object.fromEntries(meant))
  expect(Object.keys(rowMoves).sort()).toEqual(Object.keys(rowClasses).sort())
  for (let at = 0; at < 50; at++) {
    const [key, actor] = [`key:${at}`, `order/${at}`]
    for (const [shards, parents] of [
      [2, 1],
      [3, 1],
      [64, 1],
      [12, 4],
    ] as const) {
      const rows = rowsOf(key, actor)
      for (const [name, row] of Object.entries(rows) as [RowClassName, string][]) {
        expect(rowClassOf(row), name).toBe(name)
        const byKey = shardOf(key, shards)
        const byActor = shardOf(`{${actor}}`, shards)
        const from = (rowMoves[name] === 'actor' ? byActor : byKey) % parents
        const to = { key: byKey, actor: byActor, stay: from, all: 'all', derive: 'none' }
        expect(rowMoved(row, from, shards).to, name).toBe(to[rowMoves[name]])
      }
    }
  }
})

test('positions of the journal stay with their log', () => {
  for (const actor of [positionEntity('reader'), savedStateEntity])
    for (const from of [0, 1, 2]) expect(rowMoved(entityRowKey(actor), from, 64).to).toBe(from)
})

test('a key that no row has is CORRUPT', () => {
  for (const key of ['', '\0z', `${prefixOf('alarm')}no actor`])
    expect(() => rowMoved(key, 0, 2)).toThrow(expect.objectContaining({ code: 'CORRUPT' }))
})

test('sums do not depend on the order of rows, and differ by one row, one byte, and what it is about', () => {
  const bytes = (text: string) => Buffer.from(text)
  const row = (key: string, record: string) => ({ key: bytes(key), record: bytes(record) })
  const all = Array.from({ length: 20 }, (_, at) => row(`k${at}`, `v${at}`))
  const sumOf = (rows: readonly ReturnType<typeof row>[], about = 'value') => {
    const sums = new RowSums()
    for (const each of rows) sums.add(about, each)
    return sums.all
  }
  const sum = sumOf(all)
  expect(sum.value).toEqual({ rows: 20, sum: expect.stringMatching(/^[0-9a-f]{32}$/) })
  expect(sumOf(all.toReversed())).toEqual(sum)
  expect(sumOf(all.slice(1))).not.toEqual(sum)
  expect(sumOf([...all.slice(1), row('k0', 'v1')])).not.toEqual(sum)
  expect(sumOf(all, 'lock')).not.toEqual(sum)

  const mixed = new RowSums()
  for (const about of ['value', 'field', 'lock', 'entity']) mixed.add(about, row('k', 'v'))
  expect(Object.keys(mixed.all)).toEqual(['entity', 'field', 'lock', 'value'])

  const numberOf = (found: ReturnType<typeof sumOf>): bigint => BigInt(`0x${found.value?.sum}`)
  const each = all.map((one) => numberOf(sumOf([one])))
  expect(numberOf(sum)).toBe(each.reduce((one, other) => one + other) % 2n ** 128n)
})
