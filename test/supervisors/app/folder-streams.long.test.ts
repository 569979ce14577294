/** Streams of large values go to the owner of their shard, from every member of a folder. */
import { randomBytes } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import { beforeEach, describe, expect, test } from 'vitest'
import type { KeelsonError } from '../../../src/errors.ts'
import { shardOf } from '../../../src/storage/values/key.ts'
import type { App } from '../../../src/supervisors/index.ts'
import { FolderMembers } from '../../support/worlds/folder-members.ts'

const names = ['a', 'b']
/** More than a link has room for. */
const large = randomBytes(9_000_000)
const some = large.subarray(0, 1_500_000)
let world: FolderMembers
let [a, b]: [App, App] = [] as never

const during = <T>(work: Promise<T>): Promise<T> => world.during(work)

/** A key of a shard that this member has. */
const keyAt = (app: App, number = 0): string => {
  const { index } = app.shards.find(({ phase }) => phase.kind === 'open') as { index: number }
  for (let at = 0; ; at++) if (shardOf(`k${number}-${at}`, 4) === index) return `k${number}-${at}`
}

/** The code of a failure. */
const codeOf = (work: Promise<unknown>): Promise<string> =>
  during(
    work.then(
      () => 'ok',
      (error: KeelsonError) => error.code,
    ),
  )

/** Chunks that come until `end` resolves, then the rest. */
async function* held(end: Promise<void>): AsyncGenerator<Uint8Array> {
  yield some.subarray(0, 700_000)
  await end
  yield some.subarray(700_000)
}

const streamOf = async (app: App, key: string, options?: { from: number; to: number }) => {
  const stream = await during(app.store.read('getStream', key, options))
  if (!stream) throw new Error('no value')
  return stream
}

/** How many writes and readers hold blobs at a member. */
const pinnedAt = (app: App): number =>
  app.shards.reduce((sum, { blobs }) => sum + blobs.pins.size, 0)

beforeEach(async () => {
  world = new FolderMembers(names)
  const given = () => ({ allowDown: true, blobs: { threshold: 4_096 } })
  ;[a, b] = (await world.start(names, given)) as [App, App]
})

describe('a stream to and from another member', () => {
  test('is put, and read, whole and in part', async () => {
    const key = keyAt(b)
    const put = await during(a.store.putStream(key, [large], { size: large.length }))
    const local = await during(b.store.putStream(keyAt(b, 1), [large]))
    expect(put).toMatchObject({ length: large.length, sha256: local.sha256 })
    expect(put.position.shard).toBe(local.position.shard)

    expect((await during(buffer(await streamOf(a, key)))).equals(large)).toBe(true)
    const part = await streamOf(a, key, { from: 3, to: 900_003 })
    expect((await during(buffer(part))).equals(large.subarray(3, 900_003))).toBe(true)
    expect((await during(buffer(await streamOf(b, key)))).equals(large)).toBe(true)
    expect(await during(a.store.read('getStream', keyAt(b, 2)))).toBe(undefined)
  })

  test('is refused as at the owner', async () => {
    const key = keyAt(b)
    await during(a.store.put(key, { one: 1 }))
    expect(await codeOf(a.store.read('getStream', key))).toBe('WRONG_TYPE')
    expect(await codeOf(a.store.putStream(key, [some], { size: 9 }))).toBe('INVALID_ARGUMENT')
    expect(await codeOf(a.store.putStream(key, ['x'], { size: 9 }))).toBe('INVALID_ARGUMENT')
    expect(await codeOf(a.store.putStream(key, [7 as never]))).toBe('INVALID_ARGUMENT')
    await during(b.store.lock([key], { owner: 'ada', leaseMs: 60_000 }))
    expect(await codeOf(a.store.putStream(key, ['x']))).toBe('LOCKED')
    expect(b.store.get(key)).toEqual({ one: 1 })
  })

  test('shows the value that was there when it began', async () => {
    const key = keyAt(b)
    await during(a.store.putStream(key, [some]))
    const stream = await streamOf(a, key)
    const first = await during(stream[Symbol.asyncIterator]().next())
    await during(a.store.put(key, 7))
    expect(large.subarray(0, first.value.length).equals(first.value)).toBe(true)
    expect(pinnedAt(b)).toBe(1)
    stream.destroy()
    await world.clock.advance(100)
    expect(pinnedAt(b)).toBe(0)
  })
})

describe('when the link is cut', () => {
  test('a put is NOT_SUBMITTED, and leaves nothing', async () => {
    const key = keyAt(b)
    const put = codeOf(a.store.putStream(key, held(new Promise(() => undefined))))
    await world.clock.advance(500)
    world.links.part('a', 'b')
    expect(await put).toBe('NOT_SUBMITTED')
    world.links.heal()
    await world.clock.advance(2_000)
    expect(b.store.get(key)).toBe(undefined)
    expect(pinnedAt(b)).toBe(0)
    expect(await codeOf(a.store.putStream(key, ['x']))).toBe('ok')
  })

  test('a read is SHARD_DOWN, and its owner keeps nothing for it', async () => {
    const key = keyAt(b)
    await during(a.store.putStream(key, [some]))
    const chunks = (await streamOf(a, key))[Symbol.asyncIterator]()
    await during(chunks.next())
    expect(pinnedAt(b)).toBe(1)
    world.links.part('a', 'b')
    await world.clock.advance(500)
    expect(pinnedAt(b)).toBe(0)
    world.links.heal()
    await world.clock.advance(2_000)
    const rest = (async () => {
      while (!(await chunks.next()).done);
    })()
    expect(await codeOf(rest)).toBe('SHARD_DOWN')
  })
})

test('a put whose beginning is answered too late is NOT_SUBMITTED, and its owner keeps nothing for it', async () => {
  world.links.pause('a')
  const put = codeOf(a.store.putStream(keyAt(b), [some]))
  await world.clock.advance(1_000)
  expect(pinnedAt(b)).toBe(1)
  expect(await put).toBe('NOT_SUBMITTED')
  world.links.resume('a')
  await world.clock.advance(1_000)
  expect(pinnedAt(b)).toBe(0)
})

describe('when the owner ends', () => {
  test('streams that wait for the next one are whole where it is the member that asks', async () => {
    const [key, other] = [keyAt(b), keyAt(b, 1)]
    await during(a.store.putStream(key, [some]))
    const killed = world.kill('b')
    const read = a.store.read('getStream', key)
    const put = a.store.putStream(other, [some])
    await killed

    const stream = await during(read)
    expect(stream && (await during(buffer(stream))).equals(some)).toBe(true)
    expect(await during(put)).toMatchObject({ length: some.length })
    await world.clock.advance(100)
    expect(pinnedAt(a)).toBe(0)
  })

  test.each(['kill', 'stop'] as const)('by %s, a put is NOT_SUBMITTED', async (how) => {
    const key = keyAt(b)
    let end = (): void => undefined
    const put = codeOf(a.store.putStream(key, held(new Promise((resolve) => (end = resolve)))))
    await world.clock.advance(500)
    await world[how]('b')
    end()
    expect(await put).toBe('NOT_SUBMITTED')
    await world.clock.advance(2_000)
    expect(a.store.get(key)).toBe(undefined)
  })

  test.each(['kill', 'stop'] as const)('by %s, a read is SHARD_DOWN', async (how) => {
    const key = keyAt(b)
    await during(a.store.putStream(key, [some]))
    const stream = await streamOf(a, key)
    const chunks = stream[Symbol.asyncIterator]()
    await during(chunks.next())
    await world[how]('b')
    const rest = (async () => {
      while (!(await chunks.next()).done);
    })()
    expect(await codeOf(rest)).toBe('SHARD_DOWN')
    await world.clock.advance(2_000)
    expect((await during(buffer(await streamOf(a, key)))).equals(some)).toBe(true)
  })
})
