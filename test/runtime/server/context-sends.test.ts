/** What a handler sends through its context: its order, its sender, and its end. */
import { describe, expect, test } from 'vitest'
import {
  type Context,
  call,
  cast,
  type GenServer,
  getState,
  name,
  noReply,
  type Ref,
  reply,
} from '../../../src/runtime/index.ts'
import { outcome, testSystem } from '../../../src/testing/index.ts'
import * as Echo from './echo.ts'

type Act = (context: Context<Acting>) => unknown
type Acting = {
  calls: { act: (act: Act) => unknown }
  casts: { act: (act: Act) => void; note: (value: string) => void }
}

/** Does what it is told with its context. */
const acting: GenServer<Acting, readonly string[]> = {
  init: () => [],
  calls: { act: async (state, act, context) => reply(await act(context), state) },
  casts: {
    act: async (state, act, context) => {
      await act(context)
      return noReply(state)
    },
    note: (state, value) => noReply([...state, value]),
  },
}

const echoName = name<Echo.Messages>('echo')

const start = async () => {
  const { system, clock } = testSystem()
  const echo = await system.start(Echo.server, undefined, { name: echoName })
  const actor = await system.start(acting)
  return { system, clock, echo, actor }
}

const notesOf = async (echo: Ref<Echo.Messages>) => (await getState<Echo.State>(echo)).notes

describe('context.call, context.cast and context.send', () => {
  test('arrive in their order, to a name and to a ref', async () => {
    const { actor, echo } = await start()

    const answer = await call(actor, 'act', (context) => {
      context.cast(echoName, 'note', 1)
      context.send(echo, 'noted', 2)
      const asked = context.call(echoName, 'echo', 'asked')
      context.cast(context.to(echo), 'note', 3)
      return asked
    })

    expect(answer).toBe('asked')
    expect(await notesOf(echo)).toEqual([1, 2, 3])
  })

  test('a call has the process as its caller', async () => {
    const { actor, system } = await start()
    const callers: unknown[] = []
    const asked = system.spawn<{ calls: { who: () => string } }>(async (context) => {
      const received = await context.receive()
      if (received?.kind !== 'call') return
      callers.push(received.from.caller)
      received.from.reply('me')
    })

    expect(await call(actor, 'act', (context) => context.call(asked, 'who'))).toBe('me')
    expect(callers).toEqual([actor])
  })

  test('a call is cut off when its process ends, and nothing else is sent', async () => {
    const { actor, system, clock, echo } = await start()
    let told: unknown
    cast(actor, 'act', async (context) => {
      told = await outcome(context.call(echo, 'keep', 'a'))
      context.cast(echo, 'note', 'late')
    })
    await clock.settle()

    system.kill(actor)
    await clock.settle()

    expect(told).toMatchObject({ ok: false, error: { code: 'EXITED' } })
    expect(await notesOf(echo)).toEqual([])
  })

  test('a call that fails and is not awaited is no unhandled rejection', async () => {
    const { actor, clock } = await start()
    const unhandled: unknown[] = []
    const listen = (error: unknown): void => void unhandled.push(error)
    process.on('unhandledRejection', listen)

    await call(actor, 'act', (context) => {
      void context.call(name<Echo.Messages>('nobody'), 'echo', 1)
      void context.call(7 as never, 'echo' as never)
      void context.call(context.self, 'act', () => undefined)
    })
    await clock.settle()
    process.off('unhandledRejection', listen)

    expect(unhandled).toEqual([])
  })

  test('a call takes the options of a call', async () => {
    const { actor, clock, echo } = await start()
    const asked = outcome(
      call(actor, 'act', (context) => context.call(echo, 'keep', 'a', { timeoutMs: 100 })),
    )

    await clock.advance(100)

    expect(await asked).toMatchObject({ ok: false, error: { code: 'EXITED' } })
  })

  test('a cast to a process that is gone is false', async () => {
    const { actor } = await start()
    const sent = call(actor, 'act', (context) =>
      context.cast(name<Echo.Messages>('nobody'), 'note', 1),
    )

    expect(await sent).toBe(false)
  })
})

describe('context.castAfter', () => {
  test('sends a cast to the process itself, in its time', async () => {
    const { actor, clock } = await start()
    await call(actor, 'act', (context) => {
      context.castAfter(100, 'note', 'due')
    })

    await clock.advance(99)
    expect(await getState(actor)).toEqual([])
    await clock.advance(1)
    expect(await getState(actor)).toEqual(['due'])
  })

  test('sends a cast to a name that it looks up when it fires', async () => {
    const { actor, clock, echo, system } = await start()
    await call(actor, 'act', (context) => {
      context.castAfter(100, 'note', 'due', echoName)
    })
    system.kill(echo)
    const next = await system.start(Echo.server, undefined, { name: echoName })

    await clock.advance(100)

    expect(await notesOf(next)).toEqual(['due'])
  })

  test('ends with its process, and can be cancelled', async () => {
    const { actor, clock } = await start()
    const left = await call(actor, 'act', (context) => {
      const timer = context.castAfter(100, 'note', 'never')
      return [timer.read(), context.cancelTimer(timer)]
    })

    await clock.advance(200)

    expect(left).toEqual([100, 100])
    expect(await getState(actor)).toEqual([])
  })
})
