/** Retries of whole runs: which operation begins again, when the next try comes, and what is kept over it. */
import { describe, expect, test } from 'vitest'
import { type Ctx, workflow } from '../../../src/flow/index.ts'
import { flowWorld } from '../../support/worlds/flow-world.ts'
import { codeOf } from '../../support/worlds/simulated-instance.ts'

const once = { retry: { max: 1 } }

describe('a retry by an operator', () => {
  /** A run of three steps, of which the body throws what it says; then it is retried, and completes. */
  const retried = async (thrown: (failures: readonly unknown[]) => unknown) => {
    const log: string[] = []
    let isAway = true
    const three = workflow('three', async (ctx: Ctx) => {
      const failures: unknown[] = []
      for (const key of ['a', 'b', 'c'])
        await ctx
          .step(
            key,
            () => {
              log.push(key)
              if (isAway) throw new Error(key)
            },
            once,
          )
          .catch((error) => failures.push(error))
      await ctx.step('d', () => void log.push('d'))
      if (failures.length > 0 && isAway) throw thrown(failures)
      return failures.length
    })
    const w = await flowWorld([three])
    const run = await w.during(w.flow.start(three, undefined, { id: '1' }))
    await w.during(codeOf(run.result()))
    expect(log.splice(0)).toEqual(['a', 'b', 'c', 'd'])
    isAway = false
    await w.during(w.flow.retry(three, '1'))
    return { left: await w.during(run.result()), log }
  }

  test('begins the operation again whose error the body threw, and no other', async () => {
    expect(await retried((failures) => failures[1])).toEqual({ left: 2, log: ['b'] })
    expect(await retried((failures) => failures[0])).toEqual({ left: 2, log: ['a'] })
  })

  test('of a body that threw an error of its own, or nothing, keeps what came before a success', async () => {
    expect(await retried(() => new Error('own'))).toEqual({ left: 3, log: [] })
    expect(await retried(() => undefined)).toEqual({ left: 3, log: [] })
  })
})

describe('an operation that a retry begins again takes its time:', () => {
  const minuteMs = 60_000

  test('a wait has its whole time, and gets the next signal', { tags: ['W8'] }, async () => {
    const asks = workflow('asks', async (ctx: Ctx<{ approval: string }>) => {
      const approval = await ctx.waitFor('approval', { timeout: '3d' })
      if (approval === undefined) throw new Error('no one approved it')
      return [approval, await ctx.waitFor('approval')]
    })
    const w = await flowWorld([asks])
    const run = await w.during(w.flow.start(asks, undefined, { id: '1' }))
    await w.s.advance(4 * 86_400_000)
    expect(w.status(asks, '1')).toBe('failed')

    await w.during(w.flow.retry(asks, '1'))
    await w.s.advance(86_400_000)
    await w.crash()
    await w.s.advance(86_400_000)
    expect(w.status(asks, '1')).toBe('waiting')
    const later = w.flow.handle(asks, run.id)
    for (const name of ['Eve', 'Bob']) await w.during(later.signal('approval', name as never))
    expect(await w.during(later.result())).toEqual(['Eve', 'Bob'])
  })

  test('a wait leaves memory, and its time wakes the run', async () => {
    let lives = 0
    const asks = workflow('asks', async (ctx: Ctx<{ go: undefined }>) => {
      lives++
      await ctx.waitFor('go', { timeout: '1h' })
      throw new Error('no one said so')
    })
    const w = await flowWorld([asks])
    await w.during(w.flow.start(asks, undefined, { id: '1' }))
    await w.s.advance(61 * minuteMs)
    const now = () => [w.status(asks, '1'), w.s.app.entities.holder('$flow-asks/1'), lives]
    expect(now()).toEqual(['failed', undefined, 2])

    await w.during(w.flow.retry(asks, '1'))
    await w.s.advance(minuteMs)
    expect(now()).toEqual(['waiting', undefined, 3])
    expect(w.flow.get(asks, '1')?.waitsFor).toMatchObject({ kind: 'signal', name: 'go' })
    await w.s.advance(60 * minuteMs)
    expect(now()).toEqual(['failed', undefined, 4])
  })

  test('a step has its pauses', async () => {
    let tries = 0
    const calls = workflow('calls', (ctx: Ctx) => {
      const call = () => (++tries < 4 ? Promise.reject(new Error('away')) : tries)
      const retry = { max: 2, baseMs: minuteMs, maxMs: minuteMs, jitter: 0 }
      return ctx.step('call', call, { retry })
    })
    const w = await flowWorld([calls])
    const run = await w.during(w.flow.start(calls, undefined, { id: '1' }))
    expect(await w.during(codeOf(run.result({ timeoutMs: 2 * minuteMs })))).toBe('FAILED')
    await w.during(w.flow.retry(calls, '1'))
    expect(await w.during(run.result({ timeoutMs: 2 * minuteMs }))).toBe(4)
  })

  test('a child has the time that it takes', { tags: ['W9'] }, async () => {
    let isAway = true
    const child = workflow('child', async (ctx: Ctx) => {
      await ctx.step('act', () => (isAway ? Promise.reject(new Error('away')) : 1), once)
      await ctx.sleep('rest', minuteMs)
      return 'done'
    })
    const parent = workflow('parent', (ctx: Ctx) => ctx.child('one', child, undefined, { id: 'c' }))
    const w = await flowWorld([child, parent])
    const run = await w.during(w.flow.start(parent, undefined, { id: 'p' }))
    expect(await w.during(codeOf(run.result()))).toBe('FAILED')
    isAway = false
    await w.during(w.flow.retry(child, 'c'))
    await w.during(w.flow.retry(parent, 'p'))
    expect(await w.during(run.result({ timeoutMs: 2 * minuteMs }))).toBe('done')
  })
})

test('the caller of a run that is retried at any moment of its end hears of the next end', async () => {
  const codes: unknown[] = []
  for (let inMs = 0; inMs < 30; inMs++) {
    let tries = 0
    const act = () => (tries++ === 0 ? Promise.reject(new Error('away')) : 7)
    const fails = workflow('fails', (ctx: Ctx) => ctx.step('act', act, { retry: { max: 1 } }))
    const w = await flowWorld([fails], { options: { syncMs: 5 } })
    const run = await w.during(w.flow.start(fails, undefined, { id: '1' }))
    await w.s.advance(inMs)
    const retried = codeOf(w.flow.retry(fails, '1'))
    const ended = codeOf(run.result())
    codes.push(await w.during(retried))
    if (codes.at(-1) === 'ok') expect([inMs, await w.during(ended)]).toEqual([inMs, 'ok'])
    await w.s.close()
  }
  expect([...new Set(codes)]).toEqual(['CONFLICT', 'ok'])
})

describe('a run with tries', () => {
  /** When its tries begin, in ms after its start, and the number of each. */
  const tried = async (retry: object, fail: (attempt: number) => unknown) => {
    const begun: number[] = []
    const whole = workflow(
      'whole',
      (ctx: Ctx) =>
        ctx.step(
          'work',
          () => {
            begun.push(w.s.clock.now() - startedAt)
            throw fail(begun.length)
          },
          once,
        ),
      { retry },
    )
    const w = await flowWorld([whole])
    const startedAt = w.s.clock.now()
    const run = await w.during(w.flow.start(whole, undefined, { id: '1' }))
    const rows = async () => {
      await w.s.advance(1_000)
      const { status, attempt } = w.flow.get(whole, '1') ?? {}
      return [status, attempt]
    }
    const between = await rows()
    await w.during(codeOf(run.result({ timeoutMs: 3_000_000 })))
    return { begun, between, w, whole, run }
  }

  test('waits between them as its policy says, and is tried so often', async () => {
    const retry = { max: 3, baseMs: 10_000, factor: 3, jitter: 0 }
    const { begun, between, w, whole } = await tried(retry, () => new Error('no'))
    expect(between).toEqual(['waiting', 2])
    expect(begun.map((ms) => Math.round(ms / 1_000))).toEqual([0, 10, 40])
    expect(w.flow.get(whole, '1')).toMatchObject({ status: 'failed', attempt: 3 })

    await w.during(w.flow.retry(whole, '1'))
    await w.s.advance(200_000)
    expect([begun.length, w.flow.get(whole, '1')?.attempt]).toEqual([6, 3])
  })

  test('begins none before its time, whatever signal comes, and says when it comes', {
    tags: ['W7', 'W8'],
  }, async () => {
    const begun: number[] = []
    const minutes = (): number => Math.floor((w.s.clock.now() - startedAt) / 60_000)
    const retry = { max: 3, baseMs: 600_000, maxMs: 600_000, jitter: 0 }
    const whole = workflow(
      'whole',
      async (ctx: Ctx<{ go: number }>) => {
        const act = (): void => {
          if (begun.push(minutes()) < 3) throw new Error('away')
        }
        await ctx.step('act', act, once)
        return [await ctx.waitFor('go'), await ctx.waitFor('go')]
      },
      { retry },
    )
    const w = await flowWorld([whole])
    const startedAt = w.s.clock.now()
    const run = await w.during(w.flow.start(whole, undefined, { id: '1' }))
    await w.s.advance(1_000)
    const { status, waitsFor, error } = w.flow.get(whole, '1') ?? {}
    expect([status, error?.message]).toEqual(['waiting', 'away'])
    expect(waitsFor).toMatchObject({ kind: 'retry', until: expect.any(Number) })
    expect(Math.floor((Number(waitsFor?.until) - startedAt) / 60_000)).toBe(10)

    await w.during(run.signal('go', 1))
    await w.s.advance(60_000)
    await w.crash()
    const later = w.flow.handle(whole, '1')
    await w.during(later.signal('go', 2))
    expect(await w.during(later.result({ timeoutMs: 3_000_000 }))).toEqual([1, 2])
    expect(begun).toEqual([0, 10, 20])
  })

  test('and is cancelled between two of them ends at once', { tags: ['W6'] }, async () => {
    let begun = 0
    const fails = (ctx: Ctx) =>
      ctx.step('act', () => Promise.reject(new Error(`no ${++begun}`)), once)
    const whole = workflow('whole', fails, { retry: { max: 3, baseMs: 600_000, maxMs: 600_000 } })
    const w = await flowWorld([whole])
    const run = await w.during(w.flow.start(whole, undefined, { id: '1' }))
    await w.s.advance(1_000)
    await w.during(run.cancel())
    expect(await w.during(codeOf(run.result({ timeoutMs: 1_000 })))).toBe('CANCELLED')
    expect(begun).toBe(1)
  })

  test('has all of them after each `again`', async () => {
    let begun = 0
    const laps = workflow(
      'laps',
      async (ctx: Ctx, n: number) => {
        const act = () => (++begun % 2 === 1 ? Promise.reject(new Error('away')) : undefined)
        await ctx.step('act', act, once)
        if (n < 3) ctx.again(n + 1)
        return n
      },
      { retry: { max: 2, baseMs: 1_000 } },
    )
    const w = await flowWorld([laps])
    const run = await w.during(w.flow.start(laps, 0, { id: '1' }))
    expect(await w.during(run.result({ timeoutMs: 60_000 }))).toBe(3)
    expect(begun).toBe(8)
  })

  test('has no further one after an error of `unless`', async () => {
    const retry = { max: 3, baseMs: 1_000, unless: (error: Error) => error.message === 'final' }
    const { begun } = await tried(retry, (attempt) => new Error(attempt === 2 ? 'final' : 'no'))
    expect(begun).toHaveLength(2)
  })
})

describe('a step of once whose outcome nobody knows', () => {
  /** What its tries have begun, and whether they end. */
  const outside = () => {
    const begun: string[] = []
    const own = { isOpen: false }
    const pays = (key: string) => (): Promise<string> | string => {
      begun.push(key)
      return own.isOpen ? 'paid' : new Promise(() => undefined)
    }
    return { begun, own, pays }
  }
  const act = { repeat: 'once' } as const

  test('is not begun by the next try of its run, which is blocked there', {
    tags: ['W3'],
  }, async () => {
    const { begun, own, pays } = outside()
    const buys = workflow(
      'buys',
      (ctx: Ctx) =>
        Promise.all([
          ctx.step('pay', pays('pay'), act),
          ctx.step(
            'ship',
            async () => {
              begun.push('ship')
              await new Promise<void>((resolve) => void w.s.clock.after(500, resolve))
              if (begun.length === 2) throw new Error('no carrier')
              return 'shipped'
            },
            once,
          ),
        ]),
      { retry: { max: 2, baseMs: 1_000 } },
    )
    const w = await flowWorld([buys])
    const run = await w.during(w.flow.start(buys, undefined, { id: '1' }))
    await w.s.advance(60_000)
    expect(w.flow.get(buys, '1')).toMatchObject({
      ...{ status: 'blocked', attempt: 2, error: { code: 'UNKNOWN_STEP' } },
    })
    expect(begun.toSorted()).toEqual(['pay', 'ship', 'ship'])

    own.isOpen = true
    await w.during(w.flow.retry(buys, '1'))
    expect(await w.during(run.result())).toEqual(['paid', 'shipped'])
    expect(begun.filter((key) => key === 'pay')).toHaveLength(2)
  })

  test('is not begun by the retry of a run that was blocked for another reason', {
    tags: ['W3'],
  }, async () => {
    const { begun, own, pays } = outside()
    const buys = workflow('buys', async (ctx: Ctx) => {
      await ctx.step('reserve', () => undefined)
      return ctx.step('pay', pays('pay'), act)
    })
    const bad = workflow('buys', (ctx: Ctx) => ctx.sleep('reserve', 1))
    const w = await flowWorld([buys])
    const code = () => w.flow.get(buys, '1')?.error?.code
    await w.during(w.flow.start(buys, undefined, { id: '1' }))
    await w.s.advance(1_000)
    await w.crash([bad])
    await w.s.advance(60_000)
    expect(code()).toBe('DIVERGED')

    await w.crash([buys])
    await w.during(w.flow.retry(buys, '1'))
    await w.s.advance(1_000)
    expect([code(), begun]).toEqual(['UNKNOWN_STEP', ['pay']])
    own.isOpen = true
    await w.during(w.flow.retry(buys, '1'))
    expect(await w.during(w.flow.handle(buys, '1').result())).toBe('paid')
    expect(begun).toEqual(['pay', 'pay'])
  })

  test('is begun by the retry that is for it, and not by that for another one', {
    tags: ['W3'],
  }, async () => {
    const { begun, own, pays } = outside()
    const buys = workflow('buys', (ctx: Ctx) =>
      Promise.all(['pay', 'tip'].map((key) => ctx.step(key, pays(key), act))),
    )
    const w = await flowWorld([buys])
    await w.during(w.flow.start(buys, undefined, { id: '1' }))
    await w.s.advance(1_000)
    await w.crash()
    await w.s.advance(1_000)
    own.isOpen = true
    const reason = () => w.flow.get(buys, '1')?.error?.message
    expect(reason()).toMatch('the step pay')
    await w.during(w.flow.retry(buys, '1'))
    await w.s.advance(1_000)
    expect(reason()).toMatch('the step tip')
    expect(begun).toEqual(['pay', 'tip'])
    await w.during(w.flow.retry(buys, '1'))
    expect(await w.during(w.flow.handle(buys, '1').result())).toEqual(['paid', 'paid'])
    expect(begun.toSorted()).toEqual(['pay', 'pay', 'tip', 'tip'])
  })
})

test('a retry after an end by force takes back no failure that the body had behind it', {
  tags: ['W2'],
}, async () => {
  const log: string[] = []
  const goes = workflow('goes', async (ctx: Ctx) => {
    const refuses = (): never => {
      log.push('a')
      throw new Error('no')
    }
    await ctx.step('a', refuses, once).catch(() => undefined)
    return ctx.step('b', () => {
      log.push('b')
      return log.length > 2 ? 'done' : new Promise<string>(() => undefined)
    })
  })
  const w = await flowWorld([goes])
  const run = await w.during(w.flow.start(goes, undefined, { id: '1' }))
  await w.s.advance(1_000)
  await w.during(run.cancel({ force: true }))
  await w.during(w.flow.retry(goes, '1'))
  expect(await w.during(run.result())).toBe('done')
  expect(log).toEqual(['a', 'b', 'b'])
})

test('a step of once that lost its race is not begun by the replay of a retried run', {
  tags: ['W2', 'W3'],
}, async () => {
  const race = workflow('race', async (ctx: Ctx<{ go: undefined }>) => {
    const later = (): Promise<void> =>
      new Promise((resolve) => void w.s.clock.after(4, () => resolve()))
    const act = { repeat: 'once', undo: () => undefined } as const
    const branches = [
      (own: Ctx) => own.sleep('timer', 5),
      (own: Ctx) => own.step('act', later, act),
    ]
    await ctx.all('race', branches, { wait: 'any' })
    await ctx.waitFor('go')
  })
  const w = await flowWorld([race])
  const run = await w.during(w.flow.start(race, undefined, { id: '1' }))
  await w.s.advance(100)
  await w.during(run.cancel())
  await w.during(run.result().catch(() => undefined))
  await w.during(w.flow.retry(race, '1'))
  await w.s.advance(60_000)
  await w.during(run.signal('go', undefined))

  expect(await w.during(run.result())).toBe(undefined)
})
