/**
 * A stream of tasks reads and runs only the items that its consumer asks for, within its bounds.
 */
import { describe, expect, test } from 'vitest'
import { type AsyncStreamOptions, Task } from '../../../src/runtime/index.ts'
import { testSystem } from '../../../src/testing/index.ts'
import { consuming, counted, sleeper, values } from './stream-consumer.ts'

describe('a stream of tasks', () => {
  test('starts no task before the first request, and none without a request', async () => {
    const stage = testSystem()
    const { reading, numbers } = counted()
    const { noted } = await consuming(stage, async (context, note) => {
      const stream = Task.asyncStream(context, numbers(), (input) => input, { maxConcurrency: 3 })
      await context.sleep(1)
      note(reading.read)
      note((await stream.next()).value)
      note(reading.read)
      await context.sleep(1)
      note(reading.read)
    })
    await stage.clock.advance(2)
    expect(noted).toEqual([0, { ok: true, value: 1 }, 3, 3])
  })

  test.each([true, false])(
    'is never more than maxConcurrency ahead of its consumer (ordered: %s)',
    async (ordered) => {
      const stage = testSystem({ seed: 3 })
      const { reading, numbers } = counted()
      let most = 0
      await consuming(stage, async (context) => {
        let taken = 0
        const run = (input: number) => input
        const options = { maxConcurrency: 4, ordered }
        for await (const _ of Task.asyncStream(context, numbers(), run, options)) {
          most = Math.max(most, reading.read - taken++)
          await context.sleep(1)
          if (taken === 50) break
        }
      })
      await stage.clock.advance(60)
      expect({ most, closed: reading.closed }).toEqual({ most: 4, closed: 1 })
    },
  )

  test.each([
    [true, 1_000, [5, 1, 1, 1, 1, 1], 5],
    [true, 2, [5, 1, 1, 1, 1, 1], 7],
    [false, 1_000, [1, 1, 1, 1, 5, 1], 5],
  ])(
    'lets the quick pass a slow one, up to maxAhead (ordered: %s, maxAhead: %s)',
    async (ordered, maxAhead, expected, ms) => {
      const stage = testSystem()
      const { noted } = await consuming(stage, async (context, note) => {
        const inputs = [5, 1, 1, 1, 1, 1]
        const options = { maxConcurrency: 2, ordered, maxAhead }
        const found = await values(Task.asyncStream(context, inputs, sleeper, options))
        note(found)
        note(context.now())
      })
      const begun = stage.clock.now()
      await stage.clock.advance(20)
      expect(noted).toEqual([expected, begun + ms])
    },
  )

  test('reads a slow input, and yields finished outcomes meanwhile', async () => {
    const stage = testSystem()
    const { noted } = await consuming(stage, async (context, note) => {
      async function* inputs() {
        yield 1
        await context.sleep(100)
        yield 2
      }
      const stream = Task.asyncStream(context, inputs(), (input) => input * 10)
      for await (const { value } of stream) note(value)
      note('done')
    })
    expect(noted).toEqual([10])
    await stage.clock.advance(100)
    expect(noted).toEqual([10, 20, 'done'])
  })

  test.each<AsyncStreamOptions>([
    { maxConcurrency: 0 },
    { maxConcurrency: 1.5 },
    { maxAhead: 0 },
    { timeoutMs: Number.NaN },
    { onTimeout: 'wait' as never },
  ])('with %o is refused before anything is read', async (options) => {
    const stage = testSystem()
    const { reading, numbers } = counted()
    const { noted } = await consuming(stage, async (context) =>
      Task.asyncStream(context, numbers(), sleeper, options),
    )
    expect(noted).toEqual([{ code: 'INVALID_ARGUMENT', reason: undefined }])
    expect(reading).toEqual({ read: 0, closed: 0 })
  })
})
