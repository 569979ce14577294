/** `npm run bench` takes the cases and contenders that it has, and its medians favour nobody. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

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
