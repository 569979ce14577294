/** The past of a run: `history` of its durable actor shows the names of its steps. */
import { expect, test } from 'vitest'
import { type Ctx, flow, flows, workflow } from '../../../src/flow/index.ts'
import { supervisor } from '../../../src/index.ts'
import { causeTitle } from '../../../src/inspect/answers/turn-titles.ts'
import { simulated } from '../../support/worlds/simulated-instance.ts'

test('the turns of a run name the steps that they recorded, and the last one the end', async () => {
  const order = workflow('order', async (ctx: Ctx) => {
    await ctx.step('reserve', () => 1)
    await ctx.step(
      'charge',
      () => {
        throw new Error('no')
      },
      { retry: { max: 1 } },
    )
  })
  const s = await simulated({ app: supervisor('app', {}, [flows({ workflows: [order] })]) })
  const run = await s.during(flow(s.app).start(order, undefined, { id: '1' }))
  await s.during(run.result().catch(() => undefined))

  const { turns } = await s.during(s.app.entity('$flow-order').history('1'))

  const named = turns.flatMap(({ operations }) => operations).reverse()
  expect(named).toContain('step reserve')
  expect(named.slice(-2)).toEqual(['step charge failed', 'run failed'])
  expect(turns[0] && causeTitle(turns[0])).toBe('run failed')
})
