import { describe, expect, test } from 'vitest'
import {
  endsSupervisor,
  isRestarted,
  recentRestarts,
  restartWaitMs,
} from '../../../src/runtime/supervision/restart-policy.ts'

describe('whether a child is started again', () => {
  const orderly = ['normal', 'shutdown', ['shutdown', 'why']]
  const crashes = [
    'killed',
    'kill',
    'noproc',
    new Error('boom'),
    ['shutdown'],
    ['other', 'shutdown'],
  ]

  test.each([...orderly, ...crashes])('a permanent one always (%j)', (reason) => {
    expect(isRestarted('permanent', reason)).toBe(true)
  })

  test.each([...orderly, ...crashes])('a temporary one never (%j)', (reason) => {
    expect(isRestarted('temporary', reason)).toBe(false)
  })

  test.each(orderly)('a transient one not after an orderly end (%j)', (reason) => {
    expect(isRestarted('transient', reason)).toBe(false)
  })

  test.each(crashes)('a transient one after any other end (%j)', (reason) => {
    expect(isRestarted('transient', reason)).toBe(true)
  })
})

describe('the restarts that count', () => {
  test('are those within the period, its border included, and this one', () => {
    const limits = { intensity: 3, periodMs: 5_000 }
    expect(recentRestarts([9_000, 5_000, 4_999], 10_000, limits)).toEqual([10_000, 9_000, 5_000])
  })

  test('are kept only as far as they decide anything: one more than the intensity', () => {
    let moments: readonly number[] = []
    for (let now = 0; now < 100; now++)
      moments = recentRestarts(moments, now, { intensity: 2, periodMs: 1_000 })
    expect(moments).toEqual([99, 98, 97])
  })
})

describe('the wait before a restart', () => {
  test('doubles with each restart in a row, up to its longest time', () => {
    const rows = [1, 2, 3, 4, 5, 2_000]
    const waits = rows.map((row) => restartWaitMs({ fromMs: 100, toMs: 1_000 }, row, 1))
    expect(waits).toEqual([100, 200, 400, 800, 1_000, 1_000])
  })

  test('is drawn between half of this time and all of it', () => {
    const waits = [0, 0.5, 1].map((drawn) => restartWaitMs({ fromMs: 100, toMs: 1_000 }, 1, drawn))
    expect(waits).toEqual([50, 75, 100])
  })
})

describe('whether the end of a child ends its supervisor', () => {
  const significant = { significant: true, isRunning: false }
  const running = { significant: true, isRunning: true }
  const plain = { significant: false, isRunning: true }

  test.each([
    ['never', significant, [significant], false],
    ['any_significant', plain, [plain], false],
    ['any_significant', significant, [significant, running], true],
    ['all_significant', significant, [significant, running, plain], false],
    ['all_significant', significant, [significant, plain], true],
    ['all_significant', plain, [plain], false],
  ] as const)('%s: %j of %j: %j', (autoShutdown, ended, left, expected) => {
    expect(endsSupervisor(autoShutdown, ended, left)).toBe(expected)
  })
})
