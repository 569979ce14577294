/** The keys of operations: which are taken, what a branch adds to them, and the run of a child that its key gives. */
import { expect, test } from 'vitest'
import { type Ctx, type FlowTurnContext, flow, flows, workflow } from '../../../src/flow/index.ts'
import { checkPartName } from '../../../src/flow/runs/parts.ts'
import { call, entity, type Ref, reply, supervisor } from '../../../src/index.ts'
import { flowWorld } from '../../support/worlds/flow-world.ts'
import { codeOf, simulated } from '../../support/worlds/simulated-instance.ts'

test('a key has 1 to 256 bytes, with the prefix of its branch, and no reserved beginning', async () => {
  const codes: unknown[] = []
  const keys = ['x'.repeat(256), 'é'.repeat(128), 'é'.repeat(129), 'a$b', 'a undo:b', 'undo', 'a\0']
  const asks = workflow('asks', async (ctx: Ctx) => {
    for (const key of keys) codes.push(await codeOf(ctx.step(key, () => 1)))
    await ctx.all('all', [
      async (own: Ctx) => {
        // The prefix is `all/0/`.
        for (const key of ['x'.repeat(250), 'x'.repeat(251), '$a', 'undo:a', ''])
          codes.push(await codeOf(own.step(key, () => 1)))
        for (const change of ['', '$a', 'x'.repeat(251)])
          codes.push(await codeOf((async () => own.patched(change))()))
      },
    ])
    codes.push(await codeOf(ctx.all('$a', [async () => 1])))
  })
  const w = await flowWorld([asks])
  await w.during((await w.during(w.flow.start(asks, undefined, { id: '1' }))).result())

  const no = 'INVALID_ARGUMENT'
  expect(codes).toEqual([
    ...['ok', 'ok', no, 'ok', 'ok', 'ok', no],
    ...['ok', no, no, no, no],
    ...[no, no, no],
    no,
  ])
})

test('a wait has the name of its signal and a number as its key, in a branch too, or its own key', async () => {
  const waits = workflow('waits', async (ctx: Ctx<{ a: number; b: number }>) => {
    const branch = async (own: Ctx<{ a: number; b: number }>) => [
      await own.waitFor('a', { timeout: 1 }),
      await own.waitFor('b', { timeout: 1, key: 'mine' }),
    ]
    await ctx.waitFor('a', { timeout: 1 })
    await ctx.all('all', [branch])
    await ctx.waitFor('b', { timeout: 1 })
    await ctx.waitFor('a', { timeout: 1 })
  })
  const w = await flowWorld([waits])
  const run = await w.during(w.flow.start(waits, undefined, { id: '1' }))
  await w.during(run.result())

  expect(w.flow.steps(waits, '1').entries.map(({ key }) => key)).toEqual([
    ...['a#1', 'a#2', 'all/0/mine', 'b#1', 'a#3'],
  ])
})

test('a child without an id has one of its own for each key, and keeps it over crashes and retries', async () => {
  let isAway = true
  const child = workflow('child', (ctx: Ctx, ms: number) => ctx.sleep('nap', ms))
  const parent = workflow('parent', async (ctx: Ctx) => {
    await ctx.child('a', child, 10)
    await ctx.all('all', [(own: Ctx) => own.child('a', child, 60_000)])
    await ctx.step('undone', () => 1, { undo: () => undefined })
    await ctx.child('named', child, 10, { id: 'own' })
    const pay = () => (isAway ? Promise.reject(new Error('no')) : 'paid')
    return ctx.step('pay', pay, { retry: { max: 1 } })
  })
  const w = await flowWorld([child, parent])
  const ids = () => w.flow.list({ type: child, order: 'id' }).entries.map(({ id }) => id)
  await w.during(w.flow.start(parent, undefined, { id: '1' }))
  await w.s.advance(10_000)
  const first = ids()
  expect(first).toHaveLength(2)
  await w.crash()
  await w.s.advance(120_000)
  expect(w.status(parent, '1')).toBe('failed')
  const all = ids()
  expect(all.filter((id) => !first.includes(id))).toEqual(['own'])
  expect(all.filter((id) => /^[0-9a-f]{32}$/.test(id))).toEqual(first)

  isAway = false
  await w.during(w.flow.retry(parent, '1'))
  expect(await w.during(w.flow.handle(parent, '1').result())).toBe('paid')
  expect(ids()).toEqual(all)
})

test('a part has a name of a small letter, then 49 letters, digits, _ and - at most', () => {
  const isTaken = (name: unknown): boolean => {
    try {
      return checkPartName('queue', name) === name
    } catch (error) {
      expect(error).toMatchObject({
        code: 'CONFIG',
        message: expect.stringContaining('queue.name'),
      })
      return false
    }
  }
  const taken = ['a', 'aB-_9', `a${'b'.repeat(49)}`]
  const refused = [
    '',
    'A',
    '9a',
    '-a',
    'a b',
    'a.b',
    'xé',
    ' a',
    `a${'b'.repeat(50)}`,
    undefined,
    7,
    ['a'],
  ]
  expect(taken.map(isTaken)).toEqual(taken.map(() => true))
  expect(refused.map(isTaken)).toEqual(refused.map(() => false))
})

test('a signal or an update with a name that no body can wait for is refused at the caller', async () => {
  const names = ['$x', 'undo:x', '', 'a\0', 'x'.repeat(257), '\ud800', 'a$b', 'undo']
  const waits = workflow('waits', (ctx: Ctx<{ never: undefined }>) => ctx.waitFor('never'))
  const sent: unknown[] = []
  const sends = entity('sends', {
    init: () => 0,
    calls: {
      send: async (state: number, name: string, context: FlowTurnContext) => {
        const signals = async () =>
          flow(context).signal(waits as never, '1', name as never, 1 as never)
        sent.push(await codeOf(signals()))
        return reply(undefined, state)
      },
    },
  } as never)
  const tree = supervisor('app', {}, [flows({ workflows: [waits] }), sends])
  const s = await simulated({ app: tree })
  const run = await s.during(flow(s.app).start(waits, undefined, { id: '1' }))
  const codes: unknown[][] = [[], []]
  for (const name of names) {
    codes[0]?.push(await codeOf(s.during(run.signal(name as never, undefined as never))))
    const asked = run.update(name as never, 1 as never, { timeoutMs: 1 })
    codes[1]?.push(await codeOf(s.during(asked)))
    await s.during(call(s.app.entity(sends).ref('1') as Ref<never>, 'send' as never, name as never))
  }
  const no = Array.from({ length: 6 }, () => 'INVALID_ARGUMENT')
  expect(codes).toEqual([
    [...no, 'ok', 'ok'],
    [...no, 'TIMEOUT', 'TIMEOUT'],
  ])
  expect(sent).toEqual([...no, 'ok', 'ok'])
})
