import { Readable } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { virtualClock } from '../../../src/clock.ts'
import { KeelsonError } from '../../../src/errors.ts'
import {
  type IngestFailure,
  type IngestOptions,
  type IngestProgress,
  ingest,
} from '../../../src/inspect/ingest/ingest.ts'

/** A store that answers at once, or when a test releases it. */
class TestStore {
  readonly puts: {
    key: string
    value: unknown
    resolve: () => void
    reject: (e: unknown) => void
  }[] = []
  held = false
  fails: (key: string) => KeelsonError | undefined = () => undefined

  put(key: string, value: unknown): Promise<void> {
    return new Promise((resolve, reject) => {
      this.puts.push({ key, value, resolve, reject })
      const error = this.fails(key)
      if (error) reject(error)
      else if (!this.held) resolve()
    })
  }

  get keys(): string[] {
    return this.puts.map(({ key }) => key)
  }
}

const lines = (count: number): string =>
  Array.from({ length: count }, (_, at) => JSON.stringify({ id: at + 1 })).join('\n')

/** A stream of the text in pieces of 7 bytes. */
const streamOf = (text: string | Buffer): Readable => {
  const bytes = Buffer.from(text)
  const pieces: Buffer[] = []
  for (let at = 0; at < bytes.length; at += 7) pieces.push(bytes.subarray(at, at + 7))
  return Readable.from(pieces, { objectMode: false })
}

const run = (
  store: TestStore,
  input: Readable | string | Buffer,
  options: Partial<IngestOptions> = {},
): Promise<IngestProgress> =>
  ingest(store, input instanceof Readable ? input : streamOf(input), {
    key: 'id',
    clock: virtualClock(),
    ...options,
  })

describe('ingest', () => {
  for (const [format, text] of [
    ['ndjson', '{"id":"a","v":1}\n{"id":7,"v":"ü"}\n'],
    ['json', '[{"id":"a","v":1},{"id":7,"v":"ü"}]'],
  ] as const)
    test(`puts each record of ${format} under its key, whole`, async () => {
      const store = new TestStore()

      const summary = await run(store, text, { format })

      expect(store.puts.map(({ key, value }) => [key, value])).toEqual([
        ['a', { id: 'a', v: 1 }],
        ['7', { id: 7, v: 'ü' }],
      ])
      expect(summary).toMatchObject({
        records: 2,
        acknowledged: 2,
        failed: 0,
        through: 2,
        bytes: Buffer.byteLength(text),
      })
    })

  test('takes a key from within the record, but a field of that very name first', async () => {
    const store = new TestStore()

    await run(store, '{"a":{"b":"deep"}}\n{"a.b":"flat","a":{"b":"deep"}}', { key: 'a.b' })

    expect(store.keys).toEqual(['deep', 'flat'])
  })

  test('has 1,024 puts on their way at most, and goes on as they are answered', async () => {
    const store = new TestStore()
    const clock = virtualClock()
    store.held = true
    const done = run(store, lines(1_500), { clock })

    await clock.settle()
    expect(store.puts.length).toBe(1_024)
    store.puts[5]?.resolve()
    await clock.settle()
    expect(store.puts.length).toBe(1_025)
    store.held = false
    for (const { resolve } of store.puts) resolve()

    expect((await done).acknowledged).toBe(1_500)
  })

  test('has 16 MiB on their way at most; a larger record goes alone', async () => {
    const store = new TestStore()
    const clock = virtualClock()
    store.held = true
    const record = (id: string, size: number) => JSON.stringify({ id, text: 'x'.repeat(size) })
    const text = [record('a', 9e6), record('b', 9e6), record('c', 20e6)].join('\n')
    const done = run(store, Readable.from([Buffer.from(text)]), { clock })

    await clock.settle()
    expect(store.keys).toEqual(['a'])
    store.puts[0]?.resolve()
    await clock.settle()
    expect(store.keys).toEqual(['a', 'b'])
    store.puts[1]?.resolve()
    await clock.settle()
    expect(store.keys).toEqual(['a', 'b', 'c'])
    store.puts[2]?.resolve()

    expect((await done).acknowledged).toBe(3)
  })

  test('resolves only when every put has been answered', async () => {
    const store = new TestStore()
    const clock = virtualClock()
    store.held = true
    let resolved = false
    const done = run(store, lines(3), { clock }).then((summary) => {
      resolved = true
      return summary
    })

    await clock.settle()
    store.puts[0]?.resolve()
    store.puts[2]?.resolve()
    await clock.settle()
    expect(resolved).toBe(false)
    store.puts[1]?.resolve()

    expect((await done).through).toBe(3)
  })
})

describe('a record that is refused for its own sake', () => {
  for (const [what, line] of [
    ['no JSON', '{"id":'],
    ['no object', '17'],
    ['no key', '{"no":1}'],
    ['a key of null', '{"id":null}'],
    ['a key that is an object', '{"id":{}}'],
    ['a key that is no finite number', '{"id":1e999}'],
  ] as const)
    test(`is reported by its number, and the others go on: ${what}`, async () => {
      const store = new TestStore()
      const failures: IngestFailure[] = []

      const summary = await run(store, `{"id":"a"}\n${line}\n{"id":"c"}`, {
        onFailure: (failure) => failures.push(failure),
      })

      expect(store.keys).toEqual(['a', 'c'])
      expect(
        failures.map(({ record, error }) => [record, error.code, error.details.record]),
      ).toEqual([[2, 'INVALID_ARGUMENT', 2]])
      expect(summary).toMatchObject({ records: 3, acknowledged: 2, failed: 1, through: 3 })
    })

  test('may be one that is not UTF-8', async () => {
    const store = new TestStore()
    const bytes = Buffer.concat([Buffer.from('{"id":"'), Buffer.of(0xff), Buffer.from('"}\n')])

    expect(await run(store, bytes)).toMatchObject({ acknowledged: 0, failed: 1 })
    expect(store.keys).toEqual([])
  })

  test('may be one that the store refuses', async () => {
    const store = new TestStore()
    store.fails = (key) => (key === '2' ? new KeelsonError('TOO_LARGE', 'too large') : undefined)

    const failures: IngestFailure[] = []
    const onFailure = (failure: IngestFailure) => void failures.push(failure)

    const summary = await run(store, lines(4), { onFailure })

    expect(summary).toMatchObject({ acknowledged: 3, failed: 1, through: 4 })
    expect(failures.map(({ error }) => [error.code, error.message, error.details.record])).toEqual([
      ['TOO_LARGE', 'record 2: too large', 2],
    ])
  })
})

describe('what ends an ingestion', () => {
  for (const code of [
    'SHARD_DOWN',
    'NO_SPACE',
    'UNKNOWN_OUTCOME',
    'NOT_SUBMITTED',
    'CLOSED',
  ] as const)
    test(`is a store that says ${code}: nothing more is read, and the error says how far it got`, async () => {
      const store = new TestStore()
      store.fails = (key) => (key === '2000' ? new KeelsonError(code, 'no') : undefined)

      const error = await run(store, lines(100_000)).catch((thrown: unknown) => thrown)

      expect(error).toMatchObject({
        code,
        details: { record: 2_000, progress: { through: 1_999 } },
      })
      expect(store.puts.length).toBeLessThan(5_000)
    })

  test('is reported with the last record up to which none is missing, even if later ones were acknowledged', async () => {
    const store = new TestStore()
    const clock = virtualClock()
    store.held = true
    const done = run(store, lines(4), { clock }).catch((thrown: unknown) => thrown)
    await clock.settle()

    store.puts[3]?.resolve()
    store.puts[0]?.resolve()
    store.puts[1]?.reject(new KeelsonError('NO_SPACE', 'full'))
    store.puts[2]?.resolve()

    expect(await done).toMatchObject({
      code: 'NO_SPACE',
      details: { record: 2, progress: { acknowledged: 3, through: 1 } },
    })
  })

  test('is the end of its input by an error', async () => {
    const broken = Readable.from(
      (async function* () {
        yield Buffer.from(lines(3))
        throw Object.assign(new Error('gone'), { code: 'EIO' })
      })(),
      { objectMode: false },
    )

    const error = await run(new TestStore(), broken).catch((thrown: unknown) => thrown)

    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', details: { progress: { through: 2 } } })
  })

  test('is an array that is none', async () => {
    const store = new TestStore()

    const error = await run(store, '[{"id":1} {"id":2}]', { format: 'json' }).catch(
      (e: unknown) => e,
    )

    expect(error).toMatchObject({
      code: 'INVALID_ARGUMENT',
      details: { record: 2, progress: { acknowledged: 1, through: 1 } },
    })
  })

  test('is its signal: the puts in flight are awaited, and the rest is not read', async () => {
    const store = new TestStore()
    const clock = virtualClock()
    const abort = new AbortController()
    const input = new Readable({ read: () => undefined })
    store.held = true
    const done = run(store, input, { clock, signal: abort.signal })
    input.push(`${lines(3)}\n`)
    await clock.settle()

    abort.abort()
    await clock.settle()
    expect(input.destroyed).toBe(true)
    for (const { resolve } of store.puts) resolve()

    expect(await done).toMatchObject({ records: 3, acknowledged: 3, through: 3 })
  })

  test('may be a signal from before', async () => {
    const store = new TestStore()

    expect(await run(store, lines(3), { signal: AbortSignal.abort() })).toMatchObject({
      records: 0,
    })
    expect(store.puts).toEqual([])
  })
})

test('progress is reported five times a second, and at the end', async () => {
  const store = new TestStore()
  const clock = virtualClock()
  store.held = true
  const told: IngestProgress[] = []
  const done = run(store, lines(4), { clock, onProgress: (progress) => told.push(progress) })
  await clock.settle()

  for (const { resolve } of store.puts) {
    await clock.advance(150)
    resolve()
    await clock.settle()
  }
  await done

  expect(told.map(({ elapsedMs, acknowledged }) => [elapsedMs, acknowledged])).toEqual([
    [300, 2],
    [600, 4],
    [600, 4],
  ])
})
