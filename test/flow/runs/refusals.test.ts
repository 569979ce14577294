/** Bodies that ask again and again for what they are refused: they hold up nothing else, live and in a replay. */
import { describe, expect, test } from 'vitest'
import { type Ctx, workflow } from '../../../src/flow/index.ts'
import { flowWorld } from '../../support/worlds/flow-world.ts'
import { codeOf } from '../../support/worlds/simulated-instance.ts'

const never = (): Promise<never> => new Promise(() => undefined)

/** An ordinary poller: whatever fails, it tries again later. */
const polls = workflow('polls', async (ctx: Ctx) => {
  for (let at = 0; ; at++)
    try {
      await ctx.step(`ask${at}`, () => 'nothing yet')
      await ctx.sleep(`pause${at}`, '1s')
    } catch {
      // In the next round.
    }
})

test('a cancel ends a body that catches it in a loop', async () => {
  const w = await flowWorld([polls])
  const run = await w.during(w.flow.start(polls, undefined, { id: '1' }))
  await w.s.advance(3_500)
  await w.during(run.cancel())
  await w.s.advance(1_000)
  expect(await w.during(codeOf(run.result()))).toBe('CANCELLED')
})

test('a cancel that a crash cuts off ends such a body in its replay too', async () => {
  const w = await flowWorld([polls])
  const run = await w.during(w.flow.start(polls, undefined, { id: '1' }))
  await w.s.advance(3_500)
  const cancelled = run.cancel().catch(() => undefined)
  await w.s.advance(1)
  await w.crash()
  await cancelled
  await w.s.advance(1_000)
  expect(w.status(polls, '1')).toBe('cancelled')
})

test('a cancelled body is refused once more, in a later turn, and gets nothing after that', async () => {
  const seen: string[] = []
  const tidies = workflow('tidies', async (ctx: Ctx) => {
    const asks = async (key: string) => {
      const code = await codeOf(ctx.step(key, () => 1))
      seen.push(`${key} ${code}`)
    }
    try {
      await ctx.step('hangs', never)
    } finally {
      await Promise.all([asks('a'), asks('b')])
      await asks('c')
      seen.push('never')
    }
  })
  const w = await flowWorld([tidies])
  const run = await w.during(w.flow.start(tidies, undefined, { id: '1' }))
  await w.s.advance(100)
  await w.during(run.cancel())
  await w.s.advance(60_000)
  expect(seen).toEqual(['a CANCELLED', 'b CANCELLED'])
  expect(w.status(tidies, '1')).toBe('cancelled')
})

test('`again` ends a body that catches what it throws in a loop', async () => {
  const laps = workflow('laps', async (ctx: Ctx, n: number): Promise<string> => {
    await ctx.sleep('first', '1s')
    for (;;)
      try {
        if (n === 0) ctx.again(1)
        return `lap ${n}`
      } catch {
        await undefined
      }
  })
  const w = await flowWorld([laps])
  const run = await w.during(w.flow.start(laps, 0, { id: '1' }))
  expect(await w.during(run.result())).toBe('lap 1')
})

describe('a body that waits for nothing but refusals', () => {
  const isRefused = {
    'a key that it has used': async (ctx: Ctx) => void (await ctx.step('ask', () => 1)),
    'a key that is none': async (ctx: Ctx) => void (await ctx.sleep('$x', 1)),
    'an option that is none': (ctx: Ctx) => ctx.sleep('nap', 'soon' as never),
    'branches that are none': async (ctx: Ctx) => void (await ctx.all('all', 1 as never)),
  }
  test.each(Object.entries(isRefused))('is blocked as STUCK: %s', async (_, ask) => {
    let rounds = 0
    const loops = workflow('loops', async (ctx: Ctx<{ go: undefined }>) => {
      await ctx.step('ask', () => 1)
      for (;;) {
        rounds++
        await ask(ctx as Ctx).catch(() => undefined)
      }
    })
    const quiet = workflow('quiet', (ctx: Ctx) => ctx.step('one', () => 1))
    const w = await flowWorld([loops, quiet])
    const run = await w.during(w.flow.start(loops, undefined, { id: '1' }))
    const other = await w.during(w.flow.start(quiet, undefined, { id: '1' }))
    expect(await w.during(other.result())).toBe(1)
    await w.s.advance(10_000)
    expect(w.flow.get(loops, '1')?.error?.code).toBe('STUCK')
    expect(await w.during(codeOf(run.result()))).toBe('BLOCKED')
    expect(rounds).toBeLessThan(1_100)
    // A retry replays it, and a body that waits goes on.
    rounds = 0
    await w.during(w.flow.retry(loops, '1'))
    await w.s.advance(10_000)
    expect([w.status(loops, '1'), rounds > 900]).toEqual(['blocked', true])
    await w.during(w.flow.handle(loops, '1').cancel({ force: true }))
  })

  test('beyond its operations is blocked as STUCK', async () => {
    const many = workflow(
      'many',
      async (ctx: Ctx) => {
        for (let at = 0; ; at++) await ctx.step(`ask${at}`, () => 1).catch(() => undefined)
      },
      { stepsMax: 20 },
    )
    const w = await flowWorld([many])
    await w.during(w.flow.start(many, undefined, { id: '1' }))
    await w.s.advance(10_000)
    expect(w.flow.get(many, '1')?.error?.code).toBe('STUCK')
  })
})

test('many refusals at once, and some between outcomes, are no such loop', {
  tags: ['slow'],
}, async () => {
  const busy = workflow('busy', async (ctx: Ctx) => {
    let refused = 0
    const asks = (key: string) => ctx.step(key, () => 1).catch(() => refused++)
    await Promise.all(Array.from({ length: 3_000 }, () => asks('same')))
    for (let at = 0; at < 1_100; at++) {
      await asks('same')
      if (at % 500 === 499) await ctx.sleep(`nap${at}`, 1)
    }
    return refused
  })
  const w = await flowWorld([busy])
  const run = await w.during(w.flow.start(busy, undefined, { id: '1' }))
  expect(await w.during(run.result())).toBe(2_999 + 1_100)
})

test('a refusal reaches the body before the next outcome, live and in a replay', async () => {
  const lives: string[][] = []
  const orders = workflow('orders', async (ctx: Ctx<{ go: undefined }>) => {
    const seen: string[] = []
    lives.push(seen)
    const note = (what: string) => () => void seen.push(what)
    await ctx.step('first', () => 1)
    const beside = [
      ctx.step('second', () => 1).then(note('second')),
      ctx.step('first', () => 1).catch(note('refused')),
      ctx.step('third', () => 1).then(note('third')),
    ]
    await Promise.all(beside)
    await ctx.waitFor('go')
  })
  const w = await flowWorld([orders])
  await w.during(w.flow.start(orders, undefined, { id: '1' }))
  await w.s.advance(1_000)
  await w.crash()
  await w.s.advance(1_000)
  expect(lives).toEqual(Array.from({ length: 2 }, () => ['refused', 'second', 'third']))
})
