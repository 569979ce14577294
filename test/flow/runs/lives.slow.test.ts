/** Lives of runs: only one records, each run that is live is woken, a close waits, a rest leaves memory. */
import { describe, expect, test } from 'vitest'
import { type Ctx, type FlowEvents, flow, flows, workflow } from '../../../src/flow/index.ts'
import {
  call,
  type DurableServer,
  entity,
  reply,
  supervisor,
  telemetry,
} from '../../../src/index.ts'
import { counted, flowWorld } from '../../support/worlds/flow-world.ts'
import { simulated } from '../../support/worlds/simulated-instance.ts'

describe('a life', () => {
  test('that is killed records nothing, its signals abort, and the next one goes on', {
    tags: ['W5'],
  }, async () => {
    const aborted: unknown[] = []
    const release: (() => void)[] = []
    const slow = workflow('slow', async (ctx: Ctx) =>
      ctx.step('call', async ({ signal }) => {
        const life = release.length + 1
        signal.addEventListener('abort', () => aborted.push(life))
        await new Promise<void>((resolve) => void release.push(resolve))
        return `life ${life}`
      }),
    )
    const w = await flowWorld([slow])
    const run = await w.during(w.flow.start(slow, undefined, { id: '1' }))
    await w.s.advance(100)
    w.s.system.kill(w.s.app.entities.holder('$flow-slow/1')?.address as never)
    await w.s.advance(5_000)

    expect(release).toHaveLength(2)
    expect(aborted).toEqual([1])
    release[0]?.()
    await w.s.advance(1_000)
    expect(w.status(slow, '1')).toBe('running')
    release[1]?.()
    expect(await w.during(w.flow.handle(slow, '1').result())).toBe('life 2')
    expect(run.id).toBe('1')
  })

  test('that is being blocked begins no try', { tags: ['W3'] }, async () => {
    let tries = 0
    const both = workflow('both', (ctx: Ctx) =>
      Promise.all([
        ctx.step('once', () => new Promise<void>(() => undefined), { repeat: 'once' }),
        ctx.step(
          'other',
          () => {
            // An end, so that a life that goes on fails this test, and does not hang it.
            if (++tries < 100) throw new Error('not yet')
          },
          { retry: { baseMs: 60_000, jitter: 0 } },
        ),
      ]),
    )
    const w = await flowWorld([both])
    await w.during(w.flow.start(both, undefined, { id: '1' }))
    await w.s.advance(100)
    await w.s.kill()
    await w.s.advance(60_000)
    await w.s.start()
    await w.s.advance(100)

    expect([w.status(both, '1'), tries]).toEqual(['blocked', 1])
  })

  test('of a run that waits leaves memory, and its timer wakes it', { tags: ['W7'] }, async () => {
    let lives = 0
    const sleeper = workflow('sleeper', async (ctx: Ctx) => {
      lives++
      await ctx.sleep('short', '1s')
      await ctx.sleep('long', '1h')
      return lives
    })
    const w = await flowWorld([sleeper])
    await w.during(w.flow.start(sleeper, undefined, { id: '1' }))
    await w.s.advance(60_000)

    expect(w.status(sleeper, '1')).toBe('waiting')
    expect(w.s.app.entities.holder('$flow-sleeper/1')).toBe(undefined)
    expect(lives).toBe(1)
    await w.s.advance(3_600_000)
    expect(await w.during(w.flow.handle(sleeper, '1').result())).toBe(2)
  })
})

describe('a close', () => {
  const closing = async (stepMs: number, deadlineMs: number) => {
    const log: string[] = []
    const two = workflow('two', async (ctx: Ctx) => {
      for (const key of ['a', 'b'])
        await ctx.step(key, async () => {
          log.push(`begin ${key}`)
          await new Promise<void>((resolve) => void w.s.clock.after(stepMs, resolve))
          log.push(`end ${key}`)
        })
    })
    const w = await flowWorld([two])
    await w.during(w.flow.start(two, undefined, { id: '1' }))
    await w.s.advance(100)
    const report = await w.during(w.s.app.close({ deadlineMs }))
    return { w, two, log, report }
  }

  test('waits for the step that runs, and begins no other one', async () => {
    const { w, two, log, report } = await closing(5_000, 10_000)

    expect(log).toEqual(['begin a', 'end a'])
    expect(report.cutOff).toEqual([])
    await w.s.start()
    await w.during(w.flow.handle(two, '1').result())
    expect(log).toEqual(['begin a', 'end a', 'begin b', 'end b'])
  })

  test('names the step of the run that it cuts off', async () => {
    const { log, report } = await closing(60_000, 10_000)

    expect(log).toEqual(['begin a'])
    expect(report.cutOff).toEqual([{ part: 'work', actor: '$flow-two/1', what: 'step a' }])
  })

  test('that refuses a step what it calls uses up none of its tries', async () => {
    const server: DurableServer<{ calls: { number: () => number } }, number> = {
      init: () => 7,
      calls: { number: (n) => reply(n, n) },
    }
    const asked = entity('asked', server)
    const asks = workflow('asks', (ctx: Ctx) =>
      ctx.step(
        'ask',
        async () => {
          await new Promise<void>((resolve) => void s.clock.after(100, resolve))
          return call(s.app.entity(asked).ref('rests'), 'number')
        },
        { retry: { max: 1 } },
      ),
    )
    const s = await simulated({ app: supervisor('app', {}, [asked, flows({ workflows: [asks] })]) })
    await s.during(flow(s.app).start(asks, undefined, { id: '1' }))
    await s.advance(10)

    expect(await s.during(s.app.close())).toEqual({ cutOff: [] })
    await s.start()
    expect(await s.during(flow(s.app).handle(asks, '1').result())).toBe(7)
  })

  test('is no outcome of a child that it did not let begin', { tags: ['W2', 'W9'] }, async () => {
    const child = workflow('child', async () => 7)
    const parent = workflow('parent', (ctx: Ctx) => ctx.child('one', child, undefined))
    for (let inMs = 0; inMs < 20; inMs++) {
      const w = await flowWorld([parent, child])
      await w.during(w.flow.start(parent, undefined, { id: '1' }))
      await w.s.advance(inMs)
      await w.during(w.s.app.close())

      await w.s.start()
      expect(await w.during(w.flow.handle(parent, '1').result())).toBe(7)
    }
  })

  test('waits for no sleep and for no signal', async () => {
    const waits = workflow('waits', async (ctx: Ctx<{ go: undefined }>) => {
      await Promise.race([ctx.sleep('long', '1h'), ctx.waitFor('go')])
    })
    const w = await flowWorld([waits])
    await w.during(w.flow.start(waits, undefined, { id: '1' }))
    await w.s.advance(100)
    const begin = w.s.clock.now()
    await w.during(w.s.app.close())

    expect(w.s.clock.now() - begin).toBeLessThan(1_000)
  })
})

test('every run that is live goes on after a start, and no run that waits is woken', {
  tags: ['W1'],
}, async () => {
  let [begun, woken] = [0, 0]
  const busy = workflow('busy', async (ctx: Ctx, n: number) => {
    begun++
    await ctx.step('hold', () => (begun > 300 ? n : new Promise<number>(() => undefined)))
    return n
  })
  const rests = workflow('rests', async (ctx: Ctx) => {
    woken++
    await ctx.sleep('long', '30d')
  })
  // A judgement calls the body of a run that waits.
  const w = await flowWorld([busy, rests], { options: { judge: false } })
  await w.during(w.flow.start(rests, undefined, { id: '1' }))
  await w.s.advance(20_000)
  await w.during(
    Promise.all(Array.from({ length: 300 }, (_, n) => w.flow.start(busy, n, { id: `${n}` }))),
  )
  await w.s.advance(100)
  await w.crash()
  await w.s.advance(30_000)

  expect(await w.during(w.flow.counts(busy))).toEqual(counted({ completed: 300 }))
  expect([begun, woken]).toEqual([600, 1])
})

test('events of runs come when their turns are durable', async () => {
  const two = workflow('two', async (ctx: Ctx, isOnce: boolean) => {
    await ctx.step(
      'a',
      ({ attempt }) => {
        if (attempt === 1) throw new Error('once')
      },
      { retry: { baseMs: 1 } },
    )
    const never = () => Promise.reject(new Error('never'))
    await ctx.step('b', never, { retry: { max: 3, baseMs: 1 } }).catch(() => undefined)
    if (isOnce) throw new Error('failed')
  })
  const w = await flowWorld([two])
  const events: unknown[] = []
  const bus = telemetry<FlowEvents>(w.s.system)
  bus.on('flow.started', ({ id }) => void events.push(['started', id]))
  bus.on('flow.step', ({ key, tries, outcome }) => void events.push([key, tries, outcome]))
  bus.on('flow.ended', ({ id, end }) => void events.push([id, end.status]))
  for (const [id, isOnce] of [
    ['1', false],
    ['2', true],
  ] as const) {
    const run = await w.during(w.flow.start(two, isOnce, { id }))
    await w.during(run.result().catch(() => undefined))
  }

  expect(events).toEqual([
    ...[
      ['started', '1'],
      ['a', 2, 'ok'],
      ['b', 3, 'error'],
      ['1', 'completed'],
    ],
    ...[
      ['started', '2'],
      ['a', 2, 'ok'],
      ['b', 3, 'error'],
      ['2', 'failed'],
    ],
  ])
})
