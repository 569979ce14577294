/** What a stream keeps: which chunks an append, a trim and a change of its bounds remove, and what its head says of the others. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { StreamAnswer } from '../../../src/storage/commands/command-answer.ts'
import type { StreamPart } from '../../../src/storage/commands/stream-unit.ts'
import type { Row } from '../../../src/storage/ports/projection-store.ts'
import { streamBytesMax } from '../../../src/storage/rows/stream-rows.ts'
import { applyUnit } from '../../../src/storage/rows/unit-application.ts'
import { rowClassOf } from '../../../src/storage/values/row-key.ts'
import {
  chunkNumberOf,
  streamHeadKey,
  streamOwner,
} from '../../../src/storage/values/stream-key.ts'
import {
  chunkHeadBytes,
  chunkStamp,
  keepsAll,
  messageHeadBytes,
  messagesIn,
  readStreamHead,
  removalAt,
  type StreamKeeps,
  streamHeadRow,
} from '../../../src/storage/values/stream-row.ts'
import { MapRows } from '../../support/worlds/map-rows.ts'
import { acting, appending } from '../../support/worlds/stream-parts.ts'

/** Applies a part at a time, in a frame of its own. */
const applied = (rows: MapRows, time: number, ...parts: readonly StreamPart[]): StreamAnswer => {
  const set = (key: string, row: Row | undefined) => rows.take([[key, row]])
  const stamp = { lsn: time, time }
  const answer = applyUnit({ kind: 'streams', parts }, rows, stamp, { set })
  if (answer.kind !== 'streams') throw new Error(answer.kind)
  return answer.answers.at(-1) as StreamAnswer
}

const headKey = streamHeadKey(streamOwner('a'))
const headIn = (rows: MapRows) => readStreamHead(rows.get(headKey) as Row)

/** The chunks of the stream, in order. */
const chunksIn = (rows: MapRows) =>
  [...rows.rows]
    .filter(([key]) => rowClassOf(key) === 'streamChunk')
    .map(([key, { value }]) => {
      const [first, count] = [chunkNumberOf(key), messagesIn(value.bytes)]
      const bytes = value.bytes.length - chunkHeadBytes - messageHeadBytes * count
      return { first, count, bytes, stamp: chunkStamp(value.bytes) }
    })
    .sort((one, other) => one.first - other.first)

type Chunks = ReturnType<typeof chunksIn>

const bytesOf = (chunks: Chunks): number => chunks.reduce((sum, { bytes }) => sum + bytes, 0)

/** JSON of so many bytes. */
const jsonOf = (bytes: number): string => JSON.stringify('x'.repeat(bytes - 2))

/** A chunk of its own: no further message of this length fits in. */
const ownChunk = 5_000

/** A stream with so many chunks of one message each, made at 1, 2, 3 and so on. */
const withChunks = (count: number): MapRows => {
  const rows = new MapRows()
  for (let time = 1; time <= count; time++) applied(rows, time, appending('a', [jsonOf(ownChunk)]))
  expect(chunksIn(rows)).toHaveLength(count)
  return rows
}

const keeping = (keeps: Partial<StreamKeeps>) =>
  acting('a', { act: 'keep', keeps: { ...keepsAll, ...keeps } })

const trimming = (rows: MapRows, number: number) =>
  acting('a', { act: 'trim', before: { birth: headIn(rows).birth, number } })

test('a chunk is full with 8 KiB, and not before', () => {
  const rows = new MapRows()
  const head = chunkHeadBytes + messageHeadBytes
  applied(rows, 1, appending('a', [jsonOf(4_096 - head)]))
  applied(rows, 2, appending('a', [jsonOf(4_096 - messageHeadBytes)]))
  expect(chunksIn(rows)).toHaveLength(1)
  applied(rows, 3, appending('a', ['1']))
  expect(chunksIn(rows)).toMatchObject([{ count: 2 }, { first: 2, count: 1, stamp: 3 }])

  const other = new MapRows()
  applied(other, 1, appending('a', [jsonOf(4_096 - head)]))
  applied(other, 2, appending('a', [jsonOf(4_096 - messageHeadBytes + 1)]))
  expect(chunksIn(other)).toHaveLength(2)
})

test('an append of more than 8 KiB fills chunks of 64 KiB, also the one that is there', () => {
  const rows = new MapRows()
  const small = (count: number) =>
    appending(
      'a',
      Array.from({ length: count }, () => jsonOf(60)),
    )
  applied(rows, 1, small(128))
  expect(chunksIn(rows)).toMatchObject([{ count: 127 }, { count: 1 }])
  applied(rows, 2, small(1_100))
  expect(chunksIn(rows)).toMatchObject([{ count: 127 }, { count: 1_023 }, { count: 78 }])
})

test('an append removes 8 chunks at most, and the next one goes on', () => {
  const rows = withChunks(20)
  applied(rows, 21, keeping({ messagesMax: 2 }))
  expect(headIn(rows)).toMatchObject({ floor: 18, firstChunk: 8 })
  applied(rows, 22, appending('a', ['1']))
  expect(headIn(rows)).toMatchObject({ floor: 19, firstChunk: 16 })
})

test('a trim removes 1,000 chunks at most, says that some are left, and the next one goes on', () => {
  const rows = withChunks(1_003)
  expect(applied(rows, 2_000, trimming(rows, 1_002))).toMatchObject({ floor: 1_002, isLeft: true })
  expect(chunksIn(rows)).toHaveLength(3)
  expect(applied(rows, 2_001, trimming(rows, 1_002))).toMatchObject({ floor: 1_002, isLeft: false })
  expect(chunksIn(rows)).toMatchObject([{ first: 1_002 }])

  const exactly = withChunks(1_001)
  expect(applied(exactly, 2_000, trimming(exactly, 1_000))).toMatchObject({ isLeft: false })
})

test('the last chunk stays, also when every message is trimmed, and messages go on behind it', () => {
  const rows = withChunks(3)
  applied(rows, 4, trimming(rows, 3))
  expect(chunksIn(rows)).toHaveLength(1)
  expect(headIn(rows)).toMatchObject({ floor: 3, next: 3, second: 0, secondMs: 0 })
  applied(rows, 5, appending('a', ['1']))
  expect(headIn(rows)).toMatchObject({ floor: 3, next: 4 })
})

test.each([
  ['a chunk goes at the moment when all of it is as old as the bound', { ageMs: 10 }, 12, 1],
  ['and not 1 ms before', { ageMs: 10 }, 11, 0],
  ['a chunk goes if the others have as many bytes as the bound', { bytesMax: 2 * ownChunk }, 9, 1],
  ['and not if they have one less', { bytesMax: 2 * ownChunk + 1 }, 9, 0],
  ['a chunk goes if the others have as many messages as the bound', { messagesMax: 2 }, 9, 1],
  ['and not if they have one less', { messagesMax: 3 }, 9, 0],
])('%s: %j at %i', (_, keeps, time, gone) => {
  const rows = withChunks(3)
  applied(rows, time, keeping(keeps))

  expect(chunksIn(rows)[0]).toMatchObject({ first: gone })
  expect(headIn(rows)).toMatchObject({ floor: gone, firstChunk: gone })
})

test('a trim and new bounds are no append: the moment of the last one stays', () => {
  const rows = withChunks(3)
  applied(rows, 50, keeping({ messagesMax: 2 }))
  applied(rows, 60, trimming(rows, 2))
  applied(rows, 70, appending('a', [], { closes: true }))

  expect(headIn(rows)).toMatchObject({ madeMs: 1, writtenMs: 3, isClosed: true })
})

test('a frame makes a stream of one name 256 times at most', () => {
  const rows = new MapRows()
  const times = (count: number) =>
    Array.from({ length: count }, () => [appending('a', ['1']), acting('a', { act: 'delete' })])
  expect(applied(rows, 1, ...times(256).flat())).toEqual({ kind: 'removed', existed: true })
  const parts = [...times(256).flat(), appending('a', ['1'])]

  expect(applied(new MapRows(), 1, ...parts)).toMatchObject({ kind: 'refusedPart', why: 'births' })
})

test('messages that a producer counts are acknowledged once more after the close, and none is new', () => {
  const rows = new MapRows()
  const by = (seq: number) => ({ id: 'p', epoch: 0, seq, counts: 'messages' as const })
  applied(rows, 1, appending('a', ['0', '1'], { producer: by(0), closes: true }))

  expect(applied(rows, 2, appending('a', ['0', '1'], { producer: by(0) }))).toMatchObject({
    isRepeat: true,
    end: 2,
  })
  expect(applied(rows, 3, appending('a', ['1', '2'], { producer: by(1) }))).toMatchObject({
    kind: 'refusedPart',
    why: 'closed',
    next: 2,
    producer: { epoch: 0, next: 2 },
  })
  expect(headIn(rows)).toMatchObject({ next: 2, writtenMs: 1 })
})

test.each([
  ['of messages that were not there', 2, 'stream'],
  ['of one byte more', 3, 'refusedPart'],
])('only the bytes %s count for the most that a stream keeps', (_, length, kind) => {
  const rows = new MapRows()
  const by = { id: 'p', epoch: 0, seq: 0, counts: 'messages' as const }
  applied(rows, 1, appending('a', ['"known"', '"too"'], { producer: by }))
  rows.take([[headKey, streamHeadRow({ ...headIn(rows), bytes: streamBytesMax - 6 })]])
  const more = ['"known"', '"too"', '1234', '1'.repeat(length)]

  expect(applied(rows, 2, appending('a', more, { producer: by }))).toMatchObject({ kind })
})

test('messages that are too old go without an append: chunk by chunk, the last one too', () => {
  const rows = withChunks(3)
  applied(rows, 4, keeping({ ageMs: 10 }))
  const at = (time: number) => {
    applied(rows, time, acting('a', { act: 'expire' }))
    return chunksIn(rows).map(({ first }) => first)
  }
  const due = () => removalAt(rows.get(headKey) as Row)
  expect([due(), at(11), due(), at(12), due()]).toEqual([12, [0, 1, 2], 12, [1, 2], 13])
  expect([at(13), due()]).toEqual([[], 0])
  expect(headIn(rows)).toMatchObject({ floor: 3, next: 3, bytes: 0, writtenMs: 3 })

  for (const _ of [1, 2]) applied(rows, 20, appending('a', [jsonOf(ownChunk)]))
  expect(chunksIn(rows)).toMatchObject([{ first: 3 }, { first: 4 }])
  expect(headIn(rows)).toMatchObject({ floor: 3, firstChunk: 3, lastChunk: 4, second: 4 })
  expect([at(29), at(30)]).toEqual([[3, 4], []])
})

test('an age removes 1,000 chunks at most at once, and is due again at once', () => {
  const rows = withChunks(1_003)
  applied(rows, 1_003, keeping({ ageMs: 5_000 }))
  applied(rows, 9_000, acting('a', { act: 'expire' }))
  expect(chunksIn(rows)).toHaveLength(3)
  expect(removalAt(rows.get(headKey) as Row)).toBeLessThan(9_000)
})

test('a deleted stream with forks has no chunk that could be too old', () => {
  const rows = withChunks(3)
  applied(rows, 4, keeping({ ageMs: 10 }))
  applied(rows, 5, acting('a', { act: 'fork', birth: headIn(rows).birth, fork: streamOwner('b') }))
  applied(rows, 6, acting('a', { act: 'delete' }))

  expect(removalAt(rows.get(headKey) as Row)).toBe(0)
  expect(applied(rows, 99, acting('a', { act: 'expire' }))).toEqual({
    kind: 'removed',
    existed: false,
  })
})

test('a row is due at its end, or at the age of its first chunk, whichever comes first', () => {
  const rows = new MapRows()
  const made = { contentType: 'application/json', ttlMs: 50, expiresAt: undefined }
  const none = { source: undefined, count: 0, packed: new Uint8Array(0), closes: false }
  applied(rows, 1, acting('a', { act: 'create', ...made, ...none }))
  const due = () => removalAt(rows.get(headKey) as Row)
  applied(rows, 2, keeping({ ageMs: 10 }))
  expect(due()).toBe(51)
  applied(rows, 3, appending('a', ['1']))
  expect(due()).toBe(13)
  applied(rows, 4, keeping({ ageMs: 100 }))
  expect(due()).toBe(53)
})

test('a producer that is forgotten leaves no row, its late appends are refused, and it may begin again', () => {
  const rows = new MapRows()
  const by = (id: string, seq: number, epoch = 0) => ({
    producer: { id, epoch, seq, counts: 'messages' as const },
  })
  applied(rows, 1, acting('a', { act: 'begin', id: 'p' }))
  for (const seq of [0, 1]) {
    applied(rows, 2, appending('a', [`${seq}`], by('p', seq)))
    applied(rows, 3, appending('a', [`"q"`], by('q', seq)))
  }
  const ofProducers = () =>
    [...rows.rows.keys()].filter((key) => rowClassOf(key) === 'streamProducer').length
  expect([headIn(rows).producers, ofProducers()]).toEqual([2, 4])

  expect(applied(rows, 4, acting('a', { act: 'forget', id: 'p' }))).toMatchObject({
    kind: 'stream',
  })
  expect([headIn(rows).producers, ofProducers()]).toEqual([1, 2])
  expect(applied(rows, 5, appending('a', ['2'], by('p', 2)))).toMatchObject({ why: 'gap' })
  for (const [name, id] of [
    ['a', 'p'],
    ['b', 'q'],
  ] as const)
    expect(applied(rows, 6, acting(name, { act: 'forget', id }))).toEqual({
      kind: 'removed',
      existed: false,
    })
  expect(headIn(rows)).toMatchObject({ next: 4, producers: 1 })
  expect(applied(rows, 7, acting('a', { act: 'begin', id: 'p' }))).toMatchObject({
    producer: { epoch: 0, next: 0 },
  })
})

test('all producers are forgotten, with every piece, and the messages stay', () => {
  const rows = new MapRows()
  expect(applied(rows, 1, acting('a', { act: 'forgetAll' })).kind).toBe('removed')
  const by = (id: string, seq: number) => ({
    producer: { id, epoch: 0, seq, counts: 'messages' as const },
  })
  for (const seq of [0, 1])
    for (const id of ['p', 'q', 'r/1']) applied(rows, 2, appending('a', [`"${id}"`], by(id, seq)))
  applied(rows, 3, appending('ab', ['1'], by('p', 0)))
  const producers = () =>
    [...rows.rows.keys()].filter((key) => rowClassOf(key) === 'streamProducer').length
  expect([headIn(rows).producers, producers()]).toEqual([3, 7])

  expect(applied(rows, 4, acting('a', { act: 'forgetAll' })).kind).toBe('stream')
  expect([headIn(rows).producers, headIn(rows).next, producers()]).toEqual([0, 6, 1])
  expect(applied(rows, 5, acting('a', { act: 'forgetAll' })).kind).toBe('removed')
})

test('a trim of a stream that is not there finds none, and makes none', () => {
  const rows = new MapRows()
  const before = { birth: '0123456789abcdef', number: 0 }

  expect(applied(rows, 1, acting('a', { act: 'trim', before }))).toMatchObject({
    kind: 'refusedPart',
    why: 'none',
  })
  expect([...rows.rows.keys()]).toEqual([])
})

test('a close without messages by a producer that is known closes the stream, and is no repetition', () => {
  const rows = new MapRows()
  const by = (seq: number) => ({ id: 'p', epoch: 0, seq, counts: 'messages' as const })
  applied(rows, 1, appending('a', ['1'], { producer: by(0) }))

  expect(applied(rows, 2, appending('a', [], { producer: by(1), closes: true }))).toMatchObject({
    isRepeat: false,
    isClosed: true,
    end: 1,
  })
  expect(headIn(rows).isClosed).toBe(true)
})

/** The chunks that stay, and the floor, by the rules as a list of chunks has them. */
const left = (
  chunks: Chunks,
  { ageMs, bytesMax, messagesMax }: StreamKeeps,
  before: number,
  time: number,
): { readonly chunks: Chunks; readonly floor: number } => {
  const next = chunks.reduce((end, { first, count }) => Math.max(end, first + count), 0)
  let floor = messagesMax > 0 ? Math.max(before, next - messagesMax) : before
  let from = 0
  for (; from < 8; from++) {
    const [, second] = chunks.slice(from)
    if (!second) break
    const isOld = ageMs > 0 && second.stamp <= time - ageMs
    const isBeyond = bytesMax > 0 && bytesOf(chunks.slice(from + 1)) >= bytesMax
    if (!isOld && !isBeyond && second.first > floor) break
    floor = Math.max(floor, second.first)
  }
  return { chunks: chunks.slice(from), floor }
}

const acts = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      act: fc.constant('append' as const),
      sizes: fc.array(fc.integer({ min: 2, max: 9_000 }), { minLength: 1, maxLength: 3 }),
    }),
  },
  fc.record({
    act: fc.constant('keep' as const),
    ageMs: fc.constantFrom(0, 3, 20),
    bytesMax: fc.constantFrom(0, 10_000, 40_000),
    messagesMax: fc.constantFrom(0, 1, 10),
  }),
  fc.record({ act: fc.constant('expire' as const) }),
  fc.record({
    act: fc.constant('trim' as const),
    part: fc.double({ min: 0, max: 1, noNaN: true }),
  }),
)

test('whatever is appended, kept and trimmed, the head names the chunks that are there', () => {
  fc.assert(
    fc.property(fc.array(acts, { minLength: 1, maxLength: 40 }), (given) => {
      const rows = new MapRows()
      applied(rows, 1, appending('a', ['1']))
      let keeps: StreamKeeps = keepsAll
      for (const [at, each] of given.entries()) {
        const time = at + 2
        const { floor } = headIn(rows)
        let expected: ReturnType<typeof left>
        if (each.act === 'expire') {
          const before = chunksIn(rows)
          const { writtenMs, next } = headIn(rows)
          const ends = before.map((_, index) => before[index + 1]?.stamp ?? writtenMs)
          const young = keeps.ageMs === 0 ? 0 : ends.findIndex((end) => end + keeps.ageMs > time)
          const kept = young < 0 ? [] : before.slice(young)
          expected = { chunks: kept, floor: Math.max(floor, kept[0]?.first ?? next) }
          applied(rows, time, acting('a', { act: 'expire' }))
        } else if (each.act === 'trim') {
          const number = Math.floor(each.part * headIn(rows).next)
          const to = Math.max(floor, number)
          const before = chunksIn(rows)
          const from = before.findLastIndex(({ first }) => first <= to)
          expected = { chunks: before.slice(Math.max(0, from)), floor: to }
          applied(rows, time, trimming(rows, number))
        } else if (each.act === 'keep') {
          const { act: _, ...bounds } = each
          keeps = bounds
          expected = left(chunksIn(rows), keeps, floor, time)
          applied(rows, time, keeping(keeps))
        } else {
          const part = appending('a', each.sizes.map(jsonOf))
          // What it appends without bounds, and what the bounds leave of that.
          const whole = new MapRows(rows.rows)
          const row = streamHeadRow({ ...headIn(rows), keeps: keepsAll })
          whole.take([[headKey, row]])
          applied(whole, time, part)
          expected = left(chunksIn(whole), keeps, floor, time)
          applied(rows, time, part)
        }
        const chunks = chunksIn(rows)
        const head = headIn(rows)
        expect(chunks).toEqual(expected.chunks)
        expect(head.floor).toBe(expected.floor)
        const [first, second] = chunks
        expect(head).toMatchObject({
          firstChunk: first?.first ?? head.next,
          second: second?.first ?? 0,
          secondMs: second?.stamp ?? 0,
          lastChunk: chunks.at(-1)?.first ?? head.next,
          bytes: bytesOf(chunks),
        })
      }
    }),
    { numRuns: 100 },
  )
})
