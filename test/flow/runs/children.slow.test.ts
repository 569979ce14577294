/** Children of runs. */
import { describe, expect, test } from 'vitest'
import { type Ctx, workflow } from '../../../src/flow/index.ts'
import type { KeelsonError } from '../../../src/index.ts'
import { counted, flowWorld } from '../../support/worlds/flow-world.ts'
import { codeOf, failNextSync } from '../../support/worlds/simulated-instance.ts'

/** Squares a number after some time. */
const square = (log: string[] = []) =>
  workflow('square', async (ctx: Ctx, input: { n: number; pause?: number }) => {
    await ctx.step('begin', () => log.push(`begin ${input.n}`), {
      undo: () => log.push(`undo ${input.n}`),
    })
    await ctx.sleep('pause', input.pause ?? 1_000)
    if (input.n < 0) throw new RangeError('negative')
    return input.n ** 2
  })

describe('a child', () => {
  test('runs once for its key, and its end counts once, whatever crashes', {
    tags: ['W9'],
  }, async () => {
    const log: string[] = []
    const child = square(log)
    const parent = workflow('parent', async (ctx: Ctx) => {
      const four = await ctx.child('two', child, { n: 2, pause: 30_000 })
      return four + (await ctx.child('three', child, { n: 3 }))
    })
    const w = await flowWorld([parent, child])
    await w.during(w.flow.start(parent, undefined, { id: '1' }))
    for (let at = 0; at < 6; at++) {
      await w.s.advance(6_000)
      await w.crash()
    }

    expect(await w.during(w.flow.handle(parent, '1').result())).toBe(13)
    expect(log).toEqual(['begin 2', 'begin 3'])
    const children = w.flow.list({ type: child, parent: 'parent/1' }).entries
    expect(children.map(({ status, root }) => [status, root])).toEqual([
      ...[
        ['completed', 'parent/1'],
        ['completed', 'parent/1'],
      ],
    ])
  })

  test('is cancelled when its parent is ended by force, unless it is abandoned', {
    tags: ['W9'],
  }, async () => {
    const child = square()
    const parent = workflow('parent', async (ctx: Ctx) => {
      const left = ctx.child(
        'left',
        child,
        { n: 1, pause: 60_000 },
        { id: 'l', onCancel: 'abandon' },
      )
      return (await ctx.child('held', child, { n: 2, pause: 60_000 }, { id: 'h' })) + (await left)
    })
    const w = await flowWorld([parent, child])
    const run = await w.during(w.flow.start(parent, undefined, { id: '1' }))
    await w.s.advance(5_000)
    await w.during(run.cancel({ force: true }))
    await w.powerCut()
    await w.s.advance(5_000)

    expect([w.status(child, 'l'), w.status(child, 'h')]).toEqual(['waiting', 'cancelled'])
    await w.s.advance(60_000)
    expect(w.status(child, 'l')).toBe('completed')
  })

  test('that is ended by force is an error of its parent at once', async () => {
    const child = square()
    const parent = workflow('parent', (ctx: Ctx) =>
      ctx.child('one', child, { n: 1, pause: 3_600_000 }, { id: 'c' }).catch(({ code }) => code),
    )
    const w = await flowWorld([parent, child])
    const run = await w.during(w.flow.start(parent, undefined, { id: '1' }))
    await w.s.advance(5_000)
    await w.during(w.flow.handle(child, 'c').cancel({ force: true, reason: 'now' }))
    await w.s.advance(5_000)
    expect(w.status(parent, '1')).toBe('completed')
    expect(await w.during(run.result())).toBe('CANCELLED')
  })

  test('does not begin when its parent ends in the same moment', { tags: ['W9'] }, async () => {
    const log: string[] = []
    const child = square(log)
    const parent = workflow('parent', async (ctx: Ctx) => {
      await ctx.all<unknown>('both', [
        (own: Ctx) => own.child('one', child, { n: 1 }),
        async () => {
          throw new RangeError('at once')
        },
      ])
    })
    const w = await flowWorld([parent, child])
    const run = await w.during(w.flow.start(parent, undefined, { id: '1' }))

    expect(await w.during(codeOf(run.result()))).toBe('FAILED')
    await w.s.advance(10_000)
    expect(log).toEqual([])
    expect(w.flow.list({ type: child }).entries).toEqual([])
  })

  test.each([0, 60_000])(
    'of a fixed id gives its end to each body that asks: in %o ms',
    {
      tags: ['W9'],
    },
    async (pause) => {
      const log: string[] = []
      const child = square(log)
      const parent = workflow('parent', async (ctx: Ctx, laps: number): Promise<number> => {
        const asked = ctx.child('one', child, { n: 2, pause }, { id: 'c', onCancel: 'abandon' })
        // The first body leaves a child that takes long, and the next ones wait for it.
        const end = pause === 0 || laps === 0 ? await asked : await ctx.sleep('rest', 1_000)
        return laps === 0 ? (end as number) : ctx.again(laps - 1)
      })
      const w = await flowWorld([parent, child])
      const run = await w.during(w.flow.start(parent, 2, { id: '1' }))

      expect(await w.during(run.result({ timeoutMs: 600_000 }))).toBe(4)
      expect(log).toEqual(['begin 2'])
    },
  )

  test.each(['failed', 'cancelled'] as const)(
    'that is %s rejects as the result of its run does, in the first life and in a replay',
    { tags: ['W9'] },
    async (end) => {
      const child = square()
      const seen: unknown[] = []
      const parent = workflow('parent', async (ctx: Ctx<{ go: undefined }>, n: number) => {
        await ctx.child('one', child, { n, pause: 5_000 }, { id: 'c' }).catch((error: unknown) => {
          const { name, code, message, details, cause } = error as KeelsonError
          seen.push({ name, code, message, details, cause: String(cause) })
        })
        await ctx.waitFor('go')
      })
      const w = await flowWorld([parent, child])
      const run = await w.during(w.flow.start(parent, end === 'failed' ? -1 : 1, { id: '1' }))
      await w.s.advance(1_000)
      const asChild = w.flow.handle(child, 'c')
      if (end === 'cancelled') await w.during(asChild.cancel({ reason: 'no more' }))
      await w.s.advance(20_000)
      await w.crash()
      await w.during(w.flow.handle(parent, run.id).signal('go', undefined))
      await w.during(w.flow.handle(parent, run.id).result())

      const result = w.flow.handle(child, 'c').result()
      const { name, code, message, details, cause } = await w.during(
        result.catch((error: unknown) => error as KeelsonError) as Promise<KeelsonError>,
      )
      const asResult = { name, code, message, details, cause: String(cause) }
      expect(seen).toEqual([asResult, asResult])
      expect([code, asResult.cause]).toEqual(
        end === 'failed' ? ['FAILED', 'RangeError: negative'] : ['CANCELLED', expect.any(String)],
      )
      expect(w.flow.steps(parent, '1').entries[0]?.error).toMatchObject({
        name: end === 'failed' ? 'RangeError' : 'KeelsonError',
      })
    },
  )

  test('is cancelled with its parent, which ends after it', { tags: ['W6', 'W9'] }, async () => {
    const log: string[] = []
    const child = square(log)
    const parent = workflow('parent', async (ctx: Ctx) => {
      const left = ctx.child('left', child, { n: 1, pause: 50_000 }, { onCancel: 'abandon' })
      const kept = ctx.child('kept', child, { n: 2, pause: 50_000 })
      await Promise.all([left, kept])
    })
    const w = await flowWorld([parent, child])
    const run = await w.during(w.flow.start(parent, undefined, { id: '1' }))
    await w.s.advance(1_000)
    await w.during(run.cancel())
    await w.crash()

    const ended: string[] = []
    w.s.system.events.on(
      'flow.ended' as never,
      (({ type }: { type: string }) => {
        ended.push(type)
      }) as never,
    )
    expect(await w.during(codeOf(w.flow.handle(parent, '1').result()))).toBe('CANCELLED')
    expect(ended).toEqual(['square', 'parent'])
    expect(log).toContain('undo 2')
    expect(log).not.toContain('undo 1')
    await w.s.advance(60_000)
    expect(await w.during(w.flow.counts(child))).toEqual(counted({ cancelled: 1, completed: 1 }))
  })
})

describe('a child that cannot be reached', () => {
  /** A parent in the first shard, whose child, or whose id of a child, is in the second one, which goes down. */
  const away = async () => {
    const log: string[] = []
    const child = square(log)
    const parent = workflow('parent', async (ctx: Ctx, id: string) => {
      const away = (own: Ctx) => own.child('one', child, { n: 1 }, { id })
      await ctx.all<unknown>('any', [away, (own) => own.sleep('pause', 4_000)], { wait: 'any' })
      await ctx.sleep('rest', 60_000)
    })
    const w = await flowWorld([parent, child], { options: { shards: 2 } })
    const { store, control } = w.s.app
    const numberIn = (shard: number, keyOf: (number: number) => string): number => {
      for (let number = 0; ; number++) if (store.shardOf(keyOf(number)) === shard) return number
    }
    const idIn = (shard: number, kind: string): string =>
      `${numberIn(shard, (id) => `{$flow-${kind}/${id}}`)}`
    const id = idIn(1, 'square')
    const begins = async () => {
      failNextSync(w.s.disk, 1)
      await w.during(codeOf(store.put(`${numberIn(1, String)}`, 1)))
      const run = await w.during(w.flow.start(parent, id, { id: idIn(0, 'parent') }))
      // The child is asked to start again after a pause, which is longer than that of the other branch.
      await w.s.advance(3_500)
      await w.during(control.reopen(1))
      return run
    }
    return { w, log, child, parent, id, begins }
  }

  test('does not begin once its branch is cancelled', { tags: ['W9'] }, async () => {
    const { w, log, child, parent, begins } = await away()
    const run = await begins()
    await w.s.advance(30_000)
    expect([w.status(parent, run.id), log]).toEqual(['waiting', []])
    await w.during(run.result({ timeoutMs: 600_000 }))
    expect(w.flow.list({ type: child }).entries).toEqual([])
  })

  test.each(['its branch', 'its parent', 'its parent, by force,'])(
    'and whose id another run has, leaves that run alone when %s is cancelled',
    { tags: ['W9'] },
    async (what) => {
      const { w, child, parent, id, begins } = await away()
      await w.during(w.flow.start(child, { n: 2, pause: 300_000 }, { id }))
      await w.s.advance(10_000)
      const run = await begins()
      if (what !== 'its branch') await w.during(run.cancel({ force: what.includes('force') }))
      await w.s.advance(120_000)
      const end = what === 'its branch' ? 'completed' : 'cancelled'
      expect([w.status(child, id), w.status(parent, run.id)]).toEqual(['waiting', end])
    },
  )
})

describe('a parent that rests until the end of its child', () => {
  const nap = workflow('nap', (ctx: Ctx, ms: number) => ctx.sleep('nap', ms))

  test('reports what it does after it, and goes the way of a change', async () => {
    const parent = workflow('parent', async (ctx: Ctx<{ go: undefined }>) => {
      await ctx.step('first', () => 1)
      await ctx.child('one', nap, 10_000)
      const isChanged = ctx.patched('change')
      ctx.report({ isChanged })
      await ctx.waitFor('go')
      return isChanged
    })
    const w = await flowWorld([nap, parent])
    const run = await w.during(w.flow.start(parent, undefined, { id: 'p' }))
    await w.s.advance(9_000)
    expect([w.status(parent, 'p'), w.flow.get(parent, 'p')?.progress]).toEqual([
      ...['waiting', undefined],
    ])
    await w.s.advance(5_000)
    expect(w.flow.get(parent, 'p')?.progress).toEqual({ isChanged: true })
    await w.crash()
    await w.during(w.flow.handle(parent, 'p').signal('go' as never, undefined as never))
    expect(await w.during(w.flow.handle(parent, run.id).result())).toBe(true)
  })

  test('cancels the rest of its branches with it', { tags: ['W9'] }, async () => {
    const parent = workflow('parent', async (ctx: Ctx<{ go: undefined }>) => {
      const branch = (ms: number) => (own: Ctx) => own.child('nap', nap, ms, { id: `${ms}` })
      await ctx.all('any', [branch(10_000), branch(3_600_000)], { wait: 'any' })
      await ctx.waitFor('go')
    })
    const w = await flowWorld([nap, parent])
    await w.during(w.flow.start(parent, undefined, { id: 'p' }))
    await w.s.advance(9_000)
    expect([w.status(parent, 'p'), w.status(nap, '3600000')]).toEqual(['waiting', 'waiting'])
    await w.s.advance(3_000)
    expect([w.status(nap, '10000'), w.status(nap, '3600000')]).toEqual(['completed', 'cancelled'])
  })
})

describe('a parent that is retried', () => {
  /** A child that fails so often, and a parent with no other operation. */
  const family = (failures: number, id: object = {}) => {
    let begun = 0
    const child = workflow('child', async (ctx: Ctx) => {
      const act = () => (++begun <= failures ? Promise.reject(new Error(`no ${begun}`)) : begun)
      return ctx.step('act', act, { retry: { max: 1 } })
    })
    const parent = workflow('parent', (ctx: Ctx) => ctx.child('one', child, undefined, id))
    return { child, parent, begun: () => begun }
  }

  test.each([[{}], [{ id: 'c' }]])(
    'gets the end of its child again, and the new one of a child that was retried: %o',
    { tags: ['W9'] },
    async (id) => {
      const { child, parent, begun } = family(1, id)
      const w = await flowWorld([child, parent])
      const run = await w.during(w.flow.start(parent, undefined, { id: 'p' }))
      const causeOf = () => w.during(run.result().catch(({ cause }) => cause.message))
      expect(await causeOf()).toMatch(/of child is failed: no 1$/)
      await w.during(w.flow.retry(parent, 'p'))
      expect(await causeOf()).toMatch(/of child is failed: no 1$/)
      expect(begun()).toBe(1)
      const [made] = w.flow.list({ type: child }).entries
      await w.during(w.flow.retry(child, String(made?.id)))
      await w.s.advance(10_000)
      expect(w.status(parent, 'p')).toBe('failed')
      await w.during(w.flow.retry(parent, 'p'))
      expect([await causeOf(), begun()]).toEqual([2, 2])
    },
  )

  test('and is ended by force cancels the child that it has begun again', {
    tags: ['W9'],
  }, async () => {
    let isAway = true
    const act = () => (isAway ? Promise.reject(new Error('away')) : new Promise(() => undefined))
    const child = workflow('child', (ctx: Ctx) => ctx.step('act', act, { retry: { max: 1 } }))
    const parent = workflow('parent', (ctx: Ctx) => ctx.child('one', child, undefined, { id: 'c' }))
    const w = await flowWorld([child, parent])
    const run = await w.during(w.flow.start(parent, undefined, { id: 'p' }))
    expect(await w.during(codeOf(run.result()))).toBe('FAILED')
    isAway = false
    await w.during(w.flow.retry(child, 'c'))
    await w.during(w.flow.retry(parent, 'p'))
    await w.s.advance(1_000)
    expect([w.status(child, 'c'), w.status(parent, 'p')]).toEqual(['running', 'running'])
    await w.during(run.cancel({ force: true }))
    await w.s.advance(5_000)
    expect(w.status(child, 'c')).toBe('cancelled')
  })

  test('and is cancelled ends, though the child has ended before', async () => {
    const { child, parent } = family(1, { id: 'c' })
    const w = await flowWorld([child, parent])
    const run = await w.during(w.flow.start(parent, undefined, { id: 'p' }))
    await w.during(codeOf(run.result()))
    for (let inMs = 0; inMs < 12; inMs++) {
      await w.during(w.flow.retry(parent, 'p'))
      await w.s.advance(inMs)
      const { accepted } = await w.during(run.cancel())
      const code = await w.during(codeOf(run.result()))
      expect([inMs, code]).toEqual([inMs, accepted ? 'CANCELLED' : 'FAILED'])
    }
  })

  test('from a step before its child, and is cancelled at any moment, ends, though the child has ended', {
    tags: ['W9'],
  }, async () => {
    const child = square()
    const parent = workflow('parent', async (ctx: Ctx) => {
      await ctx.step('first', () => 1)
      return ctx.child('two', child, { n: 2, pause: 0 }, { id: 'c' })
    })
    for (let inMs = 0; inMs < 30; inMs++) {
      const w = await flowWorld([child, parent], { options: { syncMs: 5 } })
      const run = await w.during(w.flow.start(parent, undefined, { id: 'p' }))
      expect(await w.during(run.result())).toBe(4)
      await w.during(w.flow.retry(parent, 'p', { from: 'first' }))
      await w.s.advance(inMs)
      const { accepted } = await w.during(run.cancel())
      const code = await w.during(codeOf(run.result()))
      expect([inMs, code]).toEqual([inMs, accepted ? 'CANCELLED' : 'ok'])
      await w.s.close()
    }
  })

  /** A parent whose step fails after 3 s for the first time, while its child takes 20 s. */
  const trying = async (log: string[]) => {
    const child = square(log)
    let isBad = true
    const parent = workflow(
      'parent',
      async (ctx: Ctx) => {
        const packs = async (): Promise<void> => {
          await new Promise<void>((resolve) => void w.s.clock.after(3_000, resolve))
          if (!isBad) return
          isBad = false
          throw new Error('no box')
        }
        const [four] = await Promise.all([
          ctx.child('two', child, { n: 2, pause: 20_000 }, { id: 'c' }),
          ctx.step('pack', packs, { retry: { max: 1 } }),
        ])
        return four
      },
      { retry: { max: 3, baseMs: 1_000 } },
    )
    const w = await flowWorld([parent, child])
    const run = await w.during(w.flow.start(parent, undefined, { id: 'p' }))
    return { w, parent, child, run }
  }

  test('by its next try gets the end of a child that was cancelled with its body, and that goes on', {
    tags: ['W9'],
  }, async () => {
    const log: string[] = []
    const { w, parent, child, run } = await trying(log)
    expect(await w.during(run.result({ timeoutMs: 600_000 }))).toBe(4)
    expect(w.flow.get(parent, 'p')?.attempt).toBe(2)
    expect([w.status(child, 'c'), log]).toEqual(['completed', ['begin 2', 'undo 2', 'begin 2']])
  })

  test.each([false, true])(
    'after a cancel goes on, and so does its child: by force %o',
    {
      tags: ['W9'],
    },
    async (force) => {
      const log: string[] = []
      const { w, parent, child, run } = await trying(log)
      await w.s.advance(1_000)
      await w.during(run.cancel({ force }))
      await w.s.advance(10_000)
      expect([w.status(child, 'c'), w.status(parent, 'p')]).toEqual(['cancelled', 'cancelled'])
      await w.during(w.flow.retry(parent, 'p'))
      expect(await w.during(run.result({ timeoutMs: 600_000 }))).toBe(4)
      expect(w.status(child, 'c')).toBe('completed')
    },
  )

  test('is not one that is undone after an end by force: no child goes on for that', {
    tags: ['W6', 'W9'],
  }, async () => {
    const log: string[] = []
    const { w, parent, child, run } = await trying(log)
    await w.s.advance(1_000)
    await w.during(run.cancel({ force: true }))
    await w.s.advance(10_000)
    await w.during(w.flow.undo(parent, 'p'))
    await w.s.advance(60_000)
    expect([w.status(child, 'c'), w.status(parent, 'p')]).toEqual(['cancelled', 'cancelled'])
    expect(log).toEqual(['begin 2', 'undo 2'])
  })

  test('gets the end of a child that an operator has cancelled, as before', async () => {
    const child = square()
    const parent = workflow('parent', (ctx: Ctx) =>
      ctx.child('one', child, { n: 1, pause: 60_000 }, { id: 'c' }),
    )
    const w = await flowWorld([child, parent])
    const run = await w.during(w.flow.start(parent, undefined, { id: 'p' }))
    await w.s.advance(1_000)
    await w.during(w.flow.handle(child, 'c').cancel({ reason: 'rain' }))
    const causeOf = () => w.during(run.result().catch(({ cause }) => cause.message))
    const rain = 'the run c of square is cancelled: rain'
    expect(await causeOf()).toBe(rain)
    await w.during(w.flow.retry(parent, 'p'))
    expect([await causeOf(), w.status(child, 'c')]).toEqual([rain, 'cancelled'])
  })

  test('from the operation of a child with a fixed id finds that child, and so does a later body', {
    tags: ['W9'],
  }, async () => {
    const log: string[] = []
    const child = square(log)
    const parent = workflow('parent', async (ctx: Ctx, laps: number): Promise<number> => {
      if (laps === 0) await ctx.sleep('first', 1)
      const four = await ctx.child('two', child, { n: 2 }, { id: 'c' })
      return laps === 0 ? four : ctx.again(laps - 1)
    })
    const w = await flowWorld([child, parent])
    const run = await w.during(w.flow.start(parent, 1, { id: 'p' }))
    expect(await w.during(run.result())).toBe(4)
    await w.during(w.flow.retry(parent, 'p', { from: 'two' }))
    expect(await w.during(run.result())).toBe(4)
    expect(log).toEqual(['begin 2'])
  })
})
