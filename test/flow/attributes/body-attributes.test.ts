/** `ctx.attributes`: an operation that sets attributes of its run, once, however often the body is replayed. */
import { expect, test } from 'vitest'
import { type AnyWorkflow, type Ctx, type Where, workflow } from '../../../src/flow/index.ts'
import { flowWorld } from '../../support/worlds/flow-world.ts'

type World = Awaited<ReturnType<typeof flowWorld>>

const attributesOf = async (w: World, type: AnyWorkflow, id: string) =>
  (await w.during(w.flow.read('get', type, id)))?.attributes

const idsIn = async (w: World, type: AnyWorkflow, where: Where) =>
  (await w.during(w.flow.read('list', { type, where }))).entries.map(({ id }) => id)

const staged = workflow('staged', async (ctx: Ctx<{ go: undefined }>) => {
  await ctx.attributes({ stage: 'one', tier: 2 })
  await ctx.waitFor('go')
  await ctx.attributes({ stage: 'two', tier: null, isLate: true })
  await ctx.waitFor('go')
  await ctx.attributes({ stage: undefined, isLate: null, customer: null })
  await ctx.waitFor('go')
})

test('the attributes that a body sets are found, and the ones that it removes are not', async () => {
  const w = await flowWorld([staged])
  const attributes = { customer: 'c-7' }
  const run = await w.during(w.flow.start(staged, undefined, { id: '1', attributes }))
  await w.s.advance(5_000)
  expect(await attributesOf(w, staged, '1')).toEqual({ ...attributes, stage: 'one', tier: 2 })
  expect(await idsIn(w, staged, { stage: 'one', customer: 'c-7' })).toEqual(['1'])

  await w.during(run.signal('go', undefined))
  await w.s.advance(5_000)
  expect(await attributesOf(w, staged, '1')).toEqual({ ...attributes, stage: 'two', isLate: true })
  expect(await idsIn(w, staged, { stage: 'two' })).toEqual(['1'])
  for (const gone of [{ stage: 'one' }, { tier: 2 }])
    expect(await idsIn(w, staged, gone)).toEqual([])

  await w.during(run.signal('go', undefined))
  await w.s.advance(5_000)
  expect(await attributesOf(w, staged, '1')).toBe(undefined)
  expect(await w.during(w.s.app.entity('$flow-staged').load('1'))).not.toHaveProperty('attributes')
  expect(await idsIn(w, staged, { stage: 'two' })).toEqual([])
})

test('a replay after a crash sets nothing again', async () => {
  const w = await flowWorld([staged])
  const run = await w.during(w.flow.start(staged, undefined, { id: '1' }))
  await w.during(run.signal('go', undefined))
  await w.s.advance(5_000)
  await w.crash()
  const { entries } = await w.during(w.flow.read('steps', staged, '1'))
  expect(entries.filter(({ kind }) => kind === 'attributes')).toMatchObject([
    { value: { stage: 'one', tier: 2 } },
    { value: { stage: 'two', tier: null, isLate: true } },
  ])

  const changes = w.flow.watch({ type: staged })
  await w.during(changes.ready)
  const seen: unknown[] = []
  const looks = (async () => {
    for await (const { row } of changes) seen.push(row?.attributes)
  })()
  await w.during(w.flow.handle(staged, '1').signal('go', undefined))
  await w.s.advance(5_000)
  await changes.return?.()
  await looks
  expect(seen.length).toBeGreaterThan(1)
  expect(new Set(seen.map((each) => JSON.stringify(each)))).toEqual(
    new Set(['{"stage":"two","isLate":true}', undefined]),
  )
})

test('the next body of `again` has the attributes of the last one', async () => {
  const laps = workflow('laps', async (ctx: Ctx<{ go: undefined }>, lap: number) => {
    await ctx.attributes(lap === 0 ? { first: lap } : { last: lap })
    if (lap < 2) ctx.again(lap + 1)
    await ctx.waitFor('go')
  })
  const w = await flowWorld([laps])
  await w.during(w.flow.start(laps, 0, { id: '1' }))
  await w.s.advance(5_000)

  expect(await attributesOf(w, laps, '1')).toEqual({ first: 0, last: 2 })
})

test('more than 16 attributes are refused to the body, the same in each replay', async () => {
  const many = (prefix: string, count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, at) => [`${prefix}${at}`, at]))
  const greedy = workflow('greedy', async (ctx: Ctx<{ go: undefined }>) => {
    await ctx.attributes(many('a', 16))
    const refused = await ctx.attributes(many('b', 1)).catch(({ code }) => code)
    await ctx.attributes({ a0: null, b: 1 })
    await ctx.waitFor('go')
    return refused
  })
  const w = await flowWorld([greedy])
  await w.during(w.flow.start(greedy, undefined, { id: '1' }))
  await w.s.advance(5_000)
  await w.crash()
  await w.during(w.flow.handle(greedy, '1').signal('go', undefined))
  await w.s.advance(5_000)

  expect(await w.during(w.flow.handle(greedy, '1').result())).toBe('INVALID_ARGUMENT')
  const { a0: _, ...others } = many('a', 16)
  expect(await attributesOf(w, greedy, '1')).toEqual({ ...others, b: 1 })
})

test.each([[{ status: 'x' }], [{ customer: [] }], [{ customer: Number.NaN }], ['customer']])(
  'a body is refused %o, and nothing is recorded',
  async (changes) => {
    const wrong = workflow('wrong', (ctx: Ctx) =>
      ctx.attributes(changes as never).catch(({ code }) => code as unknown),
    )
    const w = await flowWorld([wrong])
    const run = await w.during(w.flow.start(wrong, undefined, { id: '1' }))
    await w.s.advance(5_000)

    expect(await w.during(run.result())).toBe('INVALID_ARGUMENT')
    expect((await w.during(w.flow.read('steps', wrong, '1'))).entries).toEqual([])
  },
)

test('a child has the attributes of its options, and none of its parent', async () => {
  const work = workflow(
    'work',
    async (ctx: Ctx<{ go: undefined }>) => void (await ctx.waitFor('go')),
  )
  const parent = workflow('parent', async (ctx: Ctx) => {
    await ctx.all('children', [
      (branch) => branch.child('a', work, undefined, { id: 'a', attributes: { customer: 'c-8' } }),
      (branch) => branch.child('b', work, undefined, { id: 'b' }),
    ])
  })
  const w = await flowWorld([work, parent])
  const attributes = { customer: 'c-7' }
  await w.during(w.flow.start(parent, undefined, { id: '1', attributes }))
  await w.s.advance(5_000)

  expect(await attributesOf(w, work, 'a')).toEqual({ customer: 'c-8' })
  expect(await attributesOf(w, work, 'b')).toBe(undefined)
})

test('a retry from an operation keeps attributes, and sets those after it again', async () => {
  let tier = 1
  const fails = workflow('fails', async (ctx: Ctx) => {
    await ctx.attributes({ customer: 'c-7' })
    const found = await ctx.step('tier', () => tier)
    await ctx.attributes({ tier: found })
  })
  const w = await flowWorld([fails])
  await w.during(w.flow.start(fails, undefined, { id: '1' }))
  await w.s.advance(5_000)
  tier = 2
  await w.during(w.flow.retry(fails, '1', { from: 'tier' }))
  await w.s.advance(5_000)

  expect(await attributesOf(w, fails, '1')).toEqual({ customer: 'c-7', tier: 2 })
})
