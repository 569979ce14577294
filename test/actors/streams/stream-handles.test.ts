/** What the handles of streams give and refuse: pages, facts, lists, options, and the bounds of an append. */
import { describe, expect, test } from 'vitest'
import { codeOf, failNextSync, started } from '../../support/worlds/simulated-instance.ts'

describe('a page', () => {
  test('of a stream that has not begun is empty, and has no offset to go on from', async () => {
    const { during, app } = await started()

    const nothing = { messages: [], next: undefined, isAtEnd: true, isClosed: false }
    expect(await during(app.streams.open('a').page())).toEqual(nothing)
    expect(await during(app.streams.open('a').page({ from: 'now' }))).toEqual(nothing)
  })

  test('has each message with the offset that its append gave, and says that the stream is closed', async () => {
    const { during, app } = await started()
    const stream = app.streams.open<number>('a')
    const offsets = [await during(stream.append(1)), await during(stream.append(2))]
    const [first, second] = offsets as [string, string]
    const end = await during(stream.close())

    expect(end).toBe(second)
    expect(await during(stream.page())).toEqual({
      messages: [
        { value: 1, offset: first },
        { value: 2, offset: second },
      ],
      next: second,
      isAtEnd: true,
      isClosed: true,
    })
    expect(await during(stream.page({ from: first }))).toMatchObject({ messages: [{ value: 2 }] })
    const ended = { messages: [], next: second, isAtEnd: true, isClosed: true }
    expect(await during(stream.page({ from: 'now' }))).toEqual(ended)
    expect(await during(stream.page({ from: second }))).toEqual(ended)
  })

  test('ends after about 64 KiB, and is neither at the end nor closed then', async () => {
    const { during, app } = await started()
    const stream = app.streams.open<string>('a')
    await during(stream.appendMany(Array.from({ length: 70 }, () => 'x'.repeat(1020))))
    await during(stream.close())
    const page = await during(stream.page())

    expect(page).toMatchObject({
      isAtEnd: false,
      isClosed: false,
      next: page.messages.at(-1)?.offset,
    })
    expect(page.messages).toHaveLength(64)
    expect(await during(stream.page({ from: page.next as string }))).toMatchObject({
      messages: { length: 6 },
      isClosed: true,
    })
  })

  test('of an offset beyond the end, or of a stream that is gone, is BAD_CURSOR', async () => {
    const { during, app } = await started()
    const stream = app.streams.open<number>('a')
    const offset = await during(stream.append(1))
    const beyond = `${offset.slice(0, -1)}2`
    const page = (from: string) => during(stream.page({ from }))

    await expect(page(beyond)).rejects.toMatchObject({
      code: 'BAD_CURSOR',
      details: { stream: 'a', offset: 2, floor: 0 },
    })
    await during(stream.delete())
    await expect(page(offset)).rejects.toMatchObject({
      code: 'BAD_CURSOR',
      details: { stream: 'a' },
    })
  })
})

describe('a reader', () => {
  test('gives each message with the offset that its append gave', async () => {
    const { during, app } = await started()
    const stream = app.streams.open<number>('a')
    const offsets = [await during(stream.append(1)), await during(stream.append(2))]
    const reader = stream.read({ live: false })

    expect(await during(reader.next())).toEqual({
      done: false,
      value: { value: 1, offset: offsets[0] },
    })
    expect(await during(reader.next())).toEqual({
      done: false,
      value: { value: 2, offset: offsets[1] },
    })
    expect(await during(reader.next())).toEqual({ done: true, value: undefined })
    // It has ended: later messages are for another one.
    await during(stream.append(3))
    expect(await during(reader.next())).toEqual({ done: true, value: undefined })
  })

  test('from now on of a stream that has not begun gets its first message', async () => {
    const { clock, during, app } = await started()
    const stream = app.streams.open<number>('a')
    const next = stream.read({ from: 'now' }).next()
    await clock.advance(10)
    await during(stream.appendMany([1, 2]))

    expect(await during(next)).toMatchObject({ value: { value: 1 } })
  })

  test('answers calls of next one after another', async () => {
    const { during, app } = await started()
    const stream = app.streams.open<number>('a')
    const reader = stream.read()
    const given = [reader.next(), reader.next(), reader.next()]
    await during(stream.appendMany([1, 2]))
    await during(stream.close())

    expect(await during(Promise.all(given))).toMatchObject([
      { value: { value: 1 } },
      { value: { value: 2 } },
      { done: true },
    ])
  })

  test('that fails has ended', async () => {
    const { during, app } = await started()
    const stream = app.streams.open<number>('a')
    const offset = await during(stream.append(1))
    await during(stream.append(2))
    await during(stream.trim((await during(stream.head()))?.end as string))
    const signal = new AbortController().signal
    const reader = stream.read({ from: `${offset.slice(0, -1)}0`, signal })

    expect(await during(codeOf(reader.next()))).toBe('BAD_CURSOR')
    expect(await during(reader.next())).toEqual({ done: true, value: undefined })
  })

  test('leaves nothing at its signal once it has ended', async () => {
    const { during, app } = await started()
    const { signal } = new AbortController()
    const heard = new Set<unknown>()
    Object.assign(signal, {
      addEventListener: (_: string, listener: unknown) => heard.add(listener),
      removeEventListener: (_: string, listener: unknown) => heard.delete(listener),
    })
    const reader = app.streams.open('a').read({ signal })
    expect(heard.size).toBe(1)

    await during(reader.return())
    expect(heard.size).toBe(0)
  })

  test('is refused with the reason of a signal that is aborted already', async () => {
    const { app } = await started()
    const reason = new Error('no more')

    expect(() => app.streams.open('a').read({ signal: AbortSignal.abort(reason) })).toThrow(reason)
  })
})

describe('the facts of a stream', () => {
  test('are those of its messages that are kept, and of its moments', async () => {
    const { clock, during, app } = await started()
    const stream = app.streams.open<string>('a')
    const madeMs = clock.now()
    const first = await during(stream.append('xx'))
    await clock.advance(5_000)
    const writtenMs = clock.now()
    const end = await during(stream.appendMany(['yyy', 'z']))
    await during(stream.trim(first))
    await during(stream.close())
    const facts = await during(stream.head())

    expect(facts).toEqual({
      name: 'a',
      start: first,
      end,
      messages: 2,
      bytes: 12,
      isClosed: true,
      madeMs: expect.any(Number),
      writtenMs: expect.any(Number),
    })
    expect((facts?.madeMs ?? 0) - madeMs).toBeLessThan(100)
    expect((facts?.writtenMs ?? 0) - writtenMs).toBeLessThan(100)
    expect(await during(app.streams.list())).toEqual([facts])
  })
})

describe('a list', () => {
  test('has 100 streams unless another limit is given', async () => {
    const { during, app } = await started({ shards: 2 })
    const names = Array.from({ length: 101 }, (_, at) => `s${at}`)
    await during(Promise.all(names.map((name) => app.streams.open(name).append(1))))
    const count = async (limit?: number) =>
      (await during(app.streams.list(limit === undefined ? {} : { limit }))).length

    expect(await count()).toBe(100)
    expect(await count(1)).toBe(1)
    expect(await count(1_000)).toBe(101)
  })

  test('has no name before its prefix, whatever name it is after', async () => {
    const { during, app } = await started({ shards: 2 })
    for (const name of ['a', 'b', 'run/1', 'run/2', 'zoo'])
      await during(app.streams.open(name).append(1))
    const names = async (after: string) =>
      (await during(app.streams.list({ prefix: 'run/', after }))).map(({ name }) => name)

    expect(await names('')).toEqual(['run/1', 'run/2'])
    expect(await names('a')).toEqual(['run/1', 'run/2'])
    expect(await names('run/1')).toEqual(['run/2'])
    expect(await names('zoo')).toEqual([])
  })

  test('of a shard that is down is SHARD_DOWN, as its heads and pages are', async () => {
    const { during, disk, app } = await started()
    const stream = app.streams.open('a')
    await during(stream.append(1))
    failNextSync(disk)
    await during(codeOf(stream.append(2)))

    for (const call of [() => app.streams.list(), () => stream.head(), () => stream.page()])
      expect(await during(codeOf(call()))).toBe('SHARD_DOWN')
  })

  test.each([
    [{ limit: 0 }],
    [{ limit: 1_001 }],
    [{ limit: 1.5 }],
    [{ prefix: 7 as never }],
    [{ after: 7 as never }],
    [{ from: '' } as object],
  ])('with wrong options is INVALID_ARGUMENT: %j', async (options) => {
    const { during, app } = await started()

    expect(await during(codeOf(app.streams.list(options)))).toBe('INVALID_ARGUMENT')
  })
})

describe('an append', () => {
  test('has 10,000 messages and 6 MiB at most', async () => {
    const { during, app } = await started({ wal: { maxFileSize: 64 * 1024 * 1024 } })
    const stream = app.streams.open('a')
    const refused = (messages: unknown[]) => during(codeOf(stream.appendMany(messages)))
    const mib = 'x'.repeat(1024 * 1024 - 2)
    const list = Array.from({ length: 6 }, () => mib)

    expect(await refused(Array.from({ length: 10_000 }, () => 1))).toBe('ok')
    expect(await refused(Array.from({ length: 10_001 }, () => 1))).toBe('TOO_LARGE')
    expect(await refused(list)).toBe('ok')
    expect(await refused([...list, 1])).toBe('TOO_LARGE')
    expect(await refused([`${mib}x`])).toBe('TOO_LARGE')
    expect(await refused([])).toBe('INVALID_ARGUMENT')
    await expect(during(stream.appendMany([...list, 1]))).rejects.toMatchObject({
      details: { messages: 7, bytes: 6 * 1024 * 1024 + 1 },
    })
  })

  test.each<[string, unknown, unknown]>([
    ['the message', undefined, ['message']],
    ['a part of a list', [[1], [2, Number.NaN]], ['message', 1, 1]],
    ['a part of an object', { a: { b: 1n } }, ['message', 'a', 'b']],
  ])('that is refused for %s says so', async (_, message, path) => {
    const { during, app } = await started()

    await expect(during(app.streams.open('a').append(message))).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      details: { path },
    })
  })

  test('of several says which message is refused', async () => {
    const { during, app } = await started()

    await expect(during(app.streams.open('a').appendMany([1, { a: 1n }]))).rejects.toMatchObject({
      details: { path: ['messages', 1, 'a'] },
    })
  })

  test('has 500 values within each other at most', async () => {
    const { during, app } = await started()
    const stream = app.streams.open('a')
    const nested = (depth: number): unknown => {
      let value: unknown = []
      for (let at = 1; at < depth; at++) value = at % 2 ? { value } : [value]
      return value
    }

    expect(await during(codeOf(stream.append(nested(500))))).toBe('ok')
    expect(await during(codeOf(stream.append(nested(501))))).toBe('INVALID_ARGUMENT')
    expect(await during(stream.page())).toMatchObject({ messages: [{ value: nested(500) }] })
  })

  test('keeps null, booleans, and what JSON says of undefined in an object', async () => {
    const { during, app } = await started()
    const stream = app.streams.open('a')
    const plain = Object.assign(Object.create(null), { a: undefined, b: null })
    await during(stream.appendMany([null, true, -0.5, plain]))
    const { messages } = await during(stream.page())

    expect(messages.map(({ value }) => value)).toEqual([null, true, -0.5, { b: null }])
  })

  test.each([
    [{ id: 'p', epoch: 0 }],
    [{ id: 'p', seq: 0 }],
    [{ epoch: 0, seq: 0 }],
    [{ seq: 0 }],
    [{ epoch: 0 }],
    [{ id: 7 as never, epoch: 0, seq: 0 }],
    [{ id: 'p', epoch: 0.5, seq: 0 }],
    [{ id: '\ud800', epoch: 0, seq: 0 }],
    [{ id: 'я'.repeat(129), epoch: 0, seq: 0 }],
  ])('whose number is not whole is INVALID_ARGUMENT: %j', async (options) => {
    const { during, app } = await started()

    expect(await during(codeOf(app.streams.open('a').append(1, options)))).toBe('INVALID_ARGUMENT')
  })

  test('takes the number of a producer whose name has 256 bytes, and no number that is all undefined', async () => {
    const { during, app } = await started()
    const stream = app.streams.open('a')
    const number = { id: 'я'.repeat(128), epoch: 0, seq: 0 }
    const none = { id: undefined, epoch: undefined, seq: undefined } as object

    expect(await during(codeOf(stream.append(1, number)))).toBe('ok')
    await during(stream.append(1, number))
    await during(stream.append(2, none))
    await during(stream.append(2, none))
    expect(await during(stream.head())).toMatchObject({ messages: 3 })
  })

  test('that its producer may not send says what it may', async () => {
    const { during, app } = await started()
    const stream = app.streams.open('a')
    await during(stream.append(1, { id: 'p', epoch: 4, seq: 0 }))

    await expect(during(stream.append(1, { id: 'p', epoch: 4, seq: 3 }))).rejects.toMatchObject({
      code: 'CONFLICT',
      details: { stream: 'a', why: 'gap', epoch: 4, seq: 1 },
    })
  })
})

describe('what a stream keeps', () => {
  test.each([
    ['bytes', { bytes: 30_000 }],
    ['an age', { ageMs: 60_000 }],
  ])('is bounded by %s', async (_, keep) => {
    const { clock, during, app } = await started()
    const stream = app.streams.open<string>('a', { keep })
    for (let at = 0; at < 40; at++) {
      await during(stream.append(`${at}`.padEnd(2_000)))
      await clock.advance(10_000)
    }
    const messages = (await during(stream.head()))?.messages ?? 0

    // Whole chunks of about 8 KiB go.
    expect(messages).toBeGreaterThan(5)
    expect(messages).toBeLessThan(25)
  })

  test('is set by the next append if the first one was refused', async () => {
    const { during, app } = await started()
    const before = app.streams.open<number>('a')
    await during(before.close(0))
    const stream = app.streams.open<number>('a', { keep: { messages: 1 } })
    expect(await during(codeOf(stream.append(1)))).toBe('CONFLICT')
    await during(stream.delete())
    await during(stream.appendMany([2, 3]))
    expect(await during(stream.head())).toMatchObject({ messages: 1 })
    // Another handle with other bounds sets those.
    await during(app.streams.open<number>('a', { keep: { messages: 2 } }).appendMany([4, 5]))
    expect(await during(stream.head())).toMatchObject({ messages: 2 })
    // The handle has set it once.
    await during(stream.append(6))
    expect(await during(stream.head())).toMatchObject({ messages: 2 })
  })

  test.each([[{ messages: 0 }], [{ bytes: 0 }], [{ ageMs: 0 }], [{ count: 1 }], [7]])(
    'is INVALID_ARGUMENT if it is nothing: %j',
    async (keep) => {
      const { app } = await started()

      expect(() => app.streams.open('a', { keep: keep as never })).toThrow(
        expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
      )
    },
  )
})

test.each([[{ live: 1 as never }], [{ signal: {} as never }], [{ after: '' } as object]])(
  'a reading with wrong options is INVALID_ARGUMENT: %j',
  async (options) => {
    const { app } = await started()

    expect(() => app.streams.open('a').read(options)).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    )
  },
)

test('every call of a handle is CLOSED once the instance has closed', async () => {
  const { during, app } = await started()
  const stream = app.streams.open('a')
  const offset = await during(stream.append(1))
  await during(app.close())

  expect(() => stream.read()).toThrow(expect.objectContaining({ code: 'CLOSED' }))
  for (const call of [
    () => stream.append(1),
    () => stream.appendMany([1]),
    () => stream.close(),
    () => stream.page(),
    () => stream.head(),
    () => stream.trim(offset),
    () => stream.delete(),
    () => app.streams.list(),
  ])
    expect(await codeOf(call())).toBe('CLOSED')
})
