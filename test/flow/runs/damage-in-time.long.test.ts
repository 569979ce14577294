/** Values of a run that are damaged before the run, or its parent, has read them. */
import { expect, test } from 'vitest'
import { type Ctx, workflow } from '../../../src/flow/index.ts'
import { flowWorld } from '../../support/worlds/flow-world.ts'
import { codeOf } from '../../support/worlds/simulated-instance.ts'

type World = Awaited<ReturnType<typeof flowWorld>>

const long = 'B'.repeat(300_000)

/**
 * Overwrites a long value, or text, in the files of blobs: where it is first, or everywhere. Returns
 * the function that puts it back.
 */
const harmed = (
  { s: { disk } }: World,
  where: 'first' | 'all' = 'first',
  text = long.slice(0, 5_000),
): (() => void) => {
  const shards = disk.list('/data').filter((name) => name.startsWith('shard-'))
  const dirs = shards.map((name) => `/data/${name}/blobs`).filter((dir) => disk.entry(dir))
  const paths = dirs.flatMap((dir) => disk.list(dir).map((name) => `${dir}/${name}`))
  const found = paths.flatMap((path) => {
    const bytes = Buffer.from(disk.contents(path))
    const places: number[] = []
    for (let at = bytes.indexOf(text); at >= 0; at = bytes.indexOf(text, at + text.length))
      if (places.push(at) > 0 && where === 'first') break
    return places.map((at) => ({ path, at, part: bytes.subarray(at, at + text.length) }))
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

test('a parent that is cancelled is blocked by a child whose output is damaged, and ends after a repair', {
  tags: ['W9', 'W12'],
}, async () => {
  const w = await flowWorld([parent, child])
  let mend: (() => void) | undefined
  w.s.app.system.events.on('flow.ended' as never, () => {
    mend ??= harmed(w)
  })
  const run = await w.during(w.flow.start(parent, undefined, { id: '1' }))
  await w.s.advance(10_000)
  await w.during(run.cancel())
  await w.s.advance(600_000)
  expect(w.flow.get(parent, '1')).toMatchObject({ status: 'blocked', error: { code: 'BLOCKED' } })
  expect(w.flow.get(parent, '1')?.error?.message).toMatch(
    /its child child\/.* the output of the run/,
  )

  mend?.()
  await w.s.advance(600_000)
  await w.during(w.flow.retry(parent, '1'))
  expect(await w.during(codeOf(run.result({ timeoutMs: 600_000 })))).toBe('CANCELLED')
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

test('an unread signal that is damaged has the value that an operator settles, once', {
  tags: ['W8', 'W12'],
}, async () => {
  const { w, run } = await deaf()
  await w.during(run.signal('word', 'second'))
  const settle = (key: string, decision: object) =>
    w.during(codeOf(w.flow.settle(listens, '1', key, decision as { value: unknown })))
  expect(await settle('$signal/other', { value: 'abc' })).toBe('CONFLICT')
  expect(await settle('$signal/word', { error: new Error('no') })).toBe('INVALID_ARGUMENT')
  expect(await settle('$signal/word', { value: 'x'.repeat(2 ** 20) })).toBe('INVALID_ARGUMENT')
  expect(await settle('$signal/word', { value: 'abc' })).toBe('ok')
  expect(await w.during(run.result())).toBe(3)
  expect(await settle('$signal/word', { value: 'abc' })).toBe('CONFLICT')
})

const answers = workflow('answers', async (ctx: Ctx<object, { put(value: string): number }>) => {
  await ctx.sleep('nap', '1h')
  let length = 0
  ctx.onUpdate('put', (value) => {
    length = value.length
    return length
  })
  await ctx.sleep('rest', '1h')
  return length
})

test.each([undefined, 'first'])(
  'an unread update of id %s that is damaged has the value that an operator settles, once',
  async (id) => {
    const w = await flowWorld([answers])
    const run = await w.during(w.flow.start(answers, undefined, { id: '1' }))
    const first = codeOf(run.update('put', long, id === undefined ? {} : { id }))
    await w.s.advance(1_000)
    harmed(w)
    await w.crash()
    await first
    await w.s.advance(1.5 * 3_600_000)
    const { status, error } = w.flow.get(answers, '1') ?? {}
    expect([status, error?.code]).toEqual(['blocked', 'CORRUPT'])
    expect(error?.message).toContain('the update put cannot be read')
    const settle = (key: string, value: string) =>
      w.during(codeOf(w.flow.settle(answers, '1', key, { value })))
    expect(await settle('$update/other', 'abc')).toBe('CONFLICT')
    expect(await settle('$update/put', 'abc')).toBe('ok')
    const again = w.flow.handle(answers, '1')
    if (id !== undefined) expect(await w.during(again.update('put', long, { id }))).toBe(3)
    expect(await w.during(again.result({ timeoutMs: 7_200_000 }), 7_200_000)).toBe(3)
    expect(await settle('$update/put', 'abc')).toBe('CONFLICT')
  },
)

test('a long signal that a run has read, and that is damaged then, is settled as an outcome', {
  tags: ['W8', 'W12'],
}, async () => {
  const waits = workflow('waits', async (ctx: Ctx<{ word: string }>) => {
    const word = await ctx.waitFor('word')
    await ctx.sleep('nap', '1h')
    return word?.length
  })
  const w = await flowWorld([waits])
  const run = await w.during(w.flow.start(waits, undefined, { id: '1' }))
  await w.during(run.signal('word', long))
  await w.s.advance(10_000)
  harmed(w, 'all')
  await w.crash()
  await w.s.advance(2 * 3_600_000)
  expect(w.flow.get(waits, '1')?.error?.message).toMatch(/the outcome of word#1 .*\.bloblog at/)
  await w.during(w.flow.settle(waits, '1', 'word#1', { value: 'ab' }))
  expect(await w.during(w.flow.handle(waits, '1').result())).toBe(2)
})

test('a signal reaches no wait for a name that its own name begins with', {
  tags: ['W8'],
}, async () => {
  const asks = workflow('asks', async (ctx: Ctx<{ a: string; 'a/b': string }>) => [
    (await ctx.waitFor('a', { timeout: '10s' })) ?? 'none',
    await ctx.waitFor('a/b'),
  ])
  const w = await flowWorld([asks])
  const run = await w.during(w.flow.start(asks, undefined, { id: '1' }))
  await w.during(run.signal('a/b', 'for b'))
  expect(await w.during(run.result())).toEqual(['none', 'for b'])
})

test('a value whose file is gone blocks its run, and comes back with the file', {
  tags: ['W12'],
}, async () => {
  const makes = workflow('makes', async (ctx: Ctx<{ go: undefined }>) => {
    const text = await ctx.step('make', () => long)
    await ctx.waitFor('go')
    return text.length
  })
  const w = await flowWorld([makes])
  const run = await w.during(w.flow.start(makes, undefined, { id: '1' }))
  await w.s.advance(10_000)
  const { disk } = w.s
  const [dir] = disk.list('/data').filter((name) => name.startsWith('shard-'))
  const blobs = `/data/${dir}/blobs`
  const [file] = disk.list(blobs).filter((name) => name.endsWith('.bloblog'))
  disk.rename(`${blobs}/${file}`, '/away')
  await w.during(run.signal('go', undefined))
  await w.s.advance(10_000)
  expect(w.flow.get(makes, '1')).toMatchObject({ status: 'blocked', error: { code: 'CORRUPT' } })
  expect(w.flow.get(makes, '1')?.error?.message).toMatch(/the outcome of make .* is missing/)
  expect(JSON.stringify(w.s.app.health().parts)).toContain('makes/1')
  disk.rename('/away', `${blobs}/${file}`)
  await w.during(w.flow.retry(makes, '1'))
  expect(await w.during(run.result())).toBe(300_000)
})

test('an operation whose row cannot be read blocks its run, and is settled under its key', {
  tags: ['W12'],
}, async () => {
  const text = 'B'.repeat(10_000)
  const log: string[] = []
  const three = workflow('three', async (ctx: Ctx<{ go: undefined }>) => {
    const steps = ['one', 'two', 'three'].map((key) =>
      ctx.step(key, () => (key === 'two' ? text : key)),
    )
    for (const step of steps) void step.then((value) => log.push(value.slice(0, 5)))
    const [, two] = await Promise.all(steps)
    await ctx.waitFor('go')
    return two?.length
  })
  const options = { options: { blobs: { threshold: 4_096 } } }
  const w = await flowWorld([three], options)
  await w.during(w.flow.start(three, undefined, { id: '1' }))
  await w.s.advance(10_000)
  expect(log.splice(0)).toEqual(['one', 'BBBBB', 'three'])
  harmed(w, 'all')
  await w.crash()
  const run = w.flow.handle(three, '1')
  await w.during(run.signal('go', undefined))
  await w.s.advance(10_000)
  expect(w.flow.get(three, '1')?.error?.message).toMatch(
    /its record .*\.bloblog at .* the row op\//,
  )
  const settle = (key: string) => w.during(codeOf(w.flow.settle(three, '1', key, { value: 'new' })))
  expect(await settle('one')).toBe('CONFLICT')
  expect(await settle('two')).toBe('ok')
  expect(await w.during(run.result())).toBe(3)
  expect(log).toEqual(['one', 'new', 'three'])
})

test('a parent that cannot read the row of its child is blocked, and has its end after a repair', {
  tags: ['W9', 'W12'],
}, async () => {
  const sleeps = workflow('sleeps', (ctx: Ctx) => ctx.sleep('nap', '1h'))
  const asks = workflow('asks', (ctx: Ctx) => ctx.child('ask', sleeps, undefined))
  const options = { options: { blobs: { threshold: 40 } } }
  const w = await flowWorld([asks, sleeps], options)
  await w.during(w.flow.start(asks, undefined, { id: '1' }))
  await w.s.advance(60_000)
  expect(w.status(asks, '1')).toBe('waiting')
  const mend = harmed(w, 'all', 'ask')
  await w.crash()
  const exits: unknown[] = []
  w.s.system.events.on('process.exited', ({ reason }) => {
    if (reason !== 'normal' && reason !== 'shutdown') exits.push(reason)
  })
  await w.s.advance(2 * 3_600_000)
  expect(w.flow.get(asks, '1')).toMatchObject({ status: 'blocked', error: { code: 'CORRUPT' } })
  expect(exits).toEqual([])
  mend()
  await w.during(w.flow.retry(asks, '1'))
  await w.during(w.flow.handle(asks, '1').result())
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
  await w.s.advance(3_600_000)
  expect(await w.during(run.result())).toBe(length)
})
