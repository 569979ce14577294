/**
 * A stream of tasks that ends, by its consumer, its owner or its input, leaves no task that it
 * should have ended, and an input closed.
 */
import { describe, expect, test } from 'vitest'
import { type BareContext, startTaskSupervisor, Task } from '../../../src/runtime/index.ts'
import { testSystem } from '../../../src/testing/index.ts'
import { consuming, counted, running, values, waiter } from './stream-consumer.ts'
import { withCrew } from './task-owner.ts'

describe('a stream of tasks', () => {
  test('kills what runs and closes its input when its consumer stops early', async () => {
    const stage = testSystem()
    const { reading, numbers } = counted()
    const { noted } = await consuming(stage, async (context, note) => {
      const run = (input: number, inner: BareContext) => (input === 1 ? 1 : inner.receive())
      for await (const { value } of Task.asyncStream(context, numbers(), run)) {
        note(value)
        note(running(stage))
        break
      }
      note(running(stage))
      await context.sleep(10)
      note('alive')
    })
    await stage.clock.advance(10)
    expect(noted).toEqual([1, 7, 0, 'alive'])
    expect(reading).toEqual({ read: 8, closed: 1 })
  })

  test('also kills a task that is starting under a supervisor', async () => {
    const { stage, crew } = await withCrew()
    let begun = 0
    const { noted } = await consuming(stage, async (context, note) => {
      const run = () => ++begun
      const stream = Task.asyncStream(context, [1], run, { supervisor: crew })
      const asked = stream.next()
      await stream.return?.()
      note((await asked).done)
    })
    expect({ noted, begun }).toEqual({ noted: [true], begun: 0 })
  })

  test('rejects when it is asked after its owner has ended', async () => {
    const stage = testSystem()
    let goOn = (): void => {}
    const gate = new Promise<void>((resolve) => {
      goOn = resolve
    })
    const { noted, ref } = await consuming(stage, async (context, note) => {
      const stream = Task.asyncStream(context, [1, 2], (input) => input)
      note(await stream.next())
      await gate
      note(await stream.next())
    })
    stage.system.kill(ref)
    goOn()
    await stage.clock.settle()
    expect(noted.slice(1)).toEqual([{ code: 'EXITED', reason: 'killed' }])
  })

  test('does not fail by an input that fails to close, when its owner has ended or it owes an answer', async () => {
    const stage = testSystem()
    const inputs: AsyncIterable<number> = {
      [Symbol.asyncIterator]: () => ({
        next: () => new Promise(() => {}),
        return: () => Promise.reject(new Error('it does not close')),
      }),
    }
    const { noted, ref } = await consuming(stage, async (context, note) => {
      const stream = Task.asyncStream(context, inputs, (input) => input)
      const asked = stream.next()
      await context.sleep(1)
      note([await stream.return?.(), await asked])
      note(await Task.asyncStream(context, inputs, (input) => input).next())
    })
    await stage.clock.advance(1)
    stage.system.kill(ref)
    await stage.clock.settle()
    const end = { done: true, value: undefined }
    expect(noted).toEqual([[end, end], { code: 'EXITED', reason: 'killed' }])
  })

  test('rejects with what an input says that does not close', async () => {
    const stage = testSystem()
    const stuck = new Error('it does not close')
    const inputs: Iterable<number> = {
      [Symbol.iterator]: () => ({
        next: () => ({ done: false, value: 1 }),
        return: () => {
          throw stuck
        },
      }),
    }
    const { noted } = await consuming(stage, async (context) => {
      for await (const _ of Task.asyncStream(context, inputs, (input) => input)) break
    })
    expect(noted).toEqual([stuck])
  })

  test('is closed while an outcome is asked for, and that is answered with the end', async () => {
    const stage = testSystem()
    const { reading, numbers } = counted()
    const { noted } = await consuming(stage, async (context, note) => {
      const stream = Task.asyncStream(context, numbers(), waiter)
      const asked = stream.next()
      await context.sleep(1)
      note([running(stage), await stream.return?.(), await asked, running(stage)])
    })
    await stage.clock.advance(1)
    const end = { done: true, value: undefined }
    expect(noted).toEqual([[8, end, end, 0]])
    expect(reading.closed).toBe(1)
  })

  test.each(['throws', 'rejects'])(
    'ends with what its input %s, and kills what runs',
    async (how) => {
      const stage = testSystem()
      const broken = new Error('no more')
      const { noted } = await consuming(stage, async (context, note) => {
        const inputs = {
          [how === 'throws' ? Symbol.iterator : Symbol.asyncIterator]: () => {
            let count = 0
            const next = () => {
              if (++count < 3) return { done: false, value: count }
              throw broken
            }
            return { next: how === 'throws' ? next : async () => next() }
          },
        } as unknown as Iterable<number>
        await values(Task.asyncStream(context, inputs, waiter)).catch((error) => {
          note(error)
          note(running(stage))
        })
      })
      expect(noted).toEqual([broken, 0])
    },
  )

  test.each([
    ['linked', false, {}],
    ['of an owner that traps exits', true, {}],
    ['under a supervisor', false, { supervisor: 'crew' as never }],
  ])('ends with its owner: %s', async (_, traps, options) => {
    const stage = testSystem()
    await startTaskSupervisor(stage.system, { name: 'crew' as never })
    const { reading, numbers } = counted()
    const { noted, ref } = await consuming(stage, async (context, note) => {
      context.trapExit(traps)
      try {
        await values(Task.asyncStream(context, numbers(), waiter, options))
      } finally {
        note('unwound')
      }
    })
    expect(running(stage)).toBe(8)

    stage.system.kill(ref)
    await stage.clock.settle()

    expect(running(stage)).toBe(0)
    expect(reading.closed).toBe(1)
    expect(noted).toEqual(['unwound', { code: 'EXITED', reason: 'killed' }])
  })

  test('leaves tasks that are not linked to their owner running, without a time limit', async () => {
    const { stage, crew } = await withCrew()
    const { ref } = await consuming(stage, (context) => {
      const options = { supervisor: crew, link: false, timeoutMs: 100 }
      return values(Task.asyncStream(context, [1, 2], waiter, options))
    })
    stage.system.kill(ref)
    await stage.clock.advance(1_000)
    expect(running(stage)).toBe(2)
  })
})
