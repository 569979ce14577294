/** How a keeper wakes many runs at its start: in which order, how many at a time, and what holds none of them up. */
import { describe, expect, test } from 'vitest'
import { type Ctx, workflow } from '../../../src/flow/index.ts'
import { inTurn, Places } from '../../../src/flow/run-entity/keeper.ts'
import { flowWorld, type Workflows } from '../../support/worlds/flow-world.ts'

const ids = (count: number): string[] => Array.from({ length: count }, (_, at) => `${at}`)

describe('lines', () => {
  test('give one item each in turn, so that a short one waits for no long one', () => {
    expect([...inTurn(['aaaa', 'b', '', 'cc'])].join('')).toBe('abcacaa')
    expect([...inTurn([])]).toEqual([])
  })

  test('are read as far as their items are taken', () => {
    const read: number[] = []
    function* line() {
      for (let at = 0; ; at++) {
        read.push(at)
        yield at
      }
    }
    for (const item of inTurn([line()])) if (item === 2) break
    expect(read).toEqual([0, 1, 2])
  })
})

test('of places as many are taken as there are, and each is free when its work is done', async () => {
  const places = new Places(3)
  const ends: (() => void)[] = []
  const takes = async (): Promise<void> => {
    for (let at = 0; at < 5; at++)
      await places.take(new Promise<void>((resolve) => void ends.push(resolve)))
    await places.empty()
  }
  let isDone = false
  void takes().then(() => {
    isDone = true
  })
  const settled = (): Promise<unknown> => new Promise((resolve) => setImmediate(resolve))
  const seen: unknown[] = []
  for (let at = 0; at < 5; at++) {
    await settled()
    seen.push([ends.length, isDone])
    ends[at]?.()
  }
  await settled()
  expect([...seen, isDone]).toEqual([
    ...[
      [3, false],
      [4, false],
      [5, false],
      [5, false],
      [5, false],
    ],
    true,
  ])
})

/** Workflows whose step notes its run and never ends; `turn` counts the turns of the event loop in which one began. */
const hanging = (...names: readonly string[]) => {
  const begun: string[] = []
  const hangs = names.map((name) =>
    workflow(name, (ctx: Ctx) =>
      ctx.step('hang', ({ key }) => {
        begun.push(key.split('/').slice(1, 3).join(' '))
        return new Promise<void>(() => undefined)
      }),
    ),
  )
  return { begun, hangs: hangs as Workflows }
}

test('runs wake in the order of their last changes, the oldest first', async () => {
  const { begun, hangs } = hanging('one')
  const w = await flowWorld(hangs)
  const order = ids(200).reverse()
  for (const id of order) {
    await w.during(w.flow.start(hangs[0] as never, undefined, { id }))
    await w.s.advance(10)
  }
  begun.length = 0
  await w.crash()
  await w.s.advance(1_000)
  expect(begun).toEqual(order.map((id) => `one ${id}`))
})

test('a workflow with many runs holds up no other one', async () => {
  const { begun, hangs } = hanging('many', 'few')
  const w = await flowWorld(hangs)
  const start = (at: number, count: number): Promise<unknown> =>
    Promise.all(ids(count).map((id) => w.flow.start(hangs[at] as never, undefined, { id })))
  await w.during(start(0, 500))
  await w.during(start(1, 3))
  await w.s.advance(1_000)
  begun.length = 0
  await w.crash()
  await w.s.advance(1_000)

  expect(begun).toHaveLength(503)
  expect(begun.findLastIndex((run) => run.startsWith('few'))).toBeLessThan(100)
})

/** A workflow whose body, after the next crash, waits for `go` before it comes to where it was. */
const slowly = async (count: number) => {
  const waiting: { readonly id: string; readonly go: () => void }[] = []
  let isLater = false
  const slow = workflow('slow', async (ctx: Ctx, id: string) => {
    if (isLater) await new Promise<void>((go) => void waiting.push({ id, go }))
    await ctx.step('one', () => 1)
    return ctx.step('hang', () => new Promise<void>(() => undefined))
  })
  const w = await flowWorld([slow] as Workflows)
  for (const id of ids(count)) await w.during(w.flow.start(slow, id, { id }))
  await w.s.advance(1_000)
  isLater = true
  await w.crash()
  await w.s.advance(100)
  /** The runs whose bodies have begun: one that stands still is soon replayed once more. */
  const woken = (): readonly string[] => [...new Set(waiting.map(({ id }) => id))]
  return { w, slow, waiting, woken }
}

test('a few runs are on their way at a time, and one that takes long gives its place to another', async () => {
  const { w, waiting, woken } = await slowly(100)
  expect(woken()).toHaveLength(32)
  // Eight come to their second step: eight others may wake.
  for (const { go } of waiting.slice(0, 8)) go()
  await w.s.advance(20)
  expect(woken()).toHaveLength(40)
  await w.s.advance(150)
  expect(woken()).toHaveLength(64)
})

test('a call wakes its run at once, however many others wait for the keeper', async () => {
  const { w, slow, woken } = await slowly(100)
  await w.during(w.flow.handle(slow, '99').signal('news' as never, undefined as never))
  await w.s.advance(10)
  expect(woken()).toEqual([...ids(32), '99'])
  await w.s.advance(1_000)
  expect(woken()).toHaveLength(100)
})
