/** Operations that their body does not wait for, and failures that it does not handle. */
import { describe, expect, onTestFinished, test } from 'vitest'
import { type Ctx, workflow } from '../../../src/flow/index.ts'
import { flowWorld, type Workflows } from '../../support/worlds/flow-world.ts'
import { codeOf } from '../../support/worlds/simulated-instance.ts'

/** An instance that keeps its warnings. */
const warned = async (workflows: Workflows) => {
  const lines: unknown[] = []
  const logger = {
    info: () => undefined,
    // The failure of a step is a line of its own.
    warn: (text: string, facts: unknown) => {
      if (!/ failed at try /.test(text)) lines.push([text, facts])
    },
    error: () => undefined,
  }
  return { w: await flowWorld(workflows, { options: { logger } as never }), lines }
}

test('work that a body asks for right before its end is cancelled, and the log names it', async () => {
  const child = workflow('child', async () => 1)
  const forgets = workflow('forgets', async (ctx: Ctx) => {
    await ctx.step('first', () => 1)
    void ctx.step('mail', () => 1)
    void ctx.child('news', child, undefined)
    void ctx.sleep('nap', '1h')
    return 'done'
  })
  const { w, lines } = await warned([forgets, child])
  const run = await w.during(w.flow.start(forgets, undefined, { id: '1' }))
  expect(await w.during(run.result())).toBe('done')
  const text =
    'forgets/1: its body has ended and waited for none of step mail, child news: that is cancelled. ' +
    'Is an `await` missing?'
  expect(lines).toEqual([[text, { code: 'NOT_AWAITED' }]])
})

test('work that has lost a race, or was cancelled with its branch, is no mistake', async () => {
  const never = (): Promise<never> => new Promise(() => undefined)
  const races = workflow('races', async (ctx: Ctx) => {
    await Promise.race([ctx.step('slow', never), ctx.sleep('short', '1s')])
    const hangs = (own: Ctx) => own.step('hangs', never)
    await ctx.all('any', [hangs, async () => undefined as never], { wait: 'any' })
  })
  const { w, lines } = await warned([races])
  const run = await w.during(w.flow.start(races, undefined, { id: '1' }))
  await w.during(run.result())
  expect(lines).toEqual([])
})

/**
 * Listeners of the tests' own take every rejection for a failure, and so do instances that other files left. None of
 * them listens during this test. Answers with the rejections that come to nobody.
 */
const alone = (): unknown[] => {
  const stray: unknown[] = []
  const events = ['unhandledRejection', 'rejectionHandled', 'uncaughtException']
  const emitter: NodeJS.EventEmitter = process
  const before = events.map((event) => emitter.rawListeners(event) as (() => void)[])
  for (const event of events) emitter.removeAllListeners(event)
  process.on('uncaughtException', (error, origin) => void stray.push([origin, String(error)]))
  onTestFinished(() => {
    for (const [at, event] of events.entries()) {
      emitter.removeAllListeners(event)
      for (const listener of before[at] ?? []) emitter.on(event, listener)
    }
  })
  return stray
}

const fails = (ctx: Ctx, key: string) =>
  ctx.step(key, () => Promise.reject(new RangeError('bad')), { retry: { max: 1 } })

const failing = workflow('failing', async () => {
  throw new RangeError('bad')
})

describe('an operation of a body that has ended', () => {
  type Leaves = (ctx: Ctx, settles: () => void) => Promise<void>
  const leaves: Record<string, Leaves> = {
    'a timer that sets a flag': async (ctx, settles) => {
      void ctx.sleep('deadline', '1h').then(settles, settles)
      await ctx.step('work', () => 1)
    },
    'a helper that is not awaited': async (ctx, settles) => {
      void (async () => {
        await ctx.sleep('long', '1h')
      })().finally(settles)
      await ctx.step('work', () => 1)
    },
    'a branch that loses': async (ctx, settles) => {
      const loses = (own: Ctx) => own.sleep('b', '1h').finally(settles)
      const wins = (own: Ctx) => own.step('s', () => undefined)
      await ctx.all('x', [loses, wins], { wait: 'any' })
      await ctx.sleep('after', '1s')
    },
    'a refusal at its end': async (ctx, settles) => {
      await ctx.step('work', () => 1)
      void ctx.step('work', () => 1).finally(settles)
    },
  }
  test.each(Object.entries(leaves))('stays unsettled: %s', async (_, body) => {
    const stray = alone()
    let settled = 0
    const left = workflow('left', (ctx: Ctx) => body(ctx, () => void settled++))
    const w = await flowWorld([left])
    const run = await w.during(w.flow.start(left, undefined, { id: '1' }))
    await w.during(run.result())
    await w.s.advance(7_200_000)
    expect([w.status(left, '1'), settled, stray]).toEqual(['completed', 0, []])
  })

  test('of a cancelled body is no failure that it should have handled', async () => {
    const stray = alone()
    const flag = workflow('flag', async (ctx: Ctx<{ go: undefined }>) => {
      void ctx.sleep('deadline', '1h').then(() => undefined)
      await ctx.waitFor('go')
    })
    const w = await flowWorld([flag])
    const run = await w.during(w.flow.start(flag, undefined, { id: '1' }))
    await w.s.advance(1_000)
    await w.during(run.cancel())
    expect(await w.during(codeOf(run.result()))).toBe('CANCELLED')
    expect(stray).toEqual([])
  })

  test('of a cancelled body that tidies up and returns is none either, and no line of the log', async () => {
    const stray = alone()
    const tidies = workflow('tidies', async (ctx: Ctx<{ go: undefined }>) => {
      void ctx.sleep('deadline', '1h').then(() => undefined)
      await ctx.waitFor('go').catch(() => undefined)
      return 'tidied'
    })
    const { w, lines } = await warned([tidies])
    const run = await w.during(w.flow.start(tidies, undefined, { id: '1' }))
    await w.s.advance(1_000)
    await w.during(run.cancel())
    expect(await w.during(codeOf(run.result()))).toBe('CANCELLED')
    expect([stray, lines]).toEqual([[], []])
  })
})

describe('a failure that a body handles nowhere', () => {
  const body = async (ctx: Ctx, key: string) => {
    const helps = async () => {
      if (key !== '') await fails(ctx, key)
      else ctx.patched('$x')
    }
    void helps()
    await ctx.sleep('nap', '1m')
    return 'done'
  }
  test.each([
    [
      'helps',
      { name: 'RangeError', message: 'its body does not handle the failure of step helps: bad' },
    ],
    ['', { code: 'INVALID_ARGUMENT' }],
  ])(
    'blocks its run, and no other, and no process: of "%s"',
    { tags: ['slow'] },
    async (key, error) => {
      const stray = alone()
      const forgets = workflow('forgets', body)
      const quiet = workflow('quiet', (ctx: Ctx) => ctx.sleep('nap', '1h').then(() => 'done'))
      const w = await flowWorld([forgets, quiet])
      const other = await w.during(w.flow.start(quiet, undefined, { id: '1' }))
      await w.during(w.flow.start(forgets, key, { id: '1' }))
      await w.s.advance(61_000)
      expect(w.flow.get(forgets, '1')).toMatchObject({ status: 'blocked', error })

      await w.during(w.flow.retry(forgets, '1'))
      await w.crash()
      await w.s.advance(61_000)
      expect(w.flow.get(forgets, '1')).toMatchObject({ status: 'blocked', error })
      expect(await w.during(w.flow.handle(quiet, other.id).result({ timeoutMs: 7_200_000 }))).toBe(
        'done',
      )
      expect(stray).toEqual([])
    },
  )

  test.each<[string, (ctx: Ctx) => void]>([
    ['step charge: bad', (ctx) => void fails(ctx, 'charge')],
    ['child charge: .*bad', (ctx) => void ctx.child('charge', failing, undefined)],
    ['all both: bad', (ctx) => void ctx.all('both', [(own) => fails(own, 'one')])],
  ])(
    'blocks it also where the body has never waited for the operation: %s',
    async (what, begin) => {
      const stray = alone()
      const forgets = workflow('forgets', async (ctx: Ctx) => {
        begin(ctx)
        await ctx.sleep('nap', '1m')
        return 'done'
      })
      const w = await flowWorld([forgets, failing])
      await w.during(w.flow.start(forgets, undefined, { id: '1' }))
      await w.s.advance(30_000)
      await w.crash()
      await w.s.advance(61_000)
      const message = expect.stringMatching(`does not handle the failure of ${what}$`)
      expect(w.flow.get(forgets, '1')).toMatchObject({ status: 'blocked', error: { message } })
      expect(stray).toEqual([])
    },
  )

  test('is none, and no line of the log, if the body waits for the operation later', async () => {
    const stray = alone()
    const late = workflow('late', async (ctx: Ctx) => {
      const one = fails(ctx, 'one')
      await ctx.sleep('nap', '10s')
      return one.catch(({ message }) => message)
    })
    const { w, lines } = await warned([late])
    const run = await w.during(w.flow.start(late, undefined, { id: '1' }))
    expect([await w.during(run.result()), stray, lines]).toEqual(['bad', [], []])
  })

  test('is in the log at once', async () => {
    alone()
    const { w, lines } = await warned([workflow('forgets', body)])
    await w.during(w.flow.start(workflow('forgets', body), 'helps', { id: '1' }))
    await w.s.advance(1_000)
    const text = 'forgets/1: its body does not handle the failure of step helps: bad'
    expect(lines).toMatchObject([[text, { code: 'NOT_AWAITED' }]])
  })

  test('is none if the body handles it later', async () => {
    const stray = alone()
    const early = workflow('early', async (ctx: Ctx) => {
      const work = (async () => void (await fails(ctx, 'x')))()
      await ctx.sleep('nap', '10s')
      return work.catch(({ message }) => message)
    })
    const w = await flowWorld([early])
    const run = await w.during(w.flow.start(early, undefined, { id: '1' }))
    expect([await w.during(run.result()), stray]).toEqual(['bad', []])
  })

  test('is an error also where a branch has thrown another value', async () => {
    const stray = alone()
    const throws = workflow('throws', async (ctx: Ctx) => {
      const branch = () => Promise.reject('text')
      const caught: unknown = await ctx.all('a', [branch]).catch((error: unknown) => error)
      void ctx.all('b', [branch]).then(() => undefined)
      await ctx.sleep('nap', '1s')
      return caught instanceof Error && caught.message
    })
    const w = await flowWorld([throws])
    await w.during(w.flow.start(throws, undefined, { id: '1' }))
    await w.s.advance(10_000)
    expect(w.flow.get(throws, '1')).toMatchObject({
      ...{
        status: 'blocked',
        error: { name: 'Error', message: expect.stringMatching(/all b: text$/) },
      },
    })
    expect(stray).toEqual([])
  })
})

test('rejections of others stay those of Node, and after the last instance nothing listens', async () => {
  const stray = alone()
  const [unheard, handled] = ['unhandledRejection', 'rejectionHandled'] as const
  const counts = () => [process.listenerCount(unheard), process.listenerCount(handled)]
  const before = counts()
  const quiet = workflow('quiet', async () => 1)
  const [one, other] = [await flowWorld([quiet]), await flowWorld([quiet])]
  expect(counts()).toEqual(before.map((count) => count + 1))
  for (const reason of [new Error('of an application'), 'text', undefined]) {
    void Promise.reject(reason)
    await new Promise((resolve) => void setImmediate(() => setImmediate(resolve)))
  }
  expect(stray).toEqual([
    [unheard, 'Error: of an application'],
    ...[
      [unheard, expect.stringContaining('text')],
      [unheard, expect.stringContaining('undefined')],
    ],
  ])
  expect(counts()).toEqual(before.map((count) => count + 1))
  await one.s.close()
  expect(counts()).toEqual(before.map((count) => count + 1))
  await other.s.close()
  expect(counts()).toEqual(before)
})

test('a rejection that another listener hears is left to that', async () => {
  const stray = alone()
  const heard: unknown[] = []
  const listener = (reason: unknown): void => void heard.push(reason)
  const w = await flowWorld([workflow('quiet', async () => 1)])
  process.once('unhandledRejection', listener)
  void Promise.reject('once')
  await new Promise((resolve) => void setImmediate(() => setImmediate(resolve)))
  await w.s.close()
  expect([heard, stray]).toEqual([['once'], []])
})
