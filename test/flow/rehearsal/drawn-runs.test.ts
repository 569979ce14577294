/** Bodies that read a clock or draw: judged once more under other ones. */
import { expect, test } from 'vitest'
import { type Ctx, flow, StoredParts, workflow } from '../../../src/flow/index.ts'
import { Rehearsal } from '../../../src/flow/rehearsal/rehearsal.ts'
import { flowWorld } from '../../support/worlds/flow-world.ts'

type Body = (ctx: Ctx<{ go: undefined }>) => Promise<unknown>

const yearMs = 365 * 86_400_000

/** The findings, by a judge that has its process for itself, about a run at rest of this body, by the same body. */
const judged = async (body: Body) => {
  const order = workflow('order', body)
  const w = await flowWorld([order])
  await w.during(flow(w.s.app).start(order, undefined, { id: '1' }))
  await w.s.advance(5_000)
  const { now } = Date
  const rehearsal = new Rehearsal(w.tree([order]), w.s.system, w.s.system.clock.now(), true)
  const found = []
  for await (const lot of new StoredParts(w.s.app, 10).lots())
    found.push(...(await w.during(rehearsal.judge(lot))))
  found.push(...(await w.during(rehearsal.rest())))
  expect(Date.now).toBe(now)
  return found.map(({ level, what, reason }) => [level, what, reason])
}

test('a body that branches on the clock is named with its place, by the build that wrote the data', async () => {
  const start = Date.now()
  const found = await judged(async (ctx) => {
    await ctx.step(Date.now() - start < yearMs ? 'now' : 'later', () => 1)
    await ctx.waitFor('go')
  })

  expect(found).toEqual([
    [
      ...['acts', 'depends on the clock or on chance'],
      expect.stringMatching(/^Date\.now\(\) at \/.*drawn-runs\.test\.ts:\d+:\d+: .*DIVERGED$/),
    ],
  ])
})

test('a body that branches on a draw is named, whether its record fits now or not', async () => {
  const found = await judged(async (ctx) => {
    await ctx.step(`try-${Math.floor(Math.random() * 1e9)}`, () => 1)
    await ctx.waitFor('go')
  })

  expect(found.map(([level, what]) => [level, what])).toEqual([['blocks', 'DIVERGED']])
})

test('a body that reads the clock for what no operation depends on is no finding', async () => {
  const lines: number[] = []
  const found = await judged(async (ctx) => {
    lines.push(Date.now(), Math.random())
    await ctx.step('reserve', () => Date.now())
    await ctx.waitFor('go')
  })

  expect([found, lines.length > 2]).toEqual([[], true])
})
