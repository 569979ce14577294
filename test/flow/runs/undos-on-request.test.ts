/** Undos on request, and the retries that an unfinished undo refuses. */
import { describe, expect, test } from 'vitest'
import { type Ctx, queue, workflow } from '../../../src/flow/index.ts'
import { flowWorld } from '../../support/worlds/flow-world.ts'
import { codeOf } from '../../support/worlds/simulated-instance.ts'

/** A cancelled run whose undo fails for good. */
const blockedInUndo = async () => {
  const stuck = workflow('stuck', async (ctx: Ctx<{ go: number }>) => {
    const undo = () => Promise.reject(new Error('no way back'))
    await ctx.step('a', () => 1, { undo })
    await ctx.waitFor('go')
  })
  const w = await flowWorld([stuck])
  const run = await w.during(w.flow.start(stuck, undefined, { id: '1' }))
  await w.s.advance(100)
  await w.during(run.cancel())
  await w.s.advance(3_600_000)
  expect(w.status(stuck, '1')).toBe('blocked')
  return { w, stuck, run }
}

describe('an undo on request', () => {
  const waiting = () => {
    const calls: string[] = []
    const order = workflow('order', async (ctx: Ctx<{ go: number }>) => {
      for (const step of ['reserve', 'charge'])
        await ctx.step(step, () => void calls.push(step), {
          undo: ({ key }) => void calls.push(`undo ${key.split('/').at(-1)}`),
        })
      await ctx.waitFor('go')
    })
    return { calls, order }
  }

  test('undoes the steps of a run that was cancelled by force, over a crash too', async () => {
    const { calls, order } = waiting()
    const w = await flowWorld([order])
    const run = await w.during(w.flow.start(order, undefined, { id: '1' }))
    await w.s.advance(100)
    await w.during(run.cancel({ force: true, reason: 'rain' }))
    expect(calls).toEqual(['reserve', 'charge'])

    await w.during(w.flow.undo(order, '1'))
    await w.powerCut()
    const end = await w.during(
      w.flow
        .handle(order, '1')
        .result()
        .catch((error) => error),
    )

    expect([end.code, end.cause.message]).toEqual(['CANCELLED', 'rain'])
    expect([...new Set(calls)]).toEqual(['reserve', 'charge', 'undo charge', 'undo reserve'])
    expect(w.flow.get(order, '1')).toMatchObject({ status: 'cancelled' })
  })

  test('of a run whose undos are done does none again', async () => {
    const { calls, order } = waiting()
    const w = await flowWorld([order])
    const run = await w.during(w.flow.start(order, undefined, { id: '1' }))
    await w.s.advance(100)
    await w.during(run.cancel())
    await w.during(codeOf(run.result()))
    const done = [...calls]

    await w.during(w.flow.undo(order, '1'))
    await w.during(codeOf(run.result()))

    expect(calls).toEqual(done)
    expect(w.status(order, '1')).toBe('cancelled')
  })

  test('goes on where a cancel was ended by force', async () => {
    const { w, stuck, run } = await blockedInUndo()
    await w.during(run.cancel({ force: true }))
    expect(w.status(stuck, '1')).toBe('cancelled')

    await w.during(w.flow.undo(stuck, '1'))
    expect(w.status(stuck, '1')).toBe('cancelling')
    await w.s.advance(3_600_000)

    expect(w.status(stuck, '1')).toBe('blocked')
  })

  test('is refused for a run that goes on, has completed, has failed, or has not begun', async () => {
    const { order } = waiting()
    const ends = workflow('ends', async (ctx: Ctx, fails: boolean) => {
      await ctx.step('a', () => 1)
      if (fails) throw new Error('no')
    })
    const w = await flowWorld([order, ends])
    await w.during(w.flow.start(order, undefined, { id: '1' }))
    for (const fails of [true, false]) {
      const run = await w.during(w.flow.start(ends, fails, { id: `${fails}` }))
      await w.during(codeOf(run.result()))
    }

    const codes = [
      await codeOf(w.during(w.flow.undo(order, '1'))),
      await codeOf(w.during(w.flow.undo(ends, 'false'))),
      await codeOf(w.during(w.flow.undo(ends, 'true'))),
      await codeOf(w.during(w.flow.undo(ends, 'none'))),
    ]
    expect(codes).toEqual(Array(4).fill('CONFLICT'))
  })

  test.each(['retry', 'undo'] as const)(
    'of a run that was ended by force once more, while it waited in its queue after %s, undoes its steps',
    { tags: ['W6'] },
    async (again) => {
      const calls: string[] = []
      const order = workflow(
        'order',
        async (ctx: Ctx<{ go: number }>) => {
          const undo = () => void calls.push(`undo ${ctx.id}`)
          await ctx.step('reserve', () => void calls.push(`do ${ctx.id}`), { undo })
          await ctx.waitFor('go')
        },
        { queue: 'dock' },
      )
      const w = await flowWorld([order], { queues: [queue('dock', { concurrency: 1 })] })
      const ends = (id: string) => w.during(w.flow.handle(order, id).cancel({ force: true }))
      await w.during(w.flow.start(order, undefined, { id: '1' }))
      await w.s.advance(1_000)
      await ends('1')
      await w.during(w.flow.start(order, undefined, { id: '2' }))
      await w.s.advance(1_000)
      await w.during(w.flow[again](order, '1'))
      await w.s.advance(1_000)
      expect([w.status(order, '1'), calls]).toEqual(['waiting', ['do 1', 'do 2']])
      await ends('1')
      await w.during(w.flow.undo(order, '1'))
      await ends('2')
      await w.s.advance(10_000)
      expect([w.status(order, '1'), calls]).toEqual(['cancelled', ['do 1', 'do 2', 'undo 1']])
    },
  )

  test('of a run that had not begun its body does nothing', async () => {
    const { calls, order } = waiting()
    const w = await flowWorld([order])
    const run = await w.during(w.flow.start(order, undefined, { id: '1', delay: '1h' }))
    await w.during(run.cancel({ force: true }))

    await w.during(w.flow.undo(order, '1'))
    expect(await w.during(codeOf(run.result()))).toBe('CANCELLED')

    expect(calls).toEqual([])
  })
})

describe('a retry from an operation', () => {
  test('is refused for a run that goes on, and for a blocked one whose cancel is acknowledged', async () => {
    const { w, stuck } = await blockedInUndo()
    const running = workflow('running', (ctx: Ctx<{ go: number }>) => ctx.waitFor('go'))
    const other = await flowWorld([running])
    await other.during(other.flow.start(running, undefined, { id: '1' }))
    await other.s.advance(100)

    const retry = (from: string) => w.during(w.flow.retry(stuck, '1', { from }))
    expect(await codeOf(retry('a'))).toBe('CONFLICT')
    expect(w.status(stuck, '1')).toBe('blocked')
    const live = other.flow.retry(running, '1', { from: 'go#1' })
    expect(await codeOf(other.during(live))).toBe('CONFLICT')
  })
})
