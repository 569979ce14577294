/** `npm run bench` takes the cases and contenders that it has, and its medians favour nobody. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'

test('a bench refuses cases and contenders that it does not have, each by its name', async () => {
  const words = ['alarms', '--only', 'noon, or later', '--with', 'nobody,nothing']

  const run = promisify(execFile)(process.execPath, ['bench/main.mjs', ...words])

  await expect(run).rejects.toMatchObject({
    code: 1,
    stderr: 'no case and no contender: noon, or later, nobody, nothing\n',
  })
})

test('the median of an even number favours no side: two sides exchanged give the reciprocal', async () => {
  const { median } = await import(new URL('../bench/wal/turns.mjs', import.meta.url).href)
  const ratios = [1.2, 0.5, 2, 0.9].map(Math.log)

  const exchanged = median(ratios.map((ratio) => -ratio))

  expect(exchanged).toBe(-median(ratios))
})

describe('a figure of the gate', async () => {
  const { verdictOf } = await import(new URL('../bench/gate/verdict.mjs', import.meta.url).href)
  /** Nine pairs around a level, whose two processes differ by up to a share. */
  const pairs = (level: number, share: number) =>
    [-4, -3, -2, -1, 0, 1, 2, 3, 4].map((at) => [level * (1 + (share * at) / 8), level])

  test('is worse when it is so by more than a tenth and by more than the build is from itself', () => {
    expect(verdictOf(pairs(1.15, 0.05), 1)).toMatchObject({ isWorse: true })
  })

  test('is no news when it is worse by less than a tenth', () => {
    expect(verdictOf(pairs(1.09, 0.01), 1)).toMatchObject({ isWorse: false })
  })

  test('is no news when the build is as far from itself', () => {
    expect(verdictOf(pairs(1.15, 0.8), 1)).toMatchObject({ isWorse: false })
  })

  test('is as far from itself as the two processes of its only pair', () => {
    expect(verdictOf([[1.3, 1]], 1)).toMatchObject({ spread: Math.log(1.3), isWorse: false })
  })

  test('is not judged before one is kept', () => {
    expect(verdictOf(pairs(9, 0.01), undefined)).toMatchObject({ worse: undefined, isWorse: false })
  })
})

describe('a series of the soak', async () => {
  const { verdictOf } = await import(new URL('../bench/soak/verdict.mjs', import.meta.url).href)
  const seconds = Array.from({ length: 400 }, (_, at) => at * 10)
  const judge = (value: (at: number) => number, bound: object) =>
    verdictOf(
      seconds.map((at) => [at, value(at)]),
      bound,
    )

  test('is flat however it rises in its first quarter, which warms up', () => {
    expect(judge((at) => Math.min(at, 900), { atMost: 1 })).toMatchObject({
      isFlat: true,
      level: 900,
      growth: 0,
    })
  })

  test('is not flat when it rises steadily by more than its bound', () => {
    const verdict = judge((at) => 100 + at / 100, { atMost: 10, share: 0.1 })

    expect(verdict.growth).toBeCloseTo(29.9)
    expect(verdict.isFlat).toBe(false)
  })

  test('is flat when the growth has a known reason that is as large', () => {
    expect(judge((at) => 100 + at / 100, { atMost: 5, explained: 25 }).isFlat).toBe(true)
  })

  test('is flat as a saw-tooth, and with single high samples', () => {
    const teeth = (at: number) => 100 + (at % 300) + (at % 1_370 === 0 ? 5_000 : 0)

    expect(judge(teeth, { share: 0.1 }).isFlat).toBe(true)
  })

  test('is judged by the samples that have it, and is not flat without any', () => {
    const seldom = (at: number) => (at % 60 === 0 ? 5 : Number.NaN)

    expect(judge(seldom, { atMost: 1 })).toMatchObject({ isFlat: true, level: 5 })
    expect(judge(() => Number.NaN, { atMost: 1 }).isFlat).toBe(false)
  })
})
