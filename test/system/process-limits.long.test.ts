/**
 * No limit of the process ends it by a signal: lmdb-js and V8 end a process that has no address
 * space, and lmdb-js one that has no descriptor, so both are tried before. Real child processes under
 * `ulimit`.
 */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { lacks } from '../support/lacks.ts'
import { tempFolder } from '../support/temp-folder.ts'

/** Runs a program under a limit, and answers what it reported. It must end by itself. */
const under = (limit: string, program: string, args: readonly string[]): string => {
  const path = join(import.meta.dirname, '../support/programs', program)
  const { status, signal, stderr, output } = spawnSync(
    'sh',
    ['-c', `ulimit ${limit} && exec "$0" "$@"`, process.execPath, path, ...args],
    { stdio: ['ignore', 'ignore', 'pipe', 'pipe'], encoding: 'utf8' },
  )
  expect({ status, signal }, `${limit}: ${stderr.slice(-2000)}`).toEqual({
    status: 0,
    signal: null,
  })
  return output[3] ?? ''
}

const GiB = 1024 * 1024

/** Other systems do not tell a process its limits. */
const noLimits = process.platform === 'linux' ? undefined : '/proc tells the limits on Linux only'

/** How many descriptors are left. All lives, whose deadlines pass, take a minute. */
const lefts = [0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 14, 16, 18, 20, 24, 30, 40]

describe.skipIf(lacks(noLimits))('a process with a limit on', () => {
  test.each([3 * GiB, 4 * GiB, 6 * GiB, 16 * GiB, 60 * GiB, 63 * GiB, 66 * GiB])(
    'its address space of %d KiB runs an instance with a smaller map, and with fewer threads',
    (kib) => {
      expect(under(`-v ${kib}`, 'short-life.mjs', [tempFolder()])).toBe('read 1000')
    },
  )

  test('its address space gets a refusal that names it when a thread does not fit', () => {
    const dir = join(tempFolder(), 'data')
    expect(under(`-v ${2 * GiB}`, 'short-life.mjs', [dir])).toBe('SHARD_DOWN')
    expect(existsSync(join(dir, 'keelson.json'))).toBe(false)
  })

  test('its descriptors opens a projection, or gets SHARD_DOWN, and opens it later', () => {
    const found = under('-n 256', 'projection-descriptors.mjs', [tempFolder(), '20'])
    const lives: [left: number, code: string, lsn: number][] = JSON.parse(found)
    expect(lives.map(([, code]) => code)).toEqual([
      ...new Array(16).fill('SHARD_DOWN'),
      ...new Array(5).fill('ok'),
    ])
    expect(lives.every(([, , lsn]) => lsn === 1)).toBe(true)
  })

  test.each(['run', 'start'])(
    'its descriptors gets codes (few from the %s on), and the next life continues',
    (from) => {
      const args = [tempFolder(), from, ...lefts.map(String)]
      const lines = under('-n 1024', 'descriptor-lives.mjs', args)
      const lives = lines
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line))
      expect(lives).toHaveLength(lefts.length)
      for (const { refused, codes = [refused], last } of lives) {
        expect(last).toBe(1)
        for (const code of codes)
          expect([
            'ok',
            'SHARD_DOWN',
            'NOT_SUBMITTED',
            'UNKNOWN_OUTCOME',
            'BUSY',
            'EMFILE',
          ]).toContain(code)
      }
    },
  )
})
