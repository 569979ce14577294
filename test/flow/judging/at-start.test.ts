/** The judgement after a start: which actors at rest the new build would block when they wake. */
import { expect, onTestFinished, test } from 'vitest'
import type { VirtualClock } from '../../../src/clock.ts'
import { type Ctx, flow, flows, queue, workflow } from '../../../src/flow/index.ts'
import {
  type App,
  call,
  createSystem,
  type DurableServer,
  dynamicSupervisor,
  entity,
  KeelsonError,
  type Logger,
  name,
  noReply,
  reply,
  startDynamicChild,
  supervisor,
} from '../../../src/index.ts'
import { entityAt } from '../../../src/inspect/answers/entities.ts'
import { entityShown } from '../../../src/inspect/observe/entity-looks.ts'
import { entityFacts } from '../../../src/inspect/views/entity-view.ts'
import { FolderMembers } from '../../support/worlds/folder-members.ts'
import { machine } from '../../support/worlds/simulated-instance.ts'

type Own = Ctx<{ approval: string }>
type AccountMessages = { calls: { open: (name: string) => string } }

const effects: string[] = []

/** It rests at its wait. */
const body =
  (step: string) =>
  async (ctx: Own): Promise<string> => {
    await ctx.step(step, () => effects.push(step))
    return ctx.waitFor('approval')
  }

const account = (version: number): DurableServer<AccountMessages, string> => ({
  version,
  init: () => '',
  calls: { open: (_, name) => reply(name, name) },
  casts: {},
  infos: {},
  info: (state) => noReply(state),
})

const treeOf = (step: string, version = 1) =>
  supervisor('app', {}, [
    entity('account', account(version)),
    flows({ workflows: [workflow('order', body(step))] }),
  ])

const lines: string[] = []
const logger: Logger = {
  info: () => undefined,
  warn: (line: string) => void lines.push(line),
  error: () => undefined,
}

/** Runs and an account of the first build at rest, and a start of another one. */
const deployed = async (app: ReturnType<typeof treeOf>, more: object = {}) => {
  const { clock, start, during } = machine()
  const first = await start({ app: treeOf('reserve') })
  for (const id of ['1', '2']) await during(flow(first).start(order, undefined, { id }))
  await during(call(first.entity<AccountMessages>('account').ref('anna'), 'open', 'Anna'))
  // Everything rests.
  await clock.advance(120_000)
  await during(first.close())
  effects.length = 0
  lines.length = 0
  const next = await start({ app, system: createSystem({ clock, logger }), ...more })
  onTestFinished(async () => void (await during(next.close())))
  return { app: next, during, advance: (ms: number) => clock.advance(ms) }
}

const order = workflow('order', body('reserve'))

test('the same build would block nothing', { tags: ['RE3'] }, async () => {
  const s = await deployed(treeOf('reserve'))
  await s.advance(10_000)

  expect(s.app.health().actors.wouldBlock).toEqual({ count: 0, first: [], judged: 3, left: 0 })
  expect(lines).toEqual([])
})

test('waiting runs of a body that diverges, and states without a migrate, are named though nothing wakes', {
  tags: ['RE4', 'RE7'],
}, async () => {
  const s = await deployed(treeOf('book', 2))
  await s.advance(10_000)

  const { wouldBlock, blocked } = s.app.health().actors
  expect(wouldBlock).toMatchObject({ count: 3, judged: 3, left: 0 })
  expect(wouldBlock.first.map(({ entity, reason }) => [entity, reason.split(':')[0]])).toEqual([
    ['account/anna', 'BLOCKED'],
    ['$flow-order/1', 'DIVERGED'],
    ['$flow-order/2', 'DIVERGED'],
  ])
  expect(blocked.count).toBe(0)
  expect(
    s.app
      .entity('account')
      .list()
      .entries.map(({ blocked: is }) => is),
  ).not.toContain(true)
  expect(effects).toEqual([])
  expect(lines).toEqual([
    expect.stringMatching(
      /^of 3 actors at rest 3 would be blocked when they wake, such as account\/anna: BLOCKED/,
    ),
  ])
})

test('the page and the prompt say of the actor itself why it will be blocked, until it is', async () => {
  const s = await deployed(treeOf('book', 2))
  await s.advance(10_000)
  const looks = () => {
    const facts = entityAt(s.app, { kind: 'account', id: 'anna' })
    const { wouldBlock, blocked } = entityShown(s.app, { kind: 'account', id: 'anna' })
    return { wouldBlock, blocked, text: entityFacts(facts) }
  }
  const reason = s.app.health().actors.wouldBlock.first[0]?.reason
  expect(looks()).toMatchObject({ wouldBlock: reason, blocked: undefined })
  expect(looks().text).toContain(`when it wakes  ${reason}`)

  const anna = s.app.entity<AccountMessages>('account').ref('anna')
  await s.during(call(anna, 'open', 'A').catch(() => undefined))
  expect(looks()).toMatchObject({ wouldBlock: undefined, blocked: expect.any(String) })
  expect(looks().text).not.toContain('when it wakes')
})

test('each of them is blocked when it wakes, and leaves the list', { tags: ['RE4'] }, async () => {
  const s = await deployed(treeOf('book', 2))
  await s.advance(10_000)
  const run = flow(s.app).handle(order, '1')
  await s.during(run.signal('approval', 'yes').catch(() => undefined))
  await s.advance(20_000)

  const { wouldBlock } = s.app.health().actors
  expect(wouldBlock.first.map(({ entity }) => entity)).toEqual(['account/anna', '$flow-order/2'])
  expect(s.app.health().parts).toMatchObject({ flow: { blocked: { count: 1 } } })
  await s.during(
    call(s.app.entity<AccountMessages>('account').ref('anna'), 'open', 'A').catch(() => undefined),
  )
  expect(s.app.health().actors).toMatchObject({
    wouldBlock: { count: 1, first: [{ entity: '$flow-order/2' }] },
    blocked: { count: 1 },
  })
})

test('a start is ready before anything is judged', { tags: ['RE7'] }, async () => {
  const s = await deployed(treeOf('book'))

  expect(s.app.health().actors.wouldBlock).toMatchObject({ count: 0, judged: 0 })
})

test('with judge: false nothing is judged', async () => {
  const s = await deployed(treeOf('book', 2), { judge: false })
  await s.advance(10_000)

  expect(s.app.health().actors.wouldBlock).toEqual({ count: 0, first: [], judged: 0, left: 0 })
})

test('with members each judges its own shards, and the next owner of a shard judges that again', async () => {
  const names = ['a', 'b', 'c']
  const world = new FolderMembers(names)
  const [first] = await world.start(names, () => ({ app: treeOf('reserve') }))
  for (let id = 0; id < 12; id++)
    await world.during(flow(first as App).start(order, undefined, { id: `${id}` }))
  await world.clock.advance(120_000)
  for (const name of names) await world.stop(name)
  const apps = await world.start(names, () => ({ app: treeOf('book') }))
  await world.clock.advance(20_000)
  const counts = (): readonly number[] => apps.map((app) => app.health().actors.wouldBlock.count)
  const before = counts()

  expect(before.reduce((sum, count) => sum + count)).toBe(12)
  expect(before.filter((count) => count > 0).length).toBeGreaterThan(1)
  const loser = before.findIndex((count) => count > 0)
  await world.kill(names[loser] as string)
  await world.clock.advance(30_000)
  const left = counts().filter((_, at) => at !== loser)
  expect(left.reduce((sum, count) => sum + count)).toBe(12)
})

/** The actors in the lists of these members: each list, and all of them. */
const listsOf = (apps: readonly App[]) => {
  const lists = apps.map((app) => [...app.entities.judgement.known()].map(({ entity }) => entity))
  return { lists, all: lists.flat().sort() }
}

test('a shard that a member gives away, and one that a member gets back, is judged at its owner alone', async () => {
  const names = ['a', 'b', 'c']
  const world = new FolderMembers(names)
  const [first] = await world.start(names, () => ({ app: treeOf('reserve') }))
  for (let id = 0; id < 8; id++) {
    await world.during(flow(first as App).start(order, undefined, { id: `${id}` }))
    const account = (first as App).entity<AccountMessages>('account').ref(`${id}`)
    await world.during(call(account, 'open', 'Anna'))
  }
  await world.clock.advance(120_000)
  for (const name of names) await world.stop(name)
  const actors = [...Array(8).keys()].flatMap((id) => [`account/${id}`, `$flow-order/${id}`])
  const next = () => ({ app: treeOf('book', 2) })
  const [a, b, c] = (await world.start(names, next)) as [App, App, App]
  await world.clock.advance(20_000)
  expect(listsOf([a, b, c]).all).toEqual(actors.sort())
  expect(listsOf([a]).all).not.toEqual([])

  await world.stop('a')
  await world.clock.advance(30_000)
  expect(listsOf([b, c]).all).toEqual(actors)
  const [again] = (await world.start(['a'], next)) as [App]
  await world.clock.advance(60_000)
  const { lists, all } = listsOf([again, b, c])
  expect(all).toEqual(actors)
  expect(lists[0]).not.toEqual([])
})

/** Workflows whose bodies await something else than `ctx` between two steps, as often as this. */
const sleepers = (clock: () => VirtualClock, times: number, last: string) =>
  ['one', 'two'].map((name) =>
    workflow(name, async (ctx: Own) => {
      await ctx.step('x', () => 1)
      for (let time = 0; time < times; time++) {
        await new Promise<void>((resolve) => void clock().after(30, resolve))
        await ctx.step(`y${time}`, () => 1)
      }
      await ctx.step(last, () => 1)
      return ctx.waitFor('approval')
    }),
  )

const slept = async (times: number, last = 'end') => {
  const { clock, start, during } = machine()
  const treeWith = (name: string) =>
    supervisor('app', {}, [flows({ workflows: sleepers(() => clock, times, name) })])
  const first = await start({ app: treeWith('end') })
  for (const type of sleepers(() => clock, times, 'end'))
    await during(flow(first).start(type, undefined, { id: '1' }))
  await clock.advance(120_000)
  await during(first.close())
  const next = await start({ app: treeWith(last) })
  onTestFinished(async () => void (await during(next.close())))
  return { clock, app: next, wouldBlock: () => next.health().actors.wouldBlock }
}

test.each([1, 2, 5])(
  'a body that awaits something else %i times, and goes on, is no finding',
  async (times) => {
    const { clock, wouldBlock } = await slept(times)
    await clock.advance(60_000)

    expect(wouldBlock()).toEqual({ count: 0, first: [], judged: 2, left: 0 })
  },
)

test('nothing is left when the runs that stand still are judged too, and not before', async () => {
  const { clock, wouldBlock } = await slept(0, 'other')
  const seen = new Set<string>()
  for (let ms = 0; ms < 20_000; ms += 50) {
    await clock.advance(50)
    const { count, left, judged } = wouldBlock()
    if (judged === 2) seen.add(`${left === 0 ? 'over' : 'judges'}: ${count}`)
  }

  expect([...seen]).toEqual(['judges: 0', 'over: 2'])
})

test('a keeper of runs that dies judges its runs again: those that stood still are neither lost nor counted twice', async () => {
  const { clock, app, wouldBlock } = await slept(0, 'other')
  const killsKeeper = (): void => {
    const keeper = app.system.processes().find(({ label }) => label === 'keeper of runs')
    app.system.kill(keeper?.ref as never)
  }
  // Both bodies stand still, and are not judged before their rest.
  for (let ms = 0; ms < 20_000 && wouldBlock().judged < 2; ms += 50) await clock.advance(50)
  killsKeeper()
  await clock.advance(20_000)
  expect(wouldBlock()).toMatchObject({ count: 2, judged: 2, left: 0 })

  killsKeeper()
  await clock.advance(20_000)
  expect(wouldBlock()).toMatchObject({ count: 2, judged: 2, left: 0 })
})

test('workflows that a dynamic supervisor starts later are judged', async () => {
  const { clock, start, during } = machine()
  const first = await start({ app: treeOf('reserve') })
  await during(flow(first).start(order, undefined, { id: '1' }))
  await clock.advance(120_000)
  await during(first.close())
  const app = supervisor('app', {}, [dynamicSupervisor('crew', { name: name('crew') })])
  const next = await start({ app })
  onTestFinished(async () => void (await during(next.close())))
  await clock.advance(3_000)
  const later = supervisor('later', {}, [flows({ workflows: [workflow('order', body('book'))] })])
  await during(startDynamicChild(next.system.to(name('crew') as never), later))
  await clock.advance(20_000)

  expect(next.health().actors.wouldBlock).toMatchObject({ count: 1, left: 0 })
})

test('judged once more, the earlier findings stand until all is judged, and those that hold no more go', async () => {
  const s = await deployed(treeOf('book', 2))
  await s.advance(10_000)
  const { judgement } = s.app.entities
  judgement.add([{ entity: 'account/old', reason: 'BLOCKED: once' }], s.app.system.clock.now())
  await s.during(judgement.again?.() as Promise<number>)
  expect(s.app.health().actors.wouldBlock).toMatchObject({ count: 4, judged: 0 })
  await s.advance(10_000)

  expect(s.app.health().actors.wouldBlock).toMatchObject({ count: 3, judged: 3, left: 0 })
})

test('waiting runs whose queue, or whose child, the new tree lacks are named', {
  tags: ['RE4'],
}, async () => {
  const { clock, start, during } = machine()
  const child = workflow('child', async (ctx: Own) => ctx.waitFor('approval'))
  const parent = workflow('parent', (ctx: Ctx) => ctx.child('own', child, undefined))
  const held = workflow('held', async (ctx: Own) => ctx.waitFor('approval'), { queue: 'places' })
  const places = queue('places', { concurrency: 1 })
  const workflows = [child, parent, held]
  const first = await start({
    app: supervisor('app', {}, [flows({ workflows, queues: [places] })]),
  })
  const started = flow(first)
  await during(started.start(parent, undefined, { id: 'p' }))
  for (const id of ['1', '2']) await during(started.start(held, undefined, { id }))
  await during(started.start(child, undefined, { id: 'later', delay: '1d' }))
  await clock.advance(120_000)
  await during(first.close())
  const free = workflow('held', async (ctx: Own) => ctx.waitFor('approval'))
  const next = await start({ app: supervisor('app', {}, [flows({ workflows: [parent, free] })]) })
  onTestFinished(async () => void (await during(next.close())))
  await clock.advance(10_000)

  expect(next.health().actors.wouldBlock.first).toMatchObject([
    {
      entity: '$flow-parent/p',
      reason: 'UNSUPPORTED_VERSION: there is no workflow child, of its child',
    },
    { entity: '$flow-held/2', reason: 'UNSUPPORTED_VERSION: there is no queue places' },
  ])
})

/** Lets reads of a shard fail so from now on, until the function that is returned is called. */
const failingReads = (app: App, error: KeelsonError): (() => void) => {
  const [shard] = app.entities.shards
  Object.assign(shard as object, {
    view: () => {
      throw error
    },
  })
  return () => Reflect.deleteProperty(shard as object, 'view')
}

test('rows that are damaged end the judgement of their kind, with a line of the log', async () => {
  const s = await deployed(treeOf('book', 2))
  failingReads(s.app, new KeelsonError('CORRUPT', 'torn'))
  await s.advance(10_000)

  expect(s.app.health().actors.wouldBlock).toMatchObject({ judged: 0, left: 0 })
  expect(lines.filter((line) => line.includes('not judged'))).toEqual(
    ['account', '$flow-order'].map(
      (kind) => `the rest of the kind ${kind} in shard 0 is not judged: CORRUPT: torn`,
    ),
  )
})

test('a shard that closes while it is judged is no warning', async () => {
  const s = await deployed(treeOf('book', 2))
  failingReads(s.app, new KeelsonError('CLOSED', 'the instance is closed'))
  await s.advance(10_000)

  expect(s.app.health().actors.wouldBlock).toMatchObject({ judged: 0, left: 0 })
  expect(lines.filter((line) => line.includes('judged'))).toEqual([])
})

test('a shard that is down is judged when it is open again', async () => {
  const s = await deployed(treeOf('book', 2))
  const heal = failingReads(s.app, new KeelsonError('SHARD_DOWN', 'away'))
  await s.advance(10_000)
  expect(s.app.health().actors.wouldBlock).toMatchObject({ judged: 0, left: 2 })
  heal()
  await s.advance(10_000)

  expect(s.app.health().actors.wouldBlock).toMatchObject({ count: 3, judged: 3, left: 0 })
})
