/** Runs of shards that open one after another share the places in which runs wake. */
import { expect, test } from 'vitest'
import { type Ctx, workflow } from '../../../src/flow/index.ts'
import { durableActors } from '../../../src/supervisors/index.ts'
import { flowWorld } from '../../support/worlds/flow-world.ts'

test('runs of shards that open one after another wake in turn, and no shard waits for all of the one before', async () => {
  let [isSlow, begun] = [false, Number.NaN]
  const slow = workflow('slow', async (ctx: Ctx) => {
    // It is not where it was until then.
    if (isSlow) await new Promise<void>((resolve) => void w.s.clock.after(3_600_000, resolve))
    await ctx.step('first', () => undefined)
    await ctx.step('last', () => new Promise<void>(() => undefined))
  })
  const quick = workflow('quick', (ctx: Ctx) =>
    ctx.step('wait', () => {
      begun = w.s.clock.now()
      return new Promise<void>(() => undefined)
    }),
  )
  const w = await flowWorld([slow, quick], { options: { shards: 4, allowDown: true } })
  const { entities } = w.s.app[durableActors]
  const idsIn = (kind: string, shard: number, count: number): readonly string[] => {
    const all = Array.from({ length: 2_000 }, (_, at) => `${at}`)
    return all.filter((id) => entities.shardOf(`${kind}/${id}`).index === shard).slice(0, count)
  }
  for (const shard of [1, 2]) {
    const started = idsIn('$flow-slow', shard, 256).map((id) =>
      w.flow.start(slow, undefined, { id }),
    )
    await w.during(Promise.all(started))
  }
  const [id = ''] = idsIn('$flow-quick', 3, 1)
  await w.during(w.flow.start(quick, undefined, { id }))
  await w.s.advance(1_000)
  const fault = { kind: 'error', code: 'EIO' } as const
  const down = [1, 2, 3]
  for (const shard of down)
    w.s.disk.inject({ at: 1, operation: 'read', path: `shard-${shard}/wal`, times: 100, fault })
  isSlow = true
  await w.crash()
  expect(w.s.app.shards.map(({ phase }) => phase.kind)).toEqual(['open', 'down', 'down', 'down'])
  w.s.disk.clearFaults()

  // 256 slow runs take two seconds: a place is theirs for 250 ms, and there are 32 of them.
  const from = w.s.clock.now()
  for (const shard of down) await w.during(w.s.app.control.reopen(shard))
  await w.s.advance(10_000)
  expect(begun - from).toBeGreaterThan(1_900)
  expect(begun - from).toBeLessThan(3_500)
})
