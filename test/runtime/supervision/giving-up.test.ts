import { describe, expect, test } from 'vitest'
import {
  type ChildSpec,
  type GenServer,
  type Messages,
  name,
  type SupervisorMessages,
  startChild,
  startDynamicChild,
  startDynamicSupervisor,
  startSupervisor,
  supervisor,
  terminateChild,
  worker,
} from '../../../src/runtime/index.ts'
import type { Process } from '../../../src/runtime/process/process.ts'
import { addressOf } from '../../../src/runtime/words/address.ts'
import { outcome, testSystem } from '../../../src/testing/index.ts'

const db = name<Messages>('db')
const subName = name<SupervisorMessages>('sub')
const slowName = name<Messages>('slow')

const never = (): Promise<never> => new Promise(() => undefined)

/** Starts at once the first time; its next start awaits something that never comes. */
const startsOnce = (traps = false): GenServer<Messages, number> => {
  let starts = 0
  return {
    init: (_, context) => {
      context.trapExit(traps)
      return starts++ === 0 ? 0 : never()
    },
    exit: never,
  }
}

const names = ({ system }: ReturnType<typeof testSystem>): (string | undefined)[] =>
  system.processes().map(({ name, label, kind }) => name ?? label ?? kind)

/** Whether `promise` has settled, each time it is asked. */
const watched = (promise: Promise<unknown>): (() => boolean) => {
  let isOver = false
  const over = (): void => {
    isOver = true
  }
  promise.then(over, over)
  return () => isOver
}

const oneForOne = { strategy: 'one_for_one' } as const

describe('a supervisor that is told to end while a child is started again', () => {
  test.each([
    ['a child that obeys exits', false],
    ['a child that traps them', true],
  ])('gives %s its shutdown time to start, ends it, and ends', async (_, traps) => {
    const stage = testSystem()
    const child = worker('db', startsOnce(traps), undefined, {
      shutdownMs: 300,
      name: db,
    })
    await startSupervisor(stage.system, supervisor('root', oneForOne, [child]))
    stage.system.kill(db)
    await stage.settle()
    const isStopped = watched(stage.system.stop())
    await stage.advance(299)
    expect([isStopped(), names(stage)]).toEqual([false, ['root', 'db']])
    await stage.advance(1)
    expect([isStopped(), names(stage)]).toEqual([true, []])
    expect(stage.log.lines.filter(({ message }) => message.includes('gave up'))).toEqual([])
  })

  test('does so at any depth in the time of one child', async () => {
    const stage = testSystem()
    const database = worker('db', startsOnce(), undefined, { shutdownMs: 300, name: db })
    const inner = supervisor('inner', { ...oneForOne, intensity: 0 }, [database])
    const middle = supervisor('middle', oneForOne, [inner])
    await startSupervisor(stage.system, supervisor('root', oneForOne, [middle]))
    // Its supervisor gives up, and is itself started again: three starts wait, one for the other.
    stage.system.kill(db)
    await stage.settle()
    const isStopped = watched(stage.system.stop())
    await stage.advance(300)
    expect([isStopped(), names(stage)]).toEqual([true, []])
  })

  test('does so for what only begins to start after that', async () => {
    const stage = testSystem()
    let go = (): void => undefined
    const stuck: ChildSpec = { id: 'stuck', start: never, shutdown: 300 }
    const inner = supervisor('inner', oneForOne, [stuck])
    const late: ChildSpec = {
      ...inner,
      start: async (context) => {
        await new Promise<void>((resolve) => {
          go = resolve
        })
        return inner.start(context)
      },
    }
    const root = await startSupervisor(stage.system, supervisor('root', oneForOne, []))
    const started = startChild(root, late)
    await stage.settle()
    const isStopped = watched(stage.system.stop())
    await stage.advance(100)
    go()
    await stage.advance(200)
    expect(isStopped()).toBe(true)
    expect((await started).ok).toBe(false)
  })

  test('lets a start that is done in time count', async () => {
    const stage = testSystem()
    let begin = (): void => undefined
    let starts = 0
    const ended: string[] = []
    const slow: GenServer<Messages, number> = {
      init: (_, context) => {
        context.trapExit(true)
        return starts++ === 0
          ? 0
          : new Promise((resolve) => {
              begin = () => resolve(0)
            })
      },
      terminate: () => void ended.push('terminated'),
    }
    const spec = worker('slow', slow, undefined, { name: slowName })
    await startSupervisor(stage.system, supervisor('root', oneForOne, [spec]))
    stage.system.kill(slowName)
    await stage.settle()
    const isStopped = watched(stage.system.stop())
    await stage.advance(4_999)
    begin()
    await stage.settle()
    expect([isStopped(), ended]).toEqual([true, ['terminated']])
    expect(stage.clock.untilNext()).toBeUndefined()
  })

  test('waits for no start when none is under way', async () => {
    const stage = testSystem()
    const child = worker('db', { init: () => 0 }, undefined, { name: db })
    const root = await startSupervisor(stage.system, supervisor('root', oneForOne, [child]))
    const { process } = addressOf<Process>(root)
    process?.requestShutdown()
    expect(stage.clock.untilNext()).toBeUndefined()
  })
})

describe('a supervisor that another one ends while a child is started again', () => {
  const stuckBelow = async (shutdown: 300 | 'infinity', init: () => Promise<number>) => {
    const stage = testSystem()
    let starts = 0
    const ended: string[] = []
    const server: GenServer<Messages, number> = {
      init: (_, context) => {
        context.trapExit(true)
        return starts++ === 0 ? 0 : init()
      },
      terminate: (_, reason) => void ended.push(String(reason)),
    }
    const child = worker('db', server, undefined, { shutdown, name: db })
    const root = await startSupervisor(
      stage.system,
      supervisor('root', oneForOne, [supervisor('sub', oneForOne, [child])]),
    )
    stage.system.kill(db)
    await stage.settle()
    return { stage, ended, isOver: watched(terminateChild(root, 'sub')) }
  }

  test('ends it first, though it traps exits', async () => {
    const { stage, isOver } = await stuckBelow(300, never)
    await stage.advance(300)
    expect([isOver(), names(stage)]).toEqual([true, ['root']])
  })

  test('waits for one that may take any time to end', async () => {
    let begin = (): void => undefined
    const { stage, ended, isOver } = await stuckBelow('infinity', () => {
      return new Promise((resolve) => {
        begin = () => resolve(0)
      })
    })
    await stage.advance(60_000)
    expect(isOver()).toBe(false)
    begin()
    await stage.settle()
    expect([isOver(), ended, names(stage)]).toEqual([true, ['shutdown'], ['root']])
  })
})

describe('a start without a process', () => {
  test.each([
    [0, 'brutal_kill'],
    [200, 200],
    [5_000, 'infinity'],
  ] as const)('is given up after %i ms (shutdown: %s)', async (ms, shutdown) => {
    const stage = testSystem()
    const spec: ChildSpec = { id: 'stuck', start: never, shutdown }
    const started = outcome(startSupervisor(stage.system, supervisor('root', oneForOne, [spec])))
    await stage.settle()
    const isStopped = watched(stage.system.stop())
    if (ms > 0) {
      await stage.advance(ms - 1)
      expect(isStopped()).toBe(false)
    }
    await stage.advance(1)
    expect(isStopped()).toBe(true)
    expect(await started).toMatchObject({
      error: {
        code: 'EXITED',
        details: { reason: ['shutdown', ['failed_to_start_child', 'stuck', 'shutdown']] },
      },
    })
  })

  let go = (): void => undefined
  const late: ChildSpec = {
    id: 'late',
    shutdown: 10,
    start: async ({ system }) => {
      await new Promise<void>((resolve) => {
        go = resolve
      })
      return system.startResult({ init: () => 0 }, undefined)
    },
  }

  test('that succeeds after the end of its supervisor alone is undone', async () => {
    const stage = testSystem()
    const sub = supervisor('sub', { ...oneForOne, name: subName }, [])
    const root = await startSupervisor(stage.system, supervisor('root', oneForOne, [sub]))
    startChild(stage.system.to(subName), late).catch(() => undefined)
    await stage.settle()
    const ended = terminateChild(root, 'sub')
    await stage.advance(10)
    await ended
    go()
    await stage.settle()
    expect(names(stage)).toEqual(['root'])
  })

  test.each([
    null,
    undefined,
    7,
    'late',
    {},
    { ok: true },
    { ok: false },
    { ignore: true },
    'name',
  ])('that comes to no process in the end changes nothing: %j', async (result) => {
    const stage = testSystem()
    const unhandled: unknown[] = []
    const listen = (error: unknown): void => void unhandled.push(error)
    process.on('unhandledRejection', listen)
    let answer = (): void => undefined
    const start = () =>
      new Promise<never>((resolve) => {
        const ref = stage.system.to(name('nobody'))
        answer = () => resolve((result === 'name' ? { ok: true, ref } : result) as never)
      })
    const root = await startSupervisor(stage.system, supervisor('root', oneForOne, []))
    startChild(root, { id: 'late', start, shutdown: 10 }).catch(() => undefined)
    await stage.settle()
    const isStopped = watched(stage.system.stop())
    await stage.advance(10)
    answer()
    await new Promise((resolve) => setImmediate(resolve))
    process.off('unhandledRejection', listen)
    expect([isStopped(), unhandled]).toEqual([true, []])
  })

  test('that succeeds later is undone', async () => {
    const stage = testSystem()
    const root = await startSupervisor(stage.system, supervisor('root', oneForOne, []))
    startChild(root, late).catch(() => undefined)
    await stage.settle()
    const isStopped = watched(stage.system.stop())
    await stage.advance(10)
    expect(isStopped()).toBe(true)
    go()
    await stage.settle()
    expect(names(stage)).toEqual([])
  })
})

describe('a dynamic supervisor that is told to end', () => {
  test('gives up what never starts, and what waits behind that', async () => {
    const stage = testSystem()
    const dynamic = await startDynamicSupervisor(stage.system)
    const stuck = worker('stuck', { init: never }, undefined, { shutdownMs: 100 })
    const first = startDynamicChild(dynamic, stuck)
    const second = startDynamicChild(dynamic, stuck)
    await stage.settle()
    const isStopped = watched(stage.system.stop())
    await stage.advance(100)
    const failed = { ok: false, reason: 'shutdown' }
    expect(await Promise.all([first, second])).toEqual([failed, failed])
    expect([isStopped(), names(stage)]).toEqual([true, []])
  })
})

describe('a bare process that outlives its parent', () => {
  test('starts a tree that takes its time, as long afterwards as it likes', async () => {
    const stage = testSystem()
    const slow: GenServer<Messages, number> = {
      init: (_, { system }) =>
        new Promise((resolve) => {
          system.clock.after(10, () => resolve(0))
        }),
    }
    const tree = supervisor('tree', oneForOne, [worker('slow', slow, undefined)])
    const started: unknown[] = []
    stage.system.spawn(async (parent) => {
      parent.spawnLink(async (context) => {
        context.trapExit(true)
        await context.sleep(6_000)
        started.push(await outcome(startSupervisor(context, tree)))
      })
      await parent.sleep(1)
    })
    await stage.advance(6_010)
    expect(started).toMatchObject([{ ok: true }])
    await stage.close()
  })
})

describe('the end of a System', () => {
  test('asks all roots at once: many that take their time take no longer than one', async () => {
    const stage = testSystem()
    const stubborn: GenServer<Messages, number, number> = {
      init: (_, context) => {
        context.trapExit(true)
        return 0
      },
      terminate: never,
    }
    for (let each = 0; each < 20; each++) await stage.system.start(stubborn, 0)
    const isStopped = watched(stage.system.stop())
    await stage.advance(4_999)
    expect(isStopped()).toBe(false)
    await stage.advance(1)
    expect(isStopped()).toBe(true)
  })
})
