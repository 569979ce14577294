/** Values of a run that are damaged before the run, or its parent, has read them. */
import { expect, test } from 'vitest'
import { type Ctx, workflow } from '../../../src/flow/index.ts'
import { flowWorld } from '../../support/worlds/flow-world.ts'
import { codeOf } from '../../support/worlds/simulated-instance.ts'

type World = Awaited<ReturnType<typeof flowWorld>>

const long = 'B'.repeat(300_000)

/** Overwrites the long values of a folder. Returns the function that puts them back. */
const harmed = ({ s: { disk } }: World): (() => void) => {
  const shards = disk.list('/data').filter((name) => name.startsWith('shard-'))
  const dirs = shards.map((name) => `/data/${name}/blobs`).filter((dir) => disk.entry(dir))
  const paths = dirs.flatMap((dir) => disk.list(dir).map((name) => `${dir}/${name}`))
  const found = paths.flatMap((path) => {
    const bytes = Buffer.from(disk.contents(path))
    const at = bytes.indexOf(long.slice(0, 5_000))
    return at < 0 ? [] : [{ path, at, part: bytes.subarray(at, at + 5_000) }]
  })
  expect(found.length).toBeGreaterThan(0)
  for (const { path, at, part } of found) disk.poke(path, at, new Uint8Array(part.length))
  return () => {
    for (const { path, at, part } of found) disk.poke(path, at, part)
  }
}

const child = workflow('child', async (_: Ctx, input: string) => input.repeat(300_000), {
  keep: { completed: '1h' },
})
const parent = workflow('parent', async (ctx: Ctx) => (await ctx.child('ask', child, 'B')).length)

test('a child whose output the parent cannot get yet is kept beyond its retention', {
  tags: ['W11', 'W12'],
}, async () => {
  const w = await flowWorld([parent, child])
  let mend: (() => void) | undefined
  w.s.app.system.events.on('flow.ended' as never, () => {
    mend ??= harmed(w)
  })
  const run = await w.during(w.flow.start(parent, undefined, { id: '1' }))
  await w.s.advance(5 * 3_600_000)
  const [made] = w.flow.list({ type: child }).entries
  expect(made).toMatchObject({ status: 'completed' })
  expect(await w.during(codeOf(w.flow.handle(child, String(made?.id)).result()))).toBe('CORRUPT')

  mend?.()
  expect(await w.during(run.result({ timeoutMs: 600_000 }))).toBe(300_000)
  await w.s.advance(3 * 3_600_000)
  expect(w.flow.list({ type: child }).entries).toEqual([])
})

const listens = workflow('listens', async (ctx: Ctx<{ word: string }>) => {
  await ctx.sleep('nap', '1h')
  return (await ctx.waitFor('word'))?.length
})

/** A run with an unread signal that is damaged. */
const deaf = async () => {
  const w = await flowWorld([listens])
  const run = await w.during(w.flow.start(listens, undefined, { id: '1' }))
  await w.during(run.signal('word', long))
  const mend = harmed(w)
  await w.crash()
  await w.s.advance(2 * 3_600_000)
  expect(w.flow.get(listens, '1')).toMatchObject({ status: 'blocked', error: { code: 'CORRUPT' } })
  expect(w.flow.get(listens, '1')?.error?.message).toMatch(/the signal word .*\.bloblog at \d+/)
  return { w, mend, run: w.flow.handle(listens, '1') }
}

test('an unread signal that is damaged blocks its run until a repair', {
  tags: ['W8', 'W12'],
}, async () => {
  const { w, mend, run } = await deaf()
  await w.during(w.flow.retry(listens, '1'))
  await w.s.advance(10_000)
  expect(w.status(listens, '1')).toBe('blocked')
  mend()
  await w.during(w.flow.retry(listens, '1'))
  expect(await w.during(run.result())).toBe(300_000)
})

test('a run with an unread signal that is damaged ends by force', { tags: ['W12'] }, async () => {
  const { w, run } = await deaf()
  await w.during(run.cancel({ force: true }))
  expect(await w.during(codeOf(run.result()))).toBe('CANCELLED')
})

test('a signal of the greatest length reaches its wait', { tags: ['W8'] }, async () => {
  const w = await flowWorld([listens])
  const run = await w.during(w.flow.start(listens, undefined, { id: '1' }))
  const max = 1024 * 1024
  let length = max
  while ((await w.during(codeOf(run.signal('word', 'x'.repeat(length))))) === 'TOO_LARGE') length--
  expect(length).toBeGreaterThan(max - 20)
  expect(await w.during(run.result({ timeoutMs: 7_200_000 }), 9_000_000)).toBe(length)
})
