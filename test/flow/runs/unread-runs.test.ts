/** A run that waits for one signal while others are unread is a trouble, with both names, and since when. */
import { expect, test } from 'vitest'
import { type Ctx, type FlowHealth, flow, workflow } from '../../../src/flow/index.ts'
import { troublesOf } from '../../../src/inspect/answers/troubles.ts'
import { flowWorld } from '../../support/worlds/flow-world.ts'

type Signals = { collected: null; fetched: null }

const order = workflow('order', (ctx: Ctx<Signals>) => ctx.waitFor('collected'))

const world = async () => {
  const w = await flowWorld([order])
  const health = () => w.s.app.health().parts.flow as FlowHealth
  return {
    ...w,
    health,
    troubles: () => troublesOf({ health: w.s.app.health(), now: w.s.clock.now() }),
  }
}

test('a signal of another name makes its run a trouble after a minute, with both names and since when', async () => {
  const w = await world()
  const run = await w.during(flow(w.s.app).start(order, undefined, { id: '1' }))
  await w.s.advance(5_000)
  await w.during(run.signal('fetched', null))
  await w.s.advance(50_000)
  expect(w.health().unread.count).toBe(0)
  await w.s.advance(60_000)

  const since = flow(w.s.app).get(order, '1')?.since
  expect(w.health().unread).toMatchObject({
    count: 1,
    first: [
      {
        ...{ run: 'order/1', waitsFor: { kind: 'signal', name: 'collected' }, since },
        unread: [{ kind: 'signal', name: 'fetched', count: 1 }],
      },
    ],
  })
  expect(w.troubles()).toMatchObject([
    {
      ...{ severity: 'warning', kind: 'unread signals', subject: 'order/1', since },
      text: 'it waits for signal collected, and has not read signal fetched',
      look: "flow.show('order', '1')",
    },
  ])

  await w.during(run.signal('fetched', null))
  await w.s.advance(60_000)
  expect(w.health().unread.first).toMatchObject([{ since, unread: [{ count: 2 }] }])
})

test('it is no trouble once the run goes on', async () => {
  const w = await world()
  const run = await w.during(flow(w.s.app).start(order, undefined, { id: '1' }))
  await w.during(run.signal('fetched', null))
  await w.s.advance(120_000)
  expect(w.health().unread.count).toBe(1)
  await w.during(run.signal('collected', null))
  await w.s.advance(1_000)
  expect(w.health().unread).toEqual({ count: 0, first: [] })
})

test('a run that rested so before the program started is one, too', async () => {
  const w = await world()
  const run = await w.during(flow(w.s.app).start(order, undefined, { id: '1' }))
  await w.during(run.signal('fetched', null))
  await w.s.advance(120_000)
  await w.crash()
  await w.s.advance(120_000)
  expect((w.s.app.health().parts.flow as FlowHealth).unread.count).toBe(1)
})
