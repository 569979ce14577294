/** Streams of entities and durable workers: their messages are there with the turn, or never. */
import { describe, expect, test } from 'vitest'
import {
  type App,
  call,
  cast,
  type DurableServer,
  entity,
  noReply,
  ok,
  reply,
  supervisor,
  worker,
} from '../../../src/index.ts'
import { rowClassOf } from '../../../src/storage/index.ts'
import { codeOf, failNextSync, started } from '../../support/worlds/simulated-instance.ts'

type Messages = {
  calls: {
    say: (text: string) => number
    sayMany: (texts: readonly string[]) => void
    sayIn: (streams: readonly string[]) => void
    sayAndThrow: (text: string) => void
    sayValue: (value: unknown) => void
    close: (last: string | undefined) => void
    closeAndSay: (text: string) => void
  }
  casts: { end: () => void }
}

const server: DurableServer<Messages, number> = {
  init: () => ok(0),
  calls: {
    say: (count, text, context) => {
      context.stream('events').append(text)
      return reply(count + 1, count + 1)
    },
    sayMany: (count, texts, context) => {
      for (const text of texts) context.stream('events').append(text)
      return reply(undefined, count)
    },
    sayIn: (count, streams, context) => {
      for (const each of streams) context.stream(each).append(each)
      return reply(undefined, count)
    },
    sayAndThrow: (_, text, context) => {
      context.stream('events').append(text)
      throw new Error('no')
    },
    sayValue: (count, value, context) => {
      context.stream('events').append(value)
      return reply(undefined, count)
    },
    close: (count, last, context) => {
      const stream = context.stream('events')
      if (last === undefined) stream.close()
      else stream.close(last)
      return reply(undefined, count)
    },
    closeAndSay: (count, text, context) => {
      context.stream('events').close()
      context.stream('events').append(text)
      return reply(undefined, count + 1)
    },
  },
  casts: {
    end: (count, _, context) => {
      context.end()
      return noReply(count)
    },
  },
}

const chat = entity('chat', server)
const tree = supervisor('app', {}, [chat, worker('clerk', server, { durable: true })])

const world = async () => {
  const made = await started({ app: tree })
  const { app, during } = made
  const chats = app.entity(chat)
  const events = chats.stream<string>('lobby', 'events')
  const say = (text: string) => during(call(chats.ref('lobby'), 'say', text))
  const texts = async (): Promise<readonly string[]> => {
    const { messages } = await during(events.page())
    return messages.map(({ value }) => value)
  }
  return { ...made, chats, events, say, texts }
}

/** The code of the error with which a call has ended its entity. */
const crashOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => 'ok',
    (error) => error.details.reason.code,
  )

const streamRows = (app: App): readonly string[] => {
  const { overlay, projection } = (app.shards[0] as App['shards'][0]).view().layers
  const keys = new Set<string>()
  for (const [key, row] of [...projection.range({}), ...overlay.range({})])
    if (row) keys.add(key)
    else keys.delete(key)
  return [...keys].filter((key) => /^(stream|removal)/.test(rowClassOf(key) ?? ''))
}

describe('a turn of an entity', () => {
  test('has its messages in its own unit', { tags: ['ST4'] }, async () => {
    const { app, chats, during, texts } = await world()
    const before = app.shards[0]?.appliedLsn ?? 0

    await during(call(chats.ref('lobby'), 'sayMany', ['one', 'two', 'three']))

    expect(app.shards[0]?.appliedLsn).toBe(before + 1)
    expect(await texts()).toEqual(['one', 'two', 'three'])
  })

  test('that throws leaves no message', { tags: ['ST4'] }, async () => {
    const { chats, during, say, texts } = await world()
    await say('one')

    expect(await during(codeOf(call(chats.ref('lobby'), 'sayAndThrow', 'two')))).not.toBe('ok')

    expect(await texts()).toEqual(['one'])
  })

  test('that appends to a closed stream is refused as a whole', {
    tags: ['ST4', 'ST8'],
  }, async () => {
    const { chats, during, say, texts } = await world()
    await say('one')
    await during(call(chats.ref('lobby'), 'close', 'last'))

    expect(await during(codeOf(call(chats.ref('lobby'), 'say', 'late')))).toBe('CONFLICT')
    expect(await during(codeOf(call(chats.ref('else'), 'closeAndSay', 'late')))).toBe('CONFLICT')

    expect([await texts(), chats.state('lobby'), chats.state('else')]).toEqual([
      ['one', 'last'],
      1,
      undefined,
    ])
    expect(await during(chats.stream('else', 'events').head())).toBeUndefined()
  })

  test('closes a stream once, and closing it again changes nothing', async () => {
    const { chats, during, say, events } = await world()
    await say('one')
    for (const _ of [1, 2]) await during(call(chats.ref('lobby'), 'close', undefined))
    expect(await during(events.head())).toMatchObject({ isClosed: true, messages: 1 })
  })

  test('refuses what JSON would change, at the handler', async () => {
    const { chats, during, texts } = await world()
    const refused = crashOf(call(chats.ref('lobby'), 'sayValue', new Map()))
    expect(await during(refused)).toBe('INVALID_ARGUMENT')
    expect(await texts()).toEqual([])
  })

  test('may write 64 streams, and a further one is TOO_LARGE', async () => {
    const { chats, during } = await world()
    const names = Array.from({ length: 65 }, (_, at) => `s${at}`)
    await during(call(chats.ref('lobby'), 'sayIn', names.slice(0, 64)))
    expect(await during(crashOf(call(chats.ref('lobby'), 'sayIn', names.slice(64))))).toBe(
      'TOO_LARGE',
    )
    await during(call(chats.ref('lobby'), 'sayIn', names.slice(0, 64)))
    expect(await during(chats.stream('lobby', 's63').head())).toMatchObject({ messages: 2 })
  })

  test('a worker of the tree writes streams, too', async () => {
    const { app, during } = await world()
    const clerk = app.system.whereis('clerk' as never) as never
    await during(call(clerk, 'say' as never, 'hello' as never))
    const { messages } = await during(app.workerStream('clerk', 'events').page())
    expect(messages.map(({ value }) => value)).toEqual(['hello'])
  })
})

describe('a reader', () => {
  test('waits for an entity that is not born, and gets each turn once it is durable', {
    tags: ['ST6'],
  }, async () => {
    const { clock, events, chats } = await world()
    const seen: string[] = []
    void (async () => {
      for await (const { value } of events.read()) seen.push(value)
      seen.push('closed')
    })()
    await clock.advance(50)
    void call(chats.ref('lobby'), 'say', 'one')
    void call(chats.ref('lobby'), 'close', 'two')
    await clock.advance(50)
    expect(seen).toEqual(['one', 'two', 'closed'])
  })

  test('ends with BAD_CURSOR when the entity is removed, and its offsets fit no later one', {
    tags: ['ST7', 'ST10'],
  }, async () => {
    const { clock, during, chats, events, say, texts } = await world()
    await say('one')
    let ended: unknown
    void (async () => {
      for await (const _ of events.read());
    })().catch((error) => {
      ended = error.code
    })
    const [first] = (await during(events.page())).messages
    await clock.advance(10)

    await during(chats.delete('lobby'))
    await clock.advance(10)

    expect(ended).toBe('BAD_CURSOR')
    await say('of another life')
    expect(await texts()).toEqual(['of another life'])
    const late = events.page({ from: first?.offset as string })
    expect(await during(codeOf(late))).toBe('BAD_CURSOR')
  })
})

test('an entity that is removed, or ends, leaves no row of a stream', {
  tags: ['ST10'],
}, async () => {
  const { app, clock, during, chats, say } = await world()
  await say('x'.repeat(20_000))
  await during(call(chats.ref('lobby'), 'sayIn', ['a', 'b']))
  await during(call(chats.ref('other'), 'sayIn', ['a', 'b']))
  expect(streamRows(app).length).toBeGreaterThan(8)

  await during(chats.delete('lobby'))
  cast(chats.ref('other'), 'end')
  await clock.advance(5_000)

  expect(streamRows(app)).toEqual([])
})

test('streams of an entity outlive a crash that takes back no durable turn', {
  tags: ['ST4', 'ST6'],
}, async () => {
  const { world: on, app, clock, disk, during, say } = await world()
  await say('one')
  failNextSync(disk)
  const lost = codeOf(call(app.entity(chat).ref('lobby'), 'say', 'two'))
  await clock.advance(1_000)
  disk.halt()
  await during(app.close({ deadlineMs: 0 })).catch(() => undefined)
  await during(app.system.stop()).catch(() => undefined)
  await lost
  disk.crash()
  disk.clearFaults()
  disk.killProcess()
  const again = await on.start({ app: tree })
  const chats = again.entity(chat)
  const { messages } = await during(chats.stream('lobby', 'events').page())
  const count = (await during(chats.load('lobby'))) ?? 0
  expect(messages.map(({ value }) => value)).toEqual(['one', 'two'].slice(0, count))
  await during(call(chats.ref('lobby'), 'say', 'three'))
  expect(await during(chats.stream('lobby', 'events').head())).toMatchObject({
    messages: count + 1,
  })
})
