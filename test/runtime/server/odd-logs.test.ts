/** A log, a listener or a reason may misbehave without disturbing any process. */
import { afterEach, describe, expect, test, vi } from 'vitest'
import { call, createSystem, describeReason, stop, trace } from '../../../src/runtime/index.ts'
import { testSystem, virtualClock } from '../../../src/testing/index.ts'
import * as Runner from '../task/runner.ts'

const codeOf = (error: { code: string }): string => error.code

describe('the lines of the log', () => {
  test('of a reason that holds a whole state is cut', () => {
    const text = describeReason(['state', 'x'.repeat(1_000_000)])

    expect(text.length).toBeLessThan(5_000)
    expect(text).toContain('[state, xxx')
    expect(text).toMatch(/…$/)
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
    expect(told[0]).toMatch(/^\S+Z error runner ended: Error: outer\n {4}at /)
    expect(told[0]).toMatch(/code: 'EIO'/)
    expect(told[0]).toMatch(/\[cause\]: Error: inner/)
  })
})

describe('an asynchronous callback that rejects', () => {
  const reject = async (): Promise<never> => {
    throw new Error('later')
  }

  test('of a trace, a monitor or a listener is logged, and is not an unhandled rejection', async () => {
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

describe('a log that answers a promise', () => {
  afterEach(() => {
    vi.restoreAllMocks()
  })

  test('which rejects: the console gets its lines, and no rejection is left unhandled', async () => {
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

    expect(told).toEqual([expect.stringMatching(/^\S+Z error runner ended: over$/)])
    expect(unhandled).not.toHaveBeenCalled()
    process.off('unhandledRejection', unhandled)
  })
})
