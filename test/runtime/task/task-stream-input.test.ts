/** The inputs of a stream of tasks. An error of the input is an error of the stream's reader. */
import { describe, expect, test } from 'vitest'
import { Task } from '../../../src/runtime/index.ts'
import { testSystem } from '../../../src/testing/index.ts'
import { consuming, values } from './stream-consumer.ts'

describe('the input of a stream of tasks', () => {
  const boom = new Error('boom')
  const broken: Record<string, (reads: number) => Iterable<number> | AsyncIterable<number>> = {
    'its opening': () => ({
      [Symbol.iterator]: () => {
        throw boom
      },
    }),
    'its opening, async': () => ({
      [Symbol.asyncIterator]: () => {
        throw boom
      },
    }),
    'a read': function* (reads) {
      for (let read = 0; read < reads; read++) yield read
      throw boom
    },
    'an async read': async function* (reads) {
      for (let read = 0; read < reads; read++) yield read
      throw boom
    },
  }
  const everyWay = Object.keys(broken).flatMap((what) =>
    [1, 2, 8].flatMap((maxConcurrency) =>
      [true, false].map((ordered) => ({ what, maxConcurrency, ordered })),
    ),
  )

  test.each(everyWay)(
    'that throws in $what is an error of the reader, also when nothing runs ($maxConcurrency at a time, ordered: $ordered)',
    async ({ what, ...options }) => {
      for (const reads of [0, 1, 2]) {
        const { noted } = await consuming(testSystem(), async (context) => {
          await values(
            Task.asyncStream(context, broken[what]?.(reads) ?? [], (each) => each, options),
          )
        })
        expect(noted, `after ${reads}`).toEqual([boom])
      }
    },
  )

  test.each([5, null, undefined, {}, true])('is refused when it is none: %s', async (inputs) => {
    const { noted } = await consuming(testSystem(), async (context) => {
      Task.asyncStream(context, inputs as never, (each) => each)
    })
    expect(noted).toEqual([{ code: 'INVALID_ARGUMENT', reason: undefined }])
  })

  test('may be a text', async () => {
    const { noted } = await consuming(testSystem(), async (context, note) => {
      note(await values(Task.asyncStream(context, 'abc', (each) => each)))
    })
    expect(noted).toEqual([['a', 'b', 'c']])
  })
})
