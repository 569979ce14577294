/** Attributes of jobs: set when they are added, found by `where` in every state, gone with their job. */
import { expect, test } from 'vitest'
import { type Attributes, flow, type JobsOptions } from '../../../src/flow/index.ts'
import { jobWorld, restart } from '../../support/worlds/job-world.ts'
import { codeOf } from '../../support/worlds/simulated-instance.ts'

type World = Awaited<ReturnType<typeof jobWorld>>

const pageOf = ({ s, mails }: World, options: JobsOptions) =>
  s.during(flow(s.app).read('jobs', mails as never, options))

const found = async (w: World, where: Attributes, options: Partial<JobsOptions> = {}) => {
  const { entries } = await pageOf(w, { where, ...options })
  return entries.map(({ id, state }) => `${id} ${state}`)
}

/** How many rows of the queue are there for attributes. */
const rowsOf = async ({ s }: World) => {
  const rows = s.app.entity('$queue-mails').rows('queue')
  const of = async (prefix: string) => (await s.during(rows.page({ prefix }))).entries.length
  return [await of('a/'), await of('b/')]
}

const customer = (name: string, more = {}) => ({ attributes: { customer: name, ...more } })

test('`where` finds the jobs with these values in every state, the one added last first', async () => {
  const w = await jobWorld({ concurrency: 2, retry: { max: 1 }, keep: { results: '1d' } })
  for (const name of ['a', 'b', 'c']) await w.add(name, customer('c-7', { tier: 2 }))
  await w.add('d', customer('c-70'))
  await w.add('e', { ...customer('c-7'), delay: '1h' })
  await w.s.advance(100)
  expect(await found(w, { customer: 'c-7' })).toEqual([
    ...['5 delayed', '3 waiting', '2 running', '1 running'],
  ])

  w.done('a', 'sent')
  w.fails('b')
  await w.s.advance(100)
  const all = ['5 delayed', '3 running', '2 dead', '1 done']
  expect(await found(w, { customer: 'c-7' })).toEqual(all)
  expect(await found(w, { customer: 'c-7', tier: 2 })).toEqual(all.slice(1))
  expect(await found(w, { customer: 'c-7' }, { state: 'dead' })).toEqual(['2 dead'])
  expect(await found(w, { tier: '2' })).toEqual([])
  expect((await w.get(1))?.attributes).toEqual({ customer: 'c-7', tier: 2 })
  await restart(w.s)
  expect(await found(w, { customer: 'c-7' })).toEqual(all)
  await w.s.during(flow(w.s.app).retry(w.mails, '2'))
  await w.s.advance(100)
  expect(await found(w, { customer: 'c-7' })).toEqual([
    '5 delayed',
    '3 running',
    '2 waiting',
    '1 done',
  ])
})

test('pages of any size, joined, are the list', async () => {
  const w = await jobWorld({ concurrency: 3 })
  for (let at = 0; at < 23; at++)
    await w.add(`${at}`, customer(at % 3 === 0 ? 'c-8' : 'c-7', { isLate: at % 2 === 0 }))
  await w.s.advance(100)
  for (const where of [{ customer: 'c-7' }, { customer: 'c-7', isLate: true }])
    for (const limit of [1, 2, 7, 100]) {
      const ids: string[] = []
      for (let cursor: string | undefined, isLast = false; !isLast; ) {
        const page = await pageOf(w, { where, limit, ...(cursor && { cursor }) })
        ids.push(...page.entries.map(({ id }) => id))
        cursor = page.cursor
        isLast = page.exhausted
      }
      const numbers = Array.from({ length: 23 }, (_, at) => at).reverse()
      const wanted = numbers.filter((at) => at % 3 !== 0 && (!('isLate' in where) || at % 2 === 0))
      expect(ids).toEqual(wanted.map((at) => `${at + 1}`))
    }
})

test('a job that is done, removed, or no longer kept leaves no row of its attributes', async () => {
  const w = await jobWorld({ retry: { max: 1 }, keep: { dead: '1h' } })
  for (const name of ['done', 'dead', 'removed']) await w.add(name, customer('c', { name }))
  await w.s.advance(100)
  expect(await rowsOf(w)).toEqual([6, 3])
  w.done('done')
  await w.s.advance(100)
  await w.s.during(w.job(3).remove())
  w.fails('dead')
  await w.s.advance(100)
  expect(await found(w, { customer: 'c' })).toEqual(['2 dead'])
  expect(await rowsOf(w)).toEqual([2, 1])
  await w.s.advance(4 * 3_600_000)
  expect(await rowsOf(w)).toEqual([0, 0])
})

test('a result is found until it is removed, or its time is over', async () => {
  const w = await jobWorld({ keep: { results: '1h' } })
  for (const name of ['a', 'b']) await w.add(name, customer('c'))
  await w.s.advance(100)
  for (const name of ['a', 'b']) w.done(name, name)
  await w.s.advance(100)
  expect(await found(w, { customer: 'c' })).toEqual(['2 done', '1 done'])
  await w.s.during(w.job(1).remove())
  expect(await found(w, { customer: 'c' })).toEqual(['2 done'])
  await w.s.advance(4 * 3_600_000)
  expect([await found(w, { customer: 'c' }), await rowsOf(w)]).toEqual([[], [0, 0]])
})

test('a job that a later add replaces has the attributes of that add', async () => {
  const w = await jobWorld()
  const debounce = { key: 'k', ms: 60_000 }
  await w.add('a', { debounce, attributes: { customer: 'c-1', tier: 1 } })
  await w.add('b', { debounce, attributes: { customer: 'c-2' } })
  expect([await found(w, { customer: 'c-1' }), await found(w, { customer: 'c-2' })]).toEqual([
    [],
    ['1 delayed'],
  ])
  expect(await rowsOf(w)).toEqual([1, 1])
  const first = { debounce: { ...debounce, keep: 'first' } } as const
  await w.add('c', { ...first, attributes: { customer: 'c-3' } })
  expect([await found(w, { customer: 'c-2' }), await rowsOf(w)]).toEqual([['1 delayed'], [1, 1]])
  await w.add('d', { debounce })
  expect([await found(w, { customer: 'c-2' }), await rowsOf(w)]).toEqual([[], [0, 0]])
})

test('a job without attributes has no row and no field for them', async () => {
  const w = await jobWorld({ concurrency: 1 })
  await w.add('a', { unique: 'u' })
  await w.add('b', { attributes: { customer: undefined } })
  await w.s.advance(100)
  expect(await rowsOf(w)).toEqual([0, 0])
  const rows = await w.s.during(w.s.app.entity('$queue-mails').rows('queue').page({ prefix: 'r/' }))
  expect(rows.entries.map(([, row]) => row)).toEqual([
    ['', 0, expect.any(Number), 0, 'u', null, 'a'],
    ['', 0, expect.any(Number), 0, null, null, 'b'],
  ])
})

test('a job is refused with attributes that are none, and a list without a state or a condition', async () => {
  const w = await jobWorld()
  for (const attributes of [{ status: 'x' }, { state: 'x' }, { a: null }, { a: {} }, 'a'])
    expect(await codeOf(w.add('a', { attributes }))).toBe('INVALID_ARGUMENT')
  for (const options of [{}, { where: {} }, { where: { a: 1 }, cursor: 'r/1' }, { where: 'a' }])
    expect(await codeOf(pageOf(w, options as never))).toBe('INVALID_ARGUMENT')
  expect(await rowsOf(w)).toEqual([0, 0])
})
