/** A request of a process to itself: refused where its answer could not come, and only there. */
import { describe, expect, test, vi } from 'vitest'
import { call, getState, noReply, type Ref } from '../../../src/runtime/index.ts'
import { direct } from '../../../src/runtime/process/outputs.ts'
import type { Process } from '../../../src/runtime/process/process.ts'
import { addressOf } from '../../../src/runtime/words/address.ts'
import { outcome, testSystem } from '../../../src/testing/index.ts'
import * as Runner from '../task/runner.ts'

const refused = {
  ok: false,
  error: { code: 'INVALID_ARGUMENT', details: { reason: 'calling_self' } },
}

const stage = async () => {
  const { system, settle } = testSystem()
  const runner = await system.start(Runner.server, false)
  const process = addressOf<Process>(runner).process as Process
  const [bound] = await Runner.run(runner, (context) => [context.to(context.self)])
  const ask = () => outcome(call(bound as Ref<Runner.Messages>, 'run', () => 'answered'))
  return { runner, process, ask, settle }
}

describe('a request of sys in a handler to its own process', () => {
  test('is refused with its sender bound; without it the handler may go on', async () => {
    const { runner } = await stage()
    let later: Promise<unknown> | undefined
    const bound = await Runner.run(runner, (context) => {
      later = getState(context.self)
      return outcome(getState(context.to(context.self)))
    })
    expect(bound).toMatchObject(refused)
    expect(await later).toEqual([])
  })
})

describe('a call to its own process while that is busy', () => {
  test.each([undefined, true])('with a handler is refused (isOpen: %s)', async (isOpen) => {
    const { process, ask } = await stage()
    if (isOpen !== undefined) process.outputs = { ...direct, isOpen }
    process.busy = true
    expect(await ask()).toMatchObject(refused)
  })

  test('with outputs alone waits for them; while it ends it is refused', async () => {
    const { process, ask, settle } = await stage()
    process.outputs = { ...direct, isOpen: false }
    process.busy = true
    const asked = ask()
    const status = vi.spyOn(process.behaviour, 'status').mockReturnValue('terminating')
    expect(await ask()).toMatchObject(refused)

    status.mockRestore()
    process.busy = false
    process.proceed()
    await settle()
    expect(await asked).toMatchObject({ ok: true, value: 'answered' })
  })
})

test('a listener of the end of a process is no part of the handler that ended it', async () => {
  const { system, settle, log } = testSystem()
  const killer = await system.start(Runner.server, false)
  const [killed, other] = [
    await system.start(Runner.server, false),
    await system.start(Runner.server, false),
  ]
  let answer: Promise<unknown> | undefined
  await Runner.run(killed, ({ signal }) => {
    signal.addEventListener('abort', () => {
      answer = outcome(Runner.run(killer, () => 'answered'))
      Runner.answer(other, () => noReply([]))
    })
  })

  await Runner.run(killer, () => system.kill(killed))
  await settle()

  expect(await answer).toEqual({ ok: true, value: 'answered' })
  expect(log.messages('warn')).toEqual([])
})
