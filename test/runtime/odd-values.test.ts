/** Whatever a program throws, answers or passes: the process concerned ends as it should, and nothing else is disturbed. */
import { inspect } from 'node:util'
import { afterEach, describe, expect, test, vi } from 'vitest'
import {
  call,
  createSystem,
  describeReason,
  type GenServer,
  getState,
  isOrderly,
  name,
  noReply,
  type Ref,
  replaceState,
  type StartOptions,
  stop,
  stopProcess,
  trace,
} from '../../src/runtime/index.ts'
import { testSystem, virtualClock } from '../../src/testing/index.ts'
import * as Runner from './runner.ts'

/** An object that throws at every question, `instanceof` and `Array.isArray` among them. */
const revoked = (): object => {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  return proxy
}

const refuse = (): never => {
  throw new Error('not to be asked')
}

const shy = (): object => new Proxy({}, { get: refuse })

const values: [string, () => unknown][] = [
  ['undefined', () => undefined],
  ['null', () => null],
  ['a function', () => () => 1],
  ['a symbol', () => Symbol('why')],
  ['a frozen object', () => Object.freeze({ why: 'frozen' })],
  ['an Error with a cause', () => new Error('outer', { cause: new Error('inner') })],
  ['an object that throws when it is read', shy],
  ['a revoked Proxy', revoked],
]

const codeOf = (error: { code: string }): string => error.code

describe.each(values)('%s', (_, make) => {
  const worlds = async () => {
    const { system, clock } = testSystem()
    const runner = await system.start(Runner.server, false)
    const ends: unknown[] = []
    system.monitor(runner, (reason) => ends.push(reason))
    const waiting = call(runner, 'run', () => new Promise(() => {})).catch(codeOf)
    const later = await system.start(Runner.server, false)
    return { system, clock, runner, ends, waiting, later }
  }

  test('sent as an exit reason reaches monitors and callers as it is', async () => {
    const { system, clock, runner, ends, waiting } = await worlds()
    const reason = make()

    system.exit(runner, reason)
    await clock.settle()

    expect(ends.length).toBe(1)
    expect(Object.is(ends[0], reason)).toBe(true)
    expect(await waiting).toBe('EXITED')
  })

  test('thrown by a handler ends that process, and ends after it are told as before', async () => {
    const { system, clock, later } = await worlds()
    const runner = await system.start(Runner.server, false)
    const ends: string[] = []
    system.monitor(runner, () => ends.push('runner'))
    system.monitor(later, () => ends.push('later'))

    Runner.answer(runner, () => {
      throw make()
    })
    const waiting = Runner.run(runner, () => 1).catch(codeOf)
    await clock.settle()
    system.kill(later)

    expect(ends).toEqual(['runner', 'later'])
    expect(await waiting).toBe('EXITED')
  })

  test('answered by a handler is a bad answer, which ends it', async () => {
    const { system, clock } = testSystem()
    const runner = await system.start(Runner.server, false)

    Runner.answer(runner, make)
    await clock.settle()

    expect(system.info(runner)).toBeUndefined()
  })

  test('is the reason of a stop, and stopProcess knows it again', async () => {
    const { system, clock } = testSystem()
    const [one, other] = [
      await system.start(Runner.server, false),
      await system.start(Runner.server, false),
    ]
    const reason = make()

    Runner.answer(one, () => stop(reason))
    const stopped = stopProcess(other, reason)
    await clock.settle()

    await expect(stopped).resolves.toBeUndefined()
    expect(system.processes()).toEqual([])
  })

  test('is no orderly end', () => {
    expect(isOrderly(make())).toBe(false)
  })

  test('thrown by init refuses the start', async () => {
    const { system } = testSystem()
    const failing: GenServer<Record<never, never>, null> = {
      init: () => {
        throw make()
      },
    }

    expect(await system.startResult(failing)).toMatchObject({ ok: false })
    expect(system.processes()).toEqual([])
  })
})

describe('an end', () => {
  test('whose reason is NaN is the one that stopProcess asked for', async () => {
    const { system } = testSystem()
    const runner = await system.start(Runner.server, false)

    await expect(stopProcess(runner, Number.NaN)).resolves.toBeUndefined()
  })
})

describe('what is to come next', () => {
  test('and throws when it is read is a bad answer', async () => {
    const { system, clock } = testSystem()
    const runner = await system.start(Runner.server, false)
    const next = {
      get timeoutMs(): number {
        throw new Error('not to be read')
      },
    }

    Runner.answer(runner, () => noReply([], next))
    await clock.settle()

    expect(system.info(runner)).toBeUndefined()
  })
})

describe('a call', () => {
  test('of what is no ref rejects, as does every question of sys', async () => {
    const nobody = 'counter' as unknown as Ref<Runner.Messages>
    const asked = [call(nobody, 'run', () => 1), getState(nobody), stopProcess(nobody)]

    for (const question of asked) await expect(question).rejects.toMatchObject(invalid)
  })

  test('with a signal that is none rejects, and nothing is sent', async () => {
    const { system } = testSystem()
    const runner = await system.start(Runner.server, false)
    const signal = {} as AbortSignal

    await expect(call(runner, 'run', () => 1, { signal })).rejects.toMatchObject(invalid)
    expect(system.info(runner)?.mailbox).toBe(0)
  })

  const invalid = { code: 'INVALID_ARGUMENT' }
})

describe('a start', () => {
  test.each([
    ['an empty name', { name: '' }],
    ['a number as its name', { name: 5 }],
    ['null as its name', { name: null }],
    ['a mailbox of nothing', { mailboxMax: 0 }],
    ['a mailbox that compares with nothing', { mailboxMax: Number.NaN }],
    ['a mailbox in words', { mailboxMax: '5' }],
  ])('with %s is refused, and leaves nothing behind', async (_, wrong) => {
    const { system } = testSystem()
    const options = wrong as StartOptions<Runner.Messages>

    await expect(system.start(Runner.server, false, options)).rejects.toMatchObject(invalid)
    expect(() => system.spawn(() => {}, options)).toThrow(expect.objectContaining(invalid))
    expect(system.processes()).toEqual([])
  })

  test('of a system whose mailboxes hold nothing is refused', () => {
    expect(() => createSystem({ mailboxMax: -1 })).toThrow(expect.objectContaining(invalid))
  })

  test('is followed by no name that is none', async () => {
    const { system } = testSystem()
    const runner = await system.start(Runner.server, false)

    const registered = await Runner.run(runner, (context) => {
      try {
        return context.register(name(''))
      } catch (error) {
        return error
      }
    })

    expect(registered).toMatchObject(invalid)
  })

  const invalid = { code: 'INVALID_ARGUMENT' }
})

describe('what a handler sees', () => {
  test('is shown as words, and can be written as JSON: monitors, calls, refs', async () => {
    const { system, clock } = testSystem()
    const [runner, other] = [
      await system.start(Runner.server, false),
      await system.start(Runner.server, false),
    ]
    const kept: unknown[] = []
    const keeper: GenServer<{ calls: { ask: () => void } }, null> = {
      init: () => null,
      calls: {
        ask: (state, _, { from }) => {
          kept.push(from)
          return noReply(state)
        },
      },
    }
    void call(await system.start(keeper), 'ask').catch(() => undefined)
    await clock.settle()
    const monitor = await Runner.run(runner, (context) => context.monitor(other))

    const seen = [monitor, ...kept, other]

    expect(seen.map((each) => inspect(each))).toEqual(['monitor of <2>', 'call ask', '<2>'])
    expect(JSON.stringify(seen)).toBe('["monitor of <2>","call ask","<2>"]')
  })
})

describe('replaceState', () => {
  test('refuses an asynchronous function: its promise is no state', async () => {
    const { system } = testSystem()
    const runner = await system.start(Runner.server, false)
    const replace = (async () => ['other']) as unknown as () => Runner.Notes

    await expect(replaceState(runner, replace)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    expect(await getState(runner)).toEqual([])
  })
})

describe('what the log is told', () => {
  test('of a reason that holds a whole state is cut', () => {
    const text = describeReason(['state', 'x'.repeat(1_000_000)])

    expect(text.length).toBeLessThan(5_000)
    expect(text).toContain('[state, xxx')
    expect(text).toContain('(1000009 characters)')
  })

  test('of an Error goes to the console with its causes and its code', async () => {
    const told: unknown[] = []
    const spy = vi.spyOn(console, 'error').mockImplementation((line) => told.push(line))
    const system = createSystem({ clock: virtualClock() })
    const runner = await system.start(Runner.server, false, { label: 'runner' })
    const cause = new Error('inner')

    Runner.answer(runner, () => {
      throw Object.assign(new Error('outer', { cause }), { code: 'EIO' })
    })
    await call(runner, 'run', () => 1).catch(codeOf)
    spy.mockRestore()

    expect(told).toHaveLength(1)
    expect(told[0]).toMatch(/^runner ended: Error: outer\n/)
    expect(told[0]).toMatch(/code: 'EIO'/)
    expect(told[0]).toMatch(/\[cause\]: Error: inner/)
  })
})

describe('an asynchronous callback that rejects', () => {
  const reject = async (): Promise<never> => {
    throw new Error('later')
  }

  test('of a trace, a monitor or a listener is told to the log, and is no unhandled rejection', async () => {
    const unhandled = vi.fn()
    process.on('unhandledRejection', unhandled)
    const { system, log, settle } = testSystem()
    const runner = await system.start(Runner.server, false, { label: 'runner' })

    await trace(runner, reject as () => void)
    await Runner.run(runner, () => 1)
    await settle()
    await Runner.run(runner, () => 2)
    system.monitor(runner, reject as () => void)
    system.events.on('process.exited', reject as () => void)
    system.kill(runner)
    await settle()

    // A trace that failed is let go: it hears of no second message.
    expect([...new Set(log.messages('error'))].sort()).toEqual([
      'a listener of process.exited threw',
      'a monitor callback threw',
      'the trace of runner threw',
    ])
    expect(unhandled).not.toHaveBeenCalled()
    process.off('unhandledRejection', unhandled)
  })
})

describe('pipe', () => {
  test('of what settles twice sends one message, and of what is no promise that', async () => {
    const { system, settle } = testSystem()
    const runner = await system.start(Runner.server, false)
    const pipe = (promised: unknown) =>
      Runner.run(runner, (context) => context.pipe(promised as Promise<never>, 'tick' as never))
    const twice = Object.defineProperty({}, 'then', {
      value: (settled: (value: number) => void) => {
        settled(1)
        settled(2)
      },
    })

    await pipe(twice)
    await pipe(3)
    await settle()

    expect(await getState(runner)).toEqual([
      { ok: true, value: 1 },
      { ok: true, value: 3 },
    ])
  })
})

describe('a log that answers a promise', () => {
  afterEach(() => {
    vi.restoreAllMocks()
  })

  test('which rejects: the console tells what it did not take, and no rejection is left', async () => {
    const told: unknown[] = []
    vi.spyOn(console, 'error').mockImplementation((line) => told.push(line))
    const unhandled = vi.fn()
    process.on('unhandledRejection', unhandled)
    const reject = async (): Promise<void> => {
      throw new Error('the log is full')
    }
    const { system, clock } = testSystem({ logger: { error: reject, warn: reject, info: reject } })
    const runner = await system.start(Runner.server, false, { label: 'runner' })

    Runner.answer(runner, () => stop('over'))
    await clock.settle()

    expect(told).toEqual(['runner ended: over'])
    expect(unhandled).not.toHaveBeenCalled()
    process.off('unhandledRejection', unhandled)
  })
})
