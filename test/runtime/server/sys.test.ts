import { describe, expect, test } from 'vitest'
import {
  call,
  getState,
  replaceState,
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
})
