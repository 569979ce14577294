/** The ends around a pool: of workers, of clients and their waits, of its supervisor; and what it keeps of them. */
import { describe, expect, test } from 'vitest'
import {
  type AppContext,
  type BareContext,
  call,
  cast,
  type GenServer,
  getState,
  ignore,
  Pool,
  type Ref,
  reply,
  resume,
  suspend,
} from '../../../src/runtime/index.ts'
import { outcome, testSystem } from '../../../src/testing/index.ts'

type Messages = { calls: { echo: (text: string) => string }; casts: { crash: () => void } }

const worker: GenServer<Messages, null> = {
  init: () => null,
  calls: { echo: (state, text) => reply(text, state) },
  casts: {
    crash: () => {
      throw new Error('boom')
    },
  },
}

type Given = Partial<Pool.Options<Messages, null, undefined, AppContext>>

const world = async (options: Given = {}) => {
  const { system, clock, ended } = testSystem()
  const pool = await Pool.start(system, { server: worker, size: 2, ...options })
  const workers = () => system.processes().filter(({ label }) => label === 'pool worker')
  const inner = () => system.processes().find(({ kind }) => kind === 'dynamic_supervisor')?.ref
  const monitors = () => system.info(pool)?.monitors.length
  return { system, clock, ended, pool, workers, inner: inner() as Ref, monitors }
}

const crashed = async (pool: Pool.Handle<Messages>, ref: Ref<Messages>) => {
  cast(ref, 'crash')
  await call(ref, 'echo', 'gone').catch(() => undefined)
  return Pool.status(pool)
}

describe('the end of a worker', () => {
  test('that a client has takes no idle one along', async () => {
    const { pool, clock } = await world({ size: 3 })
    const held = await Pool.checkout(pool)
    await crashed(pool, held)
    await clock.settle()
    expect(await Pool.status(pool)).toEqual({ idle: 3, busy: 0, overflow: 0, waiting: 0 })
    const all = [await Pool.checkout(pool), await Pool.checkout(pool), await Pool.checkout(pool)]
    expect(await Promise.all(all.map((ref) => call(ref, 'echo', 'a')))).toEqual(['a', 'a', 'a'])
  })

  test.each([0, 1, 2])(
    'that is idle leaves the others: none is handed out dead (%i)',
    async (at) => {
      const { system, pool, workers } = await world({ size: 3 })
      const ref = workers()[at]?.ref as Ref
      await suspend(pool)
      system.kill(ref)
      const status = Pool.status(pool)
      await resume(pool)
      expect(await status).toMatchObject({ idle: 2, busy: 0 })
      const got = [await Pool.checkout(pool), await Pool.checkout(pool), await Pool.checkout(pool)]
      expect(new Set(got.map(({ pid }) => pid)).size).toBe(3)
      for (const each of got) expect(system.info(each)).toBeDefined()
    },
  )

  test('counts for its intensity only as long as its period is', async () => {
    const { system, pool, clock } = await world({ size: 1, intensity: 1, periodMs: 1_000 })
    const ends: unknown[] = []
    system.monitor(pool, (reason) => ends.push(reason))
    for (let count = 0; count < 4; count++) {
      await crashed(pool, await Pool.checkout(pool))
      await clock.advance(1_001)
    }
    expect(ends).toEqual([])
    await crashed(pool, await Pool.checkout(pool))
    await crashed(pool, await Pool.checkout(pool)).catch(() => undefined)
    await clock.settle()
    expect(ends).toEqual(['shutdown'])
  })
})

describe('with a back-off the ends of workers', () => {
  const slow = async (size: number) => {
    const starts: number[] = []
    const stage = await world({
      ...{ size, backoff: { fromMs: 100, toMs: 400 } },
      server: {
        ...worker,
        init: (_, context) => {
          starts.push(context.system.clock.monotonic())
          return null
        },
      },
    })
    /** The wait until the next start, after the end of `ref`. */
    const pauseAfter = async (...refs: readonly Ref[]) => {
      const at = stage.clock.monotonic()
      starts.length = 0
      for (const ref of refs) stage.system.kill(ref)
      await stage.clock.advance(400)
      return starts.map((start) => start - at)
    }
    return { ...stage, pauseAfter }
  }
  const idle = ({ workers }: Awaited<ReturnType<typeof slow>>) => workers().map(({ ref }) => ref)

  test('at one moment make one wait, after which all start', async () => {
    const stage = await slow(3)
    const pauses = await stage.pauseAfter(...idle(stage).slice(1))
    expect(pauses).toHaveLength(2)
    expect(pauses[1]).toBe(pauses[0])
    expect(pauses[0]).toBeGreaterThanOrEqual(50)
    expect(pauses[0]).toBeLessThanOrEqual(100)
  })

  test('wait longer in a row; a worker that ends later begins a new one', async () => {
    const stage = await slow(1)
    const next = async () => (await stage.pauseAfter(...idle(stage)))[0] ?? 0
    const pauses = [await next(), await next(), await next()]
    for (const [at, longest] of [100, 200, 400].entries()) {
      expect(pauses[at]).toBeLessThanOrEqual(longest)
      expect(pauses[at]).toBeGreaterThanOrEqual(longest / 2)
    }
    await stage.clock.advance(800)
    expect(await next()).toBeLessThanOrEqual(100)
  })

  test('leave the idle workers to the clients meanwhile', async () => {
    const stage = await slow(2)
    stage.system.kill(idle(stage)[0] as Ref)
    await stage.clock.settle()
    expect(await call(await Pool.checkout(stage.pool), 'echo', 'here')).toBe('here')
    expect(await outcome(Pool.checkout(stage.pool, { block: false }))).toMatchObject({ ok: false })
  })
})

describe('a pool', () => {
  test('does not end by an exit signal of another process; with its supervisor it does', async () => {
    const { system, pool, inner, ended, workers } = await world()
    system.exit(pool, 'by hand')
    expect(await Pool.status(pool)).toMatchObject({ idle: 2 })
    const end = ended(pool)
    system.kill(inner)
    expect(await end).toBe('killed')
    expect(workers()).toEqual([])
  })

  test('whose workers ignore their start does not start, and is ignored itself', async () => {
    const { system } = testSystem()
    const ignoring: GenServer<Messages, null> = { ...worker, init: () => ignore() }
    const start = Pool.start(system, { server: ignoring, size: 1 })
    await expect(start).rejects.toMatchObject({ code: 'EXITED', details: { reason: 'ignore' } })
    expect(system.processes()).toEqual([])
  })

  test('monitors its workers, and clients that wait or have one: nobody else', async () => {
    const { system, pool, clock, monitors } = await world({ size: 1 })
    expect(monitors()).toBe(1)
    const holder = system.spawn(async (context: BareContext) => {
      await Pool.checkout(context.to(pool))
      await context.receive()
    })
    await clock.settle()
    const waiting = system.spawn(async (context: BareContext) => {
      await outcome(Pool.checkout(context.to(pool), { timeoutMs: 50 }))
      await context.receive()
    })
    await clock.settle()
    expect(monitors()).toBe(3)
    await clock.advance(50)
    expect(monitors()).toBe(2)
    system.kill(holder)
    await clock.settle()
    expect(monitors()).toBe(1)
    system.kill(waiting)
    await clock.settle()
    expect([monitors(), await Pool.status(pool)]).toMatchObject([1, { idle: 1, waiting: 0 }])
  })

  test('gives the worker of a client that ended before it came to the next one', async () => {
    const { system, pool, clock } = await world({ size: 1 })
    await suspend(pool)
    const client = system.spawn(async (context: BareContext) => {
      await Pool.checkout(context.to(pool))
    })
    await clock.settle()
    system.kill(client)
    await resume(pool)
    await clock.settle()
    expect(await Pool.status(pool)).toEqual({ idle: 1, busy: 0, overflow: 0, waiting: 0 })
    const ref = await Pool.checkout(pool, { block: false })
    expect(await call(ref, 'echo', 'here')).toBe('here')
  })

  test('of what is no ref is refused, and no client waits', async () => {
    const nobody = 'pool' as unknown as Pool.Handle<Messages>
    for (const ask of [() => Pool.checkout(nobody), () => Pool.transaction(nobody, () => 1)])
      await expect(ask()).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  })
})

/** How many values of `map` are read in walks from now on. */
const walked = (map: Map<unknown, unknown>): (() => number) => {
  let steps = 0
  const values = map.values.bind(map)
  map.values = function* () {
    for (const value of values()) {
      steps++
      yield value
    }
  } as typeof map.values
  return () => steps
}

test('the end of a client looks at its own place alone, however many clients and workers there are', async () => {
  const { system, clock, pool } = await world({ size: 20 })
  const clients = Array.from({ length: 100 }, () =>
    system.spawn(async (context: BareContext) => {
      await Pool.checkout(context.to(pool), { timeoutMs: Number.POSITIVE_INFINITY })
      await context.receive()
    }),
  )
  await clock.settle()
  expect(await Pool.status(pool)).toEqual({ idle: 0, busy: 20, overflow: 0, waiting: 80 })
  const { workers, queue } = (await getState(pool)) as Record<string, Map<unknown, unknown>>
  const [ofWorkers, ofQueue] = [walked(workers as never), walked(queue as never)]

  for (const client of [...clients.slice(50), ...clients.slice(0, 50)]) {
    system.kill(client)
    await clock.settle()
  }

  // A worker that comes back goes to the first of the 30 that wait; the next, if any, gets none.
  expect([ofWorkers(), ofQueue()]).toEqual([0, 30 + 29])
  expect(await Pool.status(pool)).toEqual({ idle: 20, busy: 0, overflow: 0, waiting: 0 })
})
