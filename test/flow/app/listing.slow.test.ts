/** Looks at runs through `flow(app)`: pages, operations, counts, and their removal. */
import { describe, expect, test } from 'vitest'
import { type Ctx, queue, type RunStatus, workflow } from '../../../src/flow/index.ts'
import { counted, flowWorld } from '../../support/worlds/flow-world.ts'
import { codeOf } from '../../support/worlds/simulated-instance.ts'

const work = workflow(
  'work',
  async (ctx: Ctx, input: number) => {
    ctx.report({ half: true })
    await ctx.step(
      'try',
      () => {
        if (input === 0) throw new TypeError('zero')
        return input
      },
      { retry: { max: 1 } },
    )
    await ctx.sleep('pause', input * 1_000)
    return input
  },
  { keep: { completed: '1h' } },
)

const world = async () => {
  const w = await flowWorld([work])
  for (const n of [0, 1, 2, 5_000])
    await w.during(w.flow.start(work, n, { id: `${n}`, correlation: n % 2 ? 'odd' : 'even' }))
  await w.s.advance(10_000)
  return w
}

describe('a page of runs', () => {
  const idsIn = (w: Awaited<ReturnType<typeof world>>, options: object): readonly string[] =>
    w.flow.list({ type: work, ...options }).entries.map(({ id }) => id)

  test('by id goes on at its cursor', async () => {
    const w = await world()

    expect(idsIn(w, { order: 'id' })).toEqual(['0', '1', '2', '5000'])
    const { cursor, exhausted } = w.flow.list({ type: work, order: 'id', limit: 3 })
    expect(exhausted).toBe(false)
    expect(idsIn(w, { order: 'id', limit: 3, cursor })).toEqual(['5000'])
  })

  test.each([
    [{ order: 'id', status: 'failed' }, 'newest or oldest with status'],
    [{ order: 'newest', correlation: 'odd' }, 'id with correlation'],
    [{ order: 'desc' }, 'newest, oldest, id'],
  ])('that cannot have its order is refused: %o', async (options, expected) => {
    const w = await world()

    expect(() => idsIn(w, options)).toThrow(expected)
  })

  const slow = (status: string) =>
    workflow('slow', async (ctx: Ctx) => {
      if (status === 'running') await ctx.step('long', () => new Promise(() => {}))
      await ctx.sleep('pause', status === 'waiting' ? 9_000_000 : 1)
    })

  const slowWorld = async (status: RunStatus) => {
    const type = slow(status)
    const w = await flowWorld([type])
    for (const id of ['c', 'a', 'b']) {
      await w.during(w.flow.start(type, undefined, { id }))
      await w.s.advance(10_000)
    }
    return (options: object) => {
      const { entries, cursor } = w.flow.list({ type, status, ...options })
      const times = new Map(entries.map(({ id, since }) => [id, since]))
      return { ids: [...times.keys()].join(''), times, cursor }
    }
  }

  test.each(['completed', 'waiting', 'running'] as const)(
    'of runs that are %s has the last change first',
    async (status) => {
      const pageOf = await slowWorld(status)
      const { ids, times } = pageOf({})

      expect(ids).toBe('bac')
      expect(pageOf({ order: 'oldest' }).ids).toBe('cab')
      expect(pageOf({ since: times.get('a') }).ids).toBe('ba')
      expect(pageOf({ until: times.get('a') }).ids).toBe('c')
      expect(pageOf({ limit: 2, cursor: pageOf({ limit: 2 }).cursor }).ids).toBe('c')
    },
  )

  test('refuses a cursor of other runs', async () => {
    const pageOf = await slowWorld('completed')

    expect(() => pageOf({ cursor: 'x' })).toThrow('the cursor is of no page of runs')
  })

  test('has the runs of a correlation, a parent or a root, and of two of them it is refused', async () => {
    const leaf = workflow('leaf', async () => undefined)
    const middle = workflow('middle', (ctx: Ctx) => ctx.child('leaf', leaf, undefined))
    const top = workflow('top', (ctx: Ctx) => ctx.child('middle', middle, undefined))
    const w = await flowWorld([work, leaf, middle, top])
    for (const id of ['1', '2'])
      await w.during((await w.during(w.flow.start(top, undefined, { id }))).result())
    await w.during(w.flow.start(work, 1, { id: '1', correlation: 'odd' }))
    const parentsOf = (options: object) =>
      w.flow.list({ type: leaf, ...options }).entries.map(({ root }) => root)
    const [child] = w.flow.list({ type: middle, parent: 'top/1' }).entries

    expect(child?.root).toBe('top/1')
    expect(parentsOf({})).toHaveLength(2)
    expect(parentsOf({ parent: `middle/${child?.id}` })).toEqual(['top/1'])
    expect(parentsOf({ root: 'top/2' })).toEqual(['top/2'])
    expect(idsIn(w, { correlation: 'odd' })).toEqual(['1'])
    expect(idsIn(w, { correlation: 'even' })).toEqual([])
    expect(() => w.flow.list({ type: work, status: 'failed', parent: 'a/b' })).toThrow('one of')
  })
})

test('a row has the status, the error and the progress of its run', async () => {
  const w = await world()

  const [failed, ...others] = w.flow.list({ type: work, order: 'id' }).entries
  expect(failed?.error).toMatchObject({ name: 'TypeError', message: 'zero' })
  expect(others.map(({ status, progress }) => [status, progress])).toEqual([
    ...[
      ['completed', { half: true }],
      ['completed', { half: true }],
    ],
    ['waiting', { half: true }],
  ])
  expect(await w.during(w.flow.counts(work))).toEqual(
    counted({ completed: 2, failed: 1, waiting: 1 }),
  )
})

test('the last progress is that before the end', async () => {
  const reports = workflow('reports', async (ctx: Ctx, _: undefined) => {
    ctx.report(1)
    await ctx.step('first', () => undefined)
    ctx.report(2)
  })
  const w = await flowWorld([reports])
  const run = await w.during(w.flow.start(reports, undefined, { id: '1' }))
  await w.during(run.result())

  expect(w.flow.list({ type: reports }).entries[0]?.progress).toBe(2)
})

test('the operations of a run are listed in the order in which they were recorded', async () => {
  const w = await world()

  const { entries } = w.flow.steps(work, '5000')
  expect(entries.map(({ key, kind, outcome }) => [key, kind, outcome])).toEqual([
    ...[
      ['try', 'step', 'ok'],
      ['pause', 'sleep', undefined],
    ],
  ])
  expect((entries[1]?.dueAt ?? 0) - w.s.clock.now()).toBeGreaterThan(30_000)
  expect(w.flow.steps(work, '0').entries[0]?.error?.message).toBe('zero')
  expect(w.flow.steps(work, 'none')).toEqual({ entries: [], exhausted: true })
})

test('the health of the instance names the runs that are blocked, and why', async () => {
  const waits = (version: number) =>
    workflow('waits', (ctx: Ctx<{ go: number }>) => ctx.waitFor('go'), { version })
  const w = await flowWorld([waits(1)])
  await w.during(w.flow.start(waits(1), undefined, { id: '7' }))
  const none = { count: 0, first: [] }
  expect(w.s.app.health().parts.flow).toEqual({
    blocked: none,
    failed: none,
    schedules: none,
    unread: none,
  })
  await w.crash([waits(2)])
  await w.s.advance(1_000)

  const reason = expect.stringContaining('no body of version 1')
  const first = [{ run: 'waits/7', reason, since: w.flow.get(waits(2), '7')?.since }]
  expect(w.s.app.health().parts.flow).toEqual({
    ...{ blocked: { count: 1, first }, failed: none, schedules: none, unread: none },
  })
})

test('a run is removed when its time is over, and nothing that is pending', {
  tags: ['W11'],
}, async () => {
  const w = await world()
  await w.during(w.flow.start(work, 10_000, { id: '10000' }))
  // The keeper looks each hour: at its first look the runs have not been over for an hour.
  await w.s.advance(7_300_000)

  const { entries } = w.flow.list({ type: work, order: 'id' })
  expect(entries.map(({ id, status }) => [id, status])).toEqual([
    ['0', 'failed'],
    ['10000', 'waiting'],
    ['5000', 'completed'],
  ])
  const run = await w.during(w.flow.start(work, 3, { id: '1' }))
  expect(run.repeated).toBe(false)
})

test('a child stays until its parent has its end, however long ago it ended', {
  tags: ['W11'],
}, async () => {
  const child = workflow('child', (ctx: Ctx) => ctx.sleep('pause', '10s'), {
    keep: { completed: '1h' },
  })
  const parent = workflow('parent', (ctx: Ctx) => ctx.child('one', child, undefined))
  const w = await flowWorld([parent, child])
  await w.during(w.flow.start(parent, undefined, { id: '1' }))
  await w.s.advance(1_000)
  const ids = () => w.flow.list({ type: child, status: 'completed' }).entries.map(({ id }) => id)

  await w.crash([child])
  await w.s.advance(4 * 3_600_000)
  expect(ids()).toHaveLength(1)
  await w.crash([parent, child])
  await w.during(w.flow.handle(parent, '1').result())
  await w.s.advance(2 * 3_600_000)
  expect(ids()).toEqual([])
})

test('wrong options of a start are refused', async () => {
  const w = await flowWorld([work])

  for (const options of [
    {},
    { id: '' },
    { id: '{x}' },
    { id: '1', delay: 'soon' },
    { id: '1', x: 1 },
  ])
    expect(await w.during(codeOf(w.flow.start(work, 1, options as never)))).toBe('INVALID_ARGUMENT')
})

const person = workflow(
  'person',
  async (ctx: Ctx<{ answer: number }>, input: { name: string; token: string }) => {
    await ctx.step('greet', () => ({ said: `hello ${input.name}` }))
    const answer = await ctx.waitFor('answer', { timeout: '1h' })
    if (answer === undefined) return 'nothing'
    await ctx.step('call', () => Promise.reject(new TypeError('busy')), {
      retry: { max: 5, baseMs: 600_000, maxMs: 600_000 },
    })
    return 'called'
  },
)

describe('a look at a run', () => {
  test('shows its input, the values of its steps, and the signal that it waits for', async () => {
    const w = await flowWorld([person])
    await w.during(w.flow.start(person, { name: 'Ada', token: 't-1' }, { id: 'a' }))
    await w.s.advance(10_000)

    const row = w.flow.get(person, 'a')
    expect(row?.input).toEqual({ name: 'Ada', token: 't-1' })
    expect(row?.waitsFor).toMatchObject({ kind: 'signal', name: 'answer' })
    expect(row?.waitsFor?.until).toBeGreaterThan(w.s.clock.now())
    expect(w.flow.steps(person, 'a').entries[0]).toMatchObject({
      key: 'greet',
      value: { said: 'hello Ada' },
    })
  })

  test('shows the error of a step that fails, and when its next try is', async () => {
    const w = await flowWorld([person])
    await w.during(w.flow.start(person, { name: 'Ada', token: 't-1' }, { id: 'a' }))
    const run = w.flow.handle<unknown, unknown, { answer: number }>(person as never, 'a')
    await w.during(run.signal('answer', 1))
    await w.s.advance(10_000)

    const [row] = w.flow.list({ type: person }).entries
    expect([row?.status, row?.error?.message]).toEqual(['waiting', 'busy'])
    expect(row?.waitsFor).toMatchObject({ kind: 'retry', name: 'call' })
  })
})

describe('a list', () => {
  const steady = workflow('steady', async (ctx: Ctx, input: number) => {
    if (input === 3) await ctx.step('long', () => new Promise(() => {}))
    await ctx.sleep('pause', input * 1_000)
    if (input === 2) throw new Error('two')
  })

  test.each(['newest', 'oldest'] as const)(
    'has runs of all statuses by their last change, the %s first, page by page',
    async (order) => {
      const w = await flowWorld([steady])
      for (const [at, n] of [40, 3, 1, 50, 3, 2, 4, 3].entries()) {
        await w.during(w.flow.start(steady, n, { id: `${at}` }))
        await w.s.advance(700)
      }
      await w.s.advance(9_000)
      const all = w.flow.list({ type: steady, order: 'id' }).entries
      const sign = order === 'newest' ? -1 : 1
      const wanted = all.toSorted((one, other) => sign * (one.since - other.since))

      expect(new Set(all.map(({ status }) => status)).size).toBe(4)
      for (const limit of [1, 2, 3, 100]) {
        const found: string[] = []
        let cursor: string | undefined
        do {
          const options = { type: steady, order, limit } as const
          const page = w.flow.list({ ...options, ...(cursor !== undefined && { cursor }) })
          found.push(...page.entries.map(({ id }) => id))
          cursor = page.cursor
        } while (cursor !== undefined)
        expect(found).toEqual(wanted.map(({ id }) => id))
      }
    },
  )

  test('has the last change first without an order', async () => {
    const w = await world()

    const rows = w.flow.list({ type: work }).entries
    expect(rows.map(({ since }) => since)).toEqual(
      rows
        .map(({ since }) => since)
        .toSorted()
        .toReversed(),
    )
    expect(rows).toHaveLength(4)
  })
})

describe('a run that has not begun', () => {
  const work = workflow('work', (ctx: Ctx) => ctx.sleep('pause', '1h'), { queue: 'line' })
  const later = workflow('later', async () => undefined)
  const line = queue('line', { concurrency: 1 })

  test('says that it waits in its queue, and its place there', async () => {
    const w = await flowWorld([work], { queues: [line] })
    for (const [id, priority] of [
      ['first', 0],
      ['second', 0],
      ['third', 0],
      ['urgent', 5],
    ] as const)
      await w.during(w.flow.start(work, undefined, { id, priority }))
    await w.s.advance(1_000)

    const placeOf = (id: string) => w.during(w.flow.place(work, id))
    expect(w.flow.get(work, 'third')?.waitsFor).toEqual({ kind: 'queue', name: 'line' })
    expect(await placeOf('third')).toEqual({ queue: 'line', before: 2, ready: 3 })
    expect((await placeOf('urgent'))?.before).toBe(0)
    expect(await placeOf('first')).toBeUndefined()
    expect(await placeOf('none')).toBeUndefined()
  })

  test('says the end of its delay', async () => {
    const w = await flowWorld([later])
    await w.during(w.flow.start(later, undefined, { id: 'a', delay: '1h' }))

    const until = w.s.clock.now() + 3_600_000
    const { kind, until: due = 0 } = w.flow.get(later, 'a')?.waitsFor ?? {}
    expect([kind, Math.abs(due - until) < 1_000]).toEqual(['delay', true])
    await w.s.advance(3_601_000)
    expect(w.flow.get(later, 'a')).toMatchObject({ status: 'completed', waitsFor: undefined })
  })
})
