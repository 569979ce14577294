/** `Task.run` gives code outside of processes one outcome, and leaves nothing running behind it. */
import { describe, expect, test } from 'vitest'
import { Task } from '../../../src/runtime/index.ts'
import { testSystem } from '../../../src/testing/index.ts'
import { boom, crash, never, outcomeOf, tasksOf, withCrew } from './task-owner.ts'

describe('Task.run, for code outside of processes', () => {
  test('gives the value, the failure, or that the time is over, and then nothing of it runs', async () => {
    const { stage, crew } = await withCrew()
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

  test('runs under its label, with a supervisor too', async () => {
    const { stage, crew } = await withCrew()
    for (const supervisor of [undefined, crew]) {
      const label = supervisor ? 'under a supervisor' : 'alone'
      const outcome = Task.run(stage.system, never, { label, supervisor })
      await stage.settle()
      expect(tasksOf(stage.system).map((task) => task.label)).toEqual([label])
      await Promise.all([outcomeOf(outcome), stage.advance(5_000)])
    }
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
