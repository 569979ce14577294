/** Events that are sent as calls: what answers them, and when. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, test } from 'vitest'
import { isKeelsonError } from '../../../src/errors.ts'
import { StateMachine } from '../../../src/runtime/state-machine/state-machine.ts'
import { testSystem } from '../../../src/testing/index.ts'
import { boom, lamp, note, push, server } from '../machine/lamp.ts'
import { started } from './machine-process.ts'

describe('a call', () => {
  const answering = StateMachine.server(lamp, {
    answers: {
      push: ({ value, context }) => ({ value, pushes: context.pushes }),
      note: ({ context }, { text }) => `${text} is number ${context.notes.length}`,
    },
    postpone: { off: ['note'] },
  })

  test('is answered with what the event led to', async () => {
    const { ref } = await started(answering)

    expect(await StateMachine.call(ref, push)).toEqual({ value: 'on', pushes: 1 })
    expect(await StateMachine.call(ref, note('a'))).toBe('a is number 1')
  })

  test('whose event is postponed is answered when it was handled', async () => {
    const { clock, ref } = await started(answering)
    let answer: unknown
    void StateMachine.call(ref, note('a')).then((value) => {
      answer = value
    })
    await clock.settle()
    expect(answer).toBe(undefined)

    StateMachine.send(ref, push)
    await clock.settle()

    expect(answer).toBe('a is number 1')
  })

  test('of an event without an answer is refused, and the event is not handled', async () => {
    const { ref } = await started(server)

    const refused = await StateMachine.call(ref, push as never).catch((error: unknown) => error)

    expect(isKeelsonError(refused, 'INVALID_ARGUMENT')).toBe(true)
    expect((await StateMachine.snapshot(ref)).value).toBe('off')
  })

  test('whose event crashes the machine rejects with that', async () => {
    const { ref } = await started(StateMachine.server(lamp, { answers: { crash: () => 1 } }))

    const failed = await StateMachine.call(ref, { type: 'crash' }).catch((error: unknown) => error)

    expect(isKeelsonError(failed, 'EXITED') && failed.details.reason).toBe(boom)
  })

  test('whose event ends the machine is answered first', async () => {
    const { system } = testSystem()
    const last = StateMachine.server(lamp, { answers: { finish: ({ status }) => status } })
    const ref = await system.start(last)
    StateMachine.send(ref, push)

    expect(await StateMachine.call(ref, { type: 'finish' })).toBe('done')
    expect(system.info(ref)).toBe(undefined)
  })
})

describe('a wait for the output', () => {
  test('that ran out leaves nothing behind', async () => {
    setFlagsFromString('--expose-gc')
    const collect = runInNewContext('gc') as () => void
    const { clock, ref } = await started(server)
    const waiting = (): WeakRef<Promise<unknown>> => {
      const output = StateMachine.output(ref, { timeoutMs: 10 })
      output.catch(() => {})
      return new WeakRef(output)
    }
    const waits = Array.from({ length: 100 }, waiting)
    await clock.advance(20)
    await new Promise((resolve) => setImmediate(resolve))

    collect()

    expect(waits.filter((wait) => wait.deref() !== undefined).length).toBeLessThan(5)
  })
})
