/** What an instance answers to the programs that watch it. */
import { expect, test } from 'vitest'
import { StreamCount } from '../../../src/actors/index.ts'
import {
  type AppContext,
  call,
  type DurableServer,
  entity,
  type GenServer,
  ok,
  reply,
  supervisor,
  worker,
} from '../../../src/index.ts'
import { operations } from '../../../src/inspect/operations/operations.ts'
import {
  type Row,
  type RowRange,
  rowTags,
  streamHeadKey,
  streamOwner,
} from '../../../src/storage/index.ts'
import { asked } from '../../support/worlds/operations-client.ts'
import {
  codeOf,
  failNextSync,
  simulated,
  started,
} from '../../support/worlds/simulated-instance.ts'

const json = async (...request: Parameters<typeof asked>): Promise<unknown> => {
  const answer = await asked(...request)
  return { status: answer?.status, ...JSON.parse(answer?.body ?? '') }
}

test('a request for another path is left to others, and one that would change something is refused', async () => {
  const { app } = await simulated()
  const handler = operations(app)
  expect(await asked(handler, '/')).toBeUndefined()
  expect(await asked(handler, '/metrics/x')).toBeUndefined()
  expect(await asked(handler, '/health', { method: 'POST' })).toMatchObject({
    status: 405,
    headers: { allow: 'GET, HEAD' },
  })
  expect(await asked(handler, '/health?probe=1', { method: 'HEAD' })).toMatchObject({
    status: 200,
    body: undefined,
  })
})

test('a request target with a scheme and a host, as proxies send it, has the same answer', async () => {
  const { app } = await simulated()
  const handler = operations(app)
  expect(await asked(handler, 'http://keelson:9100/health?probe=1')).toMatchObject({ status: 200 })
  expect(await asked(handler, 'http://keelson:9100')).toBeUndefined()
})

test.each([undefined, null, {}])('%s is no instance', (app) => {
  expect(() => operations(app as never)).toThrow(
    expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
  )
})

test('an unknown option is refused with the one that is meant', async () => {
  const { app } = await simulated()
  expect(() => operations(app, { metric: true } as never)).toThrow(/metrics/)
})

test('/health is 200 until the root of the instance has ended', async () => {
  const simulation = await simulated()
  const handler = operations(simulation.app)
  expect(await json(handler, '/health')).toEqual({ status: 200, state: 'running' })
  await simulation.close()
  expect(await json(handler, '/health')).toEqual({ status: 503, state: 'ended' })
})

test('/ready is 503 until the tree has started, and from the begin of the close on', async () => {
  let inside: unknown
  const probe: GenServer<object, null, undefined, AppContext> = {
    init: async (_, { app }) => {
      inside = await json(operations(app), '/ready')
      return null
    },
  }
  const simulation = await simulated({ app: supervisor('app', {}, [worker('probe', probe)]) })
  expect(inside).toEqual({ status: 503, state: 'starting', down: [], phases: ['open'] })
  const handler = operations(simulation.app)
  expect(await json(handler, '/ready')).toMatchObject({ status: 200, state: 'ready' })
  const closed = simulation.close()
  expect(await json(handler, '/ready')).toMatchObject({ status: 503, state: 'closing' })
  await closed
})

test('/ready stays 200 while one shard of two is down, and is 503 when both are', async () => {
  const { app, disk, during } = await started({ shards: 2 })
  const handler = operations(app)
  const keys = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']
  const lose = async (shard: number): Promise<void> => {
    failNextSync(disk, shard)
    await during(Promise.all(keys.map((key) => codeOf(app.store.put(key, 1)))))
  }
  await lose(1)
  expect(await json(handler, '/ready')).toEqual({
    ...{ status: 200, state: 'ready' },
    ...{ down: [1], phases: ['open', 'down'] },
  })
  await lose(0)
  expect(await json(handler, '/ready')).toEqual({
    ...{ status: 503, state: 'down' },
    ...{ down: [0, 1], phases: ['down', 'down'] },
  })
})

test('an answer that comes after the host has given one ends nothing, and is logged', async () => {
  const s = await simulated()
  const handler = operations(s.app)
  const response = {
    writeHead: () => {
      throw new Error('headers are sent')
    },
    end: () => undefined,
  }
  expect(handler({ method: 'GET', url: '/metrics', headers: {} }, response as never)).toBe(true)
  await s.advance(1_000)
  expect(s.log.messages('error')).toEqual(['/metrics: Error: headers are sent'])
})

test('a handler that is made again listens to nothing twice', async () => {
  const s = await simulated()
  const heard = () => {
    operations(s.app, { metrics: true })
    return s.system.events.listenerCount('wal.commit' as never)
  }
  const first = heard()
  expect(first).toBeGreaterThan(0)
  expect([heard(), heard()]).toEqual([first, first])
})

test('a scrape counts the streams, the messages of turns, and how late a reader has a message', async () => {
  const server: DurableServer<{ calls: { say: (texts: readonly string[]) => void } }, number> = {
    init: () => ok(0),
    calls: {
      say: (count, texts, context) => {
        for (const text of texts) context.stream('events').append(text)
        return reply(undefined, count + 1)
      },
    },
  }
  const chat = entity('chat', server)
  const { app, clock, during } = await started({ app: supervisor('app', {}, [chat]) })
  const handler = operations(app)
  const scrape = async () => {
    const { body = '' } = (await during(asked(handler, '/metrics'))) ?? {}
    return (series: string) => body.split('\n').find((line) => line.startsWith(series))
  }
  const before = await scrape()
  expect([before('keelson_streams'), before('keelson_stream_tail_seconds_count')]).toEqual([
    undefined,
    undefined,
  ])

  const reader = app.entity(chat).stream('lobby', 'events').read()
  void reader.next()
  await clock.advance(10)
  await during(call(app.entity(chat).ref('lobby'), 'say', ['one', 'two']))
  for (const name of ['a', 'b']) await during(app.streams.open(name).append(1))
  await during(app.streams.open('b').delete())
  const after = await scrape()
  expect(after('keelson_streams{shard="0",of="itself"}')).toMatch(/ 1$/)
  expect(after('keelson_streams{shard="0",of="actor"}')).toMatch(/ 1$/)
  expect(after('keelson_stream_messages_total{shard="0"}')).toMatch(/ 4$/)
  expect(after('keelson_stream_bytes_total{shard="0"}')).toMatch(/ 12$/)
  expect(after('keelson_stream_tail_seconds_count{shard="0"}')).toMatch(/ 1$/)
  await reader.return()
})

test('a shard with many streams is counted a thousand at a time', () => {
  const keys = Array.from({ length: 2_500 }, (_, at) => streamHeadKey(streamOwner(`s${at}`))).sort()
  const row: Row = { value: { tag: rowTags.streamHead, bytes: new Uint8Array(0) }, expiresAt: 0 }
  const rows = ({ gt = '' }: RowRange) => keys.filter((key) => key > gt).map((key) => [key, row])
  const view = { rows } as never
  const count = new StreamCount()
  const step = () => count.next(view, 1)
  expect([step(), step(), step()].map(({ alone }) => alone)).toEqual([1_000, 2_000, 2_500])
  keys.splice(0, 2_000)
  expect([step(), step()].map(({ alone }) => alone)).toEqual([500, 500])
  keys.splice(0)
  expect(step()).toEqual({ alone: 0, actors: 0 })
})

test('a scrape counts the messages of streams, what was refused, and who waits', async () => {
  const { app, clock, during } = await started()
  const handler = operations(app)
  await during(asked(handler, '/metrics'))
  const stream = app.streams.open('a')
  await during(stream.appendMany(['one', 'two']))
  await during(codeOf(stream.append('x', { id: 'p', epoch: 0, seq: 7 })))
  const waiting = stream.read({ from: 'now' })
  void waiting.next()
  await clock.advance(10)

  const { body = '' } = (await during(asked(handler, '/metrics'))) ?? {}
  const valueOfSeries = (series: string) => body.split('\n').find((line) => line.startsWith(series))
  expect(valueOfSeries('keelson_stream_messages_total{shard="0"}')).toMatch(/ 2$/)
  expect(valueOfSeries('keelson_stream_bytes_total{shard="0"}')).toMatch(/ 10$/)
  expect(valueOfSeries('keelson_stream_refused_total{reason="gap"}')).toMatch(/ 1$/)
  expect(valueOfSeries('keelson_stream_readers{via="process"}')).toMatch(/ 1$/)
  expect(valueOfSeries('keelson_stream_append_seconds_count{shard="0"}')).toMatch(/ 2$/)
  await waiting.return()
})
