/** Moments of lives: what happens while one begins, is cancelled, closes or has ended, and what it leaves. */
import { describe, expect, test } from 'vitest'
import { type Ctx, type FlowEvents, type Undo, workflow } from '../../../src/flow/index.ts'
import type { RunMessages } from '../../../src/flow/runs/messages.ts'
import { telemetry } from '../../../src/index.ts'
import { call, type Ref } from '../../../src/runtime/index.ts'
import { flowWorld } from '../../support/worlds/flow-world.ts'
import { codeOf } from '../../support/worlds/simulated-instance.ts'

const never = (): Promise<never> => new Promise(() => undefined)

/** A promise from outside of a run. */
const gate = () => {
  let open = (): void => undefined
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { opened, open: () => open() }
}

describe('while a life begins, and loads a large input,', () => {
  const large = 'x'.repeat(3 * 1024 * 1024)
  const moments = Array.from({ length: 8 }, (_, at) => at)

  test.each(moments)('a cancel counts: %i ms after the start', async (inMs) => {
    const naps = workflow('naps', async (ctx: Ctx, _: string) => {
      await ctx.sleep('nap', '1h')
      await ctx.step('work', never)
    })
    const w = await flowWorld([naps])
    await w.during(w.flow.start(naps, large, { id: '1' }))
    await w.s.advance(10_000)
    await w.s.kill()
    await w.s.advance(3_600_000)
    await w.s.start()
    await w.s.advance(inMs)
    await w.during(w.flow.handle(naps, '1').cancel())
    await w.s.advance(10_000)
    expect(w.status(naps, '1')).toBe('cancelled')
  })

  test.each(moments)('the end of its child counts: %i ms after the start', async (inMs) => {
    const child = workflow('child', (ctx: Ctx<{ go: number }>) => ctx.waitFor('go'))
    const parent = workflow('parent', async (ctx: Ctx, _: string) => {
      const first = await ctx.waitFor('first' as never)
      return [first, await ctx.child('one', child, undefined, { id: 'c' })]
    })
    const w = await flowWorld([child, parent])
    const run = await w.during(w.flow.start(parent, large, { id: 'p' }))
    await w.during(run.signal('first' as never, 1 as never))
    await w.s.advance(10_000)
    await w.crash()
    void w.flow.handle(parent, 'p').signal('other' as never, 1 as never)
    await w.s.advance(inMs)
    await w.during(w.flow.handle(child, 'c').signal('go', 2))
    expect(await w.during(w.flow.handle(parent, 'p').result())).toEqual([1, 2])
  })
})

describe('a cancel lets nothing begin from its turn on', () => {
  /** A run whose first step has its outcome in the moment of its cancel; then its body asks for this. */
  const cancelled = async (ask: (ctx: Ctx) => Promise<unknown>) => {
    const { opened, open } = gate()
    const child = workflow('child', (ctx: Ctx) => ctx.sleep('hour', '1h'))
    const asks = workflow('asks', async (ctx: Ctx) => {
      await ctx.step('a', () => opened)
      await ask(ctx)
    })
    const w = await flowWorld([asks, child], { options: { syncMs: 7 } })
    const run = await w.during(w.flow.start(asks, undefined, { id: '1' }))
    await w.s.advance(100)
    open()
    await w.s.advance(8)
    const entity = w.s.app.entity<RunMessages>('$flow-asks').ref('1') as Ref<RunMessages>
    await w.during(call(entity, 'cancel', { reason: 'rain', force: false }))
    expect(await w.during(codeOf(run.result()))).toBe('CANCELLED')
    await w.s.advance(60_000)
    const { entries } = w.flow.steps(asks, '1')
    return { w, keys: entries.map(({ key }) => key), runs: w.flow.list({ type: child }).entries }
  }

  test('but a child that is cancelled with it', async () => {
    const child = workflow('child', (ctx: Ctx) => ctx.sleep('hour', '1h'))
    const { runs } = await cancelled((ctx) => ctx.child('one', child, undefined))
    expect(runs.filter(({ status }) => status !== 'cancelled')).toEqual([])
  })

  test('no step of a branch, and none that is asked for after it', async () => {
    const begun: string[] = []
    const step = (ctx: Ctx, key: string) => ctx.step(key, () => void begun.push(key))
    const { keys } = await cancelled(async (ctx) => {
      await ctx.all('all', [(own: Ctx) => step(own, 'b'), (own: Ctx) => step(own, 'c')])
      await step(ctx, 'd')
    })
    expect([keys, begun]).toEqual([['a', '$cancel'], []])
  })
})

test('a step that the body has asked for, and that a cancel kept from its beginning, is undone too', async () => {
  const { opened, open } = gate()
  const log: string[] = []
  const steps = workflow('steps', async (ctx: Ctx) => {
    const step = (key: string, act: () => unknown) =>
      ctx.step(key, act, { undo: ({ value }) => void log.push(`undo ${key} ${value}`) })
    await step('a', () => opened.then(() => 1))
    await step('b', () => log.push('b'))
  })
  const w = await flowWorld([steps], { options: { syncMs: 7 } })
  const run = await w.during(w.flow.start(steps, undefined, { id: '1' }))
  await w.s.advance(100)
  open()
  await w.s.advance(8)
  await w.during(run.cancel())
  expect(await w.during(codeOf(run.result()))).toBe('CANCELLED')
  expect(log).toEqual(['undo b undefined', 'undo a 1'])
})

test('a cancel counts although the step that was retried has its outcome just before it', async () => {
  const { opened, open } = gate()
  const begun: string[] = []
  const retried = workflow('retried', async (ctx: Ctx) => {
    await ctx.step('a', () => (begun.push('a') === 1 ? Promise.reject(new Error('no')) : opened), {
      retry: { max: 1 },
    })
    await ctx.step('b', () => begun.push('b'))
  })
  const w = await flowWorld([retried], { options: { syncMs: 7 } })
  const run = await w.during(w.flow.start(retried, undefined, { id: '1' }))
  expect(await w.during(codeOf(run.result()))).toBe('FAILED')
  await w.during(w.flow.retry(retried, '1'))
  await w.s.advance(100)

  const cancelled = run.cancel()
  await w.s.advance(3)
  open()
  await w.during(cancelled)
  expect(await w.during(codeOf(run.result({ timeoutMs: 60_000 })))).toBe('CANCELLED')
  expect(begun).toEqual(['a', 'a'])
})

test('a close lets no child begin that is asked for after it', async () => {
  const child = workflow('child', async () => 1)
  const asks = workflow('asks', async (ctx: Ctx) => {
    await ctx.step('a', () => new Promise<void>((resolve) => void w.s.clock.after(500, resolve)))
    return ctx.child('one', child, undefined)
  })
  const w = await flowWorld([asks, child])
  const started: string[] = []
  telemetry<FlowEvents>(w.s.system).on('flow.started', ({ type }) => void started.push(type))
  await w.during(w.flow.start(asks, undefined, { id: '1' }))
  await w.s.advance(100)
  await w.during(w.s.app.close())
  expect(started).toEqual(['asks'])
  await w.s.start()
  expect(await w.during(w.flow.handle(asks, '1').result())).toBe(1)
})

describe('a life that has ended', () => {
  test('ends nothing when its body ends: the child of its run goes on', async () => {
    const gates = [gate(), gate()]
    let lives = 0
    const child = workflow('child', (ctx: Ctx<{ go: number }>) => ctx.waitFor('go'))
    const parent = workflow('parent', (ctx: Ctx) => {
      const outside = gates[lives++]?.opened ?? never()
      return Promise.race([ctx.child('one', child, undefined, { id: 'c' }), outside])
    })
    const w = await flowWorld([child, parent])
    await w.during(w.flow.start(parent, undefined, { id: 'p' }))
    await w.s.advance(500)
    w.s.system.kill(w.s.app.entities.holder('$flow-parent/p')?.address as never)
    await w.s.advance(2_000)
    expect(lives).toBe(2)
    gates[0]?.open()
    await w.s.advance(10_000)
    expect(w.status(child, 'c')).toBe('waiting')
    await w.during(w.flow.handle(child, 'c').signal('go', 5))
    expect(await w.during(w.flow.handle(parent, 'p').result())).toBe(5)
  })

  test('records nothing that its body asks for, and emits nothing', async () => {
    const gates = [gate(), gate()]
    let lives = 0
    const began: string[] = []
    const asks = workflow('asks', async (ctx: Ctx) => {
      const life = lives++
      await gates[life]?.opened
      void ctx.report(`life ${life}`)
      return ctx.step('a', () => {
        began.push(`life ${life}`)
        return life
      })
    })
    const w = await flowWorld([asks])
    const told: string[] = []
    telemetry<FlowEvents>(w.s.system).on('flow.step', ({ key }) => void told.push(key))
    await w.during(w.flow.start(asks, undefined, { id: '1' }))
    await w.s.advance(100)
    w.s.system.kill(w.s.app.entities.holder('$flow-asks/1')?.address as never)
    await w.s.advance(2_000)
    gates[0]?.open()
    await w.s.advance(10_000)
    expect([began, told, w.flow.get(asks, '1')?.progress]).toEqual([[], [], undefined])
    gates[1]?.open()
    expect(await w.during(w.flow.handle(asks, '1').result())).toBe(1)
    expect([began, told]).toEqual([['life 1'], ['a']])
  })

  test('leaves no timer, whatever its run did', async () => {
    const all = workflow('all', async (ctx: Ctx<{ go: undefined }>, how: string) => {
      const undo = { undo: async (_: Undo<unknown>) => undefined }
      await ctx.step('timed', () => 1, { timeout: '9h', ...undo })
      if (how === 'fails') throw new Error('no')
      if (how === 'ends') return
      void ctx.sleep('long', '9h')
      void ctx.waitFor('go', { timeout: '8h' })
      if (how === 'hangs') await ctx.step('hang', never, { timeout: '7h', ...undo })
      const fail = () => Promise.reject(new Error('no'))
      await ctx.step('flaky', fail, { retry: { max: 99, baseMs: 3_600_000, maxMs: 3_600_000 } })
    })
    const w = await flowWorld([all])
    const ids = ['fails', 'ends', 'hangs', 'flaky', 'cancelled', 'forced', 'killed']
    for (const id of ids) await w.during(w.flow.start(all, id, { id }))
    await w.s.advance(1_000)
    await w.during(w.flow.handle(all, 'cancelled').cancel())
    await w.during(w.flow.handle(all, 'forced').cancel({ force: true }))
    w.s.system.kill(w.s.app.entities.holder('$flow-all/killed')?.address as never)
    await w.s.advance(100)
    const { clock } = w.s
    await w.s.close()
    expect(clock.untilNext()).toBe(undefined)
  })
})

test('a body that diverges once is tried once more, and goes on when it does not again', async () => {
  let lives = 0
  const whim = workflow('whim', async (ctx: Ctx) => {
    const key = ++lives === 2 ? 'other' : 'a'
    await ctx.step(key, () => 1)
    await ctx.sleep('nap', '1h')
    return lives
  })
  const w = await flowWorld([whim])
  await w.during(w.flow.start(whim, undefined, { id: '1' }))
  await w.s.advance(10_000)
  await w.crash()
  await w.s.advance(4_000_000)
  expect([w.status(whim, '1'), lives]).toEqual(['completed', 3])
})

test('a parent that ends with a blocked child names that one, whatever else it has asked for', async () => {
  const child = workflow('child', (ctx: Ctx) =>
    ctx.step('call', never, { undo: () => Promise.reject(new Error('stuck')) }),
  )
  const parent = workflow('parent', async (ctx: Ctx<{ go: undefined }>) => {
    void ctx.waitFor('go')
    await ctx.step('first', () => 1)
    await ctx.child('one', child, undefined, { id: 'c' })
  })
  const w = await flowWorld([child, parent])
  const run = await w.during(w.flow.start(parent, undefined, { id: 'p' }))
  await w.s.advance(1_000)
  await w.during(run.cancel())
  await w.s.advance(3_600_000)
  expect(w.flow.get(parent, 'p')?.error?.message).toBe('its child child/c is blocked: stuck')
})
