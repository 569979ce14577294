/** The turn of the birth of a run, in which its body begins: a body that asks for nothing ends there. */
import { describe, expect, test } from 'vitest'
import { type Ctx, type FlowEvents, workflow } from '../../../src/flow/index.ts'
import { telemetry } from '../../../src/index.ts'
import { fillDisk, freeDisk } from '../../support/harm/full-disk.ts'
import { flowWorld, type Workflows } from '../../support/worlds/flow-world.ts'
import { codeOf } from '../../support/worlds/simulated-instance.ts'

/** Starts one run; answers its handle, and the statuses that its turns have led to. */
const started = async (
  body: (ctx: Ctx<{ go: number }>, input: never) => unknown,
  { input = undefined as unknown, options = {} } = {},
) => {
  const type = workflow('one', body as never, options)
  const w = await flowWorld([type] as Workflows)
  const heard: string[] = []
  for (const event of ['flow.started', 'flow.ended', 'flow.blocked'] as const)
    telemetry<FlowEvents>(w.s.system).on(event, () => void heard.push(event))
  const run = await w.during(w.flow.start(type as never, input as never, { id: '1' }))
  const turns = async (): Promise<unknown[]> => {
    const past = await w.s.during(w.s.app.entity('$flow-one').history('1'))
    return past.turns.map(({ state }) => (state as { status: string }).status).reverse()
  }
  return { w, type, run, heard, turns }
}

describe('a body that asks for nothing', () => {
  test.each([
    ['returns a value', async () => ({ a: 1 }), { a: 1 }],
    ['returns nothing', async () => undefined, undefined],
    ['is no async function', () => 7, 7],
    ['waits for promises of its own', async () => (await Promise.all([1, 2])).length, 2],
    [
      'asks for its time and its draws',
      async (ctx: Ctx) => [ctx.now() > 0, ctx.uuid().length],
      [true, 36],
    ],
  ] as const)('and %s has its run completed in one turn', async (_, body, expected) => {
    const { w, type, run, heard, turns } = await started(body as never)
    expect(w.status(type, '1')).toBe('completed')
    expect(await w.during(run.result())).toEqual(expected)
    expect(await turns()).toEqual(['completed'])
    expect(heard).toEqual(['flow.started', 'flow.ended'])
    await w.crash()
    expect(await w.during(w.flow.handle(type, '1').result())).toEqual(expected)
  })

  test.each([
    ['rejects', async () => Promise.reject(new Error('no'))],
    [
      'throws',
      () => {
        throw new Error('no')
      },
    ],
  ])('and %s has its run failed in one turn', async (_, body) => {
    const { w, run, heard, turns } = await started(body)
    expect(await w.during(run.result().catch(({ message }) => message))).toContain('no')
    expect(await turns()).toEqual(['failed'])
    expect(heard).toEqual(['flow.started', 'flow.ended'])
  })

  test('and fails is tried again as its workflow says', async () => {
    let tries = 0
    const body = async () => {
      if (++tries < 3) throw new Error('not yet')
      return tries
    }
    const { w, run, heard } = await started(body, { options: { retry: { max: 3 } } })
    expect(await w.during(run.result())).toBe(3)
    expect(heard).toEqual(['flow.started', 'flow.ended'])
  })

  test('and has failed can be retried before its result is asked for', async () => {
    let isBroken = true
    const body = async () => {
      if (isBroken) throw new Error('no')
      return 1
    }
    const { w, type, run } = await started(body)
    isBroken = false
    await w.during(w.flow.retry(type, '1'))
    expect(await w.during(run.result())).toBe(1)
  })

  test('gives each result a value of its own', async () => {
    const { w, run } = await started(async () => ({ list: [1] }))
    for (const _ of [1, 2, 3]) {
      const { list } = (await w.during(run.result())) as { list: number[] }
      expect(list).toEqual([1])
      list.push(2)
    }
  })

  test('keeps the progress that it reported', async () => {
    const { w, type, run } = await started(async (ctx) => ctx.report(5))
    await w.during(run.result())
    expect(w.flow.get(type as never, '1')?.progress).toBe(5)
  })

  test('and begins again has its next body after that', async () => {
    const body = async (ctx: Ctx, n: number) => (n < 3 ? ctx.again(n + 1) : n)
    const { w, run } = await started(body as never, { input: 0 })
    expect(await w.during(run.result())).toBe(3)
  })

  test('and begins again at once has one body after each', async () => {
    const body = (ctx: Ctx, n: number) => (n < 4 ? ctx.again(n + 1) : ctx.step('last', () => n))
    const { w, run } = await started(body as never, { input: 0 })
    expect(await w.during(run.result())).toBe(4)
    const state = w.s.app.entity('$flow-one').state('1')
    expect(state).toMatchObject({ lap: 4, round: 4, operations: 1 })
  })

  test('and returns a long value writes it in a turn of its own', async () => {
    const long = 'x'.repeat(20_000)
    const { w, run, turns } = await started(async () => long)
    expect(await w.during(run.result())).toBe(long)
    expect(await turns()).toEqual(['running', 'completed'])
  })

  test('and returns what cannot be stored is blocked, and its start is answered', async () => {
    const { w, type, run } = await started(async () => [undefined])
    expect(await w.during(codeOf(run.result()))).toBe('BLOCKED')
    expect(w.status(type, '1')).toBe('blocked')
  })

  test('has no deadline left, and its parent its end', async () => {
    const child = workflow('child', async (_: Ctx, n: number) => n + 1, { deadline: '1m' })
    const parent = workflow('parent', (ctx: Ctx, n: number) =>
      ctx.child('one', child, n, { id: 'c' }),
    )
    const w = await flowWorld([child, parent])
    const run = await w.during(w.flow.start(parent, 1, { id: 'p' }))
    expect(await w.during(run.result())).toBe(2)
    await w.s.advance(120_000)
    expect(w.status(child, 'c')).toBe('completed')
    expect(await w.s.app.entity('$flow-child').alarms()).toEqual([])
  })
})

test('a body that waits for something else begins in that turn, and goes on after it', async () => {
  let open = (_: number): void => undefined
  const opened = new Promise<number>((resolve) => {
    open = resolve
  })
  const { w, type, run, heard, turns } = await started(() => opened)
  expect(w.status(type, '1')).toBe('running')
  open(3)
  expect(await w.during(run.result())).toBe(3)
  expect(await turns()).toEqual(['running', 'completed'])
  expect(heard).toEqual(['flow.started', 'flow.ended'])
})

test('no step begins before the birth is durable', async () => {
  const seen: unknown[] = []
  const steps = workflow('steps', async (ctx: Ctx) => {
    seen.push('body')
    return ctx.step(
      'a',
      () => void seen.push(w.s.app.entity('$flow-steps').state('1') !== undefined),
    )
  })
  const w = await flowWorld([steps], { options: { syncMs: 7 } })
  const run = w.flow.start(steps, undefined, { id: '1' })
  await w.s.advance(5)
  expect(seen).toEqual(['body'])
  await w.during((await w.during(run)).result())
  expect(seen).toEqual(['body', true])
})

test('a birth that is refused leaves nothing: neither a run, nor an event, nor a step', async () => {
  const seen: string[] = []
  const ends = workflow('ends', async () => 1)
  const steps = workflow('steps', (ctx: Ctx) => ctx.step('a', () => void seen.push('a')))
  const w = await flowWorld([ends, steps])
  for (const event of ['flow.started', 'flow.ended'] as const)
    telemetry<FlowEvents>(w.s.system).on(event, ({ type }) => void seen.push(`${event} ${type}`))
  await fillDisk(w.s)
  for (const type of [ends, steps]) {
    expect(await w.during(codeOf(w.flow.start(type as typeof ends, undefined, { id: '1' })))).toBe(
      'NO_SPACE',
    )
    expect([seen, w.status(type, '1')]).toEqual([[], undefined])
  }
  freeDisk(w.s)
  for (const type of [ends, steps])
    await w.during(
      (await w.during(w.flow.start(type as typeof ends, undefined, { id: '1' }))).result(),
    )
  expect(seen.sort()).toEqual([
    'a',
    'flow.ended ends',
    'flow.ended steps',
    'flow.started ends',
    'flow.started steps',
  ])
})

test('a run leaves memory with a birth that ended it', async () => {
  const { w, type } = await started(async () => 1)
  await w.s.advance(10)
  expect([w.status(type, '1'), w.s.app.entities.holder('$flow-one/1')]).toEqual([
    'completed',
    undefined,
  ])
})
