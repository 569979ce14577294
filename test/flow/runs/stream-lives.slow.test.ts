/**
 * A kill or a power cut at any I/O operation of entities and runs that write streams: each message of a turn
 * is there with its turn, those of a body and of a step are there once, and no reader has one taken back.
 */
import { expect, test } from 'vitest'
import { type Ctx, flow, flows, workflow } from '../../../src/flow/index.ts'
import {
  type App,
  call,
  type DurableServer,
  entity,
  ok,
  reply,
  type StreamSource,
  supervisor,
} from '../../../src/index.ts'
import { rowClassOf } from '../../../src/storage/index.ts'
import { sampled } from '../../support/tier.ts'
import { machine } from '../../support/worlds/simulated-instance.ts'

const options = { lmdb: { intervalMs: 5, quietMs: 2, maxLagMs: 20 } }

type Messages = { calls: { say: (number: number) => void } }

const server: DurableServer<Messages, number> = {
  init: () => ok(0),
  calls: {
    say: (count, number, context) => {
      context.stream('events').append(number)
      if (number % 2 === 1) context.stream('odd').append(number)
      return reply(undefined, count + 1)
    },
  },
}

const chat = entity('chat', server)

const words = Array.from({ length: 6 }, (_, at) => `word ${at}`)
const lines = ['one', 'two', 'three']

const talk = workflow('talk', async (ctx: Ctx, task: string) => {
  const out = ctx.stream('out')
  out.append({ task })
  const tries = await ctx.step(
    'speak',
    async ({ stream, attempt }) => {
      const mine = await stream<string>('out', { retry: 'continue' })
      const sent = await mine.sent()
      expect(sent).toEqual(words.slice(0, sent.length))
      for (const word of words.slice(sent.length)) await mine.append(word)
      if (attempt === 1) throw new Error('once more')
      return sent.length
    },
    { retry: { max: 9, baseMs: 1 } },
  )
  out.append({ tries })
  await ctx.step(
    'list',
    async ({ stream, attempt }) => {
      const mine = await stream<string>('out')
      for (const line of lines.slice(0, attempt + 1)) await mine.append(line)
      if (attempt === 1) throw new Error('once more')
    },
    { retry: { max: 9, baseMs: 1 } },
  )
  out.append('end')
})

const whole = [{ task: 'tea' }, ...words, { tries: words.length }, ...lines, 'end']

const tree = supervisor('app', {}, [chat, flows({ workflows: [talk] })])

const valuesOf = async (stream: StreamSource): Promise<readonly unknown[]> => {
  const found: unknown[] = []
  for await (const { value } of stream.read({ live: false })) found.push(value)
  return found
}

const outOf = (app: App): StreamSource => flow(app).handle(talk, '1').stream('out')

const eventsOf = (app: App, id: string): StreamSource => app.entity(chat).stream(id, 'events')

/** A story that may be told again from its beginning. */
const story = async (app: App, seen: unknown[]): Promise<void> => {
  const run = await flow(app).start(talk, 'tea', { id: '1' })
  const reading = (async () => {
    for await (const { value } of run.stream('out').read()) seen.push(value)
  })()
  reading.catch(() => undefined)
  const chats = app.entity(chat)
  for (let number = 0; number < 4; number++)
    await call(chats.ref('lobby'), 'say', number, { id: `${number}` })
  await call(chats.ref('gone'), 'say', 1)
  await chats.delete('gone')
  await run.result()
  await reading
}

const removalsIn = (app: App): number => {
  const { overlay, projection } = (app.shards[0] as App['shards'][0]).view().layers
  const keys = new Set<string>()
  for (const [key, row] of [...projection.range({}), ...overlay.range({})])
    if (row) keys.add(key)
    else keys.delete(key)
  return [...keys].filter((key) => rowClassOf(key) === 'removal' || key.includes('chat/gone'))
    .length
}

type End = 'kill' | 'power cut'

/** Answers the number of I/O operations of a life that was not ended. */
const live = async (crashAt: number | undefined, end: End): Promise<number> => {
  const world = machine()
  const { clock, disk, during, pass } = world
  let app = await world.start({ ...options, app: tree })
  const first = disk.calls
  if (crashAt !== undefined) disk.inject({ at: crashAt, fault: { kind: 'halt' } })
  const seen: unknown[] = []
  await during(story(app, seen), 20_000).catch(() => undefined)
  const calls = disk.calls - first
  await pass(100)
  disk.halt()
  await during(app.close({ deadlineMs: 0 })).catch(() => undefined)
  await during(app.system.stop()).catch(() => undefined)
  if (end === 'power cut') disk.crash()
  disk.clearFaults()
  disk.killProcess()

  app = await world.start({ ...options, app: tree })
  const count = (await during(app.entity(chat).load('lobby'))) ?? 0
  const said = Array.from({ length: count }, (_, number) => number)
  expect(await during(valuesOf(eventsOf(app, 'lobby')))).toEqual(said)
  expect(await during(valuesOf(app.entity(chat).stream('lobby', 'odd')))).toEqual(
    said.filter((number) => number % 2 === 1),
  )
  const out = await during(valuesOf(outOf(app)))
  expect(out).toEqual(whole.slice(0, out.length))
  expect(out.slice(0, seen.length)).toEqual(seen)

  await during(story(app, []), 200_000)
  expect(await during(valuesOf(outOf(app)))).toEqual(whole)
  expect(await during(outOf(app).head())).toMatchObject({ isClosed: true })
  expect(await during(valuesOf(eventsOf(app, 'lobby')))).toEqual([0, 1, 2, 3])
  await clock.advance(5_000)
  expect(removalsIn(app)).toBe(0)
  await during(app.close())
  return calls
}

test.each<[End]>([['kill'], ['power cut']])(
  'whatever I/O operation is the last one before a %s, turns, bodies and steps have said each message once',
  { tags: ['ST3', 'ST4', 'ST5', 'ST6', 'ST8', 'ST10'], timeout: 900_000 },
  async (end) => {
    const calls = await live(undefined, end)
    expect(calls).toBeGreaterThan(30)
    const all = Array.from({ length: calls }, (_, at) => at + 1)
    for (const at of sampled(all, 60)) await live(at, end)
  },
)
