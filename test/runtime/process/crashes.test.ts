import { afterEach, describe, expect, test, vi } from 'vitest'
import {
  call,
  cast,
  createSystem,
  type GenServer,
  type Logger,
  type Ref,
  reply,
  send,
} from '../../../src/runtime/index.ts'
import { describeReason } from '../../../src/runtime/words/exit-reason.ts'
import { testSystem, virtualClock } from '../../../src/testing/index.ts'
import * as Echo from '../server/echo.ts'

const bare = (entries: object): object => Object.assign(Object.create(null), entries)

const circular: unknown[] = ['a']
circular.push(circular)

const errorWith = (message: unknown): Error =>
  Object.defineProperty(new Error('boom'), 'message', { value: message })

const unreadable = Object.defineProperty(new Error('boom'), 'message', {
  get: () => {
    throw new Error('not to be read')
  },
})

const selfish = errorWith(undefined)
Object.defineProperty(selfish, 'message', { value: [selfish] })

const unnameable = {
  n: 1n,
  toJSON: () => {
    throw new Error('no JSON')
  },
  get [Symbol.toStringTag](): string {
    throw new Error('no tag')
  },
}

const hostile: [string, unknown, string][] = [
  ['an object without prototype that holds a bigint', bare({ amount: 5n }), '{amount: 5n}'],
  ['one that contains itself', Object.assign(bare({}), { self: circular }), '{self: ["a", …]}'],
  ['a circular array', circular, '[a, …]'],
  ['an Error with a symbol as its message', errorWith(Symbol('s')), 'Error: Symbol(s)'],
  ['an Error whose message throws', unreadable, 'Error: [unreadable]'],
  ['an Error that is its own message', selfish, 'Error: Error'],
  ['a bigint', 7n, '7n'],
  ['what refuses every question', unnameable, '[unreadable]'],
]

describe('a thrown value', () => {
  test.each(hostile)('%s, can be told', (_, thrown, text) => {
    expect(describeReason(thrown)).toBe(text)
  })

  test.each(hostile)(
    '%s, ends its process like any error, and its callers learn it',
    async (_, thrown) => {
      const { system, clock } = testSystem()
      const echo = await system.start(Echo.server)
      const reasons: unknown[] = []
      system.monitor(echo, (reason) => reasons.push(reason))

      cast(echo, 'crash', thrown as Error)
      const left = call(echo, 'echo', 1).catch((error) => error.code)
      await clock.settle()

      expect(reasons).toHaveLength(1)
      const [reason] = reasons
      // Compared by identity: to compare these by what they hold is what fails.
      expect((thrown instanceof Error ? reason : (reason as unknown[])[1]) === thrown).toBe(true)
      expect(await left).toBe('EXITED')
      expect(system.processes()).toEqual([])
    },
  )

  test('is complete in the error of a failed start', async () => {
    const { system } = testSystem()
    const refusing: GenServer<Record<never, never>, undefined> = {
      init: () => {
        throw { code: 7, in: ['a', ['b']] }
      },
    }

    await expect(system.start(refusing)).rejects.toThrow('[nocatch, {code: 7, in: ["a", ["b"]]}]')
  })
})

describe('a handler that answers what works like a promise', () => {
  const boom = new Error('boom')
  const throwing = () => {
    throw boom
  }
  const withGetter = Object.defineProperty({}, 'then', { get: throwing })
  const ownThen = Object.defineProperty(Promise.resolve(), 'then', { value: throwing })

  const answering = (answer: unknown): GenServer<Messages, number> => ({
    init: () => 1,
    calls: { get: () => answer as never, crash: () => answer as never },
    casts: { crash: () => answer as never },
    terminate: () => answer as never,
  })

  test.each([
    ['whose then cannot be read', withGetter],
    // biome-ignore lint/suspicious/noThenProperty: what works like a promise is what is tested.
    ['whose then throws', { then: throwing }],
    ['a promise whose then was replaced by one that throws', ownThen],
  ])('%s, ends with that error', async (_, answer) => {
    const { system, clock } = testSystem()
    const server = await system.start(answering(answer))
    const reasons: unknown[] = []
    system.monitor(server, (reason) => reasons.push(reason))

    const asked = call(server, 'get').catch((error) => error.code)
    await clock.settle()

    expect(await asked).toBe('EXITED')
    expect(reasons).toEqual([boom])
    expect(system.processes()).toEqual([])
  })

  test('does not start when init answers so', async () => {
    const { system } = testSystem()
    const server: GenServer<Messages, number> = { ...answering(1), init: () => withGetter as never }

    expect(await system.startResult(server)).toEqual({ ok: false, reason: boom })
    expect(system.processes()).toEqual([])
  })

  test('takes the first of two outcomes, and the next message has its own', async () => {
    const { system, clock } = testSystem()
    let again = (_: unknown): void => {}
    const twice = {
      // biome-ignore lint/suspicious/noThenProperty: what works like a promise is what is tested.
      then: (onValue: (value: unknown) => void) => {
        again = onValue
        onValue(reply('first', 1))
      },
    }
    const held = new Promise<never>(() => {})
    const answers: unknown[] = [twice, held]
    const server: GenServer<Messages, number> = {
      ...answering(1),
      calls: { get: () => answers.shift() as never, crash: () => held },
    }
    const ref = await system.start(server)

    expect(await call(ref, 'get')).toBe('first')
    const second = call(ref, 'get', undefined, { timeoutMs: 50 }).catch((error) => error.code)
    await clock.settle()
    again(reply('of the first', 1))
    await clock.advance(50)

    expect(await second).toBe('TIMEOUT')
  })
})

describe('a log that throws', () => {
  afterEach(() => {
    vi.restoreAllMocks()
  })

  const start = async () => {
    const told: string[] = []
    for (const level of ['error', 'warn'] as const) {
      vi.spyOn(console, level).mockImplementation((line) => told.push(line.replace(/^\S+Z /, '')))
    }
    const refuse = () => {
      throw new Error('the log is full')
    }
    const logger: Logger = { error: refuse, warn: refuse, info: refuse }
    const clock = virtualClock()
    const system = createSystem({ clock, logger })
    const server = await system.start(unready, undefined, { label: 'unready' })
    return { system, clock, server, told }
  }

  test('keeps no process from ending; the console gets its lines', async () => {
    const { system, clock, server, told } = await start()

    const answer = call(server, 'crash').catch((error) => error.code)
    await clock.settle()

    expect(await answer).toBe('EXITED')
    expect(system.info(server)).toBeUndefined()
    expect(told).toEqual(['error unready ended: Error: boom'])
  })

  test('disturbs no server that gets a message which it does not expect', async () => {
    const { clock, server, told } = await start()

    send(server as Ref as Ref<{ infos: { surprise: () => void } }>, 'surprise')
    await clock.settle()

    expect(await call(server, 'get')).toBe(1)
    expect(told).toEqual(['warn  unready: unexpected info surprise'])
  })

  test('disturbs no process when a listener throws too', async () => {
    const { system, clock, server, told } = await start()
    system.events.on('process.exited', () => {
      throw new Error('a listener')
    })
    const ends: unknown[] = []
    system.monitor(server, (reason) => ends.push(reason))

    system.kill(server)
    await clock.settle()

    expect(ends).toEqual(['killed'])
    expect(told).toEqual(['error a listener of process.exited threw'])
  })

  test('is asked as a method of its logger', async () => {
    class Lines implements Logger {
      readonly lines: string[] = []
      error(message: string): void {
        this.lines.push(message)
      }
      warn(message: string): void {
        this.lines.push(message)
      }
      info(message: string): void {
        this.lines.push(message)
      }
    }
    const logger = new Lines()
    const clock = virtualClock()
    const system = createSystem({ clock, logger })
    const server = await system.start(unready, undefined, { label: 'unready' })

    cast(server, 'crash')
    await clock.settle()

    expect(logger.lines).toEqual(['unready ended: Error: boom'])
  })
})

type Messages = {
  calls: { get: () => number; crash: () => void }
  casts: { crash: () => void }
}

const boom = (): never => {
  throw new Error('boom')
}

/** A server that crashes when told to, and knows nothing of `surprise`. */
const unready: GenServer<Messages, number> = {
  init: () => 1,
  calls: { get: (state) => reply(state, state), crash: boom },
  casts: { crash: boom },
}
