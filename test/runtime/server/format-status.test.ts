/** A server says what may be seen of it: in crash reports, and by `getStatus`. */
import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import { createMachine } from 'xstate'
import {
  type ChildSpec,
  type CrashFacts,
  call,
  cast,
  exit,
  type GenServer,
  getState,
  getStatus,
  type Ref,
  reply,
  type StatusParts,
  type System,
  send,
  startDynamicChild,
  startDynamicSupervisor,
  startSupervisor,
  supervisor,
  type TraceEvent,
  trace,
  whichChildren,
  worker,
} from '../../../src/runtime/index.ts'
import { shownStatus } from '../../../src/runtime/server/format-status.ts'
import { StateMachine } from '../../../src/runtime/state-machine/state-machine.ts'
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

  test('hides fields named like a secret in a reason that it leaves out', async () => {
    const left = Object.assign(new Error('refused'), { password: 'hunter2' })
    const parts = { state: 1, lastMessage: undefined, reason: left }
    const { reason } = shownStatus(() => ({ state: '…' }), parts)
    expect(reason).toMatchObject({ message: 'refused', password: '[hidden string of 7]' })
  })

  test('that throws shows nothing, and the crash stays the crash', async () => {
    const { crash, exits, text } = await crashed(({ state }) => refused(state.password))
    expect(crash).toMatchObject({
      state: 'formatStatus failed',
      lastMessage: undefined,
      reason: 'formatStatus failed',
    })
    expect(text).toContain('formatStatus failed')
    expect(text).not.toContain('hunter2')
    expect(exits).toEqual([new Error('wrong: hunter2')])
  })

  test('decides what getStatus shows; getState is the state itself, as in OTP', async () => {
    const { system } = testSystem()
    const ref = await system.start(vault(({ state: { user } }) => ({ state: { user } })))
    expect(await getStatus(ref)).toMatchObject({ status: 'running', state: { user: 'ada' } })
    expect((await getStatus(ref)).state).not.toHaveProperty('password')
    expect(await getState(ref)).toHaveProperty('password', 'hunter2')
  })

  test('decides what a trace shows of messages and of answers', async () => {
    const { system } = testSystem()
    const safe: GenServer<{ calls: { ask: (question: string) => string } }, string> = {
      init: () => 'hunter2',
      calls: { ask: (state) => reply(state, state) },
      formatStatus: ({ lastMessage }) => ({
        state: 'hidden',
        lastMessage: lastMessage && { ...lastMessage, payload: 'hidden' },
      }),
    }
    const ref = await system.start(safe)
    const seen: TraceEvent[] = []
    await trace(ref, (event) => seen.push(event))
    expect(await call(ref, 'ask', 'hunter2?')).toBe('hunter2')
    expect(seen).toEqual([
      { direction: 'in', what: 'call ask', payload: 'hidden' },
      { direction: 'out', what: 'reply', payload: 'hidden' },
    ])
  })

  test('that is no function refuses the start', async () => {
    const { system } = testSystem()
    await expect(system.start(vault('state' as never))).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    })
  })
})

describe('no line of the log and no error text shows what formatStatus hides', () => {
  const hiding = (): StatusParts => ({ state: 'hidden', reason: 'a secret' })

  const lines = async (server: object, act: (ref: Ref<never>) => void) => {
    const { system, log, settle } = testSystem()
    const ref = await system.start(server as Vault)
    act(ref as never)
    await settle()
    return JSON.stringify(log.lines)
  }

  test.each<[string, object, (ref: Ref<never>) => void]>([
    ['an unexpected info', {}, (ref) => void send(ref, 'news' as never, 'hunter2' as never)],
    ['a refused cast', accepting, (ref) => void cast(ref, 'login' as never, 'hunter2' as never)],
    ['a refused info', accepting, (ref) => void send(ref, 'login' as never, 'hunter2' as never)],
  ])('%s', async (_, more, act) => {
    const server = { ...vault(hiding), ...more }
    const text = await lines(server, act)
    expect(text).toMatch(/unexpected info|refused/)
    expect(text).not.toContain('hunter2')
    const { formatStatus: __, ...open } = server
    expect(await lines(open, act)).toContain('hunter2')
  })

  test('an event that a state machine does not know', async () => {
    const server = StateMachine.server(createMachine({ on: { known: {} } }), {
      unknownEvents: 'log',
      formatStatus: hiding,
    } as never)
    const text = await lines(server, (ref) =>
      StateMachine.send(ref as never, { type: 'other', word: 'hunter2' } as never),
    )
    expect(text).toContain('unknown event other')
    expect(text).not.toContain('hunter2')
  })

  test('a restart, and the error of a waiting caller: their reason is the shown one', async () => {
    const { system, log, settle } = testSystem()
    const reports: unknown[] = []
    system.events.on('supervisor.report', (report) => reports.push(report))
    const leaving: GenServer<{ calls: { leave: (word: string) => void } }, null> = {
      init: () => null,
      calls: { leave: (_, word) => exit(['left', word]) },
      formatStatus: hiding,
    }
    for (const start of [startSupervised, startDynamic]) {
      const ref = await start(system, worker('a', leaving))
      const error = await call(ref as never, 'leave' as never, 'hunter2' as never).catch((e) => e)
      await settle()
      expect(error).toMatchObject({ code: 'EXITED', details: { reason: ['left', 'hunter2'] } })
      expect(error.message).toContain('ended: a secret')
    }
    expect(log.lines.map(({ message }) => message).join()).toContain('was restarted: a secret')
    expect(JSON.stringify([log.lines, reports])).not.toContain('hunter2')
  })
})

const accepting = {
  accepts: { calls: {}, casts: { login: () => false }, infos: {} },
}

const startSupervised = async (system: System, spec: ChildSpec): Promise<unknown> => {
  const top = await startSupervisor(system, supervisor('top', { strategy: 'one_for_one' }, [spec]))
  return (await whichChildren(top))[0]?.ref
}

const startDynamic = async (system: System, spec: ChildSpec): Promise<unknown> =>
  (await startDynamicChild(await startDynamicSupervisor(system), spec)).ref

describe('without formatStatus, a field with the name of a secret is in no outlet', () => {
  const secret = { user: 'ada', password: 'hunter2' }
  type Questions = { calls: Record<'ask' | 'fail' | 'leave', (payload: unknown) => unknown> }
  const open: GenServer<Questions, typeof secret> = {
    init: () => ({ ...secret }),
    calls: {
      ask: (state) => reply(state, state),
      fail: (_, payload) => {
        throw Object.assign(new Error('no'), { payload })
      },
      leave: (_, payload) => exit(['left', payload]),
    },
  }

  test.each<[string, (ref: Ref<Questions>) => unknown]>([
    ['a call that fails', (ref) => call(ref, 'fail', secret)],
    ['an exit', (ref) => call(ref, 'leave', secret)],
    ['an unexpected info', (ref) => send(ref as Ref<never>, 'news' as never, secret as never)],
  ])('%s: reports, lines of the log, events, and the error of a caller', async (_, act) => {
    const { system, log, settle } = testSystem()
    const seen: unknown[] = [log.lines]
    system.events.on('process.crashed', (event) => seen.push(event))
    system.events.on('supervisor.report', (event) => seen.push(event))
    const ref = (await startSupervised(system, worker('a', open))) as Ref<Questions>
    await Promise.resolve(act(ref)).catch((error) => seen.push(error))
    await settle()
    const text = inspect(seen, { depth: 9 })
    expect(text).toContain('[hidden string of 7]')
    expect(text).not.toContain('hunter2')
  })

  test('getStatus and traces; getState and the reply have it', async () => {
    const { system } = testSystem()
    const ref = await system.start(open)
    const seen: unknown[] = []
    await trace(ref, (event) => seen.push(event))
    expect(await call(ref, 'ask', secret)).toBe(await getState(ref))
    seen.push(await getStatus(ref))
    expect(JSON.stringify(seen).match(/hidden string of 7/g)).toHaveLength(3)
    expect(JSON.stringify(seen)).not.toContain('hunter2')
    expect(await getState(ref)).toEqual(secret)
  })
})
