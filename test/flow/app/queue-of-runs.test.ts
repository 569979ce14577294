/** Queues whose handler is a workflow. */
import { expect, test } from 'vitest'
import { flow, flows, queue, workflow } from '../../../src/flow/index.ts'
import { supervisor } from '../../../src/index.ts'
import { simulated } from '../../support/worlds/simulated-instance.ts'

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
  expect(await s.during(flow(s.app).retry(orders, '2'))).toBe(true)
  await s.advance(100)
  expect(runs.map((run) => run.split(' ')[0])).toEqual(['one', 'lost', 'two'])
  expect(await s.during(flow(s.app).counts(orders))).toMatchObject({
    running: 0,
    ready: 0,
    dead: 0,
  })
})
