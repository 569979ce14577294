/**
 * Mistakes of a deploy that look harmless in a diff. Each build is judged on the data of the one before,
 * and then started on them: what it does is what the findings say, or what the page says that nobody finds.
 */
import { describe, expect, test } from 'vitest'
import {
  type Ctx,
  flow,
  flows,
  type Queue,
  queue,
  type Workflow,
  workflow,
} from '../../../src/flow/index.ts'
import type { RunState } from '../../../src/flow/runs/record.ts'
import {
  type AppTree,
  call,
  type DurableServer,
  entity,
  reply,
  supervisor,
} from '../../../src/index.ts'
import { rehearse } from '../../../src/testing/index.ts'
import { simulated } from '../../support/worlds/simulated-instance.ts'

type Own = Ctx<{ paid: string; note: string }, { add: (item: string) => number }>
type Order = { readonly isGift: boolean }
type Body = (ctx: Own, order: Order) => Promise<unknown>
type Options = Parameters<typeof workflow>[2]
type World = Awaited<ReturnType<typeof simulated>>

/** What steps, jobs and undos have done since the start of the new build. */
const effects: string[] = []
const does = (what: string): void => void effects.push(what)

const orders = { sort: 'workflow', name: 'order' } as unknown as Workflow<
  Order,
  unknown,
  { paid: string }
>

const shop = (body: Body, options: Options = {}, queues: readonly Queue[] = []): AppTree =>
  supervisor('app', {}, [
    flows({ workflows: [workflow('order', body as never, options), packing], queues }),
  ])

const packing = workflow('packing', async (ctx: Ctx<{ packed: string }>) => ctx.waitFor('packed'))

const starts =
  (...ids: readonly string[]) =>
  async (s: World): Promise<void> => {
    for (const id of ids)
      await s.during(flow(s.app).start(orders, { isGift: true }, { id } as never))
    await s.advance(5_000)
  }

const stateOf = (s: World, id = '1'): RunState =>
  s.app.entity('$flow-order').state(id) as unknown as RunState

/** The status of the run, a day after it got its signal. */
const paid = async (s: World): Promise<unknown> => {
  const sent = flow(s.app).handle(orders, '1').signal('paid', 'yes')
  await s.during(sent.catch(() => undefined))
  return later(s)
}

const later = async (s: World): Promise<unknown> => {
  await s.advance(86_400_000)
  const { status, error } = stateOf(s)
  return error ? `${status}: ${error.code ?? error.message}` : status
}

const rests: Body = async (ctx) => ctx.waitFor('paid')
const placeOfRuns = (): Queue => queue('places', { perKey: 1 }) as never
const mailing = (): Queue => queue('places', async () => does('mail')) as never

const twoRuns = async (s: World): Promise<void> => {
  for (const id of ['0', '1'])
    await s.during(flow(s.app).start(orders, { isGift: true }, { id, key: 'anna' } as never))
  await s.advance(5_000)
}

const away: Body = async (ctx) =>
  ctx.step(
    'charge',
    () => {
      throw new Error('the bank is away')
    },
    { retry: { max: 1 } },
  )

type Count = { readonly cents: number }
type Counting = DurableServer<{ calls: { add: () => number } }, Count, { cents: number }>
const counting = (changes: Partial<Counting> = {}): AppTree =>
  supervisor('app', {}, [
    entity('count', {
      init: () => ({ cents: 1 }),
      index: ({ cents }: Count) => ({ cents }),
      calls: { add: ({ cents }) => reply(cents, { cents: cents + 1 }) },
      ...changes,
    } as Counting),
  ])
const added = (s: World): Promise<unknown> =>
  s.during(
    call(s.app.entity('count').ref('1') as never, 'add' as never).then(
      () => 'added',
      (error) => error.code,
    ),
  )

type Mistake = {
  readonly before: AppTree
  readonly after: AppTree
  readonly data: (s: World) => Promise<unknown>
  /** The level, the sort and the reason of each finding. */
  readonly found: readonly (readonly [level: string, what: string, reason: RegExp])[]
  /** What the build then does. */
  readonly does: (s: World) => Promise<unknown>
  readonly outcome: unknown
}

const mistakes: Readonly<Record<string, Mistake>> = {
  'a step that moves before a condition': {
    before: shop(async (ctx, { isGift }) => {
      await ctx.step('reserve', () => 1)
      if (isGift) await ctx.step('wrap', () => 1)
      await ctx.waitFor('paid')
    }),
    after: shop(async (ctx, { isGift }) => {
      if (isGift) await ctx.step('wrap', () => 1)
      await ctx.step('reserve', () => 1)
      await ctx.waitFor('paid')
    }),
    data: starts('1'),
    found: [['blocks', 'DIVERGED', /waits for wrap, and never asks for reserve/]],
    does: paid,
    outcome: 'blocked: DIVERGED',
  },
  'a handler of an update that is gone': {
    before: shop(async (ctx) => {
      ctx.onUpdate('add', () => 1)
      await ctx.waitFor('paid')
    }),
    after: shop(rests),
    data: starts('1'),
    found: [['acts', 'would wait otherwise', /the update add, and would wait for the signal paid/]],
    does: async (s) => {
      const handle = flow(s.app).handle(orders as never, '1')
      const update = handle.update('add' as never, 'pen' as never, { timeoutMs: 5_000 } as never)
      return s.during(update.catch((error) => error.code))
    },
    outcome: 'TIMEOUT',
  },
  'a `patched` that is taken out too early': {
    before: shop(async (ctx) => {
      if (ctx.patched('wrapped')) await ctx.step('wrap', () => 1)
      await ctx.waitFor('paid')
    }),
    after: shop(async (ctx) => {
      await ctx.step('wrap', () => 1)
      await ctx.waitFor('paid')
    }),
    data: starts('1'),
    found: [['blocks', 'DIVERGED', /never asks for \$patch wrapped/]],
    does: paid,
    outcome: 'blocked: DIVERGED',
  },
  'a `timeout` that is taken from a wait': {
    before: shop(async (ctx) => (await ctx.waitFor('paid', { timeout: '1h' })) ?? 'late'),
    after: shop(async (ctx) => (await ctx.waitFor('paid')) ?? 'late'),
    data: starts('1'),
    found: [['acts', 'its timeout holds', /the body gets undefined at 2026-01-01T01:00:00/]],
    does: later,
    outcome: 'completed',
  },
  'a `timeout` that is given to a wait': {
    before: shop(rests),
    after: shop(async (ctx) => ctx.waitFor('paid', { timeout: '1h' })),
    data: starts('1'),
    found: [['notes', 'its timeout begins later', /^the signal paid has a `timeout` now/]],
    does: later,
    outcome: 'waiting',
  },
  'an attribute of another type': {
    before: shop(async (ctx) => {
      await ctx.attributes({ total: 12, place: 'a' })
      await ctx.waitFor('paid')
    }),
    after: shop(async (ctx) => {
      await ctx.attributes({ total: '12', place: 'a' })
      await ctx.waitFor('paid')
    }),
    data: starts('1'),
    found: [['notes', 'attributes stay', /other values of total now/]],
    does: async (s) => [await later(s), stateOf(s).attributes],
    outcome: ['waiting', { total: 12, place: 'a' }],
  },
  'fewer tries of whole runs': {
    before: shop(away, { retry: { max: 9, baseMs: 600_000, maxMs: 600_000 } }),
    after: shop(away),
    data: starts('1'),
    found: [['acts', 'has no try left', /has failed 1 times, and `retry` allows 1/]],
    does: later,
    outcome: 'failed: the bank is away',
  },
  'a field that is read from the outcome of a step': {
    before: shop(async (ctx) => {
      await ctx.step('rate', () => 12)
      await ctx.waitFor('paid')
    }),
    after: shop(async (ctx) => {
      const { today } = await ctx.step('rate', () => ({ today: { cents: 12 } }))
      await ctx.step(`charge ${today.cents}`, () => does('charge'))
      await ctx.waitFor('paid')
    }),
    data: starts('1'),
    found: [['acts', 'would end', /would fail instead/]],
    does: paid,
    outcome: expect.stringMatching(/^failed: .*cents/),
  },
  'a schema that refuses the output': {
    before: shop(rests),
    after: shop(rests, {
      output: {
        '~standard': {
          version: 1,
          vendor: 'own',
          validate: () => ({ issues: [{ message: 'no number' }] }),
        },
      } as never,
    }),
    data: async (s) => {
      await starts('0', '1')(s)
      await s.during(flow(s.app).handle(orders, '0').signal('paid', 'yes'))
      await s.advance(5_000)
    },
    found: [['acts', 'ended runs end otherwise', /it has completed, and would fail/]],
    does: paid,
    outcome: 'failed: INVALID_ARGUMENT',
  },
  'a queue that gets a handler, while runs wait in it': {
    before: shop(rests, { queue: 'places' }, [placeOfRuns()]),
    after: shop(rests, {}, [mailing()]),
    data: twoRuns,
    found: [['blocks', 'UNSUPPORTED_VERSION', /no queue places without a handler, for its runs/]],
    does: async (s) => {
      await s.during(flow(s.app).handle(orders, '0').signal('paid', 'yes'))
      return [await later(s), stateOf(s).waitsFor?.kind]
    },
    outcome: ['waiting', 'queue'],
  },
  'a queue that loses its handler, while jobs wait in it': {
    before: shop(rests, {}, [mailing()]),
    after: shop(rests, { queue: 'places' }, [placeOfRuns()]),
    data: async (s) => {
      const options = { delay: '1h' }
      await s.during(flow(s.app).add(mailing() as never, 'a' as never, options as never))
    },
    found: [['blocks', 'UNSUPPORTED_VERSION', /no handler of the queue places, for its jobs/]],
    does: async (s) => {
      await s.advance(2 * 3_600_000)
      return [effects, s.app.health().actors.failing.first[0]?.error]
    },
    outcome: [[], expect.stringMatching(/^UNSUPPORTED_VERSION: this program has no handler/)],
  },
  'a child with another id': {
    before: shop(async (ctx) => ctx.child('pack', packing, undefined, { id: 'pack-1' })),
    after: shop(async (ctx) => ctx.child('pack', packing, undefined, { id: 'box-1' })),
    data: starts('1'),
    found: [],
    does: async (s) => {
      await s.during(flow(s.app).handle(packing, 'pack-1').signal('packed', 'yes'))
      return later(s)
    },
    outcome: 'completed',
  },
  'an `undo` that is gone, which nothing stored names': {
    before: shop(async (ctx) => {
      await ctx.step('reserve', () => 1, { undo: () => does('undone') })
      await ctx.waitFor('paid')
    }),
    after: shop(async (ctx) => {
      await ctx.step('reserve', () => 1)
      await ctx.waitFor('paid')
    }),
    data: starts('1'),
    found: [],
    does: async (s) => {
      await s.during(flow(s.app).handle(orders, '1').cancel())
      return [await later(s), effects]
    },
    outcome: ['cancelled: CANCELLED', []],
  },
  'a state of another shape under the same version, but for its index': {
    before: counting(),
    after: counting({
      index: ({ cents }) => ({ cents: Object(cents).sum }),
      calls: {
        add: (state) => {
          const { sum } = state.cents as unknown as { readonly sum: { readonly cents: number } }
          return reply(sum.cents, state)
        },
      },
    }),
    data: added,
    found: [['notes', 'index needs migrateAll', /other values for cents/]],
    does: added,
    outcome: 'EXITED',
  },
}

describe.each(Object.entries(mistakes))('%s', (_, { before, after, data, found, ...real }) => {
  test('does what its findings say', { tags: ['RE3', 'RE4'] }, async () => {
    const s = await simulated({ app: before })
    await data(s)
    effects.length = 0
    const judged = async (app: AppTree) => {
      const { findings } = await s.during(rehearse({ from: s.app, app }), { withinMs: 60_000 })
      return findings.map(({ level, what, examples }) => [level, what, examples[0]?.reason])
    }

    expect(await judged(before)).toEqual([])
    expect(await judged(after)).toEqual(
      found.map(([level, what, reason]) => [level, what, expect.stringMatching(reason)]),
    )
    expect(effects).toEqual([])
    await s.kill()
    await s.start({ app: after })
    expect(await real.does(s)).toEqual(real.outcome)
  })
})
