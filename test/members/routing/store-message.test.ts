/** What another member sends about the store is checked: nothing that the store would not write gets in. */
import { describe, expect, test } from 'vitest'
import { storedIn, unitIn, writeAnswerIn } from '../../../src/members/routing/store-message.ts'
import * as StoreService from '../../../src/members/routing/store-service.ts'
import { call } from '../../../src/runtime/index.ts'
import {
  type Command,
  encodeFrame,
  encodeValue,
  type FrameUnits,
  noExpiry,
  type Unit,
} from '../../../src/storage/index.ts'
import { shardOf } from '../../../src/storage/values/key.ts'
import { streamOwner } from '../../../src/storage/values/stream-key.ts'
import { codeOf as thrownBy } from '../../support/error-codes.ts'
import { FolderMembers } from '../../support/worlds/folder-members.ts'
import { codeOf } from '../../support/worlds/simulated-instance.ts'
import { appending } from '../../support/worlds/stream-parts.ts'

const shards = 4
const shard = shardOf('k', shards)
const stray = ['a', 'b', 'c', 'd', 'e'].find((key) => shardOf(key, shards) !== shard) as string

const put = (key: string, value: unknown = 1): Command => ({
  kind: 'put',
  key,
  value: encodeValue(value),
  expiry: noExpiry,
})

const streamsOf = (isHere: boolean): string =>
  ['a', 'b', 'c', 'd', 'e', 'f', 'g'].find(
    (name) => (shardOf(`{${streamOwner(name)}}`, shards) === shard) === isHere,
  ) as string
const [here, there] = [streamsOf(true), streamsOf(false)]

const turn: Unit = {
  kind: 'turn',
  entity: 'order/1',
  follows: undefined,
  row: undefined,
  rows: [],
  writes: [],
}

const read = (units: FrameUnits) => unitIn(encodeFrame(units), shard, shards)

describe('the unit of a write', () => {
  test.each<[string, Unit]>([
    ['a put', put('k', { at: new Date(1), some: new Set([1n]) })],
    ['a clear of everything', { kind: 'clear', namespace: undefined }],
    [
      'a comparison with nothing',
      { ...put('k'), kind: 'compareAndSet', expected: undefined } as Command,
    ],
    ['a batch', { kind: 'batch', commands: [put('k'), { kind: 'delete', key: 'k' }] }],
    ['parts for streams', { kind: 'streams', parts: [appending(here, ['{"a":"да"}', '1'])] }],
  ])('comes as it was sent: %s', (_, unit) => {
    expect(encodeFrame(read(unit))).toEqual(encodeFrame(unit))
  })

  test.each<[string, FrameUnits]>([
    ['a key of another shard', put(stray)],
    ['a key of another shard in a batch', { kind: 'batch', commands: [put('k'), put(stray)] }],
    ['a stream of another shard', { kind: 'streams', parts: [appending(there, ['1'])] }],
    ['a message that is no JSON', { kind: 'streams', parts: [appending(here, ['1', 'no'])] }],
    ['a turn', turn],
    ['two units', [put('k'), put('k')]],
    ['a removal of what has expired', { kind: 'removeExpired', keys: ['k'] }],
    [
      'a reference to a blob',
      { ...put('k'), value: { tag: 3, bytes: Buffer.alloc(90) } } as Command,
    ],
    [
      'bytes that are no value',
      { ...put('k'), value: { tag: 0, bytes: Buffer.from([0xc1, 1]) } } as Command,
    ],
    [
      'text that is none',
      { ...put('k'), value: { tag: 1, bytes: Buffer.from([0xff]) } } as Command,
    ],
    [
      'a comparison with bytes that are no value',
      {
        ...put('k'),
        kind: 'compareAndSet',
        expected: { tag: 0, bytes: Buffer.from([0xc7, 1, 9, 9]) },
      } as Command,
    ],
  ])('is refused: %s', (_, units) => {
    expect(thrownBy(() => read(units))).toBe('INVALID_ARGUMENT')
  })

  test('is refused where it is cut anywhere', () => {
    const frame = encodeFrame({ kind: 'batch', commands: [put('k', 'text'), put('k', { x: [1] })] })
    for (let length = 0; length < frame.length; length++)
      expect(
        thrownBy(() => unitIn(frame.subarray(0, length), shard, shards)),
        `${length}`,
      ).toMatch(/INVALID_ARGUMENT|UNSUPPORTED_VERSION/)
  })
})

describe('an answer of an owner', () => {
  test.each([
    ['nothing', undefined],
    ['without a position', { answers: [] }],
    ['without answers', { lsn: 1 }],
    ['with an answer of no kind', { lsn: 1, answers: [{}] }],
    [
      'with a refusal of no known code',
      { lsn: 1, answers: [{ kind: 'refused', reason: { code: 'X' } }] },
    ],
    ['with a value that is none', { lsn: 1, answers: [{ kind: 'getSet', previous: { tag: 0 } }] }],
  ])('is malformed: %s', (_, answer) => {
    expect(thrownBy(() => writeAnswerIn(answer))).toBe('INVALID_ARGUMENT')
  })

  test('has no reference to a blob of the owner', () => {
    expect(thrownBy(() => storedIn({ tag: 3, bytes: Buffer.alloc(90) }))).toBe('INVALID_ARGUMENT')
  })
})

test('the service refuses what is not of its shards, and goes on', async () => {
  const world = new FolderMembers(['a', 'b'])
  const [a] = await world.start()
  const service = a?.system.to(StoreService.name()) as never
  const own = a?.shards.find(({ phase }) => phase.kind === 'open')?.index ?? 0
  const away = a?.shards.find(({ phase }) => phase.kind === 'elsewhere')?.index ?? 0
  const key = (of: number) =>
    ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].find((k) => shardOf(k, 4) === of) ?? ''
  const asked = (name: string, payload: unknown) =>
    world.during(codeOf(call(service, name as never, payload as never)))
  const frame = encodeFrame(put(key(own)))
  const terms = { ack: 'applied', whenFull: 'wait', deadlineMs: 100 }

  expect(await asked('write', { ...terms, shard: own, frame })).toBe('ok')
  expect(await asked('write', { ...terms, shard: away, frame: encodeFrame(put(key(away))) })).toBe(
    'ELSEWHERE',
  )
  expect(await asked('write', { ...terms, shard: 99, frame })).toBe('INVALID_ARGUMENT')
  expect(await asked('write', { ...terms, ack: 'later', shard: own, frame })).toBe(
    'INVALID_ARGUMENT',
  )
  expect(await asked('write', { shard: own, frame: 'text' })).toBe('INVALID_ARGUMENT')
  expect(await asked('load', { shard: own, key: key(away) })).toBe('INVALID_ARGUMENT')
  expect(await asked('load', { shard: away, key: key(away) })).toBe('ELSEWHERE')
  expect(await asked('load', { shard: own, key: key(own) })).toBe('ok')
})
