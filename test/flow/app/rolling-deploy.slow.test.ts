/**
 * Two members of one folder with different programs, as in a deploy that goes from one member to the next. What the
 * newer program asks for in shards of the older one waits there, and nothing is decided for it.
 */
import { expect, test } from 'vitest'
import { type Ctx, flow, flows, queue, workflow } from '../../../src/flow/index.ts'
import {
  type App,
  call,
  type DurableServer,
  entity,
  reply,
  supervisor,
} from '../../../src/index.ts'
import { FolderMembers } from '../../support/worlds/folder-members.ts'

type Order = { calls: { pay: () => void } }

const ids = Array.from({ length: 12 }, (_, at) => `${at}`)

/** One queue for each of the shards, or so: each lives in one of them. */
const queuesMax = 6

const programs = () => {
  const seen: string[] = []
  const mails = Array.from({ length: queuesMax }, (_, at) =>
    queue(`mails-${at}`, (job: string) => void seen.push(`mail ${at} ${job}`)),
  )
  const order = (pay: (id: string, context: object) => void): DurableServer<Order, number> => ({
    init: () => 0,
    calls: {
      pay: (count, _, context) => {
        pay(context.id, context)
        return reply(undefined, count + 1)
      },
    },
  })
  const pack = workflow('pack', async (ctx: Ctx) => {
    await ctx.step('box', () => void seen.push(`pack ${ctx.id}`))
    return 'packed'
  })
  const ship = workflow('ship', (ctx: Ctx) => ctx.child('pack', pack, undefined, { id: ctx.id }))
  const asked: string[] = []
  const mailing = order((id, context) => {
    for (const [at, each] of mails.entries()) {
      asked.push(`mail ${at} ${id}`)
      flow(context as never).add(each, id)
    }
  })
  const of = (...parts: Parameters<typeof supervisor>[2]) => ({
    app: supervisor('app', {}, parts),
  })
  const older = () =>
    of(
      entity(
        'order',
        order(() => undefined),
      ),
      flows({ workflows: [ship] }),
    )
  const newer = () =>
    of(entity('order', mailing), flows({ workflows: [ship, pack], queues: mails }))
  return { seen, asked, ship, older, newer }
}

test('what a newer program asks of a member with the older one waits until the deploy has come there', async () => {
  const { seen, asked, ship, older, newer } = programs()
  const world = new FolderMembers(['a', 'b'])
  const [, b] = (await world.start(['a', 'b'], (member) =>
    member === 'a' ? older() : newer(),
  )) as [App, App]
  for (const id of ids) {
    await world.during(flow(b).start(ship, undefined, { id }))
    await world.during(call(b.entity<Order>('order').ref(id), 'pay'))
  }
  await world.clock.advance(600_000)
  const statusOf = async (id: string) => (await world.during(flow(b).read('get', ship, id)))?.status
  const statuses = () => Promise.all(ids.map(statusOf))
  // Where the parent is, its program lacks the child; or it has it, and the member of the child lacks it.
  expect(new Set(await statuses())).toEqual(new Set(['blocked', 'running']))
  const early = seen.length

  await world.stop('a')
  await world.start(['a'], newer)
  await world.clock.advance(600_000)
  expect(await statuses()).toEqual(ids.map(() => 'completed'))
  const all = [...ids.map((id) => `pack ${id}`), ...asked]
  expect(seen.toSorted()).toEqual(all.toSorted())
  expect(early).toBeLessThan(seen.length)
})
