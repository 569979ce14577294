import { getEventListeners } from 'node:events'
import { describe, expect, test } from 'vitest'
import { isKeelsonError } from '../../../src/errors.ts'
import { call, cast, getState, name, type Ref, send } from '../../../src/runtime/index.ts'
import type { Process } from '../../../src/runtime/process/process.ts'
import { addressOf } from '../../../src/runtime/words/address.ts'
import { testSystem } from '../../../src/testing/index.ts'
import * as Echo from '../server/echo.ts'
import * as Runner from '../task/runner.ts'

const failure = (promise: Promise<unknown>): Promise<{ code: string; details: object }> =>
  promise.then(
    () => expect.unreachable('it was answered'),
    (error) => (isKeelsonError(error) ? { code: error.code, details: error.details } : error),
  )

const start = async () => {
  const { system, clock } = testSystem()
  const echo = await system.start(Echo.server)
  return { system, clock, echo }
}

const withSignal = () => {
  const controller = new AbortController()
  return { signal: controller.signal, abort: (reason: unknown) => controller.abort(reason) }
}

describe('a message name that is not a string', () => {
  test.each([Symbol('x'), undefined, { toString: () => expect.unreachable() }])(
    'is refused at the sender',
    async (wrong) => {
      const { echo } = await start()
      const named = wrong as never
      const refused = expect.objectContaining({ code: 'INVALID_ARGUMENT' })

      expect(() => cast(echo, named)).toThrow(refused)
      expect(() => send(echo, named)).toThrow(refused)
      expect(await failure(call(echo, named))).toMatchObject({ code: 'INVALID_ARGUMENT' })
      expect(await getState<Echo.State>(echo)).toBeDefined()
    },
  )
})

describe('a call with no time', () => {
  const late = { code: 'TIMEOUT', details: { timeoutMs: 0 } }

  test('is late at once, and its message is handled all the same', async () => {
    const { echo, system } = await start()
    expect(await failure(call(echo, 'echo', 1, { timeoutMs: 0 }))).toMatchObject(late)
    expect(await failure(call(echo, 'keep', 'a', { timeoutMs: -1 }))).toMatchObject({
      ...{ code: 'TIMEOUT', details: { timeoutMs: -1 } },
    })
    expect(await failure(getState(echo, { timeoutMs: 0 }))).toMatchObject(late)

    const runner = await system.start(Runner.server, false)
    const told = await Runner.run(runner, (context) =>
      failure(context.call(echo, 'keep', 'b', { timeoutMs: 0 })),
    )
    expect(told).toMatchObject(late)
    expect([...(await getState<Echo.State>(echo)).kept.keys()]).toEqual(['a', 'b'])
  })

  test('that is refused fails like every other', async () => {
    const { echo, system } = await start()
    const full = await system.start(Echo.server, undefined, { mailboxMax: 1 })
    cast(full, 'note', 1)
    expect(await failure(call(full, 'echo', 1, { timeoutMs: 0 }))).toMatchObject({
      code: 'MAILBOX_FULL',
    })
    system.kill(echo)
    expect(await failure(call(echo, 'echo', 1, { timeoutMs: 0 }))).toMatchObject({
      code: 'NO_PROCESS',
    })
  })

  test('leaves no timer', async () => {
    const { echo, clock } = await start()
    await failure(call(echo, 'echo', 1, { timeoutMs: 0 }))
    await clock.settle()
    expect(clock.untilNext()).toBeUndefined()
  })
})

describe('a call', () => {
  test('that is answered leaves no timer', async () => {
    const { echo, clock } = await start()

    await call(echo, 'echo', 1)
    await clock.settle()

    expect(clock.untilNext()).toBeUndefined()
  })

  test('in the mailbox of a process that dies fails like a call that was taken', async () => {
    const { echo } = await start()
    const boom = new Error('boom')

    cast(echo, 'crash', boom)
    const answer = failure(call(echo, 'echo', 1))

    expect(await answer).toMatchObject({ code: 'EXITED', details: { reason: boom } })
  })

  test('rejects with the error of its handler, and no process crashes', async () => {
    const { echo } = await start()
    const refused = new Error('refused')

    expect(await failure(call(echo, 'fail', refused))).toBe(refused)
    expect(await call(echo, 'echo', 'alive')).toBe('alive')
  })

  test('ends with the abort of its signal, and the signal keeps no listener after an answer', async () => {
    const { echo } = await start()
    const controller = new AbortController()

    const answer = failure(call(echo, 'keep', 'a', { signal: controller.signal }))
    controller.abort('enough')

    expect(await answer).toBe('enough')
    expect(await failure(call(echo, 'echo', 1, { signal: controller.signal }))).toBe('enough')
  })

  test('shares the listener of its signal with all calls that have it', async () => {
    const { echo, clock } = await start()
    const { signal, ...controller } = withSignal()
    const answers = Array.from({ length: 20 }, (_, at) =>
      call(echo, 'keep', String(at), { signal }).catch((error: unknown) => error),
    )
    expect(getEventListeners(signal, 'abort')).toHaveLength(1)
    expect(await call(echo, 'echo', 'one more', { signal })).toBe('one more')
    expect(getEventListeners(signal, 'abort')).toHaveLength(1)
    cast(echo, 'answer', { label: '0', value: 'answered' })
    await clock.settle()
    controller.abort('enough')
    expect(await Promise.all(answers.slice(1))).toEqual(Array(19).fill('enough'))
    const other = withSignal()
    await call(echo, 'echo', 1, { signal: other.signal })
    expect(getEventListeners(other.signal, 'abort')).toEqual([])
  })

  test('through a ref with its sender bound ends with its sender', async () => {
    const { echo, system } = await start()
    let told: unknown

    const caller = system.spawn(async (context) => {
      told = await failure(call(context.to(echo), 'keep', 'a'))
    })
    await getState(echo)
    system.kill(caller)
    await getState(echo)

    expect(told).toMatchObject({ code: 'EXITED', details: { reason: 'killed' } })
    expect(await failure(call(echo, 'keep', 'b', { timeoutMs: 0 }))).toMatchObject({
      code: 'TIMEOUT',
    })
  })
})

test('a call that a process left alone is no unhandled rejection when that process dies', async () => {
  const { echo, system, clock } = await start()
  const unhandled: unknown[] = []
  const listen = (error: unknown): void => void unhandled.push(error)
  process.on('unhandledRejection', listen)

  const caller = system.spawn(async (context) => {
    void call(context.to(echo), 'keep', 'a')
    await context.receive()
  })
  await clock.settle()
  system.kill(caller)
  await clock.settle()
  process.off('unhandledRejection', listen)

  expect(unhandled).toEqual([])
})

describe('a call that was handed on', () => {
  const handed = async (note?: unknown) => {
    const { system, clock, echo } = await start()
    const other = await system.start(Echo.server)
    const answer = failure(call(echo, 'hand', { target: other as Ref, note }))
    await getState(echo)
    return { system, clock, echo, other, answer }
  }

  test('outlives its first holder', async () => {
    const { system, echo, other, answer } = await handed()

    system.kill(echo)
    system.exit(other, 'second')

    expect(await answer).toMatchObject({ code: 'EXITED', details: { reason: 'second' } })
  })

  test('fails with its note when its new holder dies', async () => {
    const { system, other, answer } = await handed({ lsn: 7 })

    system.exit(other, 'gone')

    expect(await answer).toMatchObject({
      code: 'EXITED',
      details: { reason: 'gone', note: { lsn: 7 } },
    })
  })

  test('to a process that is gone fails at once, with note and reason', async () => {
    const { system, echo } = await start()
    const other = await system.start(Echo.server)
    system.exit(other, 'before')

    const answer = failure(call(echo, 'hand', { target: other as Ref, note: 1 }))

    expect(await answer).toMatchObject({ details: { reason: 'before', note: 1 } })
  })

  test('while its first holder’s other calls fail is not failed', async () => {
    const { system, echo } = await start()
    const other = await system.start(Echo.server)
    const answers = Array.from({ length: 600 }, (_, at) => failure(call(echo, 'keep', `${at}`)))
    const { kept } = await getState<Echo.State>(echo)

    system.kill(echo)
    kept.get('599')?.handTo(other)
    await Promise.all(answers.slice(0, -1))
    system.exit(other, 'second')

    expect(await answers[599]).toMatchObject({ code: 'EXITED', details: { reason: 'second' } })
    expect(await answers[0]).toMatchObject({ code: 'EXITED', details: { reason: 'killed' } })
  })

  test('still times out', async () => {
    const { clock, answer } = await handed()

    await clock.advance(5_000)

    expect(await answer).toMatchObject({ code: 'TIMEOUT' })
  })

  test('by thousands costs no message, and all learn of the death', async () => {
    const { system, echo } = await start()
    const other = await system.start(Echo.server)
    const handedOver = { target: other as Ref }
    const answers = Array.from({ length: 5_000 }, () => failure(call(echo, 'hand', handedOver)))
    await getState(echo)
    expect(system.info(other)?.mailbox).toBe(0)

    system.exit(other, 'gone')

    const codes = new Set((await Promise.all(answers)).map(({ code }) => code))
    expect([...codes]).toEqual(['EXITED'])
  })
})

test('a call leaves nothing at its caller and its target, however it ends', async () => {
  const { system, clock, echo } = await start()
  const runner = await system.start(Runner.server, false)
  const nobody = system.to(name<Echo.Messages>('nobody'))
  const controller = new AbortController()
  const codes = Runner.run(runner, async (context) => {
    const [asked, unnamed] = [context.to(echo), context.to(nobody)]
    const calls = [
      call(asked, 'echo', 1),
      call(asked, 'fail', new Error('failed')),
      call(asked, 'keep', 'a', { timeoutMs: 10 }),
      call(asked, 'keep', 'b', { signal: controller.signal }),
      call(unnamed, 'echo', 1, { waitForName: true, timeoutMs: 10 }),
    ]
    return (await Promise.allSettled(calls)).map(({ status }) => status)
  })
  await clock.settle()
  controller.abort('enough')
  await clock.advance(10)

  expect(await codes).toEqual(['fulfilled', ...Array(4).fill('rejected')])
  const [caller, target] = [runner, echo].map((ref) => addressOf<Process>(ref).process)
  expect([caller?.made.size, target?.owed.first]).toEqual([0, undefined])
  expect([clock.untilNext(), getEventListeners(controller.signal, 'abort')]).toEqual([
    undefined,
    [],
  ])
})
