/** How the calls to the streams of a shard gather into units, one frame each, and the bounds of a unit and of a stream. */
import { expect, test } from 'vitest'
import type { App } from '../../../src/index.ts'
import { unitsIn } from '../../../src/storage/index.ts'
import { codeOf, started } from '../../support/worlds/simulated-instance.ts'

/** An instance whose segments take units of any size here, and how many of its frames have units of streams. */
const gathering = async (maxFileSize = 64 * 1024 * 1024) => {
  const { clock, during, app } = await started({ wal: { maxFileSize } })
  let count = 0
  app.shards[0]?.changes.listen({
    applied: ({ frame }) => {
      if (unitsIn(frame.units).some(({ kind }) => kind === 'streams')) count++
    },
    missed: () => undefined,
  })
  const frames = (): number => count
  /** How many frames these calls take. */
  const framesOf = async (...calls: readonly (() => Promise<unknown>)[]): Promise<number> => {
    const before = frames()
    await during(Promise.all(calls.map((call) => call())))
    return frames() - before
  }
  return { app, clock, during, frames, framesOf }
}

/** A text whose JSON has so many bytes. */
const textOf = (bytes: number): string => 'x'.repeat(bytes - 2)

const half = textOf(512 * 1024)

const appendTo = (app: App, name: string, message: unknown) => () =>
  app.streams.open(name).append(message)

const toMany = (app: App, count: number) =>
  Array.from({ length: count }, (_, at) => appendTo(app, `s${at}`, 1))

test('calls of one turn to 250 streams are one unit, and a further one is the next', async () => {
  const { app, framesOf } = await gathering()

  expect(await framesOf(...toMany(app, 250))).toBe(1)
  expect(await framesOf(...toMany(app, 251))).toBe(2)
})

test('appends of one turn to one stream are one unit, however many there are', async () => {
  const { app, framesOf } = await gathering()

  expect(await framesOf(...Array.from({ length: 900 }, (_, at) => appendTo(app, 'a', at)))).toBe(1)
})

test('a unit has 1 MiB of messages, or one message that is longer by itself', async () => {
  const { app, framesOf } = await gathering()
  const to = (...names: string[]) => names.map((name) => appendTo(app, name, half))
  // Each message has a head of four bytes.
  const least = appendTo(app, 'd', textOf(512 * 1024 - 8))

  expect(await framesOf(...to('a'), least)).toBe(1)
  expect(await framesOf(...to('a', 'b'))).toBe(2)
  expect(await framesOf(...to('a', 'b', 'c'))).toBe(3)
})

test('a unit has half the bytes of a segment at most', async () => {
  const { app, framesOf } = await gathering(256 * 1024)
  const message = textOf(40 * 1024)

  expect(await framesOf(...[...'abc'].map((name) => appendTo(app, name, message)))).toBe(2)
})

test('a stream has 1 MiB of messages on their way, and a longer append goes alone', async () => {
  const { app, framesOf } = await gathering()
  const long = Array.from({ length: 3 }, () => half)

  expect(await framesOf(appendTo(app, 'a', half), appendTo(app, 'a', textOf(1024)))).toBe(1)
  expect(await framesOf(...long.map((each) => appendTo(app, 'a', each)))).toBe(3)
  expect(await framesOf(() => app.streams.open('a').appendMany(long))).toBe(1)
})

test('after a unit of 31 calls the next one leaves at once', async () => {
  const { app, clock, during, framesOf } = await gathering()
  await framesOf(...toMany(app, 31))
  const begin = clock.monotonic()
  await during(app.streams.open('a').append(1))
  expect(clock.monotonic() - begin).toBeLessThan(10)

  await framesOf(...toMany(app, 32))
  const next = clock.monotonic()
  await during(app.streams.open('a').append(1))
  expect(clock.monotonic() - next).toBeGreaterThan(10)
})

test('a call beside one that waits for 20 ms leaves with it at once if the stream is full then', async () => {
  const { app, clock, during, frames, framesOf } = await gathering()
  await framesOf(...toMany(app, 40))
  const before = frames()
  const begin = clock.monotonic()
  const waits = app.streams.open('a').append(1)
  const fills = app.streams.open('a').appendMany(Array.from({ length: 999 }, () => 1))
  await during(Promise.all([waits, fills]))

  expect(clock.monotonic() - begin).toBeLessThan(10)
  expect(frames()).toBe(before + 1)
})

test.each([
  ['a stream has messages that find no room', 600, 500, true],
  ['250 streams have calls', 250, 0, false],
  ['251 streams have calls', 251, 0, true],
])('after a unit of many calls the next one waits, unless it is full: %s', async (_, ...given) => {
  const [count, more, isFull] = given
  const { app, clock, during, framesOf } = await gathering()
  await framesOf(...toMany(app, 40))
  const begin = clock.monotonic()
  const list = (length: number) => Array.from({ length }, () => 1)
  const { streams } = app
  const first =
    more > 0
      ? [streams.open('a').appendMany(list(count)), streams.open('a').appendMany(list(more))]
      : toMany(app, count).map((append) => append())
  await during(first[0] as Promise<unknown>)

  expect(clock.monotonic() - begin < 10).toBe(isFull)
  await during(Promise.all(first))
})

test('messages that are decided leave the room of their bytes, while others are on their way', async () => {
  const { app, during } = await gathering()
  const stream = app.streams.open('a')
  const [first, second] = [0, 1].map(() => stream.append(textOf(600 * 1024)))
  await during(first as Promise<unknown>)
  const sent = Array.from({ length: 1_500 }, (_, at) => stream.append(at))

  expect(await during(Promise.all([second, ...sent]))).toHaveLength(1_501)
})

test('other acts wait behind the appends that wait for room, in their order, and are BUSY behind 1,000', async () => {
  const { app, during } = await gathering()
  const stream = app.streams.open<number>('a')
  const offset = await during(stream.append(0))
  const sent = Array.from({ length: 1_999 }, (_, at) => stream.append(at))
  const trimmed = codeOf(stream.trim(offset))
  const deleted = codeOf(stream.delete())

  expect(await during(trimmed)).toBe('ok')
  expect(await during(deleted)).toBe('BUSY')
  expect(await during(Promise.all(sent))).toHaveLength(1_999)
  expect(await during(stream.head())).toMatchObject({ messages: 1_999, start: offset })
})

test('an append that finds no room is BUSY, and says for which stream', async () => {
  const { app, during } = await gathering()
  const stream = app.streams.open<number>('a')
  const sent = Array.from({ length: 2_000 }, () => stream.append(1))

  await expect(during(stream.append(1))).rejects.toMatchObject({
    code: 'BUSY',
    details: { stream: 'a', callsMax: 1_000 },
  })
  // Another stream has room of its own.
  expect(await during(codeOf(app.streams.open('b').append(1)))).toBe('ok')
  await during(Promise.all(sent))
  expect(await during(codeOf(stream.append(1)))).toBe('ok')
})

test('an act between appends of one turn sees those before it alone', async () => {
  const { app, during } = await gathering()
  const stream = app.streams.open<number>('a')
  const sent = [stream.append(1), stream.append(2)]
  const deleted = stream.delete()
  const later = stream.append(3)
  await during(Promise.all(sent))

  expect(await during(deleted)).toBe(true)
  expect(await during(later)).toBe((await during(stream.head()))?.end)
  expect(await during(stream.head())).toMatchObject({ messages: 1 })
})

test('a close between appends of one turn refuses those after it alone', async () => {
  const { app, during } = await gathering()
  const stream = app.streams.open<number>('a')
  const sent = [stream.append(1), stream.close(), stream.append(2), stream.append(3)]

  expect(await during(Promise.all(sent.map(codeOf)))).toEqual(['ok', 'ok', 'CONFLICT', 'CONFLICT'])
})

test('a close without a message is not refused with the appends before it', async () => {
  const { app, during } = await gathering()
  const stream = app.streams.open<number>('a')
  await during(stream.close(1))
  const sent = [stream.append(2), stream.close()]

  expect(await during(Promise.all(sent.map(codeOf)))).toEqual(['CONFLICT', 'ok'])
})

test('appends with a number stand by themselves among those of one turn', async () => {
  const { app, during } = await gathering()
  const stream = app.streams.open<string>('a')
  const sent = [
    stream.append('1'),
    stream.append('2', { id: 'p', epoch: 0, seq: 0 }),
    stream.append('2', { id: 'p', epoch: 0, seq: 0 }),
    stream.append('3', { id: 'p', epoch: 0, seq: 1 }),
    stream.append('4'),
  ]
  const offsets = await during(Promise.all(sent))

  expect(offsets[1]).toBe(offsets[2])
  const { messages } = await during(stream.page())
  expect(messages.map(({ value }) => value)).toEqual(['1', '2', '3', '4'])
  expect(messages.map(({ offset }) => offset)).toEqual(offsets.toSpliced(2, 1))
})
