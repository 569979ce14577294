/**
 * Tasks under a supervisor begin when their owner has them, and end, stay or run again as they were
 * started.
 */
import { describe, expect, test } from 'vitest'
import { exit, Task, TaskSupervisor } from '../../../src/runtime/index.ts'
import { never, outcomeOf, withCrew, within } from './task-owner.ts'

describe('under a supervisor', () => {
  test('a task is refused when it is full, and the owner gets the error', async () => {
    const { stage, crew } = await withCrew({ maxChildren: 1 })
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
    const { stage, crew } = await withCrew()
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

  test('a task begins when its owner has it, and the owner may end it before', async () => {
    const { stage, crew } = await withCrew()
    const { seen } = await within(stage, async (context, noted) => {
      const task = await TaskSupervisor.async(context, crew, () => void noted.push('runs'))
      noted.push(await Task.shutdown(task))
    })
    expect(seen).toEqual([undefined])
  })

  test('a task is not started for an owner that has ended meanwhile', async () => {
    const { stage, crew } = await withCrew()
    let runs = 0
    await within(stage, (context) => {
      const task = TaskSupervisor.async(context, crew, () => runs++)
      exit('gone')
      return task
    })
    expect(runs).toBe(0)
  })

  test('a permanent task is run again, and a transient task that ends in order is not', async () => {
    const { stage, crew } = await withCrew({ intensity: 2 })
    const runs = { permanent: 0, transient: 0 }
    await TaskSupervisor.startChild(crew, () => void runs.permanent++, { restart: 'permanent' })
    await TaskSupervisor.startChild(crew, () => void runs.transient++, { restart: 'transient' })
    await stage.clock.settle()
    expect(runs).toEqual({ permanent: 3, transient: 1 })
  })
})
