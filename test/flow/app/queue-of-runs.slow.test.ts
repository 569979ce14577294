/** Queues whose handler is a workflow. */
import { describe, expect, test, vi } from 'vitest'
import {
  type Ctx,
  flow,
  flows,
  type QueueOptions,
  queue,
  workflow,
} from '../../../src/flow/index.ts'
import { supervisor } from '../../../src/index.ts'
import { durableActors } from '../../../src/supervisors/index.ts'
import { flowWorld } from '../../support/worlds/flow-world.ts'
import { codeOf, failNextSync, simulated } from '../../support/worlds/simulated-instance.ts'

test('a job of a workflow starts one run, over crashes too, and ends with it', {
  tags: ['W9'],
}, async () => {
  const runs: string[] = []
  let isKnown = false
  const ship = workflow('ship', async (ctx, order: string) => {
    await ctx.step('begin', ({ key }) => void runs.push(`${order} ${key.split('/').length}`))
    await ctx.sleep('wait', '10s')
    if (order === 'lost' && !isKnown) throw new Error('nobody knows it')
  })
  const orders = queue('orders', ship, { concurrency: 2 })
  const s = await simulated({
    app: supervisor('app', {}, [flows({ workflows: [ship], queues: [orders] })]),
  })
  await s.during(flow(s.app).addMany(orders, ['one', 'lost', 'two']))
  await s.advance(5_000)
  await s.powerCut()
  await s.start()
  await s.advance(8_000)
  expect(flow(s.app).dead(orders).entries).toMatchObject([
    { job: 'lost', tries: 1, error: { code: 'FAILED' } },
  ])
  await s.advance(12_000)
  expect(await s.during(flow(s.app).counts(orders))).toMatchObject({
    running: 0,
    ready: 0,
    dead: 1,
  })
  isKnown = true
  await s.during(flow(s.app).retry(orders, '2'))
  await s.advance(100)
  expect(runs.map((run) => run.split(' ')[0])).toEqual(['one', 'lost', 'two'])
  expect(await s.during(flow(s.app).counts(orders))).toMatchObject({
    running: 0,
    ready: 0,
    dead: 0,
  })
})

test('a dead job that runs again lets its run go on, though the shard of that is down for a while', async () => {
  let isKnown = false
  const ship = workflow('ship', async () => {
    if (!isKnown) throw new Error('nobody knows it')
  })
  const orders = queue('orders', ship)
  const w = await flowWorld([ship], { queues: [orders], options: { shards: 2 } })
  await w.during(w.flow.addMany(orders, [1, 2, 3, 4, 5, 6]))
  await w.s.advance(1_000)
  const { entities } = w.s.app[durableActors]
  const shardOf = (actor: string): number => entities.shardOf(actor).index
  const down = 1 - shardOf('$queue-orders/queue')
  const runs = w.flow.list({ type: ship }).entries
  const run = runs.find(({ id }) => shardOf(`$flow-ship/${id}`) === down)?.id ?? 'none'
  isKnown = true
  failNextSync(w.s.disk, down)
  const { store } = w.s.app
  const key = [...'abcdefgh'].find((each) => store.shardOf(each) === down) ?? ''
  expect(await w.during(codeOf(store.put(key, 1)))).toBe('UNKNOWN_OUTCOME')

  await w.during(w.flow.retry(orders, run.slice(run.lastIndexOf('/') + 1)))
  await w.s.advance(10_000)
  await w.during(w.s.app.control.reopen(down))
  await w.s.advance(10_000)
  expect(w.flow.get(ship, run)?.status).toBe('completed')
  expect(w.flow.dead(orders).entries).toHaveLength(5)
})

test('a run that its retried job lets go on, and that fails while that job is cut off, is left so', {
  tags: ['W3'],
}, async () => {
  const begun: number[] = []
  const ship = workflow('ship', (ctx, _: number) =>
    ctx.step(
      'act',
      async () => {
        begun.push(begun.length)
        await new Promise<void>((resolve) => void w.s.clock.after(10_000, resolve))
        throw new Error('nobody knows it')
      },
      { retry: { max: 1 } },
    ),
  )
  const orders = queue('orders', ship)
  const w = await flowWorld([ship], { queues: [orders] })
  await w.during(w.flow.add(orders, 1))
  await w.s.advance(20_000)
  for (const tries of [3, 5]) {
    expect(w.flow.dead(orders).entries).toHaveLength(1)
    await w.during(w.flow.retry(orders, '1'))
    await w.s.advance(1_000)
    await w.during(w.flow.pause(orders))
    await w.crash()
    // The step that was cut off runs again, and its run fails without its job.
    await w.s.advance(20_000)
    expect([begun.length, w.flow.list({ type: ship, status: 'failed' }).entries.length]).toEqual([
      ...[tries, 1],
    ])
    await w.during(w.flow.resume(orders))
    await w.s.advance(20_000)
    expect(begun).toHaveLength(tries)
  }
})

test('the job of a workflow has its place while its run is there, whatever becomes of its process', async () => {
  let [atOnce, mostAtOnce] = [0, 0]
  const ship = workflow('ship', async (ctx, _: number) => {
    await ctx.step('begin', () => {
      mostAtOnce = Math.max(mostAtOnce, ++atOnce)
    })
    await ctx.sleep('work', '10s')
    await ctx.step('end', () => void atOnce--)
  })
  const orders = queue('orders', ship, { concurrency: 1 })
  const w = await flowWorld([ship], { queues: [orders] })
  await w.during(w.flow.addMany(orders, [1, 2]))
  await w.s.advance(2_000)
  const [{ id } = { id: '' }] = w.flow.list({ type: ship }).entries
  w.s.system.kill(w.s.app.entities.holder(`$flow-ship/${id}`)?.address as never)
  await w.s.advance(60_000)

  expect([atOnce, mostAtOnce]).toEqual([0, 1])
  expect(await w.during(w.flow.counts(orders))).toMatchObject({ running: 0, ready: 0, delayed: 0 })
})

test('a blocked run has no place, nothing but an operator lets it go on, and its job ends with it', {
  tags: ['W9'],
}, async () => {
  const runs: string[] = []
  const ship = workflow('ship', async (ctx, order: string) => {
    await ctx.step('begin', () => void runs.push(order))
    if (order === 'lost')
      await ctx.step('once', () => new Promise(() => undefined), { repeat: 'once' })
  })
  const orders = queue('orders', ship, { concurrency: 1 })
  const w = await flowWorld([ship], { queues: [orders] })
  await w.during(w.flow.add(orders, 'lost'))
  await w.s.advance(1_000)
  await w.powerCut()
  await w.s.advance(5_000)
  const [{ id, status } = { id: '', status: 'none' }] = w.flow.list({ type: ship }).entries
  expect(status).toBe('blocked')
  const changes = w.flow.watch({ type: ship, id })
  const changed = changes.next()
  let hasChanged = false
  void changed.then(() => {
    hasChanged = true
  })

  await w.during(w.flow.add(orders, 'next'))
  await w.s.advance(600_000)
  expect([runs, hasChanged]).toEqual([['lost', 'next'], false])
  expect(await w.during(w.flow.counts(orders))).toMatchObject({ running: 0, delayed: 1, dead: 0 })

  await w.during(w.flow.settle(ship, id, 'once', { value: 1 }))
  await w.s.advance(60_000)
  expect(w.flow.get(ship, id)?.status).toBe('completed')
  expect(await w.during(w.flow.counts(orders))).toMatchObject({ running: 0, delayed: 0, dead: 0 })
  await changes.return?.()
})

/** A queue of runs, of which the first one is blocked. */
const blocked = async (options: QueueOptions) => {
  const runs: string[] = []
  const ship = workflow('ship', async (ctx, order: string) => {
    const act = (): unknown => {
      runs.push(order)
      return order === 'lost' ? new Promise(() => undefined) : undefined
    }
    await ctx.step('once', act, { repeat: 'once' })
    await ctx.sleep('work', '1h')
  })
  const orders = queue('orders', ship, options)
  const w = await flowWorld([ship], { queues: [orders] })
  await w.during(w.flow.add(orders, 'lost'))
  await w.s.advance(1_000)
  await w.powerCut()
  await w.s.advance(5_000)
  const run = w.flow.list({ type: ship, status: 'blocked' }).entries[0]?.id ?? ''
  return { w, ship, orders, runs, run }
}

test.for([
  ['failed', 'a decision', 'FAILED'],
  ['cancelled', 'force', 'CANCELLED'],
] as const)(
  'a blocked run is %s by %s, and not begun again by its job',
  async ([status, by, code]) => {
    const { w, ship, orders, runs, run } = await blocked({})
    if (by === 'force') await w.during(w.flow.handle(ship, run).cancel({ force: true }))
    else await w.during(w.flow.settle(ship, run, 'once', { error: new Error('declined') }))
    await w.s.advance(100_000)
    expect([w.flow.get(ship, run)?.status, runs]).toEqual([status, ['lost']])
    expect(w.flow.dead(orders).entries).toMatchObject([{ job: 'lost', error: { code } }])
  },
)

test('a rate counts a run once: looks at a blocked one, and restarts, take nothing of it', async () => {
  const { w, orders, runs } = await blocked({ rate: { max: 1, per: '10m' } })
  await w.during(w.flow.addMany(orders, ['a', 'b', 'c', 'd']))
  await w.s.advance(1_500_000)
  expect(runs).toEqual(['lost', 'a', 'b'])
  for (let restart = 0; restart < 3; restart++) await w.powerCut()
  await w.s.advance(100)
  expect(await w.during(w.flow.counts(orders))).toMatchObject({ running: 2 })
  await w.s.advance(700_000)
  expect(runs).toEqual(['lost', 'a', 'b', 'c'])
})

/** Two shards, with runs that wait in a queue, of which some are in the shard 1. `down` takes that down. */
const docked = async (options: QueueOptions) => {
  const begun: { readonly id: string; readonly at: number }[] = []
  const it = { ends: true }
  const ship = workflow(
    'ship',
    async (ctx: Ctx, _: undefined) => {
      await ctx.step('begin', () => void begun.push({ id: ctx.id, at: w.s.clock.now() }))
      if (!it.ends) await ctx.sleep('long', '1h')
    },
    { queue: 'dock' },
  )
  // Its entity is in the shard 0.
  const dock = queue('dock', options)
  const w = await flowWorld([ship], {
    queues: [dock],
    options: { shards: 2, allowDown: true },
  })
  const { entities } = w.s.app[durableActors]
  const shardOf = (actor: string): number => entities.shardOf(actor).index
  const other = shardOf('$queue-dock/queue')
  const ids = Array.from({ length: 40 }, (_, at) => `${at}`)
  const inShard = (shard: number) => ids.filter((id) => shardOf(`$flow-ship/${id}`) === shard)
  const [own, others] = [inShard(1 - other).slice(0, 3), inShard(other).slice(0, 3)]
  const down = async () => {
    failNextSync(w.s.disk, 1 - other)
    const { store } = w.s.app
    const key = [...'abcdefgh'].find((each) => store.shardOf(each) === 1 - other) ?? ''
    expect(await w.during(codeOf(store.put(key, 1)))).toBe('UNKNOWN_OUTCOME')
  }
  const reopen = () => w.during(w.s.app.control.reopen(1 - other))
  const start = (id: string) => w.during(w.flow.start(ship, undefined, { id }))
  return { w, it, begun, ship, dock, own, others, start, down, reopen }
}

test('runs that cannot begin, as their shard is down, take nothing of a rate, and keep to it later', {
  tags: ['W10'],
}, async () => {
  const rate = { max: 1, per: '10s' } as const
  const { w, begun, dock, own, others, start, down, reopen } = await docked({ rate })
  await w.during(w.flow.pause(dock))
  for (const id of [...own, ...others]) await start(id)
  await down()
  await w.during(w.flow.resume(dock))
  await w.s.advance(25_000)
  expect(begun.map(({ id }) => id)).toEqual(others)

  await w.s.advance(200_000)
  await reopen()
  await w.s.advance(200_000)
  expect(
    begun
      .slice(3)
      .map(({ id }) => id)
      .sort(),
  ).toEqual(own.toSorted())
  const gaps = begun.slice(1).map(({ at }, before) => at - (begun[before]?.at as number))
  expect(Math.min(...gaps)).toBeGreaterThanOrEqual(10_000)
})

test('a run whose shard is down keeps its place, and the health says so until it is open', async () => {
  const { w, it, begun, own, others, start, down, reopen } = await docked({ concurrency: 1 })
  it.ends = false
  const [first = '', second = ''] = [own[0], others[0]]
  await start(first)
  await w.s.advance(1_000)
  await start(second)
  const health = () => w.s.app.health().parts['queue/dock']
  expect(health()).toMatchObject({ unreachable: 0 })
  await down()
  await w.s.advance(100_000)
  expect(health()).toMatchObject({ running: 1, ready: 1, unreachable: 1 })

  await reopen()
  await w.s.advance(100_000)
  expect(health()).toMatchObject({ unreachable: 0 })
  await w.s.advance(3_600_000)
  expect(begun.map(({ id }) => id)).toEqual([first, second])
})

test('a queue whose process has ended asks its runs nothing more', async () => {
  const { w, it, dock, own, start, down, reopen } = await docked({})
  it.ends = false
  const [id = ''] = own
  await start(id)
  await w.s.advance(1_000)
  await down()
  w.s.system.kill(w.s.app.entities.holder(`$flow-ship/${id}`)?.address as never)
  await w.s.advance(30_000)
  await w.during(w.flow.pause(dock))
  w.s.system.kill(w.s.app.entities.holder('$queue-dock/queue')?.address as never)
  await w.s.advance(1_000)
  await reopen()
  await w.s.advance(5_000)
  const woken = vi.spyOn(w.s.app.entities, 'wake')
  await w.s.advance(120_000)
  expect(woken.mock.calls.filter(([kind]) => kind === '$flow-ship')).toEqual([])
})

describe('a workflow with a queue', () => {
  /** Runs of ten seconds each, and those that have begun. */
  const shipping = async (options: QueueOptions, isBlocking = false) => {
    const begun: string[] = []
    const ship = workflow(
      'ship',
      async (ctx: Ctx<{ go: number }>, _: undefined) => {
        await ctx.step('begin', () => void begun.push(ctx.id))
        await ctx.sleep('work', '10s')
        if (isBlocking)
          await ctx.step('once', () => new Promise(() => undefined), { repeat: 'once' })
      },
      { queue: 'dock' },
    )
    const dock = queue('dock', options)
    const w = await flowWorld([ship], { queues: [dock] })
    const start = (id: string, given: object = {}) =>
      w.during(w.flow.start(ship, undefined, { id, ...given }))
    const statuses = () => w.flow.list({ type: ship }).entries.map(({ status }) => status)
    return { w, ship, dock, begun, start, statuses }
  }

  test('begins its runs under the limits of that queue, by priority and key, over crashes too', {
    tags: ['W1', 'W10'],
  }, async () => {
    const { w, begun, start, statuses } = await shipping({ concurrency: 2, perKey: 1 })
    for (const id of ['1', '2']) await start(id, { key: 'ada' })
    await start('3', { key: 'bob' })
    await start('4', { priority: 5 })
    await w.s.advance(5_000)
    expect([begun, statuses()]).toEqual([
      ['1', '3'],
      ['waiting', 'waiting', 'waiting', 'waiting'],
    ])
    await w.powerCut()
    await w.s.advance(8_000)
    expect(begun).toEqual(['1', '3', '4', '2'])
    await w.s.advance(12_000)
    expect(statuses()).toEqual(['completed', 'completed', 'completed', 'completed'])
    expect((await start('1')).repeated).toBe(true)
  })

  test('has its place until its run has ended, though the process of that begins again', {
    tags: ['W10'],
  }, async () => {
    const { w, begun, start } = await shipping({ concurrency: 1 })
    for (const id of ['1', '2']) await start(id)
    for (let kill = 0; kill < 3; kill++) {
      await w.s.advance(2_000)
      w.s.system.kill(w.s.app.entities.holder('$flow-ship/1')?.address as never)
    }
    await w.s.advance(3_500)
    expect(begun).toEqual(['1'])
    await w.s.advance(20_000)
    expect(begun).toEqual(['1', '2'])
  })

  test('keeps the delay of a start, and no signal begins a run that waits', {
    tags: ['W7'],
  }, async () => {
    const { w, ship, begun, start } = await shipping({ concurrency: 1 })
    await start('late', { delay: '1m' })
    await start('first')
    const waits = await start('second')
    await w.during(waits.signal('go', 1))
    await w.s.advance(5_000)
    expect(begun).toEqual(['first'])
    await w.during(waits.cancel())
    expect(await w.during(codeOf(waits.result()))).toBe('CANCELLED')
    await w.s.advance(50_000)
    expect(begun).toEqual(['first'])
    await w.s.advance(10_000)
    expect([begun, w.status(ship, 'late')]).toEqual([['first', 'late'], 'waiting'])
  })

  test('gives the place of a blocked run back, and a retry enters the queue', async () => {
    const { w, ship, begun, start, dock } = await shipping({ concurrency: 1 }, true)
    for (const id of ['1', '2']) await start(id)
    await w.s.advance(11_000)
    await w.powerCut()
    await w.s.advance(5_000)
    expect([begun, w.status(ship, '1')]).toEqual([['1', '2'], 'blocked'])
    await w.during(w.flow.settle(ship, '1', 'once', { value: 1 }))
    await w.s.advance(100)
    expect(w.status(ship, '1')).toBe('waiting')
    expect(await w.during(w.flow.counts(dock))).toMatchObject({ running: 1, ready: 1 })
  })

  test('holds up no close', async () => {
    const { w, begun, start } = await shipping({})
    await start('1')
    await w.s.advance(100)
    const before = w.s.clock.now()
    await w.during(w.s.close())
    expect(w.s.clock.now() - before).toBeLessThan(1_000)
    await w.s.start()
    await w.s.advance(11_000)
    expect(begun).toEqual(['1'])
  })

  test('is refused without such a queue, and the queue takes no jobs', async () => {
    const { w, dock, ship } = await shipping({})
    const config = expect.objectContaining({ code: 'CONFIG' })
    expect(() => flows({ workflows: [ship] })).toThrow(config)
    expect(() => flows({ workflows: [ship], queues: [queue('dock', () => 1)] })).toThrow(config)
    expect(() => queue('dock', { concurrency: 0 })).toThrow(config)
    expect(() => queue('dock', 7 as never)).toThrow(config)
    expect(await w.during(codeOf(w.flow.add(dock, 1 as never)))).toBe('INVALID_ARGUMENT')
  })
})
