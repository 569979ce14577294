/** Forks: a new run with the first outcomes of another one, in the present version of the body. */
import { describe, expect, test } from 'vitest'
import { type Ctx, queue, workflow } from '../../../src/flow/index.ts'
import { counted, flowWorld } from '../../support/worlds/flow-world.ts'
import { codeOf } from '../../support/worlds/simulated-instance.ts'

const once = { retry: { max: 1 } }

/** Three steps, of which `ship` fails while `isBad`; `calls` has the try keys of each step. */
const threeSteps = () => {
  const calls: [step: string, key: string][] = []
  const outside = { calls, isBad: true }
  const three = workflow('three', async (ctx: Ctx, item: string) => {
    const draws = [ctx.now(), ctx.random(), ctx.uuid()]
    const seen: unknown[] = []
    for (const step of ['reserve', 'charge', 'ship'])
      seen.push(
        await ctx.step(
          step,
          ({ key }) => {
            calls.push([step, key])
            if (step === 'ship' && outside.isBad) throw new Error('bad deploy')
            return `${step} ${item} ${calls.length}`
          },
          { ...once, undo: ({ key }) => void calls.push([`undo ${step}`, key]) },
        ),
      )
    return { draws, now: ctx.now(), seen }
  })
  return { outside, three }
}

const namesOf = (calls: readonly (readonly [string, string])[]): readonly string[] =>
  calls.map(([name]) => name)

describe('a fork', () => {
  /** A run that completed in a bad program, and the world in which it is forked. */
  const completed = async () => {
    const { outside, three } = threeSteps()
    outside.isBad = false
    const w = await flowWorld([three])
    const run = await w.during(w.flow.start(three, 'tea', { id: '1' }))
    const output = (await w.during(run.result())) as { seen: unknown[] }
    const keys = outside.calls.splice(0)
    return { w, three, outside, output, keys }
  }

  test('has the outcomes from before the operation, and runs that and the later ones itself', async () => {
    const { w, three, outside, output, keys } = await completed()
    const before = w.flow.get(three, '1')
    await w.s.advance(60_000)

    const fork = await w.during(w.flow.fork(three, '1', { from: 'ship', id: '2' }))
    const forked = (await w.during(fork.result())) as typeof output & { draws: unknown }

    expect([fork.id, fork.repeated]).toEqual(['2', false])
    expect(forked.seen).toEqual([...output.seen.slice(0, 2), 'ship tea 1'])
    expect(forked.draws).toEqual((output as unknown as { draws: unknown }).draws)
    expect(namesOf(outside.calls)).toEqual(['ship'])
    expect(outside.calls[0]?.[1]).not.toBe(keys[2]?.[1])
    expect(w.flow.get(three, '2')).toMatchObject({ status: 'completed', forkedFrom: 'three/1' })
    expect(w.flow.get(three, '1')).toEqual(before)
  })

  test('from its first operation has the input alone', async () => {
    const { w, three, outside } = await completed()

    const fork = await w.during(w.flow.fork(three, '1', { from: 'reserve', id: '2' }))
    await w.during(fork.result())

    expect(namesOf(outside.calls)).toEqual(['reserve', 'charge', 'ship'])
    expect(w.flow.get(three, '2')?.input).toBe('tea')
  })

  test('under an id that it has is the same run, and under that of another run a conflict', async () => {
    const { w, three, outside } = await completed()
    const fork = (from: string, id: string) => w.during(w.flow.fork(three, '1', { from, id }))
    await w.during((await fork('ship', '2')).result())
    await w.crash()

    expect((await fork('ship', '2')).repeated).toBe(true)
    expect((await w.during(w.flow.start(three, 'tea', { id: '2' }))).repeated).toBe(true)
    expect(namesOf(outside.calls)).toEqual(['ship'])
    expect(await codeOf(fork('charge', '2'))).toBe('CONFLICT')
    expect(await codeOf(fork('ship', '1'))).toBe('CONFLICT')
  })

  test.each([
    ['of a run that has not begun', 'none', 'ship', 'CONFLICT'],
    ['from an operation that the run has not', '1', 'pack', 'CONFLICT'],
    ['from an undo', '1', 'undo:ship', 'CONFLICT'],
    ['from no key', '1', '', 'INVALID_ARGUMENT'],
  ])('%s is refused, and leaves no run', async (_, id, from, code) => {
    const { w, three } = await completed()

    expect(await codeOf(w.during(w.flow.fork(three, id, { from, id: '2' })))).toBe(code)
    expect(w.flow.get(three, '2')).toBeUndefined()
    expect(await w.during(w.flow.counts(three))).toEqual(counted({ completed: 1 }))
  })

  test('that does not complete undoes what it has copied, under the keys of the first tries', async () => {
    const { w, three, outside, keys } = await completed()
    outside.isBad = true
    const fork = await w.during(w.flow.fork(three, '1', { from: 'ship', id: '2' }))

    expect(await codeOf(w.during(fork.result()))).toBe('FAILED')
    expect(namesOf(outside.calls)).toEqual(['ship', 'undo ship', 'undo charge', 'undo reserve'])
    const undone = outside.calls.slice(2).map(([, key]) => key)
    expect(undone).toEqual([keys[1]?.[1], keys[0]?.[1]])

    // A fork of a fork has them too.
    outside.calls.splice(0)
    const { w: other, three: again, outside: others, keys: first } = await completed()
    const second = await other.during(other.flow.fork(again, '1', { from: 'ship', id: '2' }))
    await other.during(second.result())
    others.isBad = true
    others.calls.splice(0)
    const third = await other.during(other.flow.fork(again, '2', { from: 'ship', id: '3' }))
    expect(await codeOf(other.during(third.result()))).toBe('FAILED')
    expect(others.calls.slice(2).map(([, key]) => key)).toEqual([first[1]?.[1], first[0]?.[1]])
  })

  test('of a run that has undone its steps runs them again, under keys of its own', async () => {
    const { outside, three } = threeSteps()
    const w = await flowWorld([three])
    const run = await w.during(w.flow.start(three, 'tea', { id: '1' }))
    await w.during(codeOf(run.result()))
    const keys = new Set(outside.calls.splice(0).map(([, key]) => key))
    outside.isBad = false

    const fork = await w.during(w.flow.fork(three, '1', { from: 'ship', id: '2' }))
    await w.during(fork.result())

    expect(namesOf(outside.calls)).toEqual(['reserve', 'charge', 'ship'])
    expect(outside.calls.some(([, key]) => keys.has(key))).toBe(false)
  })

  test('goes on in the program of today, from a run that is blocked in it', async () => {
    const old = workflow('order', async (ctx: Ctx) => {
      await ctx.step('a', () => 'first')
      await ctx.step('wrong', () => 'bad')
      return ctx.waitFor('go' as never)
    })
    const right = workflow(
      'order',
      async (ctx: Ctx) => [
        await ctx.step('a', () => 'again'),
        await ctx.step('right', () => 'good'),
      ],
      { version: 2, previous: { 1: async (ctx) => (ctx as Ctx).step('other', () => 1) } },
    )
    const w = await flowWorld([old])
    await w.during(w.flow.start(old, undefined, { id: '1' }))
    await w.s.advance(100)
    await w.crash([right])
    await w.s.advance(60_000)

    const fork = await w.during(w.flow.fork(right, '1', { from: 'wrong', id: '2' }))

    expect(await w.during(fork.result())).toEqual(['first', 'good'])
  })

  test('copies values of any length, failures, children and patches, and nothing that was in flight', async () => {
    const begun: string[] = []
    const child = workflow('child', async (ctx: Ctx, n: number) => {
      begun.push(ctx.id)
      return n * 2
    })
    const long = 'l'.repeat(20_000)
    const large = new Uint8Array(300_000).fill(7)
    const outcomes: unknown[] = []
    const many = workflow('many', async (ctx: Ctx<{ go: number }>, input: Uint8Array) => {
      const slow = ctx.sleep('slow', '1m')
      const got = [
        await ctx.step('long', () => long),
        (await ctx.step('large', () => large)).length,
        await ctx.step('nothing', () => undefined),
        await ctx
          .step('fails', () => Promise.reject(new TypeError('no')), once)
          .catch((error: Error) => [error.name, error.message]),
        ctx.patched('change'),
        await ctx.child('child', child, 21),
        await ctx.waitFor('go'),
        input.length,
      ]
      await ctx.step('last', () => begun.push('last'))
      await slow
      outcomes.push(got)
      return got.length
    })
    const w = await flowWorld([many, child])
    const run = await w.during(w.flow.start(many, large, { id: '1', correlation: 'c' }))
    await w.during(run.signal('go', 5))
    await w.s.advance(1_000)
    begun.splice(0)
    const fork = await w.during(w.flow.fork(many, '1', { from: 'last', id: '2' }))
    await w.s.advance(5_000)
    await w.powerCut()

    expect(w.status(many, '2')).toBe('waiting')
    expect(await w.during(w.flow.handle(many, fork.id).result({ timeoutMs: 4_000_000 }), 5e6)).toBe(
      8,
    )
    expect(begun).toEqual(['last'])
    expect(outcomes.at(-1)).toEqual([
      long,
      300_000,
      undefined,
      ['TypeError', 'no'],
      true,
      42,
      5,
      300_000,
    ])
    expect(w.flow.get(many, '2')?.correlation).toBe('c')
  })

  test('of a run that has begun again has the outcomes of its present body', async () => {
    const log: string[] = []
    const laps = workflow('laps', async (ctx: Ctx, lap: number): Promise<string> => {
      await ctx.step('work', () => log.push(`work ${lap}`))
      if (lap < 2) ctx.again(lap + 1)
      return ctx.step('end', () => `end ${log.push(`end ${lap}`)}`)
    })
    const w = await flowWorld([laps])
    const run = await w.during(w.flow.start(laps, 0, { id: '1' }))
    await w.during(run.result())
    log.splice(0)

    const fork = await w.during(w.flow.fork(laps, '1', { from: 'end', id: '2' }))

    expect(await w.during(fork.result())).toBe('end 1')
    expect(log).toEqual(['end 2'])
  })

  test('has the deadline and the queue of its workflow', async () => {
    const line = queue('line', { concurrency: 1 })
    const held = workflow(
      'held',
      async (ctx: Ctx<{ go: undefined }>) => {
        await ctx.step('a', () => 1)
        await ctx.waitFor('go')
      },
      { queue: 'line', deadline: '1h' },
    )
    const w = await flowWorld([held], { queues: [line] })
    await w.during(w.flow.start(held, undefined, { id: '1' }))
    await w.s.advance(1_000)

    await w.during(w.flow.fork(held, '1', { from: 'a', id: '2' }))
    await w.s.advance(1_000)

    expect(w.flow.get(held, '2')?.waitsFor).toMatchObject({ kind: 'queue', name: 'line' })
    await w.s.advance(3_600_000)
    expect([w.status(held, '1'), w.status(held, '2')]).toEqual(['cancelled', 'cancelled'])
  })

  test('of more large values than it may copy is refused', async () => {
    const big = workflow('big', async (ctx: Ctx) => {
      for (let at = 0; at < 5; at++) await ctx.step(`${at}`, () => new Uint8Array(14 * 1024 * 1024))
      return ctx.step('end', () => 1)
    })
    const w = await flowWorld([big])
    const run = await w.during(w.flow.start(big, undefined, { id: '1' }))
    await w.during(run.result())

    const fork = w.flow.fork(big, '1', { from: 'end', id: '2' })

    expect(await codeOf(w.during(fork))).toBe('TOO_LARGE')
    expect(w.flow.get(big, '2')).toBeUndefined()
  })
})

describe('a retry from an operation', () => {
  test('keeps the outcomes before it, and runs it and the later ones again under new keys', async () => {
    const { outside, three } = threeSteps()
    outside.isBad = false
    const w = await flowWorld([three])
    const run = await w.during(w.flow.start(three, 'tea', { id: '1' }))
    await w.during(run.result())
    const keys = outside.calls.splice(0).map(([, key]) => key)

    await w.during(w.flow.retry(three, '1', { from: 'charge' }))
    const { seen } = (await w.during(run.result())) as { seen: unknown[] }

    expect(seen).toEqual(['reserve tea 1', 'charge tea 1', 'ship tea 2'])
    expect(namesOf(outside.calls)).toEqual(['charge', 'ship'])
    expect(outside.calls.some(([, key]) => keys.includes(key))).toBe(false)
    expect(w.flow.steps(three, '1').entries.map(({ key }) => key)).toHaveLength(3)
  })

  test('that does not complete undoes a step that it kept under the key of its tries', async () => {
    const { outside, three } = threeSteps()
    outside.isBad = false
    const w = await flowWorld([three])
    const run = await w.during(w.flow.start(three, 'tea', { id: '1' }))
    await w.during(run.result())
    const [reserve] = outside.calls.splice(0)
    outside.isBad = true

    await w.during(w.flow.retry(three, '1', { from: 'ship' }))
    await w.during(codeOf(run.result()))

    expect(outside.calls.at(-1)).toEqual(['undo reserve', reserve?.[1]])
  })

  test('of a failed run runs the steps again that were undone, wherever they are', async () => {
    const { outside, three } = threeSteps()
    const w = await flowWorld([three])
    const run = await w.during(w.flow.start(three, 'tea', { id: '1' }))
    await w.during(codeOf(run.result()))
    outside.calls.splice(0)
    outside.isBad = false

    await w.during(w.flow.retry(three, '1', { from: 'ship' }))
    await w.during(run.result())

    expect(namesOf(outside.calls)).toEqual(['reserve', 'charge', 'ship'])
  })

  test('may lead a run that is blocked another way from there', async () => {
    const body = (last: string) =>
      workflow('order', async (ctx: Ctx<{ go: string }>) => {
        await ctx.step('a', () => 1)
        await ctx.step(last, () => 2)
        return last === 'wrong' ? ctx.waitFor('go') : last
      })
    const [old, next] = [body('wrong'), body('right')]
    const w = await flowWorld([old])
    await w.during(w.flow.start(old, undefined, { id: '1' }))
    await w.s.advance(100)
    await w.crash([next])
    await w.s.advance(60_000)
    expect(w.status(next, '1')).toBe('blocked')

    await w.during(w.flow.retry(next, '1', { from: 'wrong' }))

    expect(await w.during(w.flow.handle(next, '1').result())).toBe('right')
  })

  test('keeps a patch from before it, and decides one anew from after it', async () => {
    const seen: boolean[][] = []
    const patched = workflow('patched', async (ctx: Ctx) => {
      const early = ctx.patched('early')
      await ctx.step('a', () => 1)
      const between = ctx.patched('between')
      await ctx.step('b', () => 1)
      seen.push([early, between, ctx.patched('late')])
      await ctx.step('c', () => 1)
    })
    const w = await flowWorld([patched])
    const run = await w.during(w.flow.start(patched, undefined, { id: '1' }))
    await w.during(run.result())
    for (const from of ['c', 'b', 'a']) {
      await w.during(w.flow.retry(patched, '1', { from }))
      await w.during(run.result())
    }

    expect(seen).toEqual(Array(4).fill([true, true, true]))
  })

  test.each(['none', 'undo:reserve', '$cancel'])('%s is refused', async (from) => {
    const { three } = threeSteps()
    const w = await flowWorld([three])
    const run = await w.during(w.flow.start(three, 'tea', { id: '1' }))
    await w.during(codeOf(run.result()))
    const before = w.flow.steps(three, '1')

    expect(await codeOf(w.during(w.flow.retry(three, '1', { from })))).toBe('CONFLICT')
    expect(w.flow.steps(three, '1')).toEqual(before)
    expect(w.status(three, '1')).toBe('failed')
  })

  test('of a job is refused', async () => {
    const jobs = queue('jobs', async () => undefined)
    const w = await flowWorld([], { queues: [jobs] })

    expect(await codeOf(w.flow.retry(jobs, '1', { from: 'a' }))).toBe('INVALID_ARGUMENT')
  })
})
