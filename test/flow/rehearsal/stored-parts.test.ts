/** The lots in which a rehearsal reads stored actors. */
import { expect, test } from 'vitest'
import { type Ctx, StoredParts, workflow } from '../../../src/flow/index.ts'
import { flowWorld } from '../../support/worlds/flow-world.ts'

const order = workflow('order', async (ctx: Ctx<{ go: string }>, bytes: number) => {
  await ctx.step('long', () => 'x'.repeat(bytes))
  if (bytes > 0) await ctx.waitFor('go')
})

const lotsOf = async (runs: readonly number[], endedMax = 1_000) => {
  const w = await flowWorld([order])
  for (const [at, bytes] of runs.entries()) {
    await w.during(w.flow.start(order, bytes, { id: String(at) }))
    await w.s.advance(1_000)
  }
  const parts = new StoredParts(w.s.app, endedMax)
  const lots: string[][] = []
  const read = async () => {
    for await (const lot of parts.lots())
      lots.push(lot.filter(({ run }) => run).map(({ id }) => id))
  }
  await w.during(read())
  return { lots, facts: parts.facts }
}

test('a lot has long outcomes of a few MB, so that memory does not grow with the runs', {
  tags: ['RE6'],
}, async () => {
  const { lots } = await lotsOf(Array.from({ length: 20 }, () => 900_000))

  expect(lots.flat().length).toBe(20)
  expect(Math.max(...lots.map(({ length }) => length))).toBeLessThan(12)
})

test('of ended runs the newest are read, and the others are counted', {
  tags: ['RE8'],
}, async () => {
  const { lots, facts } = await lotsOf([0, 0, 0, 0, 0], 2)

  expect([lots.flat().sort(), facts.left]).toEqual([['3', '4'], 3])
  expect(facts.ended.map(([name, status, , count]) => [name, status, count])).toEqual([
    ['order', 'completed', 5],
  ])
})
