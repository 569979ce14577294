import { performance } from 'node:perf_hooks'
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
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

  test('gives whole ms, whatever stands in for the clock', () => {
    vi.spyOn(Date, 'now').mockReturnValue(1_700_000_000_000.75)
    expect(systemClock().now()).toBe(1_700_000_000_000)
  })

  test('waits with timers that are numbers', () => {
    const numbered = vi.spyOn(globalThis, 'setTimeout')
    const every = vi.spyOn(globalThis, 'setInterval').mockReturnValue(8 as never)
    const fired = vi.fn()
    const clock = systemClock()
    numbered.mockImplementation(((action: () => void) => {
      queueMicrotask(action)
      return 7
    }) as never)
    const ends = [clock.after(5, fired, { holdsProcess: false }), clock.whenSet(fired)]
    expect([numbered, every].map(({ mock }) => mock.calls.length)).toEqual([1, 1])
    for (const end of ends) end()
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

describe('a clock that is set', () => {
  test('tells its listeners within a second, and only of more than a second', () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'Date'] })
    let passedMs = 0
    vi.spyOn(performance, 'now').mockImplementation(() => passedMs)
    const pass = (ms: number): void => {
      for (const end = passedMs + ms; passedMs < end; ) {
        passedMs += 1_000
        vi.advanceTimersByTime(1_000)
      }
    }
    onTestFinished(() => {
      vi.restoreAllMocks()
      vi.useRealTimers()
    })
    const clock = systemClock()
    let count = 0
    const end = clock.whenSet(() => count++)
    pass(10_000)
    vi.setSystemTime(Date.now() + 900)
    pass(1_000)
    expect(count).toBe(0)
    for (const byMs of [3_600_000, -7_200_000]) {
      vi.setSystemTime(Date.now() + byMs)
      pass(1_000)
    }
    expect(count).toBe(2)
    end()
    expect(vi.getTimerCount()).toBe(0)
  })

  test('moves no timer of a virtual clock', async () => {
    const clock = virtualClock()
    const fired: number[] = []
    clock.after(5_000, () => void fired.push(clock.monotonic()))
    let told = 0
    clock.whenSet(() => told++)
    clock.set(1_000)
    expect(clock.now()).toBe(1_000)
    await clock.advance(1_000)
    expect([told, clock.now()]).toEqual([1, 2_000])
    await clock.advance(4_000)
    expect(fired).toEqual([5_000])
    expect(() => clock.set(Number.NaN)).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    )
  })
})
