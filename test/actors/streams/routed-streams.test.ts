/** Streams of shards that other members have: appended to and read from every member. */
import { expect, test } from 'vitest'
import type { App, StreamReader } from '../../../src/index.ts'
import { FolderMembers } from '../../support/worlds/folder-members.ts'
import { codeOf } from '../../support/worlds/simulated-instance.ts'

const names = Array.from({ length: 12 }, (_, at) => `s${at}`)

const following = <T>(reader: StreamReader<T>) => {
  const state = { seen: [] as T[], ended: undefined as unknown }
  const go = async (): Promise<void> => {
    for await (const { value } of reader) state.seen.push(value)
  }
  go().then(
    () => (state.ended = 'done'),
    (error) => (state.ended = error.code),
  )
  return state
}

const members = async () => {
  const world = new FolderMembers(['one', 'two'])
  const [one, two] = (await world.start()) as [App, App]
  return { world, one, two }
}

test('every member appends to every stream and reads it, in one order', {
  tags: ['ST2', 'ST12'],
}, async () => {
  const { world, one, two } = await members()
  for (const name of names) {
    const [here, there] = [one.streams.open<number>(name), two.streams.open<number>(name)]
    const readers = [here, there].map((stream) => following(stream.read()))
    const first = await world.during(here.append(1))
    await world.during(there.append(2))
    await world.during(there.append(2, { id: 'p', epoch: 0, seq: 0 }))
    await world.during(here.append(2, { id: 'p', epoch: 0, seq: 0 }))
    const heads = await world.during(Promise.all([here.head(), there.head()]))
    expect(heads[0]).toEqual(heads[1])
    expect(heads[0]).toMatchObject({ messages: 3 })
    await world.during(here.close(3))
    expect(await world.during(codeOf(there.append(4)))).toBe('CONFLICT')
    await world.clock.advance(1_000)
    for (const reader of readers) expect(reader).toEqual({ seen: [1, 2, 2, 3], ended: 'done' })
    await world.during(there.trim(first))
    expect(await world.during(codeOf(here.read({ from: first, live: false }).next()))).toBe('ok')
    const start = '0'.repeat(14)
    const below = `${first.slice(0, 17)}${start}`
    expect(await world.during(codeOf(there.read({ from: below, live: false }).next()))).toBe(
      'BAD_CURSOR',
    )
  }
  const listed = await world.during(two.streams.list())
  expect(listed.map(({ name }) => name)).toEqual([...names].sort())
  for (const name of names) expect(await world.during(one.streams.open(name).delete())).toBe(true)
  expect(await world.during(one.streams.list())).toEqual([])
})

test('a reader elsewhere waits for hours without a message, and gets the next one', async () => {
  const { world, one, two } = await members()
  await world.during(Promise.all(names.map((name) => one.streams.open(name).append(0))))
  const readers = names.map((name) =>
    following(one.streams.open<number>(name).read({ from: 'now' })),
  )
  await world.clock.advance(60_000)
  await world.during(Promise.all(names.map((name) => two.streams.open(name).append(1))))
  await world.clock.advance(1_000)
  for (const reader of readers) expect(reader).toEqual({ seen: [1], ended: undefined })
})

test('a shard moves, and its readers and writers go on: no message twice or missing', {
  tags: ['ST6', 'ST12'],
}, async () => {
  const { world, one, two } = await members()
  const readers = names.map((name) => following(one.streams.open<number>(name).read()))
  await world.during(Promise.all(names.map((name) => one.streams.open(name).append(1))))
  await world.clock.advance(1_000)
  const stopped = world.stop('two')
  await world.during(stopped)
  await world.clock.advance(10_000)
  await world.during(Promise.all(names.map((name) => one.streams.open(name).append(2))))
  await world.clock.advance(15_000)
  expect(two).toBeDefined()
  for (const reader of readers) expect(reader).toEqual({ seen: [1, 2], ended: undefined })
})
