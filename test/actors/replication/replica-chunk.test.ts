/** Where the log is cut for a replica, and what JSON says of a value. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { jsonText } from '../../../src/actors/replication/readable-key.ts'
import { blobsOf, chunkLength, sidesOf } from '../../../src/actors/replication/replica-chunk.ts'
import { replicaPauses } from '../../../src/actors/replication/replicator.ts'
import { backoffMs } from '../../../src/clock.ts'
import { noExpiry, type Unit } from '../../../src/storage/index.ts'
import { blobRope, storedRope } from '../../../src/storage/values/rope.ts'

const frames = fc.array(
  fc.record({
    startsGroup: fc.boolean(),
    payload: fc.integer({ min: 1, max: 50 }).map((length) => new Uint8Array(length)),
  }),
  { maxLength: 40 },
)

test('a chunk ends where a group ends, and has as many groups as the bound allows, but one at least', {
  tags: ['E53'],
}, () => {
  fc.assert(
    fc.property(frames, fc.boolean(), fc.integer({ min: 1, max: 300 }), (list, isEnd, max) => {
      const count = chunkLength(list, isEnd, max)
      const cuts = list.flatMap(({ startsGroup }, at) => (startsGroup && at > 0 ? [at] : []))
      const ends = isEnd && list.length > 0 ? [...cuts, list.length] : cuts
      expect(count === 0 ? ends : ends.includes(count)).toEqual(count === 0 ? [] : true)
      const bytesTo = (end: number) =>
        list.slice(0, end).reduce((sum, { payload }) => sum + payload.length, 0)
      // More than the bound only for the first group.
      if (bytesTo(count) > max) expect(ends[0]).toBe(count)
      const next = ends.find((end) => end > count)
      if (next !== undefined) expect(bytesTo(next)).toBeGreaterThan(max)
    }),
    { numRuns: 2_000 },
  )
})

test('a chunk of frames that were read in part is no longer than one of all of them', () => {
  fc.assert(
    fc.property(frames, fc.integer({ min: 1, max: 300 }), fc.nat(40), (list, max, read) => {
      const whole = chunkLength(list, true, max)
      const part = chunkLength(list.slice(0, read), false, max)
      expect(part === 0 || part <= whole).toBe(true)
    }),
    { numRuns: 2_000 },
  )
})

test('the sides of frames are what they clear, their keys, the actors that people are shown, and their blobs', () => {
  const ref = { size: 3, segment: 1, offset: 1, sha256: new Uint8Array(32) }
  const blob = storedRope(blobRope(1, ref))
  const turn = (entity: string): Unit => ({
    ...{ kind: 'turn', entity, follows: undefined, row: undefined, rows: [] },
    writes: [{ kind: 'put', key: 'of a turn', value: blob, expiry: noExpiry }],
  })
  const frame = (...units: Unit[]) => ({ lsn: 1, time: 1, units })
  const sides = sidesOf([
    frame({ kind: 'clear', namespace: 'n' }),
    frame({ kind: 'put', key: 'a', value: blob, expiry: noExpiry }, { kind: 'delete', key: 'b' }),
    frame(turn('order/1'), turn('$worker/w'), turn('$journal/mail')),
  ])
  expect([...sides.clears]).toEqual(['n'])
  expect([...sides.keys]).toEqual(['a', 'b', 'of a turn'])
  expect([...sides.entities]).toEqual(['order/1', '$worker/w'])
  expect(sides.refs).toHaveLength(4)

  const read: unknown[] = []
  const shard = { blobs: { read: (...asked: unknown[]) => void read.push(asked) } }
  const others = [
    { ...ref, offset: 2 },
    { ...ref, segment: 2 },
  ]
  const blobs = [...blobsOf(shard as never, { refs: [...sides.refs, ...others, ...others] })]
  expect(blobs.map(({ ref: { segment, offset } }) => [segment, offset])).toEqual([
    ...[
      [1, 1],
      [1, 2],
      [2, 1],
    ],
  ])
  blobs[2]?.read?.(0, 3)
  expect(read).toEqual([[others[1], 0, 3]])
})

test('a delay doubles from 0.1 s up to 30 s, with jitter', () => {
  expect([1, 2, 3].map((failures) => backoffMs(replicaPauses, failures, 1))).toEqual([
    100, 200, 400,
  ])
  expect(backoffMs(replicaPauses, 1, 0)).toBe(50)
  for (const failures of [10, 1_000, 1e9])
    expect(backoffMs(replicaPauses, failures, 1)).toBe(30_000)
})

test('JSON is what a value is, as far as jsonb takes it', () => {
  expect(jsonText({ a: [1, 'é', null] })).toBe('{"a":[1,"é",null]}')
  expect(jsonText(new Map([['a', 1]]))).toBe('{"a":1}')
  expect(jsonText(new Map([[1, 2]]))).toBe('[[1,2]]')
  expect(jsonText(new Set([1n]))).toBe('["1"]')
  expect(jsonText(new Date(0))).toBe('"1970-01-01T00:00:00.000Z"')
  expect(jsonText(Uint8Array.of(1, 2))).toBe('"AQI="')
  expect(jsonText('a\\u0000')).toBe('"a\\\\u0000"')
  for (const refused of ['a\0b', '\ud800', { 'k\0': 1 }, undefined])
    expect(jsonText(refused)).toBeUndefined()
  let deep: unknown = 1
  for (let level = 0; level < 10_000; level++) deep = [deep]
  expect(jsonText(deep)).toBeUndefined()
})
