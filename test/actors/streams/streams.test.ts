/** `app.streams`: appends that are acknowledged once durable, and readers that miss nothing. */
import { describe, expect, test } from 'vitest'
import { Applier, WalWriter } from '../../../src/actors/index.ts'
import type { App, StreamMessage, StreamReader } from '../../../src/index.ts'
import { codeOf, failNextSync, started } from '../../support/worlds/simulated-instance.ts'

const valuesOf = (messages: readonly StreamMessage[]): unknown[] =>
  messages.map(({ value }) => value)

/** Everything that a reader gives until it is done. */
const all = async <T>(reader: StreamReader<T>): Promise<T[]> => {
  const values: T[] = []
  for await (const { value } of reader) values.push(value)
  return values
}

/** A reader that goes on by itself: what it has given, and how it ended. */
const following = <T>(reader: StreamReader<T>) => {
  const seen: T[] = []
  const state = { seen, ended: undefined as unknown }
  const go = async (): Promise<void> => {
    for await (const { value } of reader) seen.push(value)
  }
  go().then(
    () => (state.ended = 'done'),
    (error) => (state.ended = error.code),
  )
  return state
}

const framesIn = (app: App): number => app.shards[0]?.appliedLsn ?? 0

describe('an append', () => {
  test('is acknowledged only after its group is synced, with an offset that sorts', {
    tags: ['ST1'],
  }, async () => {
    const { clock, app } = await started({}, { syncMs: 20 })
    const stream = app.streams.open<number>('a')
    const acked: string[] = []
    for (const each of [1, 2, 3]) void stream.append(each).then((offset) => acked.push(offset))

    await clock.advance(19)
    expect(acked).toEqual([])

    await clock.advance(40)
    expect(acked).toHaveLength(3)
    expect([...acked].sort()).toEqual(acked)
  })

  test('leaves with those of its turn, of all streams, as one frame', async () => {
    const { during, app } = await started()
    await during(app.store.put('k', 1))
    const before = framesIn(app)

    const sent = ['a', 'b', 'a', 'c'].map((name, at) => app.streams.open(name).append(at))
    await during(Promise.all(sent))

    expect(framesIn(app)).toBe(before + 1)
    expect(await during(all(app.streams.open('a').read({ live: false })))).toEqual([0, 2])
  })

  test('one after another, each leaves at once', async () => {
    const { clock, during, app } = await started({}, { syncMs: 1 })
    const stream = app.streams.open('a')
    const begin = clock.monotonic()
    for (let at = 0; at < 10; at++) await during(stream.append(at))
    expect(clock.monotonic() - begin).toBeLessThan(30)
  })

  test('after a unit of many calls the next one gathers for 20 ms', async () => {
    const { clock, during, app } = await started({}, { syncMs: 1 })
    const append = (name: string) => app.streams.open(name).append(1)
    await during(Promise.all(Array.from({ length: 40 }, (_, at) => append(`s${at}`))))
    const before = framesIn(app)

    const early = append('a')
    await clock.advance(5)
    const later = append('b')
    await clock.advance(5)
    expect(framesIn(app)).toBe(before)

    await during(Promise.all([early, later]))
    expect(framesIn(app)).toBe(before + 1)
  })

  test('beyond 1,000 that wait it waits for room, and beyond 1,000 of those it is BUSY', {
    tags: ['ST11'],
  }, async () => {
    const { during, app } = await started()
    const stream = app.streams.open<number>('a')
    const sent = Array.from({ length: 2_001 }, (_, at) => codeOf(stream.append(at)))

    const codes = await during(Promise.all(sent))

    expect(codes.indexOf('BUSY')).toBe(2_000)
    expect(codes.filter((code) => code === 'ok')).toHaveLength(2_000)
    const read = await during(all(stream.read({ live: false })))
    expect(read).toEqual(Array.from({ length: 2_000 }, (_, at) => at))
  })

  test('of many messages is whole, and each message has its own offset', async () => {
    const { during, app } = await started()
    const stream = app.streams.open<number>('a')
    const end = await during(stream.appendMany([1, 2, 3]))
    const { messages, next } = await during(stream.page())
    expect(valuesOf(messages)).toEqual([1, 2, 3])
    expect([messages[2]?.offset, next]).toEqual([end, end])
  })

  test('with a number may be repeated, and is there once', { tags: ['ST3'] }, async () => {
    const { during, app } = await started()
    const stream = app.streams.open<string>('a')
    const send = (seq: number, epoch = 0) => stream.append(`${seq}`, { id: 'p', epoch, seq })
    const first = await during(send(0))
    expect(await during(send(0))).toBe(first)
    await during(send(1))
    expect(await during(codeOf(send(3)))).toBe('CONFLICT')
    await during(send(0, 1))
    expect(await during(codeOf(send(2)))).toBe('FENCED')
    expect(await during(all(stream.read({ live: false })))).toEqual(['0', '1', '0'])
  })

  test('to a closed stream is CONFLICT, also after a restart', async () => {
    const { start, during, disk, app } = await started()
    const stream = app.streams.open<number>('a')
    await during(stream.append(1))
    const end = await during(stream.close(2))
    expect(await during(stream.close())).toBe(end)
    expect(await during(codeOf(stream.append(3)))).toBe('CONFLICT')
    disk.crash()
    await during(app.close({ deadlineMs: 0 }).catch(() => undefined))
    const again = (await start()).streams.open<number>('a')
    expect(await during(codeOf(again.append(3)))).toBe('CONFLICT')
    expect(await during(all(again.read()))).toEqual([1, 2])
  })

  test.each([
    ['undefined', undefined],
    ['undefined in a list', [1, undefined]],
    ['a hole of a list', new Array(1)],
    ['a bigint', { a: 1n }],
    ['NaN', [Number.NaN]],
    ['infinity', Number.POSITIVE_INFINITY],
    ['a Map', { of: new Map() }],
    ['a Date', new Date(0)],
    ['a function', () => 1],
    ['a symbol', Symbol('s')],
    ['bytes', Uint8Array.of(1)],
  ])(
    'of a value that JSON would change is INVALID_ARGUMENT, at its caller: %s',
    async (_, value) => {
      const { during, app } = await started()
      const before = framesIn(app)
      expect(await during(codeOf(app.streams.open('a').append(value)))).toBe('INVALID_ARGUMENT')
      expect(framesIn(app)).toBe(before)
    },
  )

  test('a value with itself in it is INVALID_ARGUMENT', async () => {
    const { during, app } = await started()
    const value: { self?: unknown } = {}
    value.self = value
    expect(await during(codeOf(app.streams.open('a').append(value)))).toBe('INVALID_ARGUMENT')
  })

  test('too large is TOO_LARGE, and the appends beside it stand', async () => {
    const { during, app } = await started()
    const stream = app.streams.open<string>('a')
    const sent = ['1', 'x'.repeat(1024 * 1024), '2'].map((text) => codeOf(stream.append(text)))
    expect(await during(Promise.all(sent))).toEqual(['ok', 'TOO_LARGE', 'ok'])
    const many = Array.from({ length: 10_001 }, () => '')
    expect(await during(codeOf(stream.appendMany(many)))).toBe('TOO_LARGE')
    expect(await during(all(stream.read({ live: false })))).toEqual(['1', '2'])
  })

  test.each([
    [{ id: 'p' }],
    [{ id: 'p', epoch: 0, seq: -1 }],
    [{ id: '', epoch: 0, seq: 0 }],
    [{ id: 'p\0', epoch: 0, seq: 0 }],
    [{ sequence: 1 } as object],
  ])('with wrong numbers is INVALID_ARGUMENT: %j', async (options) => {
    const { during, app } = await started()
    expect(await during(codeOf(app.streams.open('a').append(1, options)))).toBe('INVALID_ARGUMENT')
  })

  test('is settled once when its sync fails, and when the instance closes', async () => {
    const { disk, during, app } = await started({ app: undefined as never }, { syncMs: 5 })
    const stream = app.streams.open<number>('a')
    await during(stream.append(0))
    failNextSync(disk)
    const lost = [1, 2].map((each) => codeOf(stream.append(each)))
    expect(await during(Promise.all(lost))).toEqual(['UNKNOWN_OUTCOME', 'UNKNOWN_OUTCOME'])
    expect(await during(codeOf(stream.append(3)))).toBe('SHARD_DOWN')
    const closed = app.close({ deadlineMs: 0 })
    expect(await codeOf(stream.append(4))).toBe('CLOSED')
    await during(closed)
  })

  test('holds up a close for a second at most where writes are suspended, and is CLOSED then', async () => {
    const { clock, during, app } = await started()
    await during(app.control.suspendAll({ writes: true }))
    const sent = codeOf(app.streams.open('a').append(1))
    const begin = clock.monotonic()
    await during(app.close({ deadlineMs: Number.POSITIVE_INFINITY }))

    expect(await sent).toBe('CLOSED')
    expect(clock.monotonic() - begin).toBeLessThan(3_000)
  })

  test('that waits for room when the instance closes is written before the end', {
    tags: ['ST1'],
  }, async () => {
    const { during, app } = await started({}, { syncMs: 5 })
    const stream = app.streams.open<number>('a')
    const sent = Array.from({ length: 1_500 }, (_, each) => stream.append(each))
    const { cutOff } = await during(app.close())

    expect(await Promise.all(sent)).toHaveLength(1_500)
    expect(cutOff).toEqual([])
  })
})

describe('a reader', () => {
  test('waits for a stream that has not begun, gets each message once, and ends with the stream', async () => {
    const { during, pass, app } = await started()
    const stream = app.streams.open<number>('a')
    const reader = following(stream.read())
    await pass(100)
    await during(stream.append(1))
    await during(stream.appendMany([2, 3]))
    expect(reader.seen).toEqual([1, 2, 3])
    expect(reader.ended).toBe(undefined)
    await during(stream.close(4))
    await pass(10)
    expect(reader).toEqual({ seen: [1, 2, 3, 4], ended: 'done' })
  })

  test('goes on after an offset, and from now on sees only what comes', async () => {
    const { during, pass, app } = await started()
    const stream = app.streams.open<number>('a')
    const offset = await during(stream.append(1))
    await during(stream.append(2))
    const [later, now] = [
      following(stream.read({ from: offset })),
      following(stream.read({ from: 'now' })),
    ]
    await pass(10)
    await during(stream.close(3))
    await pass(10)
    expect([later.seen, now.seen]).toEqual([[2, 3], [3]])
  })

  test('reads a long stream over many chunks, from any offset', async () => {
    const { during, app } = await started()
    const stream = app.streams.open<string>('a')
    const texts = Array.from(
      { length: 900 },
      (_, at) => `${at} ${'x'.repeat(100 + (at % 50) * 40)}`,
    )
    for (let at = 0; at < 900; at += 30) await during(stream.appendMany(texts.slice(at, at + 30)))
    expect(await during(all(stream.read({ live: false })))).toEqual(texts)
    let from: string | undefined
    const paged: unknown[] = []
    for (let isAtEnd = false; !isAtEnd; ) {
      const page = await during(stream.page(from === undefined ? {} : { from }))
      paged.push(...valuesOf(page.messages))
      ;({ isAtEnd } = page)
      from = page.next
    }
    expect(paged).toEqual(texts)
    for (const at of [1, 250, 899]) {
      const { messages } = await during(stream.page())
      expect(messages.length).toBeGreaterThan(0)
      const offset = (await during(stream.head()))?.start as string
      const own = `${offset.slice(0, 17)}${at.toString(16).padStart(14, '0')}`
      expect((await during(all(stream.read({ from: own, live: false }))))[0]).toBe(texts[at])
    }
  })

  test('that leaves after a message takes no other reader of the stream from its wait', {
    tags: ['ST6', 'ST8'],
  }, async () => {
    const { clock, during, app } = await started()
    const stream = app.streams.open<number>('a')
    const stays = following(stream.read())
    const leaves = stream.read()
    const given = leaves.next()
    await during(stream.append(1))
    await given
    await clock.advance(10)
    await leaves.return()
    await during(stream.append(2))
    await during(stream.close())
    await clock.advance(10)

    expect(stays).toEqual({ seen: [1, 2], ended: 'done' })
  })

  test('ends by its signal and by return while it waits', async () => {
    const { pass, during, app } = await started()
    const stream = app.streams.open<number>('a')
    const end = new AbortController()
    const aborted = following(stream.read({ signal: end.signal }))
    const reader = stream.read()
    const pending = reader.next()
    await pass(10)
    end.abort()
    await during(reader.return())
    expect(await during(pending)).toEqual({ done: true, value: undefined })
    await pass(10)
    expect(aborted.ended).toBe('done')
    expect(app.shards[0]?.changes.isWatched).toBe(false)
  })

  test.each([
    ['applier', Applier.name(0)],
    ['wal_writer', WalWriter.name(0)],
  ])('goes on over a death of %s, without a message twice or missing', async (_, name) => {
    const { during, pass, app } = await started()
    const stream = app.streams.open<number>('a')
    const reader = following(stream.read())
    await during(stream.append(1))
    app.system.exit(app.system.to<unknown>(name as never), 'kill')
    await pass(1)
    await during(stream.append(2))
    await pass(1_000)
    expect(reader.seen).toEqual([1, 2])
    await during(stream.close(3))
    await pass(10)
    expect(reader).toEqual({ seen: [1, 2, 3], ended: 'done' })
  })

  test('gets nothing that a power cut takes back, also where appends are not synced', {
    tags: ['ST6'],
  }, async () => {
    for (const isRead of [true, false]) {
      const options = { wal: { syncInterval: 600_000 } }
      const { world, during, pass, disk, app } = await started(options)
      const stream = app.streams.open<number>('a')
      const reader = isRead ? following(stream.read()) : undefined
      await during(stream.append(1))
      await pass(10)
      const seen = reader?.seen.slice() ?? []
      disk.halt()
      await during(app.close({ deadlineMs: 0 })).catch(() => undefined)
      await during(app.system.stop()).catch(() => undefined)
      disk.crash({ unsynced: 'lost' })
      disk.clearFaults()
      disk.killProcess()
      const again = (await world.start(options)).streams.open<number>('a')
      const left = await during(all(again.read({ live: false })))
      expect([seen, left]).toEqual(isRead ? [[1], [1]] : [[], []])
    }
  })

  test('is told CLOSED when the instance closes while it waits', async () => {
    const { during, pass, app } = await started()
    const reader = following(app.streams.open('a').read())
    await pass(10)
    await during(app.close())
    await pass(10)
    expect(reader.ended).toBe('CLOSED')
  })

  test.each([['no offset'], [''], ['0'], [7 as never], [`${'0'.repeat(16)}_${'f'.repeat(14)}`]])(
    'refuses what is no offset: %s',
    async (from) => {
      const { app } = await started()
      expect(() => app.streams.open('a').read({ from })).toThrow(
        expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
      )
    },
  )
})

describe('trim and delete', () => {
  test('below the floor an offset is BAD_CURSOR, and a waiting reader goes on', {
    tags: ['ST7'],
  }, async () => {
    const { during, pass, app } = await started()
    const stream = app.streams.open<number>('a')
    const first = await during(stream.append(1))
    const second = await during(stream.append(2))
    const reader = following(stream.read({ from: second }))
    await during(stream.trim(second))
    expect(await during(codeOf(all(stream.read({ from: first, live: false }))))).toBe('BAD_CURSOR')
    expect(await during(all(stream.read({ live: false })))).toEqual([])
    await during(stream.append(3))
    await pass(10)
    expect(reader.seen).toEqual([3])
    expect(await during(stream.head())).toMatchObject({ messages: 1, start: second })
  })

  test('an offset never fits the next stream of the name', { tags: ['ST7'] }, async () => {
    const { during, pass, app } = await started()
    const stream = app.streams.open<number>('a')
    const offset = await during(stream.append(1))
    const reader = following(stream.read({ from: offset }))
    await pass(10)
    expect(await during(stream.delete())).toBe(true)
    await during(stream.append(2))
    await pass(10)
    expect(reader.ended).toBe('BAD_CURSOR')
    expect(await during(codeOf(stream.trim(offset)))).toBe('BAD_CURSOR')
    expect(await during(all(stream.read({ live: false })))).toEqual([2])
    expect(await during(stream.delete())).toBe(true)
    expect(await during(stream.delete())).toBe(false)
    expect(await during(stream.head())).toBe(undefined)
  })

  test('a stream keeps as much as it is told, from the first append of a handle on', async () => {
    const { during, app } = await started()
    const stream = app.streams.open<number>('a', { keep: { messages: 3 } })
    for (let at = 0; at < 10; at++) await during(stream.append(at))
    expect(await during(all(stream.read({ live: false })))).toEqual([7, 8, 9])
    const other = app.streams.open<number>('a')
    await during(other.append(10))
    expect(await during(all(other.read({ live: false })))).toEqual([8, 9, 10])
  })
})

test('a list has the streams of all shards in the order of their names', async () => {
  const { during, app } = await started({ shards: 3 })
  const names = Array.from({ length: 30 }, (_, at) => `run/${String(at).padStart(2, '0')}`)
  await during(Promise.all(names.map((name) => app.streams.open(name).append(name))))
  await during(app.streams.open('zoo').append(1))
  const listed = (await during(app.streams.list({ prefix: 'run/' }))).map(({ name }) => name)
  expect(listed).toEqual(names)
  const page = await during(app.streams.list({ after: 'run/27', limit: 2 }))
  expect(page.map(({ name }) => name)).toEqual(['run/28', 'run/29'])
  expect((await during(app.streams.list({ after: 'run/29' }))).map(({ name }) => name)).toEqual([
    'zoo',
  ])
})

test.each([[''], ['a{b'], ['x'.repeat(257)], [7 as never]])(
  'a name that no stream has is INVALID_ARGUMENT: %s',
  async (name) => {
    const { app } = await started()
    expect(() => app.streams.open(name)).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    )
  },
)
