/**
 * Whatever a program throws, answers or sends: the process concerned ends as it should, and nothing
 * else is disturbed.
 */
import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import {
  call,
  type GenServer,
  getState,
  isOrderly,
  noReply,
  stop,
  stopProcess,
} from '../../../src/runtime/index.ts'
import { testSystem } from '../../../src/testing/index.ts'
import * as Runner from '../task/runner.ts'

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
  test('with the reason NaN is the one that stopProcess asked for', async () => {
    const { system } = testSystem()
    const runner = await system.start(Runner.server, false)

    await expect(stopProcess(runner, Number.NaN)).resolves.toBeUndefined()
  })
})

describe('the next step', () => {
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

describe('pipe', () => {
  test('of a thenable that settles twice sends one message, and of a plain value that value', async () => {
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
