import { describe, expect, test } from 'vitest'
import { isKeelsonError } from '../../src/errors.ts'
import {
  type BareContext,
  call,
  cast,
  type DownMessage,
  type ExitMessage,
  exit,
  type GenServer,
  noReply,
  reply,
  type System,
  startTaskSupervisor,
  suspend,
  Task,
  TaskSupervisor,
  type TaskValue,
} from '../../src/runtime/index.ts'
import { type TestSystem, testSystem } from '../../src/testing/index.ts'

/** What an error is to whoever catches it: its code, and the reason in its details. */
const failureOf = (error: unknown): unknown =>
  isKeelsonError(error) ? { code: error.code, reason: error.details.reason } : error

const outcomeOf = (promise: Promise<unknown>): Promise<unknown> => promise.catch(failureOf)

/** Runs `body` in a process of its own until nothing more happens without time passing; answers what it put into `seen`. */
const within = async (
  { system, clock }: TestSystem,
  body: (context: BareContext, seen: unknown[]) => unknown,
) => {
  const seen: unknown[] = []
  const ref = system.spawn((context) => body(context, seen))
  await clock.settle()
  return { seen, ref }
}

/** The tasks that run. */
const tasksOf = (system: System) => system.processes().filter(({ kind }) => kind === 'task')

const boom = new Error('boom')
const crash = (): never => {
  throw boom
}
const never = (context: BareContext): Promise<unknown> => context.receive()

type OwnerMessages = {
  calls: { seen: () => readonly unknown[] }
  casts: { run: (body: (context: BareContext) => unknown) => void }
  infos: { task: (done: TaskValue) => void; other: () => void }
}

/** A server that starts what it is told to, and notes what comes of it. */
const owner: GenServer<OwnerMessages, readonly unknown[], boolean> = {
  init: (traps, context) => {
    context.trapExit(traps)
    return []
  },
  calls: { seen: (seen) => reply(seen, seen) },
  casts: {
    run: async (seen, body, context) => {
      await body(context as unknown as BareContext)
      return noReply(seen)
    },
  },
  infos: {
    task: (seen, { value }) => noReply([...seen, ['value', value]]),
    other: (seen) => noReply(seen),
  },
  exit: (seen, { reason }: ExitMessage) => noReply([...seen, ['exit', reason]]),
  down: (seen, { reason }: DownMessage) => noReply([...seen, ['down', reason]]),
}

describe('the value of a task', () => {
  test('is awaited, whether it came before or comes after, and no timer is left', async () => {
    const stage = testSystem()
    const { seen } = await within(stage, async (context, seen) => {
      const late = Task.async(context, async (inner) => {
        await inner.sleep(0)
        return 'late'
      })
      const early = Task.async(context, () => 'early')
      seen.push(await Task.await(late), await Task.await(early))
    })
    expect(seen).toEqual(['late', 'early'])
    expect(stage.clock.untilNext()).toBeUndefined()
  })

  test('comes as a message when nobody awaits it, and then the end, which names the task', async () => {
    const { system, clock } = testSystem()
    const ref = await system.start(owner, false)

    let task: Task | undefined
    cast(ref, 'run', (context) => {
      task = Task.async(context, () => 7)
    })
    await clock.settle()

    expect(await call(ref, 'seen')).toEqual([
      ['value', 7],
      ['down', 'normal'],
    ])
    expect(task?.owner).toBe(ref)
    expect(system.info(task?.ref ?? ref)).toBeUndefined()
  })

  test('comes from a task that has ended, whatever the owner does with it at once', async () => {
    const { seen } = await within(testSystem(), async (context, noted) => {
      const task = Task.async(context, () => 1)
      noted.push(await Task.await(task), context.system.info(task.ref as never))
      noted.push(await Task.shutdown(task))
    })
    expect(seen).toEqual([1, undefined, { ok: false, reason: 'noproc' }])
  })

  test('and its end are never refused, however full the mailbox of the owner is', async () => {
    const { system, clock } = testSystem()
    const ref = await system.start(owner, false, { mailboxMax: 2 })
    const helper = await system.start(owner, false)
    await suspend(helper)

    cast(ref, 'run', async (context) => {
      const busy = context.to(ref)
      Task.async(context, (inner) => inner.sleep(10).then(() => 1))
      while (cast(busy, 'run', () => undefined));
      await call(helper, 'seen', undefined, { timeoutMs: 100 }).catch(() => undefined)
    })
    await clock.advance(10)
    expect(system.info(ref)?.mailbox).toBe(4)
    await clock.advance(90)

    expect(await call(ref, 'seen')).toEqual([
      ['value', 1],
      ['down', 'normal'],
    ])
  })

  test('is undefined when the function returns none, which is not the end without a value', async () => {
    const { seen } = await within(testSystem(), async (context, seen) => {
      seen.push(await Task.await(Task.async(context, () => {})))
      seen.push(await outcomeOf(Task.await(Task.async(context, () => exit('normal')))))
    })
    expect(seen).toEqual([undefined, { code: 'EXITED', reason: 'normal' }])
  })

  test('may be there from the start', async () => {
    const { seen } = await within(testSystem(), async (context, seen) => {
      const task = Task.completed(context, 1)
      seen.push(task.ref, await Task.await(task))
      seen.push(await outcomeOf(Task.shutdown(Task.completed(context, 1))))
    })
    expect(seen).toEqual([undefined, 1, { code: 'INVALID_ARGUMENT', reason: undefined }])
  })
})

describe('awaiting', () => {
  test('a task that crashes rejects with its reason as the cause, and spares a trapping owner', async () => {
    const { seen } = await within(testSystem(), async (context, seen) => {
      context.trapExit(true)
      const task = Task.async(context, crash)
      const error = await Task.await(task).catch((thrown: Error) => thrown)
      seen.push(failureOf(error), (error as Error).cause, await context.receive(0))
    })
    expect(seen).toEqual([
      { code: 'EXITED', reason: boom },
      boom,
      { kind: 'exit', from: expect.anything(), reason: boom },
    ])
  })

  test('is over after 5,000 ms by default; the task goes on and what it gives then is dropped', async () => {
    const stage = testSystem()
    let left: unknown = 'running'
    const { seen } = await within(stage, async (context, seen) => {
      const task = Task.async(context, async (inner) => {
        await inner.sleep(6_000)
        left = 'done'
        return 1
      })
      seen.push(await outcomeOf(Task.await(task)))
      seen.push(await context.receive(2_000))
    })

    await stage.clock.advance(4_999)
    expect(seen).toEqual([])
    await stage.clock.advance(1)
    expect(seen).toEqual([{ code: 'TIMEOUT', reason: 'timeout' }])
    await stage.clock.advance(2_000)
    expect({ seen: seen.slice(1), left }).toEqual({ seen: [undefined], left: 'done' })
  })

  test('a value that was taken runs out of time, and is refused where it would last forever', async () => {
    const stage = testSystem()
    const { seen } = await within(stage, async (context, seen) => {
      const task = Task.async(context, () => 1)
      seen.push(await Task.await(task))
      seen.push(await outcomeOf(Task.await(task, { timeoutMs: 10 })))
      seen.push(await outcomeOf(Task.await(task, { timeoutMs: Number.POSITIVE_INFINITY })))
    })
    await stage.clock.advance(10)
    expect(seen).toEqual([
      1,
      { code: 'TIMEOUT', reason: 'timeout' },
      { code: 'INVALID_ARGUMENT', reason: undefined },
    ])
  })

  test('forever what a handler took before is refused too', async () => {
    const { system, clock } = testSystem()
    const ref = await system.start(owner, false)
    let task: Task | undefined
    cast(ref, 'run', (context) => {
      task = Task.async(context, () => 7)
    })
    await clock.settle()

    let outcome: unknown
    cast(ref, 'run', async () => {
      outcome = await outcomeOf(Task.await(task as Task, { timeoutMs: Number.POSITIVE_INFINITY }))
    })
    await clock.settle()
    expect(outcome).toMatchObject({ code: 'INVALID_ARGUMENT' })
  })

  test.each([
    ['twice at the same time', (task: Task) => void Task.await(task).catch(() => {})],
    ['for a time that is none', () => {}, Number.NaN],
  ])('%s is refused, and the task goes on', async (_, before, timeoutMs = 100) => {
    const stage = testSystem()
    const { seen } = await within(stage, async (context, seen) => {
      const task = Task.async(context, never)
      before(task)
      seen.push(await outcomeOf(Task.await(task, { timeoutMs })), tasksOf(stage.system).length)
    })
    expect(seen).toEqual([{ code: 'INVALID_ARGUMENT', reason: undefined }, 1])
  })

  test('one task as two, tasks of several owners, and what is no task, is refused', async () => {
    const stage = testSystem()
    const foreign = await within(
      stage,
      (context, seen) => void seen.push(Task.completed(context, 1)),
    )
    const { seen } = await within(stage, async (context, seen) => {
      const task = Task.async(context, never)
      seen.push(await outcomeOf(Task.awaitMany([task, task])))
      seen.push(await outcomeOf(Task.yieldMany([task, foreign.seen[0] as Task])))
      seen.push(await outcomeOf(Task.await({} as Task)))
    })
    const refusal = { code: 'INVALID_ARGUMENT', reason: undefined }
    expect(seen).toEqual([refusal, refusal, refusal])
  })

  test('ends with the owner, whose code unwinds, and leaves no rejection that nobody handles', async () => {
    const stage = testSystem()
    const { seen, ref } = await within(stage, async (context, seen) => {
      const task = Task.async(context, never)
      const rest = Task.async(context, never)
      // Nobody looks at these two.
      void Task.awaitMany([rest])
      void TaskSupervisor.async(context, 'nobody' as never, never).catch(() => {})
      try {
        await Task.await(task)
      } catch (error) {
        seen.push(failureOf(error))
      }
    })

    stage.system.kill(ref)
    await stage.clock.settle()

    expect(seen).toEqual([{ code: 'EXITED', reason: 'killed' }])
    expect(tasksOf(stage.system)).toEqual([])
  })

  test('many gives their values in order, typed one by one', async () => {
    const { seen } = await within(testSystem(), async (context, seen) => {
      const [text, count] = await Task.awaitMany([
        Task.async(context, () => 'a'),
        Task.async(context, async () => 1),
      ])
      seen.push(text.toUpperCase(), count.toFixed(1), await Task.awaitMany([]))
    })
    expect(seen).toEqual(['A', '1.0', []])
  })

  test('many rejects with the first failure or when their time is over, and gives up all of them', async () => {
    const stage = testSystem()
    const { seen } = await within(stage, async (context, seen) => {
      context.trapExit(true)
      const slow = () => Task.async(context, (inner) => inner.sleep(200).then(() => 'slow'))
      const [first, second] = [slow(), slow()]
      seen.push(await outcomeOf(Task.awaitMany([first, Task.async(context, () => exit('bad'))])))
      seen.push(await outcomeOf(Task.awaitMany([second], { timeoutMs: 100 })))
      for (let each = await context.receive(500); each; each = await context.receive(500))
        seen.push([each.kind, 'reason' in each && each.reason])
    })
    await stage.clock.advance(2_000)

    expect(seen).toEqual([
      { code: 'EXITED', reason: 'bad' },
      { code: 'TIMEOUT', reason: 'timeout' },
      ['exit', 'bad'],
      ['exit', 'normal'],
      ['exit', 'normal'],
    ])
  })
})

describe('yielding', () => {
  test('looks once without waiting, and leaves the task to whoever asks next', async () => {
    const stage = testSystem()
    const { seen } = await within(stage, async (context, seen) => {
      const task = Task.async(context, (inner) => inner.sleep(100).then(() => 1))
      seen.push(await Task.yield(task, { timeoutMs: 0 }))
      seen.push(await Task.yield(task, { timeoutMs: 50 }))
      seen.push(await Task.yield(task))
    })
    await stage.clock.advance(100)
    expect(seen).toEqual([undefined, undefined, { ok: true, value: 1 }])
  })

  test('many tells of each what came of it within the time', async () => {
    const stage = testSystem()
    const { seen } = await within(stage, async (context, seen) => {
      context.trapExit(true)
      const tasks = [
        Task.async(context, () => 1),
        Task.async(context, (inner) => inner.sleep(100).then(() => 2)),
        Task.async(context, () => exit('bad')),
      ] as const
      seen.push(await Task.yieldMany(tasks, { timeoutMs: 50 }))
      seen.push(await Task.await(tasks[1]))
    })
    await stage.clock.advance(100)
    expect(seen).toEqual([[{ ok: true, value: 1 }, undefined, { ok: false, reason: 'bad' }], 2])
  })
})

describe('shutting a task down', () => {
  test('that has ended already tells its value, its end, or that nothing is left', async () => {
    const stage = testSystem()
    const { seen } = await within(stage, async (context, seen) => {
      context.trapExit(true)
      const [done, bad, spent] = [
        Task.async(context, () => 1),
        Task.async(context, () => exit('bad')),
        Task.async(context, () => 2),
      ]
      await Task.await(spent)
      await context.sleep(0)
      for (const task of [done, bad, spent]) seen.push(await Task.shutdown(task))
    })
    await stage.clock.settle()
    expect(seen).toEqual([
      { ok: true, value: 1 },
      { ok: false, reason: 'bad' },
      { ok: false, reason: 'noproc' },
    ])
  })

  test('kills it when its time is over, spares the owner, and takes the news out of its mailbox', async () => {
    const stage = testSystem()
    const { seen } = await within(stage, async (context, seen) => {
      const task = Task.async(context, (inner) => {
        inner.trapExit(true)
        return inner.sleep(1_000)
      })
      await context.sleep(10)
      seen.push(await Task.shutdown(task, 100), await context.receive(0))
    })
    await stage.clock.advance(109)
    expect(seen).toEqual([])
    await stage.clock.advance(1)
    expect(seen).toEqual([{ ok: false, reason: 'killed' }, undefined])
    expect(tasksOf(stage.system)).toEqual([])
  })

  test('makes what waits in it unwind, and drops what it returns after that', async () => {
    const stage = testSystem()
    const { seen } = await within(stage, async (context, seen) => {
      const task = Task.async(context, async (inner) => {
        await inner.sleep(1_000).catch((error) => seen.push(failureOf(error)))
        seen.push(inner.signal.aborted)
        return 'too late'
      })
      await context.sleep(0)
      seen.push(await Task.shutdown(task, 'brutal_kill'))
      seen.push(await context.receive(10))
    })
    await stage.clock.advance(10)
    expect(seen).toEqual([{ code: 'EXITED', reason: 'killed' }, undefined, true, undefined])
  })

  test('has no effect once the owner has ended', async () => {
    const stage = testSystem()
    const crew = await startTaskSupervisor(stage.system)
    const { seen, ref } = await within(stage, async (context, seen) => {
      const task = await TaskSupervisor.asyncNolink(context, crew, never)
      await context.receive().catch(() => undefined)
      seen.push(await outcomeOf(Task.shutdown(task)), await outcomeOf(Task.await(task)))
    })
    stage.system.kill(ref)
    await stage.clock.settle()

    const ended = { code: 'EXITED', reason: 'killed' }
    expect(seen).toEqual([ended, ended])
    expect(tasksOf(stage.system)).toHaveLength(1)
  })

  test('gives a task up without ending it when it is ignored', async () => {
    const stage = testSystem()
    const { seen, ref } = await within(stage, async (context, seen) => {
      const done = Task.async(context, () => 1)
      const task = Task.async(context, never)
      await context.sleep(0)
      seen.push(Task.ignore(done), Task.ignore(task), await context.receive(0))
      await context.receive()
    })
    await stage.clock.settle()
    expect(seen).toEqual([{ ok: true, value: 1 }, undefined, undefined])

    stage.system.kill(ref)
    await stage.clock.settle()
    expect(tasksOf(stage.system).map(({ links }) => links)).toEqual([[]])
  })
})

describe('under a supervisor', () => {
  test('a task is refused when it is full, and that is told the owner', async () => {
    const stage = testSystem()
    const crew = await startTaskSupervisor(stage.system, { maxChildren: 1 })
    const { seen } = await within(stage, async (context, seen) => {
      await TaskSupervisor.asyncNolink(context, crew, never)
      seen.push(await outcomeOf(TaskSupervisor.async(context, crew, never)))
      seen.push(await TaskSupervisor.startChild(crew, never))
    })
    expect(seen).toEqual([
      { code: 'EXITED', reason: 'max_children' },
      { ok: false, reason: 'max_children' },
    ])
  })

  test('an owner that ends takes its linked task along and leaves the other', async () => {
    const stage = testSystem()
    const crew = await startTaskSupervisor(stage.system)
    const { ref } = await within(stage, async (context) => {
      await TaskSupervisor.async(context, crew, never)
      await TaskSupervisor.asyncNolink(context, crew, never)
      await context.receive()
    })
    expect(await TaskSupervisor.children(crew)).toHaveLength(2)

    stage.system.kill(ref)
    await stage.clock.settle()
    expect(await TaskSupervisor.children(crew)).toHaveLength(1)
  })

  test('a task begins when its owner has it, who may end it before', async () => {
    const stage = testSystem()
    const crew = await startTaskSupervisor(stage.system)
    const { seen } = await within(stage, async (context, noted) => {
      const task = await TaskSupervisor.async(context, crew, () => void noted.push('runs'))
      noted.push(await Task.shutdown(task))
    })
    expect(seen).toEqual([undefined])
  })

  test('a task is not started for an owner that has ended meanwhile', async () => {
    const stage = testSystem()
    const crew = await startTaskSupervisor(stage.system)
    let runs = 0
    await within(stage, (context) => {
      const task = TaskSupervisor.async(context, crew, () => runs++)
      exit('gone')
      return task
    })
    expect(runs).toBe(0)
  })

  test('a permanent task is run again, and one that ends in order is not when it is transient', async () => {
    const stage = testSystem()
    const crew = await startTaskSupervisor(stage.system, { intensity: 2 })
    const runs = { permanent: 0, transient: 0 }
    await TaskSupervisor.startChild(crew, () => void runs.permanent++, { restart: 'permanent' })
    await TaskSupervisor.startChild(crew, () => void runs.transient++, { restart: 'transient' })
    await stage.clock.settle()
    expect(runs).toEqual({ permanent: 3, transient: 1 })
  })
})

describe('Task.run, for code outside of processes', () => {
  test('gives the value, the failure, or that the time is over, and then nothing of it runs', async () => {
    const stage = testSystem()
    const crew = await startTaskSupervisor(stage.system)
    const { system, clock } = stage

    expect(await Task.run(system, () => 1)).toBe(1)
    expect(await Task.run(system, async () => 2, { supervisor: crew })).toBe(2)
    expect(await outcomeOf(Task.run(system, crash, { supervisor: crew }))).toEqual({
      code: 'EXITED',
      reason: boom,
    })
    const late = outcomeOf(Task.run(system, never, { supervisor: crew, timeoutMs: 100 }))
    await clock.advance(100)
    expect(await late).toEqual({ code: 'TIMEOUT', reason: 'timeout' })
    expect(tasksOf(system)).toEqual([])
    expect(system.processes()).toHaveLength(1)
  })

  test('ends when it is killed before it began', async () => {
    const { system } = testSystem()
    const outcome = outcomeOf(Task.run(system, () => 1))
    for (const { ref } of system.processes()) system.kill(ref)
    expect(await outcome).toEqual({ code: 'EXITED', reason: 'killed' })
  })

  test('ends with its system', async () => {
    const { system, clock } = testSystem()
    const outcome = outcomeOf(Task.run(system, never))
    await clock.settle()
    const stopping = system.stop()
    await clock.advance(10_000)
    await stopping
    expect(await outcome).toMatchObject({ code: 'EXITED' })
  })
})
