/** An outcome that its body gets before it is durable: what the body does then, and what waits. */
import { expect, test } from 'vitest'
import { type Ctx, workflow } from '../../../src/flow/index.ts'
import { flowWorld } from '../../support/worlds/flow-world.ts'

test('the last outcome of a run and its end are one turn', async () => {
  const order = workflow('order', async (ctx: Ctx, item: string) => {
    const one = await ctx.step('one', () => `${item} one`)
    await ctx.sleep('nap', 10)
    return ctx.step('two', () => `${one} two`)
  })
  const w = await flowWorld([order])
  const run = await w.during(w.flow.start(order, 'tea', { id: '1' }))
  expect(await w.during(run.result())).toBe('tea one two')
  const { turns } = await w.during(w.s.app.entity('$flow-order').history('1'))
  expect(turns.map(({ operations }) => operations).reverse()).toEqual([
    [],
    ['step one'],
    ['sleep nap'],
    ['sleep nap'],
    ['step two', 'run completed'],
  ])
})

test('what a body asks for after an outcome starts when that outcome is durable', async () => {
  const durable: string[][] = []
  const order = workflow('order', async (ctx: Ctx) => {
    const look = (): void => {
      const rows = w.flow.steps(order, '1').entries
      durable.push(rows.filter(({ outcome }) => outcome).map(({ key }) => key))
    }
    for (const key of ['a', 'b', 'c']) await ctx.step(key, look)
  })
  const w = await flowWorld([order])
  await w.during((await w.during(w.flow.start(order, undefined, { id: '1' }))).result())
  expect(durable).toEqual([[], ['a'], ['a', 'b']])
})

test('the time after an outcome is the same in a replay', async () => {
  const times: number[] = []
  const order = workflow('order', async (ctx: Ctx) => {
    await ctx.step('one', () => 1)
    times.push(ctx.now())
    await ctx.sleep('nap', '1d')
    return ctx.now()
  })
  const w = await flowWorld([order])
  await w.during(w.flow.start(order, undefined, { id: '1' }))
  await w.s.advance(1_000)
  await w.crash()
  await w.s.advance(2 * 24 * 3_600_000)
  expect(times.length).toBeGreaterThan(1)
  expect(new Set(times).size).toBe(1)
})

test('an outcome whose body ends by a failure undoes the step that it is of', async () => {
  const undone: unknown[] = []
  const order = workflow('order', async (ctx: Ctx) => {
    await ctx.step('one', () => 'cup', { undo: ({ value }) => void undone.push(value) })
    throw new Error('no tea')
  })
  const w = await flowWorld([order])
  const run = await w.during(w.flow.start(order, undefined, { id: '1' }))
  await expect(w.during(run.result())).rejects.toMatchObject({ code: 'FAILED' })
  expect(undone).toEqual(['cup'])
})

test('a cancel while the last outcome is recorded comes after it: the step is undone', async () => {
  const undone: unknown[] = []
  const order = workflow('order', async (ctx: Ctx) => {
    const undo = ({ value }: { value: unknown }) => void undone.push(value)
    const cup = async (): Promise<string> => {
      void run().cancel({ reason: 'rain' })
      return 'cup'
    }
    return ctx.step('one', cup, { undo })
  })
  const w = await flowWorld([order])
  const run = () => w.flow.handle(order, '1')
  await w.during(w.flow.start(order, undefined, { id: '1' }))
  await w.s.advance(1_000)
  expect(w.status(order, '1')).toBe('cancelled')
  expect(undone).toEqual(['cup'])
})
