/** Queries: answers from what a run has reported, without a turn of it. */
import { describe, expect, test } from 'vitest'
import { type Ctx, workflow } from '../../../src/flow/index.ts'
import { flowWorld } from '../../support/worlds/flow-world.ts'
import { codeOf } from '../../support/worlds/simulated-instance.ts'

type Report = { readonly done: number; readonly all: number }

const orders = () => {
  let bodies = 0
  const order = workflow(
    'order',
    async (ctx: Ctx<{ go: number }>, all: number) => {
      bodies++
      for (let done = 1; done <= all; done++) {
        await ctx.waitFor('go')
        ctx.report({ done, all })
      }
      return all
    },
    {
      queries: {
        left: (reported: Report | undefined) => reported && reported.all - reported.done,
        isBeyond: (reported: Report | undefined, part: number) => {
          if (part < 0) throw new RangeError(`no part ${part}`)
          return (reported?.done ?? 0) > part
        },
      },
    },
  )
  return { order, bodies: () => bodies }
}

describe('a query', () => {
  test('answers from the last report, in each status of its run, and over a power cut', async () => {
    const { order } = orders()
    const w = await flowWorld([order])
    const run = await w.during(w.flow.start(order, 2, { id: '1' }))
    const answers = [await run.query('left')]
    for (let part = 0; part < 2; part++) {
      await w.during(run.signal('go', part))
      await w.s.advance(100)
      answers.push(await run.query('left'))
    }
    await w.powerCut()
    const later = w.flow.handle(order, '1')

    expect(answers).toEqual([undefined, 1, 0])
    expect([w.status(order, '1'), await later.query('left')]).toEqual(['completed', 0])
    expect([await later.query('isBeyond', 1), await later.query('isBeyond', 2)]).toEqual([
      true,
      false,
    ])
  })

  test('wakes no run and makes no turn of it', async () => {
    const { order, bodies } = orders()
    const w = await flowWorld([order])
    const run = await w.during(w.flow.start(order, 2, { id: '1' }))
    await w.s.advance(60_000)
    const before = w.s.app.entities.holder('$flow-order/1')
    await run.query('left')
    await w.s.advance(1_000)

    expect([before, w.s.app.entities.holder('$flow-order/1')]).toEqual([undefined, undefined])
    expect(bodies()).toBe(1)
  })

  test('that throws rejects with its own error, and the run goes on', async () => {
    const { order } = orders()
    const w = await flowWorld([order])
    const run = await w.during(w.flow.start(order, 1, { id: '1' }))

    await expect(run.query('isBeyond', -1)).rejects.toThrow(new RangeError('no part -1'))
    await w.during(run.signal('go', 0))
    expect(await w.during(run.result())).toBe(1)
  })

  test('of a run that has not begun, and one that its workflow has not, are refused', async () => {
    const { order } = orders()
    const w = await flowWorld([order])
    const run = await w.during(w.flow.start(order, 1, { id: '1' }))

    expect(await codeOf(w.flow.handle(order, 'none').query('left'))).toBe('CONFLICT')
    for (const name of ['right', 'toString'])
      expect(await codeOf(run.query(name as 'left'))).toBe('INVALID_ARGUMENT')
  })

  test.each([{ left: 1 }, 'left', [undefined]])('option %j is refused', async (queries) => {
    const make = async () => workflow('odd', async () => 1, { queries: queries as never })
    expect(await codeOf(make())).toBe('CONFIG')
  })
})
