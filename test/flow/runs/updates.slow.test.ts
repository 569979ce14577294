/** Updates: durable calls to a running body, which answers them in their order. */
import { describe, expect, test } from 'vitest'
import { type Ctx, workflow } from '../../../src/flow/index.ts'
import { KeelsonError } from '../../../src/index.ts'
import { fillDisk, freeDisk } from '../../support/harm/full-disk.ts'
import { flowWorld } from '../../support/worlds/flow-world.ts'
import { codeOf } from '../../support/worlds/simulated-instance.ts'

type Updates = {
  add: (n: number) => number
  slow: (n: number) => string
  end: () => string
}

/** A body that adds what it gets, keeps a log of all that it has seen, and ends with it. */
const sums = () => {
  const tries: string[] = []
  const logs: string[][] = []
  const body = async (ctx: Ctx<{ note: string; go: undefined }, Updates>, early: boolean) => {
    const log: string[] = []
    logs.push(log)
    let sum = 0
    let end = (): void => undefined
    const ended = new Promise<void>((resolve) => {
      end = resolve
    })
    if (!early) await ctx.waitFor('go')
    ctx.onUpdate('add', (n) => {
      if (n < 0) throw new RangeError(`${n} is negative`)
      sum += n
      log.push(`add ${n}`)
      return sum
    })
    ctx.onUpdate('slow', async (n, own) => {
      const text = await own.step('work', ({ key }) => {
        tries.push(key.split('/').slice(5).join('/'))
        return `slow ${n}`
      })
      await own.sleep('pause', '1m')
      log.push(text)
      return text
    })
    ctx.onUpdate('end', () => {
      end()
      return 'ends'
    })
    const notes = async () => {
      for (;;) log.push(await ctx.waitFor('note'))
    }
    await Promise.race([ended, notes()])
    return [...log, `${sum}`]
  }
  const adder = workflow('adder', body, {
    updates: {
      add: (n) => {
        if (n > 1_000) throw new KeelsonError('INVALID_ARGUMENT', 'too much')
      },
    },
  })
  const world = async (early = true) => {
    const w = await flowWorld([adder])
    const run = await w.during(w.flow.start(adder, early, { id: '1' }))
    return { w, run }
  }
  return { adder, tries, logs, world }
}

describe('an update', () => {
  test('gets the answer of the handler, and each replay takes it at the same place', async () => {
    const { world, adder } = sums()
    const { w, run } = await world()
    await w.during(run.signal('note', 'a'))
    expect(await w.during(run.update('add', 2))).toBe(2)
    await w.during(run.signal('note', 'b'))
    await w.powerCut()
    const later = w.flow.handle(adder, '1')

    expect(await w.during(later.update('add', 3))).toBe(5)
    await w.s.advance(10_000)
    expect(w.flow.get(adder, '1')?.status).toBe('waiting')
    expect(await w.during(later.update('end', undefined))).toBe('ends')
    expect(await w.during(later.result())).toEqual(['a', 'add 2', 'b', 'add 3', '5'])
  })

  test('comes in the order in which it was stored, with signals and other updates', async () => {
    const { world, adder } = sums()
    const { w, run } = await world(false)
    const answers: Promise<unknown>[] = []
    for (let n = 1; n <= 3; n++) {
      answers.push(run.update('add', n), run.update('add', 10 * n))
      await w.s.advance(10)
      await w.during(run.signal('note', `note ${n}`))
    }
    await w.s.advance(10_000)
    await w.during(run.signal('go', undefined))

    expect(await w.during(Promise.all(answers))).toEqual([1, 11, 13, 33, 36, 66])
    await w.during(run.update('end', undefined))
    expect(await w.during(w.flow.handle(adder, '1').result())).toEqual([
      ...[1, 2, 3].flatMap((n) => [`add ${n}`, `add ${10 * n}`, `note ${n}`]),
      '66',
    ])
  })

  test('whose turn is made again, after a signal that the disk refused, gets its own answer', async () => {
    const naps = workflow(
      'naps',
      async (ctx: Ctx<{ news: string }, { nap: (ms: number) => number }>) => {
        ctx.onUpdate('nap', async (ms, own) => {
          await own.sleep('nap', ms)
          return ms
        })
        await ctx.sleep('long', '1d')
      },
    )
    const w = await flowWorld([naps], { options: { syncMs: 5 } })
    const run = await w.during(w.flow.start(naps, undefined, { id: '1' }))
    await w.s.advance(100)
    await fillDisk(w.s, [30_000])
    const news = codeOf(run.signal('news', 'x'.repeat(60_000)))
    const long = run.update('nap', 20_000)
    expect(await w.during(news)).toBe('NO_SPACE')
    await w.s.advance(100)
    freeDisk(w.s)
    const short = run.update('nap', 1_000)
    expect(await w.during(Promise.all([long, short]))).toEqual([20_000, 1_000])
  })

  test('whose handler throws rejects with that error, and the run goes on', async () => {
    const { world } = sums()
    const { w, run } = await world()

    await expect(w.during(run.update('add', -1))).rejects.toMatchObject({
      name: 'RangeError',
      message: '-1 is negative',
    })
    expect(await w.during(run.update('add', 1))).toBe(1)
  })

  test('that its check refuses is refused at the caller, and stores nothing', async () => {
    const { world, adder } = sums()
    const { w, run } = await world()
    await w.s.advance(100)
    const before = w.flow.steps(adder, '1')

    expect(await codeOf(w.during(run.update('add', 1_001)))).toBe('INVALID_ARGUMENT')
    await w.s.advance(100)
    expect(w.flow.steps(adder, '1')).toEqual(before)
  })

  test('with an id is one, in flight and after its answer, over a crash and the end of the run', async () => {
    const { world, adder } = sums()
    const { w, run } = await world()
    const send = (n: number) => w.during(w.flow.handle(adder, '1').update('add', n, { id: 'u' }))

    expect(await Promise.all([send(4), send(4)])).toEqual([4, 4])
    await w.powerCut()
    expect(await send(4)).toBe(4)
    await w.during(w.flow.handle(adder, run.id).update('end', undefined))
    expect(await w.during(w.flow.handle(adder, '1').result())).toEqual(['add 4', '4'])
    expect(await send(4)).toBe(4)
    const other = w.flow.handle(adder, '1').update('add', 4, { id: 'v' })
    expect(await codeOf(w.during(other))).toBe('CONFLICT')
  })

  test('of another value or name under a known id is CONFLICT, and changes nothing', async () => {
    const { world, adder } = sums()
    const { w, run } = await world()
    const later = () => w.flow.handle(adder, '1')
    const refused = async () => [
      await codeOf(w.during(later().update('add', 5, { id: 'u' }))),
      await codeOf(w.during(later().update('slow', 4, { id: 'u' }))),
    ]

    expect(await w.during(run.update('add', 4, { id: 'u' }))).toBe(4)
    expect(await refused()).toEqual(['CONFLICT', 'CONFLICT'])
    await w.powerCut()
    expect(await refused()).toEqual(['CONFLICT', 'CONFLICT'])
    expect(await w.during(later().update('add', 4, { id: 'u' }))).toBe(4)
    const asked = later().update('slow', 1, { id: 's', timeoutMs: 300_000 })
    await w.s.advance(100)
    expect(await codeOf(w.during(later().update('slow', 2, { id: 's' })))).toBe('CONFLICT')
    expect(await w.during(asked)).toBe('slow 1')
    expect(await codeOf(w.during(later().update('slow', 2, { id: 's' })))).toBe('CONFLICT')
    await w.during(later().update('end', undefined))
    expect(await w.during(later().result())).toEqual(['add 4', 'slow 1', '4'])
  })

  test('whose handler runs when the process dies is answered by the next one, to who asks again', async () => {
    const { world, adder, tries } = sums()
    const { w, run } = await world()
    const asked = codeOf(run.update('slow', 7, { id: 's' }))
    await w.s.advance(100)
    await w.crash()

    expect(['CLOSED', 'EXITED', 'UNKNOWN_OUTCOME', 'NO_PROCESS']).toContain(await w.during(asked))
    const again = w.flow.handle(adder, '1').update('slow', 7, { id: 's', timeoutMs: 300_000 })
    expect(await w.during(again)).toBe('slow 7')
    expect(tries).toEqual(['slow#1/work'])
  })

  test('does not wait for the handler of an earlier one, whose keys are others', async () => {
    const { world, tries } = sums()
    const { w, run } = await world()
    const slow = [1, 2].map((n) => run.update('slow', n, { timeoutMs: 300_000 }))
    const begin = w.s.clock.now()

    expect(await w.during(Promise.all(slow))).toEqual(['slow 1', 'slow 2'])
    expect(w.s.clock.now() - begin).toBeLessThan(90_000)
    expect(tries).toEqual(['slow#1/work', 'slow#2/work'])
  })

  test('is answered before a body that has completed ends', async () => {
    const { world } = sums()
    const { w, run } = await world()
    const slow = run.update('slow', 1, { timeoutMs: 300_000 })
    await w.s.advance(100)
    await w.during(run.update('end', undefined))

    expect(await w.during(slow)).toBe('slow 1')
    expect(await w.during(run.result())).toEqual(['0'])
  })

  test.each([
    ['is cancelled', {}, 'CANCELLED'],
    ['is cancelled by force', { force: true }, 'CANCELLED'],
  ])('of a run that %s before the answer rejects once', async (_, how, code) => {
    const { world } = sums()
    const { w, run } = await world()
    const waits = [
      codeOf(run.update('slow', 1, { id: 's', timeoutMs: 300_000 })),
      codeOf(run.update('slow', 1, { id: 's', timeoutMs: 300_000 })),
    ]
    await w.s.advance(100)
    const begin = w.s.clock.now()
    await w.during(run.cancel(how))

    expect(await w.during(Promise.all(waits))).toEqual([code, code])
    expect(w.s.clock.now() - begin).toBeLessThan(1_000)
    expect(await codeOf(w.during(run.update('slow', 1, { id: 's' })))).toBe(code)
  })

  const ending = (end: (ctx: Ctx<object, Updates>) => unknown) =>
    workflow('ending', async (ctx: Ctx<object, Updates>, lap: number) => {
      ctx.onUpdate('add', async (n) => {
        // The handler never ends in this body.
        if (lap === 0) await ctx.sleep('long', '1h')
        return n
      })
      if (lap > 0) return ctx.sleep('lap', '1h')
      await ctx.sleep('short', '10s')
      return end(ctx)
    })

  test('of a run that fails before the answer rejects with its error', async () => {
    const fails = ending(() => Promise.reject(new Error('no')))
    const w = await flowWorld([fails])
    const run = await w.during(w.flow.start(fails, 0, { id: '1' }))

    await expect(w.during(run.update('add', 1))).rejects.toMatchObject({
      code: 'FAILED',
      cause: { message: 'no' },
    })
  })

  test('that its body has when it begins again is refused, and one that it has not waits', async () => {
    const again = ending((ctx) => ctx.again(1))
    const w = await flowWorld([again])
    const run = await w.during(w.flow.start(again, 0, { id: '1' }))

    expect(await codeOf(w.during(run.update('add', 1, { id: 'a' })))).toBe('CONFLICT')
    expect(await codeOf(w.during(run.update('add', 1, { id: 'a' })))).toBe('CONFLICT')
    expect(await w.during(run.update('add', 2, { id: 'b' }))).toBe(2)
  })

  test('of a run that is blocked, or becomes so, is refused', async () => {
    const stuck = workflow('stuck', async (ctx: Ctx<{ go: null }, Updates>) => {
      ctx.onUpdate('add', async (n, own) => {
        await own.sleep('long', '1h')
        return n
      })
      await ctx.waitFor('go')
      return [undefined]
    })
    const w = await flowWorld([stuck])
    const run = await w.during(w.flow.start(stuck, undefined, { id: '1' }))
    const first = codeOf(run.update('add', 1, { id: 'a' }))
    await w.s.advance(100)
    await w.during(run.cancel())
    await w.during(first)
    expect(await codeOf(w.during(run.update('add', 1)))).toBe('CONFLICT')

    const other = await w.during(w.flow.start(stuck, undefined, { id: '2' }))
    await w.during(other.signal('go', null))
    await w.s.advance(1_000)
    expect(w.status(stuck, '2')).toBe('blocked')
    expect(await codeOf(w.during(other.update('add', 1)))).toBe('BLOCKED')
  })

  test('of a run that has not begun, or with a value that cannot be stored, is refused', async () => {
    const { world, adder } = sums()
    const { w, run } = await world()

    expect(await codeOf(w.during(w.flow.handle(adder, 'none').update('add', 1)))).toBe('CONFLICT')
    const bad = w.during(run.update('add', (() => 1) as never))
    expect(await codeOf(bad)).toBe('INVALID_ARGUMENT')
    const long = 'x'.repeat(1024 * 1024) as never
    expect(await codeOf(w.during(run.update('slow', long)))).toBe('TOO_LARGE')
  })

  test('counts with the unread signals, of which a run has 1,000', async () => {
    const { world } = sums()
    const { w, run } = await world(false)
    for (let n = 0; n < 999; n++) void w.s.during(run.signal('note', `${n}`))
    const last = codeOf(run.update('add', 1, { timeoutMs: 1_000 }))
    await w.s.advance(500)

    expect(await codeOf(w.during(run.update('add', 2)))).toBe('BUSY')
    expect(await w.during(last)).toBe('TIMEOUT')
  })

  test('with an answer that cannot be stored rejects with INVALID_ARGUMENT', async () => {
    const odd = workflow('odd', async (ctx: Ctx<{ go: null }, { ask: () => unknown }>) => {
      ctx.onUpdate('ask', () => () => 1)
      await ctx.waitFor('go')
    })
    const w = await flowWorld([odd])
    const run = await w.during(w.flow.start(odd, undefined, { id: '1' }))

    expect(await codeOf(w.during(run.update('ask', undefined)))).toBe('INVALID_ARGUMENT')
    await w.during(run.signal('go', null))
    await w.during(run.result())
  })
})

describe('a handler of updates', () => {
  test('is refused for a name that has one, or that is none, and without a function', async () => {
    const codes: unknown[] = []
    const twice = workflow('twice', async (ctx: Ctx<object, Updates>) => {
      ctx.onUpdate('add', (n) => n)
      for (const [name, handler] of [
        ['add', () => 1],
        ['$add', () => 1],
        ['', () => 1],
        ['end', 'no function'],
      ])
        try {
          ctx.onUpdate(name as 'add', handler as never)
        } catch (error) {
          codes.push((error as KeelsonError).code)
        }
    })
    const w = await flowWorld([twice])
    const run = await w.during(w.flow.start(twice, undefined, { id: '1' }))
    await w.during(run.result())

    expect(codes).toEqual(Array(4).fill('INVALID_ARGUMENT'))
  })

  test('of a branch takes updates until the branch is cancelled', async () => {
    const branch = workflow('branch', async (ctx: Ctx<{ go: null }, Updates>) => {
      await ctx.all(
        'first',
        [
          async (own) => {
            own.onUpdate('add', (n) => n + 1)
            await own.waitFor('go')
          },
          (own) => own.sleep('pause', '1m'),
        ],
        { wait: 'any' },
      )
      await ctx.sleep('rest', '1h')
    })
    const w = await flowWorld([branch])
    const run = await w.during(w.flow.start(branch, undefined, { id: '1' }))

    expect(await w.during(run.update('add', 1))).toBe(2)
    await w.s.advance(120_000)
    expect(await codeOf(w.during(run.update('add', 1, { timeoutMs: 1_000 })))).toBe('TIMEOUT')
  })

  test('is the event that a run waits for that waits for nothing else', async () => {
    const { adder, world } = sums()
    const only = workflow('only', async (ctx: Ctx<object, Updates>) => {
      await new Promise<void>((resolve) =>
        ctx.onUpdate('end', () => {
          resolve()
          return 'ends'
        }),
      )
    })
    const w = await flowWorld([only])
    const run = await w.during(w.flow.start(only, undefined, { id: '1' }))
    await w.s.advance(10_000)
    const other = await world()
    await other.w.s.advance(10_000)

    expect(w.flow.get(only, '1')?.waitsFor).toEqual({ kind: 'update', name: 'end' })
    const others = ['add', 'slow', 'end'].map((name) => ({ kind: 'update', name }))
    expect(other.w.flow.get(adder, '1')?.waitsFor).toEqual({ kind: 'signal', name: 'note', others })
    expect(await w.during(run.update('end', undefined))).toBe('ends')
    await w.during(run.result())
  })
})

test('a fork has the updates from before its operation, and takes new ones', async () => {
  const { adder, world } = sums()
  const { w, run } = await world()
  await w.during(run.update('add', 2, { id: 'u' }))
  await w.during(run.signal('note', 'a'))
  await w.during(run.update('add', 5))
  await w.during(run.update('end', undefined))
  const fork = await w.during(w.flow.fork(adder, '1', { from: 'note#1', id: '2' }))

  expect(await w.during(fork.update('add', 1))).toBe(3)
  await w.during(fork.update('end', undefined))
  expect(await w.during(fork.result())).toEqual(['add 2', 'add 1', '3'])
})

test('an update without an answer that a retry forgets may be sent again under its id', async () => {
  const { adder, world } = sums()
  const { w, run } = await world()
  await w.during(run.signal('note', 'a'))
  void codeOf(run.update('slow', 1, { id: 's' }))
  await w.s.advance(100)
  await w.during(run.cancel({ force: true }))
  await w.during(w.flow.retry(adder, '1', { from: 'note#1' }))

  const again = run.update('slow', 2, { id: 's', timeoutMs: 300_000 })
  expect(await w.during(again)).toBe('slow 2')
})
