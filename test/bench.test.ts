/** `npm run bench` takes the cases and contenders that it has. */
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
