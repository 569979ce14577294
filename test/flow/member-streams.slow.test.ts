/** Streams of entities and runs at members that share a folder: read from each, also while shards move. */
import { expect, test } from 'vitest'
import { type Ctx, flow, flows, workflow } from '../../src/flow/index.ts'
import {
  type App,
  call,
  type DurableServer,
  entity,
  ok,
  reply,
  type StreamSource,
  supervisor,
} from '../../src/index.ts'
import { FolderMembers } from '../support/worlds/folder-members.ts'

const names = ['a', 'b', 'c']
const words = Array.from({ length: 30 }, (_, at) => `word ${at}`)

const server: DurableServer<{ calls: { say: (text: string) => void } }, number> = {
  init: () => ok(0),
  calls: {
    say: (count, text, context) => {
      context.stream('events').append(text)
      return reply(undefined, count + 1)
    },
  },
}

const chat = entity('chat', server)

/** A run that says a word each 100 ms, and goes on after those that an earlier try said. */
const talkIn = (world: () => FolderMembers) =>
  workflow('talk', async (ctx: Ctx) => {
    ctx.stream('out').append('begin')
    await ctx.step(
      'speak',
      async ({ stream }) => {
        const out = await stream<string>('out', { retry: 'continue' })
        const { length } = await out.sent()
        for (const word of words.slice(length)) {
          await out.append(word)
          await new Promise<void>((resolve) => void world().clock.after(100, resolve))
        }
      },
      { retry: { max: Number.POSITIVE_INFINITY, baseMs: 100 } },
    )
    ctx.stream('out').append('end')
  })

const following = (stream: StreamSource<string>) => {
  const state = { seen: [] as string[], ended: undefined as unknown }
  const go = async (): Promise<void> => {
    for await (const { value } of stream.read()) state.seen.push(value)
  }
  go().then(
    () => (state.ended = 'done'),
    (error) => (state.ended = error.code),
  )
  return state
}

const started = async () => {
  const world: FolderMembers = new FolderMembers(names)
  const talk = talkIn(() => world)
  const tree = supervisor('app', {}, [chat, flows({ workflows: [talk] })])
  const apps = await world.start(names, () => ({ app: tree }))
  return { world, apps, talk }
}

test('every member reads the streams of every entity, and each turn is there once', {
  tags: ['ST4', 'ST6', 'ST12'],
}, async () => {
  const { world, apps } = await started()
  const ids = Array.from({ length: 6 }, (_, at) => `r${at}`)
  const readers = ids.flatMap((id) =>
    apps.map((app) => following(app.entity(chat).stream<string>(id, 'events'))),
  )
  for (const [at, id] of ids.entries())
    for (const number of [0, 1, 2])
      await world.during(
        call((apps[(at + number) % 3] as App).entity(chat).ref(id), 'say', `${id} ${number}`),
      )
  await world.clock.advance(1_000)
  for (const [at, { seen }] of readers.entries()) {
    const id = ids[Math.floor(at / 3)]
    expect(seen).toEqual([0, 1, 2].map((number) => `${id} ${number}`))
  }
  const heads = await world.during(
    Promise.all(apps.map((app) => app.entity(chat).stream('r1', 'events').head())),
  )
  expect(heads).toEqual(Array(3).fill(heads[0]))
  await world.during((apps[0] as App).entity(chat).delete('r1'))
  await world.clock.advance(1_000)
  expect(readers.slice(3, 6).map(({ ended }) => ended)).toEqual(Array(3).fill('BAD_CURSOR'))
})

test.each(['stop', 'kill'] as const)(
  'a run that speaks goes on at another member: %s',
  {
    tags: ['ST3', 'ST5', 'ST6', 'ST8', 'ST12'],
  },
  async (end) => {
    const { world, apps, talk } = await started()
    const ids = Array.from({ length: 6 }, (_, at) => `r${at}`)
    const [first, second] = apps as [App, App]
    await world.during(Promise.all(ids.map((id) => flow(first).start(talk, undefined, { id }))))
    const readers = ids.flatMap((id) =>
      [first, second].map((app) => following(flow(app).handle(talk, id).stream<string>('out'))),
    )
    await world.clock.advance(1_500)
    await world[end]('c')
    const left = apps.slice(0, 2)
    await world.during(
      Promise.all(
        ids.map((id) =>
          flow(left[1] as App)
            .handle(talk, id)
            .result({ timeoutMs: 60_000 }),
        ),
      ),
    )
    await world.clock.advance(1_000)
    for (const reader of readers)
      expect(reader).toEqual({ seen: ['begin', ...words, 'end'], ended: 'done' })
  },
)
