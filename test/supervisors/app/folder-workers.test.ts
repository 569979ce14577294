/** A durable worker of the tree lives at the member that has its shard, and is called from every member. */
import { beforeEach, describe, expect, test } from 'vitest'
import {
  call,
  cast,
  type DurableServer,
  type DynamicSupervisorMessages,
  dynamicSupervisor,
  type GenServer,
  name,
  noReply,
  type Ref,
  reply,
  startDynamicChild,
  supervisor,
  worker,
} from '../../../src/index.ts'
import type { App } from '../../../src/supervisors/index.ts'
import { FolderMembers } from '../../support/worlds/folder-members.ts'

type TillMessages = {
  calls: { pay: (cents: number) => number }
  casts: { note: (cents: number) => void }
}

const till: DurableServer<TillMessages, number> = {
  init: () => 0,
  calls: { pay: (sum, cents) => reply(sum + cents, sum + cents) },
  casts: { note: (sum, cents) => noReply(sum + cents) },
}

type AskerMessages = { calls: { pay: (cents: number) => number } }

const tillPart = worker('till', till, { durable: true })

/** A plain worker: one at each member. It calls the durable one by its part. */
const asker: GenServer<AskerMessages, null> = {
  init: () => null,
  calls: {
    pay: async (state, cents, context) =>
      reply(await call(context.to(tillPart) as Ref<TillMessages>, 'pay', cents), state),
  },
}

const many = name<DynamicSupervisorMessages>('many')

const names = ['a', 'b', 'c']
let world: FolderMembers
let apps: readonly App[]

beforeEach(async () => {
  world = new FolderMembers(names)
  const app = () =>
    supervisor('app', {}, [
      tillPart,
      worker('asker', asker, { name: 'asker' }),
      dynamicSupervisor('many', { name: many }),
    ])
  apps = await world.start(names, () => ({ app: app() }))
})

const tillAt = (app: App): Ref<TillMessages> => app.system.to(name<TillMessages>('till'))

/** The members that have the process of the worker. */
const hosts = (): string[] =>
  names.filter((_, at) =>
    (apps[at] as App).system
      .processes()
      .some((each) => each.name === 'till' && each.kind !== 'forwarder'),
  )

const others = (): App[] => apps.filter((_, at) => names[at] !== hosts()[0])

describe('a durable worker', () => {
  test('lives at one member, and answers to its name at all', async () => {
    expect(hosts()).toHaveLength(1)
    const sums = []
    for (const app of apps) sums.push(await world.during(call(tillAt(app), 'pay', 5)))
    for (const app of apps) cast(tillAt(app), 'note', 1)
    await world.clock.advance(100)
    sums.push(await world.during(call(tillAt(apps[0] as App), 'pay', 0)))

    expect(sums).toEqual([5, 10, 15, 18])
  })

  test('answers to its part of the tree at all members', async () => {
    const sums = []
    for (const app of apps)
      sums.push(await world.during(call(app.system.to(name<AskerMessages>('asker')), 'pay', 5)))

    expect(sums).toEqual([5, 10, 15])
  })

  test('starts where its shard comes to, with its state, and callers wait for it', async () => {
    await world.during(call(tillAt(apps[0] as App), 'pay', 5))
    const [owner = ''] = hosts()
    const left = others()
    await world.kill(owner)
    const sums = left.map((app) => call(tillAt(app), 'pay', 1, { timeoutMs: 2_000 }))

    expect((await world.during(Promise.all(sums))).sort()).toEqual([6, 7])
    const [next = ''] = hosts().filter((each) => each !== owner)
    expect(next).not.toBe('')
    // It is the child of its supervisor again, which starts it again.
    const app = apps[names.indexOf(next)] as App
    app.system.kill(name('till'))
    await world.clock.advance(100)
    expect(await world.during(call(tillAt(app), 'pay', 1))).toBe(8)
  })

  test('gets the calls with an id of an owner that has ended, once', async () => {
    const [owner = ''] = hosts()
    const left = others()
    const paid = left.map((app, at) =>
      call(tillAt(app), 'pay', 1, { id: `r-${at}`, timeoutMs: 5_000 }),
    )
    await world.kill(owner)
    const sums = await world.during(Promise.all(paid))

    expect(sums.sort()).toEqual([1, 2])
    expect(await world.during(call(tillAt(left[0] as App), 'pay', 0))).toBe(2)
  })

  test('is not started by a dynamic supervisor, wherever its shard is', async () => {
    const late = worker('late', till, { durable: true })
    const results = apps.map((app) => startDynamicChild(app.system.to(many), late))
    const refused = { ok: false, reason: expect.objectContaining({ code: 'INVALID_ARGUMENT' }) }

    expect(await world.during(Promise.all(results))).toEqual([refused, refused, refused])
  })
})
