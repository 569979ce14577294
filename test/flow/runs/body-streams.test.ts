/** Streams of runs that their bodies write: each message once, whatever is replayed, until the end closes them. */
import { describe, expect, test } from 'vitest'
import { type Ctx, flow, workflow } from '../../../src/flow/index.ts'
import { flowWorld } from '../../support/worlds/flow-world.ts'
import { codeOf } from '../../support/worlds/simulated-instance.ts'

type World = Awaited<ReturnType<typeof flowWorld>>

const once = { retry: { max: 1 } }

/** The messages of the stream `out` of a run, and whether it is closed. */
const outOf = async (w: World, type: Parameters<World['flow']['get']>[0], id: string) => {
  const page = await w.during(
    w.flow
      .handle(type as never, id)
      .stream('out')
      .page(),
  )
  return { said: page.messages.map(({ value }) => value), isClosed: page.isClosed }
}

/** A body that says what it does, between two steps and a signal. */
const talking = workflow('talking', async (ctx: Ctx<{ go: string }>, task: string) => {
  const out = ctx.stream('out')
  out.append({ task })
  const first = await ctx.step('first', () => 1)
  out.append({ first })
  const go = await ctx.waitFor('go')
  out.append({ go })
  return go
})

describe('a body', () => {
  test('says each message once, however often it is replayed, and its end closes the stream', {
    tags: ['ST3', 'ST8'],
  }, async () => {
    const w = await flowWorld([talking])
    await w.during(w.flow.start(talking, 'tea', { id: '1' }))
    await w.s.advance(10)
    expect(await outOf(w, talking, '1')).toEqual({
      said: [{ task: 'tea' }, { first: 1 }],
      isClosed: false,
    })

    await w.crash()
    await w.s.advance(5_000)
    await w.powerCut()
    const run = w.flow.handle(talking, '1')
    await w.during(run.signal('go', 'now'))
    expect(await w.during(run.result())).toBe('now')

    expect(await outOf(w, talking, '1')).toEqual({
      said: [{ task: 'tea' }, { first: 1 }, { go: 'now' }],
      isClosed: true,
    })
  })

  test('that asks for nothing says its messages with its end', async () => {
    const short = workflow('short', async (ctx: Ctx) => {
      ctx.stream('out').append('all')
      return 1
    })
    const w = await flowWorld([short])
    const run = await w.during(w.flow.start(short, undefined, { id: '1' }))
    await w.during(run.result())
    expect(await outOf(w, short, '1')).toEqual({ said: ['all'], isClosed: true })
  })

  test('has its messages in the log before the outcome of a later operation', async () => {
    const seen: unknown[] = []
    const type = workflow('looking', async (ctx: Ctx) => {
      ctx.stream('out').append('before')
      await ctx.step('first', () => 1)
      await ctx.step('look', async ({ app }) => {
        const page = await flow(app).handle(type, '1').stream('out').page()
        seen.push(...page.messages.map(({ value }) => value))
      })
    })
    const w = await flowWorld([type])
    const run = await w.during(w.flow.start(type, undefined, { id: '1' }))
    await w.during(run.result())
    expect(seen).toEqual(['before'])
  })

  test.each([
    ['another message', (ctx: Ctx) => ctx.stream('out').append('two')],
    ['the message in another stream', (ctx: Ctx) => ctx.stream('other').append('one')],
    ['nothing', () => undefined],
  ])('that says %s in a replay is blocked with DIVERGED', async (_, says) => {
    const of = (act: (ctx: Ctx) => unknown) =>
      workflow('changed', async (ctx: Ctx<{ go: string }>) => {
        act(ctx as Ctx)
        await ctx.step('first', () => 1)
        await ctx.waitFor('go')
      })
    const type = of((ctx) => ctx.stream('out').append('one'))
    const w = await flowWorld([type])
    await w.during(w.flow.start(type, undefined, { id: '1' }))
    await w.s.advance(10)
    await w.crash([of(says)])
    const run = w.flow.handle(type, '1')
    await w.during(run.signal('go', ''))
    const blocked = await w.during(run.result().catch((error) => error))
    expect([blocked.code, blocked.cause?.code]).toEqual(['BLOCKED', 'DIVERGED'])

    // The program as it was goes on where it stood.
    await w.crash([type])
    await w.during(w.flow.retry(type, '1'))
    await w.during(w.flow.handle(type, '1').result())
    expect(await outOf(w, type, '1')).toEqual({ said: ['one'], isClosed: true })
  })

  test('that says more than 1 MiB between two operations gets TOO_LARGE, the same in a replay', async () => {
    const long = 'x'.repeat(600_000)
    const codes: unknown[] = []
    const type = workflow('long', async (ctx: Ctx<{ go: string }>) => {
      const says = (): void => {
        try {
          ctx.stream('out').append(long)
        } catch (error) {
          codes.push((error as { code: string }).code)
        }
      }
      says()
      says()
      await ctx.step('a', () => 1)
      says()
      await ctx.waitFor('go')
      return codes.length
    })
    const w = await flowWorld([type], { options: { wal: { maxFileSize: 4 * 1024 * 1024 } } })
    await w.during(w.flow.start(type, undefined, { id: '1' }))
    await w.s.advance(100)
    await w.crash()
    const run = w.flow.handle(type, '1')
    await w.during(run.signal('go', ''))
    await w.during(run.result())
    expect(codes).toEqual(['TOO_LARGE', 'TOO_LARGE'])
    const head = await w.during(run.stream('out').head())
    expect(head).toMatchObject({ messages: 2, isClosed: true })
  })

  test('that says more than the log takes at once is blocked with TOO_LARGE', async () => {
    const type = workflow('large', async (ctx: Ctx) => {
      ctx.stream('out').append('x'.repeat(600_000))
      await ctx.step('a', () => 1)
    })
    const w = await flowWorld([type])
    const run = await w.during(w.flow.start(type, undefined, { id: '1' }))
    const blocked = await w.during(run.result().catch((error) => error))
    expect([blocked.code, blocked.cause?.code]).toEqual(['BLOCKED', 'TOO_LARGE'])
  })

  test('cannot say what JSON would change, and not in a step', async () => {
    const type = workflow('wrong', async (ctx: Ctx) => {
      const codes: unknown[] = []
      const tries = [() => ctx.stream('out').append(1n), () => ctx.stream('{').append(1)]
      for (const each of tries)
        try {
          each()
        } catch (error) {
          codes.push((error as { code: string }).code)
        }
      await ctx.step('in', () => ctx.stream('out').append(1), once).catch((e) => codes.push(e.code))
      return codes
    })
    const w = await flowWorld([type])
    const run = await w.during(w.flow.start(type, undefined, { id: '1' }))
    expect(await w.during(run.result())).toEqual(Array(3).fill('INVALID_ARGUMENT'))
  })
})

describe('the streams of a run', () => {
  test('go on over `again`, which closes nothing', { tags: ['ST8'] }, async () => {
    const type = workflow('laps', async (ctx: Ctx, lap: number) => {
      ctx.stream('out').append(lap)
      await ctx.step('a', () => 1)
      if (lap < 2) ctx.again(lap + 1)
    })
    const w = await flowWorld([type])
    const run = await w.during(w.flow.start(type, 0, { id: '1' }))
    await w.during(run.result())
    expect(await outOf(w, type, '1')).toEqual({ said: [0, 1, 2], isClosed: true })
  })

  test('are closed by a cancel, also by force, and by a failure', { tags: ['ST8'] }, async () => {
    const type = workflow('ends', async (ctx: Ctx<{ go: string }>, fails: boolean) => {
      ctx.stream('out').append(1)
      if (fails) throw new Error('no')
      await ctx.waitFor('go')
    })
    const w = await flowWorld([type])
    for (const [id, fails, force] of [
      ['a', true, false],
      ['b', false, false],
      ['c', false, true],
    ] as const) {
      const run = await w.during(w.flow.start(type, fails, { id }))
      await w.s.advance(100)
      if (!fails) await w.during(run.cancel({ force }))
      await w.during(codeOf(run.result()))
      expect(await outOf(w, type, id)).toEqual({ said: [1], isClosed: true })
    }
  })

  test('are opened again by a retry: what the body said after the failure it says again', {
    tags: ['ST3', 'ST8'],
  }, async () => {
    let isBad = true
    const type = workflow('retried', async (ctx: Ctx) => {
      const out = ctx.stream('out')
      out.append('begin')
      await ctx.step('good', () => 1)
      out.append('good')
      try {
        await ctx.step(
          'bad',
          () => {
            if (isBad) throw new Error('no')
          },
          once,
        )
      } catch (error) {
        out.append('failed')
        throw error
      }
      out.append('done')
    })
    const w = await flowWorld([type])
    const run = await w.during(w.flow.start(type, undefined, { id: '1' }))
    await w.during(codeOf(run.result()))
    const stream = run.stream('out')
    const before = await w.during(stream.head())
    isBad = false
    await w.during(w.flow.retry(type, '1'))
    await w.during(run.result())
    expect(await outOf(w, type, '1')).toEqual({
      said: ['begin', 'good', 'failed', 'done'],
      isClosed: true,
    })
    const after = await w.during(stream.page({ from: before?.end as string }))
    expect(after.messages.map(({ value }) => value)).toEqual(['done'])

    await w.during(w.flow.retry(type, '1', { from: 'good' }))
    await w.during(run.result())
    expect((await outOf(w, type, '1')).said.slice(4)).toEqual(['good', 'done'])
  })

  test('of a fork are empty at first: it says what its body says', { tags: ['ST8'] }, async () => {
    const type = workflow('forked', async (ctx: Ctx) => {
      ctx.stream('out').append('one')
      await ctx.step('a', () => 1)
      ctx.stream('out').append('two')
      await ctx.step('b', () => 1)
    })
    const w = await flowWorld([type])
    const run = await w.during(w.flow.start(type, undefined, { id: '1' }))
    await w.during(run.result())
    const fork = await w.during(w.flow.fork(type, '1', { id: '2', from: 'b' }))
    await w.during(fork.result())
    for (const id of ['1', '2'])
      expect(await outOf(w, type, id)).toEqual({ said: ['one', 'two'], isClosed: true })
  })

  test('go with their run', { tags: ['ST10'] }, async () => {
    const type = workflow('kept', async (ctx: Ctx) => ctx.stream('out').append(1), {
      keep: { completed: '1s' },
    })
    const w = await flowWorld([type])
    const run = await w.during(w.flow.start(type, undefined, { id: '1' }))
    await w.during(run.result())
    const { messages } = await w.during(run.stream('out').page())
    await w.s.advance(120_000)
    expect(await w.during(run.stream('out').head())).toBeUndefined()
    const gone = run.stream('out').page({ from: messages[0]?.offset as string })
    expect(await w.during(codeOf(gone))).toBe('BAD_CURSOR')
  })
})
