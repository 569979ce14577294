/**
 * A start gate: children below it wait before they start, their supervisor goes on, and nothing of
 * the wait is counted as a restart.
 */
import { describe, expect, test } from 'vitest'
import {
  type ChildSpec,
  countChildren,
  dynamicSupervisor,
  type GenServer,
  type Messages,
  type Name,
  name,
  restartChild,
  startChild,
  startDynamicChild,
  startSupervisor,
  stopProcess,
  supervisor,
  terminateChild,
  whichChildren,
  worker,
} from '../../../src/runtime/index.ts'
import { outcome, testSystem } from '../../../src/testing/index.ts'

/** A gate, and the order in which its workers started. */
const world = () => {
  const stage = testSystem()
  const started: string[] = []
  let opens: { resolve: () => void; reject: (reason: unknown) => void } | undefined
  let closed: Promise<void> | undefined
  const close = (): void => {
    closed = new Promise((resolve, reject) => {
      opens = { resolve, reject }
    })
    closed.catch(() => undefined)
  }
  const open = (): void => {
    closed = undefined
    opens?.resolve()
  }
  const child = (id: string): ChildSpec =>
    worker(
      id,
      {
        init: () => {
          started.push(id)
          return 0
        },
      } satisfies GenServer<Messages, number>,
      undefined,
      { name: name<Messages>(id) },
    )
  const kill = async (id: string): Promise<void> => {
    stage.system.kill(name(id))
    await stage.settle()
  }
  return {
    ...stage,
    started,
    close,
    open,
    refuse: (reason: unknown) => opens?.reject(reason),
    gate: () => closed,
    child,
    kill,
    isUp: (id: string) => stage.system.whereis(name(id)) !== undefined,
  }
}

const strict = { strategy: 'one_for_one', intensity: 0 } as const
const statusOf = async (ref: Parameters<typeof whichChildren>[0], id: string) =>
  (await whichChildren(ref)).find((each) => each.id === id)?.status

describe('a child that ended behind a closed gate', () => {
  test('starts when the gate opens; its crash counts once, the wait does not', async () => {
    const { system, settle, advance, gate, close, open, child, kill, isUp } = world()
    const options = { strategy: 'one_for_one', intensity: 1, startGate: gate } as const
    const root = await startSupervisor(system, supervisor('root', options, [child('a')]))
    close()
    await kill('a')
    await advance(60_000)
    expect(isUp('a')).toBe(false)
    expect(await statusOf(root, 'a')).toBe('restarting')
    open()
    await settle()
    expect(isUp('a')).toBe(true)
    expect(system.info(name('a'))?.restarts).toBe(1)
  })

  test('leaves its supervisor free: for siblings, questions and its own end', async () => {
    const { system, settle, gate, close, child, kill, isUp } = world()
    const free = { ...child('free'), startGate: () => undefined }
    const options = { strategy: 'one_for_one', startGate: gate } as const
    const root = await startSupervisor(system, supervisor('root', options, [child('a'), free]))
    close()
    await kill('a')
    await kill('free')
    expect(isUp('free')).toBe(true)
    expect(await countChildren(root)).toMatchObject({ specs: 2, active: 1 })
    const ended = stopProcess(root, 'shutdown')
    await settle()
    await ended
    expect(system.processes()).toEqual([])
  })

  test('is ended by hand and stays so when the gate opens', async () => {
    const { system, settle, gate, close, open, child, kill, isUp } = world()
    const options = { strategy: 'one_for_one', startGate: gate } as const
    const root = await startSupervisor(system, supervisor('root', options, [child('a')]))
    close()
    await kill('a')
    expect(await terminateChild(root, 'a')).toEqual({ ok: true })
    const asked = restartChild(root, 'a')
    await settle()
    expect(isUp('a')).toBe(false)
    open()
    expect(await asked).toMatchObject({ ok: true })
    expect(isUp('a')).toBe(true)
  })

  test('waits on when the gate is closed again, and when it refuses', async () => {
    const { system, settle, gate, close, open, refuse, child, kill, isUp } = world()
    const options = { strategy: 'one_for_one', startGate: gate } as const
    const root = await startSupervisor(system, supervisor('root', options, [child('a')]))
    close()
    await kill('a')
    open()
    close()
    await settle()
    expect(isUp('a')).toBe(false)
    refuse('never')
    await settle()
    expect(await statusOf(root, 'a')).toBe('restarting')
    expect(await terminateChild(root, 'a')).toEqual({ ok: true })
  })
})

describe('a start that was asked for behind a closed gate', () => {
  const asked = async () => {
    const stage = world()
    const { system, gate, child } = stage
    const options = { strategy: 'one_for_one', startGate: gate } as const
    const root = await startSupervisor(system, supervisor('root', options, [child('a')]))
    await terminateChild(root, 'a')
    stage.close()
    const answers: unknown[] = []
    for (const answer of [restartChild(root, 'a'), startChild(root, child('b'))])
      void answer.then((result) => answers.push(result.ok))
    await stage.settle()
    return { ...stage, root, answers }
  }

  test('waits on when the gate is closed again', async () => {
    const { open, close, settle, answers, isUp } = await asked()
    open()
    close()
    await settle()
    expect([answers, isUp('a'), isUp('b')]).toEqual([[], false, false])
    open()
    await settle()
    expect([answers, isUp('a'), isUp('b')]).toEqual([[true, true], true, true])
  })

  test('is decided when the gate opens: a child that runs by then runs once', async () => {
    const { root, open, settle, answers, started, child } = await asked()
    const twice = outcome(startChild(root, child('b')))
    await settle()
    open()
    expect(await twice).toMatchObject({ value: { ok: false, reason: ['already_started', {}] } })
    expect([answers, started.filter((id) => id === 'b')]).toEqual([[true, true], ['b']])
  })
})

describe('the children that restart together', () => {
  test.each([
    ['rest_for_one', ['b', 'c']],
    ['one_for_all', ['a', 'b', 'c']],
  ] as const)('of %s end at once and start in order when the gate opens', async (strategy, all) => {
    const { system, settle, started, gate, close, open, child, kill, isUp } = world()
    const options = { strategy, intensity: 1, startGate: gate } as const
    await startSupervisor(system, supervisor('root', options, [child('a'), child('b'), child('c')]))
    started.length = 0
    close()
    await kill('b')
    expect(all.map(isUp)).toEqual(all.map(() => false))
    open()
    await settle()
    expect(started).toEqual(all)
  })

  test('of an earlier crash take in those that wait already', async () => {
    const { system, settle, started, gate, close, open, child, kill } = world()
    const options = { strategy: 'rest_for_one', intensity: 2, startGate: gate } as const
    await startSupervisor(system, supervisor('root', options, [child('a'), child('b'), child('c')]))
    started.length = 0
    close()
    await kill('c')
    await kill('a')
    open()
    await settle()
    expect(started).toEqual(['a', 'b', 'c'])
  })
})

describe('a dynamic supervisor below a gate', () => {
  const tree = ({ gate }: ReturnType<typeof world>) =>
    supervisor('root', { ...strict, startGate: gate }, [
      dynamicSupervisor('dynamic', { intensity: 2, name: name('dynamic') as Name<never> }),
    ])

  test('inherits it: its children wait, and count their crashes only', async () => {
    const stage = world()
    const { system, settle, advance, close, open, child, kill, isUp } = stage
    await startSupervisor(system, tree(stage))
    const dynamic = system.to(name('dynamic')) as Parameters<typeof startDynamicChild>[0]
    for (const id of ['a', 'b']) await startDynamicChild(dynamic, child(id))
    close()
    await kill('a')
    await kill('b')
    await advance(60_000)
    const asked = outcome(startDynamicChild(dynamic, child('c')))
    await settle()
    expect(['a', 'b', 'c'].filter(isUp)).toEqual([])
    expect(await countChildren(dynamic)).toMatchObject({ specs: 2, active: 0 })
    open()
    expect(await asked).toMatchObject({ ok: true })
    expect(['a', 'b', 'c'].filter(isUp)).toEqual(['a', 'b', 'c'])
  })

  test('fails a start that was asked for when the gate refuses', async () => {
    const stage = world()
    const { system, settle, close, refuse, child } = stage
    await startSupervisor(system, tree(stage))
    const dynamic = system.to(name('dynamic')) as Parameters<typeof startDynamicChild>[0]
    close()
    const asked = startDynamicChild(dynamic, child('a'))
    await settle()
    refuse('over')
    expect(await asked).toMatchObject({ ok: false, reason: ['nocatch', 'over'] })
  })
})

describe('a tree that starts behind a closed gate', () => {
  test('waits, and starts in order', async () => {
    const { system, settle, started, gate, close, open, child } = world()
    close()
    const options = { ...strict, startGate: gate }
    const inner = supervisor('inner', strict, [child('b')])
    const root = startSupervisor(system, supervisor('root', options, [child('a'), inner]))
    await settle()
    expect(started).toEqual([])
    open()
    await root
    expect(started).toEqual(['a', 'b'])
  })

  test('fails when the gate refuses, and when it is told to end', async () => {
    const { system, settle, gate, close, refuse, child } = world()
    const options = { ...strict, startGate: gate }
    close()
    const refused = startSupervisor(system, supervisor('root', options, [child('a')]))
    await settle()
    refuse('over')
    await expect(refused).rejects.toMatchObject({
      code: 'EXITED',
      details: { reason: ['shutdown', ['failed_to_start_child', 'a', ['nocatch', 'over']]] },
    })
    close()
    const inner = supervisor('inner', options, [child('b')])
    const ended = startSupervisor(system, supervisor('outer', strict, [inner])).catch(
      (error: unknown) => error,
    )
    await settle()
    await system.stop()
    expect(await ended).toMatchObject({ code: 'EXITED' })
  })
})

test('a gate that is not a function is CONFIG', () => {
  expect(() => supervisor('root', { ...strict, startGate: 1 as never }, [])).toThrow(
    expect.objectContaining({
      code: 'CONFIG',
      details: expect.objectContaining({ path: 'root.startGate' }),
    }),
  )
})
