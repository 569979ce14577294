/** The plain `call`, `cast` and `send` say so when a handler uses them: they have no sender there. */
import { afterEach, describe, expect, test, vi } from 'vitest'
import {
  type Context,
  type GenServer,
  name,
  noReply,
  type Ref,
  reply,
  startSupervisor,
  supervisor,
} from '../../../src/runtime/index.ts'
import { direct } from '../../../src/runtime/process/outputs.ts'
import { call, cast, send } from '../../../src/runtime/process/own-sends.ts'
import type { Process } from '../../../src/runtime/process/process.ts'
import { addressOf } from '../../../src/runtime/words/address.ts'
import { testSystem } from '../../../src/testing/index.ts'
import * as Echo from '../server/echo.ts'

type Act = (context: Context<Acting>) => unknown
type Acting = { calls: { act: (act: Act) => unknown }; casts: { again: () => void } }

const acting: GenServer<Acting, number> = {
  init: () => 0,
  calls: { act: async (state, act, context) => reply(await act(context), state) },
  casts: { again: (state) => noReply(state + 1) },
}

const echoName = name<Echo.Messages>('echo')

const start = async () => {
  const { system, log, clock } = testSystem()
  const echo = await system.start(Echo.server, undefined, { name: echoName })
  const actor = await system.start(acting)
  const act = (what: Act) => call(actor, 'act', what)
  const noted = () => log.lines.filter(({ facts }) => facts?.code === 'NO_SENDER')
  return { system, clock, echo, actor, act, noted }
}

afterEach(() => {
  vi.unstubAllEnvs()
})

describe('a plain message in a handler', () => {
  test.each<[string, (echo: Ref<Echo.Messages>) => unknown]>([
    ['call', (echo) => call(echo, 'echo', 1)],
    ['cast', (echo) => cast(echo, 'note', 1)],
    ['send', (echo) => send(echo, 'noted', 1)],
  ])('%s is logged with its line, once for its handler', async (sent, plain) => {
    const { act, echo, noted, system } = await start()
    for (const ref of [echo, echo, system.to(echoName)]) await act(() => plain(ref))

    const [line, ...others] = noted()
    expect(others).toEqual([])
    expect(line?.level).toBe('warn')
    expect(line?.message).toContain(`${sent}(`)
    expect(line?.message).toContain('in its handler of call act has no sender')
    expect(line?.message).toMatch(/own-sends\.test\.ts:\d+/)
    const at = line?.facts?.at as string[]
    expect(at).toHaveLength(5)
    expect(at[0]).toMatch(/^at .*own-sends\.test\.ts:\d+/)
  })

  test('is told for each message of each handler, and for a hundred at most', async () => {
    const { act, echo, noted, system } = await start()
    await act(() => [cast(echo, 'note', 1), send(echo, 'noted', 1)])
    system.spawn(() => cast(echo, 'note', 1))
    await act(() => undefined)
    expect(noted()).toHaveLength(3)

    await act(() => {
      for (let at = 0; at < 200; at++) cast(echo, `note ${at}` as 'note', 1)
    })
    expect(noted()).toHaveLength(100)
  })

  test.each<[string, (echo: Ref<Echo.Messages>) => Act]>([
    ['with a bound sender', (echo) => (context) => cast(context.to(echo), 'note', 1)],
    ['through the context', (echo) => (context) => context.call(echo, 'echo', 1)],
    ['to itself', () => (context) => cast(context.self, 'again')],
  ])('%s is not', async (_, message) => {
    const { act, echo, noted } = await start()
    await act(message(echo))
    expect(noted()).toEqual([])
  })

  test('is logged of the first turn too', async () => {
    const { clock, echo, noted, system } = await start()
    system.spawn(() => cast(echo, 'note', 1))
    await clock.settle()
    expect(noted()[0]?.message).toContain('in its handler of init has no sender')
  })

  test('is logged of an instance for the code of its user only', async () => {
    const { clock, echo, noted, system } = await start()
    const plain = () => void cast(echo, 'note', 1)
    system.spawn(plain, { instance: 'till' })
    await clock.settle()
    expect(noted()).toEqual([])
    system.spawn(plain, { instance: 'till', app: {} })
    await clock.settle()
    expect(noted()).toHaveLength(1)
  })

  test('to itself is logged where messages are held back', async () => {
    const { act, actor, noted } = await start()
    const { process } = addressOf<Process>(actor)
    if (process) process.outputs = { ...direct }
    await act((context) => cast(context.self, 'again'))
    expect(noted()).toHaveLength(1)
  })

  test('to nobody is lost, as one with a sender', async () => {
    const { act, noted, system } = await start()
    expect(await act(() => cast(system.to(name<Echo.Messages>('nobody')), 'note', 1))).toBe(false)
    expect(noted()).toEqual([])
  })

  test('is not told in production', async () => {
    vi.stubEnv('NODE_ENV', 'production')
    const { act, echo, noted } = await start()
    expect(await act(() => cast(echo, 'note', 1))).toBe(true)
    expect(noted()).toEqual([])
  })
})

describe('a plain message of code that is no handler is not logged:', () => {
  test('a listener and a monitor, though a process runs', async () => {
    const { act, echo, noted, system, clock } = await start()
    const heard: string[] = []
    system.events.on('process.exited', () => heard.push(`exit ${cast(echo, 'note', 1)}`))
    system.monitor(system.to(name('short')), () => heard.push(`down ${cast(echo, 'note', 2)}`))
    await act((context) => {
      const other = context.spawn((own) => own.receive())
      system.monitor(other, () => heard.push(`down ${send(echo, 'noted', 3)}`))
      system.kill(other)
    })
    await clock.settle()
    expect(heard).toEqual(['down true', 'exit true', 'down true'])
    expect(noted()).toEqual([])
  })

  test('the start function of a child, which has no context to send with', async () => {
    const { echo, noted, system } = await start()
    const starts = async (): Promise<{ ignore: true }> => {
      await call(echo, 'echo', 1)
      return { ignore: true }
    }
    await startSupervisor(
      system,
      supervisor('root', { strategy: 'one_for_one' }, [{ id: 'child', start: starts }]),
    )
    expect(noted()).toEqual([])
  })
})
