/** A supervisor starts, restarts, ends and counts its children as OTP’s does. */
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
  restartChild,
  startChild,
  startSupervisor,
  supervisor,
  terminateChild,
  whichChildren,
  worker,
} from '../../../src/runtime/index.ts'
import { testSystem, virtualClock } from '../../../src/testing/index.ts'
import { type Messages, telling, tree } from './telling-children.ts'

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
    const system = createSystem({ clock, logger: { error: write, warn: () => {}, info: write } })
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

  test('hands app down to everything below; the nearest value wins', async () => {
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

  test('answers a start that failed because of a taken name with the specification (OTP)', async () => {
    const { system } = testSystem()
    const root = await startSupervisor(system, supervisor('root', { strategy: 'one_for_one' }, []))
    const holder = system.spawn((context) => context.receive(), { name: 'taken' as never })
    const spec = worker('a', { init: () => null }, undefined, { name: 'taken' as never })
    expect(await startChild(root, spec)).toEqual({
      ok: false,
      reason: [['already_started', holder], spec],
    })
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
