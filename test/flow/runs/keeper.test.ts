/** The keeper of runs: it wakes those whose process has failed, removes those whose time is over, and shows those that are blocked. */
import { expect, test } from 'vitest'
import { type Ctx, type FlowHealth, workflow } from '../../../src/flow/index.ts'
import { flowWorld } from '../../support/worlds/flow-world.ts'

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
  expect(within(await pause(), 60_000)).toBe(true)
  await w.s.advance(301_000)
  expect(within(await pause(), 1_000)).toBe(true)
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
