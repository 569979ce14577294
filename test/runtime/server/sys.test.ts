import { describe, expect, test } from 'vitest'
import {
  call,
  exit,
  type GenServer,
  getState,
  replaceState,
  statistics,
  stopProcess,
  suspend,
  type TraceEvent,
  trace,
} from '../../../src/runtime/index.ts'
import { testSystem } from '../../../src/testing/index.ts'
import * as Echo from './echo.ts'

const start = async () => {
  const { system, clock } = testSystem()
  return { system, clock, echo: await system.start(Echo.server) }
}

describe('sys', () => {
  test('replaces the state; a function that throws changes nothing and tells its caller', async () => {
    const { echo } = await start()
    const boom = new Error('boom')

    await replaceState<Echo.State>(echo, (state) => ({ ...state, notes: ['new'] }))
    const failed = replaceState(echo, () => {
      throw boom
    })

    await expect(failed).rejects.toBe(boom)
    expect((await getState<Echo.State>(echo)).notes).toEqual(['new'])
  })

  test('traces messages and replies until it is stopped', async () => {
    const { echo } = await start()
    const events: TraceEvent[] = []

    await trace(echo, (event) => events.push(event))
    await call(echo, 'echo', 1)
    await trace(echo, undefined)
    await call(echo, 'echo', 2)

    expect(events).toEqual([
      { direction: 'in', what: 'call echo', payload: 1 },
      { direction: 'out', what: 'reply', payload: 1 },
    ])
  })

  test('stops a server, suspended or not, with the reason asked for', async () => {
    const { echo, system } = await start()
    const ends: unknown[] = []
    system.monitor(echo, (reason) => ends.push(reason))

    await suspend(echo)
    await stopProcess(echo, 'enough')

    expect(ends).toEqual(['enough'])
    await expect(stopProcess(echo)).rejects.toMatchObject({ code: 'NO_PROCESS' })
  })

  test('counts on when it is to count again, and from the start after an end', async () => {
    const { echo, clock } = await start()
    await statistics(echo, 'on')
    await call(echo, 'echo', 1)
    const before = await statistics(echo, 'get')
    await clock.advance(5)
    await statistics(echo, 'on')

    expect(await statistics(echo, 'get')).toEqual(before)
    expect(before).toMatchObject({ messagesIn: 1, messagesOut: 1 })

    await statistics(echo, 'off')
    await statistics(echo, 'on')
    expect(await statistics(echo, 'get')).toMatchObject({ messagesIn: 0, messagesOut: 0 })
  })
})

describe('a stop whose server ends by its own words', () => {
  const ending = async (reason: unknown) => {
    const { system } = testSystem()
    const server: GenServer<Record<never, never>, null> = {
      init: () => null,
      terminate: () => exit(reason),
    }
    return system.start(server)
  }

  test('succeeds with a reason that is equal to the one asked for', async () => {
    const ref = await ending(['shutdown', { at: 1 }])
    expect(await stopProcess(ref, ['shutdown', { at: 1 }])).toBeUndefined()
  })

  test('fails with EXITED for reasons that cannot be compared', async () => {
    const hostile = () => ({
      get at(): never {
        throw new Error('not yours')
      },
    })
    await expect(stopProcess(await ending(hostile()), hostile())).rejects.toMatchObject({
      code: 'EXITED',
      details: { note: 'stopping' },
    })
  })
})
