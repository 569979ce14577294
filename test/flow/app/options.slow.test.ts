/** Options and arguments that cannot be: they are refused at their caller, and leave nothing. */
import { describe, expect, test } from 'vitest'
import { type Ctx, flow, flows, queue, schedule, workflow } from '../../../src/flow/index.ts'
import { flowWorld } from '../../support/worlds/flow-world.ts'
import { codeOf } from '../../support/worlds/simulated-instance.ts'

const work = workflow('work', async (_: Ctx, input: unknown) => input, {
  queries: { size: () => 1 },
})
const mails = queue('mails', () => undefined)

const cycle: Record<string, unknown> = {}
cycle.self = cycle
const hostile = {
  get x(): never {
    throw new Error('no reading')
  },
}
const unstorable = [
  () => 1,
  Symbol('s'),
  cycle,
  hostile,
  { at: new WeakMap() },
  'x\ud800',
  2n ** 80n,
]
const long = 'x'.repeat(257)
const texts = ['', long, 'x\0', '\ud800', 7, null, {}]
const durations = [Number.NaN, -1, Number.POSITIVE_INFINITY, 1e15, 'soon', '', '1w', {}, null]
const retries = [
  ...[{ max: 0 }, { max: 1.5 }, { max: Number.NaN }, { baseMs: -1 }, { factor: 0.5 }],
  ...[{ jitter: 2 }, { unless: true }, { tries: 3 }, 3, null],
]
const of = (name: string, values: readonly unknown[]) => values.map((value) => ({ [name]: value }))

/** No plain objects, of which some have no members that could be looked at. */
const noRecords = [null, [], [() => 1], new Map(), new Date(), new (class Own {})(), 1]

const configOf = (make: () => unknown): unknown => {
  try {
    return make()
  } catch (error) {
    return (error as { code?: string }).code
  }
}

describe('the options of a part are refused where they are written', () => {
  const body = async () => undefined
  test.each([
    { retries: 3 },
    ...of('version', [0, 1.5, '1', Number.NaN]),
    ...of('previous', [[body, 1], { 0: body }, { 1: 'body' }, { 1: body }, { 7: body }, 1]),
    ...[...of('previous', noRecords), ...of('queries', noRecords), ...of('updates', noRecords)],
    ...[...of('queries', [{ q: 1 }]), ...of('updates', [{ u: 'x' }])],
    ...[new Date(), new Map(), new (class Own {})()],
    ...of('deadline', [...durations, 0]),
    ...of('retry', retries),
    ...of('stepDefaults', [
      ...[...of('retry', retries), ...of('timeout', [...durations, 0]), { undo: body }],
    ]),
    ...of('keep', [...of('completed', durations), { done: '1d' }]),
    ...of('stepsMax', [0, Number.NaN]),
  ])('workflow: %o', (options) => {
    expect(configOf(() => workflow('w', body, options as never))).toBe('CONFIG')
  })

  test.each([
    { concurency: 3 },
    ...of('concurrency', [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 10_001, '3']),
    ...of('perKey', [0, -1, Number.NaN, Number.POSITIVE_INFINITY, 10_001]),
    ...of('rate', [
      { max: 0, per: '1s' },
      { max: 1, per: 0 },
      { max: 1 },
      { max: 1, per: '1s', keys: true },
      3,
    ]),
    ...of('retry', retries),
    ...of('timeout', [...durations, 0]),
    ...of('unique', [...durations, 'until-end']),
    ...of('depthMax', [0, 1_000_001, Number.NaN]),
    ...of('keep', [...of('dead', durations), { completed: '1d' }]),
  ])('queue: %o', (options) => {
    expect(configOf(() => queue('q', body, options as never))).toBe('CONFIG')
  })

  test.each([...[{ retry: { max: 2 } }, { timeout: '1s' }, new Map()]])(
    'queue of workflows: %o',
    (options) => {
      expect(configOf(() => queue('q', work, options as never))).toBe('CONFIG')
      expect(configOf(() => queue('q', options as never))).toBe('CONFIG')
    },
  )

  test('queue of runs: they have no `unique`, and null is no options', () => {
    expect(configOf(() => queue('q', { unique: '1d' } as never))).toBe('CONFIG')
    expect(configOf(() => queue('q', null as never))).toBe('CONFIG')
  })

  test.each([
    { zone: '' },
    { zone: 'Moon/Base' },
    { zone: 1 },
    { missed: 'some' },
    { overlap: 'wait' },
    { timezone: 'UTC' },
  ])('schedule: %o', (options) => {
    expect(configOf(() => schedule('s', '0 9 * * *', work as never, options as never))).toBe(
      'CONFIG',
    )
  })

  test.each([
    ...[undefined, null, 1, [], new Map(), { workflow: [work] }],
    ...of('workflows', [null, work, [mails], [() => work], [undefined]]),
    ...[...of('queues', [[work], mails]), ...of('schedules', [[mails], 1])],
  ])('flows: %o', (parts) => {
    expect(configOf(() => flows(parts as never))).toBe('CONFIG')
  })

  test('schedule: a pattern of other than 5 or 6 fields, a date, an unknown name', () => {
    const patterns = ['0 9 * *', '0 0 9 * * * 2030', '2027-01-01T09:00:00', '2027-01-01 09:00:00']
    for (const cron of [...patterns, '@reboot', '@often', '@', '', 'x', undefined, new Date()])
      expect([cron, configOf(() => schedule('s', cron as never, work as never))]).toEqual([
        cron,
        'CONFIG',
      ])
  })

  test('schedule: its pattern, or its zone, is named and shown as it was given', () => {
    const said = (cron: unknown, zone: unknown) => () =>
      schedule('s', cron as never, work as never, { zone } as never)
    const pattern = "expected a cron pattern of 5 or 6 fields with a time, such as '30 2 * * *'"
    expect(said(undefined, 'UTC')).toThrow(`schedule.s.cron: ${pattern}, found undefined`)
    expect(said('0 0 30 2 *', 'UTC')).toThrow(`schedule.s.cron: ${pattern}, found "0 0 30 2 *"`)
    expect(said('@daily', 'Moon/Base')).toThrow(
      `schedule.s.zone: expected an IANA time zone, such as 'Europe/Berlin', found "Moon/Base"`,
    )
  })

  test('flows: a part whose workflow or queue is not there, with the names that are', () => {
    const other = workflow('other', async (_: Ctx, input: unknown) => input)
    const daily = schedule('daily', '@daily', work as never)
    const orders = queue('orders', work)
    for (const [parts, place] of [
      [{ queues: [orders] }, 'queue.orders.workflow'],
      [{ schedules: [daily] }, 'schedule.daily.workflow'],
      [{ workflows: [workflow('w', body, { queue: 'dock' })] }, 'workflow.w.queue'],
    ] as const) {
      const workflows = [other, ...('workflows' in parts ? parts.workflows : [])]
      const make = () => flows({ ...parts, workflows } as never)
      expect(configOf(make)).toBe('CONFIG')
      expect(make).toThrow(place)
    }
    expect(() => flows({ workflows: [other], queues: [orders] })).toThrow(
      'expected a workflow of these flows (other), found "work"',
    )
    flows({ workflows: [work], queues: [orders], schedules: [daily] })
  })

  test('with a number as it was given, whatever the name of its option', () => {
    expect(() => queue('q', body, { perKey: 0 })).toThrow('found 0')
  })

  test('with the name that was meant', () => {
    expect(() => queue('q', body, { concurency: 3 } as never)).toThrow(
      'did you mean `queue.q.concurrency`?',
    )
  })
})

/** Each call of the surface with one argument more than its form has. */
const tooMany: Record<string, (w: World) => unknown> = {
  'start(type, input, { id, … })': ({ flow }) => more(flow, 'start', work, 1, { id: '1' }),
  'handle(type, id)': ({ flow }) => more(flow, 'handle', work, '1'),
  'retry(part, id, { from })': ({ flow }) => more(flow, 'retry', mails, '1', {}),
  'fork(type, id, { from, id })': ({ flow }) =>
    more(flow, 'fork', work, '1', { from: 'a', id: '2' }),
  'undo(type, id)': ({ flow }) => more(flow, 'undo', work, '1'),
  'settle(type, id, key, decision)': ({ flow }) =>
    more(flow, 'settle', work, '1', 'k', { value: 1 }),
  'list({ type, … })': ({ flow }) => more(flow, 'list', { type: work }),
  'get(type, id)': ({ flow }) => more(flow, 'get', work, '1'),
  'watch({ type, … })': ({ flow }) => more(flow, 'watch', { type: work }),
  'place(type, id)': ({ flow }) => more(flow, 'place', work, '1'),
  'steps(type, id, { limit, … })': ({ flow }) => more(flow, 'steps', work, '1', {}),
  'counts(part)': ({ flow }) => more(flow, 'counts', work),
  'add(queue, job, { key, … })': ({ flow }) => more(flow, 'add', mails, 1, {}),
  'addMany(queue, jobs, optionsOf)': ({ flow }) => more(flow, 'addMany', mails, [1], () => ({})),
  'with(batch, { id })': ({ flow, s }) => more(flow, 'with', s.app.store.batch(), { id: '1' }),
  'pause(queue)': ({ flow }) => more(flow, 'pause', mails),
  'resume(queue)': ({ flow }) => more(flow, 'resume', mails),
  'dead(queue, { limit, cursor })': ({ flow }) => more(flow, 'dead', mails, {}),
  'job(queue, id)': ({ flow }) => more(flow, 'job', mails, '1'),
  'drain(queue, { where })': ({ flow }) => more(flow, 'drain', mails, {}),
  'result({ timeoutMs, signal })': ({ flow }) => more(flow.handle(work, '1'), 'result', {}),
  'signal(name, value, { id })': ({ flow }) => more(flow.handle(work, '1'), 'signal', 's', 1, {}),
  'update(name, value, { id, timeoutMs, signal })': ({ flow }) =>
    more(flow.handle(work, '1'), 'update', 'u', 1, {}),
  'cancel({ reason, force })': ({ flow }) => more(flow.handle(work, '1'), 'cancel', {}),
  'query(name, argument)': ({ flow }) => more(flow.handle(work, '1'), 'query', 'size', 1),
  'get()': ({ flow }) => more(flow.job(mails, '1'), 'get'),
  'remove()': ({ flow }) => more(flow.job(mails, '1'), 'remove'),
  'update({ delay, priority })': ({ flow }) =>
    more(flow.job(mails, '1'), 'update', { priority: 1 }),
  'retry()': ({ flow }) => more(flow.job(mails, '1'), 'retry'),
  'create(name, cron, workflow, { zone, input, … })': ({ flow }) =>
    more(flow.schedules, 'create', 's', '@daily', work, {}),
  'change(name, { cron, zone, input, … })': ({ flow }) =>
    more(flow.schedules, 'change', 's', { cron: '@daily' }),
  'pause(name)': ({ flow }) => more(flow.schedules, 'pause', 's'),
  'resume(name)': ({ flow }) => more(flow.schedules, 'resume', 's'),
  'trigger(name)': ({ flow }) => more(flow.schedules, 'trigger', 's'),
  'delete(name)': ({ flow }) => more(flow.schedules, 'delete', 's'),
  'get(name)': ({ flow }) => more(flow.schedules, 'get', 's'),
  'list({ limit, cursor })': ({ flow }) => more(flow.schedules, 'list', {}),
}

const more = (of: object, name: string, ...given: readonly unknown[]): unknown =>
  (of as Record<string, (...all: unknown[]) => unknown>)[name]?.(...given, { more: true })

describe('an argument of a call is refused, and leaves nothing', () => {
  const refused = async (...calls: ((w: Awaited<ReturnType<typeof flowWorld>>) => unknown)[]) => {
    const w = await flowWorld([work], { queues: [mails] })
    const lastLsn = async () => (await w.during(w.s.app.wal(0).describe())).lastLsn
    await w.s.advance(1_000)
    const before = await lastLsn()
    for (const [at, call] of calls.entries()) {
      const asked = (async () => call(w))()
      expect([at, await w.during(codeOf(asked))]).toEqual([at, 'INVALID_ARGUMENT'])
    }
    await w.s.advance(1_000)
    expect(w.flow.list({ type: work }).entries).toEqual([])
    expect(await lastLsn()).toBe(before)
  }

  test('start', () =>
    refused(
      ...unstorable.map((input) => (w: World) => w.flow.start(work, input, { id: '1' })),
      ...[...texts, '{x}'].map((id) => (w: World) => w.flow.start(work, 1, { id } as never)),
      ...[
        ...[...of('delay', durations), ...of('deadline', [...durations, 0])],
        ...[...of('priority', [1.5, Number.NaN, 1_001, '1']), ...of('correlation', texts)],
        { prioritiy: 1 },
      ].map((options) => (w: World) => w.flow.start(work, 1, { id: '1', ...options } as never)),
      // They count in a queue, and this workflow has none.
      ...[{ priority: 1 }, { key: 'k' }].map(
        (options) => (w: World) => w.flow.start(work, 1, { id: '1', ...options }),
      ),
      (w) => w.flow.start(undefined as never, 1 as never, { id: '1' }),
      (w) => w.flow.start(mails as never, 1 as never, { id: '1' }),
      (w) => w.flow.start(work, 1, undefined as never),
    ))

  test('add', () =>
    refused(
      ...unstorable.map((job) => (w: World) => w.flow.add(mails, job as never)),
      ...unstorable.map((job) => (w: World) => w.flow.addMany(mails, [1, job] as never)),
      ...[
        ...[...of('key', texts), ...of('unique', texts), ...of('delay', durations)],
        ...[...of('priority', [1.5, Number.NaN, 1_001, '1']), { prio: 1 }],
      ].map((options) => (w: World) => w.flow.add(mails, 1 as never, options as never)),
      (w) => w.flow.addMany(mails, 'ab' as never),
      (w) => w.flow.addMany(mails, [], 1 as never),
      ...[undefined, work, queue('other', () => 1)].map(
        (part) => (w: World) => w.flow.addMany(part as never, []),
      ),
      (w) => w.flow.addMany(mails, [1] as never, (async () => ({})) as never),
      (w) => w.flow.add(mails, 1 as never, new Map([['delay', '1d']]) as never),
      (w) => w.flow.add(mails, 1 as never, new Set(['delay']) as never),
      (w) => w.flow.add(work as never, 1 as never),
      (w) => w.flow.pause(undefined as never),
      (w) => w.flow.counts(undefined as never),
      (w) => w.flow.retry(mails, 'one'),
      (w) => w.flow.dead(mails, { limit: 0 }),
      (w) => w.flow.dead(mails, { cursor: 'x' }),
    ))

  test('of a handle', () =>
    refused(
      ...[...texts, '{x}'].map((id) => (w: World) => w.flow.handle(work, id as string)),
      ...texts.map(
        (name) => (w: World) => w.flow.handle(work, '1').signal(name as never, 1 as never),
      ),
      ...unstorable.map(
        (value) => (w: World) => w.flow.handle(work, '1').signal('s' as never, value as never),
      ),
      ...texts.map(
        (id) => (w: World) =>
          w.flow.handle(work, '1').signal('s' as never, 1 as never, { id } as never),
      ),
      ...[{ reason: 1 }, { force: 1 }, { why: 'x' }].map(
        (options) => (w: World) => w.flow.handle(work, '1').cancel(options as never),
      ),
      ...[{ timeoutMs: 0 }, { timeoutMs: Number.NaN }, { timeout: 1 }].map(
        (options) => (w: World) => w.flow.handle(work, '1').result(options as never),
      ),
      (w) => w.flow.settle(work, '1', 'k', undefined as never),
      ...[
        ...[{}, { value: 1, error: new Error('x') }, { val: 1 }],
        ...of('error', ['x', undefined, null, {}, { message: 1 }, { message: 'x', code: 7 }]),
      ].map((decision) => (w: World) => w.flow.settle(work, '1', 'k', decision as never)),
      (w) => w.flow.settle(work, '1', '', { value: 1 }),
      ...unstorable.map((value) => (w: World) => w.flow.settle(work, '1', 'k', { value })),
      ...[
        { limit: 0 },
        { status: 'done' },
        { since: Number.NaN },
        { order: 'up' },
        { state: 'x' },
      ].map((options) => (w: World) => w.flow.list({ type: work, ...options } as never)),
      (w) => w.flow.steps(work, '1', { limit: -1 }),
      (w) => w.flow.get(undefined as never, '1'),
      ...[{ stat: 'failed' }, { status: 'done' }, { id: '' }, { type: 1 }].map(
        (options) => (w: World) => w.flow.watch({ type: work, ...options } as never),
      ),
    ))

  test('of a job', () =>
    refused(
      ...[undefined, null, work, queue('other', () => 1)].map(
        (part) => (w: World) => w.flow.job(part as never, '1'),
      ),
      ...[1, '', '0', '1.5', null].map((id) => (w: World) => w.flow.job(mails, id as never)),
      ...[null, {}, { prio: 1 }, ...of('delay', durations)].map(
        (change) => (w: World) => w.flow.job(mails, '1').update(change as never),
      ),
      ...[null, {}, { key: undefined }, { state: 'running' }, ...of('key', texts)].map(
        (where) => (w: World) => w.flow.drain(mails, { where } as never),
      ),
    ))

  test('of a schedule', () =>
    refused(
      ...[...texts, 'a/b', '{a}'].map(
        (name) => (w: World) => w.flow.schedules.create(name as never, '@daily', work),
      ),
      ...[undefined, '', 'often', 5].map(
        (cron) => (w: World) => w.flow.schedules.create('s', cron as never, work),
      ),
      ...[null, { zone: '' }, { zone: 'Moon/Base' }, { missed: 'some' }, { timezone: 'UTC' }].map(
        (options) => (w: World) => w.flow.schedules.create('s', '@daily', work, options as never),
      ),
      (w) => w.flow.schedules.create('s', '@daily', undefined as never),
      ...[null, {}, { cron: undefined }, { cron: 'often' }, { zone: 'x' }, { pause: true }].map(
        (changes) => (w: World) => w.flow.schedules.change('s', changes as never),
      ),
    ))

  test.each(Object.entries(tooMany))('of %s: one more than it takes', async (form, call) => {
    await refused(call as never)
    const w = await flowWorld([work], { queues: [mails] })
    const error = (async () => call(w))().catch((thrown) => thrown.message)
    expect(await w.during(error)).toBe(`arguments: expected ${form}, found "1 more"`)
  })

  test('of an operation: the body gets the refusal, and nothing is recorded', async () => {
    const asks: ((ctx: Ctx<{ s: unknown }>) => unknown)[] = [
      ...[
        ...of('retry', retries),
        ...of('timeout', [...durations, 0]),
        { repeat: 'twice' },
        { undo: 1 },
        { retires: 1 },
      ].map((options) => (ctx: Ctx) => ctx.step('k', () => 1, options as never)),
      (ctx) => ctx.step('k', 1 as never),
      (ctx) => ctx.step('k', () => 1, { repeat: 'once', retry: { max: 2 } }),
      ...texts.map((key) => (ctx: Ctx) => ctx.step(key as string, () => 1)),
      ...durations.map((time) => (ctx: Ctx) => ctx.sleep('k', time as never)),
      ...[{ at: Number.NaN }, { at: 1, zone: 'UTC' }, new Date()].map(
        (time) => (ctx: Ctx) => ctx.sleep('k', time as never),
      ),
      ...durations.map(
        (timeout) => (ctx: Ctx<{ s: unknown }>) => ctx.waitFor('s', { timeout } as never),
      ),
      ...texts.map((key) => (ctx: Ctx<{ s: unknown }>) => ctx.waitFor('s', { key } as never)),
      ...unstorable.map((input) => (ctx: Ctx) => ctx.child('k', work, input)),
      ...[...texts, '{x}'].map((id) => (ctx: Ctx) => ctx.child('k', work, 1, { id } as never)),
      (ctx) => ctx.child('k', undefined as never, 1 as never),
      (ctx) => ctx.child('k', work, 1, { onCancel: 'stay' as never }),
      ...of('wait', [2, -1, Number.NaN, 'some']).map(
        (options) => (ctx: Ctx) => ctx.all('k', [async () => 1], options as never),
      ),
      ...of('atOnce', [0, Number.NaN]).map(
        (options) => (ctx: Ctx) => ctx.all('k', [async () => 1], options as never),
      ),
      (ctx) => ctx.all('k', [1 as never]),
      (ctx) => ctx.all('k', 1 as never),
    ]
    const codes: unknown[] = []
    const asking = workflow('asking', async (ctx: Ctx<{ s: unknown }>, _: undefined) => {
      for (const ask of asks) codes.push(await codeOf((async () => ask(ctx))()))
    })
    const w = await flowWorld([asking, work])
    const run = await w.during(w.flow.start(asking, undefined, { id: '1' }))
    await w.during(run.result())
    expect(codes).toEqual(asks.map(() => 'INVALID_ARGUMENT'))
    expect(w.flow.steps(asking, '1').entries).toEqual([])
  })
})

test.each([undefined, {}, 'app'])('flow(%o) is refused: it is no instance', (app) => {
  expect(() => flow(app as never)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
})

test('a part that is not in the tree is refused by its own name', async () => {
  const other = workflow('other', async () => undefined)
  const asks: ((w: World) => unknown)[] = [
    ...[
      (w: World) => w.flow.start(other, undefined, { id: '1' }),
      (w: World) => w.flow.get(other, '1'),
    ],
    ...[(w: World) => w.flow.add(mails, 1 as never), (w: World) => w.flow.dead(mails)],
  ]
  const w = await flowWorld([])
  const refused = asks.map((ask) => async () => ask(w))
  const messages: string[] = []
  for (const ask of refused)
    messages.push(await w.during(ask().then(String, (error) => error.message)))

  expect(messages).toEqual(
    ['workflow', 'workflow', 'queue', 'queue'].map(
      (sort) =>
        `${sort}: expected a ${sort} of the tree, found "${sort === 'queue' ? 'mails' : 'other'}"`,
    ),
  )
})

type World = Awaited<ReturnType<typeof flowWorld>>
