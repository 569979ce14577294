import { performance } from 'node:perf_hooks'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { systemClock, virtualClock } from '../src/clock.ts'

/** The longest delay that Node's own timers take: 24.8 days. */
const longest = 2 ** 31 - 1

describe('the clock of the machine', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] })
    // The fake timers replace the global object. The clock has the one of the module.
    const begun = Date.now()
    vi.spyOn(performance, 'now').mockImplementation(() => Date.now() - begun)
  })
  afterEach(() => {
    vi.restoreAllMocks()
    vi.useRealTimers()
  })

  test.each([0, 1, longest, longest + 1, 3 * longest])('waits %d ms, and no less', (ms) => {
    const fired = vi.fn()

    systemClock().after(ms, fired)
    vi.advanceTimersByTime(Math.max(0, ms - 1))
    expect(fired).toHaveBeenCalledTimes(ms === 0 ? 1 : 0)
    vi.advanceTimersByTime(1)

    expect(fired).toHaveBeenCalledTimes(1)
    expect(vi.getTimerCount()).toBe(0)
  })

  test('takes back a delay of any length, at any time', () => {
    const fired = vi.fn()
    const cancel = systemClock().after(3 * longest, fired)
    vi.advanceTimersByTime(2 * longest)

    cancel()

    expect(vi.getTimerCount()).toBe(0)
  })

  test('fires an overdue timer in a turn of its own', () => {
    const fired = vi.fn()

    systemClock().after(-5, fired)
    expect(fired).not.toHaveBeenCalled()
    vi.advanceTimersByTime(0)

    expect(fired).toHaveBeenCalledTimes(1)
  })
})

describe('a virtual clock', () => {
  test.each([Number.NaN, -5, Number.POSITIVE_INFINITY, '5' as never])(
    'that is moved by %s stays where it is',
    async (ms) => {
      const clock = virtualClock()
      await clock.advance(10)

      await expect(clock.advance(ms)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })

      expect(clock.monotonic()).toBe(10)
    },
  )
})
