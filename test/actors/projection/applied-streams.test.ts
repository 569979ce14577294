/** Events of single streams, and the streams that health names because they are at their bound. */
import { describe, expect, test } from 'vitest'
import { FullStreams, type StorageEvents } from '../../../src/actors/index.ts'
import {
  type App,
  call,
  type DurableServer,
  entity,
  ok,
  reply,
  supervisor,
} from '../../../src/index.ts'
import { eachTrouble } from '../../../src/inspect/answers/troubles.ts'
import { telemetry } from '../../../src/runtime/index.ts'
import { streamOwner } from '../../../src/storage/index.ts'
import { newHead } from '../../../src/storage/values/stream-row.ts'
import { codeOf, started } from '../../support/worlds/simulated-instance.ts'

type Messages = { calls: { say: (text: string) => void; close: () => void } }

const server: DurableServer<Messages, number> = {
  init: () => ok(0),
  calls: {
    say: (count, text, context) => {
      context.stream('events').append(text)
      return reply(undefined, count + 1)
    },
    close: (count, _, context) => {
      context.stream('events').close()
      return reply(undefined, count)
    },
  },
}

const chat = entity('chat', server)
const names = ['stream.created', 'stream.closed', 'stream.trimmed', 'stream.removed'] as const

/** The events of streams so far, without their places and times. */
const eventsOf = (app: App): unknown[] => {
  const seen: unknown[] = []
  for (const name of names)
    telemetry<StorageEvents>(app.system).on(name, (event) => {
      const { entity: of, stream, messages } = event as typeof event & { messages?: number }
      seen.push([
        name.slice(7),
        ...(of === undefined ? [] : [of]),
        stream,
        ...(messages === undefined ? [] : [messages]),
      ])
    })
  return seen
}

describe('events of a stream', () => {
  test('say that it was made, trimmed, closed and removed, each once', async () => {
    const { app, during } = await started()
    const seen = eventsOf(app)
    const stream = app.streams.open<number>('a')
    await during(stream.append(1))
    const second = await during(stream.append(2))
    await during(stream.trim(second))
    await during(stream.trim(second))
    await during(stream.close(3))
    await during(stream.close())
    await during(stream.delete())
    await during(stream.append(4))

    expect(seen).toEqual([
      ['created', 'a'],
      ['trimmed', 'a', 2],
      ['closed', 'a', 3],
      ['removed', 'a'],
      ['created', 'a'],
    ])
  })

  test('say what a bound, an age and a TTL have removed', async () => {
    const { app, clock, during } = await started()
    const seen = eventsOf(app)
    const bound = app.streams.open('bound', { keep: { messages: 1 } })
    await during(bound.append(1))
    await during(bound.append(2))
    await during(app.streams.open('old', { keep: { ageMs: 5_000 } }).append(1))
    const owner = streamOwner('ends')
    const made = { contentType: 'application/json', ttlMs: 5_000, expiresAt: undefined }
    const raw = app.streams.raw()
    await during(raw.create(owner, { ...made, source: undefined, closes: false, messages: ['1'] }))
    await clock.advance(10_000)

    expect(seen).toEqual([
      ...[
        ['created', 'bound'],
        ['trimmed', 'bound', 1],
        ['created', 'old'],
        ['created', 'ends'],
      ],
      ...[
        ['trimmed', 'old', 1],
        ['removed', 'ends'],
      ],
    ])
  })

  test('of an actor come with its turns, and not with those that are refused', async () => {
    const { app, during } = await started({ app: supervisor('app', {}, [chat]) })
    const seen = eventsOf(app)
    const chats = app.entity(chat)
    await during(call(chats.ref('lobby'), 'say', 'one'))
    await during(call(chats.ref('lobby'), 'close', undefined))
    await during(codeOf(call(chats.ref('lobby'), 'say', 'late')))
    await during(chats.delete('lobby'))

    expect(seen).toEqual([
      ['created', 'chat/lobby', 'events'],
      ['closed', 'chat/lobby', 'events', 1],
      ['removed', 'chat/lobby', 'events'],
    ])
  })
})

describe('a stream at its bound', () => {
  test('is in health and a trouble, until it takes an append or was quiet for ten minutes', async () => {
    const { app, clock, during } = await started()
    const full = () => app.health().shards.flatMap(({ fullStreams }) => fullStreams)
    const stream = app.streams.open('a')
    const by = (at: number) => codeOf(stream.append(at, { id: `p${at}`, epoch: 0, seq: 0 }))
    const codes: unknown[] = []
    for (let from = 0; from <= 10_000; from += 500) {
      const some = Array.from({ length: Math.min(500, 10_001 - from) }, (_, at) => by(from + at))
      codes.push(...(await during(Promise.all(some))))
    }
    expect(codes.filter((code) => code !== 'ok')).toEqual(['TOO_LARGE'])
    expect(full()).toMatchObject([{ entity: undefined, stream: 'a', producers: 10_000 }])
    const troubles = () => eachTrouble({ health: app.health(), now: clock.now() })
    expect(troubles()).toMatchObject([
      { kind: 'stream full', subject: 'stream a', alert: 'KeelsonFull', severity: 'critical' },
    ])

    await clock.advance(599_000)
    expect(full()).toHaveLength(1)
    await clock.advance(2_000)
    expect(full()).toEqual([])

    await during(codeOf(stream.append(1, { id: 'q', epoch: 0, seq: 0 })))
    expect(full()).toHaveLength(1)
    await during(stream.append(2))
    expect([full(), troubles()]).toEqual([[], []])
  })

  test('is one of ten at most, the last ones', () => {
    const streams = new FullStreams()
    const head = newHead('0', 1)
    for (let at = 0; at < 12; at++) streams.refused(streamOwner(`s${at}`), head, at)
    streams.refused(streamOwner('s2'), head, 20)

    const named = streams.at(20).map(({ stream, since, last }) => [stream, since, last])
    expect(named).toHaveLength(10)
    expect([named[0], named.at(-1)]).toEqual([
      ['s3', 3, 3],
      ['s2', 2, 20],
    ])
  })
})
