/** What happens at once: ends, cancels, closes and kills of runs in the same moment as their own turns. */
import { describe, expect, test } from 'vitest'
import { type Ctx, type FlowEvents, workflow } from '../../../src/flow/index.ts'
import { telemetry } from '../../../src/index.ts'
import { flowWorld } from '../../support/worlds/flow-world.ts'
import { codeOf } from '../../support/worlds/simulated-instance.ts'

/** A promise from outside of a run, which its replay knows nothing of. */
const gate = () => {
  let open = (): void => undefined
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { opened, open: () => open() }
}
const never = (): Promise<never> => new Promise(() => undefined)

test('a run that is ended by force in the moment of its end has one end', async () => {
  const { opened, open } = gate()
  const waits = workflow('waits', () => opened)
  const w = await flowWorld([waits], { options: { syncMs: 5 } })
  const ends: string[] = []
  telemetry<FlowEvents>(w.s.system).on('flow.ended', ({ end }) => void ends.push(end.status))
  const run = await w.during(w.flow.start(waits, undefined, { id: '1' }))
  const result = codeOf(run.result())
  const cancelled = run.cancel({ force: true, reason: 'now' })
  open()

  expect(await w.during(cancelled)).toMatchObject({ accepted: true })
  await w.s.advance(5_000)
  expect([w.status(waits, '1'), await w.during(result)]).toEqual(['cancelled', 'CANCELLED'])
  expect(ends).toEqual(['cancelled'])
  expect(w.flow.get(waits, '1')?.error?.message).toBe('now')
})

test('a body that waits for something of its own holds up no close, and begins anew', async () => {
  const gates = [gate(), gate()]
  let lives = 0
  const waits = workflow('waits', async () => {
    await gates[lives++]?.opened
    return lives
  })
  const w = await flowWorld([waits])
  await w.during(w.flow.start(waits, undefined, { id: '1' }))
  await w.s.advance(1_000)
  const begin = w.s.clock.now()
  const report = await w.during(w.s.app.close())

  expect([w.s.clock.now() - begin < 1_000, report.cutOff]).toEqual([true, []])
  gates[0]?.open()
  await w.s.start()
  await w.s.advance(1_000)
  expect([lives, w.status(waits, '1')]).toEqual([2, 'running'])
  gates[1]?.open()
  expect(await w.during(w.flow.handle(waits, '1').result())).toBe(2)
})

test('a step of once that a cancel has overtaken has not begun, and a retry of its run begins it', async () => {
  const { opened, open } = gate()
  const begun: string[] = []
  const pays = workflow('pays', async (ctx: Ctx) => {
    await opened
    await ctx.step('pay', ({ key }) => void begun.push(key), { repeat: 'once' })
  })
  const w = await flowWorld([pays], { options: { syncMs: 5 } })
  const run = await w.during(w.flow.start(pays, undefined, { id: '1' }))
  const cancelled = run.cancel()
  open()
  await w.during(cancelled)
  await w.s.advance(1_000)
  expect([begun, w.status(pays, '1')]).toEqual([[], 'cancelled'])

  await w.during(w.flow.retry(pays, '1'))
  await w.s.advance(1_000)
  expect([begun.length, w.status(pays, '1')]).toEqual([1, 'completed'])
})

describe('the undo of a step', () => {
  /** A run that is cancelled while its step runs: when its function settles, and when the undo begins. */
  const undoAfter = async (settlesAfterMs: number) => {
    const begun: number[] = []
    const undoes = workflow('undoes', (ctx: Ctx) =>
      ctx.step(
        'call',
        () => new Promise<void>((resolve) => void w.s.clock.after(settlesAfterMs, resolve)),
        { undo: () => void begun.push(w.s.clock.monotonic()) },
      ),
    )
    const w = await flowWorld([undoes])
    const run = await w.during(w.flow.start(undoes, undefined, { id: '1' }))
    await w.s.advance(1_000)
    const since = w.s.clock.monotonic()
    void run.cancel()
    await w.s.advance(60_000)
    expect(w.status(undoes, '1')).toBe('cancelled')
    return (begun[0] ?? 0) - since
  }

  test('begins when its function has settled, or half a minute after the cancel', async () => {
    const settled = await undoAfter(11_000)
    expect([settled >= 9_900, settled <= 11_000]).toEqual([true, true])
    const hangs = await undoAfter(1_000_000)
    expect([hangs >= 30_000, hangs < 30_100]).toEqual([true, true])
  })
})

describe('the signal of a try', () => {
  test('is aborted with the reason, also where the step asks for it afterwards', async () => {
    const reasons: unknown[] = []
    const asks = workflow('asks', (ctx: Ctx) =>
      ctx.step(
        'call',
        async (attempt) => {
          await new Promise<void>((resolve) => void w.s.clock.after(5_000, resolve))
          reasons.push([attempt.attempt, attempt.signal.aborted, attempt.signal.reason?.message])
          return never()
        },
        { timeout: '1s', retry: { max: 2, baseMs: 1 } },
      ),
    )
    const w = await flowWorld([asks])
    const run = await w.during(w.flow.start(asks, undefined, { id: '1' }))
    const end = await w.during(run.result().catch((error) => error.cause))
    await w.s.advance(10_000)

    const message = 'call took longer than 1000 ms'
    expect(end).toMatchObject({ code: 'TIMEOUT', message })
    expect(reasons).toEqual([
      [1, true, message],
      [2, true, message],
    ])
  })

  test('says that its life has ended when its process has', async () => {
    const reasons: unknown[] = []
    const hangs = workflow('hangs', (ctx: Ctx) =>
      ctx.step('call', ({ signal }) => {
        signal.addEventListener('abort', () => void reasons.push(signal.reason?.code))
        return never()
      }),
    )
    const w = await flowWorld([hangs])
    await w.during(w.flow.start(hangs, undefined, { id: '1' }))
    await w.s.advance(100)
    w.s.system.kill(w.s.app.entities.holder('$flow-hangs/1')?.address as never)
    await w.s.advance(100)
    expect(reasons).toEqual(['EXITED'])
  })
})

describe('a parent', () => {
  test('does not end before the child that it has cancelled, and both say why', async () => {
    const log: string[] = []
    const child = workflow('child', (ctx: Ctx) =>
      ctx.step('call', never, {
        undo: async () => {
          await new Promise<void>((resolve) => void w.s.clock.after(7_000, resolve))
          log.push('child undone')
        },
      }),
    )
    const parent = workflow('parent', async (ctx: Ctx) => {
      await ctx.step('first', () => 1, { undo: () => void log.push('parent undone') })
      await ctx.child('one', child, undefined, { id: 'c' })
    })
    const w = await flowWorld([child, parent])
    const run = await w.during(w.flow.start(parent, undefined, { id: 'p' }))
    await w.s.advance(1_000)
    await w.during(run.cancel({ reason: 'rain' }))
    await w.s.advance(20_000)
    expect([w.status(child, 'c'), w.status(parent, 'p')]).toEqual(['cancelling', 'cancelling'])
    await w.s.advance(60_000)

    expect([w.status(child, 'c'), w.status(parent, 'p')]).toEqual(['cancelled', 'cancelled'])
    expect(log).toEqual(['child undone', 'parent undone'])
    expect(w.flow.get(child, 'c')?.error?.message).toBe('its parent parent/p has ended')
    expect(w.flow.get(parent, 'p')?.error?.message).toBe('rain')
  })

  test('that is undone is blocked with its child, which goes on with a retry', async () => {
    let isStuck = true
    const child = workflow('child', (ctx: Ctx) =>
      ctx.step('call', never, {
        undo: () => {
          if (isStuck) throw new Error('stuck')
        },
      }),
    )
    const parent = workflow('parent', (ctx: Ctx) => ctx.child('one', child, undefined, { id: 'c' }))
    const w = await flowWorld([child, parent])
    const run = await w.during(w.flow.start(parent, undefined, { id: 'p' }))
    await w.s.advance(1_000)
    await w.during(run.cancel())
    await w.s.advance(3_600_000)

    expect([w.status(child, 'c'), w.status(parent, 'p')]).toEqual(['blocked', 'blocked'])
    expect(w.flow.get(parent, 'p')?.error).toMatchObject({
      ...{ code: 'BLOCKED', message: expect.stringContaining('its child child/c is blocked') },
    })
    isStuck = false
    await w.during(w.flow.retry(child, 'c'))
    await w.during(w.flow.retry(parent, 'p'))
    await w.s.advance(60_000)
    expect([w.status(child, 'c'), w.status(parent, 'p')]).toEqual(['cancelled', 'cancelled'])
  })
})

describe('a wait', () => {
  test('that runs out gives nothing, and a signal of that moment comes first', async () => {
    const waits = workflow('waits', async (ctx: Ctx<{ go: number }>) => {
      const got = await ctx.waitFor('go', { timeout: '10s' })
      return got === undefined ? 'nothing' : got
    })
    const w = await flowWorld([waits])
    await w.during(w.flow.start(waits, undefined, { id: '1' }))
    const late = await w.during(w.flow.start(waits, undefined, { id: '2' }))
    await w.s.advance(9_990)
    await w.during(late.signal('go', 7))
    await w.s.advance(5_000)
    const results = ['1', '2'].map((id) => w.flow.handle(waits, id).result())
    expect(await w.during(Promise.all(results))).toEqual(['nothing', 7])
  })

  test('of some at once: each signal goes to the first that waits', async () => {
    const waits = workflow('waits', (ctx: Ctx<{ go: number }>) =>
      Promise.all([1, 2, 3].map(() => ctx.waitFor('go'))),
    )
    const w = await flowWorld([waits])
    const run = await w.during(w.flow.start(waits, undefined, { id: '1' }))
    for (const value of [1, 2]) await w.during(run.signal('go', value))
    await w.s.advance(60_000)
    expect(w.flow.steps(waits, '1').entries.map(({ key, value }) => [key, value])).toEqual([
      ['go#1', 1],
      ['go#2', 2],
    ])
    await w.during(run.signal('go', 3))
    expect(await w.during(run.result())).toEqual([1, 2, 3])
  })
})

test('a run reports its last progress of a moment, and a replay reports none again', async () => {
  const reports = workflow('reports', async (ctx: Ctx) => {
    for (let at = 1; at <= 3; at++) ctx.report(at)
    await ctx.sleep('long', '1h')
    ctx.report(4)
    await ctx.sleep('longer', '1h')
  })
  const w = await flowWorld([reports])
  await w.during(w.flow.start(reports, undefined, { id: '1' }))
  const progress = () => w.flow.get(reports, '1')?.progress
  await w.s.advance(100)
  expect(progress()).toBe(3)
  await w.s.advance(3_600_000)
  expect(progress()).toBe(4)
  await w.crash()
  const seen: unknown[] = []
  for (let at = 0; at < 40; at++) {
    await w.s.advance(100_000)
    seen.push(progress())
  }
  expect(new Set(seen)).toEqual(new Set([4]))
})

test('a progress is recorded soon, though the body waits for something of its own and no turn follows', async () => {
  const reports = workflow('reports', async (ctx: Ctx) => {
    ctx.report(1)
    await never()
  })
  const w = await flowWorld([reports])
  await w.during(w.flow.start(reports, undefined, { id: '1' }))
  await w.s.advance(1_000)
  expect(w.flow.get(reports, '1')?.progress).toBe(1)
})
