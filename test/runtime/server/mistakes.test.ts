/** Mistakes that types find and JavaScript does not: each is refused where it is made. */
import { describe, expect, test } from 'vitest'
import {
  type Context,
  call,
  cast,
  type GenServer,
  noReply,
  ok,
  type Reply,
  reply,
  type StopReply,
  stopReply,
} from '../../../src/runtime/index.ts'
import { addressOf } from '../../../src/runtime/words/address.ts'
import { testSystem } from '../../../src/testing/index.ts'
import * as Runner from '../task/runner.ts'

const invalid = expect.objectContaining({ code: 'INVALID_ARGUMENT' })

describe('a result without a state', () => {
  test.each([
    ['reply', () => (reply as unknown as (value: number) => Reply<number, unknown>)(1)],
    ['noReply', () => (noReply as unknown as () => unknown)()],
    ['stopReply', () => (stopReply as unknown as (...a: number[]) => StopReply<1, 1>)(1, 2)],
  ])('of %s is refused: the state would be lost', (_, make) => {
    expect(make).toThrow(invalid)
    expect(noReply(undefined)).toMatchObject({ state: undefined })
  })

  test('with a next step that is misspelt is a bad return', async () => {
    const { system, ended } = testSystem()
    const runner = await system.start(Runner.server, false)
    Runner.answer(runner, () => noReply([], { timeout: 5 } as never))
    expect(await ended(runner)).toMatchObject(['bad_return_value', expect.anything()])
  })
})

test('the reason of a wrong return says what was meant, in the log and to the caller', async () => {
  const { system, log, settle } = testSystem()
  const server = {
    init: () => 0,
    calls: { get: () => 5, step: () => ok(1) },
    casts: { add: () => 6, put: () => reply(1, 2) },
  } as unknown as GenServer<
    {
      calls: { get: () => number; step: () => number }
      casts: { add: () => void; put: () => void }
    },
    number
  >
  const started = () => system.start(server, undefined, { label: 'wrong' })
  const refused = (name: 'get' | 'step') => started().then((ref) => call(ref, name).catch(String))

  expect(await refused('get')).toMatch(/bad_return_value, 5\]; did you mean reply\(…\)\?$/)
  expect(await refused('step')).toContain('a handler cannot return ok(…)')
  cast(await started(), 'add')
  cast(await started(), 'put')
  await settle()
  const [added, answered] = log.messages('error').slice(2)
  expect(added).toMatch(/bad_return_value, 6\]; did you mean noReply\(…\)\?$/)
  expect(answered).toMatch(/reply\(…\) answers a call, and nothing waits for an answer here$/)
})

describe('a server', () => {
  test.each([
    ['a handler that is no function', { calls: { get: 5 } }],
    ['a section in the singular', { call: { get: () => 1 } }],
    ['a section that is a list', { casts: [() => 1] }],
    ['a callback that is no function', { terminate: true }],
  ])('with %s is refused, and leaves nothing behind', async (_, wrong) => {
    const { system } = testSystem()
    const server = { init: () => null, ...wrong } as unknown as GenServer<object, null>
    await expect(system.start(server)).rejects.toEqual(invalid)
    expect(system.processes()).toEqual([])
  })
})

test('nothing is started from outside once its System was stopped', async () => {
  const { system } = testSystem()
  await system.stop()
  const closed = { code: 'CLOSED' }

  await expect(system.start(Runner.server, false)).rejects.toMatchObject(closed)
  expect(() => system.spawn(() => {})).toThrow(expect.objectContaining(closed))
  expect(system.processes()).toEqual([])
})

test('a listener of a signal that throws or rejects is logged, and may be removed', async () => {
  const { system, log, settle } = testSystem()
  const runner = await system.start(Runner.server, false, { label: 'runner' })
  const heard: string[] = []
  await Runner.run(runner, ({ signal }) => {
    const removed = () => heard.push('removed')
    signal.addEventListener('abort', removed)
    signal.removeEventListener('abort', removed)
    signal.addEventListener('abort', () => {
      throw new Error('thrown')
    })
    signal.addEventListener('abort', async () => {
      throw new Error('rejected')
    })
    signal.onabort = () => {
      throw new Error('set')
    }
    signal.addEventListener('abort', { handleEvent: () => void heard.push('object') })
    signal.addEventListener('abort', () => heard.push('last'), { once: true })
  })
  system.kill(runner)
  await settle()

  expect(heard).toEqual(['object', 'last'])
  expect(log.messages('error')).toEqual(
    Array.from({ length: 3 }, () => `a listener of the signal of runner <${runner.pid}> threw`),
  )
})

test('a ref of another copy of the package is named as one', () => {
  const foreign = { [Symbol.for('keelson.ref')]: true, toString: () => '<7>' }
  expect(() => addressOf(foreign as never)).toThrow('<7> is a ref of another copy of keelson')
})

test('a call of a process to itself is refused at once', async () => {
  const { system } = testSystem()
  const runner = await system.start(Runner.server, false)
  const answers = await Runner.run(runner, (context) =>
    Promise.all([
      call(context.to(context.self), 'run', () => 1).catch((error) => error),
      call(context.self, 'run', () => 1).catch((error) => error),
    ]),
  )
  const refusal = { code: 'INVALID_ARGUMENT', details: { reason: 'calling_self' } }
  expect(answers).toMatchObject([refusal, refusal])
})

test('a promise that a handler left behind may call its own process; a handler may not', async () => {
  const { system } = testSystem()
  const runner = await system.start(Runner.server, false)
  const ask = (context: Context<Runner.Messages>) =>
    call(context.to(context.self), 'run', () => 'answered').catch((error) => error.details.reason)

  const left = new Promise((resolve) => {
    Runner.answer(runner, (context) => {
      void Promise.resolve().then(() => resolve(ask(context)))
      return noReply([])
    })
  })
  expect(await left).toBe('answered')
  const later = Runner.run(runner, async (context) => {
    await null
    return ask(context)
  })
  expect(await later).toBe('calling_self')
})
