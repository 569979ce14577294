/** A part of a tree is its own name, and `startOrGet` finds the children of a dynamic supervisor. */

import { describe, expect, onTestFinished, test } from 'vitest'
import {
  call,
  countChildren,
  dynamicSupervisor,
  entity,
  type GenServer,
  ignore,
  Pool,
  type Ref,
  Registry,
  reply,
  startDynamicChild,
  startOrGet,
  startSupervisor,
  stop,
  supervisor,
  sys,
  TaskSupervisor,
  taskSupervisor,
  via,
  whichChildren,
  worker,
} from '../../../src/index.ts'
import { StateMachine } from '../../../src/runtime/state-machine/state-machine.ts'
import { outcome, testSystem } from '../../../src/testing/index.ts'
import { lamp } from '../../runtime/machine/lamp.ts'
import { simulated } from '../../support/worlds/simulated-instance.ts'

type Messages = {
  calls: { get: () => number; ask: (what: (context: never) => unknown) => unknown }
  casts: { crash: () => void }
}
type State = { readonly count: number }

const server: GenServer<Messages, State, number> = {
  init: (count) => ({ count }),
  calls: {
    get: (state) => reply(state.count, state),
    ask: async (state, what, context) => reply(await what(context as never), state),
  },
  casts: {
    crash: () => {
      throw new Error('boom')
    },
  },
}

const started = async (...parts: Parameters<typeof supervisor>[2][number][]) => {
  const kit = testSystem()
  onTestFinished(() => kit.close())
  // Parts below the first two levels have no name of their own.
  const tree = supervisor('app', {}, [supervisor('deep', {}, [supervisor('deeper', {}, parts)])])
  await startSupervisor(kit.system, tree)
  return { ...kit, tree }
}

describe('a part of a tree is its own name:', () => {
  test('a worker, also after its restart', async () => {
    const one = worker('one', server, { arg: 3 })
    const { system, clock } = await started(one)
    const before = system.whereis(one)
    expect(await call(system.to(one), 'get')).toBe(3)

    system.kill(one)
    const asked = call(system.to(one), 'get', undefined, { waitForName: true })
    await clock.settle()

    expect(await asked).toBe(3)
    expect(system.whereis(one)).not.toBe(before)
    expect(system.info(one)?.label).toBe('one')
  })

  test('a dynamic supervisor, a pool, a registry, tasks and a supervisor', async () => {
    const crew = dynamicSupervisor('crew')
    const db = Pool.childSpec('db', { server, arg: 1, size: 2 })
    const rooms = Registry.childSpec<string, undefined, Messages>('rooms', { keys: 'unique' })
    const tasks = taskSupervisor('tasks')
    const { system, tree } = await started(rooms, crew, db, tasks)

    const room = worker('room', server, { arg: 7, name: via(rooms, 'lobby') })
    const child = await startDynamicChild(system.to(crew), room)

    expect(child.ok && (await call(child.ref, 'get'))).toBe(7)
    expect(await call(system.to(via(rooms, 'lobby')), 'get')).toBe(7)
    expect(await call(system.to(room), 'get')).toBe(7)
    expect(Registry.lookup(system.to(rooms), 'lobby')).toHaveLength(1)
    expect(String(via(rooms, 'lobby'))).toBe('rooms(lobby)')
    expect(await Pool.transaction(system.to(db), (conn) => call(conn, 'get'))).toBe(1)
    expect(await TaskSupervisor.children(system.to(tasks))).toEqual([])
    expect(await countChildren(system.to(tree))).toMatchObject({ active: 1 })
  })

  test('a state machine', async () => {
    const light = worker('light', StateMachine.server(lamp))
    const { system } = await started(light)
    expect((await StateMachine.snapshot(system.to(light))).value).toBe('off')
  })

  test('a specification with its own start function', async () => {
    const own = {
      id: 'own',
      start: (context: Parameters<ReturnType<typeof dynamicSupervisor>['start']>[0]) =>
        context.startLinkResult(server, 5),
    }
    const { system } = await started(own)
    expect(await call(system.to<Messages>(own), 'get')).toBe(5)
  })

  test('in a handler, in every function of the context', async () => {
    const one = worker('one', server, { arg: 3 })
    const two = worker('two', server, { arg: 4 })
    const { system } = await started(one, two)
    const answer = await call(system.to(one), 'ask', (async (context: {
      call: (part: unknown, name: string) => Promise<number>
      monitor: (part: unknown) => unknown
      cast: (part: unknown, name: string) => boolean
    }) => {
      context.monitor(two)
      return [await context.call(two, 'get'), context.cast(two, 'crash')]
    }) as never)
    expect(answer).toEqual([4, true])
  })

  test('one that runs in several places stands for the first that lives', async () => {
    const crew = dynamicSupervisor('crew')
    const part = worker('one', server, { arg: 3 })
    const { system, clock } = await started(crew)
    expect(system.whereis(part)).toBeUndefined()
    const first = await startDynamicChild(system.to(crew), part)
    const second = await startDynamicChild(system.to(crew), part)
    expect(system.whereis(part)).toBe(first.ref)
    expect(second.ref).not.toBe(first.ref)
    await clock.settle()
  })

  test('before its init has ended, as a name is', async () => {
    const seen: unknown[] = []
    const slow: GenServer<Messages, State, number> = {
      ...server,
      init: (_, context) => {
        seen.push(context.system.whereis(part) === context.self)
        return { count: 1 }
      },
    }
    const part = worker('slow', slow, { arg: 1 })
    await started(part)
    expect(seen).toEqual([true])
  })

  test('a part that was never started has no process', async () => {
    const { system } = await started()
    const never = worker('never', server, { arg: 1 })
    expect(await outcome(call(system.to(never), 'get'))).toMatchObject({
      error: { code: 'NO_PROCESS' },
    })
  })

  test('of an instance, whose tree is copied: a durable worker, a dynamic supervisor', async () => {
    const cart = worker('cart', server, { arg: 2, durable: true })
    const crew = dynamicSupervisor('crew')
    const orders = entity('order', { init: () => 0 })
    const s = await simulated({
      app: supervisor('app', {}, [supervisor('deep', {}, [cart, crew, orders])]),
    })
    expect(await s.during(call(s.system.to(cart), 'get'))).toBe(2)
    expect(await s.during(sys.getState(s.system.to(cart)))).toBeUndefined()
    expect(await s.during(whichChildren(s.app.system.to(crew)))).toEqual([])
  })
})

describe('startOrGet', () => {
  const setUp = async (init = server.init) => {
    const crew = dynamicSupervisor('crew', { maxChildren: 2 })
    const rooms = Registry.childSpec<string, undefined, Messages>('rooms', { keys: 'unique' })
    const kit = await started(rooms, crew)
    const room = (key: string, arg = 1) =>
      worker(key, { ...server, init }, { arg, name: via(rooms, key) })
    return { ...kit, crew: kit.system.to(crew), room }
  }

  test('starts a child once, and answers its ref to all, also in a race', async () => {
    const { crew, room, system } = await setUp(async (count) => {
      await Promise.resolve()
      return { count }
    })
    const racing = await Promise.all([1, 2, 3].map((arg) => startOrGet(crew, room('a', arg))))
    const later = await startOrGet(crew, room('a', 4))
    const pids = new Set([...racing, later].map(({ pid }) => pid))
    expect(pids.size).toBe(1)
    expect((await sys.getState(later)).count).toBe(1)
    expect(await countChildren(crew)).toMatchObject({ active: 1 })
    expect(system.processes().filter(({ label }) => label === 'rooms(a)')).toHaveLength(1)
  })

  test('finds a child by a plain name, and starts it again when it has ended', async () => {
    const { crew, system, clock } = await setUp()
    const spec = () => worker('x', server, { arg: 1, name: 'plain', restart: 'temporary' })
    const first: Ref<Messages, State> = await startOrGet(crew, spec())
    system.kill(first)
    await clock.settle()
    const second = await startOrGet(crew, spec())
    expect(second.pid).not.toBe(first.pid)
    expect(await call(second, 'get')).toBe(1)
  })

  test('a specification with its own start function is found by its already_started', async () => {
    const { crew, system } = await setUp()
    const spec = {
      id: 'own',
      start: (context: Parameters<ReturnType<typeof dynamicSupervisor>['start']>[0]) =>
        context.startLinkResult(server, 5, { name: 'own' as never }),
    }
    const refs = [await startOrGet(crew, spec), await startOrGet(crew, spec)]
    expect(refs.map(({ pid }) => pid)).toEqual([refs[0]?.pid, refs[0]?.pid])
    expect(system.processes().filter(({ name }) => name === 'own')).toHaveLength(1)
  })

  test('keeps the sender of the ref of the supervisor', async () => {
    const { crew, room, system } = await setUp()
    const callers: unknown[] = []
    const probe = system.spawn(async (context) => {
      callers.push(context.self)
      const ref = await startOrGet(context.to(crew), room('a'))
      await call(ref, 'ask', ((own: { from: { caller: unknown } }) => {
        callers.push(own.from.caller)
      }) as never)
    })
    await outcome(new Promise((done) => system.monitor(probe, done)))
    expect(callers).toEqual([probe, probe])
  })

  test.each<[string, GenServer<Messages, State, number>['init'], object]>([
    ['a crash', () => Promise.reject(new Error('no')), { reason: new Error('no') }],
    ['a stop', () => stop('full'), { reason: 'full' }],
    ['ignore', () => ignore(), { reason: 'ignore' }],
  ])('%s of the start is EXITED with its reason', async (_, init, details) => {
    const { crew, room } = await setUp(init)
    expect(await outcome(startOrGet(crew, room('a')))).toMatchObject({
      error: { code: 'EXITED', details },
    })
  })

  test('refuses one more child than the most, a supervisor that is gone, and no name', async () => {
    const { crew, room, system, clock } = await setUp()
    await startOrGet(crew, room('a'))
    await startOrGet(crew, room('b'))
    const error = async (work: Promise<unknown>) => (await outcome(work)) as { error?: unknown }
    expect(await error(startOrGet(crew, room('c')))).toMatchObject({
      error: { code: 'EXITED', details: { reason: 'max_children' } },
    })
    expect(await error(startOrGet(crew, worker('x', server, { arg: 1 })))).toMatchObject({
      error: { code: 'CONFIG', details: { path: 'child.options.name' } },
    })
    const gone = dynamicSupervisor('gone')
    expect(await error(startOrGet(system.to(gone), room('d')))).toMatchObject({
      error: { code: 'NO_PROCESS' },
    })
    await clock.settle()
  })
})
