/** Streams that are not plain: content types, ends, orders of appends and forks, decided in the rows. */
import { expect, test } from 'vitest'
import type { StreamAnswer } from '../../../src/storage/commands/command-answer.ts'
import type { StreamCreate, StreamPart } from '../../../src/storage/commands/stream-unit.ts'
import type { Row } from '../../../src/storage/ports/projection-store.ts'
import { applyUnit } from '../../../src/storage/rows/unit-application.ts'
import { removalRowKey } from '../../../src/storage/values/entity-key.ts'
import { streamHeadKey, streamOwner } from '../../../src/storage/values/stream-key.ts'
import { MapRows } from '../../support/worlds/map-rows.ts'
import { acting, appending, packedOf, streamIn } from '../../support/worlds/stream-parts.ts'

/** Applies one part at a time, in ms; its frame is the next one. */
const world = () => {
  const rows = new MapRows()
  let lsn = 0
  const at = (time: number, part: StreamPart): StreamAnswer => {
    const set = (key: string, row: Row | undefined) => rows.take([[key, row]])
    const unit = { kind: 'streams', parts: [part] } as const
    const answer = applyUnit(unit, rows, { lsn: ++lsn, time }, { set })
    if (answer.kind !== 'streams') throw new Error(answer.kind)
    return answer.answers[0] as StreamAnswer
  }
  const head = (name = 'a') => streamIn(name, (key) => rows.get(key))?.head
  const texts = (name = 'a') => streamIn(name, (key) => rows.get(key))?.messages
  return { rows, at, head, texts }
}

const creating = (
  name: string,
  messages: readonly string[],
  making: Partial<StreamCreate> = {},
): StreamPart =>
  acting(name, {
    act: 'create',
    contentType: 'application/json',
    ttlMs: undefined,
    expiresAt: undefined,
    source: undefined,
    count: messages.length,
    packed: packedOf(messages),
    closes: false,
    ...making,
  })

const to = (name: string, messages: readonly string[], birth: string, order?: string): StreamPart =>
  ({ ...appending(name, messages), to: { birth, order, isBytes: false } }) as StreamPart

const birthOf = (answer: StreamAnswer): string => (answer.kind === 'stream' ? answer.birth : '')

test('a plain create makes the rows that a first append makes', () => {
  const [made, appended] = [world(), world()]
  made.at(5, creating('a', ['1']))
  appended.at(5, appending('a', ['1']))
  expect([...made.rows.rows]).toEqual([...appended.rows.rows])
})

test('a create finds a stream that was made the same, and refuses another one', () => {
  const { at, texts } = world()
  const text = { contentType: 'text/plain; charset=utf-8', ttlMs: 1_000 }
  expect(at(1, creating('a', ['x'], text))).toMatchObject({ isRepeat: false, next: 1 })
  const again = { contentType: 'TEXT/plain', ttlMs: 1_000 }
  expect(at(2, creating('a', ['y'], again))).toMatchObject({ isRepeat: true, next: 1 })
  expect(texts()).toEqual(['x'])

  for (const other of [
    { ...text, contentType: 'text/html' },
    { ...text, ttlMs: 2_000 },
    { ...text, ttlMs: undefined, expiresAt: 9 },
    { ...text, closes: true },
  ])
    expect(at(3, creating('a', [], other))).toMatchObject({ why: 'differs' })
})

test('an append for a birth makes no stream, and reaches no other one of the name', () => {
  const { at, texts } = world()
  expect(at(1, to('a', ['1'], '0'.repeat(16)))).toMatchObject({ why: 'none' })
  const birth = birthOf(at(2, creating('a', [])))
  expect(at(3, to('a', ['1'], birth))).toMatchObject({ kind: 'stream' })
  at(4, acting('a', { act: 'delete' }))
  at(5, creating('a', []))
  expect(at(6, to('a', ['2'], birth))).toMatchObject({ why: 'none' })
  expect(texts()).toEqual([])
})

test('an order must be greater than the last one, byte by byte; one that is refused changes nothing', () => {
  const { at, texts } = world()
  const birth = birthOf(at(1, creating('a', [])))
  const answers = ['2', '10', '2', '3', 'ü', 'z'].map((order, n) =>
    at(2, to('a', [`${n}`], birth, order)),
  )
  expect(answers.map((answer) => (answer.kind === 'refusedPart' ? answer.why : 'ok'))).toEqual([
    'ok',
    'order',
    'order',
    'ok',
    'ok',
    'order',
  ])
  expect(texts()).toEqual(['0', '3', '4'])
})

test('a TTL begins again with each append, close and touch, an expiry does not', () => {
  const { rows, at } = world()
  const ends = (name = 'a') => rows.get(streamHeadKey(streamOwner(name)))?.expiresAt
  const birth = birthOf(at(100, creating('a', [], { ttlMs: 50 })))
  expect(ends()).toBe(150)
  at(140, to('a', ['1'], birth))
  expect(ends()).toBe(190)
  at(180, acting('a', { act: 'touch' }))
  expect(ends()).toBe(230)
  at(220, { ...to('a', [], birth), closes: true } as StreamPart)
  expect(ends()).toBe(270)

  const fixed = birthOf(at(100, creating('b', [], { expiresAt: 300 })))
  at(200, to('b', ['1'], fixed))
  at(250, acting('b', { act: 'touch' }))
  expect(ends('b')).toBe(300)
})

test('a stream ends when the stamp of a frame has reached its end, by whatever part comes', () => {
  const { rows, at, texts } = world()
  const birth = birthOf(at(100, creating('a', ['1'], { ttlMs: 50 })))
  expect(at(149, acting('a', { act: 'expire' }))).toEqual({ kind: 'removed', existed: false })
  expect(at(150, to('a', ['2'], birth))).toMatchObject({ why: 'none' })
  expect(texts()).toBeUndefined()
  expect(rows.get(removalRowKey(streamOwner('a'), birth))).toBeDefined()

  at(160, creating('a', ['3'], { ttlMs: 50 }))
  expect(texts()).toEqual(['3'])
  expect(at(210, acting('a', { act: 'expire' }))).toEqual({ kind: 'removed', existed: true })
  expect(texts()).toBeUndefined()
})

test('a deleted stream with forks keeps its head until the last of them is gone', () => {
  const { rows, at, head } = world()
  const birth = birthOf(at(1, creating('a', ['1'])))
  const [b, c] = ['b', 'c'].map(streamOwner) as [string, string]
  for (const fork of [b, c, b]) at(2, acting('a', { act: 'fork', birth, fork }))
  expect(at(3, acting('a', { act: 'delete' }))).toEqual({
    kind: 'removed',
    existed: true,
    sources: [streamOwner('a')],
  })
  expect(rows.get(removalRowKey(streamOwner('a'), birth))).toBeDefined()

  for (const part of [appending('a', ['2']), creating('a', [])])
    expect(at(4, part)).toMatchObject({ why: 'deleted' })
  expect(at(4, acting('a', { act: 'delete' }))).toEqual({ kind: 'removed', existed: false })
  at(5, acting('a', { act: 'unfork', fork: b }))
  expect(head()).toBeDefined()
  at(6, acting('a', { act: 'unfork', fork: c }))
  expect(head()).toBeUndefined()
  expect(at(7, creating('a', []))).toMatchObject({ kind: 'stream' })
})

test('a stream has 64 forks at most, of its own birth', () => {
  const { at } = world()
  const birth = birthOf(at(1, creating('a', [])))
  const fork = (n: number, of = birth): StreamAnswer =>
    at(2, acting('a', { act: 'fork', birth: of, fork: streamOwner(`f${n}`) }))
  for (let n = 0; n < 64; n++) expect(fork(n).kind).toBe('stream')
  expect(fork(64)).toMatchObject({ why: 'forks' })
  expect(fork(0, '0'.repeat(16))).toMatchObject({ why: 'none' })
})

test('JSON is not appended to a stream of bytes', () => {
  const { at, texts } = world()
  at(1, creating('a', ['x'], { contentType: 'text/plain' }))
  expect(at(2, appending('a', ['1']))).toMatchObject({ why: 'type' })
  expect(texts()).toEqual(['x'])
})
