/** Runs of workflows: starts, steps and their tries, timers, ends, and the same over crashes. */
import { describe, expect, test } from 'vitest'
import { type Ctx, type FlowHealth, queue, type Try, workflow } from '../../../src/flow/index.ts'
import { suspend } from '../../../src/runtime/index.ts'
import { flowWorld } from '../../support/worlds/flow-world.ts'
import { codeOf } from '../../support/worlds/simulated-instance.ts'

describe('a run', () => {
  test('ends with the output of its body, and a repeated start finds it', {
    tags: ['W1', 'W11'],
  }, async () => {
    const calls: string[] = []
    const greet = workflow('greet', async (ctx: Ctx, name: string) => {
      const greeting = await ctx.step('greet', ({ key }) => {
        calls.push(key)
        return { text: `hello ${name}` }
      })
      await ctx.sleep('pause', '2s')
      return greeting.text
    })
    const w = await flowWorld([greet])

    const run = await w.during(w.flow.start(greet, 'Ada', { id: '1' }))
    expect(run.repeated).toBe(false)
    expect(await w.during(run.result())).toBe('hello Ada')

    const again = await w.during(w.flow.start(greet, 'Ada', { id: '1' }))
    expect(again.repeated).toBe(true)
    expect(await w.during(again.result())).toBe('hello Ada')
    expect(await w.during(codeOf(w.flow.start(greet, 'Eve', { id: '1' })))).toBe('CONFLICT')
    expect(calls).toEqual([expect.stringMatching(/^flow\/greet\/1\/[0-9a-f]{16}\/0\/greet$/)])
  })

  test('goes on after a crash with the outcomes that it had', {
    tags: ['slow', 'W2', 'W4'],
  }, async () => {
    const calls: string[] = []
    const three = workflow('three', async (ctx: Ctx) => {
      const values: unknown[] = []
      for (const key of ['a', 'b', 'c']) {
        values.push(await ctx.step(key, () => calls.push(key)))
        await ctx.sleep(`after ${key}`, '10s')
      }
      return values
    })
    const w = await flowWorld([three])
    await w.during(w.flow.start(three, undefined, { id: '1' }))
    await w.s.advance(1_000)
    await w.powerCut()
    await w.s.advance(11_000)
    await w.crash()

    expect(await w.during(w.flow.handle(three, '1').result())).toEqual([1, 2, 3])
    expect(calls).toEqual(['a', 'b', 'c'])
  })

  test('gives the body decoded values and kept errors in its first life too', {
    tags: ['W2'],
  }, async () => {
    const given: unknown[] = []
    const date = new Date(0)
    const values = workflow('values', async (ctx: Ctx) => {
      given.push(await ctx.step('nothing', () => undefined))
      const found = await ctx.step('object', () => ({ date, none: undefined as unknown }))
      given.push(found, found.date === date)
      const refuse = (): never => {
        throw Object.assign(new TypeError('refused'), { code: 'E_NO', extra: 1 })
      }
      await ctx.step('error', refuse, { retry: { max: 1 } }).catch((error) => {
        given.push([error.name, error.message, error.code, error.extra])
      })
      await ctx
        .step('function', () => () => 1, { retry: { max: 1 } })
        .catch((error) => {
          given.push(error.code)
        })
      await ctx.sleep('pause', '1m')
    })
    const w = await flowWorld([values])
    await w.during(w.flow.start(values, undefined, { id: '1' }))
    await w.s.advance(5_000)
    const first = given.splice(0)
    await w.crash()
    await w.during(w.flow.handle(values, '1').result({ timeoutMs: 100_000 }))

    expect(first).toEqual([
      ...[undefined, { date: new Date(0) }, false],
      ...[['TypeError', 'refused', 'E_NO', undefined], 'INVALID_ARGUMENT'],
    ])
    // It rested, and was replayed for its timer too.
    expect(given).toEqual([...first, ...first].slice(0, given.length))
    expect(given.length).toBeGreaterThanOrEqual(first.length)
  })

  test('fails with the error of its body', async () => {
    const fails = workflow('fails', async () => {
      throw new RangeError('too far')
    })
    const w = await flowWorld([fails])
    const run = await w.during(w.flow.start(fails, undefined, { id: '1' }))

    const error = await w.during(run.result().catch((thrown) => thrown))
    expect([error.code, error.cause.name, error.cause.message]).toEqual([
      ...['FAILED', 'RangeError', 'too far'],
    ])
  })

  test('that has not begun is waited for by nobody', { tags: ['W11'] }, async () => {
    const none = workflow('none', async () => undefined)
    const w = await flowWorld([none])
    const began = w.s.clock.now()

    expect(await w.during(codeOf(w.flow.handle(none, 'ghost').result()))).toBe('CONFLICT')
    expect(w.s.clock.now() - began).toBeLessThan(100)
  })

  test('goes on when no answer came, which its message says in words of its user', async () => {
    const waits = workflow('waits', (ctx: Ctx) => ctx.sleep('long', '1h'))
    const w = await flowWorld([waits])
    const run = await w.during(w.flow.start(waits, undefined, { id: '1' }))
    const refusal = (timeoutMs?: number) =>
      run.result(timeoutMs === undefined ? {} : { timeoutMs }).catch((error) => error)
    const late = await w.during(refusal(10))
    const killed = refusal()
    await w.s.advance(10)
    w.s.system.kill(w.s.app.entities.holder('$flow-waits/1')?.address as never)
    const lost = await w.during(killed)
    const closing = refusal()
    await w.s.advance(10)
    await w.s.close()

    const found = [late, lost, await closing].map(({ code, message }) => [code, message])
    expect(found).toEqual([
      ['TIMEOUT', 'the run 1 of waits has not ended within 10 ms'],
      ['EXITED', 'the run 1 of waits continues in another process: ask again'],
      ['CLOSED', 'the run 1 of waits continues at the next start'],
    ])
  })

  test('and a queue that do not answer are named in words of their user', async () => {
    const waits = workflow('waits', (ctx: Ctx) => ctx.sleep('long', '1h'))
    const mails = queue('mails', () => undefined)
    const w = await flowWorld([waits], { queues: [mails] })
    const { flow } = w
    const run = await w.during(flow.start(waits, undefined, { id: '1' }))
    const { system, entities } = w.s.app
    const holds = ['$flow-waits/1', '$queue-mails/queue'].map((name) => entities.holder(name))
    const process = (at: number) => holds[at]?.address as never
    for (const at of [0, 1]) await w.during(suspend(process(at)))
    const texts = async (ask: readonly Promise<unknown>[]) =>
      new Set(await Promise.all(ask.map((each) => each.catch(({ message }) => message))))
    const asked = () => [
      texts([flow.start(waits, undefined, { id: '1' }), run.signal('a' as never, 1 as never)]),
      texts([run.cancel(), flow.retry(waits, '1'), flow.settle(waits, '1', 'a', { value: 1 })]),
      texts([flow.add(mails, 1), flow.pause(mails), flow.retry(mails, '1'), flow.counts(mails)]),
    ]
    const late = await w.during(Promise.all(asked()))
    const killed = asked()
    await w.s.settle()
    for (const at of [0, 1]) system.kill(process(at))

    const run1 = 'the run 1 of waits'
    expect(late.flatMap((each) => [...each])).toEqual([
      ...Array(2).fill(`${run1} has not answered within 5000 ms`),
      'the queue mails has not answered within 5000 ms',
    ])
    expect((await w.during(Promise.all(killed))).flatMap((each) => [...each])).toEqual([
      ...Array(2).fill(`${run1} continues in another process: ask again`),
      'the queue mails continues in another process: ask again',
    ])
  })

  test('takes long inputs, and has long outcomes and outputs', {
    tags: ['slow', 'W2'],
  }, async () => {
    const large = 'x'.repeat(3 * 1024 * 1024)
    const long = workflow('long', async (ctx: Ctx, input: string) => {
      const text = await ctx.step('double', () => input + input)
      await ctx.sleep('pause', '1m')
      return text
    })
    const w = await flowWorld([long])
    await w.during(w.flow.start(long, large, { id: '1' }))
    await w.s.advance(2_000)
    await w.crash()

    const output = await w.during(w.flow.handle(long, '1').result({ timeoutMs: 100_000 }))
    expect(output.length).toBe(2 * large.length)
  })

  test('does not begin before its delay when a signal comes', { tags: ['W7', 'W8'] }, async () => {
    const times: number[] = []
    const late = workflow('late', async (ctx: Ctx<{ go: number }>, _: undefined) => {
      await ctx.step('begin', () => times.push(w.s.clock.now()))
      return ctx.waitFor('go')
    })
    const w = await flowWorld([late])
    const from = w.s.clock.now()
    const run = await w.during(w.flow.start(late, undefined, { id: '1', delay: '1m' }))
    await w.during(run.signal('go', 7))
    expect(await w.during(run.result({ timeoutMs: 120_000 }), 120_000)).toBe(7)
    expect(times.map((at) => at - from >= 60_000)).toEqual([true])
  })

  test('begins after its delay, also after a crash', { tags: ['W7'] }, async () => {
    const times: number[] = []
    const late = workflow('late', async (ctx: Ctx) => ctx.step('now', () => times.push(now())))
    const w = await flowWorld([late])
    const now = (): number => w.s.clock.now()
    const begin = now()
    await w.during(w.flow.start(late, undefined, { id: '1', delay: '1h' }))
    expect(w.status(late, '1')).toBe('waiting')
    await w.crash()
    await w.s.advance(3_590_000)
    expect(times).toEqual([])
    await w.s.advance(20_000)
    expect(times).toHaveLength(1)
    expect((times[0] ?? 0) - begin).toBeGreaterThanOrEqual(3_600_000)
  })
})

describe('a step', () => {
  const failing = (times: number, tries: Try[] = []) => ({
    tries,
    run: (attempt: Try) => {
      tries.push(attempt)
      if (tries.length <= times) throw new Error(`try ${tries.length}`)
      return 'done'
    },
  })

  test('that throws is tried again under its key, with pauses that survive a crash', {
    tags: ['W3'],
  }, async () => {
    const { run, tries } = failing(2)
    const times: number[] = []
    const flaky = workflow('flaky', async (ctx: Ctx) =>
      ctx.step(
        'call',
        (attempt) => {
          times.push(w.s.clock.now())
          return run(attempt)
        },
        { retry: { baseMs: 10_000, jitter: 0 } },
      ),
    )
    const w = await flowWorld([flaky])
    await w.during(w.flow.start(flaky, undefined, { id: '1' }))
    await w.s.advance(1_000)
    await w.crash()

    expect(await w.during(w.flow.handle(flaky, '1').result({ timeoutMs: 100_000 }))).toBe('done')
    expect(new Set(tries.map(({ key }) => key)).size).toBe(1)
    expect(tries.map(({ attempt }) => attempt)).toEqual([1, 2, 3])
    expect((times[1] ?? 0) - (times[0] ?? 0)).toBeGreaterThanOrEqual(10_000)
    expect((times[2] ?? 0) - (times[1] ?? 0)).toBeGreaterThanOrEqual(20_000)
  })

  test('has three tries, fewer or more by its policy, and none after an error of `unless`', async () => {
    const counts: number[] = []
    const policies = [
      {},
      { retry: { max: 1 } },
      { retry: { max: 5 } },
      { retry: { unless: () => true } },
    ]
    const tries = workflow(
      'tries',
      async (ctx: Ctx) => {
        for (const [at, options] of policies.entries()) {
          const { run, tries: made } = failing(9)
          await ctx.step(`step ${at}`, run, options).catch(() => undefined)
          counts.push(made.length)
        }
      },
      { stepDefaults: { retry: { baseMs: 1 } } },
    )
    const w = await flowWorld([tries])
    const run = await w.during(w.flow.start(tries, undefined, { id: '1' }))
    await w.during(run.result())

    expect(counts).toEqual([3, 1, 5, 1])
  })

  test('that takes too long is aborted and tried again, and its late value is dropped', async () => {
    const aborted: boolean[] = []
    const slow = workflow('slow', async (ctx: Ctx) =>
      ctx.step(
        'wait',
        async ({ attempt, signal }) => {
          await new Promise<void>((resolve) => {
            w.s.clock.after(attempt === 1 ? 5_000 : 10, resolve)
          })
          aborted.push(signal.aborted)
          return attempt
        },
        { timeout: '2s' },
      ),
    )
    const w = await flowWorld([slow])
    const run = await w.during(w.flow.start(slow, undefined, { id: '1' }))

    expect(await w.during(run.result())).toBe(2)
    await w.s.advance(10_000)
    expect(aborted.sort()).toEqual([false, true])
    expect(await w.during(w.flow.handle(slow, '1').result())).toBe(2)
  })

  test('of once blocks its run if a crash hits between its start and its outcome', {
    tags: ['W3', 'W12'],
  }, async () => {
    const keys: string[] = []
    let hangs = true
    const once = workflow('once', async (ctx: Ctx) =>
      ctx.step(
        'charge',
        ({ key }) => {
          keys.push(key)
          return hangs ? new Promise<string>(() => undefined) : 'charged'
        },
        { repeat: 'once' },
      ),
    )
    const w = await flowWorld([once])
    for (const id of ['retried', 'settled', 'refused'])
      await w.during(w.flow.start(once, undefined, { id }))
    await w.s.advance(1_000)
    await w.crash()
    await w.s.advance(1_000)
    hangs = false

    for (const id of ['retried', 'settled', 'refused']) {
      expect(await w.during(codeOf(w.flow.handle(once, id).result()))).toBe('BLOCKED')
      expect(w.flow.list({ type: once, status: 'blocked' }).entries).toHaveLength(3)
    }
    const { flow: health } = w.s.app.health().parts as { flow: FlowHealth }
    expect(health.blocked.count).toBe(3)
    const named = health.blocked.first.map(({ run }) => run).toSorted()
    expect(named).toEqual(['once/refused', 'once/retried', 'once/settled'])
    expect(keys).toHaveLength(3)

    await w.during(w.flow.retry(once, 'retried'))
    expect(await w.during(w.flow.handle(once, 'retried').result())).toBe('charged')
    expect(keys[3]).toBe(keys[0])
    await w.during(w.flow.settle(once, 'settled', 'charge', { value: 'by hand' }))
    expect(await w.during(w.flow.handle(once, 'settled').result())).toBe('by hand')
    await w.during(w.flow.settle(once, 'refused', 'charge', { error: { message: 'no' } }))
    const refused = w.flow
      .handle(once, 'refused')
      .result()
      .catch((error: Error) => error)
    expect(await w.during(refused)).toMatchObject({ code: 'FAILED', cause: { message: 'no' } })
    expect(keys).toHaveLength(4)
    expect(await w.during(codeOf(w.flow.settle(once, 'settled', 'charge', { value: 1 })))).toBe(
      'CONFLICT',
    )
  })

  test('that the body does not wait for is cancelled at its end, and the process goes on', async () => {
    const unheard: unknown[] = []
    const listener = (reason: unknown) => unheard.push(reason)
    process.on('unhandledRejection', listener)
    const leaves = workflow('leaves', async (ctx: Ctx, end: string) => {
      void ctx.step('slow', () => new Promise<void>(() => undefined))
      void ctx.sleep('long', '1d')
      void ctx.waitFor('never' as never)
      void ctx.child('child', quick, undefined)
      void ctx.all('all', [(own) => own.sleep('longer', '2d')])
      await ctx.step('fast', () => 1)
      if (end === 'throws') throw new Error('an end')
      return end
    })
    const quick = workflow('quick', (ctx: Ctx) => ctx.sleep('long', '1d'))
    const w = await flowWorld([leaves, quick])
    for (const end of ['returns', 'throws']) {
      await w.during(w.flow.start(leaves, end, { id: end }))
      await w.during(codeOf(w.flow.handle(leaves, end).result()))
    }
    await new Promise((resolve) => setImmediate(resolve))
    process.off('unhandledRejection', listener)

    expect(['returns', 'throws'].map((id) => w.status(leaves, id))).toEqual(['completed', 'failed'])
    expect(unheard).toEqual([])
  })

  test('may throw anything', async () => {
    const unreadable = (): never => {
      throw new Error('cannot be read')
    }
    const revoked = Proxy.revocable({}, {})
    revoked.revoke()
    const thrown: Record<string, unknown> = {
      getter: Object.defineProperty(new Error(), 'message', { get: () => unreadable() }),
      revoked: revoked.proxy,
      textless: { toString: unreadable },
      undefined: undefined,
      'half of a character': new Error('\ud83d'),
      'a character that a cut would halve': new Error(`x${'😀'.repeat(1_000)}`),
      'a long name': Object.assign(new Error(), { name: 'x'.repeat(2_000_000) }),
    }
    const steps = workflow('steps', (ctx: Ctx, kind: string) =>
      ctx.step('a', () => Promise.reject(thrown[kind]), { retry: { max: 1 } }),
    )
    const bodies = workflow('bodies', (_: Ctx, kind: string) => Promise.reject(thrown[kind]))
    const w = await flowWorld([steps, bodies])
    for (const type of [steps, bodies])
      for (const kind of Object.keys(thrown)) {
        const run = await w.during(w.flow.start(type, kind, { id: kind }))
        expect([kind, await w.during(codeOf(run.result()))]).toEqual([kind, 'FAILED'])
      }
  })

  test('refuses a key that is used, too long or reserved', async () => {
    const codes: unknown[] = []
    const keys = workflow('keys', async (ctx: Ctx) => {
      for (const key of ['a', 'a', '', 'x'.repeat(257), '$a', 'undo:a', '\ud800'])
        codes.push(await codeOf(ctx.step(key, () => 1)))
    })
    const w = await flowWorld([keys])
    const run = await w.during(w.flow.start(keys, undefined, { id: '1' }))
    await w.during(run.result())

    expect(codes).toEqual(['ok', ...Array(6).fill('INVALID_ARGUMENT')])
  })
})
