import { describe, expect, test, vi } from 'vitest'
import {
  type AppTree,
  type BareContext,
  call,
  countChildren,
  type GenServer,
  isKeelsonError,
  name,
  noReply,
  type Ref,
  Registry,
  reply,
  startChild,
  startDynamicChild,
  startDynamicSupervisor,
  startSupervisor,
  supervisor,
  via,
  whichChildren,
  worker,
} from '../../../src/index.ts'
import { checkAppTree } from '../../../src/supervisors/index.ts'
import { outcome, testSystem } from '../../../src/testing/index.ts'

type Counter = { calls: { add: (by: number) => number }; casts: { fail: () => void } }

const counter: GenServer<Counter, number, number> = {
  init: (from) => from,
  calls: { add: (count, by) => reply(count + by, count + by) },
  casts: {
    fail: () => {
      throw new Error('boom')
    },
  },
}

const idle: GenServer<{ casts: { nothing: () => void } }, null> = {
  init: () => null,
  casts: { nothing: () => noReply(null) },
}

const codeOf = (act: () => unknown) => {
  try {
    act()
  } catch (error) {
    return isKeelsonError(error) ? [error.code, error.details.path] : error
  }
  return 'ok'
}

describe('ids', () => {
  /** A supervisor with a worker, as every tenant has one. */
  const io = supervisor('io', {}, [worker('cache', counter, { arg: 1 })])
  const labels = (system: ReturnType<typeof testSystem>['system']) =>
    system.processes().map(({ name: registered, label }) => registered ?? `(${label})`)

  test('are local to their supervisor: one subtree is used twice, and names are given on request', async () => {
    const { system } = testSystem()
    const named = worker('named', counter, { arg: 2, name: 'y_named' })
    await startSupervisor(
      system,
      supervisor('tenants', {}, [
        supervisor('tenant_x', {}, [io]),
        supervisor('tenant_y', {}, [io, named]),
      ]),
    )
    expect(labels(system)).toEqual([
      ...['tenants', 'tenant_x', '(io)', '(cache)', 'tenant_y', '(io)', '(cache)', 'y_named'],
    ])
    expect(await call(system.to(name<Counter>('y_named')), 'add', 1)).toBe(3)
  })

  test('are local for what is added to a running tree', async () => {
    const { system } = testSystem()
    const tenants = ['x', 'y'].map((id) => supervisor(id, {}, []))
    await startSupervisor(system, supervisor('tenants', {}, tenants))
    for (const id of ['x', 'y'])
      expect(await startChild(system.to(name(id)) as never, io)).toMatchObject({ ok: true })
    expect(labels(system)).toEqual(['tenants', 'x', 'y', '(io)', '(cache)', '(io)', '(cache)'])
  })

  test('below the first level may be those of the instance, names may not', () => {
    const tree = (options: object) =>
      supervisor('app', {}, [
        supervisor('a', {}, [worker('control', counter, { arg: 1, ...options })]),
      ])
    expect(codeOf(() => checkAppTree(tree({})))).toBe('ok')
    expect(codeOf(() => checkAppTree(tree({ name: 'control' })))).toEqual([
      'CONFIG',
      'app.children[0].children[0].options.name',
    ])
    const twice = supervisor('app', {}, [
      supervisor('a', {}, [worker('w', counter, { arg: 1, name: 'same' })]),
      supervisor('b', {}, [worker('w', counter, { arg: 1, name: 'same' })]),
    ])
    expect(codeOf(() => checkAppTree(twice))).toEqual([
      'CONFIG',
      'app.children[1].children[0].options.name',
    ])
  })
})

describe('a tree as data', () => {
  test('is started under a System, its parts under their ids as names, and restarted as it says', async () => {
    const { system, clock } = testSystem()
    await startSupervisor(
      system,
      supervisor('top', { strategy: 'one_for_one' }, [
        worker('counter', counter, { arg: 5 }),
        supervisor('inner', {}, [worker('idle', { server: idle })]),
      ]),
    )
    const ref = system.whereis('counter' as never) as Ref<Counter>
    expect(await call(ref, 'add', 2)).toBe(7)

    system.kill('counter' as never)
    await clock.settle()

    const again = system.whereis('counter' as never) as Ref<Counter>
    expect(again.pid).not.toBe(ref.pid)
    expect(await call(again, 'add', 0)).toBe(5)
    expect(system.whereis('inner' as never)).toBeDefined()
    await system.stop()
  })

  test('takes parts with a start function of their own, and children while it runs', async () => {
    const { system } = testSystem()
    const absent = { id: 'absent', start: () => ({ ignore: true }) as const }
    const top = await startSupervisor(system, supervisor('top', {}, [absent]))

    await startChild(top, worker('late', counter, { arg: 1, restart: 'temporary' }))

    expect((await whichChildren(top)).map(({ id, status }) => [id, status])).toEqual([
      ['late', 'running'],
      ['absent', 'stopped'],
    ])
    await system.stop()
  })

  test('names its parts through a registry, wherever a name may stand', async () => {
    const { system, clock } = testSystem()
    const desks = Registry.name<string, unknown, Counter>('desks')
    const desk = via(desks, 'first')
    const tree = supervisor('top', { strategy: 'rest_for_one' }, [
      Registry.childSpec('desks', { keys: 'unique', name: desks }),
      supervisor('inner', { name: via(desks, 'inner') }, [
        worker('counter', counter, { arg: 5, name: desk }),
      ]),
    ])
    await startSupervisor(system, tree)
    expect(await call(system.to(desk), 'add', 2)).toBe(7)

    system.kill(desk)
    await clock.settle()
    expect(await call(system.to(desk), 'add', 2)).toBe(7)

    // The holders of its names end with a registry, and are restarted after it.
    system.kill(desks)
    await clock.settle()
    expect(await call(system.to(desk), 'add', 2)).toBe(7)
    expect(Registry.select(system.to(desks)).map(({ key }) => key)).toEqual(['inner', 'first'])
    await system.stop()
  })

  test('ends by itself when a significant child has done its work', async () => {
    const { system, clock } = testSystem()
    const top = await startSupervisor(
      system,
      supervisor('top', { autoShutdown: 'any_significant', restart: 'temporary' }, [
        worker('job', counter, { arg: 0, restart: 'temporary', significant: true }),
      ]),
    )
    let ended: unknown
    system.monitor(top, (reason) => {
      ended = reason
    })

    system.kill('job' as never)
    await clock.settle()

    expect(ended).toBe('shutdown')
  })

  test('whose module is a path that does not load fails the start and leaves nothing running', async () => {
    const { system } = testSystem()
    const tree = supervisor('top', {}, [worker('a', counter, { arg: 1 }), worker('b', './none.ts')])

    await expect(startSupervisor(system, tree)).rejects.toMatchObject({ code: 'EXITED' })
    expect(system.processes()).toEqual([])
  })

  test.each<[string, unknown, string]>([
    [
      'a strategy that is none',
      { ...supervisor('t', {}, []), options: { strategy: 'x' } },
      't.options.strategy',
    ],
    [
      'two children of one id',
      supervisor('t', {}, [worker('a', idle), worker('a', idle)]),
      't.children[1].id',
    ],
    ['a name twice', supervisor('t', {}, [supervisor('t', {}, [])]), 't.children[0].options.name'],
    [
      'a name of the instance',
      supervisor('t', {}, [worker('control', idle)]),
      't.children[0].options.name',
    ],
    ...[
      "control('orders')",
      'shard(0)',
      'blob_store(0)',
      'wal_writer(1)',
      'batcher(0)',
      'journal(0)',
      "expirer('orders', 0)",
      'alarms(0)',
      'snapshotter(0)',
    ].map((name): [string, unknown, string] => [
      `a name of the instance, ${name}`,
      supervisor('t', {}, [worker('a', idle, { name })]),
      't.children[0].options.name',
    ]),
    [
      'an unknown option',
      supervisor('t', {}, [{ ...worker('a', idle), options: { typo: 1 } as never }]),
      't.children[0].options.typo',
    ],
    ...[
      ['an option outside of the options', { durable: true }, 'durable'],
      ['children of a worker', { children: [] }, 'children'],
    ].map(([title, more, at]): [string, unknown, string] => [
      title as string,
      supervisor('t', {}, [{ ...worker('a', idle), ...(more as object) }]),
      `t.children[0].${at}`,
    ]),
    [
      'an option outside of the options of a supervisor',
      { ...supervisor('t', {}, []), strategy: 'one_for_all' },
      't.strategy',
    ],
    ...['alarms', 'wake', 'migrate', 'version', 'index', 'isBusy', 'shape', 'handle', 'cals'].map(
      (part): [string, unknown, string] => [
        `the part ${part} of a server that is not durable`,
        supervisor('t', {}, [worker('a', { server: { ...idle, [part]: {} } })]),
        `t.children[0].module.${part}`,
      ],
    ),
    [
      'a significant child that is permanent',
      supervisor('t', {}, [worker('a', idle, { significant: true })]),
      't.children[0].options.significant',
    ],
    [
      'a significant child of a supervisor that never shuts down by itself',
      supervisor('t', {}, [worker('a', idle, { restart: 'transient', significant: true })]),
      't.children[0].options.significant',
    ],
    [
      'a part with a start function and an unknown restart',
      supervisor('t', {}, [{ id: 'a', start: () => ({ ignore: true }), restart: 'x' as never }]),
      't.children[0].restart',
    ],
    [
      'a root with an unknown restart',
      { ...supervisor('t', {}, []), options: { restart: 'x' } },
      't.options.restart',
    ],
    ['no module', supervisor('t', {}, [worker('a', {} as never)]), 't.children[0].module'],
    [
      'a negative intensity',
      { ...supervisor('t', {}, []), options: { intensity: -1 } },
      't.options.intensity',
    ],
  ])('is refused with its path before anything starts: %s', async (_, tree, path) => {
    const { system } = testSystem()

    await expect(startSupervisor(system, tree as AppTree)).rejects.toMatchObject({
      code: 'CONFIG',
      details: { path },
    })
    expect(system.processes()).toEqual([])
  })

  test('does not compile with an argument that the server does not take', () => {
    // @ts-expect-error: `init` takes a number
    expect(codeOf(() => worker('a', counter, { arg: 'five' }))).toBe('ok')
    // @ts-expect-error: `init` needs one
    expect(codeOf(() => worker('a', counter))).toBe('ok')
    expect(codeOf(() => worker('a', idle))).toBe('ok')
  })
})

describe('a child of a dynamic supervisor', () => {
  test('is a part of a tree, as everywhere, and has no name but its own', async () => {
    const { system } = testSystem()
    const dynamic = await startDynamicSupervisor(system)
    const first = await startDynamicChild(dynamic, worker('counter', counter, { arg: 1 }))
    const second = await startDynamicChild(
      dynamic,
      worker('counter', { server: counter }, { arg: 2 }),
    )
    expect([first.ok, second.ok]).toEqual([true, true])
    expect(system.whereis(name('counter'))).toBeUndefined()
    const named = worker('counter', counter, { arg: 3, name: 'third' })
    const third = await startDynamicChild(dynamic, named)
    expect(system.whereis(name('third'))).toBe(third.ref)
    const tree = await startDynamicChild(dynamic, supervisor('tree', {}, [worker('leaf', idle)]))
    expect([tree.ok, system.whereis(name('leaf'))]).toEqual([true, undefined])
    expect(
      (await startDynamicChild(dynamic, { id: 'own', start: () => ({ ignore: true }) })).ok,
    ).toBe(undefined)
    expect(await countChildren(dynamic)).toMatchObject({ specs: 4, supervisors: 1, workers: 3 })
  })
})

describe('a name that a process of a dead starter holds', () => {
  test('is taken: a start with it is answered at once, without a look at all processes', async () => {
    const { system, settle } = testSystem()
    const crew = await startDynamicSupervisor(system)
    const held: Ref[] = []
    system.spawn(async (context) => {
      held.push(await context.start(counter, 1, { name: name<Counter>('cache') }))
      held.push(await context.startLink(counter, 1, { name: name<Counter>('index') }))
    })
    await settle()
    const processes = vi.spyOn(system, 'processes')

    const starts = ['cache', 'index'].map((id) =>
      startDynamicChild(crew, worker(id, counter, { arg: 1, name: name<Counter>(id) })),
    )
    await settle()

    expect(await Promise.all(starts)).toEqual(
      held.map((ref) => ({ ok: false, reason: ['already_started', ref] })),
    )
    expect(processes).not.toHaveBeenCalled()
  })
})

test.each([
  ...[null, undefined, 5, {}, { id: 'a' }, { ...worker('a', idle), options: { typo: 1 } }],
  worker('a', { ...idle, alarms: {} } as never),
  { ...worker('a', idle), durable: true },
])('what is no part of a tree (%j) is refused to whoever would have it started', async (node) => {
  const { system } = testSystem()
  const top = await startSupervisor(system, supervisor('top', {}, []))
  const dynamic = await startDynamicSupervisor(system)
  for (const attempt of [
    startChild(top, node as never),
    startDynamicChild(dynamic, node as never),
    startSupervisor(system, node as never),
  ])
    expect(await outcome<unknown>(attempt)).toMatchObject({
      ok: false,
      error: { code: 'CONFIG' },
    })
  expect(await countChildren(top)).toMatchObject({ specs: 0 })
})

test('what a process begins with a tree and forgets is no unhandled rejection', async () => {
  const { system, settle } = testSystem()
  const unhandled = vi.fn()
  process.on('unhandledRejection', unhandled)
  try {
    const ended: unknown[] = []
    const body = async (context: BareContext): Promise<void> => {
      const nobody = context.to(name<never>('nobody'))
      void startSupervisor(context, { kind: 'supervisor' } as never)
      void startSupervisor(context, supervisor('top', {}, [worker('no', './nowhere.ts' as never)]))
      void startChild(nobody, worker('counter', counter, { arg: 5 }))
      void startChild(nobody, 'no node' as never)
      void startDynamicChild(nobody, worker('counter', counter, { arg: 5 }))
      void startDynamicChild(nobody, 'no node' as never)
      context.trapExit(true)
      await context.sleep(0)
    }
    system.monitor(system.spawn(body), (reason) => ended.push(reason))
    await settle()
    await new Promise((resolve) => setImmediate(resolve))

    expect(ended).toEqual(['normal'])
    expect(unhandled).not.toHaveBeenCalled()
  } finally {
    process.off('unhandledRejection', unhandled)
  }
})

test('a tree of more levels than the stack takes is refused', async () => {
  const { system } = testSystem()
  const deep = (levels: number): AppTree => {
    let tree = supervisor('leaf', {}, [])
    for (let level = 1; level < levels; level++) tree = supervisor(`level_${level}`, {}, [tree])
    return tree
  }
  await expect(startSupervisor(system, deep(5_000))).rejects.toMatchObject({ code: 'CONFIG' })
  expect(system.processes()).toEqual([])
  await startSupervisor(system, deep(400))
  expect(system.processes()).toHaveLength(400)
})
