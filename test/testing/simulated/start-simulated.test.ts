/** `startSimulated` as users call it: a whole instance that loses its power, its process and its disk, and what survives. */
import { describe, expect, test } from 'vitest'
import {
  call,
  cast,
  type GenServer,
  type Name,
  noReply,
  reply,
} from '../../../src/runtime/index.ts'
import { supervisor, worker } from '../../../src/supervisors/index.ts'
import {
  changingOperations,
  outcome,
  type Simulation,
  startSimulated,
} from '../../../src/testing/index.ts'
import { seedsOf } from '../../support/tier.ts'

type CounterMessages = { calls: { add: (by: number) => number } }

const counterName = 'counter' as Name<CounterMessages>

const codeOf = async (work: Promise<unknown>): Promise<string> => {
  const came = await outcome(work)
  return came.ok ? 'ok' : ((came.error as { code?: string }).code ?? String(came.error))
}

const put = (simulation: Simulation, key: string, value: unknown) =>
  simulation.during(simulation.app.store.put(key, value))

describe('a simulated instance', () => {
  test('starts, stores, closes in order and finds its values again', async () => {
    const simulation = await startSimulated({ shards: 2 })
    await put(simulation, 'a', 1)
    await simulation.close()
    expect(() => simulation.app).toThrow(expect.objectContaining({ code: 'CLOSED' }))

    const app = await simulation.start()

    expect(app.store.get('a')).toBe(1)
    await simulation.close()
    expect(simulation.clock.untilNext()).toBeUndefined()
  })

  test('runs the tree of the user, on virtual time', async () => {
    const counter: GenServer<CounterMessages, number> = {
      init: () => 0,
      calls: { add: (count: number, by: number) => reply(count + by, count + by) },
    }
    const simulation = await startSimulated({
      app: supervisor('app', {}, [worker('counter', { server: counter })]),
    })

    expect(await call(simulation.system.to(counterName), 'add', 2)).toBe(2)
    await simulation.close()
  })

  test.each(['kill', 'powerCut'] as const)(
    'runs nothing of the user after %s: no message that waits, and no terminate',
    async (how) => {
      const ran: string[] = []
      type Messages = { casts: { note: (what: string) => void } }
      const server: GenServer<Messages, null> = {
        init: (_, context) => {
          context.trapExit(true)
          return null
        },
        casts: {
          note: (state, what) => {
            ran.push(what)
            return noReply(state)
          },
        },
        terminate: () => void ran.push('terminate'),
      }
      const simulation = await startSimulated({ app: supervisor('app', {}, [worker('w', server)]) })
      cast(simulation.system.to('w' as Name<Messages>), 'note', 'sent before')
      await simulation[how]()
      expect(ran).toEqual([])
      await simulation.start()
      await simulation.close()
      expect(ran).toEqual(['terminate'])
    },
  )

  test('is the same run for the same seed, and another one for another', {
    tags: ['slow'],
  }, async () => {
    const story = async (seed: number): Promise<string> => {
      const simulation = await startSimulated({ seed, shards: 2 })
      const record = simulation.disk.recordCalls()
      const writes = Array.from({ length: 20 }, (_, at) =>
        codeOf(simulation.app.store.put(`k${at}`, at)),
      )
      await simulation.advance(1)
      await simulation.powerCut()
      const codes = await Promise.all(writes)
      const app = await simulation.start()
      const found = app.store.getMany(Array.from({ length: 20 }, (_, at) => `k${at}`))
      await simulation.close()
      return JSON.stringify([codes, found, record])
    }

    expect(await story(3)).toBe(await story(3))
    const others = await Promise.all([4, 5, 6, 7].map(story))
    expect(new Set([await story(3), ...others]).size).toBeGreaterThan(1)
  })

  test.each(seedsOf(2, 100))(
    'with seed %d keeps what it acknowledged, in whatever call the power goes',
    async (seed) => {
      for (let at = 1; ; at += 1 + (seed % 5)) {
        const simulation = await startSimulated({ seed })
        simulation.disk.inject({ at, operation: changingOperations, fault: { kind: 'halt' } })
        const { store } = simulation.app
        const writes = Promise.all([
          codeOf(store.put('a', 'whole')),
          codeOf(store.put('b', 'x'.repeat(3_000))),
        ])
        const [a, b] = await simulation.during(writes)
        await simulation.powerCut()
        const app = await simulation.start()
        expect(a === 'ok' ? ['whole'] : ['whole', undefined]).toContain(app.store.get('a'))
        if (b === 'ok') expect(app.store.get('b')).toHaveLength(3_000)
        await simulation.close()
        if (a === 'ok' && b === 'ok') break
      }
    },
  )
})

describe('a power cut', () => {
  test('settles each call that was under way, and takes what was not synced', async () => {
    const simulation = await startSimulated({ syncMs: 50 })
    await put(simulation, 'a', 1)
    const under = codeOf(simulation.app.store.put('b', 2))
    await simulation.advance(1)

    await simulation.powerCut({ unsynced: 'lost' })

    expect(await under).toMatch(/^(UNKNOWN_OUTCOME|NOT_SUBMITTED|CLOSED)$/)
    expect((await simulation.start()).store.get('a')).toBe(1)
    await simulation.close()
  })

  test('leaves nothing of the instance that would still run', async () => {
    const simulation = await startSimulated()
    void codeOf(simulation.app.store.put('a', 1))
    const { system } = simulation

    await simulation.powerCut()

    expect(system.processes()).toEqual([])
    const { calls } = simulation.disk
    await simulation.advance(60_000)
    expect(simulation.disk.calls).toBe(calls)
  })
})

describe('the death of the process', () => {
  test('loses nothing that was written, and gives the folder free', async () => {
    const simulation = await startSimulated()
    await put(simulation, 'a', 1)
    expect(await codeOf(simulation.start())).toBe('LOCKED_DIR')

    await simulation.kill()

    expect((await simulation.start()).store.get('a')).toBe(1)
    await simulation.close()
  })
})

describe('the disk of a simulated instance', () => {
  test('fails at a call: the shard goes down with a code, and a reopening brings all back', async () => {
    const simulation = await startSimulated()
    await put(simulation, 'a', 1)
    simulation.disk.inject({ at: 1, operation: 'sync', path: '/wal/', fault: { kind: 'error' } })

    expect(await codeOf(put(simulation, 'b', 2))).toBe('UNKNOWN_OUTCOME')
    expect(await codeOf(put(simulation, 'c', 3))).toBe('SHARD_DOWN')
    await simulation.during(simulation.app.control.reopen(0))
    expect(await codeOf(put(simulation, 'c', 3))).toBe('ok')
    expect(simulation.app.store.get('a')).toBe(1)
    await simulation.close()
  })

  test('is full: writes are refused with NO_SPACE, and go on when there is room', async () => {
    const simulation = await startSimulated({ capacityBytes: 1024 * 1024 })
    const { disk } = simulation
    const codes = new Set<string>()
    for (let at = 0; at < 80; at++)
      codes.add(await codeOf(put(simulation, `${at}`, 'x'.repeat(20_000))))
    expect(codes).toContain('NO_SPACE')

    disk.capacityBytes = Number.POSITIVE_INFINITY
    await simulation.close()
    await simulation.start()
    expect(await codeOf(put(simulation, 'again', 1))).toBe('ok')
    await simulation.close()
  })

  test('is slow while `syncMs` is large', async () => {
    const simulation = await startSimulated()
    simulation.syncMs = 2_000
    const slow = simulation.app.store.put('a', 1)
    await simulation.advance(1_900)
    expect(simulation.app.store.get('a')).toBeUndefined()

    await simulation.during(slow)

    expect(simulation.app.store.get('a')).toBe(1)
    await simulation.close()
  })

  test('rots: a start on a damaged log is refused with CORRUPT, and changes nothing', async () => {
    const simulation = await startSimulated()
    for (const key of 'abcdef') await put(simulation, key, key.repeat(600))
    await simulation.close()
    const { disk } = simulation
    const [segment = ''] = disk.list('/data/shard-0/wal').filter((name) => name.endsWith('.wal'))
    disk.flipBit(`/data/shard-0/wal/${segment}`, (4096 + 100) * 8)
    simulation.projections.remove('/data/shard-0/lmdb')

    expect(await codeOf(simulation.start())).toBe('CORRUPT')
  })
})

describe('what is refused', () => {
  test.each([
    ['seed', { seed: 1.5 }],
    ['syncMs', { syncMs: -1 }],
    ['syncMs', { syncMs: Number.POSITIVE_INFINITY }],
    ['capacityBytes', { capacityBytes: Number.NaN }],
    ['shards', { shards: 0 }],
    ['nope', { nope: 1 }],
    ['dir', { dir: '/elsewhere' }],
    ['system', { system: {} }],
  ])('%s: CONFIG', async (path, options) => {
    const came = await outcome(startSimulated(options as object))
    expect(came).toMatchObject({ ok: false, error: { code: 'CONFIG' } })
    expect(came.ok ? '' : (came.error as { details: { path: string } }).details.path).toContain(
      path,
    )
  })

  test.each([
    [{ at: 0, fault: { kind: 'error' } }],
    [{ at: 1, times: 0, fault: { kind: 'error' } }],
    [{ at: 1, operation: 'fly', fault: { kind: 'error' } }],
    [{ at: 1, operation: ['sync', 'fly'], fault: { kind: 'error' } }],
    [{ at: 1, path: 7, fault: { kind: 'error' } }],
    [{ at: 1, fault: { kind: 'explode' } }],
    [{ at: 1, fault: { kind: 'short', bytes: -1 } }],
    [{ at: 1, fault: { kind: 'misdirected', offset: 0.5 } }],
    [{ at: 1 }],
  ])('the fault %j: INVALID_ARGUMENT, and nothing is planned', async (plan) => {
    const simulation = await startSimulated()
    expect(() => simulation.disk.inject(plan as never)).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    )
    expect(await codeOf(put(simulation, 'a', 1))).toBe('ok')
    await simulation.close()
  })

  test('a wait for what never comes: TIMEOUT', async () => {
    const simulation = await startSimulated()
    const never = new Promise(() => undefined)
    expect(await codeOf(simulation.during(never, { withinMs: 100 }))).toBe('TIMEOUT')
    expect(await simulation.during(7)).toBe(7)
    await simulation.close()
  })
})

test('a call that nobody answers ends with the process', async () => {
  const silent: GenServer<{ calls: { ask: () => number } }, null> = {
    init: () => null,
    calls: { ask: (state) => noReply(state) },
  }
  const simulation = await startSimulated()
  const ref = await simulation.system.start(silent, undefined)
  const asked = codeOf(call(ref, 'ask'))

  await simulation.kill()

  expect(await asked).toBe('EXITED')
})
