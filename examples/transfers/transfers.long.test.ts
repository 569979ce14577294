/** The transfers, in a process that is killed after its database has committed. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { tempFolder } from '../../test/support/temp-folder.ts'

const program = join(import.meta.dirname, 'transfers.mjs')

const transfers = (...args: string[]) => {
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, [program, ...args], {
    encoding: 'utf8',
  })
  return { status, signal, stdout, stderr }
}

test('a transfer is booked once, though the process is killed after each of two commits', () => {
  const dir = tempFolder()
  for (let kill = 0; kill < 2; kill++) {
    const { signal, stderr } = transfers(dir, 'kill')
    expect(signal, stderr).toBe('SIGKILL')
  }

  const { status, stdout, stderr } = transfers(dir)
  expect(status, stderr).toBe(0)
  expect(JSON.parse(stdout)).toEqual({
    left: 90,
    accounts: [
      ['Ada', 90],
      ['Eve', 110],
    ],
  })
}, 120_000)
