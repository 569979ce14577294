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

  test.each([
    ['async', 'killed'],
    ['asyncNolink', ['shutdown', 'killed']],
  ] as const)('%s leaves no task behind if its owner ends during the start', async (how, end) => {
    const { stage, crew } = await withCrew({ maxChildren: 1 })
    const ends: unknown[] = []
    let runs = 0
    const started = TaskSupervisor[how]
    const owner = stage.system.spawn((context) => started(context, crew, () => runs++))
    stage.system.events.on('process.started', ({ kind }) => {
      if (kind === 'task') stage.system.kill(owner)
    })
    stage.system.events.on('process.exited', ({ kind, reason }) => {
      if (kind === 'task') ends.push(reason)
    })
    await stage.settle()

    expect([await TaskSupervisor.children(crew), ends, runs]).toEqual([[], [end], 0])
  })
})
