/** A pool: its workers, those who wait for one, and what becomes of both when somebody ends. */
import { describe, expect, test } from 'vitest'
import {
  type AppContext,
  type BareContext,
  call,
  cast,
  type GenServer,
  Pool,
  type Ref,
  reply,
  resume,
  startSupervisor,
  supervisor,
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
  const { system, clock, log } = testSystem()
  const pool = await Pool.start(system, { server: worker, size: 2, ...options })
  const workers = () => system.processes().filter(({ label }) => label === 'pool worker')
  /** A process that checks a worker out and then waits. */
  const client = async () => {
    const got: unknown[] = []
    const ref = system.spawn(async (context: BareContext) => {
      const patiently = { timeoutMs: Number.POSITIVE_INFINITY }
      got.push(await Pool.checkout(context.to(pool), patiently))
      await context.receive()
    })
    await clock.settle()
    return { ref, got }
  }
  return { system, clock, log, pool, workers, client }
}

describe('a pool', () => {
  test('keeps a worker with its holder when the one before gives it back twice', async () => {
    const { pool, clock } = await world({ size: 1 })
    const first = await Pool.checkout(pool)
    Pool.checkin(pool, first)
    const second = await Pool.checkout(pool)
    Pool.checkin(pool, first)
    const third = outcome(Pool.checkout(pool, { block: false }))
    await clock.settle()

    expect(await third).toMatchObject({ error: { code: 'BUSY' } })
    Pool.checkin(pool, second)
    expect(await Pool.status(pool)).toMatchObject({ idle: 1, busy: 0 })
  })

  test('has its workers from the start, and hands each out to one client', async () => {
    const { pool, workers } = await world()
    expect(workers()).toHaveLength(2)
    const [a, b] = [await Pool.checkout(pool), await Pool.checkout(pool)]

    expect(a).not.toBe(b)
    expect(await call(a, 'echo', 'hello')).toBe('hello')
    expect(await Pool.status(pool)).toEqual({ idle: 0, busy: 2, overflow: 0, waiting: 0 })
    Pool.checkin(pool, a)
    Pool.checkin(pool, a) // twice is once
    expect(await Pool.status(pool)).toEqual({ idle: 1, busy: 1, overflow: 0, waiting: 0 })
    expect((await Pool.checkout(pool)).pid).toBe(a.pid)
  })

  test('gives a worker to those who wait in their order', async () => {
    const { pool } = await world({ size: 1 })
    const first = await Pool.checkout(pool)
    const order: string[] = []
    const second = Pool.checkout(pool).then((ref) => {
      order.push('second')
      return ref
    })
    const third = Pool.checkout(pool).then(() => order.push('third'))
    expect((await Pool.status(pool)).waiting).toBe(2)
    Pool.checkin(pool, first)
    Pool.checkin(pool, await second)
    await third
    expect(order).toEqual(['second', 'third'])
  })

  test('keeps no place for a client whose time is over, and loses no worker to it', async () => {
    const { pool, clock } = await world({ size: 1 })
    const first = await Pool.checkout(pool)
    const late = outcome(Pool.checkout(pool, { timeoutMs: 50 }))
    await clock.advance(50)
    expect(await late).toMatchObject({ ok: false, error: { code: 'TIMEOUT' } })
    expect((await Pool.status(pool)).waiting).toBe(0)
    Pool.checkin(pool, first)
    expect(await Pool.status(pool)).toMatchObject({ idle: 1, waiting: 0 })
  })

  test.each([null, { timeoutMs: 'soon' }, { block: 1 }, { blocks: true }])(
    'refuses the options %j of a client, and keeps its worker',
    async (wrong) => {
      const { pool } = await world({ size: 1 })
      const refused = { ok: false, error: { code: 'INVALID_ARGUMENT' } }

      expect(await outcome(Pool.checkout(pool, wrong as never))).toMatchObject(refused)
      expect(await outcome(Pool.transaction(pool, () => 1, wrong as never))).toMatchObject(refused)
      expect(await Pool.status(pool)).toMatchObject({ idle: 1, waiting: 0 })
    },
  )

  test('gives no worker to a client that stopped waiting just before', async () => {
    const { pool, clock } = await world({ size: 1 })
    const first = await Pool.checkout(pool)
    const late = outcome(Pool.checkout(pool, { timeoutMs: 50 }))
    await clock.settle()
    await suspend(pool)
    Pool.checkin(pool, first)
    await clock.advance(50)
    await resume(pool)
    expect(await late).toMatchObject({ ok: false })
    expect(await Pool.status(pool)).toEqual({ idle: 1, busy: 0, overflow: 0, waiting: 0 })
  })

  test('refuses who must not wait, and those beyond the bound of the queue', async () => {
    const { pool } = await world({ size: 1, queueMax: 1 })
    const first = await Pool.checkout(pool, { block: false })
    const busy = { code: 'BUSY' }
    await expect(Pool.checkout(pool, { block: false })).rejects.toMatchObject(busy)
    const waits = Pool.checkout(pool)
    await expect(Pool.checkout(pool)).rejects.toMatchObject(busy)
    Pool.checkin(pool, first)
    expect((await waits).pid).toBe(first.pid)
  })

  test('starts up to `maxOverflow` more while clients wait, and ends them afterwards', async () => {
    const { pool, clock, workers, log } = await world({ size: 1, maxOverflow: 2 })
    const all = await Promise.all([1, 2, 3].map(() => Pool.checkout(pool)))
    const waits = Pool.checkout(pool)
    expect(new Set(all).size).toBe(3)
    expect(await Pool.status(pool)).toEqual({ idle: 0, busy: 3, overflow: 2, waiting: 1 })
    Pool.checkin(pool, all[0] as Ref)
    const again = await waits
    expect(again.pid).toBe(all[0]?.pid)
    for (const each of [again, ...all.slice(1)]) Pool.checkin(pool, each)
    await clock.settle()
    expect(await Pool.status(pool)).toEqual({ idle: 1, busy: 0, overflow: 0, waiting: 0 })
    expect(workers()).toHaveLength(1)
    expect(log.lines).toEqual([])
  })

  test('takes the worker of a client that ends, and its place in the queue', async () => {
    const { system, pool, clock, client } = await world({ size: 1 })
    const [first, second, third] = [await client(), await client(), await client()]
    expect((await Pool.status(pool)).waiting).toBe(2)
    system.kill(second.ref)
    await clock.settle()
    expect((await Pool.status(pool)).waiting).toBe(1)
    system.kill(first.ref)
    await clock.settle()
    expect([second.got.length, third.got.length]).toEqual([0, 1])
    expect(String(third.got[0])).toBe(String(first.got[0]))
  })

  test('replaces a worker that ends, also one that is checked out', async () => {
    const { pool, clock, workers } = await world({ size: 1 })
    const first = await Pool.checkout(pool)
    const waits = Pool.checkout(pool)
    cast(first, 'crash')
    await clock.settle()
    const second = await waits
    expect(second).not.toBe(first)
    expect(await call(second, 'echo', 'here')).toBe('here')
    Pool.checkin(pool, first) // it is gone: no effect
    expect(await Pool.status(pool)).toEqual({ idle: 0, busy: 1, overflow: 0, waiting: 0 })
    expect(workers()).toHaveLength(1)
  })

  test('ends with its workers when more of them end than its intensity allows', async () => {
    const { system, pool, clock, workers } = await world({ size: 1, intensity: 1 })
    const reasons: unknown[] = []
    system.monitor(pool, (reason) => reasons.push(reason))
    for (let count = 0; count < 2; count++) {
      cast(await Pool.checkout(pool), 'crash')
      await clock.settle()
    }
    expect(reasons).toEqual(['shutdown'])
    expect(workers()).toEqual([])
    await expect(Pool.checkout(pool)).rejects.toMatchObject({ code: 'NO_PROCESS' })
  })

  test('with a back-off replaces its workers after longer and longer waits, and never gives up', async () => {
    let isAway = false
    const started: number[] = []
    const { pool, clock } = await world({
      ...{ size: 1, intensity: 0, backoff: { fromMs: 100, toMs: 400 } },
      server: {
        ...worker,
        init: (_, context) => {
          started.push(context.system.clock.monotonic())
          if (isAway) throw new Error('away')
          return null
        },
      },
    })
    isAway = true
    cast(await Pool.checkout(pool), 'crash')
    const waits = outcome(Pool.checkout(pool, { timeoutMs: 60_000 }))
    await clock.advance(5_000)
    const pauses = started.slice(1).map((at, index) => at - (started[index] as number))
    // Up to half of each pause is chance.
    for (const [at, longest] of [100, 200, 400, 400].entries()) {
      expect(pauses[at]).toBeLessThanOrEqual(longest)
      expect(pauses[at]).toBeGreaterThanOrEqual(longest / 2)
    }
    isAway = false
    await clock.advance(400)
    expect(await waits).toMatchObject({ ok: true })
    expect(() =>
      Pool.childSpec('pool', { server: worker, size: 1, backoff: { fromMs: 0, toMs: 1 } }),
    ).toThrow(expect.objectContaining({ code: 'CONFIG' }))
  })

  test('takes its workers along when it is killed, and answers those who wait', async () => {
    const { system, pool, clock } = await world({ size: 1 })
    await Pool.checkout(pool)
    const waits = outcome(Pool.checkout(pool))
    await clock.settle()
    system.kill(pool)
    await clock.settle()
    expect(await waits).toMatchObject({ ok: false, error: { code: 'EXITED' } })
    expect(system.processes()).toEqual([])
  })

  test('does not start when a worker does not, and leaves none', async () => {
    const { system, clock } = testSystem()
    let starts = 0
    const failing: GenServer<Record<never, never>, null> = {
      init: () => {
        if (++starts === 2) throw new Error('no more')
        return null
      },
    }
    const refused = Pool.start(system, { server: failing, size: 3 })
    await expect(refused).rejects.toMatchObject({ code: 'EXITED' })
    await clock.settle()
    expect([starts, system.processes()]).toEqual([2, []])
  })

  test('ends in order under its supervisor, workers first', async () => {
    const { system, clock } = testSystem()
    const ends: string[] = []
    const polite: GenServer<Record<never, never>, null> = {
      init: (_, context) => {
        context.trapExit(true)
        return null
      },
      terminate: (_, reason) => void ends.push(`worker ${reason}`),
    }
    const spec = Pool.childSpec('pool', { server: polite, size: 2 })
    await startSupervisor(system, supervisor('top', { strategy: 'one_for_one' }, [spec]))
    const pool = system.processes().find(({ label }) => label === 'pool')?.ref as Ref
    system.monitor(pool, (reason) => ends.push(`pool ${reason}`))
    await system.stop()
    await clock.settle()
    expect(ends).toEqual(['worker shutdown', 'worker shutdown', 'pool shutdown'])
  })

  test.each([
    [{ size: -1 }, 'pool.size'],
    [{ size: 0 }, 'pool.maxOverflow'],
    [{ maxOverflow: 1.5 }, 'pool.maxOverflow'],
    [{ queueMax: -1 }, 'pool.queueMax'],
    [{ server: undefined }, 'pool.server'],
    [{ sise: 1 }, 'pool.sise'],
  ])('with wrong options is refused: %j', (options, path) => {
    const make = () => Pool.childSpec('pool', { server: worker, size: 1, ...options } as never)
    expect(make).toThrow(expect.objectContaining({ code: 'CONFIG', details: expect.anything() }))
    expect(make).toThrow(expect.objectContaining({ details: expect.objectContaining({ path }) }))
  })
})

describe('a transaction', () => {
  test('gives the worker back, whether its work succeeds, throws or rejects', async () => {
    const { pool } = await world({ size: 1 })
    expect(await Pool.transaction(pool, (ref) => call(ref, 'echo', 'a'))).toBe('a')
    const thrown = Pool.transaction(pool, () => {
      throw new Error('thrown')
    })
    await expect(thrown).rejects.toThrow('thrown')
    await expect(Pool.transaction(pool, () => Promise.reject(new Error('b')))).rejects.toThrow('b')
    expect(await Pool.status(pool)).toMatchObject({ idle: 1, busy: 0 })
  })

  test('of a process that is killed gives the worker back, and is cut off from it', async () => {
    const { system, pool, clock } = await world({ size: 1 })
    const late: unknown[] = []
    let goOn = (): void => undefined
    const killed = system.spawn((context: BareContext) =>
      Pool.transaction(context.to(pool), async (ref) => {
        await new Promise<void>((resolve) => {
          goOn = resolve
        })
        late.push(cast(ref, 'crash'))
      }),
    )
    await clock.settle()
    system.kill(killed)
    await clock.settle()
    const ref = await Pool.checkout(pool, { block: false })
    goOn()
    await clock.settle()
    expect(late).toEqual([false])
    expect(await call(ref, 'echo', 'alive')).toBe('alive')
    expect(await Pool.status(pool)).toMatchObject({ idle: 0, busy: 1 })
  })
})

test('any number of clients and crashes leave a pool with its workers, and nobody waits', {
  tags: ['slow'],
}, async () => {
  for (let seed = 1; seed <= 20; seed++) {
    const { system, clock } = testSystem({ seed })
    const pool = await Pool.start(system, {
      ...{ server: worker, size: 2, maxOverflow: 2, intensity: 1_000 },
    })
    const done: unknown[] = []
    for (let count = 0; count < 30; count++)
      system.spawn(async (context: BareContext) => {
        const work = async (ref: Ref<Messages>) => {
          if (count % 5 === 0) cast(ref, 'crash')
          await context.sleep(count % 7)
          if (count % 6 === 0) throw new Error('client')
          return 'done'
        }
        done.push(await outcome(Pool.transaction(context.to(pool), work)))
      })
    await clock.advance(1_000)
    expect(done).toHaveLength(30)
    expect(await Pool.status(pool)).toEqual({ idle: 2, busy: 0, overflow: 0, waiting: 0 })
  }
})
