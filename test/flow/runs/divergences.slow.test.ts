/**
 * A corpus of divergences: bodies that no longer do what their runs have recorded. Each blocks its
 * run, starts nothing and changes no row, and the old body goes on.
 */
import { describe, expect, test } from 'vitest'
import { type Ctx, workflow } from '../../../src/flow/index.ts'
import { flowWorld } from '../../support/worlds/flow-world.ts'

type Own = Ctx<{ go: string }>
type Body = (ctx: Own, outside: Outside) => Promise<unknown>

/** The world outside of a body. A step notes that it has begun. */
type Outside = { readonly begins: (what: string) => string }

const child = workflow('child', async (ctx: Ctx, ms: number) => {
  await ctx.sleep('pause', ms)
  return 'grown'
})
const other = workflow('other', async () => 'another')

const step = (ctx: Ctx, key: string, { begins }: Outside): Promise<string> =>
  ctx.step(key, () => begins(key))

/** It comes here, and the program crashes. */
const pause = (ctx: Ctx): Promise<void> => ctx.sleep('pause', '5s')

/** Two steps one after another. */
const twoSteps: Body = async (ctx, outside) => {
  await step(ctx, 'a', outside)
  await step(ctx, 'b', outside)
  await pause(ctx)
  return 'two steps'
}

const waits: Body = async (ctx) => {
  const got = await ctx.waitFor('go')
  await pause(ctx)
  return got
}

const parent: Body = async (ctx) => {
  const got = await ctx.child('a', child, 10)
  await pause(ctx)
  return got
}

/** It crashes while its child sleeps. */
const waitingParent: Body = (ctx) => ctx.child('a', child, 5_000)

const branches: Body = async (ctx, outside) => {
  const names = ['a', 'b', 'c']
  const ends = await ctx.all(
    'all',
    names.map((name) => (own: Own) => step(own, name, outside)),
  )
  await pause(ctx)
  return ends.map((end) => end.ok && end.value)
}

/** The first of two branches wins, and the other one is cancelled. */
const race: Body = async (ctx, outside) => {
  const sleeps = async (own: Own): Promise<string> => {
    await own.sleep('long', '1d')
    return 'late'
  }
  const wins = (own: Own): Promise<string> => step(own, 'short', outside)
  const ends = await ctx.all('any', [sleeps, wins], { wait: 'any' })
  await pause(ctx)
  return ends.map(({ ok }) => ok)
}

const patched: Body = async (ctx, outside) => {
  const isNew = ctx.patched('mail')
  await step(ctx, 'a', outside)
  await pause(ctx)
  return isNew
}

const corpus: Readonly<Record<string, readonly [before: Body, after: Body, message: RegExp]>> = {
  'a step that is a sleep': [
    twoSteps,
    async (ctx, outside) => {
      void step(ctx, 'new', outside)
      await ctx.sleep('a', 1)
    },
    /recorded a as a step, now it is a sleep/,
  ],
  'a step that is a child': [
    twoSteps,
    (ctx) => ctx.child('a', other, undefined),
    /recorded a as a step, now it is a child other/,
  ],
  'a step that is a wait': [
    twoSteps,
    (ctx) => ctx.waitFor('go', { key: 'a' }),
    /recorded a as a step, now it is a wait/,
  ],
  'a sleep that is a step': [
    twoSteps,
    async (ctx, outside) => {
      for (const key of ['a', 'b', 'pause']) await step(ctx, key, outside)
    },
    /recorded pause as a sleep, now it is a step/,
  ],
  'a wait that is a step': [
    waits,
    async (ctx, outside) => void (await step(ctx, 'go#1', outside)),
    /recorded go#1 as a wait, now it is a step/,
  ],
  'a child that is a step': [
    parent,
    async (ctx, outside) => void (await step(ctx, 'a', outside)),
    /recorded a as a child child\/\w+, now it is a step/,
  ],
  'a child of another workflow': [
    waitingParent,
    (ctx) => ctx.child('a', other, undefined),
    /recorded a as a child child\/\w+, now it is a child other/,
  ],
  'another key': [
    twoSteps,
    async (ctx, outside) => {
      await step(ctx, 'a', outside)
      await step(ctx, 'B', outside)
      await pause(ctx)
    },
    /waits for B, and never asks for b, pause/,
  ],
  'a step that is gone': [
    twoSteps,
    async (ctx, outside) => {
      await step(ctx, 'a', outside)
      await pause(ctx)
    },
    /waits for pause, and never asks for b/,
  ],
  'steps in another order': [
    twoSteps,
    async (ctx, outside) => {
      await step(ctx, 'b', outside)
      await step(ctx, 'a', outside)
      await pause(ctx)
    },
    /waits for b, and never asks for a, pause/,
  ],
  'a new step before the recorded ones': [
    twoSteps,
    async (ctx, outside) => {
      await step(ctx, 'new', outside)
      return twoSteps(ctx, outside)
    },
    /waits for new, and never asks for a, b, pause/,
  ],
  'a new sleep between the recorded steps': [
    twoSteps,
    async (ctx, outside) => {
      await step(ctx, 'a', outside)
      await ctx.sleep('new', '1s')
      await step(ctx, 'b', outside)
      await pause(ctx)
    },
    /waits for new, and never asks for b, pause/,
  ],
  'an early end': [twoSteps, async () => 'done', /has ended, and never asked for a, b, pause/],
  'an early error': [
    twoSteps,
    async (ctx, outside) => {
      await step(ctx, 'a', outside)
      throw new Error('no')
    },
    /has ended, and never asked for b, pause/,
  ],
  'an early `again`': [
    twoSteps,
    async (ctx) => ctx.again(1),
    /has ended, and never asked for a, b, pause/,
  ],
  'a key that is used twice': [
    twoSteps,
    async (ctx, outside) => {
      await step(ctx, 'a', outside)
      await step(ctx, 'a', outside)
    },
    /has ended, and never asked for b, pause/,
  ],
  'a wait for something else than its context': [
    twoSteps,
    async (ctx, outside) => {
      await step(ctx, 'a', outside)
      await new Promise(() => undefined)
    },
    /waits for nothing, and never asks for b, pause/,
  ],
  'branches in another order': [
    branches,
    async (ctx, outside) => {
      const names = ['b', 'a', 'c']
      await ctx.all(
        'all',
        names.map((name) => (own: Own) => step(own, name, outside)),
      )
      await pause(ctx)
    },
    /never asks for all\/0\/a, all\/1\/b, pause/,
  ],
  'a branch that is gone': [
    branches,
    async (ctx, outside) => {
      await ctx.all('all', [(own: Own) => step(own, 'a', outside)])
      await pause(ctx)
    },
    /waits for pause, and never asks for all\/1\/b, all\/2\/c/,
  ],
  'branches under another key': [
    branches,
    async (ctx, outside) => {
      await ctx.all('ALL', [(own: Own) => step(own, 'a', outside)])
    },
    /waits for ALL\/0\/a, and never asks for all\/0\/a/,
  ],
  'a race without its winner': [
    race,
    async (ctx) => {
      await ctx.all('any', [(own: Own) => own.sleep('long', '1d')], { wait: 'any' })
      await pause(ctx)
    },
    /waits for any\/0\/long, and never asks for any\/1\/short, pause/,
  ],
  'a mark of a change that is gone': [
    patched,
    async (ctx, outside) => {
      await step(ctx, 'a', outside)
      await pause(ctx)
    },
    /never asks for \$patch mail/,
  ],
  'a mark of a change under another name': [
    patched,
    async (ctx, outside) => {
      ctx.patched('post')
      await step(ctx, 'a', outside)
      await pause(ctx)
    },
    /never asks for \$patch mail/,
  ],
  'a mark of a change beyond the record': [
    patched,
    async (ctx, outside) => {
      await step(ctx, 'a', outside)
      await pause(ctx)
      ctx.patched('mail')
    },
    /waits for pause, and never asks for \$patch mail/,
  ],
  'a key by chance': [
    twoSteps,
    async (ctx, outside) => {
      await step(ctx, 'a', outside)
      await step(ctx, `${Math.random()}`, outside)
    },
    /waits for 0\.\d+, and never asks for b, pause/,
  ],
  'a way by the clock of the machine': [
    twoSteps,
    async (ctx, outside) => {
      const isLater = Date.now() > Date.parse('2020-01-01')
      await step(ctx, isLater ? 'late' : 'a', outside)
    },
    /waits for late, and never asks for a, b, pause/,
  ],
  'a loop over something that has changed': [
    async (ctx, outside) => {
      for (const item of ['x', 'y']) await step(ctx, item, outside)
      await pause(ctx)
    },
    async (ctx, outside) => {
      for (const item of ['x', 'w', 'y']) await step(ctx, item, outside)
      await pause(ctx)
    },
    /waits for w, and never asks for y, pause/,
  ],
}

/** The workflow of the corpus with this body, and what its steps have begun. */
const of = (body: Body, log: string[], options: Parameters<typeof workflow>[2] = {}) => {
  const begins = (what: string): string => {
    log.push(what)
    return what
  }
  return workflow('w', (ctx: Own) => body(ctx, { begins }), options)
}

type World = Awaited<ReturnType<typeof flowWorld>>
type Deployed = ReturnType<typeof of>

/** Lets a run come to its pause, and crashes. Answers its rows too. */
const crashed = async (before: Deployed, after: Deployed) => {
  const w = await flowWorld([before, child, other])
  const run = await w.during(w.flow.start(before, undefined, { id: '1' }))
  await w.during(run.signal('go', 'on'))
  await w.s.advance(1_000)
  const rows = rowsOf(w)
  await w.crash([after, child, other])
  return { w, rows }
}

const rowsOf = (w: World): unknown => w.s.app.entity('$flow-w').rows('1').range().entries

type Thrown = { readonly code: string; readonly cause: Error }

const errorOf = (w: World, type: Deployed): Promise<Thrown> => {
  const ended: Promise<unknown> = w.flow.handle(type, '1').result({ timeoutMs: 1_000_000 })
  return w.during(
    ended.then(
      () => Promise.reject(new Error('it has completed')),
      (error) => error,
    ),
  )
}

describe.each(Object.entries(corpus))('%s', (_, [before, after, message]) => {
  test('blocks its run alone, begins nothing and changes no row, and the old body goes on', {
    tags: ['W4', 'W12'],
  }, async () => {
    const log: string[] = []
    const [old, changed] = [of(before, []), of(after, log)]
    const { w, rows } = await crashed(old, changed)

    const error = await errorOf(w, changed)
    expect([error.code, error.cause]).toMatchObject(['BLOCKED', { code: 'DIVERGED' }])
    expect(error.cause.message).toMatch(message)
    expect(log).toEqual([])
    expect(rowsOf(w)).toEqual(rows)
    expect(w.flow.list({ type: other }).entries).toEqual([])
    const beside = await w.during(w.flow.start(child, 10, { id: 'beside' }))
    expect(await w.during(beside.result())).toBe('grown')

    await w.crash([old, child, other])
    await w.during(w.flow.retry(old, '1'))
    await w.during(w.flow.handle(old, '1').result({ timeoutMs: 1_000_000 }))
    expect(w.status(old, '1')).toBe('completed')
  })
})

describe('a run goes on', () => {
  test.each<[string, Body, Body, readonly string[]]>([
    [
      'with new steps after its record',
      twoSteps,
      async (ctx, outside) => {
        await twoSteps(ctx, outside)
        await step(ctx, 'c', outside)
      },
      ['c'],
    ],
    [
      'with a new step beside its record, which begins after the replay',
      twoSteps,
      async (ctx, outside) => {
        const added = step(ctx, 'c', outside)
        await twoSteps(ctx, outside)
        await added
      },
      ['c'],
    ],
    [
      'with recorded steps that are asked for at once',
      twoSteps,
      async (ctx, outside) => {
        await Promise.all(['b', 'a'].map((key) => step(ctx, key, outside)))
        await pause(ctx)
      },
      [],
    ],
    [
      'with a step that does something else',
      twoSteps,
      (ctx) => twoSteps(ctx, { begins: () => 'changed' }),
      [],
    ],
    [
      'with a mark of a change that has moved',
      patched,
      async (ctx, outside) => {
        await step(ctx, 'a', outside)
        const isNew = ctx.patched('mail')
        await pause(ctx)
        await step(ctx, isNew ? 'new' : 'old', outside)
      },
      ['new'],
    ],
  ])('%s', { tags: ['W2', 'W4'] }, async (_, before, after, begun) => {
    const log: string[] = []
    const [old, changed] = [of(before, []), of(after, log)]
    const { w } = await crashed(old, changed)

    await w.during(w.flow.handle(changed, '1').result({ timeoutMs: 1_000_000 }))
    expect(log).toEqual(begun)
  })
})

describe('a version', () => {
  test.each([
    ['that is older than every known one', 1, { version: 3, previous: { 2: async () => 'no' } }],
    ['that is newer than the deployed body', 2, { version: 1 }],
  ])('%s blocks its run', { tags: ['W12'] }, async (_, version, options) => {
    const log: string[] = []
    const [old, changed] = [of(twoSteps, [], { version }), of(twoSteps, log, options)]
    const { w, rows } = await crashed(old, changed)

    const error = await errorOf(w, changed)
    expect([error.code, error.cause]).toMatchObject(['BLOCKED', { code: 'UNSUPPORTED_VERSION' }])
    expect(error.cause.message).toContain(`version ${version}`)
    expect(log).toEqual([])
    expect(rowsOf(w)).toEqual(rows)
  })
})
