/** A shard that is down takes its runs down, and no others; they go on when it is open again. */
import { expect, test } from 'vitest'
import { type Ctx, queue, workflow } from '../../../src/flow/index.ts'
import { durableActors } from '../../../src/supervisors/index.ts'
import { flowWorld } from '../../support/worlds/flow-world.ts'
import { codeOf, failNextSync } from '../../support/worlds/simulated-instance.ts'

const ids = ['a', 'b', 'c', 'd']

/** Two shards with runs that wait in a step until `isDone`. */
const shipping = async () => {
  const begun: string[] = []
  const it = { isDone: false }
  const ship = workflow('ship', async (ctx: Ctx) => {
    await ctx.step('wait', async ({ signal }) => {
      begun.push(ctx.id)
      while (!it.isDone && !signal.aborted)
        await new Promise<void>((resolve) => void w.s.clock.after(1_000, resolve))
    })
  })
  const w = await flowWorld([ship], { options: { shards: 2, allowDown: true } })
  await w.during(Promise.all(ids.map((id) => w.flow.start(ship, undefined, { id }))))
  await w.s.advance(1_000)
  const { entities } = w.s.app[durableActors]
  const inShard = (shard: number) =>
    ids.filter((id) => entities.shardOf(`$flow-ship/${id}`).index === shard)
  const statuses = (of: readonly string[]) => of.map((id) => w.flow.get(ship, id)?.status)
  return { w, ship, begun, it, inShard, statuses }
}

const completed = (of: readonly string[]) => of.map(() => 'completed')

test('while a shard is down the runs of the others go on, and its runs do when it is open again', async () => {
  const { w, it, inShard, statuses } = await shipping()
  const [others, own] = [inShard(0), inShard(1)]
  expect([others.length, own.length]).not.toContain(0)
  const { store } = w.s.app
  const key = [...'abcdefgh'].find((each) => store.shardOf(each) === 1) ?? ''
  failNextSync(w.s.disk, 1)
  expect(await w.during(codeOf(store.put(key, 1)))).toBe('UNKNOWN_OUTCOME')

  // The keeper looks for runs to remove after a minute, and again.
  await w.s.advance(120_000)
  expect(w.s.app.shards.map(({ phase }) => phase.kind)).toEqual(['open', 'down'])
  it.isDone = true
  await w.s.advance(2_000)
  expect(statuses(others)).toEqual(completed(others))

  await w.during(w.s.app.control.reopen(1))
  await w.s.advance(2_000)
  expect(statuses(own)).toEqual(completed(own))
})

test('runs of a shard that was down at the start go on when it is open', async () => {
  const { w, ship, begun, it, inShard, statuses } = await shipping()
  const own = inShard(1)
  const fault = { kind: 'error', code: 'EIO' } as const
  w.s.disk.inject({ at: 1, operation: 'read', path: 'shard-1/wal', times: 100, fault })
  begun.length = 0
  await w.crash()
  expect(w.s.app.shards.map(({ phase }) => phase.kind)).toEqual(['open', 'down'])
  await w.s.advance(120_000)
  expect(begun.sort()).toEqual(inShard(0))

  // Each has a process by that, which sleeps.
  for (const id of own) {
    const refused = w.flow.handle(ship, id).result()
    expect(await w.during(codeOf(refused))).toBe('SHARD_DOWN')
  }
  w.s.disk.clearFaults()
  await w.during(w.s.app.control.reopen(1))
  it.isDone = true
  await w.s.advance(5_000)
  expect(statuses(own)).toEqual(completed(own))
})

test('a close waits for no child and no end of a job that a shard which is down cannot take', {
  tags: ['slow'],
}, async () => {
  let ends: () => void = () => undefined
  const child = workflow('child', async () => undefined)
  const parent = workflow('parent', (ctx: Ctx, id: string) =>
    ctx.child('child', child, undefined, { id }),
  )
  const jobs = ids.map((name) => queue(name, () => new Promise<void>((end) => (ends = end))))
  const w = await flowWorld([child, parent], {
    queues: jobs,
    options: { shards: 2, allowDown: true },
  })
  const { entities } = w.s.app[durableActors]
  const isDown = (entity: string) => entities.shardOf(entity).index === 1
  const own = jobs.find(({ name }) => isDown(`$queue-${name}/queue`)) ?? jobs[0]
  await w.during(w.flow.add(own as (typeof jobs)[number], undefined))
  const { store } = w.s.app
  const key = [...'abcdefgh'].find((each) => store.shardOf(each) === 1) ?? ''
  failNextSync(w.s.disk, 1)
  expect(await w.during(codeOf(store.put(key, 1)))).toBe('UNKNOWN_OUTCOME')

  const of = ids.find((id) => isDown(`$flow-child/${id}`)) ?? ''
  const id = ids.find((each) => !isDown(`$flow-parent/${each}`)) ?? ''
  await w.during(w.flow.start(parent, of, { id }))
  ends()
  // By now a minute passes between two tries.
  await w.s.advance(600_000)
  const begun = w.s.clock.now()
  expect(await w.during(w.s.app.close())).toEqual({ cutOff: [] })
  expect(w.s.clock.now() - begun).toBeLessThanOrEqual(1_001)
})
