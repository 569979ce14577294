/** What another member asks of the streams of a shard: right questions are answered, wrong ones refused. */
import { expect, test } from 'vitest'
import type { Answerer, ShardClient } from '../../../src/actors/core/shard-client.ts'
import { InstanceStreams } from '../../../src/actors/streams/instance-streams.ts'
import type { App } from '../../../src/index.ts'
import { codeOf, started } from '../../support/worlds/simulated-instance.ts'

/** Asks the streams of an instance as another member does. */
const questionsTo = (app: App) => {
  const answerers = new Map<string, Answerer>()
  const streams = new InstanceStreams(app.system, app.entities.shards)
  const way: Pick<ShardClient, 'answer'> = {
    answer: (question, answerer) => void answerers.set(question, answerer),
  }
  streams.answer(way as ShardClient)
  return async (question: string, ...payload: unknown[]): Promise<unknown> =>
    answerers.get(question)?.(payload)
}

const asked = async () => {
  const { clock, during, app } = await started()
  const ask = questionsTo(app)
  const stream = app.streams.open<string>('a')
  const first = await during(stream.append('1'))
  await during(stream.append('2'))
  return { app, ask, clock, during, first, stream }
}

const owner = '$stream/a'
const place = { number: 'start' }
const terms = { owner, place, bytesMax: 1, waits: false }

test('a reading gives the messages from its place on, as many bytes as it says', async () => {
  const { ask, during, first } = await asked()
  const read = (more: object) => during(ask('streams.read', 0, { ...terms, ...more }))
  const one = await read({})

  expect(one).toMatchObject({ messages: ['"1"'], first: 0, isAtEnd: false })
  const { next } = one as { next: object }
  expect(await read({ place: next })).toMatchObject({ messages: ['"2"'], first: 1, isAtEnd: true })
  expect(await read({ bytesMax: 1024 * 1024 })).toMatchObject({ messages: ['"1"', '"2"'] })
  const birth = first.slice(0, 16)
  expect(await read({ place: { birth, number: 1 } })).toMatchObject({ messages: ['"2"'] })
  expect(await read({ place: { birth, number: 2 } })).toMatchObject({ messages: [], isAtEnd: true })
  expect(await read({ place: { number: 'now' } })).toMatchObject({ messages: [], first: 2 })
})

test('a reading that finds nothing is answered with its place after 10 s, and not before', async () => {
  const { ask, clock } = await asked()
  const answers: unknown[] = []
  const waiting = ask('streams.read', 0, { ...terms, place: { number: 'now' }, waits: true })
  void waiting.then((answer) => answers.push(answer))
  await clock.advance(9_900)
  expect(answers).toEqual([])
  await clock.advance(200)

  expect(answers).toMatchObject([{ messages: [], next: { number: 2 }, isClosed: false }])
})

test('a reading that waits is answered as soon as there is a message', async () => {
  const { ask, clock, during, stream } = await asked()
  const waiting = ask('streams.read', 0, { ...terms, place: { number: 'now' }, waits: true })
  await during(stream.append('3'))
  const begin = clock.monotonic()

  expect(await during(waiting)).toMatchObject({ messages: ['"3"'] })
  expect(clock.monotonic() - begin).toBeLessThan(100)
})

test.each<[string, object]>([
  ['an owner that no stream has', { owner: 'a' }],
  ['an owner that is no text', { owner: ['$stream/a'] }],
  ['no place', { place: undefined }],
  ['a place that is none', { place: { number: 'end' } }],
  ['a part of a message', { place: { number: 0.5 } }],
  ['a part of a chunk', { place: { number: 0, chunk: 0.5 } }],
  ['a part of a byte', { place: { number: 0, chunk: 0, at: 0.5 } }],
  ['an unknown field of a place', { place: { number: 0, offset: 0 } }],
  ['no bytes', { bytesMax: 0 }],
  ['more than 1 MiB', { bytesMax: 1024 * 1024 + 1 }],
  ['a wait that is neither', { waits: 1 }],
  ['an unknown field', { live: true }],
])('a reading with %s is INVALID_ARGUMENT', async (_, wrong) => {
  const { ask, during } = await asked()

  expect(await during(codeOf(ask('streams.read', 0, { ...terms, ...wrong })))).toBe(
    'INVALID_ARGUMENT',
  )
})

test.each(['streams.read', 'streams.head'])('%s of no shard is INVALID_ARGUMENT', async (name) => {
  const { ask, during } = await asked()
  const given = name === 'streams.read' ? terms : owner

  expect(await during(codeOf(ask(name, 1, given)))).toBe('INVALID_ARGUMENT')
  expect(await during(codeOf(ask(name, 0, given)))).toBe('ok')
})

test('a head is that of its stream, and null without one', async () => {
  const { ask, during } = await asked()

  expect(await during(ask('streams.head', 0, owner))).toMatchObject({ next: 2, isClosed: false })
  expect(await during(ask('streams.head', 0, '$stream/b'))).toBe(null)
  expect(await during(codeOf(ask('streams.head', 0, 'a')))).toBe('INVALID_ARGUMENT')
})

test('a list has the names after one, as many as it says', async () => {
  const { app, ask, during } = await asked()
  for (const name of ['a1', 'a2', 'b']) await during(app.streams.open(name).append(1))
  const named = async (...given: unknown[]) => {
    const { found } = (await during(ask('streams.list', [0], ...given))) as { found: [string][] }
    return found.map(([name]) => name)
  }

  expect(await named('', '', 1_000)).toEqual(['a', 'a1', 'a2', 'b'])
  expect(await named('a', '', 2)).toEqual(['a', 'a1'])
  expect(await named('a', 'a', 1_000)).toEqual(['a1', 'a2'])
})

test.each<[string, ...unknown[]]>([
  ['a prefix that is no text', 7, '', 1],
  ['a name that is no text', '', 7, 1],
  ['no streams at all', '', '', 0],
  ['more than 1,000 streams', '', '', 1_001],
])('a list of %s is INVALID_ARGUMENT', async (_, ...given) => {
  const { ask, during } = await asked()

  expect(await during(codeOf(ask('streams.list', [0], ...given)))).toBe('INVALID_ARGUMENT')
})

test('a shard that has closed answers no question: CLOSED', async () => {
  const { app, ask, during } = await asked()
  await during(app.close())

  expect(await during(codeOf(ask('streams.read', 0, terms)))).toBe('CLOSED')
  expect(await during(codeOf(ask('streams.head', 0, owner)))).toBe('CLOSED')
  expect(await during(codeOf(ask('streams.list', [0], '', '', 1)))).toBe('CLOSED')
})
