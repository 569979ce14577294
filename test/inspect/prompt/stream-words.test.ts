/** What the prompt and `keelson streams` show of durable streams. */
import { expect, test } from 'vitest'
import { flow, flows, workflow } from '../../../src/flow/index.ts'
import { call, type DurableServer, entity, ok, reply, supervisor } from '../../../src/index.ts'
import { parseCommandLine } from '../../../src/inspect/cli/command-line.ts'
import { ShownValues } from '../../../src/inspect/prompt/shown-values.ts'
import { streamWords } from '../../../src/inspect/prompt/stream-words.ts'
import { started } from '../../support/worlds/simulated-instance.ts'

const chat: DurableServer<{ calls: { say: (text: string) => void } }, number> = {
  init: () => ok(0),
  calls: {
    say: (count, text, context) => {
      context.stream('events').append({ text, password: 'hush' })
      return reply(undefined, count + 1)
    },
  },
}

const world = async (reveals = false) => {
  const chats = entity('chat', chat)
  const found = await started({ app: supervisor('app', {}, [chats]) })
  return { ...found, chats, words: streamWords(found.app, new ShownValues(reveals)) }
}

test('streams are listed by name, with what they keep', async () => {
  const { app, during, words } = await world()
  expect((await during(words.streams())).text).toBe(
    "no stream is without an actor; streams('chat/lobby') lists the streams of an actor or a run",
  )
  expect((await during(words.streams('chat/lobby'))).text).toBe('chat/lobby has no streams')

  await during(app.streams.open('b').appendMany([1, 2]))
  await during(app.streams.open('a').close('last'))
  const lines = (await during(words.streams())).text.split('\n')
  expect(lines.slice(1).map((line) => line.split(/ {2,}/).slice(0, 2))).toEqual([
    ['a', expect.stringMatching(/^ *1$/)],
    ['b', expect.stringMatching(/^ *2$/)],
  ])
  expect(lines[1]).toContain('closed')
})

test('a stream is shown with its last messages, whose secrets are hidden', async () => {
  const { app, during, words } = await world()
  const stream = app.streams.open('a')
  for (let n = 0; n < 30; n++) await during(stream.append({ n, password: 'hush' }))

  const { text } = await during(words.stream('a'))
  expect(text).not.toContain('hush')
  expect(text.match(/ n: \d+/g)).toHaveLength(20)
  expect(text).toContain('n: 29')
  const json = await during(words.stream('a', { last: 1, json: true }))
  expect(json.text).not.toContain('hush')
  expect(JSON.parse(json.text)).toMatchObject({ messages: 30, page: [{ value: { n: 29 } }] })

  const revealing = streamWords(app, new ShownValues(true))
  expect((await during(revealing.stream('a'))).text).toContain('hush')
  await expect(during(words.stream('none'))).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
})

test('a stream of an actor is named by both, and its tail gives messages as they come', async () => {
  const { app, chats, clock, during, words } = await world()
  const lines: string[] = []
  const feed = await during(words.tail('chat/lobby', 'events', 2))
  feed.show((line) => lines.push(line))
  await clock.advance(10)
  for (const text of ['one', 'two', 'three']) {
    await during(call(app.entity(chats).ref('lobby'), 'say', text))
    await clock.advance(10)
  }

  expect(lines.map((line) => line.replace(/^\S+ {2}/, ''))).toEqual([
    expect.stringContaining("text: 'one'"),
    expect.stringContaining("text: 'two'"),
    '2 messages, and no more are shown',
  ])
  expect(lines.join()).not.toContain('hush')
  expect((await during(words.stream('chat/lobby', 'events'))).text).toContain("text: 'three'")
})

test('the streams of an actor are listed by its name, and those of a run by workflow and id', async () => {
  const agent = workflow('agent', (ctx) => {
    ctx.stream('out').append({ said: 'hello' })
    return ctx.sleep('rest', 60_000)
  })
  const chats = entity('chat', chat)
  const parts = [chats, flows({ workflows: [agent] })]
  const { app, during } = await started({ app: supervisor('app', {}, parts) })
  const words = streamWords(app, new ShownValues(false))
  await during(call(app.entity(chats).ref('lobby'), 'say', 'one'))
  await during(call(app.entity(chats).ref('lobby2'), 'say', 'one'))
  await during(flow(app).start(agent, undefined, { id: '42' }))
  await during(app.streams.open('events').append(1))

  const namesIn = async (...given: unknown[]) => {
    const { text } = await during(words.streams(...given, { json: true }))
    return JSON.parse(text).streams.map(({ name }: { name: string }) => name)
  }
  expect(await namesIn('chat/lobby')).toEqual(['events'])
  expect(await namesIn('agent/42')).toEqual(['out'])
  expect(await namesIn('chat/none')).toEqual([])
  expect(await namesIn()).toEqual(['events'])
  expect((await during(words.stream('agent/42', 'out'))).text).toContain("said: 'hello'")
  await expect(during(words.streams('chat'))).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
})

test('the tail of a stream ends with it', async () => {
  const { app, clock, during, words } = await world()
  const lines: string[] = []
  const feed = await during(words.tail('a'))
  feed.show((line) => lines.push(line))
  await clock.advance(10)
  await during(app.streams.open('a').close('last'))
  await clock.advance(10)
  expect(lines).toEqual([expect.stringContaining("'last'"), 'the stream is closed'])
})

test('`keelson streams` is a line of the prompt', () => {
  const callsOf = (line: string) => {
    const parsed = parseCommandLine(['streams', ...line.split(' ')])
    return parsed.kind === 'streams' ? parsed.calls : parsed.kind
  }
  expect(callsOf('list --prefix a --limit 3')).toEqual([
    ['streams', [expect.objectContaining({ prefix: 'a', limit: 3 })]],
  ])
  expect(callsOf('list --of chat/lobby')).toEqual([
    ['streams', ['chat/lobby', expect.not.objectContaining({ of: 'chat/lobby' })]],
  ])
  expect(callsOf('show a --json')).toEqual([['stream', ['a', { json: true }]]])
  expect(callsOf('tail a --last 5')).toEqual([
    ['stream', ['a', expect.objectContaining({ last: 5 })]],
  ])
  expect(callsOf('trim a o')).toEqual([
    ['app.streams.open', ['a']],
    ['trim', ['o']],
  ])
  expect(callsOf('delete a')).toEqual([
    ['app.streams.open', ['a']],
    ['delete', []],
  ])
  expect(() => callsOf('close')).toThrow('needs NAME')
  expect(() => callsOf('drop a')).toThrow("no command 'streams drop'")
})
