/** Replays: what a body gets again, changes of a body, and the next body. */
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import {
  type Ctx,
  type FlowEvents,
  type WorkflowOptions,
  workflow,
} from '../../../src/flow/index.ts'
import { type KeelsonError, telemetry } from '../../../src/index.ts'
import { flowWorld } from '../../support/worlds/flow-world.ts'
import { codeOf } from '../../support/worlds/simulated-instance.ts'

/** A workflow `w` with this body. */
const of = (
  body: (ctx: Ctx<{ go: undefined }>, input: number) => Promise<unknown>,
  options: WorkflowOptions = {},
) => workflow('w', body, options)

/** Starts the run `1`, and lets it come to its sleep of a minute. */
const paused = async (type: ReturnType<typeof of>, input = 0) => {
  const w = await flowWorld([type])
  await w.during(w.flow.start(type, input, { id: '1' }))
  await w.s.advance(1_000)
  return w
}

type World = Awaited<ReturnType<typeof paused>>

const resultOf = (w: World, type: ReturnType<typeof of>): Promise<unknown> =>
  w.during(w.flow.handle(type, '1').result({ timeoutMs: 1_000_000 }))

const errorOf = (w: World, type: ReturnType<typeof of>): Promise<KeelsonError> =>
  resultOf(w, type).then(
    () => Promise.reject(new Error('the run has completed')),
    (error) => error,
  )

const causeOf = ({ cause }: KeelsonError): string => (cause as KeelsonError).code

describe('a replay', () => {
  test('gives the same times, numbers and identities', { tags: ['W2'] }, async () => {
    const seen: unknown[][] = []
    const draws = of(async (ctx) => {
      const drawn: unknown[] = [ctx.now(), ctx.random(), ctx.uuid()]
      seen.push(drawn)
      await ctx.step('a', () => 1)
      drawn.push(ctx.now(), ctx.random(), ctx.uuid())
      await ctx.sleep('pause', '1m')
      return [ctx.now(), ctx.random(), ctx.uuid(), ctx.id]
    })
    const w = await paused(draws)
    await w.crash()
    const result = await resultOf(w, draws)

    expect(seen.length).toBeGreaterThan(1)
    expect(new Set(seen.map((each) => JSON.stringify(each))).size).toBe(1)
    expect(new Set([...(seen[0] ?? []), ...(result as unknown[])]).size).toBe(10)
    expect((seen[0] as string[])[2]).toMatch(
      /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
    )
  })

  test('gives a branch that was left nothing more, as in the first life', {
    tags: ['W2'],
  }, async () => {
    const seen: string[] = []
    const branches = workflow(
      'w',
      async (ctx: Ctx) => {
        await ctx.step('undone', () => 1, { undo: () => new Promise(() => undefined) })
        await ctx.all('outer', [
          async (outer: Ctx) => {
            const inner = (own: Ctx) => own.step('slow', () => new Promise(() => undefined))
            await outer.all('inner', [inner], { onFailure: 'collect' })
            await outer.step('late', () => 1).catch(({ code }) => seen.push(code))
          },
          (outer: Ctx) => outer.step('fails', () => Promise.reject(new Error('no'))),
        ] as never)
      },
      { stepDefaults: { retry: { max: 1 } } },
    )
    const w = await flowWorld([branches])
    await w.during(w.flow.start(branches, undefined, { id: '1' }))
    await w.s.advance(1_000)
    await w.crash()
    await w.s.advance(1_000)
    expect(seen).toEqual([])
  })

  test('of a version that is gone blocks its run, and goes on with a previous body', {
    tags: ['W12'],
  }, async () => {
    const first = of(async (ctx) => {
      await ctx.sleep('pause', '1m')
      return 'first'
    })
    const second = of(async () => 'second', { version: 2 })
    const both = of(async () => 'second', { version: 2, previous: { 1: first.body } })
    const w = await paused(first)
    await w.crash([second])
    const error = await errorOf(w, second)
    expect(causeOf(error)).toBe('UNSUPPORTED_VERSION')

    await w.crash([both])
    await w.s.advance(1_000)
    expect(await resultOf(w, both)).toBe('first')
    const run = await w.during(w.flow.start(both, 1, { id: '2' }))
    expect(await w.during(run.result())).toBe('second')
  })

  test('goes the way of a change only in runs that were not beyond it', async () => {
    const log: string[] = []
    const body = (isChanged: boolean) =>
      of(async (ctx, pauseFirst) => {
        if (pauseFirst) await ctx.sleep('first', '1m')
        const isNew = isChanged && ctx.patched('greeting')
        log.push(await ctx.step(isNew ? 'new' : 'old', () => (isNew ? 'new' : 'old')))
        await ctx.sleep('pause', '1m')
        return isChanged ? [isNew, ctx.patched('greeting')] : []
      })
    const w = await flowWorld([body(false)])
    const [before, after] = [body(false), body(true)]
    for (const [id, input] of [
      ['beyond', 0],
      ['before', 1],
    ] as const)
      await w.during(w.flow.start(before, input, { id }))
    await w.s.advance(1_000)
    await w.crash([after])
    await w.during(w.flow.start(after, 0, { id: 'later' }))
    await w.s.advance(70_000)
    await w.crash([after])
    const result = (id: string) => w.during(w.flow.handle(after, id).result({ timeoutMs: 200_000 }))

    expect(await result('beyond')).toEqual([false, false])
    expect(await result('before')).toEqual([true, true])
    expect(await result('later')).toEqual([true, true])
  })
})

describe('a replay after a crash between an outcome and what the body does next', () => {
  /** Ends the process of the run when this operation has its outcome, before the body gets it. */
  const killedAt = ({ s }: World, key: string): void => {
    let isDone = false
    telemetry<FlowEvents>(s.system).on('flow.step', (step) => {
      if (isDone || step.key !== key) return
      isDone = true
      s.system.kill(s.app.entities.holder(`$flow-${step.type}/${step.id}`)?.address as never)
    })
  }

  test('records its report', async () => {
    let lives = 0
    const reports = of(async (ctx) => {
      lives++
      await ctx.step('a', () => 1)
      ctx.report('after a')
      await ctx.waitFor('go')
    })
    const w = await flowWorld([reports])
    killedAt(w, 'a')
    await w.during(w.flow.start(reports, 0, { id: '1' }))
    await w.s.advance(10_000)
    expect([lives, w.flow.get(reports, '1')?.progress]).toEqual([2, 'after a'])
  })

  test('cancels the child that it lets go', { tags: ['W9'] }, async () => {
    const nap = workflow('nap', (ctx: Ctx) => ctx.sleep('nap', '1h'))
    const races = of(async (ctx) => {
      const quick = () => new Promise<void>((resolve) => void w.s.clock.after(1_000, resolve))
      const branches = [
        (own: Ctx) => own.child('nap', nap, undefined, { id: 'n' }),
        (own: Ctx) => own.step('quick', quick),
      ]
      await ctx.all('race', branches, { wait: 'any' })
      await ctx.waitFor('go')
    })
    const w = await flowWorld([nap, races])
    killedAt(w, 'race/1/quick')
    await w.during(w.flow.start(races, 0, { id: '1' }))
    await w.s.advance(900)
    expect(w.status(nap, 'n')).toBe('running')
    await w.s.advance(10_000)
    expect(w.status(nap, 'n')).toBe('cancelled')
  })

  test('goes the way of the step that was cut off, though the body has changed', {
    tags: ['W3'],
  }, async () => {
    const begun: string[] = []
    const body = (isChanged: boolean) =>
      of(async (ctx) => {
        await ctx.step('first', () => 1)
        const key = isChanged && ctx.patched('change') ? 'new' : 'old'
        const hangs = new Promise(() => undefined)
        await ctx.step(key, () => (begun.push(key) === 1 ? hangs : 1))
      })
    const w = await paused(body(false))
    await w.crash([body(true)])
    await resultOf(w, body(true))
    expect(begun).toEqual(['old', 'old'])
  })
})

describe('again', () => {
  test('begins the body with another input, under new keys and without its record', {
    tags: ['W3', 'W11'],
  }, async () => {
    const keys: string[] = []
    const counts = of(async (ctx, n) => {
      await ctx.step('count', ({ key }) => keys.push(key))
      if (n === 1) await ctx.waitFor('go')
      if (n < 3) ctx.again(n + 1)
      await ctx.sleep('pause', '1m')
      return n
    })
    const w = await paused(counts)
    await w.crash()
    await w.during(w.flow.handle(counts, '1').signal('go', undefined))
    await w.s.advance(10_000)
    await w.crash()

    expect(await resultOf(w, counts)).toBe(3)
    expect(new Set(keys).size).toBe(4)
    const rows = w.s.app
      .entity('$flow-w')
      .rows('1')
      .range()
      .entries.map(([key]) => key)
    expect(rows.filter((key) => key.startsWith('op/'))).toHaveLength(2)
    const repeated = await w.during(w.flow.start(counts, 0, { id: '1' }))
    expect(repeated.repeated).toBe(true)
  })

  test('leaves nothing of a body behind, however often it begins', async () => {
    const laps = of(async (ctx, n) => {
      await ctx.step('look', () => 1)
      if (n < 50) ctx.again(n + 1)
    })
    const w = await flowWorld([laps])
    const added = vi.spyOn(AbortSignal.prototype, 'addEventListener')
    onTestFinished(() => void vi.restoreAllMocks())
    await w.during(w.flow.start(laps, 0, { id: '1' }))
    await resultOf(w, laps)
    expect(added.mock.calls.length).toBeLessThan(10)
  })
})

test.each([
  ['catches it', async () => 'kept'],
  ['throws another error', () => Promise.reject(new Error('other'))],
  ['never ends', () => new Promise(() => undefined)],
])('`again` holds for a body that %s', async (_, end) => {
  const heard: unknown[] = []
  const twice = of(async (ctx, n) => {
    await ctx.step('a', () => n)
    if (n === 1) return 'second'
    try {
      return ctx.again(1)
    } catch (error) {
      heard.push(error instanceof Error, await codeOf(ctx.sleep('late', '1s')))
      return end()
    }
  })
  const w = await flowWorld([twice])
  const run = await w.during(w.flow.start(twice, 0, { id: '1' }))

  expect(await w.during(run.result())).toBe('second')
  expect(heard).toEqual([true, 'CLOSED'])
})

test('an operation in the function of a step is refused in the first life', async () => {
  const asks: ((ctx: Ctx) => unknown)[] = [
    ...[(ctx: Ctx) => ctx.step('b', () => 1), (ctx: Ctx) => ctx.sleep('b', 1)],
    ...[(ctx: Ctx) => ctx.uuid(), (ctx: Ctx) => ctx.patched('b'), (ctx: Ctx) => ctx.again(1)],
  ]
  const codes: unknown[] = []
  const nested = of(async (ctx) => {
    for (const [at, ask] of asks.entries())
      codes.push(await codeOf(ctx.step(`a${at}`, async () => ask(ctx), { retry: { max: 1 } })))
    const beside = [ctx.step('c', async () => 1), ctx.step('d', async () => 2)]
    return Promise.all(beside)
  })
  const w = await flowWorld([nested])
  const run = await w.during(w.flow.start(nested, 0, { id: '1' }))

  expect(await w.during(run.result())).toEqual([1, 2])
  expect(codes).toEqual(asks.map(() => 'INVALID_ARGUMENT'))
})

test('a body that has ended reports, draws and begins nothing more', async () => {
  const kept: Ctx[] = []
  const ended = of(async (ctx) => {
    kept.push(ctx)
    ctx.report('inside')
  })
  const w = await flowWorld([ended])
  const run = await w.during(w.flow.start(ended, 0, { id: '1' }))
  await w.during(run.result())
  const asks: ((ctx: Ctx) => unknown)[] = [
    ...[(ctx: Ctx) => ctx.now(), (ctx: Ctx) => ctx.random(), (ctx: Ctx) => ctx.uuid()],
    ...[(ctx: Ctx) => ctx.report(1), (ctx: Ctx) => ctx.patched('b'), (ctx: Ctx) => ctx.again(1)],
    (ctx) => ctx.step('late', () => 1),
  ]
  for (const ask of asks) expect(await codeOf((async () => ask(kept[0] as Ctx))())).toBe('CLOSED')
  expect(w.flow.get(ended, '1')).toMatchObject({ status: 'completed', progress: 'inside' })
})

describe('a run', () => {
  test('has at most 10,000 operations, and as many as its type says', async () => {
    const many = of(
      async (ctx, n) => {
        for (let at = 0; at < n; at++) await ctx.step(`${at}`, () => at)
        return 'done'
      },
      { stepsMax: 5 },
    )
    const w = await flowWorld([many])
    const results = []
    for (const n of [5, 6]) {
      const run = await w.during(w.flow.start(many, n, { id: `${n}` }))
      results.push(await w.during(run.result().catch((error) => error.cause.code)))
    }

    expect(results).toEqual(['done', 'TOO_MANY_STEPS'])
  })

  test('has at most 1,000 operations in flight', async () => {
    const wide = of(async (ctx) => {
      const waits = Array.from({ length: 1_001 }, (_, at) => ctx.sleep(`${at}`, '1h'))
      return codeOf(Promise.race(waits))
    })
    const w = await flowWorld([wide])
    const run = await w.during(w.flow.start(wide, 0, { id: '1' }))

    expect(await w.during(run.result())).toBe('BUSY')
  })
})
