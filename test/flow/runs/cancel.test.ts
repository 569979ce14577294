/** Cancels, deadlines, undos and retries of runs. */
import { describe, expect, test } from 'vitest'
import { type Ctx, type FlowEvents, type Undo, workflow } from '../../../src/flow/index.ts'
import type { RunMessages } from '../../../src/flow/runs/messages.ts'
import { call, type Ref, telemetry } from '../../../src/runtime/index.ts'
import { flowWorld } from '../../support/worlds/flow-world.ts'
import { codeOf } from '../../support/worlds/simulated-instance.ts'

const never = (): Promise<never> => new Promise(() => undefined)

/** A trip: two steps that can be undone, then a third one that does as it is told. */
const trips = (third: (signal: AbortSignal) => string | Promise<string>) => {
  const log: string[] = []
  const keys = new Map<string, Set<string>>()
  const note = (what: string, key: string): void => {
    log.push(what)
    const name = what.replace('undo ', '')
    keys.set(name, (keys.get(name) ?? new Set()).add(key))
  }
  const undo = (name: string) => ({
    undo: ({ key, value }: Undo<string>) => note(`undo ${name}`, `${key}/${value}`),
  })
  const trip = workflow('trip', async (ctx: Ctx) => {
    for (const name of ['hotel', 'flight'])
      await ctx.step(
        name,
        ({ key }) => {
          note(name, `${key}/${name} booked`)
          return `${name} booked`
        },
        undo(name),
      )
    return ctx.step(
      'pay',
      ({ signal }) => {
        log.push('pay')
        return third(signal)
      },
      { retry: { max: 1 }, ...undo('pay') },
    )
  })
  return { trip, log, keys }
}

describe('a cancel', () => {
  test('interrupts a body that has begun again', { tags: ['W6'] }, async () => {
    const lap = workflow('lap', async (ctx: Ctx, n: number) => {
      if (n === 0) ctx.again(1)
      await ctx.step('hang', never)
    })
    const w = await flowWorld([lap])
    const run = await w.during(w.flow.start(lap, 0, { id: '1' }))
    await w.s.advance(100)

    expect((await w.during(run.cancel())).accepted).toBe(true)
    expect(await w.during(codeOf(run.result({ timeoutMs: 1_000 })))).toBe('CANCELLED')
  })

  test.each([1, 8])(
    'of %i steps that ignore their signals gives them 30 s in all',
    async (count) => {
      const log: string[] = []
      const deaf = workflow('deaf', async (ctx: Ctx) => {
        const keys = Array.from({ length: count }, (_, at) => `s${at}`)
        const undo = (key: string) => ({ undo: () => void log.push(key) })
        await Promise.all(keys.map((key) => ctx.step(key, never, undo(key))))
      })
      const w = await flowWorld([deaf])
      const run = await w.during(w.flow.start(deaf, undefined, { id: '1' }))
      await w.s.advance(1_000)
      await w.during(run.cancel())
      await w.s.advance(29_000)
      expect([w.status(deaf, '1'), log]).toEqual(['cancelling', []])
      await w.s.advance(2_000)
      expect(w.status(deaf, '1')).toBe('cancelled')
      expect(log).toEqual(Array.from({ length: count }, (_, at) => `s${count - 1 - at}`))
    },
  )

  test('undoes a step as soon as that and the newer ones have ended, and not before', async () => {
    const log: string[] = []
    const slow = workflow('slow', async (ctx: Ctx) => {
      const after = (ms: number, key: string) => async () => {
        await new Promise<void>((resolve) => void w.s.clock.after(ms, resolve))
        log.push(`${key} ends`)
      }
      const step = (key: string, ms: number) =>
        ctx.step(key, after(ms, key), { undo: () => void log.push(`undo ${key}`) })
      await Promise.all([step('a', 4_000), step('b', 8_000), step('c', 2_000)])
    })
    const w = await flowWorld([slow])
    const run = await w.during(w.flow.start(slow, undefined, { id: '1' }))
    await w.s.advance(1_000)
    await w.during(run.cancel())
    await w.s.advance(15_000)
    expect(log).toEqual(['c ends', 'undo c', 'a ends', 'b ends', 'undo b', 'undo a'])
  })

  test('interrupts a step that runs, and undoes what began, the newest first', {
    tags: ['W6'],
  }, async () => {
    const aborted: unknown[] = []
    const { trip, log, keys } = trips((signal) => {
      return new Promise((_, reject) => {
        signal.addEventListener('abort', () => {
          aborted.push(signal.reason.code)
          reject(signal.reason)
        })
      })
    })
    const w = await flowWorld([trip])
    const run = await w.during(w.flow.start(trip, undefined, { id: '1' }))
    await w.s.advance(1_000)

    expect(await w.during(run.cancel({ reason: 'rain' }))).toEqual({
      ...{ accepted: true, status: 'running' },
    })
    const error = await w.during(run.result().catch((thrown) => thrown))
    expect([error.code, error.cause.message]).toEqual(['CANCELLED', 'rain'])
    expect(aborted).toEqual(['CANCELLED'])
    expect(log).toEqual(['hotel', 'flight', 'pay', 'undo pay', 'undo flight', 'undo hotel'])
    expect(keys.get('hotel')?.size).toBe(1)
    expect(await w.during(run.cancel())).toEqual({ accepted: false, status: 'cancelled' })
  })

  test.each([
    ['lets no step begin from its turn on', 'rain', 'ok', []],
    ['that is refused lets the next step begin', 'rain'.repeat(500_000), 'TOO_LARGE', ['b']],
  ])('%s', { tags: ['W6'] }, async (_, reason, code, begun) => {
    const log: string[] = []
    let release = (): void => undefined
    const released = new Promise<void>((resolve) => {
      release = resolve
    })
    const steps = workflow('steps', async (ctx: Ctx) => {
      await ctx.step('a', () => released)
      await ctx.step('b', () => log.push('b'))
    })
    const w = await flowWorld([steps], { options: { syncMs: 7 } })
    const run = await w.during(w.flow.start(steps, undefined, { id: '1' }))
    await w.s.advance(100)
    // The outcome of a is being synced when the cancel has its turn, which is synced after it.
    release()
    await w.s.advance(8)

    // The message itself: of so long a reason the handle keeps a part.
    const entity = w.s.app.entity<RunMessages>('$flow-steps').ref('1') as Ref<RunMessages>
    const cancelled = call(entity, 'cancel', { reason, force: false })
    expect(await w.during(codeOf(cancelled))).toBe(code)
    expect(await w.during(codeOf(run.result()))).toBe(code === 'ok' ? 'CANCELLED' : 'ok')
    expect(log).toEqual(begun)
  })

  test('with a very long reason ends the run, and keeps a part of it', async () => {
    const wait = workflow('wait', (ctx: Ctx) => ctx.sleep('night', '1h'))
    const w = await flowWorld([wait])
    const run = await w.during(w.flow.start(wait, undefined, { id: '1' }))
    await w.s.advance(1_000)
    await w.during(run.cancel({ reason: 'rain'.repeat(150_000) }))

    const error = await w.during(run.result().catch((thrown) => thrown))
    expect([error.code, error.cause.message]).toEqual(['CANCELLED', 'rain'.repeat(500)])
  })

  test('that is acknowledged stands, whatever crashes next', { tags: ['W1', 'W6'] }, async () => {
    const { trip, log } = trips(never)
    const w = await flowWorld([trip])
    const run = await w.during(w.flow.start(trip, undefined, { id: '1' }))
    await w.s.advance(1_000)
    await w.during(run.cancel())
    await w.crash()

    expect(await w.during(codeOf(w.flow.handle(trip, '1').result()))).toBe('CANCELLED')
    // The payment began in the life before: nobody knows whether it was made.
    expect(log.filter((what) => what === 'pay')).toHaveLength(1)
    expect(new Set(log.slice(3))).toEqual(new Set(['undo pay', 'undo flight', 'undo hotel']))
    expect(log.slice(3).sort()).toEqual([...new Set(log.slice(3))].sort())
  })

  test('undoes after a crash too the step that its body asks for late', {
    tags: ['W6'],
  }, async () => {
    const log: string[] = []
    const late = workflow('late', async (ctx: Ctx) => {
      // The body waits for something of its own, as for an import.
      await new Promise<void>((resolve) => void w.s.clock.after(50, resolve))
      const charge = (): Promise<never> => {
        log.push('charge')
        return never()
      }
      await ctx.step('charge', charge, { undo: () => void log.push('refund') })
    })
    const w = await flowWorld([late])
    const run = await w.during(w.flow.start(late, undefined, { id: '1' }))
    await w.s.advance(1_000)
    await w.during(run.cancel())
    await w.s.advance(1_000)
    // The undo waits for the function of the step, which goes on in this life.
    expect(log).toEqual(['charge'])
    await w.crash()
    expect(await w.during(codeOf(w.flow.handle(late, '1').result()))).toBe('CANCELLED')
    expect(log).toEqual(['charge', 'refund'])
  })

  test('of a run at rest is replayed before it takes its place', { tags: ['W6'] }, async () => {
    const log: string[] = []
    const rests = workflow('rests', async (ctx: Ctx) => {
      await ctx.step('a', () => log.push('a'), { undo: () => log.push('undo a') })
      await ctx.sleep('long', '3d').catch((error) => {
        log.push(error.code)
        throw error
      })
    })
    const w = await flowWorld([rests])
    const run = await w.during(w.flow.start(rests, undefined, { id: '1' }))
    await w.s.advance(60_000)
    expect(w.status(rests, '1')).toBe('waiting')

    await w.during(run.cancel())
    expect(await w.during(codeOf(run.result()))).toBe('CANCELLED')
    expect(log).toEqual(['a', 'CANCELLED', 'undo a'])
  })

  test('of a retried run undoes no step that was undone before and has not run since', {
    tags: ['W6'],
  }, async () => {
    const log: string[] = []
    const trip = workflow('trip', async (ctx: Ctx) => {
      const step = (name: string, act: () => unknown) =>
        ctx.step(name, act, { undo: () => void log.push(`undo ${name}`), retry: { max: 1 } })
      const isFirst = log.length === 0
      await step('hotel', () => (isFirst ? 'booked' : never())).catch(() => undefined)
      await step('flight', () => 'booked').catch(() => undefined)
      await step('pay', () => Promise.reject(new Error('declined')))
    })
    const w = await flowWorld([trip])
    const run = await w.during(w.flow.start(trip, undefined, { id: '1' }))
    await w.during(codeOf(run.result()))
    expect(log.splice(0, 3)).toEqual(['undo pay', 'undo flight', 'undo hotel'])
    log.push('retried')

    await w.during(w.flow.retry(trip, '1'))
    await w.during(run.cancel())
    // The function of the hotel never settles: its undo is held up, and the program crashes.
    await w.s.advance(1_000)
    await w.crash()
    await w.s.advance(100_000)
    expect(await w.during(codeOf(w.flow.handle(trip, '1').result()))).toBe('CANCELLED')
    expect(log).toEqual(['retried', 'undo hotel'])
  })

  test('by force ends a run at once, without undos, and an event tells it', async () => {
    const aborted: string[] = []
    const { trip, log } = trips((signal) => {
      signal.addEventListener('abort', () => void aborted.push('pay'))
      return never()
    })
    const w = await flowWorld([trip])
    const ends: unknown[] = []
    telemetry<FlowEvents>(w.s.system).on('flow.ended', ({ id, end }) => ends.push([id, end.status]))
    const run = await w.during(w.flow.start(trip, undefined, { id: '1' }))
    await w.s.advance(1_000)
    await w.during(run.cancel({ force: true }))

    expect(await w.during(codeOf(run.result()))).toBe('CANCELLED')
    expect(aborted).toEqual(['pay'])
    await w.s.advance(60_000)
    expect(log).toEqual(['hotel', 'flight', 'pay'])
    expect(ends).toEqual([['1', 'cancelled']])
  })

  test('comes by itself at the deadline, also after a crash', { tags: ['W7'] }, async () => {
    const { trip, log } = trips(never)
    const w = await flowWorld([trip])
    await w.during(w.flow.start(trip, undefined, { id: '1', deadline: '1h' }))
    await w.crash()
    await w.s.advance(3_590_000)
    expect(w.status(trip, '1')).toBe('running')
    await w.s.advance(60_000)

    expect(w.status(trip, '1')).toBe('cancelled')
    expect(log.slice(-3)).toEqual(['undo pay', 'undo flight', 'undo hotel'])
  })

  test('of a run that has not begun is refused', async () => {
    const { trip } = trips(never)
    const w = await flowWorld([trip])

    expect(await w.during(codeOf(w.flow.handle(trip, '1').cancel()))).toBe('CONFLICT')
  })
})

describe('a run that fails', () => {
  test('undoes its steps, and a retry runs them under new keys', { tags: ['W6'] }, async () => {
    let isAway = true
    const { trip, log, keys } = trips(() => {
      if (isAway) throw new Error('the bank is away')
      return 'paid'
    })
    const w = await flowWorld([trip])
    const run = await w.during(w.flow.start(trip, undefined, { id: '1' }))
    expect(await w.during(codeOf(run.result()))).toBe('FAILED')
    expect(log.splice(0)).toEqual([
      ...['hotel', 'flight', 'pay', 'undo pay', 'undo flight', 'undo hotel'],
    ])

    isAway = false
    await w.during(w.flow.retry(trip, '1'))
    await w.crash()
    expect(await w.during(w.flow.handle(trip, '1').result())).toBe('paid')
    expect(new Set(log)).toEqual(new Set(['hotel', 'flight', 'pay']))
    expect(keys.get('hotel')?.size).toBe(2)
    expect(await w.during(codeOf(w.flow.retry(trip, '1')))).toBe('CONFLICT')
  })

  test('and is retried keeps the outcomes of steps that were not undone', {
    tags: ['W2', 'W11'],
  }, async () => {
    const log: string[] = []
    let isAway = true
    const keeps = workflow('keeps', async (ctx: Ctx) => {
      await ctx.step('a', () => log.push('a'))
      await ctx.step('b', () => log.push('b'), { undo: () => log.push('undo b') })
      await ctx.step('c', () => log.push('c'))
      await ctx.step(
        'd',
        () => {
          log.push('d')
          if (isAway) throw new Error('away')
        },
        { retry: { max: 1 } },
      )
      return log.length
    })
    const w = await flowWorld([keeps])
    const run = await w.during(w.flow.start(keeps, undefined, { id: '1' }))
    expect(await w.during(codeOf(run.result()))).toBe('FAILED')
    isAway = false
    await w.during(w.flow.retry(keeps, '1'))

    await w.during(run.result())
    expect(log).toEqual(['a', 'b', 'c', 'd', 'undo b', 'b', 'd'])
  })

  test('has the tries of its type before anything is undone', async () => {
    const log: string[] = []
    const whole = workflow(
      'whole',
      async (ctx: Ctx) => {
        await ctx.step('a', () => log.push('a'), { undo: () => log.push('undo a') })
        await ctx.step(
          'b',
          () => {
            log.push('b')
            throw new Error('no')
          },
          { retry: { max: 1 } },
        )
      },
      { retry: { max: 3, baseMs: 10_000 } },
    )
    const w = await flowWorld([whole])
    const run = await w.during(w.flow.start(whole, undefined, { id: '1' }))

    expect(await w.during(codeOf(run.result({ timeoutMs: 600_000 })))).toBe('FAILED')
    expect(log).toEqual(['a', 'b', 'b', 'b', 'undo a'])
    expect(w.flow.list({ type: whole }).entries[0]?.attempt).toBe(3)
  })

  test('keeps no answer of an undo, which may be anything', async () => {
    let undone = 0
    const answers = workflow('answers', async (ctx: Ctx) => {
      await ctx.step('a', () => 1, {
        undo: () =>
          new (class Response {
            at = undone++
          })(),
      })
      throw new Error('the end')
    })
    const w = await flowWorld([answers])
    const run = await w.during(w.flow.start(answers, undefined, { id: '1' }))
    expect(await w.during(codeOf(run.result()))).toBe('FAILED')
    expect(undone).toBe(1)
  })

  test('is blocked if a step cannot be undone, and goes on with a retry', {
    tags: ['slow', 'W6'],
  }, async () => {
    let isAway = true
    let tries = 0
    const stuck = workflow('stuck', async (ctx: Ctx) => {
      await ctx.step('a', () => 1, {
        undo: () => {
          tries++
          if (isAway) throw new Error('away')
        },
      })
      throw new Error('the end')
    })
    const w = await flowWorld([stuck])
    const run = await w.during(w.flow.start(stuck, undefined, { id: '1' }))
    expect(await w.during(codeOf(run.result({ timeoutMs: 3_000_000 })))).toBe('BLOCKED')
    expect(tries).toBe(20)

    isAway = false
    await w.during(w.flow.retry(stuck, '1'))
    const error = await w.during(run.result().catch((thrown) => thrown))
    expect([error.code, error.cause.message]).toEqual(['FAILED', 'the end'])
  })
})
