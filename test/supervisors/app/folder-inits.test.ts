/** What the `init` of a worker awaits of its instance is answered while all members start. */
import { expect, test } from 'vitest'
import { passed } from '../../../src/clock.ts'
import { flow, flows, queue, workflow } from '../../../src/flow/index.ts'
import {
  type AppContext,
  type Context,
  call,
  cast,
  countsByNamespace,
  type DurableServer,
  entity,
  type GenServer,
  noReply,
  type Ref,
  reply,
  supervisor,
  worker,
} from '../../../src/index.ts'
import { innerParts } from '../../../src/supervisors/app/app-context.ts'
import { FolderMembers } from '../../support/worlds/folder-members.ts'

type CountMessages = {
  calls: { add: (by: number) => number }
  casts: { note: (by: number) => void }
}

const count: DurableServer<CountMessages, number> = {
  init: () => 0,
  calls: { add: (sum, by) => reply(sum + by, sum + by) },
  casts: { note: (sum, by) => noReply(sum + by) },
}

const double = workflow('double', (ctx, input: number) => ctx.step('double', () => input * 2))
const mails = queue('mails', async (to: string) => `to ${to}`)

/** So many keys, entities and runs that each member has some and lacks some. */
const ten = [...Array(10).keys()]

const first = async (items: AsyncIterable<unknown>): Promise<unknown> => {
  for await (const item of items) return item
  return undefined
}

type Asking = Pick<Context, 'app' | 'to'>
type Use = (app: AppContext, member: string, context: Asking) => Promise<unknown>

const till = worker('till', count, { durable: true })

const uses: Readonly<Record<string, Use>> = {
  load: ({ store }) => Promise.all(ten.map((at) => store.load(`k:${at}`))),
  put: ({ store }, m) => Promise.all(ten.map((at) => store.put(`${m}:put:${at}`, at))),
  putMany: ({ store }, m) => store.putMany(ten.map((at) => [`${m}:many:${at}`, at])),
  update: ({ store }) => store.update<number>('sum', (sum = 0) => sum + 1),
  page: ({ store }) => store.page({ prefix: 'k:' }),
  'a read by its name': ({ store }) => Promise.all(ten.map((at) => store.read('ttl', `k:${at}`))),
  entries: async ({ store }, m) => {
    await store.put(`${m}:entry`, 1)
    return first(store.entries({ prefix: `${m}:entry` }))
  },
  watch: async ({ store }, m) => {
    const watch = store.watch({ prefix: `${m}:watched:` })
    const seen = first(watch)
    await store.putMany(ten.map((at) => [`${m}:watched:${at}`, at]))
    return seen
  },
  locks: async ({ store }, m) => {
    const terms = { owner: m, leaseMs: 1_000 }
    await store.lock([`${m}:lock`], terms)
    await store.unlock([`${m}:lock`], { owner: m })
  },
  settled: ({ store }) => store.settled(),
  'a call of an entity': (app, m) =>
    Promise.all(
      ten.map((at) => call(app.entity<CountMessages>('count').ref(`${m}-${at}`), 'add', 1)),
    ),
  'a cast to an entity': async (app) =>
    cast(app.entity<CountMessages>('count').ref('all'), 'note', 1),
  'a look at an entity': (app) => app.entity('count').load('all'),
  'a page of entities': (app) => app.entity('count').page(),
  'a count of entities': (app) => app.entity('count').count(),
  'a call of a durable worker': (_, __, context) =>
    call(context.to(till) as Ref<CountMessages>, 'add', 1),
  'the start of a run': (app, m) => flow(app).start(double, 2, { id: `${m}-run` }),
  'the result of a run': async (app, m) =>
    (await flow(app).start(double, 2, { id: `${m}-result` })).result(),
  'a job': (app, m) => flow(app).add(mails, m),
  'a look at runs': (app) => flow(app).read('list', { type: double }),
  'an entry of a journal': ({ journal }, m) =>
    Promise.all(
      [0, 1, 2, 3].map((shard) => journal.on(shard).append({ id: m, type: 'begun', command: m })),
    ),
  'a saved state': ({ journal }) =>
    Promise.all([0, 1, 2, 3].map((at) => journal.on(at).loadState())),
  'a row of a projection': (app) => app.projection('counts').load('k'),
  'a page of a projection': (app) => app.projection('counts').page(),
  'a flush': ({ control }) => control.flushAll({ timeoutMs: 5_000 }),
  'the health of all': (app) => app.healthOfAll(),
}

test('each use of the instance in the `init` of a worker is answered at every member', {
  tags: ['slow'],
}, async () => {
  const names = ['a', 'b', 'c']
  const world = new FolderMembers(names)
  const unanswered = new Set(
    names.flatMap((member) => Object.keys(uses).map((use) => `${use} at ${member}`)),
  )
  const failures: unknown[] = []
  const asker = (member: string): GenServer<Record<never, never>, null> => ({
    init: async (_, context) => {
      const note = async ([use, ask]: readonly [string, Use]): Promise<void> => {
        await ask(context.app, member, context).catch((error) => failures.push(use, error))
        unanswered.delete(`${use} at ${member}`)
      }
      await Promise.all(Object.entries(uses).map(note))
      return null
    },
  })
  const begun = world.start(names, (member) => ({
    app: supervisor('app', {}, [
      entity('count', count),
      till,
      flows({ workflows: [double], queues: [mails] }),
      worker('asker', asker(member)),
    ]),
    projections: [countsByNamespace('counts')],
  }))
  const started = begun.then(
    (apps) => apps.length,
    (error) => error,
  )
  const late = passed(world.clock, 30_000).then(() => 'late')
  const outcome = await world.during(Promise.race([started, late]))

  expect([...unanswered]).toEqual([])
  expect(failures).toEqual([])
  expect(outcome).toBe(3)
})

/** Two members: the tree of `b` starts for 5 s, and has no kind `other`. */
const slowStart = async () => {
  const world = new FolderMembers(['a', 'b'])
  let found: Context | undefined
  const first: GenServer<Record<never, never>, null> = {
    init: (_, context) => {
      found = context as Context
      return null
    },
  }
  const slow: GenServer<Record<never, never>, null> = {
    init: async (_, { system }) => {
      await passed(system.clock, 5_000)
      return null
    },
  }
  const trees = {
    a: supervisor('app', {}, [entity('other', count), worker('first', first)]),
    b: supervisor('app', {}, [worker('slow', slow)]),
  }
  const begun = world.start(['a', 'b'], (member) => ({ app: trees[member as 'a' | 'b'] }))
  await world.clock.advance(2_000)
  return { world, begun, context: found as unknown as Context }
}

test('a call whose kind the tree of the owner lacks fails when that tree has started, whatever its time', async () => {
  const { world, begun, context } = await slowStart()
  const codes: unknown[] = []
  const { entities } = context.app[innerParts]
  for (const at of ten) {
    const ref = context.app.entity<CountMessages>('other').ref(`${at}`)
    if (!entities.isElsewhere(`other/${at}`)) continue
    call(ref, 'add', 1, { timeoutMs: Number.POSITIVE_INFINITY }).catch(({ code }) =>
      codes.push(code),
    )
  }
  await world.clock.advance(2_000)
  expect(codes).toEqual([])
  await world.during(begun)

  expect(new Set(codes)).toEqual(new Set(['NO_PROCESS']))
})
