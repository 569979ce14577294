/** A value of a run that cannot be read blocks that run, and names itself. Nothing crashes in a loop. */
import { describe, expect, test } from 'vitest'
import { type Ctx, flow, workflow } from '../../../src/flow/index.ts'
import { flowWorld } from '../../support/worlds/flow-world.ts'
import { codeOf } from '../../support/worlds/simulated-instance.ts'

type World = Awaited<ReturnType<typeof flowWorld>>

/** One value is read in the turn of the run; the larger one is loaded outside of it. */
const sizes = [50_000, 2 * 1024 * 1024]

const child = workflow('child', async (_: unknown, length: number) => 'c'.repeat(length))

type Input = { text: string; large: string }

/** It has a value of each kind, all but one of them short: `large` says which. */
const run = workflow(
  'run',
  async (ctx: Ctx<{ go: string; end: undefined }>, { text, large }: Input) => {
    const of = (kind: string) => (kind === large ? Number(text.slice(0, 9)) : 1)
    const stepped = await ctx.step('make', () => 's'.repeat(of('step')))
    const fromChild = await ctx.child('ask', child, of('child'))
    const signalled = await ctx.waitFor('go')
    await ctx.waitFor('end')
    return [text.length, stepped.length, fromChild.length, signalled.length]
  },
)

const inputOf = (large: string, size: number) => ({
  text: `${String(size).padStart(9, '0')}${large === 'input' ? 'i'.repeat(size) : ''}`,
  large,
})

/** The one blob file of a world, with the place where it is damaged. */
const blobOf = ({ s }: World): string => {
  const paths = (folder: string): string[] =>
    s.disk.list(folder).flatMap((name) => {
      const path = `${folder}/${name}`
      return s.disk.entry(path)?.kind === 'folder' ? paths(path) : [path]
    })
  const [blob] = paths('').filter((path) => path.endsWith('.bloblog'))
  if (blob === undefined) throw new Error('there is no blob')
  return blob
}

/** A run with one large value, which is damaged while the program is down. `repair` undoes that. */
const damaged = async (large: string, size: number) => {
  const world = await flowWorld([run, child], { options: { blobs: { threshold: 20_000 } } })
  const { s, during } = world
  await during(world.flow.start(run, inputOf(large, size), { id: '1' }))
  await during(world.flow.start(run, inputOf('none', 1), { id: 'sound' }))
  await s.advance(1_000)
  const path = blobOf(world)
  await s.close()
  return { world, path }
}

const poked = ({ s }: World, path: string, byte: number, at = 30_000) =>
  s.disk.poke(path, at, new Uint8Array(16).fill(byte))

const cases = ['input', 'step', 'child'].flatMap((large) =>
  sizes.map((size) => ({
    large,
    size,
    what: { input: '$input', step: 'make', child: 'ask' }[large] as string,
  })),
)

describe.each(cases)('a run whose $large of $size bytes is damaged', ({ large, size, what }) => {
  // The output of a child is stored by the child first, and then by its parent.
  const at = large === 'child' ? size + 30_000 : 30_000

  const started = async () => {
    const { world, path } = await damaged(large, size)
    poked(world, path, 0, at)
    await world.s.start()
    await world.during(codeOf(world.flow.handle(run, '1').signal('go', 'g', { id: 'go' })))
    await world.s.advance(60_000)
    return { world, path: path, handle: world.flow.handle(run, '1') }
  }

  test('is blocked with CORRUPT, named in health, and harms no other run', {
    tags: ['W12'],
  }, async () => {
    const { world, handle } = await started()
    expect(world.status(run, '1')).toBe('blocked')
    expect(world.flow.get(run, '1')?.error).toMatchObject({ code: 'CORRUPT' })
    expect(JSON.stringify(world.s.app.health().parts)).toContain('run/1')
    expect(await world.during(codeOf(handle.result({ timeoutMs: 100 })))).toBe('BLOCKED')
    const sound = world.flow.handle(run, 'sound')
    await world.during(sound.signal('go', 'x'))
    await world.during(sound.signal('end', undefined))
    expect(await world.during(sound.result())).toEqual([9, 1, 1, 1])
    // The process of a blocked run rests: it does not die again and again.
    const exits: unknown[] = []
    world.s.system.events.on('process.exited', ({ reason }) => {
      if (reason !== 'normal' && reason !== 'shutdown') exits.push(reason)
    })
    await world.s.advance(600_000)
    expect(exits).toEqual([])
  })

  test('goes on after a repair and a retry', async () => {
    const { world, path, handle } = await started()
    await world.during(world.flow.retry(run, '1'))
    await world.s.advance(10_000)
    expect(world.status(run, '1')).toBe('blocked')
    poked(world, path, { input: 105, step: 115, child: 99 }[large] as number, at)
    await world.during(world.flow.retry(run, '1'))
    await world.during(handle.signal('end', undefined))
    expect(await world.during(handle.result())).toEqual([
      large === 'input' ? size + 9 : 9,
      large === 'step' ? size : 1,
      large === 'child' ? size : 1,
      1,
    ])
  })

  test('goes on with the value that an operator settles, once', async () => {
    const { world, handle } = await started()
    const other = large === 'input' ? inputOf('none', 1) : 'abc'
    await world.during(world.flow.settle(run, '1', what, { value: other }))
    await world.during(handle.signal('end', undefined))
    const result = (await world.during(handle.result())) as number[]
    expect(result).toEqual([9, large === 'step' ? 3 : 1, large === 'child' ? 3 : 1, 1])
    expect(await world.during(codeOf(world.flow.settle(run, '1', what, { value: other })))).toBe(
      'CONFLICT',
    )
  })

  test('ends by force, and not by a plain cancel', async () => {
    const { world, handle } = await started()
    await world.during(handle.cancel())
    await world.s.advance(10_000)
    expect(world.status(run, '1')).toBe('blocked')
    expect(await world.during(handle.cancel({ force: true }))).toMatchObject({ accepted: true })
    expect(await world.during(codeOf(handle.result()))).toBe('CANCELLED')
  })
})

test('a value that can be read, and one that does not exist, are not settled', async () => {
  const { world, path } = await damaged('step', 50_000)
  poked(world, path, 0)
  await world.s.start()
  await world.during(world.flow.handle(run, '1').signal('go', 'g'))
  await world.s.advance(10_000)
  for (const key of ['$input', 'ask', 'nothing'])
    expect(await world.during(codeOf(world.flow.settle(run, '1', key, { value: 1 }))), key).toBe(
      'CONFLICT',
    )
  expect(world.status(run, '1')).toBe('blocked')
})

test('a completed run whose output is damaged says so to its callers, and has its output back after a repair', async () => {
  const world = await flowWorld([child], { options: { blobs: { threshold: 20_000 } } })
  await world.during((await world.during(world.flow.start(child, 50_000, { id: '1' }))).result())
  const path = blobOf(world)
  await world.s.close()
  poked(world, path, 0)
  await world.s.start()
  const handle = flow(world.s.app).handle(child, '1')
  for (let tries = 0; tries < 3; tries++)
    expect(await world.during(codeOf(handle.result()))).toBe('CORRUPT')
  poked(world, path, 99)
  expect(await world.during(handle.result())).toHaveLength(50_000)
})
