/**
 * Changed bodies judged on runs that rest, each beside what a real deploy does to the same run. The
 * bodies are planted: every one acts otherwise than the body that the run began with.
 */
import { describe, expect, test } from 'vitest'
import type { ReadRows, Verdict } from '../../../src/actors/index.ts'
import { KeelsonError } from '../../../src/errors.ts'
import { type Ctx, workflow } from '../../../src/flow/index.ts'
import { RunJudge } from '../../../src/flow/judging/run-judge.ts'
import { recordIn } from '../../../src/flow/judging/stored-run.ts'
import type { RunState } from '../../../src/flow/runs/record.ts'
import { storedRun, wholeRun } from '../../../src/flow/runs/replaying.ts'
import { flowWorld } from '../../support/worlds/flow-world.ts'

type Own = Ctx<{ approval: string; confirmed: string }>
type Body = (ctx: Own) => Promise<unknown>
type World = Awaited<ReturnType<typeof flowWorld>>
type Deployed = ReturnType<typeof of>

const child = workflow('child', async (ctx: Ctx<{ grow: string }>) => ctx.waitFor('grow'))
const other = workflow('other', async () => 'another')

/** The functions of steps that have run. */
const begun: string[] = []
const step = (ctx: Pick<Own, 'step'>, key: string, value: unknown = key): Promise<unknown> =>
  ctx.step(key, () => {
    begun.push(key)
    return value
  })

const of = (body: Body, options: Parameters<typeof workflow>[2] = {}) =>
  workflow('order', (ctx: Own) => body(ctx), options)

const original: Body = async (ctx) => {
  await step(ctx, 'reserve')
  await step(ctx, 'charge')
  const got = await ctx.waitFor('approval')
  await step(ctx, 'send')
  return got
}

const withChild: Body = async (ctx) => {
  await step(ctx, 'reserve')
  return ctx.child('grown', child, undefined)
}

const inBranches: Body = async (ctx) => {
  await ctx.all('both', [(own: Own) => step(own, 'a'), (own: Own) => step(own, 'b')])
  return ctx.waitFor('approval')
}

const day = async (ctx: Own): Promise<string> => {
  await ctx.sleep('day', 86_400_000)
  return 'over'
}

const twoWaits: Body = async (ctx) => {
  await step(ctx, 'reserve')
  await ctx.all('both', [
    (own: Own) => own.waitFor('approval'),
    (own: Own) => own.waitFor('confirmed'),
    day,
  ])
}

const manyWaits: Body = async (ctx) => {
  const names = Array.from({ length: 20 }, (_, at) => `signal-${at}`)
  await Promise.all(names.map((name) => ctx.waitFor(name as 'approval')))
}

const retries: Body = async (ctx) => {
  await ctx.step('call', () => Promise.reject(new Error('away')), {
    retry: { max: 10, baseMs: 60_000, maxMs: 60_000 },
  })
}

/** Lets a run of this body come to rest. */
const rested = async (before: Deployed): Promise<World> => {
  const w = await flowWorld([before, child, other])
  await w.during(w.flow.start(before, undefined, { id: '1' }))
  await w.s.advance(5_000)
  expect(w.status(before, '1')).toBe('waiting')
  return w
}

/** The verdicts about the run with this id, by the judge of a program with `after`. */
const judged = async (w: World, after: Deployed): Promise<readonly Verdict[]> => {
  const handle = w.s.app.entity('$flow-order')
  const loaded = await wholeRun(storedRun(handle.state('1') as RunState, handle.rows('1')))
  const found: Verdict[] = []
  const judge = new RunJudge(w.s.system, (_, __, verdict) => found.push(verdict))
  const before = begun.length
  await w.during(judge.judge(after, [{ id: '1', loaded }]))
  await w.during(judge.rest())
  expect(begun.slice(before)).toEqual([])
  return found
}

/** What a real deploy comes to: the status of the run a while after it was woken. */
const woken = async (w: World, after: Deployed): Promise<string | undefined> => {
  await w.crash([after, child, other])
  const signal = w.flow.handle(after, '1').signal('approval' as never, 'yes' as never)
  await w.during(signal.catch(() => undefined))
  await w.s.advance(30_000)
  return w.status(after, '1')
}

const blocking: Readonly<Record<string, readonly [before: Body, after: Body, code: string]>> = {
  'a step that was removed': [
    original,
    async (ctx) => {
      await step(ctx, 'reserve')
      return ctx.waitFor('approval')
    },
    'DIVERGED',
  ],
  'a step that was renamed': [
    original,
    async (ctx) => {
      await step(ctx, 'reserve')
      await step(ctx, 'bill')
      return ctx.waitFor('approval')
    },
    'DIVERGED',
  ],
  'a step that was inserted before others': [
    original,
    async (ctx) => {
      await step(ctx, 'check')
      return original(ctx)
    },
    'DIVERGED',
  ],
  'steps in another order': [
    original,
    async (ctx) => {
      await step(ctx, 'charge')
      await step(ctx, 'reserve')
      return ctx.waitFor('approval')
    },
    'DIVERGED',
  ],
  'a step that moved between branches': [
    inBranches,
    async (ctx) => {
      await ctx.all('both', [(own: Own) => step(own, 'b'), (own: Own) => step(own, 'a')])
      return ctx.waitFor('approval')
    },
    'DIVERGED',
  ],
  'a step that became a sleep': [
    original,
    async (ctx) => {
      await ctx.sleep('reserve', 1)
      return ctx.waitFor('approval')
    },
    'DIVERGED',
  ],
  'a child of another workflow': [
    withChild,
    async (ctx) => {
      await step(ctx, 'reserve')
      return ctx.child('grown', other, undefined)
    },
    'DIVERGED',
  ],
  'an end before the record is over': [original, async (ctx) => step(ctx, 'reserve'), 'DIVERGED'],
  'an error that no body handles before the record is over': [
    original,
    async () => {
      throw new Error('a mistake')
    },
    'DIVERGED',
  ],
}

describe.each(Object.entries(blocking))('%s', (_, [before, after, code]) => {
  test('is found, as a real deploy blocks the run when it wakes', { tags: ['RE4'] }, async () => {
    const w = await rested(of(before))
    const found = await judged(w, of(after))

    expect(found).toMatchObject([{ level: 'blocks', what: code }])
    if (before !== withChild) expect(await woken(w, of(after))).toBe('blocked')
  })
})

const acting: Readonly<Record<string, readonly [before: Body, after: Body, what: string, RegExp]>> =
  {
    'a wait for another signal': [
      original,
      async (ctx) => {
        await step(ctx, 'reserve')
        await step(ctx, 'charge')
        return ctx.waitFor('confirmed')
      },
      'would wait otherwise',
      /waits for the signal approval, and would wait for the signal confirmed/,
    ],
    'one of several waits that is gone': [
      twoWaits,
      async (ctx) => {
        await step(ctx, 'reserve')
        await ctx.all('both', [
          (own: Own) => own.waitFor('approval'),
          (own: Own) => own.waitFor('approval', { key: 'again' }),
          day,
        ])
      },
      'would wait otherwise',
      /waits for the timer .*day and the signal approval and the signal confirmed, and would wait for/,
    ],
    'a step beside several waits': [
      twoWaits,
      async (ctx) => {
        await step(ctx, 'reserve')
        await ctx.all('both', [
          (own: Own) => own.waitFor('approval'),
          (own: Own) => own.waitFor('confirmed'),
          day,
          async (own: Own) => String(await step(own, 'inform')),
        ])
      },
      'would begin more',
      /would begin step .*inform/,
    ],
    'a step before the wait': [
      original,
      async (ctx) => {
        await step(ctx, 'reserve')
        await step(ctx, 'charge')
        await step(ctx, 'inform')
        return ctx.waitFor('approval')
      },
      'would begin more',
      /would begin step inform/,
    ],
    'an end in place of the wait': [
      original,
      async (ctx) => {
        await step(ctx, 'reserve')
        await step(ctx, 'charge')
      },
      'would end',
      /waits for the signal approval, and would complete instead/,
    ],
    'fewer tries': [
      retries,
      async (ctx) =>
        void (await ctx.step('call', () => Promise.reject(new Error('away')), {
          retry: { max: 1 },
        })),
      'has no try left',
      /call has failed 1 times/,
    ],
    'a wait for something else than ctx': [
      original,
      async (ctx) => {
        await step(ctx, 'reserve')
        await step(ctx, 'charge')
        await new Promise(() => undefined)
      },
      'would wait otherwise',
      /would wait for nothing of `ctx`/,
    ],
  }

describe.each(Object.entries(acting))('%s', (_, [before, after, what, reason]) => {
  test('is found, though no wake would block the run', async () => {
    const w = await rested(of(before))

    const found = await judged(w, of(after))

    expect(found).toEqual([
      { level: 'acts', what, reason: expect.stringMatching(reason), fix: expect.any(String) },
    ])
    expect(await woken(w, of(after))).not.toBe('blocked')
  })
})

test.each([
  ['steps and a wait', original],
  ['a child', withChild],
  ['branches', inBranches],
  ['two waits and a timer', twoWaits],
  ['more waits than its row names', manyWaits],
  ['a step that is tried again', retries],
])('the body that wrote a run with %s finds nothing', { tags: ['RE3'] }, async (_, body) => {
  const w = await rested(of(body))

  expect(await judged(w, of(body))).toEqual([])
})

test('fewer tries are found also while the row of a run does not say yet that it waits', async () => {
  const w = await flowWorld([of(retries)])
  await w.during(w.flow.start(of(retries), undefined, { id: '1' }))
  await w.s.advance(500)
  const fewer = of(async (ctx) =>
    ctx.step('call', () => Promise.reject(new Error('away')), { retry: { max: 1 } }),
  )

  expect((await w.during(w.flow.read('get', of(retries), '1')))?.status).toBe('running')
  expect(await judged(w, of(retries))).toEqual([])
  expect(await judged(w, fewer)).toMatchObject([{ level: 'acts', what: 'has no try left' }])
})

test('a version without a body is found, as the wake blocks the run', async () => {
  const w = await rested(of(original))
  const after = of(original, { version: 2 })

  expect(await judged(w, after)).toMatchObject([{ level: 'blocks', what: 'UNSUPPORTED_VERSION' }])
  expect(await woken(w, after)).toBe('blocked')
})

test('a change that asks `patched` finds nothing, and the old body stays under `previous`', async () => {
  const w = await rested(of(original))
  const patched = of(async (ctx) => {
    if (ctx.patched('inform')) await step(ctx, 'inform')
    return original(ctx)
  })
  const versioned = of(async (ctx) => ctx.waitFor('confirmed'), {
    version: 2,
    previous: { 1: original as never },
  })

  expect(await judged(w, patched)).toEqual([])
  expect(await judged(w, versioned)).toEqual([])
})

test('a run that has ended tells what its body would do after the place where others wait', async () => {
  const w = await rested(of(original))
  const handle = w.flow.handle(of(original), '1')
  await w.during(handle.signal('approval', 'yes'))
  await w.during(handle.result())
  const later = of(async (ctx) => {
    await step(ctx, 'reserve')
    await step(ctx, 'charge')
    await ctx.waitFor('approval')
    await step(ctx, 'pack')
  })

  expect(await judged(w, of(original))).toEqual([])
  expect(await judged(w, later)).toMatchObject([{ level: 'acts', what: 'ended, and DIVERGED' }])
})

test('a body that stood still and went on is found again, and noted', async () => {
  const w = await rested(of(original))
  const slow = of(async (ctx) => {
    await new Promise<void>((resolve) => void w.s.clock.after(1_000, resolve))
    return original(ctx)
  })

  expect(await judged(w, slow)).toMatchObject([
    { level: 'notes', what: 'awaits something else than ctx' },
  ])
})

const race: Body = async (ctx) => {
  await Promise.race([ctx.waitFor('approval'), ctx.waitFor('confirmed')])
}

test('a further wait is a note', async () => {
  const w = await rested(of(original))
  const more = of(async (ctx) => {
    await step(ctx, 'reserve')
    await step(ctx, 'charge')
    await race(ctx)
  })

  expect(await judged(w, more)).toMatchObject([
    {
      level: 'notes',
      what: 'would wait for more',
      reason: expect.stringMatching(/signal approval and the signal confi/),
    },
  ])
})

test('the row of a run at rest names one wait as before, and several up to 16', async () => {
  const waitsOf = async (body: Body) => {
    const w = await rested(of(body))
    return (w.s.app.entity('$flow-order').state('1') as RunState).waitsFor
  }

  expect(await waitsOf(original)).toEqual({ kind: 'signal', name: 'approval' })
  expect(await waitsOf(race)).toEqual({
    kind: 'signal',
    name: 'approval',
    others: [{ kind: 'signal', name: 'confirmed' }],
  })
  expect((await waitsOf(manyWaits))?.others).toHaveLength(15)
})

test('a row of an earlier build, which names one of several waits, is judged by that one', async () => {
  const w = await rested(of(race))
  const handle = w.s.app.entity('$flow-order')
  const { waitsFor: _, ...state } = handle.state('1') as RunState
  const early = { ...state, waitsFor: { kind: 'signal', name: 'approval' } } as const
  const loaded = await wholeRun(storedRun(early, handle.rows('1')))
  const judges = async (body: Body) => {
    const found: Verdict[] = []
    const judge = new RunJudge(w.s.system, (_, __, verdict) => found.push(verdict))
    await w.during(judge.judge(of(body), [{ id: '1', loaded }]))
    return found.map(({ level, what }) => [level, what])
  }

  expect(await judges(race)).toEqual([['notes', 'would wait for more']])
  expect(await judges(async (ctx) => ctx.waitFor('approval'))).toEqual([])
  expect(await judges(async (ctx) => ctx.waitFor('confirmed'))).toEqual([
    ['acts', 'would wait otherwise'],
  ])
})

test('a run whose rows are damaged is unreadable, and one whose shard is down is not judged', async () => {
  const rowsWith = (code: 'CORRUPT' | 'SHARD_DOWN') =>
    new Proxy({} as ReadRows, {
      get: () => () => {
        throw new KeelsonError(code, 'no rows')
      },
    })
  const w = await rested(of(original))
  const state = w.s.app.entity('$flow-order').state('1') as RunState

  expect(await recordIn(state, rowsWith('CORRUPT'))).toMatchObject({
    unreadable: { code: 'CORRUPT', message: 'its record cannot be read: no rows' },
  })
  await expect(recordIn(state, rowsWith('SHARD_DOWN'))).rejects.toMatchObject({
    code: 'SHARD_DOWN',
  })
})
