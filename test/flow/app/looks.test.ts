/** Looks at runs that are damaged, removed, or held; pages of operations; and a watch from a place on. */
import { describe, expect, test } from 'vitest'
import { type Ctx, queue, type RunChange, workflow } from '../../../src/flow/index.ts'
import { counted, flowWorld } from '../../support/worlds/flow-world.ts'
import { codeOf } from '../../support/worlds/simulated-instance.ts'

const work = workflow('work', async (ctx: Ctx<{ go: undefined }>, n: number) => {
  for (let at = 0; at < n; at++) await ctx.step(`s${at}`, () => at)
  await ctx.waitFor('go')
})

test('a page of operations has 100 of them, or so many, and goes on at its cursor', async () => {
  const w = await flowWorld([work])
  await w.during(w.flow.start(work, 120, { id: '1' }))
  await w.s.advance(10_000)
  const keysOf = (page: { readonly entries: readonly { readonly key: string }[] }) =>
    page.entries.map(({ key }) => key)
  const all = Array.from({ length: 120 }, (_, at) => `s${at}`)

  const first = w.flow.steps(work, '1')
  expect([keysOf(first), first.exhausted]).toEqual([all.slice(0, 100), false])
  const rest = w.flow.steps(work, '1', { cursor: String(first.cursor) })
  expect([keysOf(rest), rest.exhausted]).toEqual([all.slice(100), true])
  expect(rest).not.toHaveProperty('cursor')
  expect(keysOf(w.flow.steps(work, '1', { limit: 3 }))).toEqual(all.slice(0, 3))
  const last = w.flow.steps(work, '1', { limit: 3, reverse: true })
  expect(keysOf(last)).toEqual(all.toReversed().slice(0, 3))
  const before = { limit: 3, reverse: true, cursor: String(last.cursor) }
  expect(keysOf(w.flow.steps(work, '1', before))).toEqual(all.toReversed().slice(3, 6))
  expect(() => w.flow.steps(work, '1', { cursor: 'x' })).toThrow(
    expect.objectContaining({ code: 'BAD_CURSOR' }),
  )
})

test('the operations that are shown are those of the present body', async () => {
  const laps = workflow('laps', async (ctx: Ctx<{ go: undefined }>, n: number) => {
    await ctx.step(`lap ${n}`, () => 'x'.repeat(20_000 + n))
    if (n < 2) ctx.again(n + 1)
    await ctx.waitFor('go')
  })
  const w = await flowWorld([laps])
  await w.during(w.flow.start(laps, 0, { id: '1' }))
  await w.s.advance(10_000)
  const { entries } = w.flow.steps(laps, '1')
  expect(entries.map(({ key, value }) => [key, String(value).length])).toEqual([['lap 2', 20_002]])
})

describe('a page by id', () => {
  test('has the runs of a time: from its beginning on, and before its end', async () => {
    const w = await flowWorld([work])
    const times: number[] = []
    for (const id of ['a', 'b', 'c']) {
      await w.during(w.flow.start(work, 0, { id, correlation: 'x' }))
      await w.s.advance(10_000)
      times.push(w.flow.get(work, id)?.since ?? 0)
    }
    const idsIn = (options: object) =>
      w.flow.list({ type: work, order: 'id', ...options }).entries.map(({ id }) => id)
    const [a = 0, b = 0, c = 0] = times
    expect(idsIn({})).toEqual(['a', 'b', 'c'])
    expect([idsIn({ since: b }), idsIn({ since: b + 1 })]).toEqual([['b', 'c'], ['c']])
    expect([idsIn({ until: b }), idsIn({ until: b + 1 })]).toEqual([['a'], ['a', 'b']])
    expect(idsIn({ since: a + 1, until: c, correlation: 'x' })).toEqual(['b'])
    expect(w.flow.list({ type: work, correlation: 'x', limit: 2 }).exhausted).toBe(false)
  })
})

test('counts have every status of a run, and nothing else', async () => {
  const w = await flowWorld([work])
  expect(await w.during(w.flow.counts(work))).toEqual(counted({}))
  const hangs = workflow('hangs', (ctx: Ctx) =>
    ctx.step('hang', () => new Promise(() => undefined)),
  )
  const v = await flowWorld([hangs])
  for (const id of ['1', '2']) await v.during(v.flow.start(hangs, undefined, { id }))
  // A call of a run that has not begun leaves a row without a run.
  await v.during(codeOf(v.flow.handle(hangs, 'none').cancel()))
  expect(await v.during(v.flow.counts(hangs))).toEqual(counted({ running: 2 }))
  await v.during(v.flow.handle(hangs, '1').cancel())
  await v.s.advance(60_000)
  expect(await v.during(v.flow.counts(hangs))).toEqual(counted({ running: 1, cancelled: 1 }))
  await v.during(v.flow.handle(hangs, '2').cancel())
  await v.s.advance(60_000)
  expect(await v.during(v.flow.counts(hangs))).toEqual(counted({ cancelled: 2 }))
})

test('a run has a place in its queue while it waits there, and not after its end by force', async () => {
  const held = workflow('held', async () => undefined, { queue: 'line' })
  const line = queue('line', { concurrency: 1 })
  const w = await flowWorld([held], { queues: [line] })
  await w.during(w.flow.pause(line))
  for (const id of ['1', '2'])
    await w.during(w.flow.start(held, undefined, { id, key: 'k', priority: 3 }))
  await w.s.advance(1_000)
  const placeOf = (id: string) => w.during(w.flow.place(held, id))
  expect(await placeOf('2')).toMatchObject({ queue: 'line', before: 1 })
  await w.during(w.flow.handle(held, '2').cancel({ force: true }))
  await w.s.advance(1_000)
  expect([w.status(held, '2'), await placeOf('2')]).toEqual(['cancelled', undefined])
  expect(await placeOf('1')).toMatchObject({ queue: 'line', before: 0 })
})

test('a value that cannot be read is shown as the reason for that', async () => {
  const long = 'B'.repeat(300_000)
  const keeps = workflow('keeps', async (ctx: Ctx<{ go: undefined }>, _: string) => {
    await ctx.step('make', () => long)
    await ctx.waitFor('go')
  })
  const w = await flowWorld([keeps])
  await w.during(w.flow.start(keeps, long, { id: '1' }))
  await w.s.advance(10_000)
  expect(w.flow.get(keeps, '1')?.input).toHaveLength(300_000)
  const { disk } = w.s
  for (const shard of disk.list('/data').filter((name) => name.startsWith('shard-'))) {
    const dir = `/data/${shard}/blobs`
    for (const name of disk.entry(dir) ? disk.list(dir) : []) {
      const path = `${dir}/${name}`
      const bytes = Buffer.from(disk.contents(path))
      for (let at = bytes.indexOf('BBBB'); at >= 0; at = bytes.indexOf('BBBB', at + 300_000))
        disk.poke(path, at + 10, new Uint8Array(4))
    }
  }
  await w.crash()
  const reason = expect.objectContaining({ code: 'CORRUPT' })
  expect(w.flow.get(keeps, '1')?.input).toEqual(reason)
  expect(w.flow.steps(keeps, '1').entries[0]?.value).toEqual(reason)
})

describe('a watch', () => {
  const take = async (watch: AsyncIterableIterator<RunChange>, count: number) => {
    const changes: RunChange[] = []
    for await (const change of watch) if (changes.push(change) === count) break
    return changes
  }

  test('from a place on has what has changed since, and ends with its loop', async () => {
    const w = await flowWorld([work])
    const watch = w.flow.watch({ type: work })
    await w.during(w.flow.start(work, 3, { id: '1' }))
    await w.during(w.flow.start(work, 0, { id: '2' }))
    await w.s.advance(10_000)
    const changes = await w.during(take(watch, 6))
    expect(await watch.next()).toMatchObject({ done: true })
    expect(new Set(changes.map(({ id }) => id))).toEqual(new Set(['1', '2']))

    const all = w.flow.watch({ type: work, from: 'oldest' })
    const rows = (await w.during(take(all, 2))).map(({ row }) => row)
    expect(rows).toEqual(w.flow.list({ type: work, order: 'oldest' }).entries)

    const { next } = changes.at(-1) as RunChange
    await w.during(w.flow.handle(work, '1').cancel({ force: true }))
    await w.s.advance(1_000)
    const [last] = await w.during(take(w.flow.watch({ type: work, id: '1', from: next }), 1))
    expect([last?.id, last?.row?.status]).toEqual(['1', 'cancelled'])
  })
})
