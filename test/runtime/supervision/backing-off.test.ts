/** A child with a back-off waits before each restart, and spends no intensity. */
import { describe, expect, test } from 'vitest'
import {
  type Messages as AnyMessages,
  type ChildSpec,
  cast,
  deleteChild,
  type GenServer,
  noReply,
  type Ref,
  type RestartOption,
  restartChild,
  resume,
  startDynamicChild,
  startDynamicSupervisor,
  startSupervisor,
  stopProcess,
  supervisor,
  suspend,
  TaskSupervisor,
  terminateChild,
  terminateDynamicChild,
  whichChildren,
  worker,
} from '../../../src/runtime/index.ts'
import type { Process } from '../../../src/runtime/process/process.ts'
import { addressOf } from '../../../src/runtime/words/address.ts'
import * as data from '../../../src/supervisors/users-tree/app-tree.ts'
import * as trees from '../../../src/supervisors/users-tree/child-tree.ts'
import { testSystem } from '../../../src/testing/index.ts'
import { telling, tree } from './telling-children.ts'

const backoff = { fromMs: 100, toMs: 800 }
const slowly: RestartOption = { type: 'permanent', backoff }

/** A supervisor that may restart nothing, over a child `a` with a back-off. */
const alone = async (restart: RestartOption = slowly) => {
  const log: string[] = []
  const stage = await tree('one_for_one', { intensity: 0 }, [
    worker('a', telling(log), 'a', { restart }),
  ])
  return { ...stage, log, crash: async () => crash(stage, 'a') }
}

type Stage = Awaited<ReturnType<typeof tree>>

const crash = async ({ child, clock }: Pick<Stage, 'child' | 'clock'>, id: string) => {
  cast(await child(id), 'crash')
  await clock.settle()
}

const statuses = async (root: Stage['root']) =>
  Object.fromEntries((await whichChildren(root)).map(({ id, status }) => [id, status]))

/** The waits that the supervisors of a System announce. */
const waitsOf = ({ system }: Pick<Stage, 'system'>): { row: number; waitMs: number }[] => {
  const waits: { row: number; waitMs: number }[] = []
  system.events.on('supervisor.backed_off', ({ row, waitMs }) => waits.push({ row, waitMs }))
  return waits
}

describe('a child with a back-off that dies', () => {
  test('is restarting until its wait is over, and then runs', async () => {
    const { root, clock, crash, log } = await alone()
    await crash()
    await clock.advance(49)
    expect(await statuses(root)).toEqual({ a: 'restarting' })
    expect(log).toEqual(['+a', '-a'])
    await clock.advance(51)
    expect(await statuses(root)).toEqual({ a: 'running' })
    expect(log).toEqual(['+a', '-a', '+a'])
  })

  test('waits twice as long each time, up to its longest time, and spends no intensity', async () => {
    const stage = await alone()
    const waits = waitsOf(stage)
    for (let each = 0; each < 6; each++) {
      await stage.crash()
      // The wait, and less than 800 ms of life.
      await stage.clock.advance(800)
    }
    expect(waits.map(({ row }) => row)).toEqual([1, 2, 3, 4, 5, 6])
    for (const [at, fullMs] of [100, 200, 400, 800, 800, 800].entries()) {
      expect(waits[at]?.waitMs).toBeGreaterThanOrEqual(fullMs / 2)
      expect(waits[at]?.waitMs).toBeLessThanOrEqual(fullMs)
    }
    expect(await statuses(stage.root)).toEqual({ a: 'running' })
  })

  test('begins a new row when it has run for its longest wait', async () => {
    const stage = await alone()
    const waits = waitsOf(stage)
    await stage.crash()
    await stage.clock.advance(100)
    await stage.crash()
    const [, second] = waits
    await stage.clock.advance((second?.waitMs ?? 0) + 800)
    await stage.crash()
    expect(waits.map(({ row }) => row)).toEqual([1, 2, 1])
  })

  test('waits for a time drawn from the random source of the System', async () => {
    const [one, same] = [await alone(), await alone()]
    const waits = [one, same].map(waitsOf)
    await one.crash()
    await same.crash()
    expect(waits[0]).toEqual(waits[1])
    await one.clock.advance(800)
    await one.crash()
    expect(waits[0]?.[1]?.waitMs).not.toBe(2 * (waits[0]?.[0]?.waitMs ?? 0))
  })

  test('is not restarted after an orderly end if it is transient', async () => {
    const { root, system, child, clock } = await alone({ type: 'transient', backoff })
    system.exit(await child('a'), 'kill')
    await clock.advance(100)
    expect(await statuses(root)).toEqual({ a: 'running' })
    await stopProcess(await child('a'))
    await clock.advance(10_000)
    expect(await statuses(root)).toEqual({ a: 'stopped' })
  })
})

test('a failed restart backs off too, and the restarts of its siblings are not spent', async () => {
  let isAway = false
  const flaky: GenServer<AnyMessages, null> = {
    init: () => {
      if (isAway) throw new Error('away')
      return null
    },
  }
  const stage = await tree('one_for_one', { intensity: 0 }, [
    worker('a', flaky, undefined, { restart: { backoff } }),
  ])
  const waits = waitsOf(stage)
  isAway = true
  stage.system.kill(await stage.child('a'))
  await stage.clock.advance(10_000)
  expect(waits.length).toBeGreaterThan(10)
  expect(await statuses(stage.root)).toEqual({ a: 'restarting' })
  isAway = false
  await stage.clock.advance(800)
  expect(await statuses(stage.root)).toEqual({ a: 'running' })
})

test('a wait is announced and logged, but not logged while its supervisor ends', async () => {
  const { system, log, settle, advance } = testSystem()
  const root = await startSupervisor(
    system,
    supervisor('root', { strategy: 'one_for_one' }, [
      worker('a', telling([]), 'a', { restart: slowly, name: 'a' as never }),
    ]),
  )
  const waits: unknown[] = []
  system.events.on('supervisor.backed_off', (event) => waits.push(event))
  const warnings = () => log.lines.filter(({ message }) => message.includes('starts again'))
  system.kill('a' as never)
  await settle()

  const facts = { id: 'a', waitMs: expect.any(Number) }
  expect(waits).toMatchObject([{ pid: root.pid, ...facts, row: 1, reason: 'killed' }])
  const [line] = warnings()
  expect(line?.level).toBe('warn')
  expect(line?.message).toMatch(/^root: a starts again in \d+ ms$/)
  expect(line?.facts).toEqual(facts)

  const { process } = addressOf<Process>(root)
  process?.requestShutdown()
  await advance(100)
  system.kill('a' as never)
  await settle()
  expect([waits.length, warnings().length]).toEqual([2, 1])
})

describe('among children that restart together', () => {
  /** `a`, `b` with a back-off, `c`. */
  const three = async (strategy: 'rest_for_one' | 'one_for_all') => {
    const log: string[] = []
    const specs = ['a', 'b', 'c'].map((id) =>
      worker(id, telling(log), id, id === 'b' ? { restart: slowly } : {}),
    )
    const stage = await tree(strategy, { intensity: 1 }, specs)
    log.length = 0
    return { ...stage, log }
  }

  test.each([
    ['rest_for_one', ['-b', '-c'], ['+b', '+c'], 'running'],
    ['one_for_all', ['-b', '-c', '-a'], ['+a', '+b', '+c'], 'stopped'],
  ] as const)(
    '%s: the others end at once, and start with it',
    async (strategy, ends, starts, a) => {
      const stage = await three(strategy)
      await crash(stage, 'b')
      expect(stage.log).toEqual(ends)
      expect(await statuses(stage.root)).toEqual({ a, b: 'restarting', c: 'stopped' })
      stage.log.length = 0
      await stage.clock.advance(100)
      expect(stage.log).toEqual(starts)
    },
  )

  test('rest_for_one: it starts at once with one before it that dies meanwhile', async () => {
    const stage = await three('rest_for_one')
    await crash(stage, 'b')
    stage.log.length = 0
    await crash(stage, 'a')
    expect(stage.log).toEqual(['-a', '+a', '+b', '+c'])
    await stage.clock.advance(10_000)
    expect(stage.log).toEqual(['-a', '+a', '+b', '+c'])
  })

  test('a start that fails within the restart of another backs off', async () => {
    const log: string[] = []
    let isAway = false
    const specs: ChildSpec[] = [
      worker('a', telling(log), 'a'),
      worker('b', { init: () => (isAway ? Promise.reject(new Error('away')) : null) }, undefined, {
        restart: slowly,
      }),
      worker('c', telling(log), 'c'),
    ]
    const stage = await tree('rest_for_one', { intensity: 1 }, specs)
    isAway = true
    await crash(stage, 'a')
    expect(await statuses(stage.root)).toEqual({ a: 'running', b: 'restarting', c: 'stopped' })
    isAway = false
    await stage.clock.advance(100)
    expect(await statuses(stage.root)).toEqual({ a: 'running', b: 'running', c: 'running' })
  })
})

test('a wait that is over, but late in the mailbox, starts nothing for a later one', async () => {
  let starts = 0
  const flaky: GenServer<AnyMessages, null> = {
    init: () => (starts++ === 0 ? null : Promise.reject(new Error('away'))),
  }
  const specs = [worker('a', telling([]), 'a'), worker('b', flaky, undefined, { restart: slowly })]
  const stage = await tree('rest_for_one', { intensity: 1 }, specs)
  stage.system.kill(await stage.child('b'))
  await stage.clock.settle()
  // Its wait ends while the supervisor is held, behind the end of `a`, which starts `b` too.
  const a = await stage.child('a')
  await suspend(stage.root)
  stage.system.kill(a)
  await stage.clock.advance(100)
  await resume(stage.root)
  await stage.clock.settle()
  expect([starts, await statuses(stage.root)]).toEqual([2, { a: 'running', b: 'restarting' }])
})

describe('while a child backs off', () => {
  test('it can be terminated at once, and is started by hand only', async () => {
    const { root, clock, crash, log } = await alone()
    await crash()
    expect(await terminateChild(root, 'a')).toEqual({ ok: true })
    expect(await statuses(root)).toEqual({ a: 'stopped' })
    await clock.settle()
    expect(clock.untilNext()).toBeUndefined()
    expect(log).toEqual(['+a', '-a'])
    expect(await restartChild(root, 'a')).toMatchObject({ ok: true })
    expect(log).toEqual(['+a', '-a', '+a'])
  })

  test('restartChild and deleteChild are refused', async () => {
    const { root, crash } = await alone()
    await crash()
    const refusal = { ok: false, reason: 'restarting' }
    expect(await restartChild(root, 'a')).toEqual(refusal)
    expect(await deleteChild(root, 'a')).toEqual(refusal)
  })

  test('its supervisor ends at once, and nothing starts later', async () => {
    const { system, clock, crash, log } = await alone()
    await crash()
    await system.stop()
    await clock.advance(10_000)
    expect([log, system.processes()]).toEqual([['+a', '-a'], []])
    expect(clock.untilNext()).toBeUndefined()
  })
})

test('a significant child that backs off counts as one that runs', async () => {
  const significant = { significant: true } as const
  const stage = await tree('one_for_one', { autoShutdown: 'all_significant' }, [
    worker('a', telling([]), 'a', { ...significant, restart: { type: 'transient', backoff } }),
    worker('b', telling([]), 'b', { ...significant, restart: 'temporary' }),
  ])
  await crash(stage, 'a')
  await stopProcess(await stage.child('b'))
  expect(await statuses(stage.root)).toEqual({ a: 'restarting' })
  await stage.clock.advance(100)
  await stopProcess(await stage.child('a'))
  await stage.clock.settle()
  expect(stage.system.info(stage.root)).toBeUndefined()
})

test('a child has the ref of its last process while it backs off, and none once it is ended by hand', async () => {
  const { root, child, crash } = await alone()
  const ref = await child('a')
  await crash()
  expect(await whichChildren(root)).toEqual([
    { id: 'a', ref, status: 'restarting', kind: 'worker' },
  ])
  await terminateChild(root, 'a')
  expect(await whichChildren(root)).toEqual([
    { id: 'a', ref: undefined, status: 'stopped', kind: 'worker' },
  ])
})

describe('a child of a dynamic supervisor', () => {
  const dynamic = async () => {
    const { system, clock } = testSystem()
    const root = await startDynamicSupervisor(system, { intensity: 0 })
    const log: string[] = []
    const started = await startDynamicChild(
      root,
      worker('a', telling(log), 'a', { restart: slowly }),
    )
    return { system, clock, root, log, ref: started.ref as Ref }
  }

  test('backs off, and spends no intensity', async () => {
    const { system, clock, root, log, ref } = await dynamic()
    system.kill(ref)
    await clock.advance(49)
    expect(await whichChildren(root)).toMatchObject([{ status: 'restarting', ref }])
    await clock.advance(51)
    expect(await whichChildren(root)).toMatchObject([{ status: 'running' }])
    expect(log).toEqual(['+a', '+a'])
  })

  test('is terminated at once while it backs off, by the ref of its last process', async () => {
    const { system, clock, root, log, ref } = await dynamic()
    system.kill(ref)
    await clock.settle()
    expect(await terminateDynamicChild(root, ref)).toBe(true)
    await clock.advance(10_000)
    expect([await whichChildren(root), log]).toEqual([[], ['+a']])
  })

  test('does not start after the end of its supervisor', async () => {
    const { system, clock, log, ref } = await dynamic()
    system.kill(ref)
    await clock.settle()
    await system.stop()
    await clock.advance(10_000)
    expect([log, system.processes(), clock.untilNext()]).toEqual([['+a'], [], undefined])
  })

  test('waits once if it pretends its end and then dies', async () => {
    const { system, clock } = testSystem()
    const root = await startDynamicSupervisor(system, { intensity: 0 })
    const waits = waitsOf({ system })
    const pretender: GenServer<{ casts: { pretend: () => void } }, null> = {
      init: () => null,
      casts: {
        pretend: (state, _, context) => {
          context.exit(root, 'pretended')
          return noReply(state)
        },
      },
    }
    const spec = worker('a', pretender, undefined, { restart: slowly })
    const { ref } = await startDynamicChild(root, spec)
    cast(ref as Ref<{ casts: { pretend: () => void } }>, 'pretend')
    await clock.settle()
    system.kill(ref as Ref)
    await clock.settle()
    expect(waits.map(({ row }) => row)).toEqual([1])
  })

  test('that is a task is not listed among the running tasks meanwhile', async () => {
    const { system, clock } = testSystem()
    const root = await startDynamicSupervisor(system, { intensity: 0 })
    let runs = 0
    const task = async () => {
      if (++runs === 1) throw new Error('first')
      await new Promise(() => undefined)
    }
    await TaskSupervisor.startChild(root, task, { restart: { type: 'transient', backoff } })
    await clock.settle()
    expect(await TaskSupervisor.children(root)).toEqual([])
    await clock.advance(100)
    expect(await TaskSupervisor.children(root)).toHaveLength(1)
  })
})

describe('a back-off', () => {
  test.each([
    [{ backoff: { fromMs: 0, toMs: 5 } }],
    [{ backoff: { fromMs: 6, toMs: 5 } }],
    [{ backoff: { fromMs: 1.5, toMs: 5 } }],
    [{ backoff: { fromMs: 1 } }],
    [{ backoff: { fromMs: 1, toMs: 5, factor: 2 } }],
    [{ type: 'temporary', backoff }],
    [{ type: 'permanent' }],
    [{ backoff, jitter: true }],
    [null],
  ])('is refused where it is written: %j', (restart) => {
    expect(() => worker('a', telling([]), 'a', { restart: restart as never })).toThrow(
      expect.objectContaining({
        code: 'CONFIG',
        details: expect.objectContaining({ path: 'a.restart' }),
      }),
    )
  })

  test('of a permanent child does not make it significant', async () => {
    const { system } = testSystem()
    const spec = worker('a', telling([]), 'a', { restart: slowly, significant: true })
    const root = supervisor('root', { strategy: 'one_for_one', autoShutdown: 'any_significant' }, [
      spec,
    ])
    await expect(startSupervisor(system, root)).rejects.toMatchObject({ code: 'EXITED' })
  })

  test('may be written in a tree as data, and is refused there with its path', async () => {
    const { system, clock } = testSystem()
    const log: string[] = []
    const part = (restart: unknown) =>
      data.supervisor('top', { intensity: 0 }, [
        data.worker('a', telling(log) as object as never, { arg: 'a', restart } as never),
      ])
    const root = await trees.startSupervisor(system, part(JSON.parse(JSON.stringify(slowly))))
    system.kill('a' as never)
    await clock.settle()
    expect(await statuses(root)).toEqual({ a: 'restarting' })
    await clock.advance(100)
    expect(log).toEqual(['+a', '+a'])
    await expect(trees.startSupervisor(system, part({ backoff: 5 }))).rejects.toMatchObject({
      code: 'CONFIG',
      details: { path: 'top.children[0].options.restart' },
    })
  })
})
