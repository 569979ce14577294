/** Signals: each reaches one wait, in order, and an id counts once. */
import { expect, test } from 'vitest'
import { type Ctx, workflow } from '../../../src/flow/index.ts'
import { flowWorld } from '../../support/worlds/flow-world.ts'
import { codeOf } from '../../support/worlds/simulated-instance.ts'

type Signals = { word: string; stop: undefined }

const listens = workflow('listens', async (ctx: Ctx<Signals>, words: number) => {
  const heard: unknown[] = []
  for (let at = 0; at < words; at++) heard.push(await ctx.waitFor('word'))
  heard.push((await ctx.waitFor('stop', { timeout: '5m' })) ?? 'stopped')
  return heard
})

test('a signal reaches one wait, in order, also if it comes before the wait or after a crash', {
  tags: ['W1', 'W8'],
}, async () => {
  const w = await flowWorld([listens])
  const run = await w.during(w.flow.start(listens, 4, { id: '1' }))
  for (const word of ['a', 'b']) await w.during(run.signal('word', word))
  await w.crash()
  const handle = w.flow.handle(listens, '1')
  await w.during(handle.signal('word', 'c'))
  await w.s.advance(60_000)
  expect(w.status(listens, '1')).toBe('waiting')
  await w.during(handle.signal('word', 'd'))
  await w.during(handle.signal('stop', undefined))

  expect(await w.during(handle.result())).toEqual(['a', 'b', 'c', 'd', 'stopped'])
  expect(await w.during(codeOf(handle.signal('word', 'e')))).toBe('CONFLICT')
})

const listensInTime = workflow('listensInTime', async (ctx: Ctx<Signals>, words: number) => {
  const heard: unknown[] = []
  for (let at = 0; at < words; at++) heard.push(await ctx.waitFor('word', { timeout: '1m' }))
  return heard
})

test.each([listens, listensInTime])(
  'signals that come at once reach one wait each',
  {
    tags: ['W8'],
  },
  async (type) => {
    const w = await flowWorld([type])
    const run = await w.during(w.flow.start(type, 3, { id: '1' }))
    const words = ['a', 'b', 'c']
    await w.during(Promise.all(words.map((word) => run.signal('word', word))))
    const result = (await w.during(run.result({ timeoutMs: 400_000 }))) as unknown[]

    expect(result.slice(0, 3)).toEqual(words)
  },
)

test('an id counts once, over crashes and after the end too', { tags: ['W8'] }, async () => {
  const w = await flowWorld([listens])
  const run = await w.during(w.flow.start(listens, 2, { id: '1' }))
  expect(await w.during(run.signal('word', 'a', { id: 'x' }))).toEqual({ repeated: false })
  expect(await w.during(run.signal('word', 'a', { id: 'x' }))).toEqual({ repeated: true })
  await w.crash()
  const handle = w.flow.handle(listens, '1')
  expect(await w.during(handle.signal('word', 'a', { id: 'x' }))).toEqual({ repeated: true })
  await w.during(handle.signal('word', 'b'))
  await w.during(handle.signal('stop', undefined))

  expect(await w.during(handle.result())).toEqual(['a', 'b', 'stopped'])
  expect(await w.during(handle.signal('word', 'a', { id: 'x' }))).toEqual({ repeated: true })
  expect(await w.during(codeOf(handle.signal('word', 'a', { id: 'y' })))).toBe('CONFLICT')
})

test('a wait with a time-out ends without a signal, not early', { tags: ['W7'] }, async () => {
  const w = await flowWorld([listens])
  const run = await w.during(w.flow.start(listens, 0, { id: '1' }))
  const begin = w.s.clock.now()

  expect(await w.during(run.result({ timeoutMs: 400_000 }))).toEqual(['stopped'])
  expect(w.s.clock.now() - begin).toBeGreaterThanOrEqual(300_000)
})

test('a run takes 1,000 unread signals of at most 1 MiB', async () => {
  const w = await flowWorld([listens])
  const run = await w.during(w.flow.start(listens, 0, { id: '1' }))
  expect(await w.during(codeOf(run.signal('word', 'x'.repeat(1_100_000))))).toBe('TOO_LARGE')
  await w.during(Promise.all(Array.from({ length: 1_000 }, () => run.signal('word', ''))))

  expect(await w.during(codeOf(run.signal('word', '')))).toBe('BUSY')
})

test('a signal to a run that has not begun is refused', async () => {
  const w = await flowWorld([listens])

  expect(await w.during(codeOf(w.flow.handle(listens, '1').signal('word', 'a')))).toBe('CONFLICT')
})

test('a signal is no cancel: a step that fails meanwhile has all its tries', {
  tags: ['W8'],
}, async () => {
  const tries: number[] = []
  const fails = workflow('fails', async (ctx: Ctx<Signals>) => {
    const act = ({ attempt }: { readonly attempt: number }): string => {
      tries.push(attempt)
      if (attempt < 4) throw new Error('away')
      return 'done'
    }
    const done = await ctx.step('call', act, { retry: { max: 4 } })
    return [done, await ctx.waitFor('word')]
  })
  const w = await flowWorld([fails])
  const run = await w.during(w.flow.start(fails, undefined, { id: '1' }))
  await w.s.advance(100)
  expect(tries).toHaveLength(1)

  await w.during(run.signal('word', 'a'))
  expect(await w.during(run.result({ timeoutMs: 600_000 }))).toEqual(['done', 'a'])
  expect(tries).toEqual([1, 2, 3, 4])
})
