/**
 * The end of a task that is shut down or ignored is reported once, and no later message of it
 * reaches its owner.
 */
import { describe, expect, test } from 'vitest'
import { exit, Task, TaskSupervisor } from '../../../src/runtime/index.ts'
import { testSystem } from '../../../src/testing/index.ts'
import { failureOf, never, outcomeOf, tasksOf, withCrew, within } from './task-owner.ts'

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

  test('with no time kills one that traps exits before it can do anything', async () => {
    const stage = testSystem()
    const { seen } = await within(stage, async (context, seen) => {
      const [trapping, plain] = [true, false].map((isTrapping) =>
        Task.async(context, async (inner) => {
          inner.trapExit(isTrapping)
          seen.push(await inner.receive())
        }),
      ) as [Task, Task]
      await context.sleep(0)
      seen.push(await Task.shutdown(trapping, 0), await Task.shutdown(plain, 0))
    })
    expect(seen).toEqual([{ ok: false, reason: 'killed' }, undefined])
  })

  test('makes its pending code unwind, and drops its later return value', async () => {
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
    const { stage, crew } = await withCrew()
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
