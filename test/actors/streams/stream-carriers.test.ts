/**
 * Each way of the rows of a stream to another folder, file or member. A class of rows that one of them
 * forgot would be lost data.
 */
import { expect, test } from 'vitest'
import type { App, StreamHandle } from '../../../src/index.ts'
import { rowClassOf } from '../../../src/storage/index.ts'
import { isRowBeside } from '../../../src/storage/values/entity-key.ts'
import {
  streamChunkKey,
  streamHeadKey,
  streamProducerKey,
} from '../../../src/storage/values/stream-key.ts'
import { rowMoves } from '../../../src/tools/restore/row-moves.ts'
import { MemoryReplica } from '../../support/worlds/memory-replica.ts'
import { restore, restoreReplica } from '../../support/worlds/restored.ts'
import { type Machine, machine, started } from '../../support/worlds/simulated-instance.ts'
import { readyToSplit, splitInto } from '../../support/worlds/split-instance.ts'

const names = ['a', 'b', 'c', 'run/7/out', 'счёт']

const texts = Array.from({ length: 40 }, (_, at) => `${at} ${'x'.repeat(at * 20)}`)

type Offsets = ReadonlyMap<string, string>

/** Streams with chunks, a producer, a floor and an end; answers an offset of each. */
const written = async (app: App, { during }: Machine): Promise<Offsets> => {
  const offsets = new Map<string, string>()
  for (const name of names) {
    const stream = app.streams.open<string>(name)
    await during(stream.append('first', { id: 'p', epoch: 3, seq: 0 }))
    for (const text of texts.slice(0, 20)) await during(stream.append(text))
    const middle = await during(stream.append('middle'))
    await during(stream.appendMany(texts.slice(20)))
    await during(stream.trim(middle))
    offsets.set(name, middle)
  }
  await during(app.streams.open<string>('a').close('last'))
  const gone = app.streams.open<string>('gone')
  await during(gone.append('gone'))
  await during(gone.delete())
  return offsets
}

const all = async (stream: StreamHandle<string>, from: string): Promise<string[]> => {
  const found: string[] = []
  for await (const { value } of stream.read({ from, live: false })) found.push(value)
  return found
}

/** Expects what `written` wrote, and that it goes on. */
const checked = async (app: App, { during }: Pick<Machine, 'during'>, offsets: Offsets) => {
  expect((await during(app.streams.list())).map(({ name }) => name)).toEqual(names)
  for (const name of names) {
    const stream = app.streams.open<string>(name)
    const last = name === 'a' ? ['last'] : []
    const from = offsets.get(name) as string
    expect(await during(all(stream, from))).toEqual([...texts.slice(20), ...last])
    const head = await during(stream.head())
    expect(head).toMatchObject({ isClosed: name === 'a', start: from })
    // The producer is known: its request is there already.
    const again = await during(stream.append('again', { id: 'p', epoch: 3, seq: 0 }))
    expect(again < from).toBe(true)
    if (name === 'a') continue
    await during(stream.append('next', { id: 'p', epoch: 3, seq: 1 }))
    expect((await during(all(stream, from))).at(-1)).toBe('next')
  }
}

test('a kept projection, a lost one, and a snapshot with the log after it have every stream', async () => {
  for (const how of ['kept', 'lost', 'snapshot'] as const) {
    const world = machine()
    const app = await world.start()
    const offsets = await written(app, world)
    if (how === 'snapshot') await world.during(app.control.snapshot(0))
    await world.during(app.close())
    if (how !== 'kept') world.projections.remove('/data/shard-0/lmdb')
    await checked(await world.start(), world, offsets)
  }
})

test('a backup and its restore have every stream', { tags: ['ST13'] }, async () => {
  const world = machine()
  const app = await world.start({ shards: 2 })
  const offsets = await written(app, world)
  await world.during(app.backup('/backup'), 60_000)
  await world.during(app.close())
  restore(world, '/backup', '/restored')
  await checked(await world.start({ dir: '/restored', acts: true }), world, offsets)
})

test.each([
  [1, 3],
  [2, 8],
])(
  '%i shards become %i, and every stream is where its name says',
  { tags: ['ST13'] },
  async (before, after) => {
    const { world, app } = await started({ shards: before })
    const offsets = await written(app, world)
    const from = await readyToSplit(world, app)
    splitInto(world.disk, world, from, '/split', after)
    await checked(await world.start({ dir: '/split' }), world, offsets)
  },
)

test('a folder that is restored from a replica has every stream', {
  tags: ['slow', 'ST13'],
}, async () => {
  const world = machine()
  const app = await world.start()
  const offsets = await written(app, world)
  await world.during(app.control.snapshot(0))
  await world.during(app.close())
  const replica = new MemoryReplica(world.clock)
  const again = await world.start({ replication: [{ client: replica }] })
  await world.during(again.streams.open('late').append('late'))
  await world.during(again.streams.open('late').delete())
  await world.clock.advance(10_000)
  await world.during(again.close())
  await restoreReplica(world, replica, '/copy')
  await checked(await world.start({ dir: '/copy', acts: true }), world, offsets)
})

// The tables that name classes of rows, each with what it says of the three.
test('every table of classes of rows knows the three of streams', () => {
  const owner = '$stream/a'
  const keys = {
    streamHead: streamHeadKey(owner),
    streamChunk: streamChunkKey(owner, '0123456789abcdef', 7),
    streamProducer: streamProducerKey(owner, '0123456789abcdef', 'p'),
  }
  for (const [name, key] of Object.entries(keys)) {
    expect(rowClassOf(key)).toBe(name)
    expect(rowMoves[name as keyof typeof keys]).toBe('actor')
    // No turn of an actor sets a row of a stream.
    expect(isRowBeside(owner, key)).toBe(false)
  }
})
