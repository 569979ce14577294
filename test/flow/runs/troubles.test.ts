/** Trouble around a run: a full disk, a process that does not answer, a child that cannot begin. It goes on after each. */
import { describe, expect, test } from 'vitest'
import { passed } from '../../../src/clock.ts'
import { type Ctx, type FlowEvents, workflow } from '../../../src/flow/index.ts'
import { KeelsonError, telemetry } from '../../../src/index.ts'
import { type PendingCall, suspend } from '../../../src/runtime/index.ts'
import { fillDisk, freeDisk } from '../../support/harm/full-disk.ts'
import { triesLong } from '../../support/tier.ts'
import { flowWorld } from '../../support/worlds/flow-world.ts'
import { codeOf } from '../../support/worlds/simulated-instance.ts'

/** Milliseconds after the start of a run, around the end of its idle time. */
const moments = Array.from({ length: 30 }, (_, at) => 1_995 + at).filter(
  (_, at) => triesLong || at % 5 === 0,
)

type World = Awaited<ReturnType<typeof flowWorld>>

const processOf = ({ s }: World, run: string): never =>
  s.app.entities.holder(`$flow-${run}`)?.address as never

test('a run waits while the disk is full, runs no step twice for it, and goes on with the space', async () => {
  const log: string[] = []
  const steps = workflow('steps', async (ctx: Ctx<{ go: undefined }>) => {
    await ctx.step('a', async () => {
      log.push('a')
      await new Promise<void>((resolve) => void w.s.clock.after(10_000, resolve))
      return 'x'.repeat(2_000)
    })
    await ctx.step('b', () => void log.push('b'))
    return ctx.now()
  })
  const w = await flowWorld([steps])
  await w.during(w.flow.start(steps, undefined, { id: '1' }))
  await w.s.advance(1_000)
  await fillDisk(w.s)
  await w.s.advance(600_000)
  expect([log, w.status(steps, '1')]).toEqual([['a'], 'running'])
  freeDisk(w.s)
  await w.s.advance(61_000)
  expect([log, w.status(steps, '1')]).toEqual([['a', 'b'], 'completed'])
})

test('a signal reaches its run, although the disk took its outcome later than a rest was due', async () => {
  const waits = workflow(
    'waits',
    async (ctx: Ctx<{ go: string }>) => (await ctx.waitFor('go')).length,
  )
  const w = await flowWorld([waits], { options: { blobs: { threshold: 1_000 } } })
  const run = await w.during(w.flow.start(waits, undefined, { id: '1' }))
  await w.s.advance(500)
  const fault = { kind: 'error', code: 'ENOSPC' } as const
  w.s.disk.inject({ at: 1, times: 1_000, operation: 'sync', path: '/blobs/', fault })
  await w.during(run.signal('go', 'x'.repeat(960), { id: 'signal' }))
  await w.s.advance(10_000)
  w.s.disk.clearFaults()
  expect(await w.during(run.result({ timeoutMs: 120_000 }))).toBe(960)
})

test('a try begins once, although the rest of its run waited for space beyond its time', async () => {
  const begun: number[] = []
  const fails = workflow('fails', (ctx: Ctx) =>
    ctx.step(
      'a',
      async ({ attempt }) => {
        begun.push(attempt)
        if (attempt === 1) throw new Error('busy')
        await new Promise<void>((resolve) => void w.s.clock.after(60_000, resolve))
      },
      { retry: { max: 3, baseMs: 10_000, jitter: 0 } },
    ),
  )
  const w = await flowWorld([fails])
  await w.during(w.flow.start(fails, undefined, { id: '1' }))
  await w.s.advance(1_000)
  await fillDisk(w.s)
  await w.s.advance(11_000)
  freeDisk(w.s)
  await w.s.advance(40_000)
  expect(begun).toEqual([1, 2])
  await w.s.advance(60_000)
  expect([begun, w.status(fails, '1')]).toEqual([[1, 2], 'completed'])
})

test('a change that the disk could not take at once is recorded before what follows it', async () => {
  const later = (ms: number) => new Promise<void>((resolve) => void w.s.clock.after(ms, resolve))
  let changes: () => void = () => undefined
  const isDeployed = new Promise<void>((resolve) => {
    changes = resolve
  })
  const changed = workflow('changed', async (ctx: Ctx) => {
    await ctx.step('a', () => 1)
    await isDeployed
    const isNew = ctx.patched('change')
    await ctx.step(isNew ? 'new' : 'old', () => later(600))
    await ctx.step('end', () => later(1_000))
    return isNew
  })
  const w = await flowWorld([changed])
  await w.during(w.flow.start(changed, undefined, { id: '1' }))
  await w.s.advance(100)
  await fillDisk(w.s)
  changes()
  await w.s.advance(100)
  // The row of the change is tried again after 0.8 s at the earliest.
  freeDisk(w.s)
  await w.s.advance(600)
  await w.crash()
  // Neither is recorded: the run goes the way before the change, and is not blocked.
  expect(await w.during(w.flow.handle(changed, '1').result())).toBe(false)
})

test('a run leaves memory with its end, and when it comes to rest', async () => {
  const ends: string[] = []
  const naps = workflow('naps', async (ctx: Ctx, ms: number) => {
    if (ms > 0) await ctx.sleep('nap', ms)
  })
  const w = await flowWorld([naps])
  w.s.system.events.on(
    'entity.ended' as never,
    (({ entity }: { entity: string }) => void ends.push(entity)) as never,
  )
  await w.during(w.flow.start(naps, 0, { id: 'ends' }))
  await w.s.advance(100)
  expect(ends).toEqual(['$flow-naps/ends'])
  await w.during(w.flow.start(naps, 3_600_000, { id: 'rests' }))
  await w.s.advance(2_200)
  expect(ends).toEqual(['$flow-naps/ends', '$flow-naps/rests'])
  // It stays out of memory until its timer.
  await w.s.advance(3_500_000)
  expect(ends).toHaveLength(2)
  await w.s.advance(200_000)
  expect([ends.length, w.status(naps, 'rests')]).toEqual([3, 'completed'])
})

test('a signal that nobody awaits, at any moment of a rest, keeps no run in memory', {
  tags: ['slow'],
}, async () => {
  const waits = workflow('waits', (ctx: Ctx<{ go: undefined; other: undefined }>) =>
    ctx.waitFor('go'),
  )
  for (const atMs of moments) {
    const w = await flowWorld([waits], { options: { syncMs: 5 } })
    const begun = w.s.clock.now()
    const run = await w.during(w.flow.start(waits, undefined, { id: '1' }))
    await w.s.advance(atMs - (w.s.clock.now() - begun))
    await w.during(run.signal('other', undefined))
    await w.s.advance(10_000)
    expect([atMs, w.status(waits, '1')]).toEqual([atMs, 'waiting'])
    await w.s.close()
  }
})

test('a signal that nobody awaits, during a replay, keeps no run in memory', async () => {
  let begun = 0
  const sleeps = workflow('sleeps', async (ctx: Ctx<{ other: undefined }>) => {
    begun++
    await ctx.step('first', () => undefined)
    if (begun > 1) await passed(w.s.clock, 100)
    await ctx.sleep('long', '1h')
  })
  const w = await flowWorld([sleeps])
  const run = await w.during(w.flow.start(sleeps, undefined, { id: '1' }))
  await w.s.advance(10_000)
  expect(w.status(sleeps, '1')).toBe('waiting')
  await w.during(run.signal('other', undefined))
  await w.s.advance(10)
  expect([begun, w.status(sleeps, '1')]).toEqual([2, 'running'])
  await w.during(run.signal('other', undefined))

  await w.s.advance(10_000)
  expect([begun, w.status(sleeps, '1')]).toEqual([2, 'waiting'])
})

test('what a retried run waits for, at any moment of its rest, lets it go on at once', {
  tags: ['slow'],
}, async () => {
  const child = workflow('child', (ctx: Ctx<{ go: number }>) => ctx.waitFor('go'))
  const parent = workflow('parent', (ctx: Ctx) => ctx.child('one', child, undefined, { id: 'c' }))
  const waits = workflow('waits', async (ctx: Ctx<{ go: number }>) => {
    const got = await ctx.waitFor('go', { timeout: '1m' })
    if (got === undefined) throw new Error('late')
    return got
  })
  for (const atMs of moments) {
    const w = await flowWorld([child, parent, waits], { options: { syncMs: 5 } })
    const ofChild = w.flow.handle(child, 'c')
    const runs = [
      await w.during(w.flow.start(parent, undefined, { id: 'p' })),
      await w.during(w.flow.start(waits, undefined, { id: '1' })),
    ] as const
    await w.s.advance(65_000)
    await w.during(ofChild.cancel())
    for (const run of runs) expect(await w.during(codeOf(run.result()))).toBe('FAILED')
    await w.during(w.flow.retry(child, 'c'))
    const begun = w.s.clock.now()
    await w.during(Promise.all([w.flow.retry(parent, 'p'), w.flow.retry(waits, '1')]))
    await w.s.advance(atMs - (w.s.clock.now() - begun))
    await w.during(Promise.all([ofChild.signal('go', 7), runs[1].signal('go', 8)]))
    await w.s.advance(10_000)
    const states = [atMs, w.status(parent, 'p'), w.status(waits, '1')]
    expect(states).toEqual([atMs, 'completed', 'completed'])
    await w.s.close()
  }
})

describe('a child', () => {
  const child = workflow('child', async (ctx: Ctx<{ go: number }>, n: number) => {
    await ctx.step('begin', () => n)
    return ctx.waitFor('go')
  })
  const parent = workflow('parent', (ctx: Ctx, n: number) =>
    ctx.child('one', child, n, { id: 'c' }),
  )

  test('that does not answer is asked again, until it does, and begins once', async () => {
    const w = await flowWorld([child, parent])
    // It runs for another caller: the same input, without a parent.
    const started: string[] = []
    telemetry<FlowEvents>(w.s.system).on('flow.started', ({ type }) => void started.push(type))
    // A run of this id that does not exist yet is held: its process answers nobody.
    void codeOf(w.flow.handle(child, 'c').cancel())
    await w.s.advance(10)
    await w.during(suspend(processOf(w, 'child/c')))
    const run = await w.during(w.flow.start(parent, 7, { id: 'p' }))
    await w.s.advance(20_000)
    expect([started, w.status(parent, 'p')]).toEqual([['parent'], 'running'])
    w.s.system.kill(processOf(w, 'child/c'))
    await w.s.advance(60_000)
    expect(started).toEqual(['parent', 'child'])
    await w.during(w.flow.handle(child, 'c').signal('go', 3))
    expect(await w.during(run.result())).toBe(3)
  })

  test('whose start never reached its owner is asked again', async () => {
    const w = await flowWorld([child, parent])
    void codeOf(w.flow.handle(child, 'c').cancel())
    await w.s.advance(10)
    await w.during(suspend(processOf(w, 'child/c')))
    const run = await w.during(w.flow.start(parent, 7, { id: 'p' }))
    await w.s.advance(10)
    const asked = w.s.app.entities.holder('$flow-child/c')?.behaviour.aside?.(0) as PendingCall
    expect(asked.name).toBe('start')
    asked.fail(new KeelsonError('NOT_SUBMITTED', 'the link to its owner has ended'))
    w.s.system.kill(processOf(w, 'child/c'))
    await w.s.advance(10_000)
    await w.during(w.flow.handle(child, 'c').signal('go', 3))
    expect(await w.during(run.result())).toBe(3)
  })

  test('that does not answer holds up no cancel of its parent, and never begins', async () => {
    const w = await flowWorld([child, parent])
    void codeOf(w.flow.handle(child, 'c').cancel())
    await w.s.advance(10)
    await w.during(suspend(processOf(w, 'child/c')))
    const run = await w.during(w.flow.start(parent, 7, { id: 'p' }))
    await w.s.advance(20_000)
    await w.during(run.cancel())
    await w.s.advance(20_000)
    expect(w.status(parent, 'p')).toBe('cancelling')
    w.s.system.kill(processOf(w, 'child/c'))
    await w.s.advance(120_000)
    expect(w.status(parent, 'p')).toBe('cancelled')
    expect([undefined, 'cancelled']).toContain(w.status(child, 'c'))
  })

  test('whose id has begun otherwise gives its parent CONFLICT, and is left alone', async () => {
    const w = await flowWorld([child, parent])
    await w.during(w.flow.start(child, 1, { id: 'c' }))
    await w.s.advance(10_000)
    const run = await w.during(w.flow.start(parent, 2, { id: 'p' }))
    const end = await w.during(run.result().catch((error) => error.cause))
    expect(end).toMatchObject({ code: 'CONFLICT' })
    await w.s.advance(10_000)
    expect(w.status(child, 'c')).toBe('waiting')
  })

  test('that is cancelled gives its parent CANCELLED with the reason', async () => {
    const w = await flowWorld([child, parent])
    const run = await w.during(w.flow.start(parent, 2, { id: 'p' }))
    await w.s.advance(10_000)
    await w.during(w.flow.handle(child, 'c').cancel({ reason: 'rain' }))
    const end = await w.during(run.result().catch((error) => error.cause))
    expect(end).toMatchObject({
      ...{ code: 'CANCELLED', message: 'the run c of child is cancelled: rain' },
    })
    expect(w.status(parent, 'p')).toBe('failed')
  })

  test('waits with its parent over a close, and both go on', async () => {
    const w = await flowWorld([child, parent])
    await w.during(w.flow.start(parent, 2, { id: 'p' }))
    await w.s.advance(10)
    await w.s.close()
    await w.s.start()
    await w.s.advance(10_000)
    await w.during(w.flow.handle(child, 'c').signal('go', 4))
    expect(await w.during(w.flow.handle(parent, 'p').result())).toBe(4)
  })
})
