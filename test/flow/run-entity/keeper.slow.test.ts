/** The keeper of runs: it wakes those whose process has failed, removes those whose time is over, and shows those that are blocked. */
import { expect, test } from 'vitest'
import { type Ctx, type FlowHealth, queue, workflow } from '../../../src/flow/index.ts'
import { KeelsonError } from '../../../src/index.ts'
import { flowWorld } from '../../support/worlds/flow-world.ts'
import { codeOf } from '../../support/worlds/simulated-instance.ts'

type World = Awaited<ReturnType<typeof flowWorld>>

const hours = 3_600_000

test('a run whose process fails is woken, after a longer pause each time, until it was quiet', async () => {
  const begun: number[] = []
  const hangs = workflow('hangs', (ctx: Ctx) =>
    ctx.step('call', () => {
      begun.push(w.s.clock.monotonic())
      return new Promise<void>(() => undefined)
    }),
  )
  const w = await flowWorld([hangs])
  await w.during(w.flow.start(hangs, undefined, { id: '1' }))
  await w.s.advance(1_000)
  /** How long after the end of its process the run goes on. */
  const pause = async (): Promise<number> => {
    const at = w.s.clock.monotonic()
    const before = begun.length
    w.s.system.kill(w.s.app.entities.holder('$flow-hangs/1')?.address as never)
    while (begun.length === before) await w.s.advance(500)
    return (begun.at(-1) ?? 0) - at
  }
  const within = (ms: number, max: number) => ms >= 0.8 * max - 1 && ms <= max + 100

  for (const max of [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]) {
    const found = await pause()
    expect(within(found, max), `${found} of ${max}`).toBe(true)
  }
  await w.s.advance(200_000)
  const last = w.s.clock.monotonic()
  expect(within(await pause(), 60_000)).toBe(true)
  // It counts from failure to failure: five minutes are quiet, less is not.
  await w.s.advance(last + 299_990 - w.s.clock.monotonic())
  const next = w.s.clock.monotonic()
  expect(within(await pause(), 60_000)).toBe(true)
  await w.s.advance(next + 300_000 - w.s.clock.monotonic())
  expect(within(await pause(), 1_000)).toBe(true)
})

test('the keeper wakes no run for the end of another process, and none for an end in order', async () => {
  const ends: string[] = []
  const naps = workflow('naps', (ctx: Ctx) => ctx.sleep('nap', '12h'))
  const mails = queue('mails', () => undefined)
  const w = await flowWorld([naps], { queues: [mails] })
  w.s.system.events.on(
    'entity.ended' as never,
    (({ entity }: { entity: string }) => void ends.push(entity)) as never,
  )
  await w.during(w.flow.start(naps, undefined, { id: '1' }))
  await w.s.advance(10_000)
  w.s.system.kill(w.s.app.entities.holder('$queue-mails/queue')?.address as never)
  // The keeper looks for runs to remove meanwhile.
  await w.s.advance(5 * hours)
  expect(ends).toEqual(['$flow-naps/1', '$queue-mails/queue'])
})

test.each([
  ['it is stopped', (w) => w.during(w.s.app.entity('$flow-hangs').stop('1'))],
  [
    'it is blocked and no longer',
    (w) => {
      w.s.app.entities.kind('$flow-hangs')?.block('1', new KeelsonError('CORRUPT', 'of its row'))
      return w.during(w.s.app.entity('$flow-hangs').unblock('1'))
    },
  ],
  [
    'that of its workflow is killed',
    (w) => w.s.system.kill(w.s.app.entities.kind('$flow-hangs')?.ref as never),
  ],
] as readonly (readonly [string, (w: World) => unknown])[])(
  'a live run has another process soon, and its step another try, after %s',
  async (_, ends) => {
    const begun: string[] = []
    const hangs = workflow('hangs', (ctx: Ctx) =>
      ctx.step('call', () => {
        begun.push(ctx.id)
        return new Promise<void>(() => undefined)
      }),
    )
    const rests = workflow('rests', (ctx: Ctx) => ctx.sleep('long', '1d'))
    const w = await flowWorld([hangs, rests])
    await w.during(w.flow.start(hangs, undefined, { id: '1' }))
    await w.during(w.flow.start(rests, undefined, { id: '2' }))
    await w.s.advance(10_000)
    for (const times of [2, 3]) {
      await ends(w)
      await w.s.advance(5_000)
      expect(begun).toHaveLength(times)
    }
    // A run that waits is left at rest.
    expect(w.s.app.entities.holder('$flow-rests/2')).toBe(undefined)
  },
)

test('a keeper that is killed begins anew: it is one listener, wakes runs and reports as before', async () => {
  const begun: number[] = []
  const hangs = workflow('hangs', (ctx: Ctx) =>
    ctx.step('call', () => {
      begun.push(w.s.clock.monotonic())
      return new Promise<void>(() => undefined)
    }),
  )
  const w = await flowWorld([hangs])
  await w.during(w.flow.start(hangs, undefined, { id: '1' }))
  await w.s.advance(1_000)
  const { events } = w.s.system
  const listeners = () => events.listenerCount('entity.ended' as never)
  const before = listeners()
  const keeper = w.s.system.processes().find(({ label }) => label === 'keeper of runs')
  w.s.system.kill(keeper?.ref as never)
  await w.s.advance(1_000)
  expect(listeners()).toBe(before)
  const none = { count: 0, first: [] }
  expect(w.s.app.health().parts.flow).toEqual({
    blocked: none,
    failed: none,
    schedules: none,
    unread: none,
  })
  w.s.system.kill(w.s.app.entities.holder('$flow-hangs/1')?.address as never)
  await w.s.advance(2_000)
  expect(begun).toHaveLength(2)
  await w.s.close()
  expect(listeners()).toBe(before - 1)
})

test('the health has the runs that failed in the last ten minutes, with their reasons and times', async () => {
  const refused = workflow('refused', async () => {
    throw new Error('no paper')
  })
  const w = await flowWorld([refused])
  const failed = () => (w.s.app.health().parts as { flow: FlowHealth }).flow.failed
  const from = w.s.clock.now()
  for (const id of ['1', '2']) await w.during(w.flow.start(refused, undefined, { id }))
  await w.s.advance(1_000)

  const { count, first } = failed()
  expect([count, first.map(({ run }) => run).sort()]).toEqual([2, ['refused/1', 'refused/2']])
  for (const { reason, since } of first) {
    expect(reason).toContain('no paper')
    expect(since).toBeGreaterThanOrEqual(from)
  }
  await w.s.advance(600_000)
  expect(failed()).toEqual({ count: 0, first: [] })
})

test('more runs than one pass removes are removed soon after it, of each workflow', async () => {
  const keep = { completed: '1h' } as const
  const many = workflow('many', async () => undefined, { keep })
  const few = workflow('few', async () => undefined, { keep })
  const kept = workflow('kept', async () => undefined, { keep: { completed: '100000d' } })
  const w = await flowWorld([many, few, kept])
  const ids = Array.from({ length: 1_010 }, (_, at) => `${at}`)
  await w.during(Promise.all(ids.map((id) => w.flow.start(many, undefined, { id }))))
  for (const type of [few, kept]) await w.during(w.flow.start(type, undefined, { id: '1' }))
  const left = () =>
    Promise.all([many, few, kept].map(async (type) => (await w.flow.counts(type)).completed ?? 0))
  await w.s.advance(hours + 55_000)
  expect(await w.during(left())).toEqual([1_010, 1, 1])
  await w.s.advance(5_500)
  expect(await w.during(left())).toEqual([10, 0, 1])
  await w.s.advance(2_000)
  expect(await w.during(left())).toEqual([0, 0, 1])
})

test('runs are removed though the program starts again each half hour', async () => {
  const ends = workflow('ends', async () => undefined, { keep: { completed: '1h' } })
  const w = await flowWorld([ends])
  await w.during(w.flow.start(ends, undefined, { id: '1' }))

  for (const _ of Array(3)) {
    await w.s.advance(hours / 2)
    await w.crash()
  }
  await w.s.advance(70_000)

  expect(w.flow.get(ends, '1')).toBeUndefined()
})

test('a run is removed in the hour after its time, each status after its own', async () => {
  const keep = { completed: '2h', failed: '4h', cancelled: '6h' } as const
  const ends = workflow(
    'ends',
    async (ctx: Ctx, how: string) => {
      if (how === 'failed') throw new Error('no')
      if (how === 'cancelled') await ctx.sleep('long', '1d')
    },
    { keep },
  )
  const w = await flowWorld([ends])
  for (const id of ['completed', 'failed', 'cancelled'])
    await w.during(w.flow.start(ends, id, { id }))
  await w.s.advance(1_000)
  await w.during(w.flow.handle(ends, 'cancelled').cancel())
  await w.s.advance(10_000)
  const left: string[][] = []
  for (let hour = 0; hour < 8; hour++) {
    left.push(w.flow.list({ type: ends, order: 'id' }).entries.map(({ id }) => id))
    await w.s.advance(hours)
  }
  const all = ['cancelled', 'completed', 'failed']
  expect(left).toEqual([
    ...[all, all, all],
    ...[
      ['cancelled', 'failed'],
      ['cancelled', 'failed'],
    ],
    ...[['cancelled'], ['cancelled'], []],
  ])
})

test('a run whose retry is acknowledged stays, though its time is over in that moment', {
  tags: ['W1'],
}, async () => {
  const keep = { failed: '10s' } as const
  const fails = workflow('fails', () => Promise.reject(new Error('no')), { keep })
  const failedAt = async (ms: number) => {
    const w = await flowWorld([fails], { options: { syncMs: 5 } })
    await w.during(w.flow.start(fails, undefined, { id: '1' }))
    await w.s.advance(ms - w.s.clock.monotonic())
    return { w, isThere: () => w.flow.get(fails, '1') !== undefined }
  }
  // The first pass of the keeper comes a minute after its start.
  const { w: first, isThere } = await failedAt(59_000)
  while (isThere()) await first.s.advance(1)
  const removedAt = first.s.clock.monotonic()

  const ends: unknown[] = []
  for (let beforeMs = 0; beforeMs < 30; beforeMs++) {
    const { w, isThere } = await failedAt(removedAt - beforeMs)
    const retried = codeOf(w.flow.retry(fails, '1'))
    await w.s.advance(1_000)
    ends.push([await w.during(retried), isThere()])
  }
  expect(ends).toContainEqual(['CONFLICT', false])
  expect(ends).toContainEqual(['ok', true])
  expect(ends).not.toContainEqual(['ok', false])
})

test('the health has how many runs are blocked, and the first ten with their reasons', async () => {
  const stuck = workflow('stuck', (ctx: Ctx) =>
    ctx.step('once', () => new Promise<void>(() => undefined), { repeat: 'once' }),
  )
  const w = await flowWorld([stuck])
  const blocked = () => (w.s.app.health().parts as { flow: FlowHealth }).flow.blocked
  expect(blocked()).toEqual({ count: 0, first: [] })
  const ids = Array.from({ length: 12 }, (_, at) => `${at + 10}`)
  for (const id of ids) await w.during(w.flow.start(stuck, undefined, { id }))
  await w.s.advance(1_000)
  await w.crash()
  await w.s.advance(10_000)

  const { count, first } = blocked()
  expect(count).toBe(12)
  expect(first.map(({ run }) => run).sort()).toHaveLength(10)
  for (const { run, reason } of first) {
    expect(ids.map((id) => `stuck/${id}`)).toContain(run)
    expect(reason).toContain('whether the step once has run is not known')
  }
})

test('at a start the event loop turns between two runs that wake, so that others wait for one', async () => {
  let turn = 0
  const begun: number[] = []
  const turns = (): void => {
    turn++
    if (begun.length < 200) w.s.clock.soon(turns)
  }
  const hangs = workflow('hangs', (ctx: Ctx) =>
    ctx.step('call', () => {
      begun.push(turn)
      if (begun.length === 1) turns()
      return new Promise<void>(() => undefined)
    }),
  )
  const w = await flowWorld([hangs])
  const ids = Array.from({ length: 200 }, (_, at) => `${at}`)
  await w.during(Promise.all(ids.map((id) => w.flow.start(hangs, undefined, { id }))))
  await w.s.advance(1_000)
  begun.length = 0
  await w.crash()
  await w.s.advance(1_000)

  expect(begun).toHaveLength(200)
  const inOne = Math.max(...begun.map((at) => begun.filter((other) => other === at).length))
  expect(inOne).toBeLessThanOrEqual(8)
})
