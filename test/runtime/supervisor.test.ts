import { describe, expect, test } from 'vitest'
import {
  type ChildSpec,
  call,
  cast,
  countChildren,
  createSystem,
  deleteChild,
  type GenServer,
  name,
  noReply,
  type Ref,
  reply,
  restartChild,
  type Strategy,
  type System,
  startChild,
  startDynamicChild,
  startDynamicSupervisor,
  startSupervisor,
  stop,
  supervisor,
  telemetry,
  terminateChild,
  whichChildren,
  worker,
} from '../../src/runtime/index.ts'
import { testSystem, virtualClock } from '../../src/testing/index.ts'

type Messages = { calls: { app: () => unknown }; casts: { crash: () => void } }

/** A child that tells what happens to it. */
const telling = (log: string[]): GenServer<Messages, string, string> => ({
  init: (id, context) => {
    context.trapExit(true)
    log.push(`+${id}`)
    return id
  },
  calls: { app: (id, _, { app }) => reply(app, id) },
  casts: {
    crash: () => {
      throw new Error('boom')
    },
  },
  exit: (id) => noReply(id),
  terminate: (id) => void log.push(`-${id}`),
})

const tree = async (strategy: Strategy, options: object = {}, children?: readonly ChildSpec[]) => {
  const { system, clock } = testSystem()
  const log: string[] = []
  const ids = children ?? ['a', 'b', 'c'].map((id) => worker(id, telling(log), id))
  const root = await startSupervisor(system, supervisor('root', { strategy, ...options }, ids))
  const child = async (id: string): Promise<Ref<Messages>> => {
    const found = (await whichChildren(root)).find((each) => each.id === id)
    if (found?.ref === undefined) throw new Error(`${id} does not run`)
    return found.ref as Ref<Messages>
  }
  return { system, clock, log, root, child }
}

describe('a supervisor', () => {
  test.each([
    ['one_for_one', ['-b', '+b']],
    ['rest_for_one', ['-b', '-c', '+b', '+c']],
    ['one_for_all', ['-b', '-c', '-a', '+a', '+b', '+c']],
  ] as const)('%s: after a crash in the middle, %j', async (strategy, expected) => {
    const { log, child, clock } = await tree(strategy)
    log.length = 0

    cast(await child('b'), 'crash')
    await clock.settle()

    expect(log).toEqual(expected)
  })

  test('counts and announces restarts, and gives up with shutdown', async () => {
    const { system, clock, child, root } = await tree('one_for_one', { intensity: 2 })
    const events: unknown[] = []
    system.events.on('process.restarted', ({ id, restarts }) => events.push([id, restarts]))
    system.events.on('supervisor.gave_up', ({ id }) => events.push(['gave up', id]))
    const ends: unknown[] = []
    system.monitor(root, (reason) => ends.push(reason))

    for (let crashes = 1; crashes <= 2; crashes++) {
      cast(await child('b'), 'crash')
      await clock.settle()
      expect(system.info(await child('b'))?.restarts).toBe(crashes)
    }
    cast(await child('b'), 'crash')
    await clock.settle()

    expect(events).toEqual([
      ['b', 1],
      ['b', 2],
      ['gave up', 'b'],
    ])
    expect(ends).toEqual(['shutdown'])
    expect(system.processes()).toEqual([])
  })

  test('tells the log how a child really ended that it found dead', async () => {
    const lines: string[] = []
    const write = (line: string): void => void lines.push(line)
    const clock = virtualClock()
    const system = createSystem({ clock, logger: { error: write, warn: write, info: write } })
    const spec = supervisor(
      'root',
      { strategy: 'one_for_all' },
      ['a', 'b'].map((id) => worker(id, telling([]), id)),
    )
    const root = await startSupervisor(system, spec)
    const refs = (await whichChildren(root)).map(({ ref }) => ref as Ref)

    for (const ref of refs) system.kill(ref)
    await clock.settle()

    expect(lines).toEqual(['a was ended: killed'])
    expect((await countChildren(root)).active).toBe(2)
  })

  test('forgets restarts that are older than its period', async () => {
    const { clock, child, root, system } = await tree('one_for_one', {
      intensity: 1,
      periodMs: 100,
    })

    for (let crashes = 0; crashes < 3; crashes++) {
      cast(await child('b'), 'crash')
      await clock.advance(101)
    }

    expect(system.info(root)).toBeDefined()
  })

  test('keeps a child that ignored its start, and starts it when asked', async () => {
    let isDown = true
    const part: ChildSpec = {
      id: 'part',
      restart: 'transient',
      start: (context) =>
        isDown ? { ignore: true } : context.startLinkResult(telling([]), 'part'),
    }
    const { root } = await tree('rest_for_one', {}, [part])
    expect(await whichChildren(root)).toMatchObject([{ id: 'part', status: 'stopped' }])

    isDown = false
    expect(await restartChild(root, 'part')).toMatchObject({ ok: true })
    expect(await restartChild(root, 'part')).toEqual({ ok: false, reason: 'running' })
  })

  test('hands app down to everything below, whatever is nearer first', async () => {
    const { root } = await tree('one_for_one', { app: 'outer' }, [
      worker('own', telling([]), 'own', { app: 'inner' }),
      supervisor('sub', { strategy: 'one_for_one' }, [
        worker('deep', telling([]), 'deep', { name: name<Messages>('deep') }),
      ]),
    ])
    const [sub, own] = await whichChildren(root)
    const [deep] = await whichChildren(sub?.ref as typeof root)

    expect(await call(own?.ref as Ref<Messages>, 'app')).toBe('inner')
    expect(await call(deep?.ref as Ref<Messages>, 'app')).toBe('outer')
  })

  test('ends a child that takes longer than its time, and waits for one with infinity', async () => {
    const ends: string[] = []
    const slow = (id: string): GenServer<{ infos: { wake: () => void } }, string> => ({
      init: (_, context) => {
        context.trapExit(true)
        return id
      },
      infos: { wake: (state) => noReply(state) },
      terminate: (_, __, { system }) =>
        new Promise((resolve) => {
          system.clock.after(10_000, () => {
            ends.push(id)
            resolve()
          })
        }),
    })
    const { system, clock, root } = await tree('one_for_one', {}, [
      worker('patient', slow('patient'), undefined, { shutdown: 'infinity' }),
      worker('hasty', slow('hasty'), undefined, { shutdownMs: 100 }),
    ])
    const reasons: unknown[] = []
    for (const { ref } of await whichChildren(root)) {
      if (ref !== undefined) system.monitor(ref, (reason) => reasons.push(reason))
    }

    const stopped = system.stop()
    await clock.advance(100)
    expect(reasons).toEqual(['killed'])
    await clock.advance(10_000)
    await stopped

    expect(reasons).toEqual(['killed', 'shutdown'])
    expect(ends).toContain('patient')
  })

  test('adds, ends, counts and forgets children', async () => {
    const { root, log } = await tree('one_for_one')
    const late = worker('late', telling(log), 'late')

    expect(await startChild(root, late)).toMatchObject({ ok: true })
    expect(await startChild(root, late)).toMatchObject({
      reason: ['already_started', expect.anything()],
    })
    expect(await deleteChild(root, 'late')).toEqual({ ok: false, reason: 'running' })
    expect(await terminateChild(root, 'late')).toEqual({ ok: true })
    expect(await countChildren(root)).toEqual({ specs: 4, active: 3, supervisors: 0, workers: 4 })
    expect(await deleteChild(root, 'late')).toEqual({ ok: true })
    expect(await deleteChild(root, 'late')).toEqual({ ok: false, reason: 'not_found' })
  })

  test('that cannot start leaves nothing behind and says which child failed', async () => {
    const { system } = testSystem()
    const log: string[] = []
    const refusing: GenServer<Messages, string, string> = {
      ...telling(log),
      init: () => {
        throw new Error('refused')
      },
    }
    const spec = supervisor('root', { strategy: 'one_for_one' }, [
      worker('a', telling(log), 'a'),
      worker('b', refusing, 'b'),
    ])

    await expect(startSupervisor(system, spec)).rejects.toMatchObject({
      code: 'EXITED',
      details: { reason: ['shutdown', ['failed_to_start_child', 'b', { message: 'refused' }]] },
    })
    expect(log).toEqual(['+a', '-a'])
    expect(system.processes()).toEqual([])
  })
})

describe('a wrong specification', () => {
  test.each([
    ['r.strategy', () => supervisor('r', {} as { strategy: Strategy }, [])],
    ['r.intensity', () => supervisor('r', { strategy: 'one_for_one', intensity: -1 }, [])],
    ['r.periodMs', () => supervisor('r', { strategy: 'one_for_one', periodMs: 0 }, [])],
    ['a.shutdown', () => worker('a', telling([]), 'a', { shutdownMs: -5 })],
    ['a.restart', () => worker('a', telling([]), 'a', { restart: 'sometimes' as 'permanent' })],
    ['id', () => worker('', telling([]), 'a')],
  ])('is refused where it is written, with the path %s', (path, make) => {
    expect(make).toThrow(
      expect.objectContaining({ code: 'CONFIG', details: expect.objectContaining({ path }) }),
    )
  })

  const child = worker('a', telling([]), 'a')
  const significant = { restart: 'transient', significant: true } as const
  const never = [
    ['auto_shutdown', 'never'],
    ['significant', true],
  ]

  test.each<[string, ChildSpec[], unknown]>([
    ['two of one id', [child, child], ['duplicate_child_name', 'a']],
    [
      'a significant one without auto-shutdown',
      [{ ...child, ...significant }],
      ['bad_combination', never],
    ],
    [
      'a permanent significant one, where none may be significant',
      [{ ...child, significant: true }],
      ['bad_combination', never],
    ],
    ['no id', [{ ...child, id: '' }], 'missing_id'],
    ['no start', [{ ...child, start: 7 as never }], ['invalid_mfa', 7]],
    ['an unknown restart', [{ ...child, restart: 'x' as never }], ['invalid_restart_type', 'x']],
    ['an unknown kind', [{ ...child, kind: 'x' as never }], ['invalid_child_type', 'x']],
    ['half a millisecond', [{ ...child, shutdown: 0.5 }], ['invalid_shutdown', 0.5]],
    [
      'a significance that is none',
      [{ ...child, significant: 1 as never }],
      ['invalid_significant', 1],
    ],
  ])('among children ends the supervisor before any starts: %s', async (_, children, fault) => {
    const log: string[] = []
    const { system } = testSystem()
    const first = worker('first', telling(log), 'first')
    const root = supervisor('r', { strategy: 'one_for_one' }, [first, ...children])

    await expect(startSupervisor(system, root)).rejects.toMatchObject({
      code: 'EXITED',
      details: { reason: ['start_spec', fault] },
    })
    expect(log).toEqual([])
    expect(system.processes()).toEqual([])
  })

  test('of startChild is answered with what is wrong, and the supervisor goes on', async () => {
    const { root } = await tree('one_for_one')
    const spec = worker('s', telling([]), 's', significant)

    const reason = ['bad_combination', never]
    expect(await startChild(root, spec)).toEqual({ ok: false, reason })
    expect((await countChildren(root)).specs).toBe(3)
  })

  test('of startDynamicChild is answered with what is wrong', async () => {
    const { system } = testSystem()
    const pool = await startDynamicSupervisor(system)

    const reason = ['invalid_shutdown', -1]
    const spec = { ...child, shutdown: -1 }
    expect(await startDynamicChild(pool, spec)).toEqual({ ok: false, reason })
    expect((await countChildren(pool)).specs).toBe(0)
  })
})

describe('a start function that answers no result of a start', () => {
  const alike = { ok: true, ref: { pid: 1, name: undefined } }

  test.each([undefined, null, 'started', {}, { ok: true }, { ok: 'yes' }, alike])(
    '%j, is a failed start, and its supervisor goes on',
    async (answer) => {
      const { system, clock, root, child } = await tree('one_for_one')
      const spec: ChildSpec = { id: 'odd', start: () => answer as never }

      const reason = ['bad_return_value', answer]
      expect(await startChild(root, spec)).toEqual({ ok: false, reason: [reason, spec] })
      const dynamic = await startDynamicSupervisor(system)
      expect(await startDynamicChild(dynamic, spec)).toEqual({ ok: false, reason })
      await clock.settle()

      expect(system.info(dynamic)).toBeDefined()
      expect(await call(await child('a'), 'app')).toBeUndefined()
      expect(await whichChildren(root)).toHaveLength(3)
    },
  )

  test('keeps its supervisor from starting', async () => {
    const { system } = testSystem()
    const odd: ChildSpec = { id: 'odd', start: () => undefined as never }

    await expect(
      startSupervisor(system, supervisor('root', { strategy: 'one_for_one' }, [odd])),
    ).rejects.toMatchObject({
      code: 'EXITED',
      details: {
        reason: ['shutdown', ['failed_to_start_child', 'odd', ['bad_return_value', undefined]]],
      },
    })
  })
})

describe('the reason why a child was not started again', () => {
  /** Starts once; every later start fails with the next reason. */
  const failing = (reasons: unknown[]): GenServer<Messages, null> => {
    let hasStarted = false
    return {
      init: () => {
        if (hasStarted) return stop(reasons.shift())
        hasStarted = true
        return null
      },
      calls: { app: (state) => reply(undefined, state) },
      casts: { crash: () => stop('crashed', null) },
    }
  }
  const told = async (begin: (spec: ChildSpec, system: System) => Promise<unknown>) => {
    const { system, clock, log } = testSystem()
    const gaveUp: unknown[] = []
    telemetry(system).on('supervisor.gave_up', ({ id, reason }) => void gaveUp.push([id, reason]))
    const named = name<Messages>('it')
    await begin(worker('it', failing(['first', 'second']), undefined, { name: named }), system)
    cast(system.to(named), 'crash')
    await clock.settle()
    const errors = log.lines.filter(({ level, facts }) => level === 'error' && facts?.id === 'it')
    return { gaveUp, errors: errors.map(({ facts }) => facts?.reason) }
  }

  test('is logged each time, and is what its supervisor gives up for', async () => {
    const options = { strategy: 'one_for_one', intensity: 2 } as const
    expect(
      await told((spec, system) => startSupervisor(system, supervisor('top', options, [spec]))),
    ).toEqual({ gaveUp: [['it', 'second']], errors: ['first', 'second', 'second'] })
  })

  test('is so under a dynamic supervisor, too', async () => {
    expect(
      await told(async (spec, system) =>
        startDynamicChild(await startDynamicSupervisor(system, { intensity: 2 }), spec),
      ),
    ).toEqual({ gaveUp: [['it', 'second']], errors: ['first', 'second', 'second'] })
  })
})

test.each([null, undefined, 5, {}])(
  'what is no specification (%j) is answered by any supervisor, which goes on',
  async (spec) => {
    const { system } = testSystem()
    const reason = expect.objectContaining({ ok: false })
    const top = await startSupervisor(system, supervisor('top', { strategy: 'one_for_one' }, []))
    const dynamic = await startDynamicSupervisor(system)
    expect(await startChild(top, spec as never)).toEqual(reason)
    expect(await startDynamicChild(dynamic, spec as never)).toEqual(reason)
    expect(await countChildren(dynamic)).toMatchObject({ specs: 0 })
  },
)
