/** What the error of a call says: who did not answer what, who asked, and from where. */
import { describe, expect, test } from 'vitest'
import { isKeelsonError, type KeelsonError } from '../../../src/errors.ts'
import { call, describeReason, type GenServer, getState, name } from '../../../src/runtime/index.ts'
import { testSystem } from '../../../src/testing/index.ts'
import * as Echo from '../server/echo.ts'
import * as Runner from '../task/runner.ts'

const errorOf = async (promise: Promise<unknown>): Promise<KeelsonError> => {
  const error = await promise.then(
    () => expect.unreachable('it was answered'),
    (thrown: unknown) => thrown,
  )
  if (!isKeelsonError(error)) throw error
  return error
}

const stage = async () => {
  const tools = testSystem()
  const echo = await tools.system.start(Echo.server, undefined, { label: 'echo' })
  return { ...tools, echo, pid: echo.pid }
}

describe('the error of a call', () => {
  test('that is not answered names the target, the message and the time', async () => {
    const { echo, pid, clock } = await stage()
    const error = errorOf(call(echo, 'keep', 'a', { timeoutMs: 10 }))
    await clock.advance(10)

    expect((await error).message).toBe(`keep: no answer from echo <${pid}> within 10 ms`)
    expect((await error).details).toEqual({
      ...{ reason: 'timeout', timeoutMs: 10, message: 'keep' },
      target: `echo <${pid}>`,
    })
  })

  test('that waits behind a handler which does not end names its message, and since when', async () => {
    const { system, clock } = await stage()
    const stuck = await system.start(
      {
        init: () => 0,
        calls: { hang: () => new Promise<never>(() => undefined) },
      } as GenServer<{ calls: { hang: () => void } }, number>,
      undefined,
      { label: 'stuck' },
    )
    const hangs = errorOf(call(stuck, 'hang', undefined, { timeoutMs: 20_000 }))
    await clock.advance(12_000)
    const since = clock.now() - 12_000
    const error = errorOf(getState(stuck, { timeoutMs: 10 }))
    await clock.advance(10)

    expect(await error).toMatchObject({
      code: 'TIMEOUT',
      message: expect.stringContaining(
        `within 10 ms: it handles call hang since ${new Date(since).toISOString()}`,
      ),
      details: { handling: { message: 'call hang', since } },
    })
    await clock.advance(10_000)
    expect((await hangs).message).toContain('it handles call hang since')
  })

  test('whose target ends names it, the reason, and the caller when there is one', async () => {
    const { echo, pid, system } = await stage()
    const runner = await system.start(Runner.server, false, { label: 'runner' })
    const error = Runner.run(runner, (context) => errorOf(call(context.to(echo), 'keep', 'a')))
    await getState(echo)
    system.exit(echo, 'oops')

    const caller = `runner <${runner.pid}>`
    expect(await error).toMatchObject({
      message: `keep: echo <${pid}> ended: oops, called by ${caller}`,
      details: { reason: 'oops', target: `echo <${pid}>`, caller },
    })
  })

  test('that was handed on names both processes', async () => {
    const { echo, pid, system } = await stage()
    const other = await system.start(Echo.server, undefined, { label: 'other' })
    const error = errorOf(call(echo, 'hand', { target: other }))
    await getState(echo)
    system.exit(other, 'oops')

    expect((await error).message).toBe(
      `hand: other <${other.pid}>, which has the call of echo <${pid}>, ended: oops`,
    )
  })

  test('that was handed to a name that no process has names the process that was called', async () => {
    const { echo, pid, system } = await stage()
    const error = await errorOf(call(echo, 'hand', { target: system.to(name('nobody')) }))
    expect(error.message).toBe(`hand: echo <${pid}> ended: noproc`)
  })

  test('to a name that no process has names it, the message, and the caller when there is one', async () => {
    const { system } = await stage()
    const nobody = system.to(name<Echo.Messages>('nobody'))
    const runner = await system.start(Runner.server, false, { label: 'runner' })
    const plain = await errorOf(call(nobody, 'keep', 'a'))
    const bound = await Runner.run(runner, (context) =>
      errorOf(call(context.to(nobody), 'keep', 'a')),
    )
    expect(plain.message).toBe('keep: there is no process nobody')
    expect(bound.message).toBe(`${plain.message}, called by runner <${runner.pid}>`)
    const details = { reason: 'noproc', message: 'keep', target: 'nobody' }
    expect([plain.details, bound.details]).toEqual([details, details])
  })

  test('that a full mailbox refuses names the process and its bound', async () => {
    const { system } = await stage()
    const full = await system.start(Echo.server, undefined, { label: 'full', mailboxMax: 1 })
    void call(full, 'echo', 1)
    const { details } = await errorOf(call(full, 'echo', 2))
    expect(details).toEqual({ mailboxMax: 1, message: 'echo', target: `full <${full.pid}>` })
  })

  test('whose target ends while the message arrives names it like any other', async () => {
    const { system } = await stage()
    const full = await system.start(Echo.server, undefined, { label: 'full', mailboxMax: 2 })
    system.events.on('mailbox.high', () => system.exit(full, 'oops'))
    void call(full, 'echo', 1).catch(() => undefined)
    const error = await errorOf(call(full, 'echo', 1))
    expect(error.message).toBe(`echo: full <${full.pid}> ended: oops`)
    expect(error.details).toMatchObject({ reason: 'oops', target: `full <${full.pid}>` })
  })

  test.each(['a time limit', 'the end of its target'])(
    'shows the code that awaits it, after %s',
    async (what) => {
      const { echo, clock, system } = await stage()
      const checkout = async () => await call(echo, 'keep', 'a', { timeoutMs: 10 })
      const error = errorOf(
        (async function placeOrder() {
          await checkout()
        })(),
      )
      await getState(echo)
      if (what === 'a time limit') await clock.advance(10)
      else system.exit(echo, 'oops')

      expect((await error).stack).toMatch(/at (async )?checkout .*\n.*at (async )?placeOrder/)
    },
  )
})

describe('the end of a process with many callers', () => {
  test('makes the text of its reason once, however large it is', async () => {
    const { echo, system } = await stage()
    let reads = 0
    const entry = {
      toJSON: () => {
        reads++
        return { name: 'entry' }
      },
    }
    const asked = Array.from({ length: 1_000 }, (_, each) => errorOf(call(echo, 'keep', `${each}`)))
    await getState(echo)
    system.exit(
      echo,
      Array.from({ length: 10_000 }, () => entry),
    )
    const errors = await Promise.all(asked)

    expect(new Set(errors.map(({ message }) => message)).size).toBe(1)
    expect(errors[0]?.message.length).toBeLessThan(5_000)
    expect(reads).toBeLessThan(1_000)
  })

  test('gives a stack to the first hundred of them', async () => {
    const { echo, system } = await stage()
    const asked = Array.from({ length: 1_000 }, (_, each) => errorOf(call(echo, 'keep', `${each}`)))
    await getState(echo)
    system.exit(echo, 'oops')
    const stacks = (await Promise.all(asked)).filter(({ stack }) => stack?.includes('\n    at '))

    expect(stacks).toHaveLength(100)
    expect(new Error('the limit is as it was').stack).toContain('\n    at ')
  })
})

test('a reason of shared lists, each twice in the next, is told in no time', () => {
  let reason: unknown = 'leaf'
  for (let depth = 0; depth < 100; depth++) reason = [reason, reason]

  expect(describeReason(reason).length).toBeLessThan(4_010)
})

test('a kill with very many waiting calls gives way before it has failed them all', async () => {
  const { system, clock, echo } = await stage()
  let failed = 0
  const calls = Array.from({ length: 2_000 }, () =>
    call(echo, 'keep', 'a').catch((error) => {
      expect(error.code).toBe('EXITED')
      failed++
    }),
  )
  await clock.settle()
  system.kill(echo)
  await new Promise<void>((resolve) => clock.soon(resolve))
  expect([failed > 0, failed < 2_000]).toEqual([true, true])
  await Promise.all(calls)
})
