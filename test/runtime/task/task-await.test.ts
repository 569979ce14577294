/** `await` of tasks: their values, the first failure, or a timeout. A wrong task is refused. */
import { describe, expect, test, vi } from 'vitest'
import { cast, exit, type Ref, Task, TaskSupervisor } from '../../../src/runtime/index.ts'
import { testSystem } from '../../../src/testing/index.ts'
import { holed } from '../../support/read-once.ts'
import { failureOf, never, notAwaiting, outcomeOf, tasksOf, within } from './task-owner.ts'

describe('awaiting', () => {
  test('is over after 5,000 ms by default; the task continues and its later value is dropped', async () => {
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
    const { clock, ref, task } = await notAwaiting()

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

  test('one task twice, tasks of several owners, and a value that is not a task, are refused', async () => {
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
      seen.push(await outcomeOf(Task.awaitMany(null as never)))
      seen.push(await outcomeOf(Task.awaitMany(holed(task, Task.completed(context, 1)))))
    })
    const refusal = { code: 'INVALID_ARGUMENT', reason: undefined }
    expect(seen).toEqual([refusal, refusal, refusal, refusal, refusal])
  })

  test('ends with the owner, whose code unwinds, and leaves no unhandled rejection', async () => {
    const stage = testSystem()
    const { seen, ref } = await within(stage, async (context, seen) => {
      const task = Task.async(context, never)
      const rest = Task.async(context, never)
      // These two are never read.
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

test('a task that ends with a reason which cannot be inspected ends its wait, and its monitors hear it', async () => {
  const stage = testSystem()
  const unhandled = vi.fn()
  process.on('unhandledRejection', unhandled)
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  const { seen } = await within(stage, async (context, seen) => {
    context.trapExit(true)
    const task = Task.async(context, async () => exit(proxy))
    stage.system.monitor(task.ref as Ref, (reason) => seen.push(reason === proxy))
    seen.push(await Task.await(task).catch(({ code, details }) => [code, details.reason === proxy]))
  })
  await new Promise((resolve) => setImmediate(resolve))
  process.off('unhandledRejection', unhandled)

  expect(seen).toEqual([true, ['EXITED', true]])
  expect(unhandled).not.toHaveBeenCalled()
})
