/** A server says what may be seen of it: in crash reports, and by `getStatus`. */
import { describe, expect, test } from 'vitest'
import {
  type CrashFacts,
  cast,
  type GenServer,
  getState,
  getStatus,
  type StatusParts,
} from '../../../src/runtime/index.ts'
import { testSystem } from '../../../src/testing/index.ts'

type State = { user: string; password: string }
type Messages = { casts: { login: (password: string) => void } }
type Vault = GenServer<Messages, State>

const refused = (password: string): never => {
  throw new Error(`wrong: ${password}`)
}

const vault = (formatStatus: NonNullable<Vault['formatStatus']>): Vault => ({
  init: () => ({ user: 'ada', password: 'hunter2' }),
  casts: { login: (_, password) => refused(password) },
  formatStatus,
})

const crashed = async (formatStatus: NonNullable<Vault['formatStatus']>) => {
  const { system, log, settle } = testSystem()
  const crashes: CrashFacts[] = []
  const exits: unknown[] = []
  system.events.on('process.crashed', (crash) => crashes.push(crash))
  system.events.on('process.exited', ({ reason }) => exits.push(reason))
  const ref = await system.start(vault(formatStatus))
  cast(ref, 'login', 'hunter2')
  await settle()
  const [crash] = crashes
  const [line] = log.lines
  return { crash, exits, text: JSON.stringify([line?.message, line?.facts]) }
}

const hidden = (): StatusParts => ({
  state: { user: 'ada' },
  lastMessage: { what: 'cast login', payload: 'hidden' },
  reason: 'wrong password',
})

describe('formatStatus', () => {
  test('decides what a crash report shows, on the bus and in the log', async () => {
    const { crash, exits, text } = await crashed(hidden)
    expect(crash).toMatchObject(hidden())
    expect(text).not.toContain('hunter2')
    // Links and monitors get the reason as it is.
    expect(String(exits[0])).toContain('hunter2')
  })

  test('gets the state, and in a crash report the last message and the reason', async () => {
    let given: StatusParts<State> | undefined
    await crashed((status) => {
      given = status
      return status
    })
    expect(given).toEqual({
      state: { user: 'ada', password: 'hunter2' },
      lastMessage: { what: 'cast login', payload: 'hunter2' },
      reason: new Error('wrong: hunter2'),
    })
  })

  test('hides what it leaves out, except the reason', async () => {
    const { crash } = await crashed(() => ({ state: 'hidden' }))
    expect(crash).toMatchObject({ state: 'hidden', lastMessage: undefined })
    expect(crash?.reason).toEqual(new Error('wrong: hunter2'))
  })

  test('that fails shows nothing, and the crash stays the crash', async () => {
    const { crash, exits } = await crashed(({ state }) => refused(state.password))
    expect(crash).toMatchObject({ state: 'formatStatus failed', lastMessage: undefined })
    expect(exits).toEqual([new Error('wrong: hunter2')])
  })

  test('decides what getStatus shows; getState is the state itself, as in OTP', async () => {
    const { system } = testSystem()
    const ref = await system.start(vault(({ state: { user } }) => ({ state: { user } })))
    expect(await getStatus(ref)).toMatchObject({ status: 'running', state: { user: 'ada' } })
    expect((await getStatus(ref)).state).not.toHaveProperty('password')
    expect(await getState(ref)).toHaveProperty('password', 'hunter2')
  })

  test('that is no function refuses the start', async () => {
    const { system } = testSystem()
    await expect(system.start(vault('state' as never))).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    })
  })
})
