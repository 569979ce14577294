/** Durable actors as parts of trees: workers, kinds, their options, names and modules. */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { WalWriter } from '../../../src/actors/index.ts'
import {
  type AppNode,
  type AppTree,
  call,
  type DurableServer,
  type DynamicSupervisorMessages,
  dynamicSupervisor,
  entity,
  isKeelsonError,
  name,
  noReply,
  ok,
  type Ref,
  reply,
  startChild,
  startDynamicChild,
  supervisor,
  via,
  worker,
} from '../../../src/index.ts'
import { createSystem } from '../../../src/runtime/index.ts'
import { checkAppTree, mapModules } from '../../../src/supervisors/index.ts'
import { kindSpec } from '../../../src/supervisors/users-tree/durable-parts.ts'
import { type Simulation, silentLogger } from '../../../src/testing/index.ts'
import { codeOf, machine, simulated } from '../../support/worlds/simulated-instance.ts'

type Messages = {
  calls: { add: (by: number) => number; crash: () => void; hang: () => void; across: () => void }
}

type Ringing = { calls: { add: (by: number) => number }; alarms: { ring: () => void } }

const counter: DurableServer<Messages, number, Record<never, never>, number> = {
  init: (from) => ok(from),
  calls: {
    add: (count, by) => reply(count + by, count + by),
    crash: () => {
      throw new Error('crashed')
    },
    hang: () => new Promise(() => undefined),
    across: (count, _, context) => {
      for (let key = 0; key < 8; key++) context.writes.put(`key ${key}`, count)
      return reply(undefined, count)
    },
  },
}
const text: DurableServer<Messages, number> = { ...counter, init: () => ok(0) } as never

const started = async (children: readonly AppNode[], more: object = {}) => {
  return await simulated({ app: supervisor('app', {}, children), ...more })
}

const named = (s: Simulation, id: string): Ref<Messages> => s.app.system.to(name<Messages>(id))

const pathOf = (act: () => unknown): unknown => {
  try {
    return act()
  } catch (error) {
    return isKeelsonError(error) && [error.code, error.details.path]
  }
}

describe('a durable worker', () => {
  test('has its rows under its name; under another name it begins anew', async () => {
    const tree = (options: object): AppTree =>
      supervisor('app', {}, [worker('a', counter, { durable: true, arg: 5, ...options })])
    const s = await simulated({ app: tree({ name: 'first' }) })
    expect(await s.during(call(named(s, 'first'), 'add', 1))).toBe(6)
    await s.powerCut({ unsynced: 'lost' })
    await s.start({ app: tree({ name: 'first' }) })
    expect(await s.during(call(named(s, 'first'), 'add', 1))).toBe(7)
    await s.close()
    await s.start({ app: tree({}) })
    expect(await s.during(call(named(s, 'a'), 'add', 1))).toBe(6)
    await s.close()
    await s.start({ app: tree({ name: 'first' }) })
    expect(await s.during(call(named(s, 'first'), 'add', 1))).toBe(8)
  })

  test('leaves its rows when it is taken out of the tree, and deleteWorker removes them', async () => {
    const tree = (...parts: AppNode[]): AppTree => supervisor('app', {}, parts)
    const part = worker('gone', counter, { durable: true, arg: 5 })
    const s = await simulated({ app: tree(part), shards: 2 })
    await s.during(call(named(s, 'gone'), 'add', 1, { id: 'once' }))
    expect(await s.during(codeOf(s.app.deleteWorker('gone')))).toBe('CONFLICT')
    await s.close()
    await s.start({ app: tree() })
    expect(await s.during(s.app.deleteWorker('gone'))).toBe(true)
    expect(await s.during(s.app.deleteWorker('gone'))).toBe(false)
    expect(await s.during(codeOf(s.app.deleteWorker('{')))).toBe('INVALID_ARGUMENT')
    await s.powerCut({ unsynced: 'lost' })
    await s.start({ app: tree() })
    const left = s.app.shards.flatMap((shard) => {
      const { overlay, projection } = shard.view().layers
      return [...overlay.range({ gte: '\0' }), ...projection.range({ gte: '\0' })]
        .map(([key]) => key)
        .filter((key) => key.includes('$worker/gone') && shard.view().row(key))
    })
    expect(left).toEqual([])
    await s.close()
    await s.start({ app: tree(part) })
    expect(await s.during(call(named(s, 'gone'), 'add', 1, { id: 'once' }))).toBe(6)
    const { app } = s
    await s.close()
    await expect(app.deleteWorker('gone')).rejects.toMatchObject({ code: 'CLOSED' })
  })

  test('is restarted with its state', async () => {
    const s = await started([worker('a', counter, { durable: { pipeline: 2 }, arg: 0 })])
    await s.during(call(named(s, 'a'), 'add', 1))
    await expect(s.during(call(named(s, 'a'), 'crash'))).rejects.toMatchObject({ code: 'EXITED' })
    await s.clock.advance(100)
    expect(await s.during(call(named(s, 'a'), 'add', 1))).toBe(2)
  })

  test('starts at run time, and no second one under its name', async () => {
    const s = await started([supervisor('below', {}, [])])
    const below = s.app.system.whereis(name('below')) as never
    const part = worker('late', counter, { durable: true, arg: 1 })
    expect(await s.during(startChild(below, part))).toMatchObject({ ok: true })
    expect(await s.during(call(named(s, 'late'), 'add', 1))).toBe(2)
    const again = await s.during(
      startChild(below, { ...part, id: 'other', options: { ...part.options, name: 'late' } }),
    )
    expect(again.ok).toBe(false)
  })

  test('starts below a dynamic supervisor, with its rows of a former life', async () => {
    const s = await started([dynamicSupervisor('pool', { name: name('pool') })])
    const part = worker('far', counter, { durable: true, arg: 2 })
    for (const total of [3, 4]) {
      const pool = s.app.system.to(name<DynamicSupervisorMessages>('pool'))
      expect(await s.during(startDynamicChild(pool, part))).toMatchObject({ ok: true })
      expect(await s.during(call(named(s, 'far'), 'add', 1))).toBe(total)
      await s.powerCut({ unsynced: 'lost' })
      await s.start()
    }
  })

  test('ends when a handler is pending for too long', async () => {
    const s = await started([
      worker('a', counter, { durable: true, arg: 0, handlerTimeoutMs: 50 }),
      entity('thing', text, { handlerTimeoutMs: 50 }),
    ])
    for (const ref of [named(s, 'a'), s.app.entity<Messages>('thing').ref('1')]) {
      await s.during(call(ref, 'add', 3))
      const hung = call(ref, 'hang', undefined, { timeoutMs: 1_000 })
      await expect(s.during(hung)).rejects.toMatchObject({ code: 'EXITED' })
      await s.clock.advance(100)
      expect(await s.during(call(ref, 'add', 1))).toBe(4)
    }
  })

  test('ends when its terminate is pending for too long', async () => {
    const hanging = { ...counter, terminate: () => new Promise<void>(() => undefined) }
    const s = await started([worker('a', hanging, { durable: true, arg: 0, handlerTimeoutMs: 50 })])
    const crashed = call(named(s, 'a'), 'crash')
    await expect(s.during(crashed)).rejects.toMatchObject({
      details: { reason: { code: 'TIMEOUT', details: { message: 'terminate' } } },
    })
    await s.clock.advance(50)
    expect(await s.during(call(named(s, 'a'), 'add', 1))).toBe(1)
  })
})

/** What a server may not have, and where the refusal says it is. */
const wrongServers: readonly [string, object][] = [
  ['index', { index: 1 }],
  ['wake', { wake: 1 }],
  ['calls', { calls: 5 }],
  ['alarms.a', { alarms: { a: 1 } }],
  ['alarms', { alarms: { $a: () => undefined } }],
  ['callz', { callz: {} }],
  ['version', { version: 0 }],
  ['version', { version: '1' }],
  ['kind', { kind: 1 }],
  ['accepts.calls.add', { accepts: { calls: { add: 1 } } }],
]

test('waiting for the storage does not count as a pending handler', async () => {
  const limits = { pipeline: 1, handlerTimeoutMs: 50 }
  const s = await started(
    [
      worker('a', counter, { durable: { pipeline: 1 }, arg: 0, handlerTimeoutMs: 50 }),
      entity('thing', text, limits),
    ],
    { syncMs: 200 },
  )
  for (const ref of [named(s, 'a'), s.app.entity<Messages>('thing').ref('1')]) {
    const calls = Array.from({ length: 4 }, () => call(ref, 'add', 1))
    expect(await s.during(Promise.all(calls))).toEqual([1, 2, 3, 4])
    const hung = call(ref, 'hang', undefined, { timeoutMs: 4_000 })
    await expect(s.during(hung)).rejects.toMatchObject({ code: 'EXITED' })
  }
})

describe('wrong parts are refused by their path', () => {
  const checked =
    (...children: AppNode[]) =>
    () =>
      checkAppTree(supervisor('app', {}, children))
  // Data, as of a file of configuration: `worker` would refuse the options itself.
  const durable = (options: object, id = 'a') =>
    ({ kind: 'worker', id, module: text, options }) as never
  test.each<[string, () => unknown]>([
    [
      'app.children[0].options.name',
      checked(durable({ durable: true, name: via({} as never, 'k') })),
    ],
    [
      'app.children[1].options.name',
      checked(durable({ durable: true }), durable({ durable: true, name: 'a' }, 'b')),
    ],
    ['app.children[0].options.durable', checked(durable({ durable: 'yes' }))],
    [
      'app.children[0].options.durable.pipeline',
      checked(durable({ durable: { pipeline: Number.NaN } })),
    ],
    ['app.children[0].options.durable.idleMs', checked(durable({ durable: { idleMs: 5 } }))],
    [
      'app.children[0].options.durable.keepIds.forMs',
      checked(durable({ durable: { keepIds: { forMs: -1 } } })),
    ],
    ['app.children[1].id', checked(entity('thing', text), entity('thing', text))],
    ['kind', () => entity('Thing', text)],
    ['kind', () => entity('$worker', text)],
    ['thing.idleMs', () => entity('thing', text, { idleMs: -1 })],
    ['thing.pipeline', () => entity('thing', text, { pipeline: Number.NaN })],
    ['thing.handlerTimeoutMs', () => entity('thing', text, { handlerTimeoutMs: 0 })],
    ['thing.keepIds.newest', () => entity('thing', text, { keepIds: { newest: 1.5 } })],
    ['thing.keepIds.old', () => entity('thing', text, { keepIds: { old: 1 } as never })],
    ['thing.idle', () => entity('thing', text, { idle: 1 } as never)],
    ['thing', () => entity('thing', text, null as never)],
    ['thing.module', () => entity('thing', {} as never)],
    ['thing.mailboxMax', () => entity('thing', text, { mailboxMax: 0 })],
    ...wrongServers.map(([below, server]): [string, () => unknown] => [
      `thing.module.${below}`,
      () => entity('thing', { ...text, ...server } as never),
    ]),
    ...wrongServers.map(([below, server]): [string, () => unknown] => [
      `app.children[0].module.${below}`,
      checked(worker('a', { ...text, ...server } as never, { durable: true } as never)),
    ]),
  ])('%s', (path, act) => {
    expect(pathOf(act)).toEqual(['CONFIG', path])
  })
})

test('a misspelt part of a server is refused with the name that was meant', () => {
  const misspelt = () => entity('thing', { ...text, callz: {} } as never)
  expect(misspelt).toThrow('did you mean `thing.module.calls`?')
})

test('a wrong server in a module is refused when the module is loaded', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'keelson-wrong-'))
  try {
    const path = join(folder, 'wrong.mjs')
    writeFileSync(path, 'export const server = { init: () => 0, version: 0 }')
    const inTree = 'app.children[0].module.version'
    for (const [part, place] of [
      [worker('thing', path, { durable: true }), inTree],
      [entity('thing', path), 'thing.module.version'],
    ] as const)
      await expect(started([part])).rejects.toMatchObject({
        code: 'CONFIG',
        details: { path: place, found: '0' },
      })
    await expect(started([worker('thing', path)])).rejects.toMatchObject({
      code: 'CONFIG',
      details: { path: inTree, expected: 'the option `durable` of its worker' },
    })
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test.each([null, undefined, 5, {}, { id: 5 }, 'Other', 'other'])(
  'app.entity(%j) is INVALID_ARGUMENT',
  async (kind) => {
    const s = await started([entity('thing', text)])
    const code = 'INVALID_ARGUMENT'
    expect(() => s.app.entity(kind as never)).toThrow(expect.objectContaining({ code }))
  },
)

describe('a kind', () => {
  test('that stands twice in a tree does not start', async () => {
    const twice = [entity('thing', text), supervisor('below', {}, [entity('thing', text)])]
    await expect(started(twice)).rejects.toMatchObject({ code: 'EXITED' })
  })

  test('that begins with a $ is refused to users, and runs in the project’s own trees', async () => {
    expect(pathOf(() => entity('$flow-order', text))).toEqual(['CONFIG', 'kind'])
    const s = await started([kindSpec('$flow-order', text)])
    const handle = s.app.entity<Messages>('$flow-order')
    expect(await s.during(call(handle.ref('a'), 'add', 1))).toBe(1)
    expect(handle.list().entries).toEqual([{ id: 'a', state: 1 }])
  })

  test('below one_for_all waits for its shard with its siblings, and starts with them', async () => {
    const thing = entity('thing', text)
    const children = [thing, worker('plain', text as never, { durable: true })]
    const s = await started([], {
      app: supervisor('app', { strategy: 'one_for_all' }, children),
    })
    const add = (id: string) => call(s.app.entity(thing).ref(id), 'add', 1)
    await s.during(add('a'))
    const before = s.app.entity(thing).ref('a').pid
    s.syncMs = 200
    s.system.kill(WalWriter.name(0))
    s.system.kill(name('plain'))
    await s.advance(100)
    const isUp = () => s.system.processes().map(({ label }) => label === 'thing')
    expect([isUp().includes(true), s.system.whereis(name('plain'))]).toEqual([false, undefined])
    expect(await codeOf(add('a'))).toBe('NO_PROCESS')
    await expect(s.app.entity(thing).migrateAll()).rejects.toMatchObject({
      code: 'NO_PROCESS',
      details: { kind: 'thing', reason: 'noproc' },
    })
    await s.advance(2_000)
    expect(await s.during(add('a'))).toBe(2)
    expect(await s.during(call(named(s, 'plain'), 'add', 1))).toBe(1)
    expect(s.app.entity(thing).ref('a').pid).not.toBe(before)
  })

  test('may have the name of a worker: entities have names of their own', async () => {
    const s = await started([entity('thing', text), worker('one', text as never)])
    expect(await s.during(call(s.app.entity<Messages>('thing').ref('one'), 'add', 1))).toBe(1)
    const bare = call(named(s, 'one'), 'add', 5, { id: 'a' })
    await expect(s.during(bare)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  })

  test('by the path of its module is resolved as that of a worker', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'keelson-kind-'))
    try {
      mkdirSync(join(folder, 'own'))
      const path = join(folder, 'own', 'thing.mjs')
      writeFileSync(
        path,
        `export const server = {
          init: () => 0,
          calls: { add: (count, by, { from }) => (from.reply(count + by), undefined) },
        }`,
      )
      const seen: unknown[] = []
      const tree = await mapModules(
        supervisor('app', {}, [entity('thing', './thing.mjs')]),
        (module, at) => {
          seen.push([module, at])
          return path
        },
      )
      expect(seen).toEqual([['./thing.mjs', 'app.children[0].module']])
      const s = await simulated({ app: tree })
      expect(s.app.entity('thing').blocked().size).toBe(0)
    } finally {
      rmSync(folder, { recursive: true })
    }
    const missing = started([entity('thing', './missing.mjs')])
    await expect(missing).rejects.toMatchObject({
      code: 'CONFIG',
      details: { path: 'app.children[0].module' },
    })
  })
})

test('entities are spread over the shards, and refuse keys of others', async () => {
  const s = await started([entity('thing', text)], { shards: 4 })
  const refs = Array.from({ length: 32 }, (_, id) => s.app.entity<Messages>('thing').ref(`${id}`))
  await s.during(Promise.all(refs.map((ref) => call(ref, 'add', 1))))
  const across = call(refs[0] as Ref<Messages>, 'across')
  await expect(s.during(across)).rejects.toMatchObject({ code: 'CROSS_SHARD' })
  expect(await s.during(call(refs[0] as Ref<Messages>, 'add', 1))).toBe(2)
  await s.powerCut({ unsynced: 'lost' })
  await s.start()
  const states = refs.map((_, id) => s.app.entity<Messages, number>('thing').state(`${id}`))
  expect(states).toEqual([2, ...Array.from({ length: 31 }, () => 1)])
})

test('instances on one System have entities of the same kind and id, each its own', async () => {
  const computer = machine()
  const { clock, during } = computer
  const rung: string[] = []
  const system = createSystem({ clock, logger: silentLogger })
  const kind = entity('thing', {
    init: () => 0,
    calls: {
      add: (count, by, context) => {
        context.setAlarm('ring', { inMs: 1_000 })
        return reply(count + by, count + by)
      },
    },
    alarms: {
      ring: (count, _, context) => {
        rung.push(`${context.app.instance} ${count}`)
        return noReply(count)
      },
    },
  } as DurableServer<Ringing, number>)
  const begin = (instance: string) =>
    computer.start({
      system,
      instance,
      dir: `/${instance}`,
      app: supervisor(`${instance}-app`, {}, [kind]),
    })
  const [one, two] = [await begin('one'), await begin('two')]
  const ref = (app: typeof one) => app.entity(kind).ref('1')
  expect(await during(Promise.all([call(ref(one), 'add', 1), call(ref(two), 'add', 10)]))).toEqual([
    1, 10,
  ])
  expect([one.entity(kind).state('1'), two.entity(kind).state('1')]).toEqual([1, 10])
  await clock.advance(1_100)
  expect(rung.sort()).toEqual(['one 1', 'two 10'])
  await during(one.close())
  expect(await during(codeOf(call(ref(one), 'add', 1)))).toBe('CLOSED')
  expect(await during(call(ref(two), 'add', 10))).toBe(20)
  await during(two.entity(kind).delete('1'))
  await during(two.close())
  const again = await begin('one')
  expect(await during(call(ref(again), 'add', 1))).toBe(2)
  await during(again.close())
})
