import { describe, expect, test } from 'vitest'
import {
  call,
  cast,
  type GenServer,
  getState,
  noReply,
  type Ref,
  reply,
  type Settled,
} from '../../../src/runtime/index.ts'
import { probe, testSystem } from '../../../src/testing/index.ts'
import * as Echo from './echo.ts'

/** A promise and how to settle it. */
const deferred = <T>() => {
  let resolve: (value: T) => void = () => {}
  let reject: (error: unknown) => void = () => {}
  const promise = new Promise<T>((onValue, onError) => {
    resolve = onValue
    reject = onError
  })
  return { promise, resolve, reject }
}

describe('an asynchronous handler', () => {
  test('lets the next message wait until it settles', async () => {
    const { system, clock } = testSystem()
    const echo = await system.start(Echo.server)
    const gate = deferred<string>()

    const first = call(echo, 'wait', gate.promise)
    cast(echo, 'note', 'after')
    await clock.settle()
    expect(system.info(echo)).toMatchObject({ status: 'busy', mailbox: 1 })
    expect(system.info(echo)?.handling).toMatchObject({ message: 'call wait' })
    gate.resolve('done')

    expect(await first).toBe('done')
    expect((await getState<Echo.State>(echo)).notes).toEqual(['after'])
  })

  test('that rejects ends its process with the error as reason', async () => {
    const { system, clock } = testSystem()
    const echo = await system.start(Echo.server)
    const ends: unknown[] = []
    system.monitor(echo, (reason) => ends.push(reason))
    const gate = deferred<never>()

    cast(echo, 'hold', gate.promise)
    await clock.settle()
    const boom = new Error('boom')
    gate.reject(boom)
    await clock.settle()

    expect(ends).toEqual([boom])
  })

  test('of a killed process is cut off: no reply, no send, no state, and its signal aborts', async () => {
    const { system, clock } = testSystem()
    const other = probe(system)
    const gate = deferred<void>()
    let reached: unknown[] = []
    type M = { calls: { work: () => string } }
    const worker: GenServer<M, null> = {
      init: () => null,
      calls: {
        work: async (state, _, context) => {
          const { signal } = context
          await gate.promise
          const sent = context.send(other.ref as Ref<{ infos: { late: () => void } }>, 'late')
          const told = cast(context.to(other.ref as Ref<{ casts: { late: () => void } }>), 'late')
          const failed = await call(context.to(other.ref as Ref<M>), 'work').catch(
            (error: { code: string }) => error.code,
          )
          reached = [signal.aborted, sent, told, context.from.reply('late'), failed]
          return reply('never', state)
        },
      },
    }
    const ref = await system.start(worker)

    const answer = call(ref, 'work').catch((error: { code: string }) => error.code)
    await clock.settle()
    system.kill(ref)
    gate.resolve()
    await clock.settle()

    expect(await answer).toBe('EXITED')
    expect(reached).toEqual([true, false, false, false, 'EXITED'])
    expect(other.waiting()).toEqual([])
  })
})

describe('pipe', () => {
  type M = { infos: { done: (outcome: Settled<string>) => void } }
  const piping = (promises: readonly Promise<string>[]): GenServer<M, unknown[]> => ({
    init: (_, context) => {
      for (const promise of promises) context.pipe(promise, 'done')
      return []
    },
    infos: { done: (state, outcome) => noReply([...state, outcome]) },
  })

  test('sends what came of a promise, and a rejection is no unhandled one', async () => {
    const { system, clock } = testSystem()
    const boom = new Error('boom')
    const promises = [Promise.resolve('value'), Promise.reject(boom)]

    const ref = await system.start(piping(promises))
    await clock.settle()

    expect(await getState(ref)).toEqual([
      { ok: true, value: 'value' },
      { ok: false, error: boom },
    ])
  })

  test('is dropped when its process is gone', async () => {
    const { system, clock } = testSystem()
    const gate = deferred<string>()
    const ref = await system.start(piping([gate.promise]))

    system.kill(ref)
    gate.reject(new Error('nobody hears it'))
    await clock.settle()

    expect(system.processes()).toEqual([])
  })
})
