/** The value of a task comes to its owner once: awaited, or as a message, and its end after it. */
import { describe, expect, test } from 'vitest'
import { call, cast, suspend, Task } from '../../../src/runtime/index.ts'
import { testSystem } from '../../../src/testing/index.ts'
import { notAwaiting, outcomeOf, owner, within } from './task-owner.ts'

describe('the value of a task', () => {
  test('comes as a message when it is not awaited, and then the end, which names the task', async () => {
    const { system, ref, task } = await notAwaiting()

    expect(await call(ref, 'seen')).toEqual([
      ['value', 7],
      ['down', 'normal'],
    ])
    expect(task?.owner).toBe(ref)
    expect(system.info(task?.ref ?? ref)).toBeUndefined()
  })

  test('comes from a task that has ended before the owner can act on it', async () => {
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

  test('may be there from the start', async () => {
    const { seen } = await within(testSystem(), async (context, seen) => {
      const task = Task.completed(context, 1)
      seen.push(task.ref, await Task.await(task))
      seen.push(await outcomeOf(Task.shutdown(Task.completed(context, 1))))
    })
    expect(seen).toEqual([undefined, 1, { code: 'INVALID_ARGUMENT', reason: undefined }])
  })
})
