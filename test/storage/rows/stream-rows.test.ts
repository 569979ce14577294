/** The effect of units of streams on rows: each part is decided by itself, the same in each replay. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { StreamAnswer } from '../../../src/storage/commands/command-answer.ts'
import { decodeFrame } from '../../../src/storage/commands/command-decoding.ts'
import { encodeFrame } from '../../../src/storage/commands/command-encoding.ts'
import type { StreamPart } from '../../../src/storage/commands/stream-unit.ts'
import type { Row } from '../../../src/storage/ports/projection-store.ts'
import { streamBytesMax } from '../../../src/storage/rows/stream-rows.ts'
import { applyUnit } from '../../../src/storage/rows/unit-application.ts'
import { entityOf, parseRemoval } from '../../../src/storage/values/entity-key.ts'
import { mainRowOf } from '../../../src/storage/values/entity-row.ts'
import { rowClassOf } from '../../../src/storage/values/row-key.ts'
import {
  birthKeyOf,
  birthRowKey,
  birthRows,
  entityStream,
  streamChunkKey,
  streamHeadKey,
  streamOwner,
  streamPieces,
  streamProducerKey,
} from '../../../src/storage/values/stream-key.ts'
import {
  readStreamHead,
  readStreamProducer,
  streamHeadRow,
} from '../../../src/storage/values/stream-row.ts'
import { MapRows } from '../../support/worlds/map-rows.ts'
import { acting, appending, streamIn } from '../../support/worlds/stream-parts.ts'

/** Applies one unit with these parts as the frame at `lsn`. */
const applied = (rows: MapRows, lsn: number, ...parts: readonly StreamPart[]) => {
  const set = (key: string, row: Row | undefined) => rows.take([[key, row]])
  const answer = applyUnit({ kind: 'streams', parts }, rows, { lsn, time: 1_000 * lsn }, { set })
  if (answer.kind !== 'streams') throw new Error(answer.kind)
  return answer.answers
}

const stream = (rows: MapRows, name = 'a') => streamIn(name, (key) => rows.get(key))

const countOf = (rows: MapRows, name: string): number =>
  [...rows.rows.keys()].filter((key) => rowClassOf(key) === name).length

const producer = (epoch: number, seq: number, counts: 'messages' | 'requests' = 'requests') => ({
  id: 'p',
  epoch,
  seq,
  counts,
})

const why = (answer: StreamAnswer | undefined) =>
  answer?.kind === 'refusedPart' ? answer.why : answer?.kind

describe('appends', () => {
  test('the first append makes the stream, and each continues behind the one before', () => {
    const rows = new MapRows()
    expect(applied(rows, 5, appending('a', ['1', '2']))).toMatchObject([
      { kind: 'stream', birth: '0000000000000500', next: 2, end: 2, floor: 0 },
    ])
    expect(applied(rows, 6, appending('a', ['3']))).toMatchObject([{ next: 3, end: 3 }])
    expect(stream(rows)?.messages).toEqual(['1', '2', '3'])
  })

  test('small messages share a chunk, which ends before 8 KiB', () => {
    const rows = new MapRows()
    const text = JSON.stringify('x'.repeat(94))
    for (let lsn = 1; lsn <= 81; lsn++) applied(rows, lsn, appending('a', [text]))
    expect(countOf(rows, 'streamChunk')).toBe(1)
    applied(rows, 82, appending('a', [text]))
    expect(countOf(rows, 'streamChunk')).toBe(2)
    expect(stream(rows)?.messages).toHaveLength(82)
  })

  test('a long append takes chunks of 64 KiB, and a longer message one of its own', () => {
    const rows = new MapRows()
    const long = JSON.stringify('x'.repeat(100_000))
    const texts = Array.from({ length: 100 }, (_, at) => JSON.stringify(`${at}`.repeat(500)))
    applied(rows, 1, appending('a', [...texts, long, '1']))
    expect(stream(rows)?.messages).toEqual([...texts, long, '1'])
    const lengths = [...rows.rows].flatMap(([key, { value }]) =>
      rowClassOf(key) === 'streamChunk' ? [value.bytes.length] : [],
    )
    expect(lengths.filter((length) => length > 64 * 1024)).toEqual([long.length + 12])
    expect(lengths.filter((length) => length > 32 * 1024).length).toBeGreaterThan(1)
  })

  test('no row changes when later messages grow the chunk that it shares memory with', () => {
    const rows = new MapRows()
    const seen: [Uint8Array, string][] = []
    for (let lsn = 1; lsn < 200; lsn++) {
      applied(rows, lsn, appending('a', [`"${lsn}"`]))
      for (const { value } of rows.rows.values())
        seen.push([value.bytes, Buffer.from(value.bytes).toString('hex')])
    }
    for (const [bytes, hex] of seen) expect(Buffer.from(bytes).toString('hex')).toBe(hex)
  })

  test('two continuations of one chunk share nothing', () => {
    const rows = new MapRows()
    applied(rows, 1, appending('a', ['1']))
    const other = new MapRows(rows.rows)
    applied(rows, 2, appending('a', ['2']))
    applied(other, 2, appending('a', ['3']))
    expect(stream(rows)?.messages).toEqual(['1', '2'])
    expect(stream(other)?.messages).toEqual(['1', '3'])
  })

  test('a message with which the stream would keep more than 1 GiB is refused, and changes nothing', () => {
    const rows = new MapRows()
    applied(rows, 1, appending('a', ['1']))
    const key = streamHeadKey(streamOwner('a'))
    const head = readStreamHead(rows.get(key) as Row)
    rows.take([[key, streamHeadRow(Object.assign(head, { bytes: streamBytesMax - 2 }))]])
    expect(why(applied(rows, 2, appending('a', ['123']))[0])).toBe('bytes')
    expect(why(applied(rows, 3, appending('a', ['12']))[0])).toBe('stream')
    expect(stream(rows)?.messages).toEqual(['1', '12'])
  })
})

describe('producers', () => {
  test('a request that was there is dropped and acknowledged, the next is appended, a gap is refused', () => {
    const rows = new MapRows()
    const send = (epoch: number, seq: number, text: string) =>
      applied(rows, 1, appending('a', [text], { producer: producer(epoch, seq) }))[0]
    expect(why(send(0, 1, 'gap'))).toBe('gap')
    expect(send(0, 0, '0')).toMatchObject({ end: 1, isRepeat: false })
    expect(send(0, 1, '1')).toMatchObject({ end: 2, isRepeat: false })
    expect(send(0, 1, 'again')).toMatchObject({ end: 2, isRepeat: true })
    expect(send(0, 0, 'again')).toMatchObject({ end: 2, isRepeat: true })
    expect(why(send(0, 3, 'gap'))).toBe('gap')
    expect(stream(rows)?.messages).toEqual(['0', '1'])
  })

  test('a greater epoch counts its requests from 0, and fences the ones before', () => {
    const rows = new MapRows()
    const send = (epoch: number, seq: number, text: string) =>
      applied(rows, 1, appending('a', [text], { producer: producer(epoch, seq) }))[0]
    send(0, 0, '0')
    expect(why(send(2, 1, 'gap'))).toBe('gap')
    send(2, 0, '1')
    expect(why(send(0, 1, 'late'))).toBe('fenced')
    expect(why(send(1, 0, 'late'))).toBe('fenced')
    expect(stream(rows)?.messages).toEqual(['0', '1'])
  })

  test('of messages that overlap only the rest is appended, and epochs count on', () => {
    const rows = new MapRows()
    const send = (epoch: number, seq: number, ...texts: readonly string[]) =>
      applied(rows, 1, appending('a', texts, { producer: producer(epoch, seq, 'messages') }))[0]
    send(0, 0, '0', '1')
    expect(send(0, 1, '1', '2', '3')).toMatchObject({ end: 4, producer: { next: 4 } })
    expect(why(send(0, 5, 'gap'))).toBe('gap')
    expect(send(0, 0, '0')).toMatchObject({ isRepeat: true, producer: { next: 4 } })
    expect(send(1, 4, '4')).toMatchObject({ end: 5 })
    expect(stream(rows)?.messages).toEqual(['0', '1', '2', '3', '4'])
  })

  test('a begin raises the epoch: what was sent before it is refused', { tags: ['ST5'] }, () => {
    const rows = new MapRows()
    const send = (epoch: number, seq: number, text: string) =>
      applied(rows, 1, appending('a', [text], { producer: producer(epoch, seq, 'messages') }))[0]
    const begin = () => applied(rows, 1, acting('a', { act: 'begin', id: 'p' }))[0]
    expect(begin()).toMatchObject({ producer: { epoch: 0, next: 0 } })
    send(0, 0, '0')
    expect(begin()).toMatchObject({ producer: { epoch: 1, next: 1 } })
    expect(why(send(0, 1, 'late'))).toBe('fenced')
    send(1, 1, '1')
    expect(stream(rows)?.messages).toEqual(['0', '1'])
  })

  test('a stream has at most 10,000 producers', () => {
    const rows = new MapRows()
    applied(rows, 1, appending('a', ['1']))
    const key = streamHeadKey(streamOwner('a'))
    const head = readStreamHead(rows.get(key) as Row)
    rows.take([[key, streamHeadRow(Object.assign(head, { producers: 9_999 }))]])
    const send = (id: string) =>
      why(applied(rows, 2, appending('a', ['2'], { producer: { ...producer(0, 0), id } }))[0])
    expect(send('last')).toBe('stream')
    expect(send('one more')).toBe('producers')
    expect(send('last')).toBe('stream')
    expect(why(applied(rows, 2, acting('a', { act: 'begin', id: 'one more' }))[0])).toBe(
      'producers',
    )
  })
})

describe('the end of a stream', () => {
  test('it closes with its last messages, and refuses later ones', () => {
    const rows = new MapRows()
    expect(applied(rows, 1, appending('a', ['1'], { closes: true }))).toMatchObject([
      { isClosed: true, next: 1 },
    ])
    expect(why(applied(rows, 2, appending('a', ['2']))[0])).toBe('closed')
    expect(applied(rows, 2, appending('a', [], { closes: true }))).toMatchObject([
      { isClosed: true, next: 1 },
    ])
    expect(stream(rows)?.messages).toEqual(['1'])
  })

  test('what a producer sent before the close is acknowledged after it', () => {
    const rows = new MapRows()
    const last = appending('a', ['1'], { closes: true, producer: producer(0, 0) })
    applied(rows, 1, last)
    expect(applied(rows, 2, last)).toMatchObject([{ isRepeat: true, isClosed: true, end: 1 }])
    const next = appending('a', ['2'], { producer: producer(0, 1) })
    expect(why(applied(rows, 3, next)[0])).toBe('closed')
  })

  test('opened again, it continues with its numbers', () => {
    const rows = new MapRows()
    applied(rows, 1, appending('a', ['1'], { closes: true }))
    expect(applied(rows, 2, acting('a', { act: 'reopen' }))).toMatchObject([{ isClosed: false }])
    expect(applied(rows, 3, appending('a', ['2']))).toMatchObject([{ end: 2 }])
    expect(why(applied(rows, 4, acting('b', { act: 'reopen' }))[0])).toBe('none')
    expect(stream(rows, 'b')).toBe(undefined)
  })

  test('a deleted stream is gone at once, and its rows go with removals', () => {
    const rows = new MapRows()
    const texts = Array.from({ length: 5_000 }, (_, at) => `${at}`)
    applied(rows, 1, appending('a', texts, { producer: producer(0, 0) }))
    const { birth } = stream(rows)?.head ?? { birth: '' }
    expect(applied(rows, 2, acting('a', { act: 'delete' }))).toEqual([
      { kind: 'removed', existed: true },
    ])
    expect(stream(rows)).toBe(undefined)
    expect(applied(rows, 2, acting('a', { act: 'delete' }))).toEqual([
      { kind: 'removed', existed: false },
    ])
    applied(rows, 3, appending('a', ['new']))
    const entity = streamOwner('a')
    const keys = birthRows(entity, birth).flatMap((range) =>
      [...rows.range(range)].map(([key]) => birthKeyOf(entity, key)),
    )
    const set = (key: string, row: Row | undefined) => rows.take([[key, row]])
    const removal = { kind: 'removal', entity, birth, keys, isLast: true } as const
    applyUnit(removal, rows, { lsn: 4, time: 4 }, { set })
    expect([...rows.rows.keys()].map(rowClassOf).sort()).toEqual(['streamChunk', 'streamHead'])
    expect(stream(rows)?.messages).toEqual(['new'])
  })

  test('each stream of one name has a birth of its own, even in one frame', () => {
    const rows = new MapRows()
    const answers = applied(
      rows,
      7,
      appending('a', ['1']),
      acting('a', { act: 'delete' }),
      appending('a', ['2']),
      acting('a', { act: 'delete' }),
      appending('a', ['3']),
    )
    const births = answers.flatMap((answer) => (answer.kind === 'stream' ? [answer.birth] : []))
    expect(new Set(births).size).toBe(3)
    expect(stream(rows)?.messages).toEqual(['3'])
  })
})

describe('retention', () => {
  const text = JSON.stringify('x'.repeat(998))
  const filled = (rows: MapRows, count: number) => {
    for (let lsn = 1; lsn <= count; lsn++) applied(rows, lsn, appending('a', [text]))
  }

  test('a trim moves the floor, and removes the chunks below it', () => {
    const rows = new MapRows()
    filled(rows, 40)
    const { birth } = stream(rows)?.head ?? { birth: '' }
    expect(applied(rows, 41, acting('a', { act: 'trim', before: { birth, number: 20 } }))).toEqual([
      expect.objectContaining({ floor: 20, next: 40, isLeft: false }),
    ])
    expect(stream(rows)?.messages).toHaveLength(20)
    expect(countOf(rows, 'streamChunk')).toBe(3)
    applied(rows, 42, acting('a', { act: 'trim', before: { birth, number: 10 } }))
    expect(stream(rows)?.head.floor).toBe(20)
  })

  test('a trim to a place that the stream does not have is refused', () => {
    const rows = new MapRows()
    filled(rows, 2)
    const { birth } = stream(rows)?.head ?? { birth: '' }
    const trim = (before: { birth: string; number: number }) =>
      why(applied(rows, 3, acting('a', { act: 'trim', before }))[0])
    expect(trim({ birth, number: 3 })).toBe('place')
    expect(trim({ birth: '0123456789abcdef', number: 1 })).toBe('place')
    expect(trim({ birth, number: 2 })).toBe('stream')
  })

  test.each([
    ['messages', { ageMs: 0, bytesMax: 0, messagesMax: 10 }, 10, 10],
    ['bytes', { ageMs: 0, bytesMax: 20_000, messagesMax: 0 }, 20, 28],
    ['age', { ageMs: 10_000, bytesMax: 0, messagesMax: 0 }, 10, 18],
  ] as const)('by %s, an append lets go of what it keeps no longer', (_, keeps, least, most) => {
    const rows = new MapRows()
    applied(rows, 0, acting('a', { act: 'keep', keeps }))
    filled(rows, 200)
    const { length } = stream(rows)?.messages ?? []
    expect(length).toBeGreaterThanOrEqual(least)
    expect(length).toBeLessThanOrEqual(most)
    expect(countOf(rows, 'streamChunk')).toBeLessThanOrEqual(4)
    const { bytes, firstChunk, next } = stream(rows)?.head ?? { bytes: 0, firstChunk: 0, next: 0 }
    expect(bytes).toBe((next - firstChunk) * text.length)
  })
})

test('damage of a chunk is CORRUPT, and changes nothing', () => {
  const rows = new MapRows()
  applied(rows, 1, appending('a', ['1']))
  const { birth } = stream(rows)?.head ?? { birth: '' }
  const key = streamChunkKey(streamOwner('a'), birth, 0)
  rows.take([[key, undefined]])
  const before = [...rows.rows.keys()]
  expect(() => applied(rows, 2, appending('a', ['2']))).toThrow(
    expect.objectContaining({ code: 'CORRUPT' }),
  )
  expect([...rows.rows.keys()]).toEqual(before)
})

// A model: each stream as a list of messages. Whatever the parts, rows and model agree, and so does a
// replay from bytes, whose chunks share no memory.

type Model = {
  messages: string[]
  floor: number
  isClosed: boolean
  readonly producers: Map<string, { epoch: number; next: number }>
}

const name = fc.constantFrom('a', 'b')
const message = fc.oneof(
  { weight: 8, arbitrary: fc.integer({ min: 0, max: 99 }).map(String) },
  fc.integer({ min: 1, max: 9_000 }).map((length) => JSON.stringify('y'.repeat(length))),
)
const producing = fc.record({
  id: fc.constantFrom('p', 'q'),
  epoch: fc.integer({ min: 0, max: 2 }),
  seq: fc.integer({ min: 0, max: 4 }),
  counts: fc.constant('requests' as const),
})
const part: fc.Arbitrary<StreamPart> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .tuple(
        name,
        fc.array(message, { minLength: 1, maxLength: 6 }),
        fc.boolean(),
        fc.option(producing, { nil: undefined }),
      )
      .map(([to, texts, closes, by]) =>
        appending(to, texts, { closes: closes && texts.length > 5, ...(by && { producer: by }) }),
      ),
  },
  fc.tuple(name, fc.constantFrom('p', 'q')).map(([to, id]) => acting(to, { act: 'begin', id })),
  name.map((to) => acting(to, { act: 'reopen' })),
  name.map((to) => acting(to, { act: 'delete' })),
)

const textsIn = (given: StreamPart): string[] => {
  const rows = new MapRows()
  applied(rows, 1, { ...given, owner: streamOwner('x'), producer: undefined } as StreamPart)
  return streamIn('x', (key) => rows.get(key))?.messages ?? []
}

const modelled = (models: Map<string, Model>, given: StreamPart): string => {
  const { owner } = given
  const fresh = (): Model => ({ messages: [], floor: 0, isClosed: false, producers: new Map() })
  const found = models.get(owner)
  if (given.act === 'delete') {
    models.delete(owner)
    return 'removed'
  }
  if (given.act === 'reopen') {
    if (!found) return 'none'
    found.isClosed = false
    return 'stream'
  }
  const model = found ?? fresh()
  if (given.act === 'begin') {
    const known = model.producers.get(given.id)
    model.producers.set(
      given.id,
      known ? { ...known, epoch: known.epoch + 1 } : { epoch: 0, next: 0 },
    )
    models.set(owner, model)
    return 'stream'
  }
  if (given.act !== 'append') throw new Error(given.act)
  const { producer: by } = given
  const known = by && model.producers.get(by.id)
  if (by && known && by.epoch < known.epoch) return 'fenced'
  const next = by && known && by.epoch === known.epoch ? known.next : 0
  if (by && by.seq > next) return 'gap'
  if (by && by.seq < next) return 'stream'
  if (model.isClosed) return 'closed'
  model.messages.push(...textsIn(given))
  model.isClosed = given.closes
  if (by) model.producers.set(by.id, { epoch: by.epoch, next: by.seq + 1 })
  models.set(owner, model)
  return 'stream'
}

test('whatever the parts, the rows say what a list of messages says, also after a replay from bytes', () => {
  fc.assert(
    fc.property(
      fc.array(fc.array(part, { minLength: 1, maxLength: 4 }), { maxLength: 12 }),
      (units) => {
        const models = new Map<string, Model>()
        const [live, replayed] = [new MapRows(), new MapRows()]
        for (const [at, parts] of units.entries()) {
          const answers = applied(live, at + 1, ...parts)
          expect(answers.map((answer) => why(answer))).toEqual(
            parts.map((each) => modelled(models, each)),
          )
          const [unit] = decodeFrame(encodeFrame({ kind: 'streams', parts })).units
          if (unit?.kind !== 'streams') throw new Error('another unit')
          const copies = [...replayed.rows].map(([key, { value, expiresAt }]) => {
            const bytes = Uint8Array.from(value.bytes)
            return [key, { value: { tag: value.tag, bytes }, expiresAt }] as const
          })
          replayed.rows.clear()
          replayed.take(copies)
          expect(applied(replayed, at + 1, ...unit.parts)).toEqual(answers)
        }
        for (const each of ['a', 'b']) {
          const model = models.get(streamOwner(each))
          expect(stream(live, each)?.messages).toEqual(model?.messages)
          expect(stream(live, each)?.head.isClosed).toEqual(model?.isClosed)
          const bytes = model?.messages.reduce((sum, text) => sum + text.length, 0)
          expect(stream(live, each)?.head.bytes).toEqual(bytes)
          expect(stream(live, each)?.head.producers).toEqual(model?.producers.size)
        }
        const contents = (rows: MapRows) =>
          [...rows.rows]
            .map(([key, { value }]) => [key, Buffer.from(value.bytes).toString('hex')])
            .sort()
        expect(contents(replayed)).toEqual(contents(live))
      },
    ),
    { numRuns: 300 },
  )
})

describe('streams of an entity', () => {
  const owner = entityStream('chat/lobby', 'events')
  const message = (text: string, number?: Parameters<typeof producer>) =>
    ({
      ...appending('x', [text], number ? { producer: producer(...number) } : {}),
      owner,
    }) as StreamPart
  const begin = { owner, act: 'begin', id: 'p' } as const
  /** Applies a turn of the entity with these parts: its first one, or the one after `seq`. */
  const turned = (rows: MapRows, seq: number, ...streams: readonly StreamPart[]) => {
    const mark = (number: number) => ({ incarnation: '0123456789abcdef', seq: number })
    const set = (key: string, row: Row | undefined) => rows.take([[key, row]])
    const turn = {
      kind: 'turn',
      entity: 'chat/lobby',
      follows: seq === 0 ? undefined : mark(seq),
      row: mainRowOf(mark(seq + 1), new Uint8Array(1)),
      rows: [],
      writes: [],
      streams,
    } as const
    return applyUnit(turn, rows, { lsn: seq + 1, time: 1 }, { set }).kind
  }
  const placesOf = (rows: MapRows) => {
    const { birth } = readStreamHead(rows.get(streamHeadKey(owner)) as Row)
    const last = readStreamProducer(rows.get(streamProducerKey(owner, birth, 'p')) as Row)
    const pieces = [...rows.range(streamPieces(owner, birth, 'p'))]
    return [...pieces.map(([, row]) => readStreamProducer(row)), last].map(({ from, end }) => [
      from,
      end,
    ])
  }

  test('are made by a turn alone: a part beside turns is refused, and leaves no row', () => {
    const rows = new MapRows()
    expect(why(applied(rows, 1, message('1'))[0])).toBe('none')
    expect(why(applied(rows, 1, begin)[0])).toBe('none')
    expect(rows.rows.size).toBe(0)
    expect(turned(rows, 0, message('1'))).toBe('turn')
    expect(countOf(rows, 'streamHead')).toBe(1)
  })

  test('take beside turns only what a producer sends that a turn has begun', {
    tags: ['ST5'],
  }, () => {
    const rows = new MapRows()
    turned(rows, 0, begin)
    expect(why(applied(rows, 2, message('1'))[0])).toBe('fenced')
    expect(why(applied(rows, 2, { owner, act: 'reopen' })[0])).toBe('fenced')
    expect(why(applied(rows, 2, message('1', [0, 0, 'messages']))[0])).toBe('stream')
    // The stream of a later life has begun no producer.
    turned(rows, 1, { owner, act: 'delete' }, message('2'))
    expect(why(applied(rows, 4, message('late', [0, 1, 'messages']))[0])).toBe('fenced')
  })

  test('a turn of which one part is refused changes nothing', { tags: ['ST4'] }, () => {
    const rows = new MapRows()
    const closing = { ...appending('x', [], { closes: true }), owner } as StreamPart
    expect(turned(rows, 0, message('1'), closing, message('late'))).toBe('refused')
    expect(rows.rows.size).toBe(0)
  })

  test('a producer has the places of all its messages, between those of others', () => {
    const rows = new MapRows()
    turned(rows, 0, message('a'), begin)
    for (const [at, text] of ['1', '2'].entries())
      applied(rows, 2, message(text, [0, at, 'messages']))
    turned(rows, 1, message('b'))
    applied(rows, 3, message('3', [0, 2, 'messages']))
    turned(rows, 2, message('c'), begin)
    applied(rows, 5, message('4', [1, 3, 'messages']))
    expect(placesOf(rows)).toEqual([
      [1, 3],
      [4, 5],
      [6, 7],
    ])
  })

  test('each row of a stream belongs to its entity, and is a row of its birth', () => {
    const rows = new MapRows()
    turned(rows, 0, message('a'), begin)
    applied(rows, 2, message('1', [0, 0, 'messages']))
    turned(rows, 1, message('b'))
    applied(rows, 3, message('2', [0, 1, 'messages']))
    const keys = [...rows.rows.keys()]
    expect(keys.length).toBe(5)
    for (const key of keys) expect(entityOf(key)).toBe('chat/lobby')
    const { birth } = readStreamHead(rows.get(streamHeadKey(owner)) as Row)
    const own = birthRows(owner, birth).flatMap((range) => [...rows.range(range)])
    expect(own.map(([key]) => birthRowKey(owner, birth, birthKeyOf(owner, key)))).toEqual(
      keys
        .filter((key) => ['streamChunk', 'streamProducer'].includes(rowClassOf(key) ?? ''))
        .sort(),
    )
    turned(rows, 2, { owner, act: 'delete' })
    const [removal] = [...rows.rows.keys()].filter((key) => rowClassOf(key) === 'removal')
    expect(parseRemoval(removal ?? '')).toEqual({ entity: owner, birth })
    expect(entityOf(removal ?? '')).toBe('chat/lobby')
  })
})
