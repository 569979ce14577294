/** The streams of an entity and of a run on the page: their facts, and their last messages. */
import { expect, onTestFinished, test } from 'vitest'
import { type Ctx, workflow } from '../../../src/flow/index.ts'
import { Observer } from '../../../src/inspect/observe/observer.ts'
import type { EntityDetail, RunDetail } from '../../../src/observe/index.ts'
import { flowWorld } from '../../support/worlds/flow-world.ts'

const secret = 'canary-7f3'

const world = async (body: (ctx: Ctx) => unknown) => {
  const speaks = workflow('speaks', async (ctx: Ctx) => {
    await body(ctx)
    await ctx.sleep('rest', '1h')
  })
  const w = await flowWorld([speaks])
  await w.during(w.flow.start(speaks, undefined, { id: '1' }))
  await w.s.advance(10_000)
  const observer = new Observer(w.s.app, { isWriting: false, user: 'ann' })
  onTestFinished(() => observer.end())
  const look = async <T>(name: string, query: Readonly<Record<string, string>>): Promise<T> => {
    const answered = await w.during(observer.answer({ id: 1, look: name, query }))
    return (answered as { answer: { data: T } }).answer.data
  }
  return {
    ...w,
    asRun: () => look<RunDetail>('run', { type: 'speaks', id: '1' }),
    asEntity: () => look<EntityDetail>('entity', { kind: '$flow-speaks', id: '1' }),
  }
}

test('a run and its entity show their streams with the last messages, and no secrets', async () => {
  const { asRun, asEntity } = await world((ctx) => {
    for (let at = 0; at < 30; at++) ctx.stream('out').append({ at, token: secret })
  })
  const { streams } = await asRun()
  expect(streams).toMatchObject([{ name: 'out', messages: 30, isClosed: false }])
  const tail = streams?.[0]?.tail ?? []
  expect(tail).toHaveLength(10)
  expect([tail[0], tail.at(-1)].map((line) => /at: (\d+)/.exec(line ?? '')?.[1])).toEqual([
    '20',
    '29',
  ])
  expect(JSON.stringify(streams)).not.toContain(secret)
  expect((await asEntity()).streams).toEqual(streams)
})

test('a run without streams has none on the page', async () => {
  const { asRun, asEntity } = await world(() => undefined)
  expect([await asRun(), await asEntity()].map((shown) => 'streams' in shown)).toEqual([
    false,
    false,
  ])
})

test('the ones with the latest appends come first, and four have their messages', async () => {
  const { asRun } = await world(async (ctx) => {
    for (let at = 0; at < 20; at++) {
      ctx.stream(`s${at}`).append('x'.repeat(5_000))
      await ctx.sleep(`pause ${at}`, 10)
    }
  })
  const { streams = [] } = await asRun()
  expect(streams.map(({ name }) => name)).toEqual(
    Array.from({ length: 16 }, (_, at) => `s${19 - at}`),
  )
  expect(streams.map(({ tail }) => tail.length)).toEqual([1, 1, 1, 1, ...Array(12).fill(0)])
  expect(Math.max(...streams.map(({ tail }) => tail.join().length))).toBeLessThanOrEqual(161)
})

test('the last messages are the last ones, also when each of them is long', async () => {
  const { asRun } = await world(async (ctx) => {
    for (let at = 0; at < 12; at++) {
      ctx.stream('out').append({ at, text: 'x'.repeat(20_000) })
      await ctx.sleep(`pause ${at}`, 10)
    }
  })
  const lines = (await asRun()).streams?.[0]?.tail ?? []
  expect(lines.map((line) => /at: (\d+)/.exec(line)?.[1])).toEqual(
    Array.from({ length: 10 }, (_, at) => `${at + 2}`),
  )
})
