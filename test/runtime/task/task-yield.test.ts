/** `yield` of tasks waits no longer than its limit, and leaves running tasks to the next caller. */
import { describe, expect, test } from 'vitest'
import { exit, Task } from '../../../src/runtime/index.ts'
import { testSystem } from '../../../src/testing/index.ts'
import { within } from './task-owner.ts'

describe('yielding', () => {
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
