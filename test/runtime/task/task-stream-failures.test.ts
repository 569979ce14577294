/**
 * A crash is an outcome of a stream of tasks; a time that is over, and a supervisor that is full or
 * missing, end the stream.
 */
import { describe, expect, test } from 'vitest'
import { cast, exit, type GenServer, noReply, Task } from '../../../src/runtime/index.ts'
import { testSystem } from '../../../src/testing/index.ts'
import { consuming, running, sleeper, values, waiter } from './stream-consumer.ts'
import { withCrew } from './task-owner.ts'

describe('a stream of tasks', () => {
  test('shows a trapping owner a crash as an outcome with its input, and sends it no exit message', async () => {
    const stage = testSystem()
    const { noted } = await consuming(stage, async (context, note) => {
      context.trapExit(true)
      const run = (input: number) => (input === 2 ? exit('bad') : input)
      for await (const outcome of Task.asyncStream(context, [1, 2, 3], run)) note(outcome)
      note(await context.receive(0))
    })
    expect(stage.clock.untilNext()).toBeUndefined()
    expect(noted).toEqual([
      { ok: true, value: 1 },
      { ok: false, reason: 'bad', input: 2 },
      { ok: true, value: 3 },
      undefined,
    ])
  })

  test('of which one task takes too long rejects with TIMEOUT and kills the others', async () => {
    const stage = testSystem()
    const { noted } = await consuming(stage, async (context, note) => {
      const options = { timeoutMs: 100, maxConcurrency: 2 }
      const stream = Task.asyncStream(context, [90, 1_000, 50], sleeper, options)
      try {
        for await (const { value } of stream) note(value)
      } finally {
        note(running(stage))
      }
    })
    await stage.clock.advance(100)
    expect(noted).toEqual([90, 0, { code: 'TIMEOUT', reason: 'timeout' }])
  })

  test('rejects with EXITED when its supervisor is full', async () => {
    const { stage, crew } = await withCrew({ maxChildren: 2 })
    const { noted } = await consuming(stage, (context) =>
      values(Task.asyncStream(context, [1, 2, 3], waiter, { supervisor: crew })),
    )
    expect(noted).toEqual([{ code: 'EXITED', reason: 'max_children' }])
    expect(running(stage)).toBe(0)
  })

  test('without a supervisor rejects with NO_PROCESS when its owner traps exits', async () => {
    const stage = testSystem()
    const { noted } = await consuming(stage, (context) => {
      context.trapExit(true)
      return values(Task.asyncStream(context, [1], () => 1, { supervisor: 'nobody' as never }))
    })
    expect(noted).toEqual([{ code: 'NO_PROCESS', reason: 'noproc' }])
  })

  test.each([true, false])(
    'without a supervisor ends an owner that does not trap, and no terminate runs, link: %s',
    async (link) => {
      const { system, clock } = testSystem()
      const ends: unknown[] = []
      const server: GenServer<{ casts: { go: () => void } }, null> = {
        init: () => null,
        casts: {
          go: async (state, _, context) => {
            const options = { supervisor: 'nobody' as never, link }
            await values(Task.asyncStream(context, [1], () => 1, options))
            return noReply(state)
          },
        },
        terminate: () => void ends.push('terminate'),
      }
      const owner = await system.start(server)
      system.monitor(owner, (reason) => ends.push(reason))
      cast(owner, 'go')
      await clock.settle()
      expect(ends).toMatchObject([{ code: 'EXITED', details: { reason: 'noproc' } }])
    },
  )
})
