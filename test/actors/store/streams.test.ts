import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { BlobStore, type LargeValue, type StoreEntry } from '../../../src/actors/index.ts'
import type { EntriesOptions } from '../../../src/actors/store/range-query.ts'
import type { App, StartOptions } from '../../../src/supervisors/index.ts'
import { payload } from '../../support/worlds/blob-folder.ts'
import { swept } from '../../support/worlds/blob-instance.ts'
import {
  codeOf,
  failNextSync,
  type Machine,
  machine,
} from '../../support/worlds/simulated-instance.ts'
import { heard } from '../../support/worlds/snapshot-instance.ts'

const options = { blobs: { threshold: 1000, graceMs: 60_000, sweepMs: 0 } }
const dir = '/data/shard-0/blobs'

const blobFiles = ({ disk }: Machine): string[] =>
  disk.entry(dir) ? disk.list(dir).filter((name) => name.endsWith('.bloblog')) : []

const started = async (more: Partial<StartOptions> = {}) => {
  const world = machine()
  return { world, app: await world.start({ ...options, ...more }) }
}

/** Large values are blobs, and a few others are a segment of the log. */
const forgetful = {
  blobs: { ...options.blobs, threshold: 100_000 },
  wal: { maxFileSize: 128 * 1024 },
}

/** Writes until log and snapshots have only what is written now, and sweeps after the grace. */
const forgotten = async (world: Machine, app: App) => {
  for (let at = 0; at < 40; at++) await world.during(app.store.put('z', `${at}`.padEnd(8_192)))
  await world.during(app.control.snapshot(0))
  return swept(world, app)
}

/**
 * The lengths of the pieces that are made from now on until the test ends. What a host answers is
 * never the object that was sent, so memory that comes back is known by what was not made.
 */
const piecesMade = (): number[] => {
  const made: number[] = []
  const counted: typeof Uint8Array = new Proxy(Uint8Array, {
    construct: (target, values: unknown[], newTarget): Uint8Array => {
      if (values[0] === 512 * 1024) made.push(values[0])
      return Reflect.construct(target, values, newTarget === counted ? target : newTarget)
    },
  })
  vi.stubGlobal('Uint8Array', counted)
  onTestFinished(() => {
    vi.unstubAllGlobals()
  })
  return made
}

/** A megabyte and a bit, in chunks of odd sizes. */
const chunks = [payload(1, 600_000), payload(2, 1), payload(3, 524_288), payload(4, 77_777)]
const whole = Buffer.concat(chunks)

const sameBytes = (left: Uint8Array, right: Uint8Array): boolean =>
  Buffer.compare(left, right) === 0

const collected = async (stream: Readable | undefined): Promise<Buffer> => {
  if (!stream) throw new Error('no stream')
  const pieces: Buffer[] = []
  for await (const piece of stream) pieces.push(piece)
  return Buffer.concat(pieces)
}

describe('putStream', () => {
  test('answers position, length and SHA-256, and the value is its bytes', async () => {
    const { world, app } = await started()
    const put = await world.during(app.store.putStream('key', Readable.from(chunks)))
    expect(put).toEqual({
      position: { shard: 0, lsn: 1 },
      length: whole.length,
      sha256: createHash('sha256').update(whole).digest('hex'),
    })
    expect(sameBytes((await world.during(app.store.load('key'))) as Buffer, whole)).toBe(true)
    expect(sameBytes(await world.during(collected(app.store.getStream('key'))), whole)).toBe(true)
    expect(
      sameBytes(app.store.getRange('key', 599_990, 600_100), whole.subarray(599_990, 600_100)),
    ).toBe(true)
    expect(() => app.store.get('key')).toThrow(expect.objectContaining({ code: 'TOO_LARGE' }))
  })

  test('takes text, arrays and web streams; what it stores is bytes', async () => {
    const { world, app } = await started()
    await world.during(app.store.putStream('text', ['grün', ' und ', 'blau']))
    expect(app.store.get('text')).toEqual(Buffer.from('grün und blau'))
    await world.during(app.store.putStream('web', new Blob(['from the web']).stream()))
    expect(app.store.get('web')).toEqual(Buffer.from('from the web'))
    await world.during(app.store.putStream('empty', []))
    expect(app.store.get('empty')).toEqual(Buffer.alloc(0))
    expect(app.store.has('empty')).toBe(true)
  })

  test('asks its source for no more than it has written', { tags: ['slow'] }, async () => {
    const { world, app } = await started()
    let asked = 0
    const source = async function* () {
      for (; asked < 64; asked++) yield payload(asked, 256 * 1024)
    }
    const put = app.store.putStream('key', source())
    await world.clock.settle()
    // Two chunks make a piece, and the disk has not answered for the first.
    expect(asked).toBeLessThanOrEqual(4)
    expect((await world.during(put)).length).toBe(16 * 1024 * 1024)
  })

  test('takes two pieces of memory however long the value is, and so does getStream', {
    tags: ['slow'],
  }, async () => {
    const { world, app } = await started()
    const made = piecesMade()
    const source = Array.from({ length: 64 }, (_, at) => payload(at, 256 * 1024))
    await world.during(app.store.putStream('key', source))
    expect(made.splice(0)).toHaveLength(2)
    const back = await world.during(collected(app.store.getStream('key')))
    expect(made).toHaveLength(2)
    expect(sameBytes(back, Buffer.concat(source))).toBe(true)
  })

  test('leaves the key as it was until the last byte is durable, and survives a power cut then', async () => {
    const { world, app } = await started()
    await world.during(app.store.put('key', 'before'))
    let release = (): void => undefined
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    const source = async function* () {
      yield payload(1, 600_000)
      await held
      yield payload(2, 100)
    }
    const put = app.store.putStream('key', source())
    await world.clock.advance(50)
    expect(app.store.get('key')).toBe('before')
    release()
    await world.during(put)
    world.disk.crash()
    const again = await world.start(options)
    const loaded = (await world.during(again.store.load('key'))) as Buffer
    expect(sameBytes(loaded, Buffer.concat([payload(1, 600_000), payload(2, 100)]))).toBe(true)
  })

  test('that its source fails is that error, and leaves neither value nor file', async () => {
    const { world, app } = await started()
    const source = async function* () {
      yield payload(1, 700_000)
      throw new RangeError('the source broke')
    }
    await expect(world.during(app.store.putStream('key', source()))).rejects.toThrow(RangeError)
    expect(app.store.has('key')).toBe(false)
    expect(blobFiles(world)).toEqual([])
    expect(app.shards[0]?.blobs.pins.size).toBe(0)
  })

  test('of another length than was said is refused, and the source is ended', async () => {
    const { world, app } = await started()
    for (const size of [whole.length - 1, whole.length + 1, 0]) {
      const source = Readable.from(chunks)
      expect(await world.during(codeOf(app.store.putStream('key', source, { size })))).toBe(
        'INVALID_ARGUMENT',
      )
      expect(source.destroyed).toBe(true)
    }
    expect(blobFiles(world)).toEqual([])
    await world.during(app.store.putStream('key', chunks, { size: whole.length }))
    expect(app.store.has('key')).toBe(true)
  })

  test('joins text that is cut inside a character, and refuses a lone surrogate', async () => {
    const { world, app } = await started()
    await world.during(app.store.putStream('key', ['a\ud83d', '', '\ude00b', 'c']))
    expect(app.store.get('key')).toEqual(Buffer.from('a\u{1f600}bc'))
    const sources = [
      ['\ud83d'],
      ['\ude00'],
      ['\ud83d', 'a'],
      ['a\ud83db'],
      ['\ud83d', Buffer.from('a'), '\ude00'],
      ['\ud83d', '\ud83d', '\ude00'],
    ]
    for (const source of sources)
      expect(await world.during(codeOf(app.store.putStream('key', source)))).toBe(
        'INVALID_ARGUMENT',
      )
    expect(app.store.get('key')).toEqual(Buffer.from('a\u{1f600}bc'))
  })

  test('takes the bytes that are there, whatever length a chunk reports', async () => {
    const { world, app } = await started()
    class Liar extends Uint8Array {
      override get length() {
        return 100
      }
      override subarray() {
        return new Uint8Array(100)
      }
    }
    await world.during(app.store.putStream('key', [new Liar([1, 2]), Uint8Array.of(3)]))
    expect(app.store.get('key')).toEqual(Buffer.of(1, 2, 3))
    const given = Uint8Array.of(1, 2)
    structuredClone(given, { transfer: [given.buffer] })
    expect(await world.during(codeOf(app.store.putStream('key', [given])))).toBe('INVALID_ARGUMENT')
    expect(await world.during(codeOf(app.store.put('key', given)))).toBe('INVALID_ARGUMENT')
  })

  test('refuses what is no stream and what is no bytes', async () => {
    const { world, app } = await started()
    for (const source of [undefined, 7, {}, 'text'])
      expect(await codeOf(app.store.putStream('key', source as never))).toBe('INVALID_ARGUMENT')
    expect(await world.during(codeOf(app.store.putStream('key', [7] as never)))).toBe(
      'INVALID_ARGUMENT',
    )
    expect(await codeOf(app.store.putStream('', []))).toBe('INVALID_ARGUMENT')
    expect(await codeOf(app.store.putStream('k', [], { size: -1 }))).toBe('INVALID_ARGUMENT')
  })

  test('that the state refuses leaves its blob to one sweep after the grace', async () => {
    const { world, app } = await started()
    await world.during(app.store.lock(['key'], { owner: 'me', leaseMs: 600_000 }))
    expect(await world.during(codeOf(app.store.putStream('key', chunks)))).toBe('LOCKED')
    expect(blobFiles(world)).toHaveLength(1)
    await world.clock.advance(61_000)
    await world.during(BlobStore.sweep(app.system.to(BlobStore.name('default', 0))))
    expect(blobFiles(world)).toEqual([])
    await world.during(app.store.putStream('key', chunks, { owner: 'me' }))
    expect(app.store.has('key')).toBe(true)
  })

  test('that the disk refuses is NO_SPACE with nothing left', async () => {
    const { world, app } = await started()
    world.disk.inject({
      at: 2,
      operation: 'write',
      path: '/blobs/',
      fault: { kind: 'error', code: 'ENOSPC' },
    })
    expect(await world.during(codeOf(app.store.putStream('key', chunks)))).toBe('NO_SPACE')
    expect(blobFiles(world)).toEqual([])
    expect(app.store.has('key')).toBe(false)
  })

  test('may expire, as a put may', async () => {
    const { world, app } = await started()
    await world.during(app.store.putStream('key', ['abc'], { ttlMs: 1000 }))
    expect(app.store.ttl('key')).toBeGreaterThan(900)
    await world.clock.advance(1001)
    expect(app.store.get('key')).toBeUndefined()
  })

  test('that its shard refuses ends its source', async () => {
    const { world, app } = await started()
    failNextSync(world.disk, 0)
    await world.during(codeOf(app.store.put('k', 1)))
    const source = new Readable({ read: () => undefined })
    expect(await world.during(codeOf(app.store.putStream('key', source)))).toBe('SHARD_DOWN')
    expect(source.destroyed).toBe(true)
  })

  test('whose source falls silent is NOT_SUBMITTED once the instance is closed', async () => {
    const { world, app } = await started()
    const silent = async function* () {
      yield payload(1, 600_000)
      await new Promise(() => undefined)
    }
    const readable = new Readable({ read: () => undefined })
    readable.push(payload(2, 600_000))
    const puts = [silent(), readable].map((source, at) =>
      codeOf(app.store.putStream(`key${at}`, source)),
    )
    await world.clock.advance(1_000)
    await world.during(app.close())
    expect(await world.during(Promise.all(puts))).toEqual(['NOT_SUBMITTED', 'NOT_SUBMITTED'])
    expect(readable.destroyed).toBe(true)
  })

  test('whose blob store dies is NOT_SUBMITTED, and its file goes with a sweep', async () => {
    const { world, app } = await started()
    const source = async function* () {
      yield payload(1, 600_000)
      await new Promise<void>((resolve) => world.clock.after(20, resolve))
      yield payload(2, 600_000)
    }
    const put = codeOf(app.store.putStream('key', source()))
    await world.clock.advance(10)
    const store = app.system.whereis(BlobStore.name('default', 0))
    if (store) app.system.kill(store)
    expect(await world.during(put)).toBe('NOT_SUBMITTED')
    await world.clock.advance(100)
    await world.during(app.store.put('after', Buffer.from(payload(3, 5000))))
    await world.clock.advance(61_000)
    await world.during(BlobStore.sweep(app.system.to(BlobStore.name('default', 0))))
    expect(blobFiles(world)).toHaveLength(1)
    expect(app.store.get('after')).toEqual(Buffer.from(payload(3, 5000)))
  })
})

describe('getStream', () => {
  test('gives a range, clamped, of inline and of pieced values too', async () => {
    const { world, app } = await started()
    await world.during(app.store.put('small', 'hello world'))
    expect((await collected(app.store.getStream('small', { from: 6, to: 99 }))).toString()).toBe(
      'world',
    )
    await world.during(app.store.put('pieced', Buffer.from(payload(1, 5000))))
    await world.during(app.store.append('pieced', Buffer.from('tail')))
    await world.during(app.store.setRange('pieced', 2000, Buffer.from(payload(2, 1500))))
    const expected = Buffer.concat([payload(1, 5000), Buffer.from('tail')])
    expected.set(payload(2, 1500), 2000)
    expect(await world.during(collected(app.store.getStream('pieced')))).toEqual(expected)
    expect(
      await world.during(collected(app.store.getStream('pieced', { from: 1990, to: 3600 }))),
    ).toEqual(expected.subarray(1990, 3600))
    expect(await world.during(app.store.load('pieced'))).toEqual(expected)
  })

  test('is undefined without a value, and refuses structured ones', async () => {
    const { world, app } = await started()
    expect(app.store.getStream('none')).toBeUndefined()
    expect(await app.store.load('none')).toBeUndefined()
    await world.during(app.store.put('structured', { a: 'x'.repeat(5000) }))
    expect(() => app.store.getStream('structured')).toThrow(
      expect.objectContaining({ code: 'WRONG_TYPE' }),
    )
    expect(await world.during(app.store.load('structured'))).toEqual({ a: 'x'.repeat(5000) })
    expect(() => app.store.getStream('k', { from: -1 })).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    )
  })

  test('shows the value as it was when it was asked for', async () => {
    const { world, app } = await started()
    await world.during(app.store.putStream('key', chunks))
    const stream = app.store.getStream('key')
    await world.during(app.store.put('key', 'other'))
    await world.clock.advance(61_000)
    await world.during(BlobStore.sweep(app.system.to(BlobStore.name('default', 0))))
    expect(sameBytes(await world.during(collected(stream)), whole)).toBe(true)
  })

  test('keeps a value that nothing else refers to until it has ended', async () => {
    const { world, app } = await started(forgetful)
    await world.during(app.store.putStream('key', chunks))
    const stream = app.store.getStream('key')
    await world.during(app.store.delete('key'))

    expect(await forgotten(world, app)).toMatchObject({ segments: 1, freedBytes: 0 })
    expect(sameBytes(await world.during(collected(stream)), whole)).toBe(true)
    await swept(world, app)
    expect(blobFiles(world)).toEqual([])
  })

  test('keeps nothing once it was destroyed, read or not', async () => {
    const { world, app } = await started()
    await world.during(app.store.putStream('key', chunks))
    const stream = app.store.getStream('key')
    expect(app.shards[0]?.blobs.pins.size).toBe(1)
    stream?.destroy()
    await world.clock.advance(10)
    expect(app.shards[0]?.blobs.pins.size).toBe(0)
  })

  test('ends with CORRUPT where the value is damaged, at the latest at its end', async () => {
    const { world, app } = await started()
    await world.during(app.store.putStream('key', chunks))
    const file = `${dir}/${blobFiles(world)[0]}`
    world.disk.flipBit(file, (48 + 700_000) * 8)
    const got: number[] = []
    const read = async () => {
      for await (const piece of app.store.getStream('key') as Readable) got.push(piece.length)
    }
    expect(await world.during(codeOf(read()))).toBe('CORRUPT')
    expect(got.reduce((sum, length) => sum + length, 0)).toBeLessThan(700_000)
    expect(await world.during(codeOf(app.store.load('key')))).toBe('CORRUPT')
  })

  test('that nobody reads to its end closes what it had open', async () => {
    const { world, app } = await started()
    await world.during(app.store.putStream('key', chunks))
    const stream = app.store.getStream('key') as Readable
    const read = async () => {
      for await (const _ of stream) break
    }
    await world.during(read())
    await world.clock.advance(10)
    expect(app.shards[0]?.blobs.pins.size).toBe(0)
    const closes = world.disk.counts.close
    const opens = world.disk.counts.open + world.disk.counts.create
    await world.during(app.close())
    expect(opens - closes).toBeGreaterThanOrEqual(0)
  })
})

describe('a value of more than 1 MiB in a range', () => {
  const filled = async () => {
    const { world, app } = await started()
    for (const key of ['a', 'c']) await world.during(app.store.put(key, key))
    await world.during(app.store.putStream('b', Readable.from(chunks)))
    return { world, store: app.store }
  }

  test('is an entry that names its length and loads it; the walk goes on', async () => {
    const { world, store } = await filled()
    const { entries } = store.range()
    expect(entries.map(([key]) => key)).toEqual(['a', 'b', 'c'])
    const large = entries[1]?.[1] as LargeValue
    expect(large.length).toBe(whole.length)
    expect(sameBytes((await world.during(large.load())) as Buffer, whole)).toBe(true)
    expect(store.range({ values: false }).entries[1]).toEqual(['b', undefined])
  })

  test('comes whole with load, between its neighbours', async () => {
    const { world, store } = await filled()
    const walk = async (options: EntriesOptions) => {
      const found: StoreEntry[] = []
      for await (const entry of store.entries(options)) found.push(entry)
      return found
    }
    const [first, second, third] = await world.during(walk({ load: true, limit: 1 }))
    expect([first, third]).toEqual([
      ['a', 'a'],
      ['c', 'c'],
    ])
    expect(sameBytes(second?.[1] as Buffer, whole)).toBe(true)
    await expect(world.during(walk({ load: 1 as never }))).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    })
  })

  test('that is damaged is CORRUPT with its key, and the range before it was whole', async () => {
    const { world, store } = await filled()
    const large = store.range().entries[1]?.[1] as LargeValue
    const [file = ''] = blobFiles(world)
    world.disk.flipBit(`${dir}/${file}`, 8 * 300_000)
    await expect(world.during(large.load())).rejects.toMatchObject({
      code: 'CORRUPT',
      details: { key: 'b' },
    })
  })

  test('is what its key has when it is loaded: the present value, or none', async () => {
    const { world, app } = await started(forgetful)
    const { store } = app
    const corrupt = heard(app, 'blobs.corrupt')
    const watch = store.watch()
    for (const key of ['b', 'c']) await world.during(store.putStream(key, Readable.from(chunks)))
    await world.during(store.put('a', 1))
    const { value: change } = await world.during(watch.next())
    await watch.return()
    const [, b, c] = store.range().entries.map(([, value]) => value as LargeValue)
    const walk = store.entries({ load: true })
    expect(await world.during(walk.next())).toMatchObject({ value: ['a', 1] })

    const present = payload(9, 2_000_000)
    await world.during(store.putStream('b', [present]))
    await world.during(store.delete('c'))
    await forgotten(world, app)

    const watched = change?.kind === 'put' ? (change.value as LargeValue) : undefined
    for (const each of [b, watched])
      expect(sameBytes(await world.during(each?.load() as Promise<Buffer>), present)).toBe(true)
    expect(await world.during(c?.load() as Promise<unknown>)).toBeUndefined()
    const { value: next } = await world.during(walk.next())
    expect([next?.[0], sameBytes(next?.[1] as Buffer, present)]).toEqual(['b', true])
    expect(await world.during(walk.next())).toMatchObject({ done: true })
    expect(corrupt).toEqual([])
  })

  test('whose key has got fields before it is loaded is a compound of a walk, which goes on', async () => {
    const { world, store } = await filled()
    const walk = store.entries({ load: true })
    expect(await world.during(walk.next())).toMatchObject({ value: ['a', 'a'] })
    await world.during(store.delete('b'))
    await world.during(store.putFields('b', [['name', 'Ada']]))

    const next = await world.during(walk.next())
    expect(next).toMatchObject({ value: ['b', { size: 1 }] })
    expect(await world.during(walk.next())).toMatchObject({ value: ['c', 'c'] })
    expect(await world.during(walk.next())).toMatchObject({ done: true })
  })

  test('in a watch is the same entry, and the watch goes on', async () => {
    const { world, store } = await filled()
    const watch = store.watch()
    await world.during(store.putStream('b', Readable.from(chunks)))
    await world.during(store.put('a', 1))
    const { value: first } = await world.during(watch.next())
    const { value: second } = await world.during(watch.next())
    await watch.return()
    expect(first).toMatchObject({ kind: 'put', key: 'b', value: { length: whole.length } })
    expect(second).toMatchObject({ kind: 'put', key: 'a', value: 1 })
  })
})
